"""A large compacted topic is compacted while it is written and while a task restores from it."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from router.log.interface import Output, Record, Task
from router.log.kafka import KafkaLog
from router.topics import BILLS, DISPOSITIONS, REGISTRY, TopicSpec
from tests.kafka.fixtures import KafkaLogs
from tests.kafka.test_deleted_topics import admin

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
