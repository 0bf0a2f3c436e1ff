"""Reading committed records from given partitions at given offsets, without a group.

Reading partitions through to an end that is known when one begins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from router.errors import FatalLogError
from router.log.interface import Record
from router.log.kafka.failures import end_consumer, step
from router.log.kafka.settings import KafkaSettings

LONGEST_FETCH_WAIT_MS = 100
"""How long a broker holds a request while nothing is new. Records are answered at once; a partition that is resumed
or sought has to wait until the request under way is answered."""


class CommittedReader:
    """A consumer with `read_committed`, opened by `async with`. Every method may raise TaskRetry and FatalLogError."""

    def __init__(self, bootstrap: str, settings: KafkaSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=name,
            isolation_level="read_committed",
            auto_offset_reset="none",  # never skip silently what was deleted before we read it
            enable_auto_commit=False,
            fetch_max_wait_ms=LONGEST_FETCH_WAIT_MS,
            max_partition_fetch_bytes=settings.fetch_limit_bytes,
            **settings.connection(),
        )

    async def __aenter__(self) -> Self:
        try:
            async with self._step("connecting"):
                await self._consumer.start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._offsets(self._consumer.beginning_offsets, partitions, "asking where partitions begin")

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """For each partition the offset up to which every transaction is decided (the last stable offset)."""
        return await self._offsets(self._consumer.end_offsets, partitions, "asking where partitions end")

    async def existing(self, topics: Iterable[str]) -> list[TopicPartition]:
        """All partitions of `topics`. Raises FatalLogError if one is missing."""
        async with self._step("asking which partitions there are"):
            cluster = await self._consumer._client.fetch_all_metadata()
        counts = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
        missing = [topic for topic, partitions in counts.items() if not partitions]
        if missing:
            raise FatalLogError(
                f"there is no topic {', '.join(missing)}, or we may not see it: `snp-router topics check` tells more"
            )
        return [TopicPartition(topic, number) for topic, numbers in counts.items() for number in sorted(numbers)]

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets, and no others."""
        self._consumer.assign(list(offsets))
        for partition, offset in offsets.items():
            self._consumer.seek(partition, offset)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._consumer.seek(partition, offset)

    def pause(self, partition: TopicPartition) -> None:
        self._consumer.pause(partition)

    def resume(self, partition: TopicPartition) -> None:
        self._consumer.resume(partition)

    async def position(self, partition: TopicPartition) -> int:
        """The next offset to fetch: past transaction markers and what was compacted away."""
        async with self._step("asking for a position"):
            offset: int = await self._consumer.position(partition)
            return offset

    def seen_end(self, partition: TopicPartition) -> int:
        """Where it ended, committed, when the brokers last answered a fetch of it; 0 before that."""
        end: int | None = self._consumer.last_stable_offset(partition)
        return end or 0

    async def fetch(self, timeout: float) -> dict[TopicPartition, list[Record]]:
        """All that has come, waiting up to `timeout` seconds for something."""
        async with self._step("reading", extra_seconds=timeout):
            fetched: dict[TopicPartition, list[Any]] = await self._consumer.getmany(timeout_ms=int(timeout * 1000))
        return {partition: [_record(found) for found in records] for partition, records in fetched.items()}

    async def _offsets(self, ask: Any, partitions: Iterable[TopicPartition], doing: str) -> dict[TopicPartition, int]:
        wanted = list(partitions)
        async with self._step(doing):
            await self._learn_leaders({partition.topic for partition in wanted})
            offsets: dict[TopicPartition, int] = await ask(wanted)
            return offsets

    async def _learn_leaders(self, topics: set[str]) -> None:
        """Of all at once: aiokafka would ask for them one topic after the other, and each time for those before too."""
        client = self._consumer._client
        if not topics <= client._topics:
            await client.set_topics(client._topics | topics)

    def _step(self, doing: str, extra_seconds: float = 0.0) -> Any:
        seconds = self._settings.start_deadline_seconds + extra_seconds
        return step(f"{self._name}, {doing}", seconds)

    async def _stop(self) -> None:
        await end_consumer(self._consumer, self._settings.close_deadline_seconds)


def _record(found: Any) -> Record:
    """Of aiokafka's record what we use. A record without a key, which only others write, has an empty one."""
    return Record(
        found.topic,
        found.partition,
        found.offset,
        found.key or b"",
        found.value,
        found.headers,
        found.timestamp,
    )


_NEXT_LOOK_SECONDS = 0.02
"""The last thing before an end may be a transaction's marker, which brings no record: so look again soon."""


async def scan(
    reader: CommittedReader, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[list[Record]]:
    """Every committed record from `begins` up to `ends`, per partition in order, in batches as they come."""
    open_ends = {partition: end for partition, end in ends.items() if end > begins[partition]}
    if not open_ends:
        return
    reader.assign({partition: begins[partition] for partition in open_ends})
    while open_ends:
        fetched = await reader.fetch(_NEXT_LOOK_SECONDS)
        for partition, records in fetched.items():
            if partition in open_ends:
                yield _before(records, open_ends[partition])
        for partition in list(open_ends):
            if await reader.position(partition) >= open_ends[partition]:
                del open_ends[partition]
                reader.pause(partition)


def _before(records: list[Record], end: int) -> list[Record]:
    return records if records[-1].offset < end else [record for record in records if record.offset < end]
