"""Topics and records in the file's tables. Synchronous: everything here runs in a connection's thread.

A record's id is its place (one number for topic and partition) and its offset in one integer, so that a
partition is a range of SQLite's own row ids: found, read and appended to without an index of its own.

Whether the file still holds all that was written to it. SQLite notices a broken page, not an older one or a changed
byte: of a file copied while it was in use, or put together from two days, it may say nothing at all.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple
from zlib import crc32

from router.clock import now_milliseconds
from router.errors import DestinationMissing
from router.log.interface import Headers, Output, Record, partition_of
from router.log.sqlite.connection import DamagedError
from router.model.eastern import DAY
from router.topics import TopicSpec

OFFSET_BITS: Final = 40
"""A million million records in a partition, eight million partitions in a file."""

SWEEP_LIMIT: Final = 1000
"""Records that one sweep deletes at most per topic or partition: a writer must not wait long for it."""

TOMBSTONE_DAYS: Final = 1
"""So long a tombstone can still be seen, by a reader that lags."""


BEFORE: Final = (
    "SELECT records.key, latest.id, CASE WHEN value IS NULL THEN 0 ELSE checksum END"
    " FROM latest LEFT JOIN records USING (id) WHERE place = ? AND latest.key = ?"
)
"""The record that a new one overtakes, and its part in the sum of the live ones."""

Row = tuple[int, int, bytes, bytes | None, bytes | None, int]
"""Of the table of records."""


class Topic(NamedTuple):
    name: str
    first_place: int
    partitions: int
    compacted: bool
    retention_days: int | None

    @property
    def has_no_gaps(self) -> bool:
        """Nothing is ever taken away: an offset that is missing is lost."""
        return not self.compacted and self.retention_days is None


class Span(NamedTuple):
    """Part of one partition: from `start` to before `end` (offsets)."""

    topic: Topic
    partition: int
    start: int
    end: int

    @property
    def ids(self) -> tuple[int, int]:
        base = (self.topic.first_place + self.partition) << OFFSET_BITS
        return base | self.start, base | self.end


END_OF_TIME: Final = (1 << OFFSET_BITS) - 1


class Catalogue:
    """The file's topics, remembered: topics are made, never changed or taken away."""

    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}

    def find(self, connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, Topic]:
        """Raises DestinationMissing, with all names that are missing."""
        wanted = dict.fromkeys(names)
        if wanted.keys() - self._topics.keys():
            self.all(connection)
        missing = tuple(name for name in wanted if name not in self._topics)
        if missing:
            raise DestinationMissing(missing)
        return {name: self._topics[name] for name in wanted}

    def get(self, connection: sqlite3.Connection, name: str) -> Topic | None:
        if name not in self._topics:
            self.all(connection)
        return self._topics.get(name)

    def place(self, name: str, partition: int) -> int | None:
        """None if nobody has looked for the topic yet."""
        topic = self._topics.get(name)
        return topic and topic.first_place + partition

    def all(self, connection: sqlite3.Connection) -> list[Topic]:
        rows = connection.execute(
            "SELECT name, first_place, partitions, compacted, retention_days FROM topics ORDER BY name"
        ).fetchall()
        self._topics = {row[0]: Topic._make(row) for row in rows}
        return list(self._topics.values())


def create_topics(connection: sqlite3.Connection, specs: Iterable[TopicSpec]) -> None:
    """Within a transaction."""
    for spec in specs:
        (place,) = connection.execute("SELECT coalesce(max(place) + 1, 0) FROM ends").fetchone()
        made = connection.execute(
            "INSERT INTO topics VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
            (place, spec.name, spec.partitions, spec.compacted, spec.retention_days),
        )
        if made.rowcount:
            places = range(place, place + spec.partitions)
            connection.executemany("INSERT INTO ends VALUES (?, 0, 0)", zip(places))


def write(connection: sqlite3.Connection, topics: dict[str, Topic], outputs: Sequence[Output]) -> None:
    """Give each output its offset and store it. Within a transaction."""
    next_ids: dict[int, int] = {}
    rows: dict[int, Row] = {}
    latest: dict[tuple[int, bytes], int] = {}
    now = now_milliseconds()
    for name, key, value, headers, timestamp in outputs:
        topic = topics[name]
        place = topic.first_place + partition_of(key, topic.partitions)
        identity = next_ids[place] if place in next_ids else _next_id(connection, place)
        next_ids[place] = identity + 1
        packed = pack_headers(headers) if headers else None
        timestamp = timestamp or now
        written = checksum(identity, key, value, packed, timestamp)
        rows[identity] = identity, written, key, value, packed, timestamp
        if topic.compacted:
            rows.pop(latest.get((place, key), -1), None)
            latest[place, key] = identity
    added = _compact(connection, latest, rows)
    connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows.values())
    connection.executemany(
        "UPDATE ends SET next_offset = ?, live = live + ? WHERE place = ?",
        [(identity & END_OF_TIME, added[place], place) for place, identity in next_ids.items()],
    )


