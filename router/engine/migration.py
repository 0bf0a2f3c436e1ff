"""An installation that outgrew one file takes its log along: every record of a SQLite log to Kafka.

Each record keeps its key, value, headers, partition and time, and carries its offset in the file as a header. So a copy
that was cut goes on behind the last record that arrived. Positions come last, translated: Kafka counts markers too, and
of compacted topics the file had dropped records. Only when all that arrived has been read back and found the same is
the file marked, and only then are the positions written: until then the file is the log, from then on Kafka is.

What is not translated: the entries of `snp.timeline` name input records by their offsets in the file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from router import codec, topics
from router.errors import FatalLogError, UsageError
from router.log.interface import Output, Record, partition_of
from router.log.kafka import KafkaLog
from router.log.sqlite.file import MigrationSource
from router.log.sqlite.store import Topic
from router.model.eastern import DAY
from router.topics import TopicSpec

MOVED_FROM: Final = "moved-from"
"""Header of a record that was moved: its offset in the file, in digits."""
TRANSACTIONAL_ID: Final = "snp-router-move"
"""One for all moves to these brokers: of two at a time the later wins."""
TRANSACTION_BYTES: Final = 8_000_000

Place = tuple[str, int]
Tell = Callable[[str, int], None]
"""Told of each topic how many records are there now."""


class Writer(Protocol):
    async def commit(self, outputs: list[Output]) -> None: ...


class Arrived(NamedTuple):
    """What a topic's partition on the target holds of the file."""

    records: int = 0
    last: int = -1
    """Offset, in the file, of the last record."""
    next_offset: int = 0
    """On the target, behind that record."""
    digest: str = ""


class Moved(NamedTuple):
    records: int
    partitions: int
    already: bool = False
    """An earlier call had done it all."""


async def move(source: MigrationSource, target: KafkaLog, now: int, tell: Tell = lambda topic, records: None) -> Moved:
    """Run again after a cut, it goes on where it was.

    Raises UsageError where the file isn't idle, or the target holds records that are not the file's; FatalLogError
    where the target's topics are not as they have to be, or what arrived differs; and what the logs raise.
    """
    moving = _Moving(source, target, await source.topics(), now)
    if source.moved_to is not None and await moving.is_done():
        return Moved(0, moving.partitions, already=True)
    positions = await moving.positions()
    await moving.check_idle(positions)
    await moving.make_topics()
    async with target.producer(TRANSACTIONAL_ID) as writer:
        records = await moving.copy(writer, tell)
        arrived = await moving.compare()
        if source.moved_to is None:
            await source.mark(target.url)
        await writer.commit([moving.translated(number, position, arrived) for number, position in positions.items()])
    return Moved(records, moving.partitions)


