"""A worker is killed, again and again, in the middle of a reissue and of a resync: each is told once."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import codec, topics
from router.clock import now_milliseconds
from router.codec import encode_value
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.log.interface import Output
from router.model.inputs import PLACE, Filing, ManualEvent, PaperBill, PaperMatch, Shipment
from router.model.registry_values import RESYNC, Request, party_topic
from router.task.outputs import registry_output
from tests.checking.replay import describe
from tests.faults.scene import Scene, scene
from tests.faults.test_faults import GROUP, SESSION_SECONDS
from tests.faults.workers import errors_in

pytestmark = pytest.mark.kafka

BILLS = 400
KILLS = 4
PATIENCE_SECONDS = 60
TOLD = "SLTC"


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Scene]:
    """Paper bills, each with a do-not-load by phone that was told; their electronic filings are known."""
    async with scene(tmp_path, 21) as made:
        await made.trial.prepare()
        now = now_milliseconds()
        await made.trial.log.append([output for number in range(BILLS) for output in on_paper(number, now)])
        await Worker(made.trial.log, made.trial.rules, until_idle=True).run(GROUP)
        yield made


def on_paper(number: int, now: int) -> list[Output]:
    paper, filed = filing(f"P{number:06d}", now), filing(f"E{number:06d}", now)
    said = ManualEvent("SLTC", paper.bill_of_lading, f"word-{number}", PLACE, now, "desk", "phone", "6H", None, 10)
    bill = PaperBill(paper, now, "CBPF1302", "desk", received_at=now)
    return [
        Output(topics.FILINGS, b"SLTC" + paper.bill_of_lading.encode(), encode_value(bill)),
        Output(topics.FILINGS, b"SLTC" + filed.bill_of_lading.encode(), encode_value(filed)),
        *event_outputs(said, lambda _: True),
    ]


def filing(number: str, now: int) -> Filing:
    ship = Shipment(carrier_scac="SLTC", imo_number="9074729", voyage_number="SL26", arrival_date="2026-07-28")
    return Filing("SLTC", number, "regular", shipment=ship, manifested_quantity=10, received_at=now)


async def told(at: Scene, cause: str) -> Counter[bytes]:
    """How often each bill was told to the party for that cause."""
    found: Counter[bytes] = Counter()
    async for batch in at.trial.log.read([party_topic(TOLD)], until_end=True):
        found.update(record.key for record in batch if codec.decode(record.value or b"")[1]["cause"] == cause)
    return found


async def killed_in_the_middle(at: Scene, cause: str, folder: Path) -> list[str]:
    """Kill the worker as soon as something was told, and its successors; then let one finish."""
    at.workers.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await told(at, cause):
        assert time.monotonic() < deadline, "nothing was told"
        await asyncio.sleep(0.05)
    chance = random.Random(21)
    for _ in range(KILLS):
        await at.workers.kill(chance)
        await asyncio.sleep(chance.uniform(1.0, 3.0))
    at.workers.stop()
    await asyncio.sleep(SESSION_SECONDS)
    return [*await at.trial.finish(GROUP), *errors_in(folder)]


async def test_a_reissue_is_told_once(at: Scene, tmp_path: Path) -> None:
    now = now_milliseconds()
    words = [PaperMatch("SLTC", f"P{number:06d}", f"SLTCE{number:06d}", "desk", now) for number in range(BILLS)]
    await at.trial.log.append(
        [Output(topics.FILINGS, word.electronic_bill.encode(), encode_value(word)) for word in words]
    )
    faults = await killed_in_the_middle(at, "REISSUE", tmp_path)
    assert not faults, describe(faults[:20])
    assert await told(at, "REISSUE") == Counter(f"SLTCE{number:06d}".encode() for number in range(BILLS))


async def test_a_resync_is_told_once(at: Scene, tmp_path: Path) -> None:
    await at.trial.log.append([registry_output(Request("r1", RESYNC, TOLD, "desk", now_milliseconds()))], atomic=True)
    faults = await killed_in_the_middle(at, "RESYNC", tmp_path)
    assert not faults, describe(faults[:20])
    assert await told(at, "RESYNC") == Counter(f"SLTCP{number:06d}".encode() for number in range(BILLS))
