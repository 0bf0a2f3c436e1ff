"""Copies every record of a SQLite log to Kafka, when an installation has outgrown its file.

A record keeps its key, value, headers, partition and time. A header holds its offset in the file, so that an
interrupted copy continues behind the last record that arrived. Positions come last, translated: on Kafka transaction
markers have offsets too, and the file had dropped records of compacted topics. The file is marked, and positions are
written, only after everything has been read back and compared. Until then the file is the log, from then on Kafka is.

Entries of `snp.timeline` are not translated: they name input records by their offsets in the file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Final, NamedTuple

from router import topics
from router.errors import FatalLogError, UsageError
from router.log.interface import Output, Place, Record, partition_of
from router.log.kafka import KafkaLog
from router.log.sqlite.file import MigrationSource
from router.log.sqlite.store import Topic
from router.model.eastern import DAY
from router.task.registry_duties import POSITION, Position
from router.topics import TopicSpec, position_key

MOVED_FROM: Final = "moved-from"
"""Header of a copied record: its offset in the file, in digits."""
TRANSACTIONAL_ID: Final = "snp-router-move"
"""The same for all migrations to these brokers: of two at a time the later one wins."""
TRANSACTION_BYTES: Final = 8_000_000

Report = Callable[[str, int, int], None]
"""Called with the step, `copying` or `comparing`, the number of records done in it and that of all to do."""


def no_report(step: str, done: int, total: int) -> None:
    """The report of a migration that nobody watches."""


class Copied:
    """The copied records in one partition of the target."""

    def __init__(self) -> None:
        self.records = 0
        self.last = -1
        """Offset, in the file, of the last one."""
        self.next_offset = 0
        """On the target, behind the last one."""
        self._offsets: list[tuple[int, int]] = []
        """Offsets of each record that is no input: in the file, and on the target."""
        self._hash = sha256()

    def add(self, record: Record) -> None:
        """Add a record to the digest, with its time."""
        self._hash.update(repr((record.key, record.value, tuple(record.headers), record.timestamp)).encode())

    def place(self, offset: int, on_target: int, *, keep: bool) -> None:
        """Note a record's offset in the file and on the target. `keep` it for `translated`."""
        self.records += 1
        self.last, self.next_offset = offset, on_target + 1
        if keep:
            self._offsets.append((offset, on_target))

    def translated(self, offset: int) -> int:
        """The offset on the target of the first record at or behind this one of the file."""
        index = bisect_left(self._offsets, (offset, 0))
        return self._offsets[index][1] if index < len(self._offsets) else self.next_offset

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class Moved(NamedTuple):
    records: int
    partitions: int
    already: bool = False
    """An earlier call completed the migration."""


async def move(source: MigrationSource, target: KafkaLog, now: int, report: Report = no_report) -> Moved:
    """Copy the file's log to the target. After an interruption, call it again: it continues.

    Raises UsageError if the file is not idle, or the target holds records from elsewhere. Raises FatalLogError if the
    target's topics are not as required, or the copy differs from the file.
    """
    migration = _Migration(source, target, await source.topics(), now, _Progress(report, await source.count()))
    if source.moved_to is not None and await migration.is_done():
        return Moved(0, migration.partitions, already=True)
    positions = await migration.positions()
    await migration.check_idle(positions)
    await migration.make_topics()
    async with target.producer(TRANSACTIONAL_ID) as writer:
        with migration.progress.step("copying"):
            records = await migration.copy(writer.commit)
        with migration.progress.step("comparing"):
            copied = await migration.compare()
        if source.moved_to is None:
            await source.mark(target.url)
        await writer.commit([migration.translated(task, position, copied) for task, position in positions.items()])
    return Moved(records, migration.partitions)


class _Progress:
    """Counts the records of each step for a report."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done = report, total, 0
        self._step = ""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step that is over once the block is."""
        self._step, self._done = name, 0
        self.add(0)
        yield
        self.add(self._total - self._done)

    def add(self, count: int) -> None:
        self._done += count
        self._report(self._step, self._done, self._total)


