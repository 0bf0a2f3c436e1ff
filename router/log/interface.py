"""Interface of a log, as the rest of the router sees it.

A log holds *topics* of ordered partitions. Feeds and commands `append` to it and `read` it; the router asks it for
*tasks*. A task owns partition *p* of every partitioned topic. It restores its state and position, polls records and
commits outputs. A commit is atomic: state, position and all other outputs are written together or not at all.

Every implementation gives these guarantees. One contract suite checks them (`tests/log/contract.py`):

* A record, once appended or committed, keeps its topic, partition and offset. Offsets of a partition only grow.
* Readers see the records of a partition in offset order, only committed ones, and never part of a commit.
* `commit` returns when everything is written, or raises and nobody will ever see any of it. If the outcome is in doubt
  it raises `TaskRetry`, and the restored position shows what happened.
* Two owners of one task can't both commit. The later owner wins; the earlier one gets `TaskMoved`.
* A compacted topic keeps at least the last record of each key. An empty value (None) deletes the key. A reader gets a
  record of every key, also if it is written again while the reader is on its way there.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from router.topics import TopicSpec

Headers = tuple[tuple[str, bytes], ...]

Position = Mapping[str, int]
"""For each input topic, the next offset the task will read of its partition (of partition 0 for `snp.registry`)."""

Place = tuple[str, int]
"""A topic and one of its partitions."""


class Output(NamedTuple):
    """A record to write. The log picks the partition from the key (`partition_of`)."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()
    timestamp: int | None = None
    """UTC milliseconds. None means now, by the log's clock. A migration keeps the time of the first write."""


class Record(NamedTuple):
    """A record as read."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: Headers
    timestamp: int
    """Time of writing by the log's clock, UTC milliseconds."""
    fault: str | None = None
    """Reason why the record can't be read. It stands for all from it to its batch's end if nothing of them can be; key
    and value are there if they could be read. Only another program writes such a record."""

    @property
    def place(self) -> str:
        """Where the record is, for people."""
        return f"{self.topic}, partition {self.partition}, offset {self.offset}"


class Finding(NamedTuple):
    """One difference between a log and what the router needs."""

    subject: str
    """A topic, a setting of the brokers, the brokers or a file."""
    found: str
    wanted: str
    mendable: bool = False
    """`mend` can correct it without touching a record."""
    blocking: bool = True
    """The router must not start. False where a right is missing to look: all may be well."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.found}; it must be {self.wanted}"


class Task(Protocol):
    """One partition's work, opened and closed by the log. One coroutine uses it at a time."""

    partition: int

    def restore(self, topics: Sequence[str]) -> AsyncIterator[list[Record]]:
        """Yield the live records of this task's partition of each compacted topic in `topics`, in batches.

        Each topic is read from its beginning to its end at the time of the call. Raises TaskMoved, TaskRetry.
        """
        ...

    async def poll(self, position: Position, max_records: int, timeout: float) -> list[Record]:
        """Read at most `max_records` at `position`. If there are none, wait up to `timeout` seconds for some.

        Waiting records come in the order of the topics given to `Log.work`: all of an earlier topic before any of a
        later one, each in offset order. A topic missing from `position` is read from its beginning. Raises InputLost
        if records at `position` were deleted before they were read, on each call until the position says where to go
        on. Raises TaskMoved, TaskRetry.
        """
        ...

    def has_waiting(self, topic: str, position: Position) -> bool:
        """Tell whether records wait at `position` of this input, without a request to the log.

        A new record may be seen late, but not never. Valid only after a first `poll`.
        """
        ...

    def passed(self, position: Position) -> Position:
        """Return the offset of every input that this task has come to: `position`, or behind it what is no record, such
        as the end of a transaction. Without a request to the log. Valid only after a first `poll`."""
        ...

    async def commit(self, outputs: Sequence[Output]) -> None:
        """Write all of `outputs`, or nothing.

        The position is one of them, a state record that the caller writes and restores: state and position can't
        differ. Raises DestinationMissing (nothing is written, the task stays usable), TaskMoved, TaskRetry,
        FatalLogError.
        """
        ...