class _Moving:
    def __init__(self, source: MigrationSource, target: KafkaLog, found: list[Topic], now: int) -> None:
        self._source = source
        self._target = target
        self._now = now
        self._topics = {topic.name: topic for topic in found}
        if topics.BILLS not in self._topics:
            raise UsageError(f"there is nothing to move in {source.path}")
        if source.moved_to not in (None, target.url):
            raise UsageError(f"{source.path} was moved to {source.moved_to} before, not to {target.url}")
        self.partitions = self._topics[topics.BILLS].partitions

    async def is_done(self) -> bool:
        """The positions are the last that is written."""
        if topics.BILLS not in await self._target.topics():
            return False
        for number in range(self.partitions):
            key = _position_key(number)
            batches = self._target.read([topics.BILLS], until_end=True, key=key)
            if not [record async for batch in batches for record in batch]:
                return False
        return True

    async def positions(self) -> dict[int, codec.Fields]:
        """By task, as the file has them."""
        found = {}
        for number in range(self.partitions):
            async for batch in self._source.records(self._topics[topics.BILLS], number):
                for record in batch:
                    if record.key == _position_key(number) and record.value is not None:
                        found[number] = codec.decode(record.value)[1]
        return found

    async def check_idle(self, positions: Mapping[int, codec.Fields]) -> None:
        """Everything that was fed in is routed, and no walk is under way."""
        waiting = 0
        for name in topics.INPUTS:
            ends = await self._source.ends(self._topics[name])
            for number in range(self.partitions):
                read = positions[number]["offsets"].get(name, 0) if number in positions else 0
                waiting += ends[self._partition(name, number)] - read
        walking = any(one["walk_cursor"] is not None or one["sweep_cursor"] is not None for one in positions.values())
        if waiting or walking:
            what = f"{waiting} records are not routed yet" if waiting else "bills are being looked at again"
            raise UsageError(
                f"{self._source.path} is not idle: {what}. Run `snp-router run --until-idle` on it, then move it"
            )

    async def make_topics(self) -> None:
        """Those that are missing; those that are there must be as they have to be, retention above all."""
        specs = [TopicSpec(one.name, one.partitions, one.compacted, one.retention_days) for one in self._found()]
        await self._target.create_topics(specs)
        if grave := [str(finding) for finding in await self._target.check(specs) if finding.blocking]:
            raise FatalLogError("\n  ".join([f"{self._target.url} is not as the router needs it:", *grave]))

    async def copy(self, writer: Writer, tell: Tell) -> int:
        """All that has not arrived, the state last. How many records it was. A target in use is found out before the
        first is copied."""
        copied = 0
        there = [(topic, await self._arrived(topic)) for topic in self._found()]
        for topic, arrived in there:
            of_topic = sum(one.records for one in arrived.values())
            for number in range(topic.partitions):
                begin = arrived.get((topic.name, number), Arrived()).last + 1
                async for portion in _portions(self._records(topic, number, begin)):
                    await writer.commit([_moved(record, topic) for record in portion])
                    copied += len(portion)
                    of_topic += len(portion)
                    tell(topic.name, of_topic)
        return copied

    async def compare(self) -> dict[Place, Arrived]:
        """What arrived, once it is known to be what was sent."""
        found: dict[Place, Arrived] = {}
        for topic in self._found():
            arrived = await self._arrived(topic)
            for number in range(topic.partitions):
                place = topic.name, number
                digest = _Digest()
                async for batch in self._records(topic, number):
                    for record in batch:
                        digest.add(record)
                if arrived.get(place, Arrived()).digest != digest.text:
                    raise FatalLogError(
                        f"what arrived in {topic.name}, partition {number}, on {self._target.url} is not what was "
                        "sent. Do its topics keep their records' own times (message.timestamp.type = CreateTime), and "
                        "for long enough? Delete the target's topics, and move again; the file is as it was"
                    )
            found |= arrived
        return found

    def translated(self, number: int, position: codec.Fields, arrived: Mapping[Place, Arrived]) -> Output:
        """The position behind all that the file's position was behind. Its epoch is a place in the registry, too."""
        offsets = {
            name: arrived.get((name, self._partition(name, number)), Arrived()).next_offset
            for name in position["offsets"]
        }
        changed = position | {"offsets": offsets, "walk_epoch": offsets.get(topics.REGISTRY, 0)}
        return Output(topics.BILLS, _position_key(number), codec.encode("position", changed))

    async def _arrived(self, topic: Topic) -> dict[Place, Arrived]:
        """Of one topic. Raises UsageError for what did not come from the file."""
        found: dict[Place, Arrived] = {}
        digests: dict[Place, _Digest] = {}
        async for batch in self._target.read([topic.name], until_end=True):
            for record in batch:
                headers = dict(record.headers)
                if MOVED_FROM not in headers:
                    raise UsageError(
                        f"{self._target.url} is in use: {topic.name} holds records that were not moved there. Move to "
                        "topics that are empty"
                    )
                own = tuple(header for header in record.headers if header[0] != MOVED_FROM)
                place = topic.name, record.partition
                digest = digests.setdefault(place, _Digest())
                if self._is_kept(topic, record):
                    digest.add(record._replace(headers=own))
                found[place] = Arrived(
                    found.get(place, Arrived()).records + 1, int(headers[MOVED_FROM]), record.offset + 1
                )
        return {place: one._replace(digest=digests[place].text) for place, one in found.items()}

    async def _records(self, topic: Topic, number: int, begin: int = 0) -> AsyncIterator[list[Record]]:
        """What is to be moved: no positions, no tombstones where nothing is left to bury, nothing out of its time."""
        async for batch in self._source.records(topic, number, begin):
            for record in batch:
                if partition_of(record.key, topic.partitions) != number:
                    raise FatalLogError(
                        f"{topic.name}: the record at offset {record.offset} lies in the wrong partition"
                    )
            yield [record for record in batch if self._is_kept(topic, record)]

    def _is_kept(self, topic: Topic, record: Record) -> bool:
        if topic.retention_days is not None and record.timestamp < self._now - topic.retention_days * DAY:
            return False
        if topic.compacted and record.value is None:
            return False
        return not (topic.name == topics.BILLS and record.key.startswith(topics.POSITION_KEY))

    def _found(self) -> list[Topic]:
        """Inputs and outputs, then the registry, then the state."""
        last = (topics.REGISTRY, topics.INDEX_STATE, topics.BILLS)
        return [
            *(topic for name, topic in sorted(self._topics.items()) if name not in last),
            *(self._topics[name] for name in last),
        ]

    def _partition(self, name: str, number: int) -> int:
        return number if name in self._topics and self._topics[name].partitions > 1 else 0


class _Digest:
    """Of a partition's records: all of them, in order, with their times."""

    def __init__(self) -> None:
        self._added = False
        self._hash = sha256()

    def add(self, record: Record) -> None:
        self._added = True
        self._hash.update(repr((record.key, record.value, tuple(record.headers), record.timestamp)).encode())

    @property
    def text(self) -> str:
        return self._hash.hexdigest() if self._added else ""


def _position_key(number: int) -> bytes:
    return topics.POSITION_KEY + str(number).encode()


def _moved(record: Record, topic: Topic) -> Output:
    headers = (*record.headers, (MOVED_FROM, str(record.offset).encode()))
    return Output(topic.name, record.key, record.value, headers, record.timestamp)


async def _portions(batches: AsyncIterator[list[Record]]) -> AsyncIterator[list[Record]]:
    """For one transaction each, neither too many nor too large."""
    async for batch in batches:
        portion: list[Record] = []
        size = 0
        for record in batch:
            portion.append(record)
            size += len(record.value or b"")
            if size >= TRANSACTION_BYTES:
                yield portion
                portion, size = [], 0
        if portion:
            yield portion
