"""Topics and records in the file's tables, and proof that the file still holds all that was written to it.

Everything here is synchronous and runs in a connection's thread. A record's id is its place (one number for topic and
partition) and its offset in one integer. So a partition is a range of SQLite's row ids: found, read and appended to
without an index of its own.

SQLite notices a broken page, but not a changed byte or an older page. It may call a file healthy that was copied while
in use or put together from two days. Hence each record has a checksum, each compacted partition the sum of them, and a
partition without deletions has no gap in its offsets.
"""

from __future__ import annotations

import json
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
"""Room for a million million records in a partition and eight million partitions in a file."""

END_OF_TIME: Final = (1 << OFFSET_BITS) - 1

SWEEP_LIMIT: Final = 1000
"""Records deleted at once per topic or partition, so that writers do not wait long."""

TOMBSTONE_DAYS: Final = 1
"""Days that a tombstone stays, for readers that lag."""

CLOCK_SET_BACK: Final = DAY
"""The furthest that a clock is thought to be set back, milliseconds."""

CHECK_BATCH: Final = 2000
CHECK_FINDINGS: Final = 20
"""Findings of SQLite's own that a check lists. A file with more is lost anyway."""

Row = tuple[int, int, bytes, bytes | None, bytes | None, int, int | None]
"""Row of the table of records."""


class Topic(NamedTuple):
    name: str
    first_place: int
    partitions: int
    compacted: bool
    retention_days: int | None

    @property
    def has_no_gaps(self) -> bool:
        """Nothing is ever deleted from the topic, so a missing offset is a lost record."""
        return not self.compacted and self.retention_days is None

    def span(self, partition: int) -> Span:
        """Return all of a partition, with what is still to come."""
        return Span(self, partition, 0, END_OF_TIME)


class Span(NamedTuple):
    """Part of one partition: from the offset `start` to before `end`."""

    topic: Topic
    partition: int
    start: int
    end: int

    @property
    def place(self) -> int:
        return self.topic.first_place + self.partition

    @property
    def ids(self) -> tuple[int, int]:
        base = self.place << OFFSET_BITS
        return base | self.start, base | self.end


def find_topics(connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, Topic]:
    """Return the topics in the order of `names`. Raises DestinationMissing with all that are missing."""
    wanted = list(dict.fromkeys(names))
    found = {topic.name: topic for topic in _topics(connection, f"WHERE name IN ({_marks(wanted)})", wanted)}
    if missing := tuple(name for name in wanted if name not in found):
        raise DestinationMissing(missing)
    return {name: found[name] for name in wanted}


def all_topics(connection: sqlite3.Connection) -> list[Topic]:
    return _topics(connection, "ORDER BY name")


def _topics(connection: sqlite3.Connection, where: str, names: Sequence[str] = ()) -> list[Topic]:
    rows = connection.execute(
        f"SELECT name, first_place, partitions, compacted, retention_days FROM topics {where}", names
    )
    return [Topic._make(row) for row in rows]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def create_topics(connection: sqlite3.Connection, specs: Iterable[TopicSpec]) -> None:
    """Create missing topics, within a transaction."""
    for spec in specs:
        (place,) = connection.execute("SELECT coalesce(max(place) + 1, 0) FROM ends").fetchone()
        created = connection.execute(
            "INSERT INTO topics VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
            (place, spec.name, spec.partitions, spec.compacted, spec.retention_days),
        )
        if created.rowcount:
            places = range(place, place + spec.partitions)
            connection.executemany("INSERT INTO ends VALUES (?, 0, 0)", zip(places))


# Writing


def write(connection: sqlite3.Connection, outputs: Sequence[Output]) -> None:
    """Give each output its offset and store it, within a transaction. Raises DestinationMissing."""
    topics = find_topics(connection, (output.topic for output in outputs))
    next_ids: dict[int, int] = {}
    rows: dict[int, Row] = {}
    latest: dict[tuple[int, bytes], int] = {}
    now = now_milliseconds()
    for name, key, value, headers, timestamp in outputs:
        topic = topics[name]
        place = topic.first_place + partition_of(key, topic.partitions)
        identity = next_ids[place] if place in next_ids else place << OFFSET_BITS | ends_of(connection, [place])[place]
        next_ids[place] = identity + 1
        packed = pack_headers(headers) if headers else None
        timestamp = timestamp or now
        written = checksum(identity, key, value, packed, timestamp)
        rows[identity] = identity, written, key, value, packed, timestamp, place if topic.compacted else None
        if topic.compacted:
            rows.pop(latest.get((place, key), -1), None)
            latest[place, key] = identity
    added = _replace(connection, latest, rows)
    connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", rows.values())
    connection.executemany(
        "UPDATE ends SET next_offset = ?, live = live + ? WHERE place = ?",
        [(identity & END_OF_TIME, added[place], place) for place, identity in next_ids.items()],
    )


