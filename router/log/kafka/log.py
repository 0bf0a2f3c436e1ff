"""The log on Kafka: its parts put together behind the interface."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import structlog
from aiokafka import TopicPartition

from router.clock import growing_pauses
from router.errors import FatalLogError, TaskMoved, TaskRetry
from router.log.interface import Finding, Output, Place, Record, Task, partition_of
from router.log.kafka.cluster_admin import ClusterAdmin
from router.log.kafka.connection import KafkaSettings, bootstrap_of, kafka_settings
from router.log.kafka.group import AssignedTasks, GroupMember
from router.log.kafka.producer import Appender, RefusedTopics, TransactionalProducer
from router.log.kafka.reader import CommittedReader
from router.log.kafka.static_membership import StaticMembership
from router.log.kafka.task import KafkaTask
from router.topics import PARTITIONED, REGISTRY, TopicSpec

IDLE_SECONDS: Final = 0.5
"""Time between the empty batches of a reader that waits."""

LOOK_SECONDS: Final = 5.0
"""Between two looks at the inputs of the tasks at work."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_kafka_log(
    url: str,
    settings: KafkaSettings | Mapping[str, object] | None = None,
    deadline_seconds: float | None = None,
) -> AsyncIterator[KafkaLog]:
    """Connect to the brokers in `url`. `deadline_seconds` bounds `start_deadline_seconds` of the settings. Raises
    UsageError, FatalLogError if no broker lets us in, TaskRetry."""
    given = settings if isinstance(settings, KafkaSettings) else kafka_settings(settings or {})
    if deadline_seconds is not None and deadline_seconds < given.start_deadline_seconds:
        given = given.model_copy(update={"start_deadline_seconds": deadline_seconds})
    log = KafkaLog(url, given)
    try:
        await log.connect()
        yield log
    finally:
        await log.close()


