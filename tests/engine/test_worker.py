"""The loop: how tasks share it in a backlog, and what it counts."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from router import codec, topics
from router.decide.rules import Rules
from router.engine import backlog, worker
from router.engine.administration import append_tick, prepare
from router.engine.backlog import TURN_RECORDS, Batch
from router.engine.intake import event_outputs
from router.engine.migration import MOVED_FROM
from router.engine.worker import Worker, WorkSettings
from router.log.interface import Log, Output, Record, Task, partition_of
from router.log.url import open_log
from router.model.inputs import Disposition
from router.observe import COMMITTED
from router.task.shard import Shard

PARTITIONS = 4
QUICK = WorkSettings(idle_seconds=0.05)


def holds(amounts: dict[int, int]) -> list[Output]:
    """A number of holds for each partition, each of a bill of its own."""
    made, missing, number = list[Output](), Counter(amounts), 0
    while missing.total():
        event = Disposition("NVXA", f"HBL{number}", "1H", action_at=1_784_031_120_000, quantity=1)
        key = f"NVXAHBL{number}".encode()
        if missing[partition := partition_of(key, PARTITIONS)] > 0:
            missing[partition] -= 1
            made.append(Output(topics.DISPOSITIONS, key, codec.encode_value(event)))
        number += 1
    return made


def records(partition: int, count: int) -> list[Record]:
    """Holds of one partition in the form a task polls them."""
    return [
        Record(one.topic, partition, offset, one.key, one.value, (), 0)
        for offset, one in enumerate(holds({partition: count}))
    ]


class PolledTask:
    """A task as the decision sees it: whether something urgent waits."""

    def __init__(self, partition: int, *, urgent_waits: bool = False) -> None:
        self.partition = partition
        self._urgent_waits = urgent_waits

    def has_waiting(self, topic: str, position: object) -> bool:
        assert topic == topics.URGENT
        return self._urgent_waits


async def decide(routing: Any, task: PolledTask, batch: Batch) -> Shard:
    shard = Shard(Rules(), task.partition, PARTITIONS)
    await routing._decide(task, shard, None, batch)
    return shard


async def routed(log: Log, until: Callable[[Record], bool]) -> list[Record]:
    """The timeline up to the batch with such a record."""
    found: list[Record] = []
    async for batch in log.read([topics.TIMELINE]):
        found += batch
        if any(map(until, batch)):
            break
    return found


def transactions(routing: Worker) -> float:
    """The number of committed transactions."""
    return routing.metrics.registry.get_sample_value("snp_transactions_total", {"outcome": COMMITTED}) or 0.0


@pytest.fixture
def partitions() -> int:
    return PARTITIONS


@pytest.fixture
async def log(tmp_path: Path, partitions: int) -> AsyncIterator[Log]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await prepare(opened, partitions)
        await append_tick(opened)
        yield opened


async def test_tasks_with_a_backlog_take_turns(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[int] = []
    monkeypatch.setattr(Shard, "process", lambda shard, record: decided.append(shard.partition))
    routing = Worker(log, Rules())
    batches = {partition: Batch(records(partition, 3 * TURN_RECORDS), time.perf_counter()) for partition in (1, 2)}
    await asyncio.gather(*(decide(routing, PolledTask(one), batch) for one, batch in batches.items()))
    assert decided == ([1] * TURN_RECORDS + [2] * TURN_RECORDS) * 3


async def test_a_task_with_little_to_do_does_not_wait_for_those_with_a_backlog(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed: list[int] = []
    commit = Worker._commit

    async def noted(routing: Worker, task: Task, *rest: Any) -> None:
        await commit(routing, task, *rest)
        committed.append(task.partition)

    polled = asyncio.Barrier(4)
    poll = Worker._poll

    async def polled_together(routing: Worker, task: Task, shard: Shard) -> Batch:
        batch = await poll(routing, task, shard)
        if not committed:  # else a busy machine may let a task begin when the others are done
            await asyncio.wait_for(polled.wait(), 30)
        return batch

    monkeypatch.setattr(Worker, "_commit", noted)
    monkeypatch.setattr(Worker, "_poll", polled_together)
    await log.append(holds({0: 400, 1: 400, 2: 400, 3: 5}))
    totals = await Worker(log, Rules(), QUICK, until_idle=True).run()
    assert totals.counts["events"] == 1205
    assert Counter(committed) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert committed[0] == 3


async def test_an_urgent_record_is_routed_before_the_backlog_of_its_task(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "TRANSACTION_RECORDS", 100)
    monkeypatch.setattr(backlog, "UNCUT_SECONDS", 0)
    *waiting, last = holds({0: 1500})
    await log.append(waiting)
    routing = Worker(log, Rules(), QUICK, until_idle=True)
    async with asyncio.timeout(30):
        running = asyncio.create_task(routing.run())
        await routed(log, lambda record: True)
        await log.append([last._replace(topic=topics.URGENT)])
        assert len(await routed(log, lambda record: record.key == last.key)) < 700
        assert (await running).counts["events"] == 1500


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize(("others", "expected"), [(200, 2), (59 + TURN_RECORDS, 1)])
async def test_urgent_records_are_committed_before_the_other_records_of_a_long_batch(
    log: Log, others: int, expected: int
) -> None:
    urgent = [hold._replace(topic=topics.URGENT) for hold in holds({0: 59})]
    await log.append(urgent + holds({0: others})[59:])
    routing = Worker(log, Rules(), QUICK, until_idle=True)
    assert (await routing.run()).counts["events"] == others
    assert transactions(routing) == expected


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize(
    ("seconds", "urgent_waits", "expected"), [(0, True, 50), (1, False, 50), (1, True, TURN_RECORDS)]
)
async def test_a_transaction_that_has_lasted_is_cut_when_something_urgent_waits(
    log: Log, seconds: float, urgent_waits: bool, expected: int
) -> None:
    batch = Batch(records(0, 50), time.perf_counter() - seconds)
    shard = await decide(Worker(log, Rules()), PolledTask(0, urgent_waits=urgent_waits), batch)
    assert shard.position == {topics.DISPOSITIONS: expected}


@pytest.mark.parametrize("partitions", [1])
async def test_a_transaction_with_many_outputs_is_committed_before_its_other_records_are_decided(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MOST_OUTPUTS", 10)
    await log.append(holds({0: 100}))
    routing = Worker(log, Rules(), QUICK, until_idle=True)
    assert (await routing.run()).counts["events"] == 100
    assert transactions(routing) >= 10


@pytest.mark.parametrize("partitions", [1])
@pytest.mark.parametrize("order", ["UD", "DU", "UDUD", "DDUU", "DUUD", "UUDD", "DUDUUD"])
@pytest.mark.parametrize("restarts", [False, True])
async def test_both_copies_of_an_urgent_event_are_one_event_in_whichever_order_they_are_read(
    log: Log, order: str, restarts: bool
) -> None:
    """U and D are the copies on cbp.urgent and cbp.dispositions; a second pair is a duplicate of CBP's."""
    event = Disposition("NVXA", "HBL1", "1H", action_at=1_784_031_120_000, quantity=1)
    copies = dict(zip("UD", event_outputs(event, lambda _: True), strict=True))
    counts = Counter[str]()
    for number, copy in enumerate(order, start=1):
        await log.append([copies[copy]])
        if restarts or number == len(order) or order[number] != copy:
            counts += (await Worker(log, Rules(), QUICK, until_idle=True).run()).counts
    assert counts["events"] == 1
    assert counts["duplicates"] == order.count("U") - 1


@pytest.mark.parametrize("partitions", [1])
async def test_duplicates_on_a_moved_log_are_counted_as_anywhere(log: Log) -> None:
    """A migration marks each record with the offset it had."""
    await log.append([one._replace(headers=((MOVED_FROM, b"7"),)) for one in holds({0: 1}) * 3])
    counts = (await Worker(log, Rules(), QUICK, until_idle=True).run()).counts
    assert (counts["events"], counts["duplicates"]) == (1, 2)
