"""The log as the rest of the router sees it.

A log holds *topics* of ordered partitions. Feeds and people `append` to it and `read` it; the router asks it for
*tasks*. A task owns partition *p* of every partitioned topic: it can `restore` its state and position, `poll` records
and `commit` outputs, which is atomic: all outputs, state and position together, or nothing.

Guarantees that every implementation gives, checked by one contract suite (`tests/log/contract.py`):

* a record, once appended or committed, keeps its topic, partition and offset; offsets of a partition only grow;
* of one partition, readers see records in offset order, and only committed ones, never part of a commit;
* `commit` either raises and wrote nothing that anyone will ever see, or returns and everything is there; where that is
  in doubt it raises `TaskRetry`, and the restored position tells the truth;
* two owners of one task can't both commit: the later owner wins, the earlier gets `TaskMoved`;
* a compacted topic keeps at least the last record of each key; an empty value (None) takes the key away.
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
    """A record to be written. The log picks the partition from the key (`partition_of`)."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()
    timestamp: int | None = None
    """None: now, by the log's clock. Else when it was written first, on another log. UTC milliseconds."""


class Record(NamedTuple):
    """A record that was read."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: Headers
    timestamp: int
    """When it was written. UTC milliseconds, the log's clock."""

    @property
    def place(self) -> str:
        """Where it lies, for people."""
        return f"{self.topic}, partition {self.partition}, offset {self.offset}"


class Finding(NamedTuple):
    """One thing of a log that is not as it has to be."""

    subject: str
    """A topic, a setting of the brokers, or the brokers."""
    found: str
    wanted: str
    mendable: bool = False
    """Can be set right without touching a record."""
    blocking: bool = True
    """The router must not start with it. Else it is only said: what we may not look at may well be right."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.found}; it has to be {self.wanted}"


class Task(Protocol):
    """One partition's worth of work. Used by one coroutine at a time; opened and closed by the log."""

    partition: int

    def restore(self, topics: Sequence[str]) -> AsyncIterator[list[Record]]:
        """The live records of this task's partition of each compacted topic in `topics`, in batches, each topic from
        its beginning to its end as of now. Raises `TaskMoved`, `TaskRetry`."""
        ...

    async def poll(self, position: Position, max_records: int, timeout: float) -> list[Record]:
        """What comes next at `position`, at most `max_records`, waiting up to `timeout` seconds if there is nothing.

        Of what is waiting, records come in the order of the input topics given to `Log.work`: all of an earlier topic
        before any of a later one, each in offset order. Empty if nothing came. A topic that `position` lacks is read
        from its beginning. Raises `TaskMoved`, `TaskRetry`.
        """
        ...

    def has_waiting(self, topic: str, position: Position) -> bool:
        """Whether something waits at `position` of this input, as far as is known without asking anyone: what was
        written may be seen late, but not never. Only after a first `poll`."""
        ...

    async def commit(self, outputs: Sequence[Output]) -> None:
        """Write all of `outputs`, or nothing. The position is one of them: a state record like any other, which the
        caller writes and restores, so that state and position can't come apart.

        Raises `DestinationMissing` (nothing written, task still good), `TaskMoved`, `TaskRetry`, `FatalLogError`.
        """
        ...


class Log(Protocol):
    """Opened and closed by `open_log`; every method may raise `FatalLogError`."""

    url: str
    makes_own_topics: bool
    """Whether a router makes missing topics by itself: an embedded log. Else an operator does (`topics create`)."""

    async def check(self, specs: Iterable[TopicSpec]) -> list[Finding]:
        """All that is wrong with the log, with these topics and with our rights, the gravest first."""
        ...

    async def mend(self, specs: Iterable[TopicSpec]) -> None:
        """Set right what can be without touching a record: missing topics, compaction, retention."""
        ...

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        """Make what is missing; leave alone what is there."""
        ...

    async def topics(self) -> dict[str, int]:
        """Every topic with its number of partitions."""
        ...

    async def append(self, outputs: Sequence[Output]) -> None:
        """Write records outside any task, in order per partition. On return they are durable. The whole call is atomic
        on SQLite; on Kafka only if `atomic` topics such as `snp.registry` are concerned (see `append_atomic`)."""
        ...

    async def append_atomic(self, outputs: Sequence[Output]) -> None:
        """As `append`, but readers see all of it or nothing: an import of parties and sailings."""
        ...

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """For each partition, the offset that the next record will get at least (on Kafka, markers count too)."""
        ...

    def read(
        self,
        topics: Sequence[str],
        *,
        from_start: bool = True,
        until_end: bool = False,
        key: bytes | None = None,
        begin: Mapping[Place, int] | None = None,
    ) -> AsyncIterator[list[Record]]:
        """Batches of committed records of all partitions of `topics`, per partition in order, from the beginning or
        from now, until the end as it was when the call began, or for ever. With `key`: only records of that key (the
        log may use an index). With `begin`: of the partitions in it, from those offsets on (from the first that is left
        where that one is gone). Empty batches come now and then while nothing is new, so that a caller can look up."""
        ...

    async def committed(self, group: str, topics: Sequence[str]) -> dict[str, int] | None:
        """What a consumer group has read: for each of `topics` (of one partition) the next offset it will read. Topics
        of which it never committed anything are left out. None: this log keeps no consumer groups."""
        ...

    async def work(
        self,
        inputs: Sequence[str],
        run: Callable[[Task], Awaitable[None]],
        *,
        group: str = "snp-router",
    ) -> None:
        """Run `run(task)` for every task that is ours, at the same time, for as long as each is ours.

        `inputs` are the input topics in reading order; all but `snp.registry` (one partition, read by every task) have
        the same number of partitions, which is the number of tasks. `run` returns when it has nothing more to do; the
        call returns when every `run` has returned. If `run` raises `TaskMoved` it is let go and called again should the
        task come back; on `TaskRetry` the task is opened anew and `run` called again, after a pause that grows; any
        other exception ends the call with it, the other tasks cancelled and closed first. On cancellation all tasks
        are closed within a bound.
        """
        ...

    async def close(self) -> None: ...


KEY_SEPARATOR: Final = b"\x1f"
"""Between the two parts of a key."""

RESERVED_KEY: Final = re.compile(rb"\x00[a-z]+:([0-9]+)")


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: CRC-32 modulo the number of partitions, the same on every log and in every process.

    A reserved key (`topics.POSITION_KEY`) names its partition itself: a task's position must lie in the task's own.
    Of a key in two parts only the first counts: all that stands under one index key lies together.
    """
    if key[:1] == b"\x00" and (reserved := RESERVED_KEY.fullmatch(key)):
        return int(reserved[1]) % partitions
    return zlib.crc32(key.partition(KEY_SEPARATOR)[0]) % partitions
