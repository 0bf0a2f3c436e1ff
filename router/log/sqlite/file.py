"""The file itself: created, recognised or refused, and given away once and for all in a migration to another log."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from router.errors import FatalLogError, UsageError
from router.file_systems import mount_of, mounts
from router.files import make_for_owner
from router.log.interface import Record
from router.log.processes import described, process_lives
from router.log.sqlite.connection import Connection, SqliteSettings, connect, execute_when_free, transaction, translated
from router.log.sqlite.store import Span, Topic, all_topics, end_offsets, read, refuse_losses

log = structlog.get_logger()

APPLICATION_ID: Final = 0x534E5052
"""`SNPR` in the file's header, which tells it from other programs' SQLite files."""

FORMAT: Final = 3
"""Version of the tables below and of the records in them. Other formats are refused."""

SCHEMA: Final = f"""
-- Partition p of a topic has the place first_place + p. Topics are created, and never changed or deleted.
CREATE TABLE topics (
    first_place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,
    compacted INTEGER NOT NULL, retention_days INTEGER);
-- live: in a compacted topic, the sum of the checksums of all records with a value.
CREATE TABLE ends (place INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, live INTEGER NOT NULL);
-- id: place and offset in one number (store.py), so that a partition is one range of it.
-- compacted_place: the place if the topic is compacted, else null. The latest record of a key replaces the one before.
CREATE TABLE records (
    id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, headers BLOB,
    timestamp INTEGER NOT NULL, compacted_place INTEGER);
