"""The producer's transactions when others interfere; no fault lets half of one through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from router.clock import now_milliseconds
from router.errors import DestinationMissing, FatalLogError, TaskMoved, TaskRetry
from router.log.interface import Output
from router.log.kafka import KafkaLog
from router.log.kafka.producer import RefusedTopics, TransactionalProducer
from router.model.eastern import DAY
from router.topics import TopicSpec
from tests.kafka.fixtures import QUICK, KafkaLogs
from tests.log.contract import PARTY, everything, outputs, values

pytestmark = pytest.mark.kafka


@pytest.fixture
async def log(logs: KafkaLogs) -> KafkaLog:
    client = await logs.open()
    await client.create_topics([TopicSpec(PARTY, 1), TopicSpec("small", 1)])
    return client


class Producers:
    """Producers under one transactional id, closed when the test ends."""

    def __init__(self, logs: KafkaLogs, stack: AsyncExitStack) -> None:
        self._logs, self._stack = logs, stack

    async def start(self) -> TransactionalProducer:
        refused = RefusedTopics()
        producer = TransactionalProducer(f"{self._logs.group}-0", self._logs.bootstrap, QUICK, refused)
        self._stack.push_async_callback(producer.close)
        await producer.start()
        return producer


@pytest.fixture
async def producers(logs: KafkaLogs, log: KafkaLog) -> AsyncIterator[Producers]:
    async with AsyncExitStack() as stack:
        yield Producers(logs, stack)


async def test_the_later_of_two_producers_wins(log: KafkaLog, producers: Producers) -> None:
    earlier = await producers.start()
    await earlier.commit(outputs(PARTY, 1))
    later = await producers.start()

    with pytest.raises(TaskMoved):
        await earlier.commit(outputs(PARTY, 1, first=1))
    await later.commit(outputs(PARTY, 1, first=2))

    assert await values(log, PARTY) == [b"0", b"2"]


async def test_a_producer_that_met_a_fault_never_writes_again(log: KafkaLog, producers: Producers) -> None:
    earlier = await producers.start()
    await producers.start()
    with pytest.raises(TaskMoved):
        await earlier.commit(outputs(PARTY, 1))

    with pytest.raises(TaskRetry, match="retired"):
        await earlier.commit(outputs(PARTY, 1))


async def test_the_next_producer_ends_the_transaction_that_a_dead_one_left_open(
    logs: KafkaLogs, log: KafkaLog, producers: Producers
) -> None:
    dead = AIOKafkaProducer(
        bootstrap_servers=logs.bootstrap, transactional_id=f"{logs.group}-0", transaction_timeout_ms=60_000
    )
    await dead.start()
    await dead.begin_transaction()
    await dead.send_and_wait(PARTY, b"never committed", b"key")
    await log.append(outputs(PARTY, 1))  # Behind the open transaction: readers have to wait for it.
    assert await values(log, PARTY) == []

    await producers.start()

    async with asyncio.timeout(2):
        while await values(log, PARTY) != [b"0"]:
            await asyncio.sleep(0.02)
    await dead.stop()


async def test_a_record_that_its_topic_refuses_stops_the_whole_transaction(
    logs: KafkaLogs, log: KafkaLog, producers: Producers
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=logs.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("tiny", 1, 1, topic_configs={"max.message.bytes": "1000"})])
    await admin.close()
    producer = await producers.start()

    with pytest.raises(FatalLogError, match=r"max\.message\.bytes"):
        await producer.commit([*outputs(PARTY, 1), Output("tiny", b"key", b"x" * 5000)])
    await producer.close()
    await producers.start()

    assert await values(log, PARTY) == []


async def test_a_record_that_no_topic_takes_is_refused_before_the_transaction(
    log: KafkaLog, producers: Producers
) -> None:
    producer = await producers.start()

    with pytest.raises(FatalLogError, match="message_limit_bytes"):
        await producer.commit([Output(PARTY, b"key", b"x" * QUICK.message_limit_bytes)])
    await producer.commit(outputs(PARTY, 1))

    assert await values(log, PARTY) == [b"0"]


async def test_a_dead_letter_of_over_a_megabyte_is_written_and_read(log: KafkaLog, producers: Producers) -> None:
    producer = await producers.start()
    large = [Output(PARTY, b"%d" % number, bytes([number]) * 1_200_000) for number in range(4)]

    await producer.commit(large)

    assert [record.value for record in await everything(log, PARTY)] == [output.value for output in large]


async def test_a_destination_deleted_under_a_producer_is_found_missing_by_the_next(
    logs: KafkaLogs, log: KafkaLog, producers: Producers
) -> None:
    producer = await producers.start()
    await producer.commit([*outputs(PARTY, 1), *outputs("small", 1)])
    admin = AIOKafkaAdminClient(bootstrap_servers=logs.bootstrap)
    await admin.start()
    await admin.delete_topics(["small"])
    await admin.close()
    both = [*outputs(PARTY, 1, first=1), *outputs("small", 1)]

    with pytest.raises((TaskRetry, DestinationMissing)):
        await producer.commit(both)
    await producer.close()
    successor = await producers.start()
    with pytest.raises(DestinationMissing) as caught:
        await successor.commit(both)
    await successor.commit(outputs(PARTY, 1, first=2))

    assert caught.value.topics == ("small",)
    assert await values(log, PARTY) == [b"0", b"2"]


async def test_a_commit_that_is_cancelled_leaves_no_transaction_open(log: KafkaLog, producers: Producers) -> None:
    producer = await producers.start()
    committing = asyncio.create_task(producer.commit(outputs(PARTY, 100)))
    await asyncio.sleep(0.003)
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    await producer.close()
    await log.append(outputs(PARTY, 1, first=999))

    async with asyncio.timeout(1):  # Much less than the transaction's time-out.
        while not (found := await values(log, PARTY)):
            await asyncio.sleep(0.02)

    assert len(found) in (1, 101)


async def test_many_batches_of_one_partition_keep_their_order(log: KafkaLog, producers: Producers) -> None:
    producer = await producers.start()

    await producer.commit([Output(PARTY, b"key", b"%06d" % number * 100) for number in range(10_000)])

    found = await values(log, PARTY)
    assert found == sorted(found)  # type: ignore[type-var]
    assert len(found) == 10_000


async def test_a_clock_far_ahead_of_the_brokers_is_named_and_nothing_is_written(
    log: KafkaLog, producers: Producers
) -> None:
    """Kafka 4 takes no record dated more than an hour ahead (message.timestamp.after.max.ms)."""
    producer = await producers.start()
    ahead = now_milliseconds() + DAY
    with pytest.raises(TaskRetry, match="our clock is ahead"):
        await producer.commit([Output(PARTY, b"k", b"0"), Output("small", b"k", b"1", timestamp=ahead)])
    assert await everything(log, PARTY, "small") == []
