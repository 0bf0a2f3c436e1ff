"""Whether the file still holds all that was written to it. SQLite notices a broken page, not an older one or a changed
byte: of a file copied while it was in use, or put together from two days, it may say nothing at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from router.log.sqlite.errors import DamagedError
from router.log.sqlite.store import END_OF_TIME, Catalogue, Span, Topic, end_offsets, read

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
