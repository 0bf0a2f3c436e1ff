"""A connection to the file in its own thread, SQLite's errors as ours, and a watch for changes by other programs."""

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
from typing import Any, ClassVar, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from router.background import start_background
from router.errors import FatalLogError, LogError, TaskRetry, UsageError
from router.log.processes import described, this_process

PRAGMAS: Final = (
    "synchronous = FULL",  # A commit survives a power cut.
    "cache_size = -32000",  # 32 MB
    "wal_autocheckpoint = 8000",  # 32 MB: a page written often is copied to the file once.
    "journal_size_limit = 64000000",
)

LOCK_POLL_SECONDS: Final = 0.001
"""Pause between tries for the write lock. SQLite's own pauses grow to 100 ms, most of a notice's delay beside a busy
feed."""

WATCH_SECONDS: Final = 0.005
"""Pause between looks for another process's commits: most of the delay of a reader that waits."""

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


class SqliteSettings(BaseModel):
    """Settings of a SQLite log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    busy_timeout_seconds: float = Field(default=5.0, gt=0, le=3600)
    """Wait for another program's write before `TaskRetry`."""
    lease_seconds: float = Field(default=10.0, gt=0)
    """A router without a heartbeat for this long loses its tasks. One whose process is gone loses them at once."""
    retry_pause_seconds: ClassVar[float] = 0.1
    longest_retry_pause_seconds: ClassVar[float] = 10.0


# Errors

PRIMARY: Final = 0xFF
"""The low byte of an extended result code is the primary one (https://www.sqlite.org/rescode.html)."""

DAMAGED: Final = (
    "is damaged. Stop every program that uses it, keep the file as it is, and restore a backup; then feed in again "
    "what came since"
)
FULL: Final = "has no room: the disk is full. Nothing was half written. Make room"
LOCKED: Final = "is locked by another program. Nothing was written; try again"

FATAL_ADVICE: Final[dict[int, str]] = {
    sqlite3.SQLITE_READONLY: "can't be written to. Give this user the right to write to it and its folder",
    sqlite3.SQLITE_CANTOPEN: (
        "can't be opened. Check that it exists, that this user may read and write it and its folder, and the limit of "
        "open files (ulimit -n)"
    ),
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: (
        "is not a SQLite database, or its first page is damaged. Name another file with --log, or restore a backup"
    ),
    sqlite3.SQLITE_CONSTRAINT: DAMAGED,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: "takes no more records: it was moved to another log. Start again on that one",
    sqlite3.SQLITE_IOERR: (
        "can't be read or written: the disk reports an error, or a quota or limit (ulimit -f) is reached. Look at the "
        "system's log"
    ),
}
UNKNOWN_ADVICE: Final = "failed in a way that is not expected. Check it with `snp-router topics check`, and report this"

RETRY_ADVICE: Final[dict[int, str]] = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: FULL,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_PROTOCOL: LOCKED,
}
"""Errors that another try may not meet."""


class DamagedError(Exception):
    """A difference between what was written and what is read, and where it is. Never leaves this package."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise any SQLite error inside as TaskRetry (locked for too long, disk full) or FatalLogError."""
    try:
        yield
    except sqlite3.Error as error:
        # An error without a code is Python's, which could not decode a damaged text column.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if advice := RETRY_ADVICE.get(code) or RETRY_ADVICE.get(code & PRIMARY):
            advice += _routers_on(path) if advice is LOCKED else ""
            raise TaskRetry(f"{path} {advice} (SQLite: {error})") from error
        advice = FATAL_ADVICE.get(code) or FATAL_ADVICE.get(code & PRIMARY, UNKNOWN_ADVICE)
        raise FatalLogError(f"{path} {advice} (SQLite: {error})") from error
    except MemoryError as error:  # A damaged length may also ask for more memory than there is.
        raise FatalLogError(
            f"{path} can't be read: memory ran out (ulimit -v), or it is damaged. Run `snp-router topics check`"
        ) from error
    except (DamagedError, UnicodeDecodeError) as error:  # SQLite quotes a damaged schema in that schema's own bytes.
        raise FatalLogError(f"{path} {DAMAGED} ({error})") from error


def _routers_on(path: str) -> str:
    """Return a sentence for each other router that works on a locked file; empty if it can't be read."""
    try:
        connection = connect(path, busy_timeout_seconds=0)
        try:
            processes = [process for (process,) in connection.execute("SELECT process FROM leases")]
        finally:
            connection.close()
    except sqlite3.Error:
        return ""
    return "".join(f". A router works on it: {described(one)}" for one in processes if one != this_process())


# Connections