def _next_id(connection: sqlite3.Connection, place: int) -> int:
    return place << OFFSET_BITS | ends_of(connection, [place])[place]


def _compact(
    connection: sqlite3.Connection, latest: dict[tuple[int, bytes], int], rows: dict[int, Row]
) -> Counter[int]:
    """Delete what the new records overtake; what they add to the sums of the live ones, by place."""
    added = Counter[int]()
    overtaken = []
    for (place, key), identity in latest.items():
        before = connection.execute(BEFORE, (place, key)).fetchone()
        if before is not None:
            if before[0] != key:
                raise DamagedError(f"place {place} has no record of a key that it is said to have")
            overtaken.append(before[1:2])
            added[place] -= before[2]
        added[place] += rows[identity][1] if rows[identity][3] is not None else 0
    connection.executemany("DELETE FROM records WHERE id = ?", overtaken)
    connection.executemany(
        "INSERT INTO latest VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id",
        [(place, key, identity) for (place, key), identity in latest.items()],
    )
    return added


def latest_id(connection: sqlite3.Connection, topic: Topic, partition: int, key: bytes) -> int | None:
    """Where the last record of a key of a compacted topic is; None if there is none."""
    row = connection.execute(
        "SELECT id FROM latest WHERE place = ? AND key = ?", (topic.first_place + partition, key)
    ).fetchone()
    return None if row is None else int(row[0])


def end_offsets(connection: sqlite3.Connection, topic: Topic) -> dict[int, int]:
    ends = ends_of(connection, range(topic.first_place, topic.first_place + topic.partitions))
    return {place - topic.first_place: offset for place, offset in ends.items()}


def ends_of(connection: sqlite3.Connection, places: Sequence[int]) -> dict[int, int]:
    """The next offset of each."""
    marks = ", ".join("?" * len(places))
    found = dict(connection.execute(f"SELECT place, next_offset FROM ends WHERE place IN ({marks})", places).fetchall())
    if len(found) != len(places) or not all(isinstance(offset, int) for offset in found.values()):
        raise DamagedError("the ends of partitions are missing")
    return found


def read(
    connection: sqlite3.Connection, span: Span, limit: int, *, key: bytes | None = None, live: bool = False
) -> list[Record]:
    """The first `limit` records of a span; only of one key; or only those that hold a value (`live`). Raises
    DamagedError where they are not all there, or not as they were written."""
    where, values = "", [*span.ids]
    if key is not None and span.topic.compacted:
        identity = latest_id(connection, span.topic, span.partition, key)
        where, values = " AND id = ?", [*span.ids, -1 if identity is None else identity]
    elif key is not None:
        where, values = " AND key = ?", [*span.ids, key]  # type: ignore[list-item]
    if live:
        where += " AND value IS NOT NULL"
    rows = connection.execute(
        f"SELECT id, checksum, key, value, headers, timestamp FROM records WHERE id >= ? AND id < ?{where}"
        " ORDER BY id LIMIT ?",
        (*values, limit),
    ).fetchall()
    gapless = span.topic.has_no_gaps and key is None
    _refuse_misplaced(span, [row[0] for row in rows], min(limit, span.end - span.start) if gapless else None)
    return [_record(span, row) for row in rows]


def _refuse_misplaced(span: Span, ids: list[int], wanted: int | None) -> None:
    """Where a page lies in another's place, SQLite finds too little, or records of one partition amid another's."""
    first = span.ids[0]
    right = sorted(set(ids)) if wanted is None else list(range(first, first + max(wanted, 0)))
    if ids != right or (ids and ids[0] < first):
        raise DamagedError(f"{span.topic.name}, partition {span.partition}: records are missing from {span.start} on")


def _record(span: Span, row: Row) -> Record:
    identity, written, key, value, packed, timestamp = row
    offset = identity & END_OF_TIME
    with suppress(TypeError):  # Damage may also make a number of what was bytes.
        if checksum(identity, key, value, packed, timestamp) == written:
            return Record(span.topic.name, span.partition, offset, key, value, unpack_headers(packed), timestamp)
    raise DamagedError(f"{span.topic.name}, partition {span.partition}, offset {offset}")


