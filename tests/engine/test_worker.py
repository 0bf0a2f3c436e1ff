"""The loop: who goes first when there is much to do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router import codec, topics
from router.decide.rules import Rules
from router.engine import scheduling, worker
from router.engine.administration import prepare, tell_time
from router.engine.worker import Worker, WorkSettings
from router.log.interface import Log, Output, Record, partition_of
from router.log.url import open_log
from router.model.inputs import Disposition
from router.observe.metrics import COMMITTED

PARTITIONS = 4


def holds(amounts: dict[int, int]) -> list[Output]:
    """So many holds for each partition, each of a bill of its own."""
    made, missing, number = list[Output](), Counter(amounts), 0
    while missing.total():
        event = Disposition("NVXA", f"HBL{number}", "1H", action_at=1_784_031_120_000, quantity=1)
        key = f"NVXAHBL{number}".encode()
        if missing[partition := partition_of(key, PARTITIONS)] > 0:
            missing[partition] -= 1
            made.append(Output(topics.DISPOSITIONS, key, codec.encode_value(event)))
        number += 1
    return made


async def test_a_task_with_little_to_do_does_not_wait_for_those_with_a_backlog(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, PARTITIONS)
        await log.append(holds({0: 400, 1: 400, 2: 400, 3: 5}))
        routing = Worker(log, Rules(), WorkSettings(idle_seconds=0.05), until_idle=True)
        async with asyncio.timeout(30), a_turn_that_lasts(routing):
            running = asyncio.create_task(routing.run())
            found = await routed(log, lambda record: record.partition == 3)
            assert Counter(record.partition for record in found) <= Counter({0: 50, 1: 50, 2: 50, 3: 5})
        assert (await running).counts["events"] == 1205


async def test_what_is_urgent_does_not_wait_for_its_tasks_turn(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, PARTITIONS)
        *backlog, last = holds({0: 400})
        await log.append(backlog)
        routing = Worker(log, Rules(), WorkSettings(idle_seconds=0.05), until_idle=True)
        async with asyncio.timeout(30), a_turn_that_lasts(routing):
            running = asyncio.create_task(routing.run())
            await routed(log, lambda record: True)
            await log.append([last._replace(topic=topics.URGENT)])
            assert len(await routed(log, lambda record: record.key == last.key)) <= 100
        assert (await running).counts["events"] == 400


@asynccontextmanager
async def a_turn_that_lasts(routing: Worker) -> AsyncIterator[None]:
    """As of a task with a backlog, only longer."""
    async with routing._turns.of(-1, bool):
        yield


async def routed(log: Log, until: Callable[[Record], bool]) -> list[Record]:
    """What is in the timeline as soon as there is such a record."""
    found: list[Record] = []
    async for batch in log.read([topics.TIMELINE]):
        found += batch
        if any(map(until, batch)):
            break
    return found


@pytest.mark.parametrize(("look_seconds", "transactions"), [(0, 3), (60, 2)])
async def test_what_is_urgent_does_not_wait_for_the_rest_of_a_large_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look_seconds: float, transactions: int
) -> None:
    monkeypatch.setattr(scheduling, "LOOK_SECONDS", look_seconds)
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        await tell_time(log)
        await log.append([hold._replace(topic=topics.URGENT) for hold in holds({0: 59})] + holds({0: 200}))
        routing = Worker(log, Rules(), WorkSettings(idle_seconds=0.05), until_idle=True)
        assert (await routing.run()).counts["events"] == 200
        assert committed(routing) == transactions


async def test_a_transaction_that_comes_to_write_much_is_committed_before_its_other_records_are_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MOST_OUTPUTS", 10)
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        await log.append(holds({0: 100}))
        routing = Worker(log, Rules(), WorkSettings(idle_seconds=0.05), until_idle=True)
        assert (await routing.run()).counts["events"] == 100
        assert committed(routing) >= 10


def committed(routing: Worker) -> float:
    """How many transactions."""
    return routing.metrics.registry.get_sample_value("snp_transactions_total", {"outcome": COMMITTED}) or 0.0
