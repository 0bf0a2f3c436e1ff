"""A large compacted topic is compacted while it is written and while a task restores from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, prepare
from router.engine.backlog import unrouted
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.log.interface import Output, Record, Task
from router.log.kafka import KafkaLog
from router.model.eastern import MINUTE
from router.model.inputs import Disposition
from router.model.registry_values import Party, RegistryNote
from router.task.chains import ChainHead
from router.task.outputs import registry_output
from router.topics import BILLS, DISPOSITIONS, REGISTRY, TopicSpec, topic_specs
from tests.kafka.fixtures import KafkaLogs
from tests.kafka.test_deleted_topics import admin
from tests.log.contract import everything

pytestmark = pytest.mark.kafka

KEYS = 3000
ROUNDS = 16
FILLING = b"." * 1000
EAGER = {
    "cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01",
    "max.message.bytes": "4000000", "delete.retention.ms": "0", "min.compaction.lag.ms": "3000",
}  # fmt: skip
"""Small segments, each compacted soon after it is full. The lag is longer than any reading here takes, as that of
`topics create` is in use: without it a reader misses keys that are written behind the end it reads to."""


async def writing(log: KafkaLog, written: list[int]) -> None:
    """Write every key once a round, as a task does; the last eighth is deleted and written in turn."""
    async with log.producer("writer") as producer:
        for number in range(ROUNDS):
            value = b"%d" % number + FILLING
            gone = range(KEYS * 7 // 8, KEYS) if number % 2 else range(0)
            await producer.commit(
                [Output(BILLS, b"NVXA%d" % key, None if key in gone else value) for key in range(KEYS)]
            )
            written.append(number)


def check(records: list[Record], at_least: int) -> None:
    """Every key is there, in order, and no older than what was committed before the restore began."""
    assert [record.offset for record in records] == sorted({record.offset for record in records})
    last = {record.key: int(record.value.partition(b".")[0]) if record.value else None for record in records}
    for key in range(KEYS):
        found = last.get(b"NVXA%d" % key)
        if key < KEYS * 7 // 8:
            assert found is not None, key
            assert found >= at_least, key
        else:
            assert found is None or (found % 2 == 0 and found >= at_least - 1), (key, found, at_least)


async def test_a_task_restores_all_while_its_state_is_compacted(logs: KafkaLogs) -> None:
    log = await logs.open()
    await log.create_topics([TopicSpec(BILLS, 1, compacted=True), TopicSpec(DISPOSITIONS, 1), TopicSpec(REGISTRY, 1)])
    async with admin(logs.bootstrap) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, BILLS, configs=EAGER)])
    written: list[int] = []
    restored: list[int] = []
    author = asyncio.create_task(writing(await logs.open(commit_deadline_seconds=60), written))

    async def restore(task: Task) -> None:
        while not author.done():
            # Readers see a transaction a little after its commit returned, but before the next one's.
            before = written[-2] if len(written) > 1 else None
            records = [record async for batch in task.restore([BILLS]) for record in batch]
            restored.append(len(records))
            if before is not None:
                check(records, before)
        await author
        async with log.producer("writer"):
            pass  # As a task's own producer does at its start, it waits for the last transaction's end.
        async with asyncio.timeout(30):
            while True:
                records = [record async for batch in task.restore([BILLS]) for record in batch]
                restored.append(len(records))
                check(records, ROUNDS - 1)
                if len(records) < KEYS * ROUNDS // 3:
                    return  # most was compacted away

    await asyncio.wait_for(log.work([REGISTRY, DISPOSITIONS], restore, group=logs.group), 90)
    assert len(restored) > 3


PATIENCE_SECONDS = 120
LIVES = 3
BILLS_EACH = 2_000
FORGETTING = Rules(forget_after_days=1, forget_silent_after_days=2)


async def feed(log: KafkaLog, life: int, code: str) -> None:
    """An event for each bill of one life."""
    for first in range(0, BILLS_EACH, 500):
        made: list[Output] = []
        for number in range(first, first + 500):
            now = now_milliseconds()
            event = Disposition("NVXA", f"L{life}B{number}", code, now, 10, snps=("SLTC",), received_at=now)
            made += event_outputs(event, FORGETTING.codes.is_urgent)
        await log.append(made)


async def days_pass(log: KafkaLog, days: int, since: int) -> int:
    """A tick for each hour. Returns the time of the last."""
    ticks = [since + hour * 60 * MINUTE for hour in range(1, 24 * days + 1)]
    await log.append([registry_output(RegistryNote("tick", "tick", at)) for at in ticks])
    return ticks[-1]


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await is_so():
            await asyncio.sleep(0.5)


def state_of(worker: Worker) -> dict[int, tuple[list[dict[str, bytes]], dict[str, ChainHead]]]:
    """By task: all bills as stored, and the heads of its chains."""
    return {
        task: ([dict(part) for part in shard._bills.stored._parts], dict(shard._chains.heads))
        for task, shard in worker.shards.items()
    }


@pytest.mark.soak
async def test_a_router_restored_from_a_compacted_state_knows_what_the_one_before_knew(logs: KafkaLogs) -> None:
    """Bills of several lives, each forgotten before the next but the last, under a router that goes on writing."""
    log = await logs.open(commit_deadline_seconds=60)
    await log.create_topics(topic_specs(2))
    await prepare(log, 2)
    await append_tick(log)
    await import_parties(log, [Party("NVXA"), Party("SLTC")])
    async with admin(logs.bootstrap) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, BILLS, configs=EAGER)])
    worker = Worker(log, FORGETTING)
    routing = asyncio.create_task(worker.run(logs.group))

    async def known(count: int) -> bool:
        assert not routing.done(), routing.exception()
        bills = sum(shard.bill_count for shard in worker.shards.values())
        return bills == count and not await unrouted(log)

    now = now_milliseconds()
    for life in range(LIVES):
        for code in ("55", "7H", "7I"):
            await feed(log, life, code)
        await until(partial(known, BILLS_EACH))
        if life < LIVES - 1:
            now = await days_pass(log, 3, now)
            await until(partial(known, 0))

    async def is_compacted() -> bool:
        await log.append([registry_output(RegistryNote("tick", "tick", now))])  # each writes the positions anew
        return len(await everything(log, BILLS)) < sum((await log.end_offsets(BILLS)).values()) // 2

    await until(is_compacted)
    before = state_of(worker)
    routing.cancel()
    await asyncio.wait([routing])
    again = Worker(await logs.open(), FORGETTING)
    routing = asyncio.create_task(again.run(logs.group))
    worker = again
    await until(partial(known, BILLS_EACH))
    assert state_of(again) == before
    assert all(heads for _, heads in before.values()), "the position survives"
    routing.cancel()
    await asyncio.wait([routing])