class KafkaLog:
    """See `router.log.interface`. Made by `open_kafka_log`."""

    makes_own_topics = False

    def __init__(self, url: str, settings: KafkaSettings) -> None:
        self.url = url
        self.settings = settings
        self._bootstrap = bootstrap_of(url)
        self._admin = ClusterAdmin(self._bootstrap, settings)
        self._appender = Appender(self._bootstrap, settings)
        self._refused = RefusedTopics()
        self.member: GroupMember | None = None
        """Our membership in the group, while at work."""

    async def connect(self) -> None:
        await self._admin.start()

    async def close(self) -> None:
        await self._appender.close()
        await self._admin.close()

    # Administration

    async def check(self, specs: Iterable[TopicSpec]) -> list[Finding]:
        return await self._admin.findings(specs)

    async def advice(self) -> list[str]:
        return await self._admin.advice()

    async def mend(self, specs: Iterable[TopicSpec]) -> None:
        await self._admin.mend(specs)

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        await self._admin.create(specs)

    async def topics(self) -> dict[str, int]:
        return await self._admin.partition_counts()

    async def committed(self, group: str, topics: Sequence[str]) -> dict[str, int]:
        return await self._admin.committed(group, topics)

    async def extents(self, topics: Sequence[str], *, decided: bool = False) -> dict[str, range]:
        return await self._admin.extents(topics, decided=decided)

    async def keeping_all(self, topics: Iterable[str]) -> set[str]:
        return await self._admin.keeping_all(topics)

    async def accepting(self, topics: Iterable[str]) -> set[str]:
        found = (await self.topics()).keys() & set(topics)
        while found:  # The brokers name the topics that refuse us, and say nothing of the others then.
            async with self.producer(_new_transactional_id()) as producer:
                refused = await producer.refusals(sorted(found))
            if not refused:
                break
            found -= refused
        return found

    # The hot path

    async def append(self, outputs: Sequence[Output], *, atomic: bool = False) -> None:
        if not outputs:
            return
        if not atomic:
            await self._appender.append(outputs)
            return
        transactional_id = _new_transactional_id()
        try:
            async with self.producer(transactional_id) as producer:
                await producer.commit(outputs)
            # A commit is decided before readers see it. The id's next producer starts when they do.
            with suppress(TaskRetry):
                async with self.producer(transactional_id):
                    pass
        except TaskMoved as error:  # Nobody else has this id: the brokers ended a transaction that took too long.
            raise TaskRetry(str(error)) from error

    @asynccontextmanager
    async def producer(self, transactional_id: str) -> AsyncIterator[TransactionalProducer]:
        """Start a producer, for records outside any task that one process at a time may write. It fences the former
        owner of the id and ends what that left open. Raises TaskRetry, TaskMoved, FatalLogError."""
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

    async def begin_offsets(self, topic: str) -> dict[int, int]:
        async with self._reader("begin-offsets") as reader:
            begins = await reader.beginnings(await reader.existing([topic]))
        return {partition.partition: begin for partition, begin in begins.items()}

    async def offsets_at(self, topic: str, moment: int) -> dict[int, int]:
        async with self._reader("offsets-at") as reader:
            offsets = await reader.offsets_at(await reader.existing([topic]), moment)
        return {partition.partition: offset for partition, offset in offsets.items()}

    async def read(
        self,
        topics: Sequence[str],
        *,
        from_start: bool = True,
        until_end: bool = False,
        key: bytes | None = None,
        begin: Mapping[Place, int] | None = None,
        unread: list[str] | None = None,
    ) -> AsyncIterator[list[Record]]:
        async with self._reader("read") as reader:
            partitions = await reader.existing(topics)
            if key is not None:
                partitions = _of_key(partitions, key)
            ends = await reader.ends(partitions, unread)
            partitions = [partition for partition in partitions if partition in ends]
            begins = await reader.beginnings(partitions) if from_start or begin else ends
            if begin:
                otherwise = begins if from_start else ends
                begins = {at: max(begins[at], begin.get((at.topic, at.partition), otherwise[at])) for at in partitions}
            batches = reader.read_to(begins, ends, unread) if until_end else _follow(reader, begins)
            async for records in batches:
                yield records if key is None else [record for record in records if record.key == key]

    def assigned_tasks(self) -> frozenset[int]:
        return self.member.tasks if self.member is not None else frozenset()

    async def work(
        self, inputs: Sequence[str], run: Callable[[Task], Awaitable[None]], *, group: str = "snp-router"
    ) -> None:
        partitioned = [topic for topic in inputs if topic != REGISTRY]
        counts = await self._check_inputs(partitioned, [topic for topic in inputs if topic == REGISTRY])

        def join() -> GroupMember:
            self.member = GroupMember(group, partitioned, self._bootstrap, self.settings, self._membership(group))
            return self.member

        def task(number: int) -> KafkaTask:
            partitions = [TopicPartition(topic, 0 if topic == REGISTRY else number) for topic in inputs]
            return KafkaTask(group, number, partitions, asker, self._bootstrap, self.settings, self._refused)

        async with self._reader("questions") as asker:
            await AssignedTasks(run, join, task, partial(self._watch_inputs, counts), self.settings).work()

    def _membership(self, group: str) -> StaticMembership | None:
        instance_id = self.settings.group_instance_id
        if instance_id is None:
            return None
        return StaticMembership(group, instance_id, self.settings.session_timeout_ms / 1000, self._admin.members)

    async def _watch_inputs(self, counts: Mapping[str, int]) -> None:
        """Look at the inputs for ever. Raises FatalLogError if one is gone or has other partitions than at the start:
        the group would go on with fewer tasks, or with none, and records would lie where no task reads. What one broker
        says is asked a second time."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(TaskRetry):  # no broker answers; those who read and write say so
                if _differences(counts, await self._admin.partition_counts()):
                    await asyncio.sleep(LOOK_SECONDS / 5)
                    if changed := _differences(counts, await self._admin.partition_counts()):
                        raise FatalLogError(
                            f"{'; '.join(changed)}. The router does not go on without all of its inputs: see "
                            "More partitions in the runbook"
                        )

    async def _check_inputs(self, partitioned: Sequence[str], shared: Sequence[str]) -> dict[str, int]:
        """Return the number of partitions of each input. Raises FatalLogError."""
        counts = await self._counted()
        missing = [topic for topic in (*partitioned, *shared) if topic not in counts]
        if missing:
            raise FatalLogError(
                f"there is no topic {', '.join(missing)}, or we may not see it: `snp-router topics create` makes it"
            )
        if len({counts[topic] for topic in partitioned}) != 1 or any(counts[topic] != 1 for topic in shared):
            found = ", ".join(f"{topic} has {counts[topic]}" for topic in (*shared, *partitioned))
            raise FatalLogError(
                f"{found} partitions: all inputs must have the same number, {REGISTRY} one. Begin with new topics, "
                "since a topic can't lose partitions"
            )
        return {topic: counts[topic] for topic in (*partitioned, *shared)}

    async def _counted(self) -> dict[str, int]:
        """Wait however long it takes: a router that starts while a broker is down waits like one at work."""
        pauses = growing_pauses(self.settings.retry_pause_seconds, self.settings.longest_retry_pause_seconds)
        while True:
            try:
                return await self._admin.partition_counts()
            except TaskRetry as error:
                _log.warning("topics_asked_again", reason=str(error))
            await asyncio.sleep(next(pauses))

    def _reader(self, purpose: str) -> CommittedReader:
        return CommittedReader(self._bootstrap, self.settings, f"snp-router-{purpose}")


def _new_transactional_id() -> str:
    """An id that fences nobody."""
    return f"snp-router-append-{uuid.uuid4()}"


async def _follow(reader: CommittedReader, begins: dict[TopicPartition, int]) -> AsyncIterator[list[Record]]:
    """Yield new records for ever, with an empty batch now and then."""
    reader.assign(begins)
    while True:
        fetched = await reader.fetch(IDLE_SECONDS)
        yield [record for records in fetched.values() for record in records]


def _differences(wanted: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """The fate of topics, for people."""
    return [
        f"{topic} had {count} partitions when we began, and has {found[topic]}" if topic in found
        else f"the topic {topic} is gone, or we may not see it any more"
        for topic, count in wanted.items()
        if found.get(topic) != count
    ]  # fmt: skip


def _of_key(partitions: Sequence[TopicPartition], key: bytes) -> list[TopicPartition]:
    counts: dict[str, int] = {}
    for partition in partitions:
        counts[partition.topic] = counts.get(partition.topic, 0) + 1 if partition.topic in PARTITIONED else 1
    return [found for found in partitions if found.partition == partition_of(key, counts[found.topic])]