def _replace(
    connection: sqlite3.Connection, latest: dict[tuple[int, bytes], int], rows: dict[int, Row]
) -> Counter[int]:
    """Delete the records that the new ones replace. Return what the sum of checksums changes by, for each place."""
    added = Counter[int]()
    replaced = []
    for (place, key), identity in latest.items():
        before = connection.execute(
            "SELECT id, CASE WHEN value IS NULL THEN 0 ELSE checksum END FROM records"
            " WHERE compacted_place = ? AND key = ?",
            (place, key),
        ).fetchone()
        if before is not None:
            replaced.append(before[:1])
            added[place] -= before[1]
        _, written, _, value, *_ = rows[identity]
        added[place] += written if value is not None else 0
    connection.executemany("DELETE FROM records WHERE id = ?", replaced)
    return added


def checksum(identity: int, key: bytes, value: bytes | None, packed: bytes | None, timestamp: int) -> int:
    """Checksum of a record and its place. SQLite has none, and a changed byte may make another valid code."""
    return crc32(value or b"", crc32(packed or b"", crc32(key, (identity ^ timestamp) & 0xFFFFFFFF)))


@lru_cache(maxsize=4096)  # Headers repeat.
def pack_headers(headers: Headers) -> bytes:
    return json.dumps([(name, value.hex()) for name, value in headers]).encode()


@lru_cache(maxsize=4096)
def unpack_headers(packed: bytes | None) -> Headers:
    return tuple((name, bytes.fromhex(value)) for name, value in json.loads(packed or b"[]"))


# Reading


def end_offsets(connection: sqlite3.Connection, topic: Topic) -> dict[int, int]:
    """Return the next record's offset for each partition."""
    ends = ends_of(connection, range(topic.first_place, topic.first_place + topic.partitions))
    return {place - topic.first_place: offset for place, offset in ends.items()}


def begin_offsets(connection: sqlite3.Connection, topic: Topic) -> dict[int, int]:
    """Return the first record's offset for each partition; the next record's where there is none."""
    begins = {}
    for partition, end in end_offsets(connection, topic).items():
        span = topic.span(partition)
        first = connection.execute("SELECT min(id) FROM records WHERE id >= ? AND id < ?", span.ids).fetchone()[0]
        begins[partition] = end if first is None else first & END_OF_TIME
    return begins


def offsets_at(connection: sqlite3.Connection, topic: Topic, moment: int) -> dict[int, int]:
    """Return the first offset of each partition written at `moment` or later; the end's if there is none. Times grow
    with offsets, except after the clock was set back: by up to `CLOCK_SET_BACK` it is found all the same."""
    offsets = {}
    for partition, end in end_offsets(connection, topic).items():
        span = topic.span(partition)._replace(end=end)
        first, last = span.ids
        while first < last:
            middle = (first + last) // 2
            row = connection.execute(
                "SELECT id, timestamp FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 1", (middle, last)
            ).fetchone()
            if row is None or row[1] >= moment - CLOCK_SET_BACK:
                last = middle
            else:
                first = row[0] + 1
        row = connection.execute(
            "SELECT id FROM records WHERE id >= ? AND id < ? AND timestamp >= ? ORDER BY id LIMIT 1",
            (first, span.ids[1], moment),
        ).fetchone()
        offsets[partition] = end if row is None else row[0] & END_OF_TIME
    return offsets


def extents(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, range]:
    """Return first and next offset of partition 0 of each topic that exists."""
    found = _topics(connection, f"WHERE name IN ({_marks(names)})", names)
    return {
        topic.name: range(begin_offsets(connection, topic)[0], end_offsets(connection, topic)[0]) for topic in found
    }


def ends_of(connection: sqlite3.Connection, places: Sequence[int]) -> dict[int, int]:
    """Return the next record's offset for each place."""
    query = f"SELECT place, next_offset FROM ends WHERE place IN ({_marks(places)})"
    found = dict(connection.execute(query, places).fetchall())
    if len(found) != len(places) or not all(isinstance(offset, int) for offset in found.values()):
        raise DamagedError("the ends of partitions are missing")
    return found


