"""Writes that wait at the same time are committed together, and fail each for itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.errors import TaskMoved, TaskRetry
from router.files import make_for_owner
from router.log.sqlite import SqliteSettings
from router.log.sqlite.connection import Connection

Job = Callable[[sqlite3.Connection], None]


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    make_for_owner(tmp_path / "shared.db")
    connection = Connection(str(tmp_path / "shared.db"), SqliteSettings(busy_timeout_seconds=0.3))
    await connection.run(lambda sqlite: sqlite.execute("PRAGMA journal_mode = WAL").close())
    await connection.run(lambda sqlite: sqlite.execute("CREATE TABLE written (name TEXT)").close())
    yield connection
    await connection.close()


def writing(name: str, begun: list[str] | None = None) -> Job:
    def job(sqlite: sqlite3.Connection) -> None:
        if begun is not None:
            begun.append(name)
        sqlite.execute("INSERT INTO written VALUES (?)", (name,))

    return job


def writing_in_vain(sqlite: sqlite3.Connection) -> None:
    writing("in vain")(sqlite)
    raise TaskMoved("the lease went to another")


async def written(connection: Connection) -> list[str]:
    rows = await connection.run(lambda sqlite: sqlite.execute("SELECT name FROM written ORDER BY rowid").fetchall())
    return [name for (name,) in rows]


@contextmanager
def locked(connection: Connection) -> Iterator[None]:
    """Lock the file as another program would, so that writes have to wait."""
    other = sqlite3.connect(connection.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def waiting(connection: Connection, *jobs: Job) -> list[asyncio.Task[None]]:
    """Start jobs: the first waits for the lock and the others for the first, so that these go together."""
    first, *others = jobs
    tasks = [asyncio.create_task(connection.commit(first))]
    await asyncio.sleep(0)
    while connection._writes:  # until its transaction has begun without the others
        await asyncio.sleep(0.001)
    tasks += [asyncio.create_task(connection.commit(job)) for job in others]
    await asyncio.sleep(0)
    return tasks


async def test_one_that_fails_takes_back_only_its_own(connection: Connection) -> None:
    with locked(connection):
        tasks = await waiting(connection, writing("first"), writing("second"), writing_in_vain, writing("third"))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), TaskMoved, type(None)]
    assert await written(connection) == ["first", "second", "third"]


async def test_a_transaction_that_fails_fails_for_all_in_it(connection: Connection) -> None:
    def breaking(sqlite: sqlite3.Connection) -> None:
        sqlite.execute("INSERT INTO nothing_of_that_name VALUES (1)")

    with locked(connection):
        tasks = await waiting(connection, writing("first"), writing("second"), breaking)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] is None
    assert outcomes[1] is outcomes[2]
    assert await written(connection) == ["first"]


async def test_one_that_is_cancelled_before_its_turn_is_never_begun(connection: Connection) -> None:
    begun = list[str]()
    with locked(connection):
        tasks = await waiting(connection, writing("first"), writing("second", begun), writing("third", begun))
        tasks[1].cancel()
        await asyncio.sleep(0.02)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert begun == ["third"]
    assert await written(connection) == ["first", "third"]


async def test_a_lock_that_is_not_given_back_means_try_again(connection: Connection) -> None:
    with locked(connection):
        (task,) = await waiting(connection, writing("first"))
        with pytest.raises(TaskRetry):
            await task
    assert await written(connection) == []