def connect(path: str, busy_timeout_seconds: float) -> sqlite3.Connection:
    """Open an existing file. A missing one is never created here."""
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


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Commit everything inside, or nothing."""
    execute_when_free(connection, f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def execute_when_free(connection: sqlite3.Connection, statement: str) -> sqlite3.Cursor:
    """Execute a statement that takes a lock, waiting for other programs up to the busy time-out."""
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    deadline = time.monotonic() + patience_ms / 1000
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                return connection.execute(statement)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(LOCK_POLL_SECONDS)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")


class OpenedFiles:
    """Identity of the file and of the two that SQLite keeps beside it. If one is removed or replaced, this process
    would go on with a file that no other program can see."""

    def __init__(self, path: str) -> None:
        real = os.path.realpath(path)
        self._paths = (os.path.abspath(path), f"{real}-wal", f"{real}-shm")
        self._seen: dict[str, tuple[int, int]] = {}

    def check(self) -> None:
        """Raise FatalLogError if a file is no longer the one that was opened."""
        for path in self._paths:
            try:
                status = os.stat(path)
                found = (status.st_dev, status.st_ino)
                self._seen.setdefault(path, found)  # The first job creates the two side files.
            except OSError:
                found = None
            if found != self._seen.get(path):
                raise FatalLogError(
                    f"{path} was taken away or replaced while it was in use. Stop every program that uses it, put the "
                    "right file in its place, without the -wal and -shm of another, and start again"
                )


class QueuedWrite(NamedTuple):
    """A job for the next transaction, and the future of its outcome."""

    job: Job[Any]
    outcome: Future[Any]


class Connection:
    """A connection whose jobs run one after another in a thread of its own. Its owner closes it."""

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._settings = settings
        self._sqlite: sqlite3.Connection | None = None
        self._files = OpenedFiles(path)
        self._writes = deque[QueuedWrite]()

    async def run(self, job: Job[T]) -> T:
        """Run `job` in the thread; when this returns, the job is not running. If the caller is cancelled, a job not yet
        begun is dropped and one that runs is awaited; the busy time-out bounds it. Raises TaskRetry, FatalLogError, and
        the errors of ours that the job raises."""
        return await _outcome(self._submit(lambda: self._translated(job)))

    async def commit(self, job: Job[T]) -> T:
        """Run `job` in a transaction shared with all other waiting jobs, so that the disk syncs once for all. A job
        that raises an error of ours takes back its own writes only. Cancellation and errors are as with `run`."""
        write = QueuedWrite(job, Future())
        self._writes.append(write)
        self._submit(self._commit_together)
        return await _outcome(write.outcome)

    async def close(self) -> None:
        with suppress(RuntimeError):  # It is closed already.
            await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=False)

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        try:
            return self._thread.submit(job)
        except RuntimeError as error:
            raise UsageError(f"the log {self.path} is closed") from error

    def _commit_together(self) -> None:
        waiting = [self._writes.popleft() for _ in range(len(self._writes))]
        writes = [write for write in waiting if write.outcome.set_running_or_notify_cancel()]
        if not writes:  # An earlier call committed them too.
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

    def _translated(self, job: Job[T]) -> T:
        with translated(self.path):
            if self._sqlite is None:
                self._sqlite = connect(self.path, self._settings.busy_timeout_seconds)
                self._files = OpenedFiles(self.path)
            self._files.check()
            return job(self._sqlite)

    def _close(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None


def _committed(connection: sqlite3.Connection, writes: Iterable[QueuedWrite]) -> list[Any]:
    """Return each job's result, or the error of ours that it raised."""
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
            await _ended(waiting)
        raise


async def _ended(future: asyncio.Future[T]) -> None:
    """Wait for the future however often the caller is cancelled, and mark its exception as seen."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    if not future.cancelled():
        future.exception()


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event. Returns False if it has not come after so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for would lose a cancellation that comes with the event.
            return await event.wait()
    return False


class ChangeWatch:
    """Wakes waiting readers when the file changes, in this process or another. One look serves all readers of a
    process: SQLite's `data_version` takes a few microseconds and needs no thread. An error here wakes the readers, who
    meet it themselves."""

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        with translated(path):
            self._sqlite = connect(path, settings.busy_timeout_seconds)
            self._sqlite.execute("PRAGMA busy_timeout = 0")  # It runs in the event loop and must not wait.
        self._change = asyncio.Event()
        self._watching = start_background("watching the file", self._watch)

    def next_change(self) -> asyncio.Event:
        """Return the event of the next change. Take it before reading and await it after, so that none is missed."""
        return self._change

    def notify(self) -> None:
        """Wake the readers now, after a write by this process."""
        change, self._change = self._change, asyncio.Event()
        change.set()

    def next_offset(self, topic: str, partition: int) -> int:
        """Return the next record's offset in a partition; 0 if it can't be read now."""
        query = "SELECT next_offset FROM ends WHERE place = ? + (SELECT first_place FROM topics WHERE name = ?)"
        return self._number(query, (partition, topic)) or 0

    async def close(self) -> None:
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching
        self._sqlite.close()

    async def _watch(self) -> None:
        seen: int | None = -1
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            version = self._number("PRAGMA data_version")
            if version != seen:
                seen = version
                self.notify()

    def _number(self, query: str, values: tuple[object, ...] = ()) -> int | None:
        try:
            row = self._sqlite.execute(query, values).fetchone()
        except sqlite3.Error:
            return None
        return int(row[0]) if row else None