class _Migration:
    def __init__(
        self, source: MigrationSource, target: KafkaLog, found: list[Topic], now: int, progress: _Progress
    ) -> None:
        self._source = source
        self._target = target
        self._now = now
        self.progress = progress
        self._topics = {topic.name: topic for topic in found}
        if topics.BILLS not in self._topics:
            raise UsageError(f"{source.path} holds no log to move")
        if source.moved_to not in (None, target.url):
            raise UsageError(f"{source.path} was moved to {source.moved_to} before, not to {target.url}")
        self.partitions = self._topics[topics.BILLS].partitions

    async def is_done(self) -> bool:
        """Positions are written last."""
        if topics.BILLS not in await self._target.topics():
            return False
        for task in range(self.partitions):
            batches = self._target.read([topics.BILLS], until_end=True, key=position_key(task))
            if not [record async for batch in batches for record in batch]:
                return False
        return True

    async def positions(self) -> dict[int, Position]:
        """By task, as in the file."""
        found = {}
        for task in range(self.partitions):
            async for batch in self._source.records(self._topics[topics.BILLS], task):
                for record in batch:
                    if record.key == position_key(task) and record.value is not None:
                        found[task] = POSITION.decode(record.value)
        return found

    async def check_idle(self, positions: Mapping[int, Position]) -> None:
        """Raises UsageError unless every input record is routed and no walk is under way."""
        waiting = 0
        for name in topics.INPUTS:
            ends = await self._source.ends(self._topics[name])
            for task in range(self.partitions):
                read = positions[task].offsets.get(name, 0) if task in positions else 0
                waiting += ends[self._partition(name, task)] - read
        walking = any(one.walk_cursor is not None or one.sweep_cursor is not None for one in positions.values())
        if waiting or walking:
            what = f"input records not routed yet: {waiting}" if waiting else "its bills are being looked at again"
            raise UsageError(
                f"{self._source.path} is not idle ({what}). Run `snp-router run --until-idle` on it, then move it"
            )

    async def make_topics(self) -> None:
        """Create missing topics. Raises FatalLogError if an existing one has, say, another retention."""
        specs = [TopicSpec(one.name, one.partitions, one.compacted, one.retention_days) for one in self._in_order()]
        await self._target.create_topics(specs)
        if blocking := [str(finding) for finding in await self._target.check(specs) if finding.blocking]:
            raise FatalLogError("\n  ".join([f"{self._target.url} is not as the router needs it:", *blocking]))

    async def copy(self, commit: Callable[[list[Output]], Awaitable[None]]) -> int:
        """Copy all records that are not on the target, the state last. Returns the number of records copied.

        All topics are looked at before the first record is copied: a target in use is refused whole.
        """
        total = 0
        for topic, copied in [(topic, await self._copied(topic)) for topic in self._in_order()]:
            self.progress.add(sum(one.records for one in copied.values()))
            for number in range(topic.partitions):
                begin = copied.get((topic.name, number), Copied()).last + 1
                async for records in _transactions(self._records(topic, number, begin)):
                    await commit([_copy(record, topic) for record in records])
                    total += len(records)
        return total

    async def compare(self) -> dict[Place, Copied]:
        """The records on the target. Raises FatalLogError if they differ from the file's."""
        found: dict[Place, Copied] = {}
        for topic in self._in_order():
            copied = await self._copied(topic)
            for number in range(topic.partitions):
                place = topic.name, number
                original = Copied()
                async for batch in self._records(topic, number):
                    for record in batch:
                        original.add(record)
                if copied.get(place, Copied()).digest != original.digest:
                    raise FatalLogError(
                        f"{topic.name}, partition {number}, differs on {self._target.url} from the file. Do its topics "
                        "keep the records' own times (message.timestamp.type = CreateTime), and for long enough? "
                        "Delete the target's topics and move again; the file is unchanged"
                    )
            found |= copied
        return found

    def translated(self, task: int, position: Position, copied: Mapping[Place, Copied]) -> Output:
        """The task's position on the target. Its epoch is an offset of the registry too. Of the inputs all was read, of
        requests and the audit not."""
        offsets = {
            name: copied.get((name, self._partition(name, task)), Copied()).translated(offset)
            for name, offset in position.offsets.items()
        }
        changed = position._replace(offsets=offsets, walk_epoch=offsets.get(topics.REGISTRY, 0))
        return Output(topics.BILLS, position_key(task), POSITION.encode(changed))

    async def _copied(self, topic: Topic) -> dict[Place, Copied]:
        """Raises UsageError for a record that was not copied from the file."""
        found: dict[Place, Copied] = {}
        async for batch in self._target.read([topic.name], until_end=True):
            for record in batch:
                offset = dict(record.headers).get(MOVED_FROM)
                if offset is None:
                    raise UsageError(
                        f"{self._target.url} is in use: {topic.name} holds records that were not moved there. Move to "
                        "empty topics"
                    )
                copied = found.setdefault((topic.name, record.partition), Copied())
                copied.place(int(offset), record.offset, keep=_may_have_waiting(topic.name))
                if self._is_kept(topic, record):
                    own = tuple(header for header in record.headers if header[0] != MOVED_FROM)
                    copied.add(record._replace(headers=own))
        return found

    async def _records(self, topic: Topic, number: int, begin: int = 0) -> AsyncIterator[list[Record]]:
        """The records to copy, from an offset of the file on."""
        async for batch in self._source.records(topic, number, begin):
            for record in batch:
                if partition_of(record.key, topic.partitions) != number:
                    raise FatalLogError(
                        f"{topic.name}: the record at offset {record.offset} is in the wrong partition, {number}"
                    )
            yield [record for record in batch if self._is_kept(topic, record)]
            self.progress.add(len(batch))

    def _is_kept(self, topic: Topic, record: Record) -> bool:
        """False for positions, for tombstones of compacted topics, and for records past their retention."""
        if topic.retention_days is not None and record.timestamp < self._now - topic.retention_days * DAY:
            return False
        if topic.compacted and record.value is None:
            return False
        return not (topic.name == topics.BILLS and record.key.startswith(topics.POSITION_KEY))

    def _in_order(self) -> list[Topic]:
        """Inputs and outputs first, then the registry, then the state."""
        last = (topics.REGISTRY, topics.INDEX_STATE, topics.BILLS)
        return [
            *(topic for name, topic in sorted(self._topics.items()) if name not in last),
            *(self._topics[name] for name in last),
        ]

    def _partition(self, name: str, task: int) -> int:
        return task if name in self._topics and self._topics[name].partitions > 1 else 0


def _may_have_waiting(topic: str) -> bool:
    """True for topics that task 0 reads besides its inputs: records behind its position are not lost by a move."""
    return topic == topics.AUDIT or topic.startswith(topics.REQUEST_PREFIX)


def _copy(record: Record, topic: Topic) -> Output:
    headers = (*record.headers, (MOVED_FROM, str(record.offset).encode()))
    return Output(topic.name, record.key, record.value, headers, record.timestamp)


async def _transactions(batches: AsyncIterator[list[Record]]) -> AsyncIterator[list[Record]]:
    """The records by transaction: a batch each, or less where a batch is too large."""
    async for batch in batches:
        records: list[Record] = []
        size = 0
        for record in batch:
            records.append(record)
            size += len(record.value or b"")
            if size >= TRANSACTION_BYTES:
                yield records
                records, size = [], 0
        if records:
            yield records
