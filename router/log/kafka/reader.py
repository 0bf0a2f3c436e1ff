"""Reading committed records from given partitions at given offsets, without a group."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from router.errors import FatalLogError, TaskRetry
from router.log.interface import Record
from router.log.kafka.connection import KafkaSettings
from router.log.kafka.failures import end_consumer, step, translate
from router.log.kafka.leaders import NO_LEADER, leaders_of
from router.log.kafka.record_batches import FaultyRecord

FETCH_WAIT_MS: Final = 100
"""Time that a broker holds a request while nothing is new. It answers records at once, but a partition that is resumed
or sought waits until the request under way is answered."""

FETCH_LIMIT_BYTES: Final = 2_000_000
"""For each partition in a request."""

MOST_FETCHED: Final = 20_000
"""Records taken in at once: a batch of tiny ones takes a hundred times its size here."""

LATEST_TIME: Final = 253_402_300_799_000
"""The last second of the year 9999, UTC milliseconds."""

LATEST: Final = -1
"""Kafka's number for a partition's end in requests for offsets."""

ASK_PAUSE_SECONDS: Final = 0.1
"""Before the brokers are asked again."""

MARKER_PAUSE_SECONDS: Final = 0.02
"""The last offset before an end may be a transaction's marker, which is no record. So look again soon."""