def checksum(identity: int, key: bytes, value: bytes | None, packed: bytes | None, timestamp: int) -> int:
    """Of a record and where it belongs: SQLite itself has none, and a changed byte may well be another valid code."""
    return crc32(value or b"", crc32(packed or b"", crc32(key, (identity ^ timestamp) & 0xFFFFFFFF)))


def sweep(connection: sqlite3.Connection, topics: Iterable[Topic], now: int) -> None:
    """Delete old tombstones and what is beyond its topic's retention: a bounded number. In a transaction."""
    for topic in topics:
        if topic.compacted:
            _sweep_tombstones(connection, topic, now - TOMBSTONE_DAYS * DAY)
        elif topic.retention_days is not None:
            for partition in range(topic.partitions):
                _sweep_old(connection, topic, partition, now - topic.retention_days * DAY)


def _sweep_tombstones(connection: sqlite3.Connection, topic: Topic, before: int) -> None:
    first, last = topic.first_place << OFFSET_BITS, (topic.first_place + topic.partitions) << OFFSET_BITS
    rows = connection.execute(
        "SELECT id, id >> ?, key FROM records "
        "WHERE value IS NULL AND timestamp < ? AND id >= ? AND id < ? ORDER BY timestamp LIMIT ?",
        (OFFSET_BITS, before, first, last, SWEEP_LIMIT),
    ).fetchall()
    connection.executemany("DELETE FROM records WHERE id = ?", [(identity,) for identity, _, _ in rows])
    connection.executemany(
        "DELETE FROM latest WHERE place = ? AND key = ? AND id = ?",
        [(place, key, identity) for identity, place, key in rows],
    )


def _sweep_old(connection: sqlite3.Connection, topic: Topic, partition: int, before: int) -> None:
    first, last = Span(topic, partition, 0, END_OF_TIME).ids
    connection.execute(
        "DELETE FROM records WHERE timestamp < ? AND id IN "
        "(SELECT id FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?)",
        (before, first, last, SWEEP_LIMIT),
    )


@lru_cache(maxsize=4096)
def pack_headers(headers: Headers) -> bytes:
    """Name and value of each header, each behind its length in four bytes. Cached, since headers repeat."""
    parts = (part for name, value in headers for part in (name.encode(), value))
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


@lru_cache(maxsize=4096)
def unpack_headers(packed: bytes | None) -> Headers:
    parts: list[bytes] = []
    rest = packed or b""
    while rest:
        size = 4 + int.from_bytes(rest[:4], "big")
        parts.append(rest[4:size])
        rest = rest[size:]
    return tuple((name.decode(), value) for name, value in zip(parts[::2], parts[1::2], strict=True))


BATCH: Final = 2000
MOST_SAID: Final = 20
"""Of each kind that is named; where there are more, the file is lost anyway."""


def refuse_losses(connection: sqlite3.Connection, topic: Topic, partition: int) -> None:
    """Raises DamagedError where a live record of a compacted topic is missing, or is an older one. What is missing of
    another topic shows where it is read."""
    if topic.compacted:
        row = connection.execute(
            "SELECT live - (SELECT coalesce(sum(checksum), 0) FROM records"
            " WHERE id >= ? AND id < ? AND value IS NOT NULL) FROM ends WHERE place = ?",
            (*Span(topic, partition, 0, END_OF_TIME).ids, topic.first_place + partition),
        ).fetchone()
        if row != (0,):
            raise DamagedError(f"{topic.name}, partition {partition}: records are missing, or are older ones")


def damages(connection: sqlite3.Connection) -> Iterator[str]:
    """All that is wrong with the file. Reads it whole."""
    for (said,) in connection.execute(f"PRAGMA integrity_check({MOST_SAID})"):
        if said != "ok":
            yield f"SQLite says: {said}"
    for (key,) in connection.execute(
        "SELECT latest.key FROM latest LEFT JOIN records USING (id) WHERE records.key IS NOT latest.key LIMIT ?",
        (MOST_SAID,),
    ):
        yield f"the last record of {key!r} is not where it is said to be"
    for topic in Catalogue().all(connection):
        for partition, end in end_offsets(connection, topic).items():
            try:
                refuse_losses(connection, topic, partition)
                _read_through(connection, Span(topic, partition, 0, end))
            except DamagedError as error:
                yield str(error)


def _read_through(connection: sqlite3.Connection, span: Span) -> None:
    while records := read(connection, span, BATCH):
        span = span._replace(start=records[-1].offset + 1)
