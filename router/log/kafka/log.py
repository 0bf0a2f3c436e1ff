"""The log on Kafka: its parts put together behind the interface."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
from aiokafka import TopicPartition

from router.clock import growing_pauses
from router.errors import FatalLogError, TaskMoved, TaskRetry
from router.log.interface import Finding, Output, Place, Record, Task, partition_of
from router.log.kafka.cluster_admin import TopicAdmin
from router.log.kafka.group import GroupMember, Worker
from router.log.kafka.producer import Appender, RefusedTopics, TransactionalProducer
from router.log.kafka.reader import CommittedReader, scan
from router.log.kafka.settings import KafkaSettings, bootstrap_of, kafka_settings
from router.log.kafka.task import KafkaTask
from router.topics import REGISTRY, TopicSpec

_LOOK_SECONDS = 0.5

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_kafka_log(
    url: str, settings: KafkaSettings | Mapping[str, object] | None = None
) -> AsyncIterator[KafkaLog]:
    """Connect to the brokers that `url` names. Raises UsageError, and FatalLogError if no broker lets us in."""
    log = KafkaLog(url, settings if isinstance(settings, KafkaSettings) else kafka_settings(settings or {}))
    try:
        await log.connect()
        yield log
    finally:
        await log.close()


class KafkaLog:
    """See `router.log.interface.Log`. Made by `open_kafka_log`."""

    makes_own_topics = False

    def __init__(self, url: str, settings: KafkaSettings) -> None:
        self.url = url
        self.settings = settings
        self._bootstrap = bootstrap_of(url)
        self._admin = TopicAdmin(self._bootstrap, settings)
        self._appender = Appender(self._bootstrap, settings)
        self._refused = RefusedTopics(settings.refused_topic_pause_seconds)
        self.member: GroupMember | None = None
        """While at work: our place in the group, which says what tasks are ours."""

    async def connect(self) -> None:
        await self._admin.start()

    async def close(self) -> None:
        await self._appender.close()
        await self._admin.close()

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        await self._admin.create(specs)

    async def topics(self) -> dict[str, int]:
        return await self._admin.partition_counts()

    async def check(self, specs: Iterable[TopicSpec]) -> list[Finding]:
        return await self._admin.findings(specs)

    async def mend(self, specs: Iterable[TopicSpec]) -> None:
        await self._admin.mend(specs)

    async def append(self, outputs: Sequence[Output], *, atomic: bool = False) -> None:
        if not outputs:
            return
        if atomic:
            await self._append_atomic(outputs)
        else:
            await self._appender.append(outputs)

    async def _append_atomic(self, outputs: Sequence[Output]) -> None:
        """Write one transaction under a new transactional id, which fences nobody."""
        producer = TransactionalProducer(
            f"snp-router-append-{uuid.uuid4()}", self._bootstrap, self.settings, self._refused
        )
        try:
            await producer.start()
            await producer.commit(outputs)
        except TaskMoved as error:  # nobody else has this id: the brokers ended a transaction that took too long
            raise TaskRetry(str(error)) from error
        finally:
            await producer.close()

    @asynccontextmanager
    async def producer(self, transactional_id: str) -> AsyncIterator[TransactionalProducer]:
        """A started producer: whoever had the id before is fenced, and what they left open is ended. For what one
        process at a time may write, outside any task. Raises TaskRetry, TaskMoved, FatalLogError."""
        producer = TransactionalProducer(transactional_id, self._bootstrap, self.settings, self._refused)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.close()

    async def end_offsets(self, topic: str) -> dict[int, int]:
        async with self._reader("end-offsets") as reader:
            ends = await reader.ends(await reader.existing([topic]))
        return {partition.partition: end for partition, end in ends.items()}

    async def read(
        self,
        topics: Sequence[str],
        *,
        from_start: bool = True,
        until_end: bool = False,
        key: bytes | None = None,
        begin: Mapping[Place, int] | None = None,
    ) -> AsyncIterator[list[Record]]:
        async with self._reader("read") as reader:
            partitions = await reader.existing(topics)
            if key is not None:
                partitions = _of_key(partitions, key)
            ends = await reader.ends(partitions)
            begins = await reader.beginnings(partitions) if from_start or begin else ends
            if begin:
                otherwise = begins if from_start else ends
                begins = {at: max(begins[at], begin.get((at.topic, at.partition), otherwise[at])) for at in partitions}
            batches = scan(reader, begins, ends) if until_end else _follow(reader, begins)
            async for records in batches:
                yield records if key is None else [record for record in records if record.key == key]

    async def committed(self, group: str, topics: Sequence[str]) -> dict[str, int]:
        return await self._admin.committed(group, topics)

    async def work(
        self,
        inputs: Sequence[str],
        run: Callable[[Task], Awaitable[None]],
        *,
        group: str = "snp-router",
    ) -> None:
        shared = [topic for topic in inputs if topic == REGISTRY]
        dealt = [topic for topic in inputs if topic != REGISTRY]
        await self._check_inputs(dealt, shared)

        def join() -> GroupMember:
            self.member = GroupMember(group, dealt, self._bootstrap, self.settings)
            return self.member

        def task(number: int) -> KafkaTask:
            partitions = [TopicPartition(topic, 0 if topic == REGISTRY else number) for topic in inputs]
            return KafkaTask(group, number, partitions, asker, self._bootstrap, self.settings, self._refused)

        async with self._reader("questions") as asker:
            await Worker(run, join, task, self.settings).work()

    async def _check_inputs(self, dealt: Sequence[str], shared: Sequence[str]) -> None:
        counts = await self._counted()
        missing = [topic for topic in (*dealt, *shared) if topic not in counts]
        if missing:
            raise FatalLogError(
                f"there is no topic {', '.join(missing)}, or we may not see it: `snp-router topics create` makes it"
            )
        if len({counts[topic] for topic in dealt}) != 1 or any(counts[topic] != 1 for topic in shared):
            found = ", ".join(f"{topic} has {counts[topic]}" for topic in (*shared, *dealt))
            raise FatalLogError(
                f"{found} partitions: all inputs must have the same number, {REGISTRY} one. Partitions can't be taken "
                "away: begin with new topics"
            )

    async def _counted(self) -> dict[str, int]:
        """However long it takes: a router that starts while a broker is down waits, as one at work does."""
        pauses = growing_pauses(self.settings.retry_pause_seconds, self.settings.longest_retry_pause_seconds)
        while True:
            try:
                return await self._admin.partition_counts()
            except TaskRetry as error:
                _log.warning("topics_asked_again", reason=str(error))
            await asyncio.sleep(next(pauses))

    def _reader(self, purpose: str) -> CommittedReader:
        return CommittedReader(self._bootstrap, self.settings, f"snp-router-{purpose}")


async def _follow(reader: CommittedReader, begins: dict[TopicPartition, int]) -> AsyncIterator[list[Record]]:
    """For ever, with an empty batch now and then."""
    reader.assign(begins)
    while True:
        fetched = await reader.fetch(_LOOK_SECONDS)
        yield [record for records in fetched.values() for record in records]


def _of_key(partitions: Sequence[TopicPartition], key: bytes) -> list[TopicPartition]:
    counts: dict[str, int] = {}
    for partition in partitions:
        counts[partition.topic] = counts.get(partition.topic, 0) + 1
    return [found for found in partitions if found.partition == partition_of(key, counts[found.topic])]
