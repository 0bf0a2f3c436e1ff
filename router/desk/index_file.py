"""The file behind the desk's index, with its tables: created, rebuilt when it is damaged or of another version."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from router.desk import index_notices, index_reading, index_registry, stop_records
from router.errors import FatalLogError, TaskRetry, UsageError
from router.files import make_for_owner, remove_database
from router.log.sqlite import SqliteSettings
from router.log.sqlite.connection import Connection, transaction

APPLICATION_ID: Final = 0x534E5049
"""`SNPI` in the file's header; a file without it is never written to or deleted."""
APPLICATION_ID_OFFSET: Final = 68
"""See https://www.sqlite.org/fileformat.html#the_database_header."""
VERSION: Final = 12
"""The version of the tables below; a file with another one is rebuilt."""

SYNCHRONOUS: Final = "PRAGMA synchronous = NORMAL"
"""A power cut may lose the last records, which are then read from the log again."""

SCHEMA: Final = f"""
CREATE TABLE progress (
    topic TEXT, partition INTEGER, next_offset INTEGER, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE commits (partition INTEGER PRIMARY KEY, at INTEGER, position BLOB);
CREATE TABLE bills (
    bill TEXT PRIMARY KEY, status TEXT, concern INTEGER, do_not_load INTEGER, carrier_scac TEXT, imo_number TEXT,
    vessel TEXT, vessel_name TEXT, voyage TEXT, voyage_number TEXT, port TEXT, arrival_date TEXT, sailing_id TEXT,
    master_bill TEXT, since INTEGER, touched INTEGER, unconfirmed_until INTEGER, words TEXT) WITHOUT ROWID;
CREATE INDEX bills_by_concern ON bills (concern);
CREATE INDEX bills_by_arrival ON bills (arrival_date, bill, concern);
CREATE INDEX bills_by_vessel ON bills (vessel, voyage, bill, concern);
CREATE INDEX bills_by_imo ON bills (imo_number, voyage, bill, concern);
CREATE INDEX bills_by_port ON bills (port, bill, concern);
CREATE INDEX bills_by_since ON bills (since, bill, concern);
CREATE INDEX bills_by_voyage ON bills (voyage, bill, concern);
CREATE INDEX bills_by_sailing ON bills (sailing_id, status);
CREATE INDEX stopped_bills ON bills (bill) WHERE do_not_load;
CREATE INDEX touched_bills ON bills (touched);
CREATE INDEX unconfirmed_bills ON bills (unconfirmed_until) WHERE unconfirmed_until;
CREATE TABLE states (bill TEXT PRIMARY KEY, state BLOB) WITHOUT ROWID;
CREATE TABLE statuses (status TEXT PRIMARY KEY, bills INTEGER) WITHOUT ROWID;
CREATE TABLE words (word TEXT, kind TEXT, bill TEXT, PRIMARY KEY (word, kind, bill)) WITHOUT ROWID;
CREATE TABLE numbers (word TEXT, kind TEXT, bill TEXT, PRIMARY KEY (word, kind, bill)) WITHOUT ROWID;
CREATE TABLE flags (bill TEXT, flag TEXT, PRIMARY KEY (bill, flag)) WITHOUT ROWID;
CREATE INDEX bills_by_flag ON flags (flag);
CREATE TABLE timeline (
    bill TEXT, sequence INTEGER, at INTEGER, indexed_at INTEGER, value BLOB,
    PRIMARY KEY (bill, sequence)) WITHOUT ROWID;
CREATE INDEX timeline_by_time ON timeline (at);
CREATE TABLE waiting (bill TEXT PRIMARY KEY, do_not_load INTEGER, since INTEGER, text TEXT, value BLOB) WITHOUT ROWID;
CREATE TABLE audit (place INTEGER PRIMARY KEY, text TEXT, value BLOB);
CREATE TABLE logins (name TEXT, address TEXT, PRIMARY KEY (name, address)) WITHOUT ROWID;
CREATE TABLE letters (
    id TEXT PRIMARY KEY, received_at INTEGER, resolution TEXT, text TEXT, value BLOB) WITHOUT ROWID;
CREATE INDEX open_letters ON letters (received_at) WHERE resolution IS NULL;
{stop_records.TABLES.strip()}
{index_registry.TABLES.strip()}
{index_notices.TABLES.strip()}
{index_reading.TABLES.strip()}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""

T = TypeVar("T")


class IndexFile:
    """The file behind the index. Its owner calls `open` first and `close` last.

    Every method may raise TaskRetry: the disk is full, or the file is broken or gone until `mend` repairs it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_broken = False
        self._connect()

    def _connect(self) -> None:
        path = str(self._path)
        self._writer, self._reader, self._scanner = (Connection(path, SqliteSettings()) for _ in range(3))

    async def open(self) -> None:
        """Create the file for its owner only, or open the existing one; a damaged one is rebuilt.

        Raises UsageError if the file is not the desk's index.
        """
        try:
            make_for_owner(self._path)
            application, version, tables = await self._writer.run(_header)
        except (OSError, FatalLogError) as error:
            await self.close()  # reading the file beside SQLite drops SQLite's locks on it
            if not await asyncio.to_thread(_is_marked, self._path):
                raise UsageError(
                    f"cannot use {self._path} as the desk's index: {_reason(error)}. If it is one, delete it; it "
                    "is rebuilt from the log. Otherwise set console.index_file to another file"
                ) from error
            await self.rebuild()
            return
        if (application, version, tables) == (0, 0, 0):
            await self._writer.run(_create_tables)
        elif application != APPLICATION_ID:
            raise UsageError(f"{self._path} is not the desk's index: set console.index_file to another file")
        elif version != VERSION:
            await self.rebuild()

    async def rebuild(self) -> None:
        """Replace the file by an empty one."""
        await self.close()
        try:
            await asyncio.to_thread(self._replace)
        except OSError as error:
            raise TaskRetry(f"cannot rebuild the desk's index {self._path}: {error.strerror}") from error
        self._connect()
        await self._writer.run(_create_tables)

    def _replace(self) -> None:
        remove_database(self._path.resolve())
        make_for_owner(self._path)

    async def mend(self) -> None:
        """Rebuild a broken file. If another, intact one has taken its place, open that one."""
        if not self._is_broken:
            return
        await self.close()
        self._connect()
        try:
            await self.open()
            is_intact = await self._writer.run(_is_intact)
        except UsageError as error:
            raise TaskRetry(str(error)) from error
        except FatalLogError:
            is_intact = False
        if not is_intact:
            await self.rebuild()
        self._is_broken = False

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()
        await self._scanner.close()

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._writer, job)

    async def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._reader, job)

    async def _scan(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job that reads a large part of the file, beside the short ones of `_read`."""
        return await self._run(self._scanner, job)

    async def _run(self, connection: Connection, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await connection.run(job)
        except FatalLogError as error:
            self._is_broken = True
            raise TaskRetry(f"the desk's index is broken and is being rebuilt: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first sentence of the error; the advice after it is about a log."""
    return str(error).partition(". ")[0]


def _is_marked(path: Path) -> bool:
    """Read the application id from the header of a file that SQLite can't open."""
    try:
        with path.open("rb") as file:
            return file.read(APPLICATION_ID_OFFSET + 4)[APPLICATION_ID_OFFSET:] == APPLICATION_ID.to_bytes(4, "big")
    except OSError:
        return False


def _header(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """The file's application id, its version and its number of tables; all are zero in a new file."""
    connection.execute(SYNCHRONOUS)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return application, version, tables


def _is_intact(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute(SYNCHRONOUS)
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for statement in SCHEMA.strip().split(";\n"):
            connection.execute(statement.rstrip(";"))
    connection.execute("PRAGMA wal_checkpoint")  # writes the application id into the file itself
