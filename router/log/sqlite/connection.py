"""What SQLite's result codes mean to us, as a table. Translated here, once, and nowhere else.

One connection to the file, in a thread of its own, so that the event loop stays free.

Tells waiting readers that the file has changed, whoever changed it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from router.errors import FatalLogError, LogError, TaskRetry, UsageError

_PRIMARY: Final = 0xFF
"""The low byte of an extended result code is the primary one (https://www.sqlite.org/rescode.html)."""

_DAMAGED: Final = (
    "is damaged. Stop every program that uses it, keep it as it is, and restore a backup; feeds may be run again"
)
_UNKNOWN: Final = "could not do what was asked. It is damaged, or this is a fault of the router's: report it"
_NO_RIGHT: Final = "can't be opened: this user has no right to it"

_ADVICE: Final[dict[int, str]] = {
    sqlite3.SQLITE_READONLY: "can't be written to. Give this user the right to write to it and its folder",
    sqlite3.SQLITE_PERM: _NO_RIGHT,
    sqlite3.SQLITE_AUTH: _NO_RIGHT,
    sqlite3.SQLITE_CANTOPEN: (
        "can't be opened. It must be there, this user must have the right to read and write it and its folder, and "
        "may not have too many files open (ulimit -n)"
    ),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: (
        "is not a SQLite database, or its first page is damaged. Name another file with --log, or restore a backup"
    ),
    sqlite3.SQLITE_CONSTRAINT: _DAMAGED,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: "takes no records any more: it was moved to another log. Start again on that",
    sqlite3.SQLITE_IOERR: (
        "can't be read or written: the disk reports an error, or a quota or limit (ulimit -f) is reached. Look at the "
        "system's log"
    ),
}

_FULL: Final = "has no room: the disk is full. Nothing was half written. Make room"
_LOCKED: Final = "is locked by another program. Nothing was written; try again"

_FOR_NOW: Final[dict[int, str]] = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
}
"""What may well be over when it is tried again."""


class DamagedError(Exception):
    """What was read is not what was written. Says where; never leaves this package."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Any SQLite error inside becomes `TaskRetry` (the file is locked for too long, or the disk is full) or
    `FatalLogError`."""
    try:
        yield
    except sqlite3.Error as error:
        # Without a code, it is Python that could not make a text of a damaged column.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if for_now := _FOR_NOW.get(code) or _FOR_NOW.get(code & _PRIMARY):
            raise TaskRetry(f"{path} {for_now} (SQLite says: {error})") from error
        advice = _ADVICE.get(code) or _ADVICE.get(code & _PRIMARY, _UNKNOWN)
        raise FatalLogError(f"{path} {advice} (SQLite says: {error})") from error
    except MemoryError as error:  # also where a damaged length is beyond all bounds
        raise FatalLogError(
            f"{path} can't be read: there is not memory enough (ulimit -v), or it is damaged: `snp-router topics check`"
        ) from error
    except (DamagedError, UnicodeDecodeError) as error:  # a damaged schema, SQLite quotes in that schema's own bytes
        raise FatalLogError(f"{path} {_DAMAGED} ({error})") from error


PRAGMAS: Final = (
    "synchronous = FULL",  # What was committed survives a power cut.
    "cache_size = -32000",  # 32 MB
    "wal_autocheckpoint = 8000",  # 32 MB: pages written often are copied to the file once.
    "journal_size_limit = 64000000",
)

LOCK_LOOK_SECONDS: Final = 0.001
"""So often we look whether another process has given the write lock back. SQLite by itself looks ever more seldom, at
last each 100 ms: beside a busy feed that was most of a notice's delay."""

T = TypeVar("T")


class SqliteSettings(BaseModel):
    """What may be set of a SQLite log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    busy_timeout_seconds: float = Field(default=5.0, gt=0, le=3600)
    """How long to wait for another program's write before `TaskRetry`."""
    lookup_seconds: float = Field(default=0.005, gt=0)
    """How often a tailing reader looks whether another process wrote: the greater part of its delay."""
    lease_seconds: float = Field(default=10.0, gt=0)
    """A router that gave no sign of life for so long is taken over. One whose process is gone, at once."""
    retry_pause_seconds: float = Field(default=0.1, gt=0)
    longest_retry_pause_seconds: float = Field(default=10.0, gt=0)


class Write(NamedTuple):
    """What waits to be committed, and where its outcome goes."""

    job: Callable[[sqlite3.Connection], Any]
    outcome: Future[Any]


class OpenedFiles:
    """The file and the two that SQLite keeps beside it. Were one taken away or replaced, this process would go on with
    what nobody else can see."""

    def __init__(self, path: str) -> None:
        real = os.path.realpath(path)
        self._paths = (os.path.abspath(path), f"{real}-wal", f"{real}-shm")
        self._seen: dict[str, tuple[int, int]] = {}

    def check(self) -> None:
        """Raises FatalLogError."""
        for path in self._paths:
            found = _file_behind(path)
            if found != self._seen.get(path):
                if path in self._seen:
                    raise FatalLogError(
                        f"{path} was taken away or replaced while it was in use. Stop every program that uses it, put "
                        "the right file in its place, without the -wal and -shm of another, and start again"
                    )
                if found is not None:  # the side files come with the first job
                    self._seen[path] = found


