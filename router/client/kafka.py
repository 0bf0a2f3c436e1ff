"""A party's topic on Kafka, read in a consumer group: nothing is dropped, whatever happens to members or brokers.

An offset is committed only when the body of its notice has run. What comes again after a rebalance but ran here before
is passed over; what may have run elsewhere comes again, as at-least-once has it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from router.clock import growing_pauses
from router.errors import FatalLogError, LogError, TaskMoved, TaskRetry
from router.log.kafka.failures import end_consumer, step
from router.log.kafka.settings import KafkaSettings, bootstrap_of

COMMIT_SECONDS: Final = 1.0
"""In a backlog so often; as soon as nothing more is waiting, at once."""

_FETCH_SECONDS: Final = 0.5
_FETCH_RECORDS: Final = 500

_log = logging.getLogger(__name__)
"""The party's program decides what becomes of log lines: ours would go to its standard output."""


class Dealt(NamedTuple):
    """One record, and in which deal of the group's partitions it came."""

    value: bytes | None
    partition: TopicPartition
    offset: int
    deal: int

    @property
    def place(self) -> str:
        return f"{self.partition.topic}, partition {self.partition.partition}, offset {self.offset}"


class KafkaSource(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member of one group: a `Source`."""

    def __init__(self, url: str, topic: str, group: str, settings: KafkaSettings) -> None:
        self._bootstrap = bootstrap_of(url)
        self._topic = topic
        self._settings = settings
        self._waiting: deque[Dealt] = deque()
        self._ran: dict[TopicPartition, int] = {}
        """For each partition the offset after the last notice whose body ran here."""
        self._due: dict[TopicPartition, int] = {}
        """What is to be committed in this deal."""
        self._committed_at = 0.0
        self._deal = 0
        self._is_dealt = False
        """Not while the group deals its partitions out anew. What comes meanwhile is cleared away when it has."""
        self._group = group
        self._consumer: Any = None

    async def open(self) -> None:
        """Raises FatalLogError where no broker lets us in, or the topic is not there for us."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=self._group,
            group_id=self._group,
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.heartbeat_interval_ms,
            rebalance_timeout_ms=self._settings.rebalance_timeout_ms,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            **self._settings.connection(),
        )
        try:
            async with step(f"connecting to {self._bootstrap}", self._settings.start_deadline_seconds):
                await self._consumer.start()
                there = await self._consumer.topics()
        except LogError as error:
            raise FatalLogError(
                f"no broker at {self._bootstrap} lets us in: look at address, user and password ({error})"
            ) from error
        if self._topic not in there:
            raise FatalLogError(
                f"there is no topic {self._topic}, or this user may not read it: `party` is the SCAC that the party is "
                "registered under, not one of its aliases"
            )
        self._consumer.subscribe(topics=[self._topic], listener=self)

    async def close(self) -> None:
        """Commit what is due and leave the group. Raises nothing: what is not committed comes again."""
        if self._consumer is None:
            return
        with suppress(LogError):
            await self._commit()
        await end_consumer(self._consumer, self._settings.close_deadline_seconds)

    async def next(self) -> Dealt:
        """The next record whose body has not run here; waits for it as long as it takes. Raises FatalLogError."""
        pauses = growing_pauses(self._settings.retry_pause_seconds, self._settings.longest_retry_pause_seconds)
        while True:
            try:
                if (found := await self._next_waiting()) is not None:
                    return found
                await self._fetch()
            except (TaskRetry, TaskMoved) as error:
                _log.warning("reading failed for now: %s", error)
                await asyncio.sleep(next(pauses))

    def handled(self, record: Dealt) -> None:
        """Its body has run. Of an older deal, the commit is the present owner's business; should that be us, the record
        comes again and is passed over."""
        self._ran[record.partition] = max(record.offset + 1, self._ran.get(record.partition, 0))
        if record.deal == self._deal:
            self._due[record.partition] = record.offset + 1

    async def _next_waiting(self) -> Dealt | None:
        if self._due and (not self._waiting or time.monotonic() - self._committed_at >= COMMIT_SECONDS):
            await self._commit()
        while self._waiting and self._is_dealt:
            found = self._waiting.popleft()
            if found.offset >= self._ran.get(found.partition, 0):
                return found
            self._due[found.partition] = found.offset + 1
        return None

    async def _fetch(self) -> None:
        async with step(f"reading {self._topic}", _FETCH_SECONDS + self._settings.start_deadline_seconds):
            fetched: dict[TopicPartition, list[Any]] = await self._consumer.getmany(
                timeout_ms=int(_FETCH_SECONDS * 1000), max_records=_FETCH_RECORDS
            )
        for partition, records in fetched.items():
            self._waiting.extend(Dealt(found.value, partition, found.offset, self._deal) for found in records)

    async def _commit(self) -> None:
        """Raises LogError; then all is still due."""
        due, deal = dict(self._due), self._deal
        if not due:
            return
        async with step("committing what was handled", self._settings.commit_deadline_seconds):
            with suppress(CommitFailedError, IllegalStateError):  # dealt anew meanwhile: the next owner reads it again
                await self._consumer.commit(due)
        self._committed_at = time.monotonic()
        if deal == self._deal:
            self._due = {partition: offset for partition, offset in self._due.items() if offset != due.get(partition)}

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The last moment at which a commit of ours counts. A body that runs now is not in it."""
        self._is_dealt = False
        self._waiting.clear()
        with suppress(LogError):
            await self._commit()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Whatever came between the two calls is old: reading begins at the group's committed offsets."""
        self._deal += 1
        self._waiting.clear()
        self._due.clear()
        self._is_dealt = True
