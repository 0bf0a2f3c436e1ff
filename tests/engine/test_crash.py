"""Processes killed with SIGKILL at random moments lose and duplicate nothing."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router import topics
from router.codec.packed import BILL_STATE
from router.decide.bill_state import assess_bill
from router.decide.rules import Rules
from router.log.interface import Record
from router.log.url import open_log
from tests.checking.replay import check, describe

CODES = ("55", "69", "6H", "6I", "1C", "1H", "1I", "1C", "ZZ", "4A", "1A", "1B", "7H", "7I", "1J")
BILLS = 60
KILLS = 6
PARTIES = "id,name,status\nOCNX,Operator,live\nSLTC,Charterer,live\nHARX,Charterer,live\nNVXA,NVOCC,live\n"
SAILINGS = (
    "sailing_id,imo_number,vessel_name,arrival_date,scac,role,voyage_number,scope\n"
    "EX-026E,9074729,OCEAN EXEMPLAR,2026-07-28,OCNX,operator,026E,\n"
    "EX-026E,9074729,OCEAN EXEMPLAR,2026-07-28,SLTC,charterer,SL26,\n"
    "EX-026E,9074729,OCEAN EXEMPLAR,2026-07-28,HARX,charterer,H26,do-not-load\n"
)


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """One interchange. Its bills share containers, so that the box index has work too."""
    (tmp_path / "parties.csv").write_text(PARTIES)
    (tmp_path / "sailings.csv").write_text(SAILINGS)
    path = tmp_path / "feed.x12"
    path.write_text("".join(interchange()))
    return path


def interchange() -> Iterator[str]:
    yield "ISA*00*          *00*          *ZZ*CBPTEST        *02*OCNX           *260714*1412*U*00605*000000101*0*P*>~\n"
    yield "GS*SO*CBPTEST*OCNX*20260714*141205*101*X*006050~\n"
    segments = ["ST*350*0001~\n", "M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~\n", "P4*2704*20260728~\n"]
    for minute, code in enumerate(CODES):
        for bill in range(BILLS):
            master = f"OCNXMB{bill % 7}"
            segments += [
                f"X4*HBL{bill:09d}*120***20260714*08{minute:02d}*{code}**NVXA****2704**OB*{master}*ET~\n",
                "N9*SNP*OCNX~\n",
                "N9*SNP*SLTC~\n",
                f"N7*CSQU*{bill % 40:06d}~\n",
            ]
    yield from segments
    yield f"SE*{len(segments) + 1}*0001~\nGE*1*101~\nIEA*1*000000101~\n"


SMALL_TRANSACTIONS = """
import runpy
from router.engine import worker
worker.TRANSACTION_RECORDS = 40
runpy.run_module("router.cli", run_name="__main__")
"""
"""Many commits, so that kills fall into them."""


def command(log: Path, *words: str, start: tuple[str, ...] = ("-m", "router.cli")) -> list[str]:
    return [sys.executable, *start, "--log", f"sqlite:///{log}", *words]


def run(log: Path, *words: str) -> None:
    subprocess.run(command(log, *words), check=True, capture_output=True, timeout=120)


def set_up(log: Path, folder: Path) -> None:
    run(log, "import", "parties", str(folder / "parties.csv"))
    run(log, "import", "sailings", str(folder / "sailings.csv"))


def kill_at_random(process: subprocess.Popen[bytes], chance: random.Random, longest: float) -> bool:
    """Returns whether the process was still running when it was killed."""
    try:
        process.wait(timeout=chance.uniform(0.4, longest))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


async def read_all(log: Path) -> tuple[list[Record], list[Record], dict[str, str]]:
    """The timeline, the notices, and each bill's status."""
    rules = Rules()
    async with open_log(f"sqlite:///{log}") as opened:
        names = [name for name in await opened.topics() if name.startswith(topics.PARTY_PREFIX)]
        timeline = [record async for batch in opened.read([topics.TIMELINE], until_end=True) for record in batch]
        notices = [record async for batch in opened.read(names, until_end=True) for record in batch]
        bills = [record async for batch in opened.read([topics.BILLS], until_end=True) for record in batch]
    statuses = {
        record.key.decode(): assess_bill(BILL_STATE.decode(record.value), rules).status.status
        for record in bills
        if record.value is not None and not record.key.startswith(topics.POSITION_KEY)
    }
    return timeline, notices, statuses


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_party_gets_each_notice_once_and_in_order_despite_kills(feed: Path, seed: int) -> None:
    chance = random.Random(seed)
    undisturbed, disturbed = feed.parent / "undisturbed.db", feed.parent / "disturbed.db"
    set_up(undisturbed, feed.parent)
    run(undisturbed, "ingest", str(feed))
    run(undisturbed, "run", "--until-idle")

    set_up(disturbed, feed.parent)
    routing = command(disturbed, "run", start=("-c", SMALL_TRANSACTIONS))
    killed = 0
    router = subprocess.Popen(routing, stderr=subprocess.DEVNULL)
    for _ in range(KILLS):
        feeder = subprocess.Popen(command(disturbed, "ingest", str(feed)), stdout=subprocess.DEVNULL)
        killed += kill_at_random(feeder, chance, 1.2)
        killed += kill_at_random(router, chance, 1.5)
        router = subprocess.Popen(routing, stderr=subprocess.DEVNULL)
    router.kill()
    router.wait()
    run(disturbed, "ingest", str(feed))
    started = time.monotonic()
    run(disturbed, "run", "--until-idle")

    assert killed > KILLS, "too few processes were running when they were killed to prove anything"
    assert time.monotonic() - started < 60, "a dead router's work must be taken over at once"
    _, _, expected = await read_all(undisturbed)
    timeline, notices, statuses = await read_all(disturbed)
    assert statuses == expected
    faults = check(timeline, notices, Rules())
    assert not faults, describe(faults[:20])
    assert len({bill for bill in statuses if bill.startswith("NVXA")}) == BILLS
