"""A task's inputs, in order: all that waits in an earlier topic before anything of a later one.

One task: its producer, which fences; then, and only then, its readers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog
from aiokafka import TopicPartition

from router.errors import FatalLogError, TaskMoved
from router.log.interface import Output, Position, Record
from router.log.kafka.producer import RefusedTopics, TransactionalProducer
from router.log.kafka.reader import CommittedReader, scan
from router.log.kafka.settings import KafkaSettings

_LOOK_SECONDS = 0.05


class OrderedInputs:
    """Reads ahead a bounded number of records of each input, and hands them out in the inputs' order.

    The order holds for everything that was committed when `poll` was called: before a later topic's records are
    handed out, the brokers are asked where the earlier topics end, and what is missing is awaited. That costs one
    request for each poll that brings something.
    """

    def __init__(
        self,
        reader: CommittedReader,
        asker: CommittedReader,
        inputs: Sequence[TopicPartition],
        buffer_records: int,
    ) -> None:
        """`asker` is for questions only: on the connection of `reader` they would wait behind a fetch under way."""
        self._reader = reader
        self._asker = asker
        self._inputs = inputs
        self._buffer_records = buffer_records
        self._waiting: dict[TopicPartition, deque[Record]] = {partition: deque() for partition in inputs}
        self._begins: dict[TopicPartition, int] = {}
        self._next: dict[TopicPartition, int] = {}
        """For each input, the offset after the last record handed out."""
        self._reached: dict[TopicPartition, int] = {}
        """For each input, up to where it was read in when we last asked the reader: past markers too."""
        self._paused: set[TopicPartition] = set()
        self._taken: list[Record] = []
        """Handed out last."""
        self._ends: dict[TopicPartition, int] = {}
        """Of each input where it ended, as the reader had seen it, when it was last polled."""

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
        self._taken = self._take(max_records)
        return self._taken

    def has_waiting(self, topic: str) -> bool:
        """See `Task.has_waiting`. It may be a transaction's marker only: the next poll takes that in."""
        return any(
            bool(self._waiting[partition]) or self._reader.seen_end(partition) > self._ends.get(partition, 0)
            for partition in self._inputs
            if partition.topic == topic
        )

    async def _align(self, position: Position) -> None:
        """Read on where the caller is: at first, and again if it does not go on where it was."""
        if not self._next:
            self._begins = await self._asker.beginnings(self._inputs)
            self._next = self._wanted(position)
            await self._check_there()
            self._reader.assign(self._next)
            return
        for partition, wanted in self._wanted(position).items():
            if wanted != self._next[partition]:
                self._next[partition] = wanted
                if not self._put_back(partition, wanted):
                    self._waiting[partition].clear()
                    self._reached.pop(partition, None)
                    self._reader.seek(partition, wanted)

    def _put_back(self, partition: TopicPartition, wanted: int) -> bool:
        """What the caller had from us last and has not acted on, so that it need not be read again."""
        taken = [record for record in self._taken if record.topic == partition.topic]
        if not taken or wanted < taken[0].offset:
            return False
        self._waiting[partition].extendleft(record for record in reversed(taken) if record.offset >= wanted)
        return True

    def _wanted(self, position: Position) -> dict[TopicPartition, int]:
        return {partition: position.get(partition.topic, 0) or self._begins[partition] for partition in self._inputs}

    async def _check_there(self) -> None:
        ends = await self._asker.ends(self._inputs)
        for partition, wanted in self._next.items():
            if not self._begins[partition] <= wanted <= ends[partition]:
                raise FatalLogError(
                    f"the state says that {partition.topic}-{partition.partition} was read up to offset {wanted}, but "
                    f"it goes from {self._begins[partition]} to {ends[partition]}: records were deleted before they "
                    "were read, or the topic was made anew. Restore the topic, or begin with new topics throughout"
                )

    async def _fetch(self, timeout: float) -> None:
        """Take in what has come. A full input is paused, so that a backlog waits on the brokers and not here."""
        for partition, records in (await self._reader.fetch(timeout)).items():
            waiting = self._waiting[partition]
            waiting.extend(records)
            if len(waiting) >= self._buffer_records and partition not in self._paused:
                self._paused.add(partition)
                self._reader.pause(partition)

    async def _complete(self, max_records: int) -> None:
        """Until of each input, in order, all is here that was committed by now, or `max_records` are together."""
        last = max(number for number, partition in enumerate(self._inputs) if self._waiting[partition])
        if last == 0 and len(self._waiting[self._inputs[0]]) >= max_records:
            return
        asked = self._inputs[: last + 1]
        ends = await self._asker.ends(asked)
        together = 0
        for partition in asked:
            await self._await_up_to(partition, ends[partition], max_records - together)
            together += len(self._waiting[partition])
            if together >= max_records:
                return

    async def _await_up_to(self, partition: TopicPartition, end: int, wanted: int) -> None:
        while len(self._waiting[partition]) < wanted and self._reached.get(partition, 0) < end:
            self._reached[partition] = await self._reader.position(partition)
            if self._reached[partition] < end:
                self._resume(partition)
                await self._fetch(_LOOK_SECONDS)

    def _take(self, max_records: int) -> list[Record]:
        taken: list[Record] = []
        for partition in self._inputs:
            waiting = self._waiting[partition]
            while waiting and len(taken) < max_records:
                taken.append(waiting.popleft())
            if taken and taken[-1].topic == partition.topic:
                self._next[partition] = taken[-1].offset + 1
            if len(waiting) < self._buffer_records // 2:
                self._resume(partition)
            if len(taken) == max_records:
                break
        return taken

    def _resume(self, partition: TopicPartition) -> None:
        if partition in self._paused:
            self._paused.discard(partition)
            self._reader.resume(partition)


