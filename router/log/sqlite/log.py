"""The log on one SQLite file: opens the connections, hands out tasks."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import structlog

from router import topics as names
from router.clock import growing_pauses
from router.errors import DestinationMissing, FatalLogError, TaskMoved, TaskRetry, UsageError
from router.log.interface import Finding, Output, Place, Record, Task, partition_of
from router.log.sqlite import store
from router.log.sqlite.connection import Connection, SqliteSettings, Watch, transaction
from router.log.sqlite.file import prepare
from router.log.sqlite.store import Catalogue, Span, Topic, damages, refuse_losses
from router.log.sqlite.task import Lease, SqliteTask
from router.topics import TopicSpec

log = structlog.get_logger()

READ_BATCH: Final = 2000
LOOK_UP_SECONDS: Final = 1.0
"""So often a reader that waits gets an empty batch."""

Run = Callable[[Task], Awaitable[None]]


@asynccontextmanager
async def open_sqlite_log(path: str, settings: SqliteSettings | None = None) -> AsyncIterator[SqliteLog]:
    """Open the file, made if it is not there. Raises FatalLogError, TaskRetry."""
    settings = settings or SqliteSettings()
    await asyncio.to_thread(prepare, path, settings)
    opened = SqliteLog(path, settings)
    try:
        yield opened
    finally:
        await opened.close()


class SqliteLog:
    """See `router.log.interface.Log`. Made by `open_sqlite_log`.

    Three connections, each with its thread: one writes, one reads for the tasks, one for everyone else, so
    that a long search holds up nobody's work.
    """

    makes_own_topics = True

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        self.url = f"sqlite:///{path}"
        self._settings = settings
        self._catalogue = Catalogue()
        self._writer, self._task_reader, self._reader = (Connection(path, settings) for _ in range(3))
        self._watch = Watch(path, settings)

    async def check(self, specs: Iterable[TopicSpec]) -> list[Finding]:
        """Reads the whole file."""
        path = self._reader.path
        damaged = await self._reader.run(lambda connection: list(damages(connection)))
        findings = [Finding(path, f"damaged, {damage}", "whole: restore a backup") for damage in damaged]
        found = await self.topics()
        for spec in specs:
            if spec.name not in found:
                findings.append(Finding(spec.name, "missing", "there", mendable=True))
            elif found[spec.name] != spec.partitions:
                findings.append(Finding(spec.name, f"{found[spec.name]} partitions", f"{spec.partitions}: a new file"))
        return findings

    async def mend(self, specs: Iterable[TopicSpec]) -> None:
        await self.create_topics(specs)

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        wanted = list(specs)

        def create(connection: sqlite3.Connection) -> None:
            with transaction(connection):  # of its own: what is remembered of topics must not be taken back
                store.create_topics(connection, wanted)

        await self._writer.run(create)

    async def topics(self) -> dict[str, int]:
        found = await self._reader.run(self._catalogue.all)
        return {topic.name: topic.partitions for topic in found}

    async def append(self, outputs: Sequence[Output], *, atomic: bool = False) -> None:
        """Always atomic: the call is one transaction. Raises DestinationMissing, TaskRetry, FatalLogError."""

        def write(connection: sqlite3.Connection) -> None:
            destinations = self._catalogue.find(connection, (output.topic for output in outputs))
            store.write(connection, destinations, outputs)

        await self._writer.commit(write)
        self._watch.tell()

    async def end_offsets(self, topic: str) -> dict[int, int]:
        (found,) = await self._find([topic])
        return await self._reader.run(lambda connection: store.end_offsets(connection, found))

    async def read(
        self,
        topics: Sequence[str],
        *,
        from_start: bool = True,
        until_end: bool = False,
        key: bytes | None = None,
        begin: Mapping[Place, int] | None = None,
    ) -> AsyncIterator[list[Record]]:
        spans = await self._reader_spans(topics, key)
        if from_start:
            spans = [span._replace(start=0) for span in spans]
            if key is None:
                await self._reader.run(partial(_refuse_losses, spans=spans))
        if begin:
            spans = [span._replace(start=begin.get((span.topic.name, span.partition), span.start)) for span in spans]
        while True:
            changed = self._watch.next_change()
            if not until_end:
                spans = await self._extended(spans)
            waiting = [span for span in spans if span.start < span.end]
            if waiting:
                records, spans = await self._reader.run(partial(_advance, spans=spans, key=key))
                if records:
                    yield records
            elif until_end:
                return
            elif not await _happens(changed, LOOK_UP_SECONDS):
                yield []

    async def committed(self, group: str, topics: Sequence[str]) -> None:
        return None

    async def work(self, inputs: Sequence[str], run: Run, *, group: str = "snp-router") -> None:
        partitions = await self._partitions_of(inputs)
        lease = Lease(self._writer, self._catalogue, self._settings, group)
        try:
            async with asyncio.TaskGroup() as running:
                keeping = running.create_task(lease.keep())
                async with asyncio.TaskGroup() as tasks:
                    for partition in range(partitions):
                        tasks.create_task(self._keep_running(partition, inputs, run, lease))
                keeping.cancel()
        except BaseExceptionGroup as group_of_errors:
            raise _first(group_of_errors) from None

    async def close(self) -> None:
        await self._watch.close()
        for connection in (self._task_reader, self._reader, self._writer):
            await connection.close()

    async def _keep_running(self, partition: int, inputs: Sequence[str], run: Run, lease: Lease) -> None:
        first, longest = self._settings.retry_pause_seconds, self._settings.longest_retry_pause_seconds
        pauses = growing_pauses(first, longest)
        while True:
            began = time.monotonic()
            try:
                return await self._run_once(partition, inputs, run, lease)
            except TaskMoved as error:
                log.info("task_closed", task=partition, outcome="TaskMoved", reason=str(error))
            except TaskRetry as error:
                log.warning("task_closed", task=partition, outcome="TaskRetry", reason=str(error))
            if time.monotonic() - began > longest:  # It went well for a while: begin with a short pause again.
                pauses = growing_pauses(first, longest)
            await asyncio.sleep(next(pauses))

    async def _run_once(self, partition: int, inputs: Sequence[str], run: Run, lease: Lease) -> None:
        owner = await lease.held()
        task = SqliteTask(
            partition, inputs, lease, owner,
            writer=self._writer, reader=self._task_reader, catalogue=self._catalogue, watch=self._watch,
        )  # fmt: skip
        try:
            await task.open()
            await run(task)
        finally:
            task.close()

    async def _partitions_of(self, inputs: Sequence[str]) -> int:
        try:
            found = await self._find(inputs)
        except UsageError as error:
            raise FatalLogError(str(error)) from error
        counts = {topic.partitions for topic in found if topic.name != names.REGISTRY}
        if len(counts) > 1:
            counted = ", ".join(f"{topic.name} {topic.partitions}" for topic in found)
            raise FatalLogError(f"{self.url}: inputs must have the same number of partitions, but: {counted}")
        return counts.pop() if counts else 1

    async def _find(self, topics: Sequence[str]) -> list[Topic]:
        try:
            found = await self._reader.run(lambda connection: self._catalogue.find(connection, topics))
        except DestinationMissing as error:
            missing = ", ".join(error.topics)
            raise UsageError(f"{self.url} has no topic {missing}. Make the topics first") from error
        return list(found.values())

    async def _reader_spans(self, topics: Sequence[str], key: bytes | None) -> list[Span]:
        """From now to now."""
        found = await self._find(topics)
        ends = await self._reader.run(lambda c: [store.end_offsets(c, topic) for topic in found])
        return [
            Span(topic, partition, end, end)
            for topic, offsets in zip(found, ends, strict=True)
            for partition, end in offsets.items()
            if key is None or partition == partition_of(key, topic.partitions)
        ]

    async def _extended(self, spans: list[Span]) -> list[Span]:
        """The spans with their ends as they are now."""
        topics = {span.topic for span in spans}
        ends = await self._reader.run(lambda c: {topic: store.end_offsets(c, topic) for topic in topics})
        return [span._replace(end=ends[span.topic][span.partition]) for span in spans]


def _refuse_losses(connection: sqlite3.Connection, spans: Iterable[Span]) -> None:
    for span in spans:
        refuse_losses(connection, span.topic, span.partition)


def _advance(connection: sqlite3.Connection, spans: list[Span], key: bytes | None) -> tuple[list[Record], list[Span]]:
    """The next records of all spans, and what is left of the spans. A span that filled the batch goes to the
    back of the queue, so that a busy partition can't keep the others from being read."""
    records: list[Record] = []
    for index, span in enumerate(spans):
        if span.start < span.end:
            found = store.read(connection, span, READ_BATCH - len(records), key=key)
            records += found
            if len(records) == READ_BATCH:
                rest = span._replace(start=found[-1].offset + 1)
                done = [done._replace(start=done.end) for done in spans[:index]]
                return records, [*spans[index + 1 :], *done, rest]
    return records, [span._replace(start=span.end) for span in spans]


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for would lose a cancellation that comes with the event
            return await event.wait()
    return False


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that is not a group."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
