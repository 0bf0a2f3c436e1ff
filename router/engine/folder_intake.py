"""Feeds in the files of a watched folder, several at a time, so that none waits for a large or slow one."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from router.engine.feed_activity import FeedMonitor
from router.engine.intake import Intake, attempt, ingest_chunks
from router.errors import UsageError, first_error
from router.feeds.watched_folder import DONE, FAILED, ReadyFile, WatchedFolder
from router.log.interface import Log

READ_AGAIN: Final = "it had been read before and has changed since, so it was read again from its start"
CHANGED_MEANWHILE: Final = "it changed while it was read, so it stays, to be read again from its start"

STAYED: Final = "stayed"
"""Outcome of a file that could not be moved, or has changed meanwhile."""

Report = Callable[[Path, Intake], None]
"""Called with the place of each file that was fed in."""


class FolderFigures(Collector):
    """Figures of a watched folder for Prometheus. None of them names a file."""

    def __init__(self, folder: WatchedFolder) -> None:
        self.registry = CollectorRegistry()
        self._folder = folder
        self._files = Counter("snp_feed_files", "Files taken in, by where they went.", ["to"], registry=self.registry)
        self._events = Counter("snp_feed_events", "Events taken in.", registry=self.registry)
        self._dead_letters = Counter("snp_feed_dead_letters", "Dead letters taken in.", registry=self.registry)
        for to in (DONE, FAILED, STAYED):
            self._files.labels(to)  # `rate` can't see the first increase of a series that begins with it
        self.registry.register(self)

    def count(self, place: Path, intake: Intake) -> None:
        """Count a file that was fed in and is at `place` now."""
        self._files.labels(place.parent.name if place.parent.name in (DONE, FAILED) else STAYED).inc()
        self._events.inc(intake.events)
        self._dead_letters.inc(intake.dead_letters)

    def collect(self) -> Iterator[Metric]:
        waiting = self._folder.waiting(time.monotonic())
        text = "1 if what waits in the folder is unknown: it can't be looked at."
        yield GaugeMetricFamily("snp_feed_folder_unknown", text, waiting is None)
        if waiting is not None:
            yield GaugeMetricFamily("snp_feed_files_waiting", "Files that are not fed in yet.", len(waiting))
            text = "Age of the oldest file that is not fed in yet; 0 without one."
            yield GaugeMetricFamily("snp_feed_oldest_file_seconds", text, max(waiting, default=0.0))


class SizeClass(NamedTuple):
    """Files that wait for each other only, the smallest first."""

    most_bytes: float
    at_a_time: int


SIZE_CLASSES: Final = (
    SizeClass(1 << 16, 6),
    SizeClass(1 << 20, 4),
    SizeClass(1 << 25, 2),
    SizeClass(float("inf"), 1),
)
"""Most messages of CBP's have a few kB, the longest 12 MiB. The worst 64 kB take about a second to read."""


async def ingest_folder(log: Log, folder: WatchedFolder, report: Report, monitor: FeedMonitor) -> None:
    """Feed in each completed file of the folder until cancelled, by the rules in force when it is read.

    A file with an unreadable part goes to `failed/`, though its readable parts are on the log. While the log fails or
    the disk is full, it waits and goes on by itself.
    """
    waiting: list[asyncio.PriorityQueue[ReadyFile]] = [asyncio.PriorityQueue() for _ in SIZE_CLASSES]
    feeder = _FolderFeeder(log, folder, report, monitor)
    try:
        async with asyncio.TaskGroup() as running:
            for queue, size_class in zip(waiting, SIZE_CLASSES, strict=True):
                for _ in range(size_class.at_a_time):
                    running.create_task(feeder.keep_feeding(queue))
            async for ready in folder.files():
                place = next(place for place, one in enumerate(SIZE_CLASSES) if ready.size <= one.most_bytes)
                waiting[place].put_nowait(ready)
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


class _FolderFeeder(NamedTuple):
    log: Log
    folder: WatchedFolder
    report: Report
    monitor: FeedMonitor

    async def keep_feeding(self, queue: asyncio.PriorityQueue[ReadyFile]) -> None:
        while True:
            await self._feed_in(await queue.get())

    async def _feed_in(self, ready: ReadyFile) -> None:
        chunks, source = self.folder.chunks(ready), str(ready.path)
        try:
            intake = await ingest_chunks(
                self.log, chunks, source, self.monitor.rules, monitor=self.monitor, keep_trying=True
            )
        except UsageError as error:
            intake = Intake(refused=[str(error)])
        if ready.is_again:
            intake.notes.append(READ_AGAIN)
        place = await attempt(partial(self._move, ready, intake))
        self.report(place, intake)

    async def _move(self, ready: ReadyFile, intake: Intake) -> Path:
        report = failure_report(intake) if intake.problems or intake.refused else None
        try:
            place = self.folder.move(ready, report)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            intake.notes.append(f"{ready.path} can't be moved and stays there: {error.strerror}")
            return self.folder.leave(ready)
        if place == ready.path and place.is_file():
            intake.notes.append(CHANGED_MEANWHILE)
        return place


def failure_report(intake: Intake) -> str:
    """The text of the report beside a failed file."""
    head = f"events {intake.events}, urgent {intake.urgent}, dead letters {intake.dead_letters}\n"
    more = intake.dead_letters - len(intake.problems)
    tail = [f"and {more} more: see `snp-router dead-letters list`"] if more > 0 else []
    return head + "".join(f"{line}\n" for line in (*intake.refused, *intake.problems, *tail, *intake.notes))
