"""Giving a file's records away to another log, once and for all.

While it is open, nobody else writes to the file. Once it is marked, nobody ever does again: a trigger refuses every
record, also those of programs that had opened the file before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from router.errors import FatalLogError, UsageError
from router.log.interface import Record
from router.log.sqlite.connection import Connection, SqliteSettings
from router.log.sqlite.file import APPLICATION_ID, moved_to
from router.log.sqlite.lease import process_lives
from router.log.sqlite.store import Catalogue, Span, Topic, end_offsets, read
from router.log.sqlite.whole import refuse_losses

BATCH: Final = 2_000

T = TypeVar("T")


class Handover:
    """Made by `open_handover`."""

    def __init__(self, path: str, connection: Connection) -> None:
        self.path = path
        self.moved_to: str | None = None
        """Where the file's records went, if it is marked."""
        self._connection = connection

    async def topics(self) -> list[Topic]:
        return await self._run(Catalogue().all)

    async def ends(self, topic: Topic) -> dict[int, int]:
        return await self._run(lambda connection: end_offsets(connection, topic))

    async def records(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """From an offset to the end, in order."""
        await self._run(lambda connection: refuse_losses(connection, topic, partition))
        end = (await self.ends(topic))[partition]
        while batch := await self._batch(Span(topic, partition, start, end)):
            yield batch
            start = batch[-1].offset + 1

    async def mark(self, target: str) -> None:
        """From now on the file takes no record any more, and no command opens it."""

        def mark(connection: sqlite3.Connection) -> None:
            connection.execute("CREATE TABLE moved (target TEXT NOT NULL)")
            connection.execute("INSERT INTO moved VALUES (?)", (target,))
            connection.execute(
                "CREATE TRIGGER moved_away BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'moved away'); END"
            )
            connection.execute("COMMIT")

        await self._run(mark)
        self.moved_to = target

    async def _batch(self, span: Span) -> list[Record]:
        return await self._run(lambda connection: read(connection, span, BATCH))

    async def _run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._connection.run(job)


@asynccontextmanager
async def open_handover(path: str, settings: SqliteSettings) -> AsyncIterator[Handover]:
    """Raises UsageError while a router works on the file; TaskRetry while another program writes to it for too long."""
    connection = Connection(path, settings)
    try:
        handover = Handover(path, connection)
        handover.moved_to = await connection.run(lambda sqlite: _begin(path, sqlite))
        yield handover
    finally:
        await connection.close()  # what is not marked by now is as it was


def _begin(path: str, connection: sqlite3.Connection) -> str | None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise FatalLogError(f"{path} is no log of ours")
    if target := moved_to(connection):
        return target
    connection.execute("BEGIN IMMEDIATE")
    for name, process in connection.execute("SELECT name, process FROM leases"):
        if process_lives(process):
            pid = process.rpartition("/")[2].partition("@")[0]
            raise UsageError(f"a router works on {path} (process {pid}, group {name}): stop it first")
    return None
