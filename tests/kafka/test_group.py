"""Several workers of one group: assignment of tasks, and what a move disturbs."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from router.errors import FatalLogError, InputLost, TaskMoved
from router.log.interface import Task
from router.log.kafka import KafkaLog
from router.log.kafka.group import complete_tasks
from router.topics import BILLS, DISPOSITIONS, REGISTRY, URGENT, TopicSpec
from tests.kafka.fixtures import KafkaLogs
from tests.log.contract import PARTY, counted, key_in, outputs, position_output, values

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("no_error_is_lost")]

PARTITIONS = 3
INPUTS = (REGISTRY, URGENT, DISPOSITIONS)
PATIENCE_SECONDS = 40


@pytest.fixture
async def log(logs: KafkaLogs) -> KafkaLog:
    client = await logs.open()
    many = [TopicSpec(name, PARTITIONS) for name in (URGENT, DISPOSITIONS, PARTY)]
    await client.create_topics(
        [*many, TopicSpec(BILLS, PARTITIONS, compacted=True), TopicSpec(REGISTRY, 1, compacted=True)]
    )
    return client


class CountingWorker:
    """Counts on in each of its tasks, a record for each number, until told to stop."""

    def __init__(self) -> None:
        self.running: set[int] = set()
        self.opened: Counter[int] = Counter()
        self.stop = False

    async def __call__(self, task: Task) -> None:
        self.opened[task.partition] += 1
        self.running.add(task.partition)
        try:
            count = await counted(task)
            while not self.stop:
                number = outputs(PARTY, 1, key=key_in(task.partition), first=count)
                await task.commit([*number, position_output(task.partition, count=count + 1)])
                count += 1
                await task.poll({}, 1, 0.01)
        finally:
            self.running.discard(task.partition)


async def until(condition: object) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.02)


async def numbers(log: KafkaLog) -> dict[bytes, list[int]]:
    """Return the numbers counted, in order, by key."""
    found: dict[bytes, list[int]] = {}
    async for batch in log.read([PARTY], until_end=True):
        for record in batch:
            found.setdefault(record.key, []).append(int(record.value or b""))
    return found


async def test_tasks_move_to_a_second_worker_and_back_and_nothing_is_lost_or_doubled(
    logs: KafkaLogs, log: KafkaLog
) -> None:
    other = await logs.open()
    first, second = CountingWorker(), CountingWorker()
    one = asyncio.create_task(log.work(INPUTS, first, group=logs.group))
    await until(lambda: len(first.running) == PARTITIONS)
    two = asyncio.create_task(other.work(INPUTS, second, group=logs.group))
    await until(lambda: len(first.running) + len(second.running) == PARTITIONS and second.running)
    stayed = set(first.running)

    assert all(first.opened[number] == 1 for number in stayed)  # A rebalance disturbs no task that stays.

    two.cancel()
    await asyncio.gather(two, return_exceptions=True)
    await until(lambda: len(first.running) == PARTITIONS)
    assert all(first.opened[number] == 1 for number in stayed)
    first.stop = True
    await asyncio.wait_for(one, PATIENCE_SECONDS)

    for counted_of_key in (await numbers(log)).values():
        assert counted_of_key == list(range(len(counted_of_key)))


async def test_a_zombie_that_wakes_up_does_not_double_anything(logs: KafkaLogs, log: KafkaLog) -> None:
    other = await logs.open()
    zombie, second = CountingWorker(), CountingWorker()
    one = asyncio.create_task(log.work(INPUTS, zombie, group=logs.group))
    await until(lambda: len(zombie.running) == PARTITIONS)
    await logs.lose(log)
    two = asyncio.create_task(other.work(INPUTS, second, group=logs.group))
    await until(lambda: len(second.opened) == PARTITIONS)
    await asyncio.sleep(1)
    zombie.stop = second.stop = True
    await asyncio.wait_for(asyncio.gather(one, two), PATIENCE_SECONDS)

    for counted_of_key in (await numbers(log)).values():
        assert counted_of_key == list(range(len(counted_of_key)))


async def test_fenced_but_still_ours_is_opened_again(logs: KafkaLogs, log: KafkaLog) -> None:
    """A broker also fences a producer when it ends a slow transaction. The group still assigns the task to us."""
    opened = []

    async def run(task: Task) -> None:
        opened.append(task.partition)
        if opened.count(task.partition) == 1:
            raise TaskMoved("fenced")

    await asyncio.wait_for(log.work(INPUTS, run, group=logs.group), PATIENCE_SECONDS)

    assert sorted(opened) == [0, 0, 1, 1, 2, 2]


async def test_a_static_member_that_is_back_soon_gets_its_tasks_at_once(logs: KafkaLogs, log: KafkaLog) -> None:
    first, second = CountingWorker(), CountingWorker()
    for worker in (first, second):
        client = await logs.open(group_instance_id="worker-1", session_timeout_ms=30_000)
        working = asyncio.create_task(client.work(INPUTS, worker, group=logs.group))
        await asyncio.wait_for(until(lambda worker=worker: len(worker.running) == PARTITIONS), 5)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def test_inputs_with_unequal_partitions_are_refused(logs: KafkaLogs, log: KafkaLog) -> None:
    await log.create_topics([TopicSpec("cbp.filings", 2)])

    with pytest.raises(FatalLogError, match=r"cbp\.filings has 2"):
        await log.work([*INPUTS, "cbp.filings"], CountingWorker(), group=logs.group)


class TestPoll:
    async def test_a_backlog_waits_on_the_broker_and_not_in_memory(
        self, logs: KafkaLogs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("router.log.kafka.task.AHEAD_RECORDS", 500)
        monkeypatch.setattr("router.log.kafka.reader.FETCH_LIMIT_BYTES", 100_000)
        log = await logs.open()
        await log.create_topics([TopicSpec(DISPOSITIONS, 1), TopicSpec(REGISTRY, 1)])
        for start in range(0, 20_000, 500):
            await log.append(outputs(DISPOSITIONS, 500, first=start))
        seen: list[bytes | None] = []
        held = 0

        async def run(task: Task) -> None:
            nonlocal held
            position: dict[str, int] = {}
            while len(seen) < 20_000:
                for record in await task.poll(position, 200, 5):
                    seen.append(record.value)
                    position[record.topic] = record.offset + 1
                waiting = task._ordered._waiting.values()  # type: ignore[attr-defined]
                held = max(held, sum(map(len, waiting)))

        await asyncio.wait_for(log.work([REGISTRY, DISPOSITIONS], run, group=logs.group), PATIENCE_SECONDS)

        assert seen == [b"%d" % number for number in range(20_000)]
        assert held < 10_000  # The limit, and what was under way.

    async def test_records_are_read_again_at_an_earlier_position(self, logs: KafkaLogs, log: KafkaLog) -> None:
        await log.append(outputs(DISPOSITIONS, 10, key=key_in(0)))
        polled: list[list[bytes | None]] = []

        async def run(task: Task) -> None:
            if task.partition == 0:
                for position in ({}, {}, {DISPOSITIONS: 5}):
                    records = await task.poll(position, 100, 5)
                    polled.append([record.value for record in records])

        await asyncio.wait_for(log.work(INPUTS, run, group=logs.group), PATIENCE_SECONDS)

        whole = [b"%d" % number for number in range(10)]
        assert polled == [whole, whole, whole[5:]]

    async def test_a_position_that_the_input_does_not_have_is_a_loss_on_each_call(
        self, logs: KafkaLogs, log: KafkaLog
    ) -> None:
        async def run(task: Task) -> None:
            for _ in range(2):
                with pytest.raises(InputLost, match=r"cbp\.dispositions, partition .: it was read up to offset 1000"):
                    await task.poll({DISPOSITIONS: 1000}, 1, 1)
            assert await task.poll({DISPOSITIONS: 0}, 1, 0.1) == []

        await asyncio.wait_for(log.work(INPUTS, run, group=logs.group), PATIENCE_SECONDS)

    async def test_a_position_that_the_registry_does_not_have_is_fatal(self, logs: KafkaLogs, log: KafkaLog) -> None:
        async def run(task: Task) -> None:
            await task.poll({REGISTRY: 1000}, 1, 1)

        with pytest.raises(FatalLogError, match=r"read up to offset 1000, and goes from 0 to 0"):
            await asyncio.wait_for(log.work(INPUTS, run, group=logs.group), PATIENCE_SECONDS)


async def test_values_are_read_while_a_task_works(logs: KafkaLogs, log: KafkaLog) -> None:
    worker = CountingWorker()
    working = asyncio.create_task(log.work(INPUTS, worker, group=logs.group))
    await until(lambda: len(worker.running) == PARTITIONS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await values(log, PARTY)) <= 10:
            await asyncio.sleep(0.05)
    worker.stop = True
    await asyncio.wait_for(working, PATIENCE_SECONDS)


def test_a_task_needs_its_partition_of_every_input() -> None:
    from aiokafka import TopicPartition

    assigned = [TopicPartition("a", 0), TopicPartition("b", 0), TopicPartition("a", 1)]

    assert complete_tasks(assigned, ["a", "b"]) == {0}