class CommittedReader:
    """A consumer with `read_committed`, opened by `async with`. Every method may raise TaskRetry and FatalLogError.

    Generators read with it that may be given up: a context manager that is a generator itself would be closed beside
    them at the end of the event loop, and fail."""

    def __init__(self, bootstrap: str, settings: KafkaSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=name,
            isolation_level="read_committed",
            auto_offset_reset="none",  # Never skip silently what was deleted before it was read.
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=FETCH_LIMIT_BYTES,
            **settings.connection(),
        )
        self.seek = self._consumer.seek
        self.pause = self._consumer.pause
        self.resume = self._consumer.resume

    async def __aenter__(self) -> Self:
        try:
            async with self._step("connecting"):
                await self._consumer.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def existing(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Return all partitions of `topics`. Raises FatalLogError if a topic is missing."""
        async with self._step("asking which partitions there are"):
            cluster = await self._consumer._client.fetch_all_metadata()
        counts = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
        missing = [topic for topic, partitions in counts.items() if not partitions]
        if missing:
            raise FatalLogError(
                f"there is no topic {', '.join(missing)}, or we may not see it: check with `snp-router topics check`"
            )
        return [TopicPartition(topic, number) for topic, numbers in counts.items() for number in sorted(numbers)]

    async def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._offsets(self._consumer.beginning_offsets, partitions, "asking where partitions begin")

    async def ends(
        self, partitions: Iterable[TopicPartition], unread: list[str] | None = None
    ) -> dict[TopicPartition, int]:
        """Return the last stable offset of each partition: every transaction before it is decided. Nothing that was
        committed before the call lies behind it, whichever broker was frozen.

        Raises TaskRetry if a leader does not answer in time; with `unread`, its partitions are named there instead.
        """
        wanted, found = set(partitions), dict[TopicPartition, int]()
        reasons: dict[TopicPartition, str] = {}
        ends = time.monotonic() + self._settings.start_deadline_seconds
        while missing := wanted - found.keys():
            async with self._step("asking where partitions end"):
                reasons = await self._ask_ends(missing, found)
            if wanted <= found.keys():
                break
            if time.monotonic() > ends:
                self._give_up(reasons, unread)
                break
            await asyncio.sleep(ASK_PAUSE_SECONDS)
        return found

    async def lower_bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return an offset at or before each partition's end, from the broker that is believed to lead it: quicker."""
        return await self._offsets(self._consumer.end_offsets, partitions, "asking where partitions end")

    async def offsets_at(self, partitions: Iterable[TopicPartition], moment: int) -> dict[TopicPartition, int]:
        """Return the first offset of each partition with a time of `moment` or later; the end's if there is none."""
        wanted = list(partitions)
        ends = await self.ends(wanted)  # Asked first: what is written meanwhile lies behind them.
        async with self._step("asking for offsets by time"):
            found = await self._consumer.offsets_for_times(dict.fromkeys(wanted, max(moment, 0)))
        return {at: ends[at] if found[at] is None else found[at].offset for at in wanted}

    async def _ask_ends(
        self, partitions: Collection[TopicPartition], found: dict[TopicPartition, int]
    ) -> dict[TopicPartition, str]:
        """Ask each leader, and add its answers to `found`. Return why the rest is missing."""
        leaders = await leaders_of(self._consumer._client, {partition.topic for partition in partitions})
        reasons = {partition: self._reason(partition, NO_LEADER) for partition in partitions}
        by_leader: dict[int, list[TopicPartition]] = defaultdict(list)
        for partition in partitions:
            if (leader := leaders.get(partition, NO_LEADER)) != NO_LEADER:
                by_leader[leader].append(partition)
        answers = await asyncio.gather(*(self._ask_leader(*one) for one in by_leader.items()), return_exceptions=True)
        for (leader, asked), answer in zip(by_leader.items(), answers, strict=True):
            if isinstance(answer, KafkaError) and answer.retriable:
                reasons |= {partition: self._reason(partition, leader) for partition in asked}
            elif isinstance(answer, BaseException):
                raise translate([answer], f"{self._name}, asking where partitions end") from answer
            else:
                found |= answer
        return {partition: reason for partition, reason in reasons.items() if partition not in found}

    async def _ask_leader(self, leader: int, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for topic, number in partitions:
            wanted[topic].append((number, LATEST))
        offsets = await self._consumer._fetcher._proc_offset_request(leader, wanted)
        return {partition: offset for partition, (offset, _) in offsets.items()}

    def _reason(self, partition: TopicPartition, leader: int | None = None) -> str:
        """Return why a partition can't be read. Without a leader it is the one that aiokafka believes in."""
        cluster = self._consumer._client.cluster
        if leader is None:
            leader = cluster.leader_for_partition(partition)
        if leader is None or leader == NO_LEADER:
            return "no broker is known to lead it"
        found = cluster.broker_metadata(leader)
        return f"broker {leader}{f' at {found.host}:{found.port}' if found else ''} does not answer"

    def _give_up(self, reasons: Mapping[TopicPartition, str], unread: list[str] | None) -> None:
        """Name in `unread` what can't be read. Raises TaskRetry without it."""
        texts = [f"{topic}, partition {number}: {reason}" for (topic, number), reason in sorted(reasons.items())]
        if unread is None:
            raise TaskRetry(f"{self._name}: {'; '.join(texts)}")
        unread += texts

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets, and no others."""
        self._consumer.assign(list(offsets))
        for partition, offset in offsets.items():
            self.seek(partition, offset)

    async def position(self, partition: TopicPartition) -> int:
        """Return the next offset to fetch, behind transaction markers and compacted records."""
        async with self._step("asking for a position"):
            offset: int = await self._consumer.position(partition)
            return offset

    def reached(self, partition: TopicPartition) -> int:
        """Return the `position` that is known without a request; 0 if none is."""
        assigned = self._consumer._subscription.subscription
        state = assigned.assignment.state_value(partition) if assigned is not None else None
        return state.position if state is not None and state.has_valid_position else 0

    def seen_end(self, partition: TopicPartition) -> int:
        """Return the last stable offset in the brokers' latest answer to a fetch; 0 before the first answer."""
        end: int | None = self._consumer.last_stable_offset(partition)
        return end or 0

    async def fetch(self, timeout: float) -> dict[TopicPartition, list[Record]]:
        """Return what has come, at most `MOST_FETCHED` records. If there is nothing, wait up to `timeout` seconds."""
        async with self._step("reading", extra_seconds=timeout):
            fetched: dict[TopicPartition, list[Any]] = await self._consumer.getmany(
                timeout_ms=int(timeout * 1000), max_records=MOST_FETCHED
            )
        return {partition: [_record(found) for found in records] for partition, records in fetched.items()}

    async def read_to(
        self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], unread: list[str] | None = None
    ) -> AsyncIterator[list[Record]]:
        """Yield every committed record from `begins` up to `ends`, each partition in order, in batches.

        Raises TaskRetry if nothing comes for too long; with `unread`, what is missing is named there instead.
        """
        open_ends = {partition: end for partition, end in ends.items() if end > begins[partition]}
        if not open_ends:
            return
        self.assign({partition: begins[partition] for partition in open_ends})
        reached: dict[TopicPartition, int] = {}
        waited_seconds = 0.0
        while open_ends:
            began = time.monotonic()
            fetched = await self.fetch(MARKER_PAUSE_SECONDS)
            waited_seconds += time.monotonic() - began
            for partition, records in fetched.items():
                if (end := open_ends.get(partition)) is not None:
                    yield [record for record in records if record.offset < end]
            before, reached = reached, {partition: await self.position(partition) for partition in open_ends}
            if reached != before:
                waited_seconds = 0.0
            elif waited_seconds > self._settings.start_deadline_seconds:
                self._give_up({partition: self._reason(partition) for partition in open_ends}, unread)
                return
            for partition, end in list(open_ends.items()):
                if reached[partition] >= end:
                    del open_ends[partition], reached[partition]
                    self.pause(partition)

    async def _offsets(self, ask: Any, partitions: Iterable[TopicPartition], doing: str) -> dict[TopicPartition, int]:
        wanted = list(partitions)
        topics = {partition.topic for partition in wanted}
        client = self._consumer._client
        async with self._step(doing):
            if not topics <= client._topics:
                # All leaders at once: aiokafka would ask topic by topic, and again for those before.
                await client.set_topics(client._topics | topics)
            offsets: dict[TopicPartition, int] = await ask(wanted)
            return offsets

    async def _end(self) -> None:
        await end_consumer(self._consumer, self._settings.close_deadline_seconds)

    def _step(self, doing: str, extra_seconds: float = 0.0) -> Any:
        return step(f"{self._name}, {doing}", self._settings.start_deadline_seconds + extra_seconds)


def _record(found: ConsumerRecord) -> Record:
    """Translate aiokafka's record. Only other programs write one without a key or a header without a value, which get
    empty ones, or a time that no calendar has, which becomes the nearest that one has."""
    headers = found.headers
    if any(value is None for _, value in headers):
        headers = tuple((name, value or b"") for name, value in headers)
    timestamp = min(max(0, found.timestamp), LATEST_TIME)
    fault = found.fault if isinstance(found, FaultyRecord) else None
    return Record(found.topic, found.partition, found.offset, found.key or b"", found.value, headers, timestamp, fault)
