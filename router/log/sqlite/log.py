"""The log on one SQLite file: opens the connections, reads and appends, and runs tasks while it holds the lease."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog

from router import topics as names
from router.background import background
from router.clock import growing_pauses, now_milliseconds
from router.errors import DestinationMissing, FatalLogError, TaskMoved, TaskRetry, UsageError, first_error
from router.log.interface import Finding, Output, Place, Record, Task, partition_of
from router.log.sqlite import store
from router.log.sqlite.connection import ChangeWatch, Connection, SqliteSettings, happens
from router.log.sqlite.file import prepare
from router.log.sqlite.store import Span, Topic
from router.log.sqlite.task import Lease, SqliteTask
from router.topics import TopicSpec

log = structlog.get_logger()

READ_RECORDS: Final = 2000
IDLE_SECONDS: Final = 1.0
"""Time between the empty batches of a reader that waits."""
SWEEP_SECONDS: Final = 60.0


@asynccontextmanager
async def open_sqlite_log(path: str, settings: SqliteSettings | None = None) -> AsyncIterator[SqliteLog]:
    """Open the file, and create it if it is missing. Raises FatalLogError, TaskRetry."""
    settings = settings or SqliteSettings()
    await asyncio.to_thread(prepare, path, settings)
    opened = SqliteLog(path, settings)
    try:
        yield opened
    finally:
        await opened.close()


class SqliteLog:
    """See `router.log.interface`. Made by `open_sqlite_log`. Three connections, each in its thread: one writes, one
    reads for the tasks, one for everyone else. So a long search delays no task."""

    makes_own_topics = True

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        self.url = f"sqlite:///{path}"
        self._settings = settings
        self._writer, self._task_reader, self._reader = (Connection(path, settings) for _ in range(3))
        self._watch = ChangeWatch(path, settings)
        self._lease: Lease | None = None
        self._tasks: frozenset[int] = frozenset()

    async def close(self) -> None:
        await self._watch.close()
        for connection in (self._task_reader, self._reader, self._writer):
            await connection.close()

    # Administration

    async def check(self, specs: Iterable[TopicSpec]) -> list[Finding]:
        """Read the whole file, besides what the interface promises."""
        path = self._reader.path
        damages = await self._reader.run(lambda connection: list(store.damages(connection)))
        findings = [Finding(path, f"damaged, {damage}", "intact: restore a backup") for damage in damages]
        found = await self.topics()
        for spec in specs:
            if spec.name not in found:
                findings.append(Finding(spec.name, "missing", "there", mendable=True))
            elif found[spec.name] != spec.partitions:
                wanted = f"{spec.partitions}: begin with a new file, since a topic keeps its partitions"
                findings.append(Finding(spec.name, f"{found[spec.name]} partitions", wanted))
        return findings

    async def advice(self) -> list[str]:
        return []

    async def mend(self, specs: Iterable[TopicSpec]) -> None:
        await self.create_topics(specs)

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        await self._writer.commit(partial(store.create_topics, specs=list(specs)))

    async def topics(self) -> dict[str, int]:
        return {topic.name: topic.partitions for topic in await self._reader.run(store.all_topics)}

    async def keeping_all(self, topics: Iterable[str]) -> set[str]:
        found = await self._reader.run(store.all_topics)
        return {topic.name for topic in found if topic.has_no_gaps} & set(topics)

    async def accepting(self, topics: Iterable[str]) -> set[str]:
        return (await self.topics()).keys() & set(topics)

    async def committed(self, group: str, topics: Sequence[str]) -> None:
        return None

    async def extents(self, topics: Sequence[str], *, decided: bool = False) -> dict[str, range]:
        return await self._reader.run(partial(store.extents, names=topics))

    # The hot path

    async def append(self, outputs: Sequence[Output], *, atomic: bool = False) -> None:
        """See `Log.append`. Always atomic: the call is one transaction."""
        await self._writer.commit(partial(store.write, outputs=outputs))
        self._watch.notify()

    async def end_offsets(self, topic: str) -> dict[int, int]:
        (found,) = await self._find([topic])
        return await self._reader.run(lambda connection: store.end_offsets(connection, found))

    async def begin_offsets(self, topic: str) -> dict[int, int]:
        (found,) = await self._find([topic])
        return await self._reader.run(lambda connection: store.begin_offsets(connection, found))

    async def offsets_at(self, topic: str, moment: int) -> dict[int, int]:
        (found,) = await self._find([topic])
        return await self._reader.run(lambda connection: store.offsets_at(connection, found, moment))

    async def read(
        self,
        topics: Sequence[str],
        *,
        from_start: bool = True,
        until_end: bool = False,
        key: bytes | None = None,
        begin: Mapping[Place, int] | None = None,
        unread: list[str] | None = None,  # a file can be read whole or not at all
    ) -> AsyncIterator[list[Record]]:
        spans = await self._reader.run(partial(_spans, topics=await self._find(topics), key=key))
        if from_start:
            spans = [span._replace(start=0) for span in spans]
            if key is None:
                await self._reader.run(partial(_refuse_losses, spans=spans))
        if begin:
            spans = [span._replace(start=begin.get((span.topic.name, span.partition), span.start)) for span in spans]
        while True:
            changed = self._watch.next_change()
            records, spans = await self._reader.run(partial(_advance, spans=spans, key=key, extend=not until_end))
            if records:
                yield records
            elif until_end:
                if replacing := await self._reader.run(partial(_written_since, spans=spans, key=key)):
                    yield replacing
                return
            elif not await happens(changed, IDLE_SECONDS):
                yield []

    def assigned_tasks(self) -> frozenset[int]:
        return self._tasks if self._lease is not None and self._lease.is_held else frozenset()

    async def work(
        self, inputs: Sequence[str], run: Callable[[Task], Awaitable[None]], *, group: str = "snp-router"
    ) -> None:
        partitions = await self._partitions_of(inputs)
        lease = self._lease = Lease(self._writer, self._settings, group)
        self._tasks = frozenset(range(partitions))
        try:
            async with asyncio.TaskGroup() as running:
                keeping = running.create_task(lease.keep())
                sweeping = background("sweeping the file", partial(self._keep_sweeping, lease))
                async with sweeping, asyncio.TaskGroup() as tasks:
                    for partition in range(partitions):
                        tasks.create_task(self._keep_running(partition, inputs, run, lease))
                keeping.cancel()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _keep_sweeping(self, lease: Lease) -> None:
        while True:
            await lease.held()
            await self._writer.commit(
                lambda connection: store.sweep(connection, store.all_topics(connection), now_milliseconds())
            )
            await asyncio.sleep(SWEEP_SECONDS)

    async def _keep_running(
        self, partition: int, inputs: Sequence[str], run: Callable[[Task], Awaitable[None]], lease: Lease
    ) -> None:
        first, longest = self._settings.retry_pause_seconds, self._settings.longest_retry_pause_seconds
        pauses = growing_pauses(first, longest)
        while True:
            began = time.monotonic()
            task = SqliteTask(
                partition, inputs, lease, await lease.held(),
                writer=self._writer, reader=self._task_reader, watch=self._watch,
            )  # fmt: skip
            try:
                return await run(task)
            except TaskMoved as error:
                log.info("task_closed", task=partition, outcome="TaskMoved", reason=str(error))
            except TaskRetry as error:
                log.warning("task_closed", task=partition, outcome="TaskRetry", reason=str(error))
            finally:
                task.close()
            if time.monotonic() - began > longest:  # It ran well for a while, so begin with a short pause again.
                pauses = growing_pauses(first, longest)
            await asyncio.sleep(next(pauses))

    async def _partitions_of(self, inputs: Sequence[str]) -> int:
        try:
            found = await self._find(inputs)
        except UsageError as error:
            raise FatalLogError(str(error)) from error
        counts = {topic.partitions for topic in found if topic.name != names.REGISTRY}
        if len(counts) > 1:
            counted = ", ".join(f"{topic.name} has {topic.partitions}" for topic in found)
            raise FatalLogError(f"{self.url}: inputs must have the same number of partitions, but {counted}")
        return counts.pop() if counts else 1

    async def _find(self, topics: Sequence[str]) -> list[Topic]:
        try:
            found = await self._reader.run(partial(store.find_topics, names=topics))
        except DestinationMissing as error:
            missing = ", ".join(error.topics)
            raise UsageError(f"{self.url} has no topic {missing}: `snp-router topics create` makes it") from error
        return list(found.values())


def _spans(connection: sqlite3.Connection, topics: Sequence[Topic], key: bytes | None) -> list[Span]:
    """Return an empty span at the end of each partition, or of the key's partition only."""
    return [
        Span(topic, partition, end, end)
        for topic in topics
        for partition, end in store.end_offsets(connection, topic).items()
        if key is None or partition == partition_of(key, topic.partitions)
    ]