CREATE UNIQUE INDEX latest ON records (compacted_place, key) WHERE compacted_place IS NOT NULL;
CREATE INDEX tombstones ON records (timestamp) WHERE value IS NULL;
CREATE TABLE leases (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, process TEXT NOT NULL, heartbeat INTEGER NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""

BATCH_RECORDS: Final = 2_000


def prepare(path: str, settings: SqliteSettings) -> None:
    """Create the file if it is missing, readable by its owner only: it holds what competitors ship. SQLite's side files
    get the same mode. Refuses a file that is not ours, has another format or can't be shared safely. Raises
    FatalLogError, TaskRetry."""
    _refuse_network_drive(path)
    try:
        make_for_owner(path)
    except OSError as error:
        raise FatalLogError(
            f"{path} can't be made ({error.strerror}). Its folder must exist, and this user must have the right to "
            "write to it"
        ) from error
    _refuse_unsafe(path)
    if os.stat(path).st_mode & stat.S_IRWXO:
        log.warning("file_open_to_all", file=path, reason="others may read or write it: chmod 600")
    with translated(path):
        connection = connect(path, settings.busy_timeout_seconds)
        try:
            _recognise_or_create(connection, path)
        finally:
            connection.close()


def _refuse_network_drive(path: str) -> None:
    """Two machines that open a file there destroy it. Warn of a drive that may be one."""
    mount = mount_of(Path(path))
    if mount is None or not mount.may_be_shared:
        return
    if mount.is_network_drive:
        raise FatalLogError(
            f"{path} is on a network drive ({mount.kind}), where two machines that open it destroy it. Put it on a "
            "local disk, or use Kafka"
        )
    log.warning("file_on_shared_drive", file=path, kind=mount.kind, reason="put it on a local disk")


def _refuse_unsafe(path: str) -> None:
    """Refuse a file with a second name: SQLite names the side files after the file, and two sets destroy it."""
    if not os.path.isfile(path):
        raise FatalLogError(f"{path} is not a file. Name another with --log")
    if not (os.access(path, os.R_OK | os.W_OK) and os.access(os.path.dirname(os.path.realpath(path)), os.W_OK)):
        raise FatalLogError(
            f"{path} or its folder can't be written to, which reading needs too: copy it (with its -wal, if there is "
            "one) to a folder of your own, and name the copy with --log"
        )
    if os.stat(path).st_nlink > 1:
        raise FatalLogError(f"{path} has a second name (a hard link). Two names of one file destroy it: remove one")
    if os.path.realpath(path) in (mount.point for mount in mounts()):  # such as `docker run -v snp.db:/snp.db`
        raise FatalLogError(
            f"{path} is mounted by itself, without the files that SQLite keeps beside it. Mount its folder instead"
        )


def _recognise_or_create(connection: sqlite3.Connection, path: str) -> None:
    application, version = _header(connection)
    is_new = (application, version) == (0, 0) and _is_empty(connection)
    if not is_new:
        if application != APPLICATION_ID:
            raise FatalLogError(f"{path} is a database of another program. Name another file, or move this one away")
        _refuse_other_format(path, version)
    if target := moved_to(connection):
        raise FatalLogError(f"{path} was moved to {target}: use that log. The file stays as it was at that time")
    # Also an existing file: a copy made with VACUUM INTO is not in this mode.
    (mode,) = execute_when_free(connection, "PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise FatalLogError(
            f"{path} is on a disk that programs can't share memory on (a network drive?). Put it on a local disk"
        )
    if is_new:
        with transaction(connection):
            if _is_empty(connection):  # Else another process was quicker.
                for statement in SCHEMA.split(";\n"):
                    connection.execute(statement)


def _refuse_other_format(path: str, version: int) -> None:
    if version == FORMAT:
        return
    if version > FORMAT:
        age, advice = "a newer", "Use that version of the router, or name another file with --log"
    else:
        age, advice = "an older", "Name a new file with --log, then import and feed in everything again"
    raise FatalLogError(
        f"{path} is a log of {age} version of the router (format {version}; this version reads {FORMAT}). {advice}"
    )


def _header(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None


# Migration to another log


class MigrationSource:
    """A file whose records another log is to take over. Opened by `open_migration_source`. No other program writes to
    the file while it is open. Once it is marked, none ever does: a trigger refuses every record, also from programs
    that opened the file before."""

    def __init__(self, path: str, connection: Connection, moved_to: str | None) -> None:
        self.path = path
        self.moved_to = moved_to
        """Target of the file's records, if it is marked."""
        self._connection = connection

    async def topics(self) -> list[Topic]:
        return await self._connection.run(all_topics)

    async def count(self) -> int:
        """Return the number of records of all topics."""

        def count(sqlite: sqlite3.Connection) -> int:
            return int(sqlite.execute("SELECT count(*) FROM records").fetchone()[0])

        return await self._connection.run(count)

    async def ends(self, topic: Topic) -> dict[int, int]:
        return await self._connection.run(lambda sqlite: end_offsets(sqlite, topic))

    async def records(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """Yield the records from an offset to the end, in order."""
        await self._connection.run(lambda sqlite: refuse_losses(sqlite, topic, partition))
        span = Span(topic, partition, start, (await self.ends(topic))[partition])
        while batch := await self._connection.run(partial(read, span=span, limit=BATCH_RECORDS)):
            yield batch
            span = span._replace(start=batch[-1].offset + 1)

    async def mark(self, target: str) -> None:
        """Refuse all further records and openings of the file, and keep the target's URL in it."""

        def mark(sqlite: sqlite3.Connection) -> None:
            sqlite.execute("CREATE TABLE moved (target TEXT NOT NULL)")
            sqlite.execute("INSERT INTO moved VALUES (?)", (target,))
            sqlite.execute(
                "CREATE TRIGGER moved_away BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'moved away'); END"
            )
            sqlite.execute("COMMIT")

        await self._connection.run(mark)
        self.moved_to = target


@asynccontextmanager
async def open_migration_source(path: str, settings: SqliteSettings) -> AsyncIterator[MigrationSource]:
    """Lock the file against writers until it is closed. If it is not marked by then, it is unchanged. Raises UsageError
    while a router works on the file, TaskRetry while another program writes to it for too long."""
    connection = Connection(path, settings)
    try:
        yield MigrationSource(path, connection, await connection.run(lambda sqlite: _lock(path, sqlite)))
    finally:
        await connection.close()


def _lock(path: str, connection: sqlite3.Connection) -> str | None:
    """Return the target if the file was moved before."""
    application, version = _header(connection)
    if application != APPLICATION_ID:
        raise FatalLogError(f"{path} is not a log of the router. Name the file that the router ran on")
    _refuse_other_format(path, version)
    if target := moved_to(connection):
        return target
    connection.execute("BEGIN IMMEDIATE")
    for name, process in connection.execute("SELECT name, process FROM leases"):
        if process_lives(process):
            raise UsageError(f"a router works on {path} (group {name}): stop it first. It is {described(process)}")
    return None


def moved_to(connection: sqlite3.Connection) -> str | None:
    """Return the target of the file's records, if they were moved."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'moved'").fetchone() is None:
        return None
    (target,) = connection.execute("SELECT target FROM moved").fetchone()
    return str(target)
