"""A task on Kafka: its producer, which fences the former owner, and then, and only then, its ordered inputs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

import structlog
from aiokafka import TopicPartition

from router.errors import FatalLogError, InputLost, TaskMoved
from router.log.interface import Output, Position, Record
from router.log.kafka.connection import KafkaSettings
from router.log.kafka.producer import RefusedTopics, TransactionalProducer
from router.log.kafka.reader import CommittedReader
from router.topics import REGISTRY

PROGRESS_RECORDS: Final = 1_000_000
"""Restored records between two log lines."""

AHEAD_RECORDS: Final = 10_000
"""Records of each input that a task reads ahead, about."""

CATCH_UP_SECONDS: Final = 0.05

_log = structlog.get_logger(__name__)


class KafkaTask:
    """See `router.log.interface.Task`. Used while `opened`."""

    def __init__(
        self, group: str, partition: int, inputs: Sequence[TopicPartition], asker: CommittedReader, bootstrap: str,
        settings: KafkaSettings, refused: RefusedTopics,
    ) -> None:  # fmt: skip
        self.partition = partition
        self.position: Position = {}
        """Position of the last poll, which is in the state by then. For lag displays."""
        self._name = f"{group}-{partition}"
        self._inputs = inputs
        self._asker = asker
        self._bootstrap = bootstrap
        self._settings = settings
        self._producer = TransactionalProducer(self._name, bootstrap, settings, refused)
        self._let_go = asyncio.Event()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Start the producer, which ends what a former owner left open. Read nothing before: it may be out of date."""
        await self._producer.start()
        try:
            async with self._reader("inputs") as reader:
                self._ordered = OrderedInputs(reader, self._asker, self._inputs)
                yield self
        finally:
            await self._producer.close()

    def let_go(self) -> None:
        """Make the next `poll` or `commit` raise TaskMoved, since the task is no longer ours. One under way may end."""
        self._let_go.set()

    async def restore(self, topics: Sequence[str]) -> AsyncIterator[list[Record]]:
        async with self._reader("restore") as reader:
            for topic in topics:
                partition = TopicPartition(topic, self.partition)
                if partition not in await reader.existing([topic]):
                    continue
                restored = 0
                begins, ends = await reader.beginnings([partition]), await reader.ends([partition])
                async for records in reader.read_to(begins, ends):
                    self._check_ours()
                    before, restored = restored, restored + len(records)
                    if before // PROGRESS_RECORDS != restored // PROGRESS_RECORDS:
                        _log.info("task_restoring", task=self._name, topic=topic, records=restored)
                    yield records

    async def poll(self, position: Position, max_records: int, timeout: float) -> list[Record]:
        self._check_ours()
        self.position = position
        polling = asyncio.ensure_future(self._ordered.poll(position, max_records, timeout))
        leaving = asyncio.ensure_future(self._let_go.wait())
        try:
            await asyncio.wait({polling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if polling.done():
                return polling.result()
            raise self._moved()
        finally:
            leaving.cancel()
            polling.cancel()
            await asyncio.wait({polling, leaving})

    def has_waiting(self, topic: str, position: Position) -> bool:
        return self._ordered.has_waiting(topic)

    def passed(self, position: Position) -> Position:
        return self._ordered.passed(position)

    async def commit(self, outputs: Sequence[Output]) -> None:
        self._check_ours()
        await self._producer.commit(outputs)

    def _check_ours(self) -> None:
        if self._let_go.is_set():
            raise self._moved()

    def _moved(self) -> TaskMoved:
        return TaskMoved(f"task {self._name} belongs to another worker now")

    def _reader(self, purpose: str) -> CommittedReader:
        return CommittedReader(self._bootstrap, self._settings, f"{self._name}-{purpose}")


class OrderedInputs:
    """A task's inputs, read ahead by a bounded number of records each, and handed out in their order. All records that
    wait in an earlier topic come before any of a later one. This holds for everything committed when `poll` is called:
    before a later topic's records are handed out, the brokers are asked where the earlier topics end, and missing
    records are awaited. It costs one request for each poll that returns records."""

    def __init__(self, reader: CommittedReader, asker: CommittedReader, inputs: Sequence[TopicPartition]) -> None:
        """Requests for offsets go through `asker`: on the reader's connection they would wait behind a fetch."""
        self._reader = reader
        self._asker = asker
        self._inputs = inputs
        self._waiting: dict[TopicPartition, deque[Record]] = {partition: deque() for partition in inputs}
        self._begins: dict[TopicPartition, int] = {}
        self._next: dict[TopicPartition, int] = {}
        """Offset behind the last record handed out."""
        self._reached: dict[TopicPartition, int] = {}
        """Offset up to which the reader had read when last asked, past markers too."""
        self._paused: set[TopicPartition] = set()
        self._polled: list[Record] = []
        """Records of the last poll."""
        self._ends: dict[TopicPartition, int] = {}
        """Ends as the reader had seen them at the last poll."""

    async def poll(self, position: Position, max_records: int, timeout: float) -> list[Record]:
        """See `Task.poll`."""
        await self._align(position)
        self._ends = {partition: self._reader.seen_end(partition) for partition in self._inputs}
        deadline = asyncio.get_running_loop().time() + timeout
        await self._fetch(0)
        while not any(self._waiting.values()):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return []
            await self._fetch(left)
        await self._complete(max_records)
        self._polled = self._take(max_records)
        return self._polled

    def has_waiting(self, topic: str) -> bool:
        """See `Task.has_waiting`. It may be only a transaction's marker, which the next poll passes."""
        return bool(self._next) and any(
            bool(self._waiting[partition]) or self._reader.seen_end(partition) > self._ends.get(partition, 0)
            for partition in self._inputs
            if partition.topic == topic
        )

    def passed(self, position: Position) -> Position:
        """See `Task.passed`."""
        found: dict[str, int] = {}
        for partition in self._inputs:
            at = position.get(partition.topic, self._begins.get(partition, 0))
            is_all = at == self._next.get(partition) and not self._waiting[partition]
            found[partition.topic] = max(at, self._reader.reached(partition)) if is_all else at
        return found

    async def _align(self, position: Position) -> None:
        """Read on from the caller's position: at first, and when it did not act on all it got."""
        if not self._next:
            self._begins = await self._asker.beginnings(self._inputs)
            wanted_offsets = self._wanted(position)
            self._check_offsets(wanted_offsets, await self._asker.ends(self._inputs))
            self._next = wanted_offsets
            self._reader.assign(self._next)
            return
        for partition, wanted in self._wanted(position).items():
            if wanted != self._next[partition]:
                self._next[partition] = wanted
                if not self._put_back(partition, wanted):
                    self._waiting[partition].clear()
                    self._reached.pop(partition, None)
                    self._reader.seek(partition, wanted)

    def _wanted(self, position: Position) -> dict[TopicPartition, int]:
        return {partition: position.get(partition.topic, self._begins[partition]) for partition in self._inputs}

    def _check_offsets(self, wanted: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        for partition, offset in wanted.items():
            begin = self._begins[partition]
            if begin <= offset <= ends[partition]:
                continue
            if partition.topic == REGISTRY:  # every task reads it, and the judgement itself would be in it
                raise FatalLogError(
                    f"{REGISTRY} was read up to offset {offset}, and goes from {begin} to {ends[partition]}: parties, "
                    "sailings or outages were deleted before they were read, or the topic was deleted and made again. "
                    "Put the log back from a copy (`snp-router move`), or begin with all new topics"
                )
            raise InputLost(partition.topic, partition.partition, offset, begin)

    def _put_back(self, partition: TopicPartition, wanted: int) -> bool:
        """Hand out again what the last poll brought from `wanted` on, without reading it again. False if it can't."""
        polled = [record for record in self._polled if record.topic == partition.topic]
        if not polled or wanted < polled[0].offset:
            return False
        self._waiting[partition].extendleft(record for record in reversed(polled) if record.offset >= wanted)
        return True

    async def _fetch(self, timeout: float) -> None:
        """Take in new records. A full input is paused, so that a backlog waits on the brokers and not here."""
        for partition, records in (await self._reader.fetch(timeout)).items():
            waiting = self._waiting[partition]
            waiting.extend(records)
            if len(waiting) >= AHEAD_RECORDS and partition not in self._paused:
                self._paused.add(partition)
                self._reader.pause(partition)

    async def _complete(self, max_records: int) -> None:
        """Wait, input by input, for all that was committed by now, until `max_records` have come."""
        last = max(number for number, partition in enumerate(self._inputs) if self._waiting[partition])
        if last == 0 and len(self._waiting[self._inputs[0]]) >= max_records:
            return
        asked = self._inputs[: last + 1]
        ends = await self._asker.lower_bounds(asked)
        complete = 0
        for partition in asked:
            await self._await_up_to(partition, ends[partition], max_records - complete)
            complete += len(self._waiting[partition])
            if complete >= max_records:
                return

    async def _await_up_to(self, partition: TopicPartition, end: int, wanted: int) -> None:
        while len(self._waiting[partition]) < wanted and self._reached.get(partition, 0) < end:
            self._reached[partition] = await self._reader.position(partition)
            if self._reached[partition] < end:
                self._resume(partition)
                await self._fetch(CATCH_UP_SECONDS)

    def _take(self, max_records: int) -> list[Record]:
        taken: list[Record] = []
        for partition in self._inputs:
            waiting = self._waiting[partition]
            while waiting and len(taken) < max_records:
                taken.append(waiting.popleft())
            if taken and taken[-1].topic == partition.topic:
                self._next[partition] = taken[-1].offset + 1
            if len(waiting) < AHEAD_RECORDS // 2:
                self._resume(partition)
            if len(taken) == max_records:
                break
        return taken

    def _resume(self, partition: TopicPartition) -> None:
        if partition in self._paused:
            self._paused.discard(partition)
            self._reader.resume(partition)