def _refuse_losses(connection: sqlite3.Connection, spans: Iterable[Span]) -> None:
    for span in spans:
        store.refuse_losses(connection, span.topic, span.partition)


def _advance(
    connection: sqlite3.Connection, spans: list[Span], key: bytes | None, extend: bool
) -> tuple[list[Record], list[Span]]:
    """Return the next records of all spans, and the rest of the spans. `extend` moves their ends to the current ones.
    A span that fills the batch goes to the back of the queue, so that a busy partition does not delay the others."""
    if extend:
        ends = store.ends_of(connection, [span.place for span in spans])
        spans = [span._replace(end=ends[span.place]) for span in spans]
    records: list[Record] = []
    for index, span in enumerate(spans):
        if span.start < span.end:
            records += store.read(connection, span, READ_RECORDS - len(records), key=key)
            if len(records) == READ_RECORDS:
                rest = span._replace(start=records[-1].offset + 1)
                done = [done._replace(start=done.end) for done in spans[:index]]
                return records, [*spans[index + 1 :], *done, rest]
    return records, [span._replace(start=max(span.start, span.end)) for span in spans]


def _written_since(connection: sqlite3.Connection, spans: Iterable[Span], key: bytes | None) -> list[Record]:
    """Return what was written to compacted topics after the spans' ends. It may have replaced records before they were
    read; without it their keys would seem deleted. One batch, so that nothing more is replaced meanwhile."""
    compacted = (span._replace(end=store.END_OF_TIME) for span in spans if span.topic.compacted)
    return [record for span in compacted for record in store.read(connection, span, store.END_OF_TIME, key=key)]
