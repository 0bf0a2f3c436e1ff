"""A party's topic on Kafka, read in a consumer group; no notice is lost when members or brokers fail.

An offset is committed only after its notice was handled. A record that returns after a rebalance is skipped if it was
handled here. If another member may have handled it, it is delivered again (at least once).
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
from router.log.kafka.connection import KafkaSettings, bootstrap_of
from router.log.kafka.failures import end_consumer, step

COMMIT_SECONDS: Final = 1.0
"""Pause between commits in a backlog; once no record is left, the commit is immediate."""

_FETCH_SECONDS: Final = 0.5
_FETCH_RECORDS: Final = 500

_log = logging.getLogger(__name__)
"""The standard library's logger, so that the party's program decides about log lines; ours would go to its output."""


class AssignedRecord(NamedTuple):
    """A record, and the assignment of partitions under which it was read."""

    value: bytes | None
    partition: TopicPartition
    offset: int
    assignment: int

    @property
    def place(self) -> str:
        return f"{self.partition.topic}, partition {self.partition.partition}, offset {self.offset}"


class KafkaReader(ConsumerRebalanceListener):  # type: ignore[misc]
    """A `NoticeReader` that is one member of one consumer group."""

    def __init__(self, url: str, topic: str, group: str, settings: KafkaSettings) -> None:
        self._bootstrap = bootstrap_of(url)
        self._topic = topic
        self._group = group
        self._settings = settings
        self._fetched: deque[AssignedRecord] = deque()
        self._handled: dict[TopicPartition, int] = {}
        """For each partition, the offset after the last record handled here."""
        self._due: dict[TopicPartition, int] = {}
        """Offsets to commit under the present assignment."""
        self._committed_at = 0.0
        self._assignment = 0
        self._is_assigned = False
        """False during a rebalance. Records fetched meanwhile are dropped once it is over."""
        self._consumer: Any = None

    async def open(self) -> None:
        """Raises FatalLogError if no broker accepts us, or the topic does not exist or is not ours."""
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
                existing = await self._consumer.topics()
        except LogError as error:
            raise FatalLogError(
                f"cannot log in to a broker at {self._bootstrap}: check address, user and password ({error})"
            ) from error
        if self._topic not in existing:
            raise FatalLogError(
                f"there is no topic {self._topic}, or this user may not read it: `party` must be the SCAC under which "
                "the party is registered, not an alias"
            )
        self._consumer.subscribe(topics=[self._topic], listener=self)

    async def close(self) -> None:
        """Commit what is due and leave the group. Raises nothing; an offset not committed is delivered again."""
        if self._consumer is None:
            return
        with suppress(LogError):
            await self._commit()
        await end_consumer(self._consumer, self._settings.close_deadline_seconds)

    async def next(self) -> AssignedRecord:
        """Wait for the next record that was not handled here. Raises FatalLogError."""
        pauses = growing_pauses(self._settings.retry_pause_seconds, self._settings.longest_retry_pause_seconds)
        while True:
            try:
                if (found := await self._next_fetched()) is not None:
                    return found
                await self._fetch()
            except (TaskRetry, TaskMoved) as error:
                pause = next(pauses)
                _log.warning("reading fails and is repeated in %s s: %s", pause, error)
                await asyncio.sleep(pause)

    def handled(self, record: AssignedRecord) -> None:
        """Mark a record as handled. Under an older assignment the partition's present owner commits it.

        If we are that owner, the record returns and is skipped.
        """
        self._handled[record.partition] = max(record.offset + 1, self._handled.get(record.partition, 0))
        if record.assignment == self._assignment:
            self._due[record.partition] = record.offset + 1

    async def _next_fetched(self) -> AssignedRecord | None:
        if self._due and (not self._fetched or time.monotonic() - self._committed_at >= COMMIT_SECONDS):
            await self._commit()
        while self._fetched and self._is_assigned:
            found = self._fetched.popleft()
            if found.offset >= self._handled.get(found.partition, 0):
                return found
            self._due[found.partition] = found.offset + 1
        return None

    async def _fetch(self) -> None:
        async with step(f"reading {self._topic}", _FETCH_SECONDS + self._settings.start_deadline_seconds):
            fetched: dict[TopicPartition, list[Any]] = await self._consumer.getmany(
                timeout_ms=int(_FETCH_SECONDS * 1000), max_records=_FETCH_RECORDS
            )
        for partition, records in fetched.items():
            self._fetched.extend(AssignedRecord(one.value, partition, one.offset, self._assignment) for one in records)

    async def _commit(self) -> None:
        """Commit what is due. Raises LogError, after which all of it is still due."""
        due, assignment = dict(self._due), self._assignment
        if not due:
            return
        async with step("committing handled offsets", self._settings.commit_deadline_seconds):
            with suppress(CommitFailedError, IllegalStateError):  # after a rebalance the new owner reads them again
                await self._consumer.commit(due)
        self._committed_at = time.monotonic()
        if assignment == self._assignment:
            self._due = {partition: offset for partition, offset in self._due.items() if offset != due.get(partition)}

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Commit while the partitions are still ours. The record being handled is not included."""
        self._is_assigned = False
        self._fetched.clear()
        with suppress(LogError):
            await self._commit()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Drop what was fetched before: reading starts again at the group's committed offsets."""
        self._assignment += 1
        self._fetched.clear()
        self._due.clear()
        self._is_assigned = True
