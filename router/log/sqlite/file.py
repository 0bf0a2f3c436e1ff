"""The file itself: made, recognised, and whether a path still names the one that was opened.

Giving a file's records away to another log, once and for all.

While it is open, nobody else writes to the file. Once it is marked, nobody ever does again: a trigger refuses every
record, also those of programs that had opened the file before.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import structlog

from router.errors import FatalLogError, UsageError
from router.files import make_for_owner
from router.log.interface import Record
from router.log.sqlite.connection import Connection, SqliteSettings, connect, is_busy, transaction, translated
from router.log.sqlite.store import Catalogue, Span, Topic, end_offsets, read, refuse_losses
from router.log.sqlite.task import process_lives

log = structlog.get_logger()

APPLICATION_ID: Final = 0x534E5052
"""`SNPR` in the file's header: tells our files from other programs' SQLite files."""

SCHEMA_VERSION: Final = 2

MOUNT_POINT: Final = 4
"""The field of a line of /proc/self/mountinfo (proc_pid_mountinfo(5))."""

SCHEMA: Final = f"""
-- A topic's partition p is the place first_place + p. Topics are made, never changed or taken away.
CREATE TABLE topics (
    first_place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,
    compacted INTEGER NOT NULL, retention_days INTEGER);
-- live: of compacted topics the sum of the checksums of all records that hold a value.
CREATE TABLE ends (place INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, live INTEGER NOT NULL);
-- id is the place and the offset in one number (store.py): a partition is one range of it.
CREATE TABLE records (
    id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, headers BLOB,
    timestamp INTEGER NOT NULL);
CREATE INDEX tombstones ON records (timestamp) WHERE value IS NULL;
-- Of compacted topics: where the last record of each key is. Those before are deleted when overtaken.
CREATE TABLE latest (
    place INTEGER NOT NULL, key BLOB NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (place, key)) WITHOUT ROWID;
CREATE TABLE leases (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, process TEXT NOT NULL, heartbeat INTEGER NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


def prepare(path: str, settings: SqliteSettings) -> None:
    """Make the file if it is not there, for its owner only: it holds what competitors ship. (SQLite's side files get
    the same mode.) Refuse one that is not ours, from a newer version, or can't be shared safely.

    Raises FatalLogError, TaskRetry.
    """
    try:
        make_for_owner(path)
    except OSError as error:
        raise FatalLogError(
            f"{path} can't be made ({error.strerror}). Its folder must exist, and this user must have the right to "
            "write to it"
        ) from error
    _refuse_what_is_unsafe(path)
    if os.stat(path).st_mode & stat.S_IRWXO:
        log.warning("file_open_to_all", file=path, reason="others may read or write it: chmod 600")
    with translated(path):
        connection = connect(path, settings.busy_timeout_seconds)
        try:
            _check(connection, path, settings)
        finally:
            connection.close()


def _refuse_what_is_unsafe(path: str) -> None:
    """SQLite finds the side files by the file's name. Under two names it has two sets of them, and is destroyed."""
    if not os.path.isfile(path):
        raise FatalLogError(f"{path} is not a file. Name another with --log")
    if not (os.access(path, os.R_OK | os.W_OK) and os.access(os.path.dirname(os.path.realpath(path)), os.W_OK)):
        raise FatalLogError(
            f"{path} or its folder can't be written to. That takes everyone, also who only looks: copy it (with its "
            f"-wal, if there is one) to a folder of your own, and name the copy with --log"
        )
    if os.stat(path).st_nlink > 1:
        raise FatalLogError(f"{path} has a second name (a hard link). Two names of one file destroy it: remove one")
    if _is_mounted_alone(path):
        raise FatalLogError(
            f"{path} is mounted by itself, without the files that SQLite keeps beside it. Mount its folder instead"
        )


def _is_mounted_alone(path: str) -> bool:
    """As `docker run -v snp.db:/snp.db` does. Only Linux tells."""
    escaped = os.path.realpath(path)
    for sign in "\\ \t\n":
        escaped = escaped.replace(sign, f"\\{ord(sign):03o}")
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    return os.fsencode(escaped) in (mount.split()[MOUNT_POINT] for mount in mounts)


def _check(connection: sqlite3.Connection, path: str, settings: SqliteSettings) -> None:
    application, version = _header(connection)
    is_new = (application, version) == (0, 0) and _is_empty(connection)
    if not is_new and application != APPLICATION_ID:
        raise FatalLogError(f"{path} is a database of another program. Name another file, or move this one away")
    if not is_new and version != SCHEMA_VERSION:
        age = "a newer" if version > SCHEMA_VERSION else "an older"
        raise FatalLogError(
            f"{path} was written by {age} version (format {version}; this one knows {SCHEMA_VERSION}). Use the version "
            "that wrote it, or begin a new file"
        )
    if target := moved_to(connection):
        raise FatalLogError(f"{path} was moved to {target}: use that log. This file is only kept as it was then")
    _switch_to_wal(connection, path, settings)
    if is_new:
        _make(connection)


def moved_to(connection: sqlite3.Connection) -> str | None:
    """Where the file's records went, if they did."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'moved'").fetchone() is None:
        return None
    (target,) = connection.execute("SELECT target FROM moved").fetchone()
    return str(target)


def _header(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def _make(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        if _is_empty(connection):  # Else another process was quicker.
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)


def _switch_to_wal(connection: sqlite3.Connection, path: str, settings: SqliteSettings) -> None:
    """Also of a file there is: a copy made with VACUUM INTO isn't in this mode. SQLite does not wait for its lock here
    by itself: of two routers on a new file, one would fail."""
    deadline = time.monotonic() + settings.busy_timeout_seconds
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    if mode != "wal":
        raise FatalLogError(f"{path} lies where programs can't share memory (a network drive?). Put it on a local disk")


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