def read(
    connection: sqlite3.Connection, span: Span, limit: int, *, key: bytes | None = None, live: bool = False
) -> list[Record]:
    """Return the first `limit` records of a span: all, or those of one key, or those with a value (`live`). Raises
    DamagedError if one is missing or differs from what was written."""
    where, values = "", list[int | bytes](span.ids)
    if key is not None:
        where += " AND key = ?"
        values.append(key)
        if span.topic.compacted:  # The index finds it.
            where += " AND compacted_place = ?"
            values.append(span.place)
    if live:
        where += " AND value IS NOT NULL"
    rows = connection.execute(
        "SELECT id, checksum, key, value, headers, timestamp FROM records"
        f" WHERE id >= ? AND id < ?{where} ORDER BY id LIMIT ?",
        (*values, limit),
    ).fetchall()
    gapless = span.topic.has_no_gaps and key is None
    _refuse_misplaced(span, [row[0] for row in rows], min(limit, span.end - span.start) if gapless else None)
    return [_record(span, *row) for row in rows]


def _refuse_misplaced(span: Span, ids: list[int], wanted: int | None) -> None:
    """Refuse a page in another's place, which makes SQLite skip records or mix those of two partitions."""
    first = span.ids[0]
    right = sorted(set(ids)) if wanted is None else list(range(first, first + max(wanted, 0)))
    if ids != right or (ids and ids[0] < first):
        raise DamagedError(f"{span.topic.name}, partition {span.partition}: records are missing from {span.start} on")


def _record(
    span: Span, identity: int, written: int, key: bytes, value: bytes | None, packed: bytes | None, timestamp: int
) -> Record:
    offset = identity & END_OF_TIME
    with suppress(TypeError):  # Damage may also turn bytes into a number.
        if checksum(identity, key, value, packed, timestamp) == written:
            return Record(span.topic.name, span.partition, offset, key, value, unpack_headers(packed), timestamp)
    raise DamagedError(f"{span.topic.name}, partition {span.partition}, offset {offset}")


# Integrity


def refuse_losses(connection: sqlite3.Connection, topic: Topic, partition: int) -> None:
    """Raise DamagedError if a live record of a compacted topic is missing or is an older one. A loss in another topic
    shows where it is read."""
    if not topic.compacted:
        return
    span = topic.span(partition)
    row = connection.execute(
        "SELECT live - (SELECT coalesce(sum(checksum), 0) FROM records"
        " WHERE id >= ? AND id < ? AND value IS NOT NULL) FROM ends WHERE place = ?",
        (*span.ids, span.place),
    ).fetchone()
    if row != (0,):
        raise DamagedError(f"{topic.name}, partition {partition}: records are missing, or are older ones")


def damages(connection: sqlite3.Connection) -> Iterator[str]:
    """Read the whole file and yield everything that is wrong with it."""
    for (finding,) in connection.execute(f"PRAGMA integrity_check({CHECK_FINDINGS})"):
        if finding != "ok":
            yield f"SQLite: {finding}"
    for topic in all_topics(connection):
        for partition, end in end_offsets(connection, topic).items():
            span = Span(topic, partition, 0, end)
            try:
                refuse_losses(connection, topic, partition)
                while records := read(connection, span, CHECK_BATCH):
                    span = span._replace(start=records[-1].offset + 1)
            except DamagedError as error:
                yield str(error)


# Sweeping


def sweep(connection: sqlite3.Connection, topics: Iterable[Topic], now: int) -> None:
    """Delete old tombstones and records beyond their retention, a bounded number, within a transaction."""
    for topic in topics:
        if topic.compacted:
            _sweep_tombstones(connection, topic, now - TOMBSTONE_DAYS * DAY)
        elif topic.retention_days is not None:
            for partition in range(topic.partitions):
                _sweep_old(connection, topic, partition, now - topic.retention_days * DAY)


def _sweep_tombstones(connection: sqlite3.Connection, topic: Topic, before: int) -> None:
    first, last = topic.first_place << OFFSET_BITS, (topic.first_place + topic.partitions) << OFFSET_BITS
    connection.execute(
        "DELETE FROM records WHERE id IN (SELECT id FROM records"
        " WHERE value IS NULL AND timestamp < ? AND id >= ? AND id < ? ORDER BY timestamp LIMIT ?)",
        (before, first, last, SWEEP_LIMIT),
    )


def _sweep_old(connection: sqlite3.Connection, topic: Topic, partition: int, before: int) -> None:
    connection.execute(
        "DELETE FROM records WHERE timestamp < ? AND id IN "
        "(SELECT id FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?)",
        (before, *topic.span(partition).ids, SWEEP_LIMIT),
    )
