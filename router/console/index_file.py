"""The console's file: made from the log, and made anew when it is broken. Nothing is in it that the log has not."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from router.errors import FatalLogError, TaskRetry, UsageError
from router.files import make_for_owner
from router.log.sqlite import SqliteSettings
from router.log.sqlite.connection import Connection, transaction

APPLICATION_ID: Final = 0x534E5049
"""`SNPI` in the file's header: no other file is ever written to or thrown away."""

VERSION: Final = 1
"""Of the tables below: a file of another one is thrown away and made anew."""

MARK_PLACE: Final = 68
"""Of the application id in the file (https://www.sqlite.org/fileformat.html#the_database_header)."""

NEW: Final = (0, 0, 0)

SYNCHRONOUS: Final = "PRAGMA synchronous = NORMAL"
"""What a power cut takes away is read from the log again."""

SCHEMA: Final = f"""
CREATE TABLE progress (
    topic TEXT, partition INTEGER, next_offset INTEGER, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE bills (
    bill TEXT PRIMARY KEY, status TEXT, do_not_load INTEGER, imo_number TEXT, vessel_name TEXT, voyage_number TEXT,
    port TEXT, carrier_scac TEXT, arrival_date TEXT, state BLOB) WITHOUT ROWID;
CREATE INDEX bills_by_vessel ON bills (imo_number, status);
CREATE INDEX stopped_bills ON bills (bill) WHERE do_not_load;
CREATE TABLE statuses (status TEXT PRIMARY KEY, bills INTEGER) WITHOUT ROWID;
CREATE TABLE words (word TEXT, kind TEXT, bill TEXT, PRIMARY KEY (word, kind, bill)) WITHOUT ROWID;
CREATE INDEX words_by_bill ON words (bill);
CREATE TABLE timeline (bill TEXT, sequence INTEGER, at INTEGER, value BLOB, PRIMARY KEY (bill, sequence)) WITHOUT ROWID;
CREATE INDEX timeline_by_time ON timeline (at);
CREATE TABLE waiting (bill TEXT PRIMARY KEY, do_not_load INTEGER, since INTEGER, value BLOB) WITHOUT ROWID;
CREATE TABLE deeds (place INTEGER PRIMARY KEY, value BLOB);
CREATE TABLE letters (id TEXT PRIMARY KEY, received_at INTEGER, settled TEXT, value BLOB) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""

T = TypeVar("T")


class IndexFile:
    """Opened by `open`, closed by its owner. Every method may raise TaskRetry: the disk is full, or the file is broken
    or gone, until `mend`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_broken = False
        self._connect()

    def _connect(self) -> None:
        self._writer, self._reader = (Connection(str(self._path), SqliteSettings()) for _ in range(2))

    async def open(self) -> None:
        """Make the file, for its owner only, or take up the one there is; a damaged one is made anew. Raises UsageError
        for one that isn't ours."""
        try:
            make_for_owner(self._path)
            found = await self._writer.run(_found)
        except (OSError, FatalLogError) as error:
            await self.close()  # reading the file beside SQLite takes away its locks
            if not await asyncio.to_thread(_bears_our_mark, self._path):
                raise UsageError(
                    f"the console's index {self._path} can't be used: {_reason(error)}. If it is the index, delete it: "
                    "it is made again from the log. Else name another file (setting console.index_file)"
                ) from error
            await self.begin_anew()
            return
        if found == NEW:
            await self._writer.run(_make)
        elif found[0] != APPLICATION_ID:
            raise UsageError(f"{self._path} is no index of the console's: name another file (console.index_file)")
        elif found[1] != VERSION:
            await self.begin_anew()

    async def begin_anew(self) -> None:
        """Throw away all that is in it."""
        await self.close()
        try:
            await asyncio.to_thread(self._remove)
        except OSError as error:
            raise TaskRetry(f"the console's index {self._path} can't be made anew: {error.strerror}") from error
        self._connect()
        await self._writer.run(_make)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path.resolve()}{suffix}").unlink(missing_ok=True)
        make_for_owner(self._path)

    async def mend(self) -> None:
        """Make a broken file anew; one that is another now, but whole, is taken up."""
        if not self._is_broken:
            return
        await self.close()
        self._connect()
        try:
            await self.open()
            is_whole = await self._writer.run(_is_whole)
        except UsageError as error:
            raise TaskRetry(str(error)) from error
        except FatalLogError:
            is_whole = False
        if not is_whole:
            await self.begin_anew()
        self._is_broken = False

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._writer, job)

    async def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._reader, job)

    async def _run(self, connection: Connection, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await connection.run(job)
        except FatalLogError as error:
            self._is_broken = True
            raise TaskRetry(f"the console's index can't be used and is made again: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What is wrong, without the advice for a log."""
    return str(error).partition(". ")[0]


def _bears_our_mark(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(MARK_PLACE + 4)[MARK_PLACE:] == APPLICATION_ID.to_bytes(4, "big")
    except OSError:
        return False


def _found(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Whose it is, of which version, and how much is in it."""
    connection.execute(SYNCHRONOUS)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return application, version, tables


def _is_whole(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))


def _make(connection: sqlite3.Connection) -> None:
    connection.execute(SYNCHRONOUS)
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for statement in SCHEMA.strip().split(";\n"):
            connection.execute(statement.rstrip(";"))
    connection.execute("PRAGMA wal_checkpoint")  # so that the file itself bears our mark