class Log(Protocol):
    """The hot path of a log: tasks, and records written and read outside them. Every method may raise FatalLogError."""

    url: str

    async def append(self, outputs: Sequence[Output], *, atomic: bool = False) -> None:
        """Write records outside any task, in order per partition. They are durable on return.

        With `atomic`, readers see all of the records or none; all, once this returns. Without it, some may be written
        although the call raises TaskRetry; SQLite is always atomic. Raises DestinationMissing (nothing is written),
        TaskRetry.
        """
        ...

    def read(
        self,
        topics: Sequence[str],
        *,
        from_start: bool = True,
        until_end: bool = False,
        key: bytes | None = None,
        begin: Mapping[Place, int] | None = None,
        unread: list[str] | None = None,
    ) -> AsyncIterator[list[Record]]:
        """Yield batches of committed records of all partitions of `topics`, each partition in order.

        Reading begins at the first record or, without `from_start`, at the end. `begin` overrides this for the
        partitions in it; if an offset is deleted, reading begins at the first that is left. It goes on for ever, or
        with `until_end` to the end at the time of the call (of a compacted topic, sometimes a little further). `key`
        selects the records of one key (the log may use an index). While nothing is new, an empty batch comes now and
        then so that the caller can do other work. Partitions that can't be read in time are named in `unread`, each
        with the reason; without it TaskRetry is raised.
        """
        ...

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """Return a lower bound of the next record's offset for each partition. On Kafka, markers count too."""
        ...

    async def begin_offsets(self, topic: str) -> dict[int, int]:
        """Return the first offset that is left of each partition; the end's of an empty one."""
        ...

    async def offsets_at(self, topic: str, moment: int) -> dict[int, int]:
        """Return, for each partition, an offset before which nothing was written at `moment` (UTC milliseconds) or
        later: that of the first such record, or the end's. If the log's clock was set back by more than a day, records
        from before that may be passed over."""
        ...

    def assigned_tasks(self) -> frozenset[int]:
        """Return the tasks that `work` has for this process now, open or not; after it, those it had at its end."""
        ...

    async def work(
        self, inputs: Sequence[str], run: Callable[[Task], Awaitable[None]], *, group: str = "snp-router"
    ) -> None:
        """Run `run(task)` for every task that the group assigns to this process, all at the same time.

        `inputs` are the input topics in reading order. All have the same number of partitions, which is the number of
        tasks; only `snp.registry` has one partition, which every task reads. The call returns when every `run` has
        returned. If `run` raises TaskMoved, it is called again should the task come back. On TaskRetry the task is
        opened again and `run` called again, after a pause that grows. Any other exception ends the call, after all
        tasks are cancelled and closed. Cancellation closes all tasks within a bound.
        """
        ...


class LogAdministration(Protocol):
    """The administration of a log: its topics, settings and consumer groups. Methods raise as those of `Log`."""

    url: str
    makes_own_topics: bool
    """The router creates missing topics itself (embedded log). False: an operator does (`topics create`)."""

    async def check(self, specs: Iterable[TopicSpec]) -> list[Finding]:
        """Return everything that is wrong with the log, these topics and our rights, the gravest first."""
        ...

    async def advice(self) -> list[str]:
        """Return what protects the log and is not set, each with what to set. The router works without it."""
        ...

    async def mend(self, specs: Iterable[TopicSpec]) -> None:
        """Correct what can be corrected without touching a record: missing topics, compaction, retention."""
        ...

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        """Create missing topics. Existing ones stay as they are."""
        ...

    async def topics(self) -> dict[str, int]:
        """Return the number of partitions of every topic."""
        ...

    async def keeping_all(self, topics: Iterable[str]) -> set[str]:
        """Return those of `topics` from which the log itself deletes nothing. Left out: those with a retention or
        compaction, and those whose settings we may not see."""
        ...

    async def accepting(self, topics: Iterable[str]) -> set[str]:
        """Return those of `topics` that exist and take our records. They have one partition each. Writes no record."""
        ...

    async def committed(self, group: str, topics: Sequence[str]) -> dict[str, int] | None:
        """Return the offset that a consumer group committed of each of `topics`, which have one partition each.

        Members of the group may commit any offset: compare with `extents`. Topics that the group never committed are
        left out. None: this log keeps no consumer groups.
        """
        ...

    async def extents(self, topics: Sequence[str], *, decided: bool = False) -> dict[str, range]:
        """Return the offsets of each of `topics` that exists, which have one partition each: from the first record
        left to the next one written or, if `decided`, to the first one of an open transaction."""
        ...


class AdministeredLog(Log, LogAdministration, Protocol):
    """Both sides of a log, as `open_log` yields it."""


KEY_SEPARATOR: Final = b"\x1f"
"""Between the two parts of a key."""

RESERVED_KEY: Final = re.compile(rb"\x00[a-z]+:([0-9]+)")


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: CRC-32 modulo the number of partitions, on every log and in every process.

    A reserved key (`topics.POSITION_KEY`) names its partition, so that a task's position is in the task's own. Of a
    key in two parts only the first counts, so that all records under one index key are together.
    """
    if key[:1] == b"\x00" and (reserved := RESERVED_KEY.fullmatch(key)):
        return int(reserved[1]) % partitions
    return zlib.crc32(key.partition(KEY_SEPARATOR)[0]) % partitions