def _file_behind(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class Connection:
    """Jobs are run one after the other in this connection's thread. Closed by its owner."""

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._settings = settings
        self._sqlite: sqlite3.Connection | None = None
        self._files = OpenedFiles(path)
        self._writes = deque[Write]()

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in the thread. If the caller is cancelled, a job not yet begun is dropped and one that
        runs is waited for (the busy time-out bounds it): when this returns, the job is not running.

        Raises TaskRetry, FatalLogError, and whatever of ours the job raises.
        """
        return await _outcome(self._submit(lambda: self._translated(job)))

    async def commit(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in a transaction, which it shares with all that waits to be committed by then: the disk is waited
        for once. One of them that raises an error of ours takes back what it wrote itself, and nothing else.

        Cancellation and errors as with `run`.
        """
        write = Write(job, Future())
        self._writes.append(write)
        self._submit(self._commit_together)
        return await _outcome(write.outcome)

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        try:
            return self._thread.submit(job)
        except RuntimeError as error:
            raise UsageError(f"the log {self.path} is closed") from error

    def _commit_together(self) -> None:
        """All that waits; nothing, if one before took it along."""
        waiting = [self._writes.popleft() for _ in range(len(self._writes))]
        writes = [write for write in waiting if write.outcome.set_running_or_notify_cancel()]
        if not writes:
            return
        try:
            results = self._translated(lambda connection: _committed(connection, writes))
        except BaseException as error:
            for write in writes:
                write.outcome.set_exception(error)
            raise
        for write, result in zip(writes, results, strict=True):
            if isinstance(result, LogError):
                write.outcome.set_exception(result)
            else:
                write.outcome.set_result(result)

    async def close(self) -> None:
        with suppress(RuntimeError):  # closed before
            await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None

    def _translated(self, job: Callable[[sqlite3.Connection], T]) -> T:
        with translated(self.path):
            if self._sqlite is None:
                self._sqlite = connect(self.path, self._settings.busy_timeout_seconds)
                self._files = OpenedFiles(self.path)
            self._files.check()
            return job(self._sqlite)


def _committed(connection: sqlite3.Connection, writes: Iterable[Write]) -> list[Any]:
    """Of each its result, or the error of ours that it raised."""
    results = []
    with transaction(connection):
        for write in writes:
            connection.execute("SAVEPOINT one")
            try:
                results.append(write.job(connection))
            except LogError as error:
                connection.execute("ROLLBACK TO one")
                results.append(error)
            connection.execute("RELEASE one")
    return results


async def _outcome(submitted: Future[T]) -> T:
    waiting = asyncio.wrap_future(submitted)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        if not submitted.cancel():
            await _finished(waiting)
        raise


async def _finished(future: asyncio.Future[T]) -> None:
    """Wait for the future whatever happens to the waiter; its exception counts as seen."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    if not future.cancelled():
        future.exception()


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All inside, or nothing."""
    _begin(connection, kind)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _begin(connection: sqlite3.Connection, kind: str) -> None:
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    deadline = time.monotonic() + patience_ms / 1000
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.execute(f"BEGIN {kind}")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(LOCK_LOOK_SECONDS)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")


def is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def connect(path: str, busy_timeout_seconds: float) -> sqlite3.Connection:
    """To a file that is there: one that is missing is never made by the way."""
    address = f"{Path(path).absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(
        address, uri=True, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class Watch:
    """One look for all readers of a process: SQLite's `data_version`, a few microseconds, without a thread.

    It changes whenever another connection commits, in this process or another. An error here is left to the
    readers, who are woken and meet it themselves.
    """

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        with translated(path):
            self._sqlite = connect(path, settings.busy_timeout_seconds)
            # From now on it must never wait: it runs in the event loop.
            self._sqlite.execute("PRAGMA busy_timeout = 0")
        self._pause = settings.lookup_seconds
        self._change = asyncio.Event()
        self._looking = asyncio.create_task(self._look())

    def next_change(self) -> asyncio.Event:
        """Take it before looking for records, wait for it after: then nothing falls between."""
        return self._change

    def tell(self) -> None:
        """Something was written by this process: wake the readers now."""
        change, self._change = self._change, asyncio.Event()
        change.set()

    def next_offset(self, place: int) -> int:
        """Of the record that will come next there; 0 where that can't be told now."""
        try:
            (offset,) = self._sqlite.execute("SELECT next_offset FROM ends WHERE place = ?", (place,)).fetchone()
        except sqlite3.Error:
            return 0
        return int(offset)

    async def close(self) -> None:
        self._looking.cancel()
        with suppress(asyncio.CancelledError):
            await self._looking
        self._sqlite.close()

    async def _look(self) -> None:
        seen = -1
        while True:
            await asyncio.sleep(self._pause)
            version = self._version()
            if version != seen:
                seen = version
                self.tell()

    def _version(self) -> int:
        try:
            (version,) = self._sqlite.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return -2
        return int(version)
