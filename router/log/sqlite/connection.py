"""One connection to the file, in a thread of its own, so that the event loop stays free."""

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

from router.errors import FatalLogError, LogError, UsageError
from router.log.sqlite.errors import translated

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
    lease_seconds: ClassVar[float] = 10.0
    """A router that gave no sign of life for so long is taken over. One whose process is gone, at once."""
    retry_pause_seconds: ClassVar[float] = 0.1
    longest_retry_pause_seconds: ClassVar[float] = 10.0


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
