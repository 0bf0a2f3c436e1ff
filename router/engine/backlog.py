"""The backlog: the order in which tasks work it off in one event loop, and its size.

1. Tasks take turns of ten records, first come first served: no task waits for another's whole batch, and commits
   proceed between the turns.
2. Urgent records are polled first, and a batch that begins with them is committed before its other records are decided.
3. A transaction that has lasted half a second is cut short when its task has urgent records waiting, and the rest is
   polled again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from router import topics
from router.log.interface import Log, Place, Record
from router.task.registry_duties import POSITION, Position

TURN_RECORDS: Final = 10
"""Records decided, or bills walked, in one turn. An open transaction holds back its readers, and its commit needs some
twenty iterations of the event loop."""

UNCUT_SECONDS = 0.5
"""A transaction is not cut before. Each cut costs two transactions and polls the rest again. Cutting after 0.25 s took
a fifth more CPU for a backlog with a live do-not-load for each hundred of its events."""

MOST_COUNTED: Final = 1000
"""Offsets behind a task's position whose records are counted one by one."""

READ_FIRST: Final = (topics.REGISTRY, topics.URGENT)
"""The inputs that are polled before all others."""


class Batch(NamedTuple):
    """The result of one poll."""

    records: list[Record]
    polled_at: float
    """By `time.perf_counter`."""
    begun_at: float | None = None
    """The begin of the poll, by `time.monotonic`; None if not all inputs were polled."""

    def is_cut_before(self, number: int, *, urgent_waits: bool) -> bool:
        """Returns whether to commit and poll again now, before the record at `number` is decided."""
        if not 0 < number < len(self.records) - TURN_RECORDS or self.records[number].topic in READ_FIRST:
            return False
        begins_with = next(record.topic for record in self.records if record.topic != topics.REGISTRY)
        return begins_with == topics.URGENT or self.is_cut(urgent_waits=urgent_waits)

    def is_cut(self, *, urgent_waits: bool) -> bool:
        return urgent_waits and time.perf_counter() - self.polled_at >= UNCUT_SECONDS


def unread_part(extent: range, position: int) -> range:
    """Offsets of a topic that are not read yet, by the next one to read. All that are there, if `position` lies behind
    the end: the topic was made again."""
    return range(extent.start if position > extent.stop else max(position, extent.start), extent.stop)


async def unrouted(log: Log) -> int:
    """The number of input records that no run has routed yet. Of a long backlog it is an upper bound, by offsets."""
    found = await asyncio.gather(*map(log.end_offsets, topics.FED))
    ends = dict(zip(topics.FED, found, strict=True))
    partitions = ends[topics.DISPOSITIONS]
    positions = await asyncio.gather(*(read_position(log, partition) for partition in partitions))
    behind: dict[Place, int] = {}
    for partition, position in zip(partitions, positions, strict=True):
        read = position.offsets if position is not None else {}
        for topic in topics.FED:
            if ends[topic].get(partition, 0) > read.get(topic, 0):
                behind[topic, partition] = read.get(topic, 0)
    offsets = sum(ends[topic][partition] - offset for (topic, partition), offset in behind.items())
    return await _records_behind(log, behind) if 0 < offsets <= MOST_COUNTED else offsets


async def _records_behind(log: Log, behind: Mapping[Place, int]) -> int:
    """The number of records from these offsets on: some offsets are markers of transactions. What was deleted before it
    was read counts by its offsets."""
    names = sorted({topic for topic, _ in behind})
    begins = dict(zip(names, await asyncio.gather(*map(log.begin_offsets, names)), strict=True))
    lost = sum(max(0, begins[topic][partition] - offset) for (topic, partition), offset in behind.items() if offset)
    batches = log.read(names, from_start=False, until_end=True, begin=behind)
    return lost + sum([len(batch) async for batch in batches])


async def read_position(log: Log, task: int) -> Position | None:
    """A task's position on the log; None if it never committed one."""
    position = None
    async for batch in log.read([topics.BILLS], until_end=True, key=topics.position_key(task)):
        for record in batch:
            if record.value is not None:
                position = POSITION.decode(record.value)
    return position


class Idleness:
    """The end of `run --until-idle`: all our tasks have polled in vain since one last had work, and the tasks of other
    routers have none left. A router that died keeps its tasks until its session ends."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tasks: set[int] = set()
        self._idle: set[int] = set()
        self._nothing_elsewhere = False

    def opened(self, task: int) -> None:
        self._tasks.add(task)
        self._idle.clear()

    def closed(self, task: int) -> None:
        self._tasks.discard(task)
        self._idle.discard(task)

    def interrupted(self) -> None:
        """A task found work, or committed outputs that may be work for the others."""
        self._idle.clear()

    async def is_reached(self, task: int) -> bool:
        """Note that `task` polled in vain."""
        self._idle.add(task)
        if self._idle != self._tasks:
            return False
        if not self._nothing_elsewhere:
            partitions = len(await self._log.end_offsets(topics.DISPOSITIONS))
            self._nothing_elsewhere = len(self._tasks) == partitions or await unrouted(self._log) == 0
        return self._nothing_elsewhere