_PROGRESS_RECORDS = 1_000_000
"""Restoring says how far it is each time it has read so many."""

_log = structlog.get_logger(__name__)


class KafkaTask:
    """Opened by `async with`: it starts the producer, which ends whatever a former owner left open. What is read
    before that may be out of date, so nothing is."""

    def __init__(
        self,
        group: str,
        partition: int,
        inputs: Sequence[TopicPartition],
        asker: CommittedReader,
        bootstrap: str,
        settings: KafkaSettings,
        refused: RefusedTopics,
    ) -> None:
        self.partition = partition
        self.position: Position = {}
        """Where the caller was when it polled last; it is in the state by then. For lag displays."""
        self._name = f"{group}-{partition}"
        self._inputs = inputs
        self._asker = asker
        self._bootstrap = bootstrap
        self._settings = settings
        self._producer = TransactionalProducer(self._name, bootstrap, settings, refused)
        self._let_go = asyncio.Event()
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._producer.start()
        self._resources.push_async_callback(self._producer.close)
        try:
            reader = await self._resources.enter_async_context(self._reader("inputs"))
        except BaseException:
            await self._resources.aclose()
            raise
        self._ordered = OrderedInputs(reader, self._asker, self._inputs, self._settings.max_poll_buffer_records)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    def let_go(self) -> None:
        """The task is no longer ours: the next `poll` or `commit` raises TaskMoved, one under way may end."""
        self._let_go.set()

    async def restore(self, topics: Sequence[str]) -> AsyncIterator[list[Record]]:
        async with self._reader("restore") as reader:
            for topic in topics:
                partition = TopicPartition(topic, self.partition)
                if partition not in await reader.existing([topic]):
                    continue
                restored = 0
                async for records in scan(reader, await reader.beginnings([partition]), await reader.ends([partition])):
                    self._check_ours()
                    restored = self._progress(topic, restored, len(records))
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
            raise TaskMoved(f"task {self._name} belongs to another worker now")
        finally:
            leaving.cancel()
            polling.cancel()
            await asyncio.wait({polling, leaving})

    def has_waiting(self, topic: str, position: Position) -> bool:
        return self._ordered.has_waiting(topic)

    async def commit(self, outputs: Sequence[Output]) -> None:
        self._check_ours()
        await self._producer.commit(outputs)

    def _check_ours(self) -> None:
        if self._let_go.is_set():
            raise TaskMoved(f"task {self._name} belongs to another worker now")

    def _reader(self, purpose: str) -> CommittedReader:
        return CommittedReader(self._bootstrap, self._settings, f"{self._name}-{purpose}")

    def _progress(self, topic: str, before: int, more: int) -> int:
        if before // _PROGRESS_RECORDS != (before + more) // _PROGRESS_RECORDS:
            _log.info("task_restoring", task=self._name, topic=topic, records=before + more)
        return before + more
