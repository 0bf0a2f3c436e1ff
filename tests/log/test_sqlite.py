"""The SQLite log keeps the contract. Besides: the file, its owner, and faults of both."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar

import pytest

from router import topics
from router.clock import now_milliseconds
from router.errors import FatalLogError, TaskMoved, TaskRetry, UsageError
from router.log.interface import AdministeredLog, Log, Output, Task
from router.log.processes import process_lives, this_process
from router.log.sqlite import SqliteSettings, open_sqlite_log
from router.log.sqlite.file import open_migration_source
from router.log.sqlite.store import all_topics, sweep
from router.model.eastern import DAY
from router.topics import BILLS, DISPOSITIONS, INPUTS, TopicSpec, topic_specs
from tests.log.contract import LogContract, counted, everything, outputs, position_output, values


class Quick(SqliteSettings):
    retry_pause_seconds: ClassVar[float] = 0.01
    longest_retry_pause_seconds: ClassVar[float] = 0.05


QUICK = Quick(busy_timeout_seconds=0.5, lease_seconds=1)

FORMER_FORMAT = """
CREATE TABLE topics (
    first_place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,
    compacted INTEGER NOT NULL, retention_days INTEGER);
CREATE TABLE ends (place INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, live INTEGER NOT NULL);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, headers BLOB,
    timestamp INTEGER NOT NULL);
CREATE TABLE latest (
    place INTEGER NOT NULL, key BLOB NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (place, key)) WITHOUT ROWID;
CREATE TABLE leases (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, process TEXT NOT NULL, heartbeat INTEGER NOT NULL);
INSERT INTO topics VALUES (0, 'snp.bills', 1, 1, NULL);
INSERT INTO ends VALUES (0, 1, 5);
INSERT INTO records VALUES (0, 5, 'NVXA1', x'00', NULL, 1);
INSERT INTO latest VALUES (0, 'NVXA1', 0);
PRAGMA application_id = 0x534E5052;
PRAGMA user_version = 2;
"""
"""A file with one record, as versions before this one wrote it."""


class SqliteLogs:
    group = "contract"

    def __init__(self, path: Path, stack: AsyncExitStack) -> None:
        self.path = path
        self._stack = stack

    async def open(self) -> AdministeredLog:
        return await self._stack.enter_async_context(open_sqlite_log(str(self.path), QUICK))

    async def lose(self, client: Log) -> None:
        """Make its process seem gone."""
        with sqlite3.connect(self.path) as connection:
            connection.execute("UPDATE leases SET process = ?", (this_process().rpartition("@")[0] + "@long ago",))
        connection.close()


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[SqliteLogs]:
    async with AsyncExitStack() as stack:
        yield SqliteLogs(tmp_path / "snp.db", stack)


class TestSqliteLog(LogContract):
    pass


async def new_log(logs: SqliteLogs) -> AdministeredLog:
    log = await logs.open()
    await log.create_topics([TopicSpec("t", 1), TopicSpec(BILLS, 1, compacted=True), TopicSpec(DISPOSITIONS, 1)])
    return log


class TestFile:
    async def test_only_its_owner_can_read_the_file(self, logs: SqliteLogs) -> None:
        log = await new_log(logs)
        await log.append(outputs("t", 1))

        for file in logs.path.parent.glob("snp.db*"):
            assert file.stat().st_mode & 0o777 == 0o600, file

    async def test_a_file_that_is_no_database_is_refused(self, logs: SqliteLogs) -> None:
        logs.path.write_bytes(b"bill of lading, " * 1000)

        with pytest.raises(FatalLogError, match="is not a SQLite database"):
            await logs.open()

    async def test_another_programs_database_is_refused_and_left_as_it_was(self, logs: SqliteLogs) -> None:
        with sqlite3.connect(logs.path) as connection:
            connection.execute("CREATE TABLE theirs (a)")
        connection.close()
        before = logs.path.read_bytes()

        with pytest.raises(FatalLogError, match="another program"):
            await logs.open()
        assert logs.path.read_bytes() == before

    async def test_a_file_of_a_newer_format_is_refused(self, logs: SqliteLogs) -> None:
        await new_log(logs)
        with sqlite3.connect(logs.path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()

        with pytest.raises(
            FatalLogError,
            match=r"snp\.db is a log of a newer version of the router \(format 99; this version reads 3\)\. "
            "Use that version of the router, or name another file with --log",
        ):
            await logs.open()

    async def test_a_file_of_the_former_format_is_refused_and_left_as_it_was(self, logs: SqliteLogs) -> None:
        with sqlite3.connect(logs.path) as connection:
            connection.executescript(FORMER_FORMAT)
        connection.close()
        before = logs.path.read_bytes()
        words = (
            r"snp\.db is a log of an older version of the router \(format 2; this version reads 3\)\. "
            "Name a new file with --log, then import and feed in everything again"
        )

        with pytest.raises(FatalLogError, match=words):
            await logs.open()
        with pytest.raises(FatalLogError, match=words):
            async with open_migration_source(str(logs.path), QUICK):
                pass
        assert logs.path.read_bytes() == before

    async def test_a_truncated_file_is_called_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "cut.db"
        async with open_sqlite_log(str(path), QUICK) as log:
            await log.create_topics([TopicSpec("t", 1)])
            await log.append([Output("t", b"k", b"x" * 1000)] * 2000)
        os.truncate(path, path.stat().st_size // 2)

        with pytest.raises(FatalLogError, match="is damaged"):
            async with open_sqlite_log(str(path), QUICK) as log:
                await everything(log, "t")

    async def test_a_file_with_a_damaged_schema_is_called_damaged(self, logs: SqliteLogs) -> None:
        await new_log(logs)
        with sqlite3.connect(logs.path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        content = logs.path.read_bytes()
        for name in (b"CREATE TABLE topics", b"CREATE TABLE ends", b"CREATE TABLE records"):
            logs.path.write_bytes(content.replace(name, b"CREATE \x9b\xff" + name[9:]))
            with pytest.raises(FatalLogError, match="is damaged"):
                await logs.open()

    async def test_a_directory_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FatalLogError, match=r"nowhere.*folder must exist"):
            async with open_sqlite_log(str(tmp_path / "nowhere" / "snp.db")):
                pass

    async def test_a_file_locked_for_too_long_means_try_again(self, logs: SqliteLogs) -> None:
        log = await new_log(logs)
        other = sqlite3.connect(logs.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(TaskRetry, match="locked"):
            await log.append(outputs("t", 1))
        other.execute("ROLLBACK")
        other.close()
        await log.append(outputs("t", 1))

        assert await values(log, "t") == [b"0"]

    async def test_a_full_disk_means_try_again_and_nothing_is_half_written(self, logs: SqliteLogs) -> None:
        log = await new_log(logs)
        await log.append(outputs("t", 1))
        # SQLite's own limit gives the error that a full disk gives.
        await log._writer.run(lambda connection: connection.execute("PRAGMA max_page_count = 30"))  # type: ignore[attr-defined]

        with pytest.raises(TaskRetry, match="full"):
            await log.append([Output("t", b"k", b"x" * 4000)] * 100)

        assert await values(log, "t") == [b"0"]

    async def test_a_closed_log_is_called_closed(self, tmp_path: Path) -> None:
        async with open_sqlite_log(str(tmp_path / "snp.db")) as log:
            pass
        with pytest.raises(UsageError, match="is closed"):
            await log.topics()


class TestTail:
    async def test_another_connections_record_is_seen_without_waiting_for_the_next_sign_of_life(
        self, logs: SqliteLogs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("router.log.sqlite.log.IDLE_SECONDS", 3600)
        log, other = await new_log(logs), await logs.open()
        tail = other.read(["t"])
        for number in range(3):
            waiting = asyncio.ensure_future(anext(tail))
            await asyncio.sleep(0.03)
            await log.append(outputs("t", 1, first=number))
            async with asyncio.timeout(30):
                assert len(await waiting) == 1

    async def test_a_busy_topic_does_not_keep_others_from_being_read(self, logs: SqliteLogs) -> None:
        log = await new_log(logs)
        await log.create_topics([TopicSpec("busy", 1)])
        await log.append(outputs("busy", 9000) + outputs("t", 1))
        topics = [{record.topic for record in batch} async for batch in log.read(["busy", "t"], until_end=True)]

        assert "t" in topics[1]


class TestLease:
    def test_a_process_lives_until_it_is_gone(self) -> None:
        machine, _, rest = this_process().rpartition("/")
        pid, _, _ = rest.partition("@")

        assert process_lives(this_process())
        assert not process_lives(f"{machine}/{pid}@1")  # The number is used again.
        assert process_lives(f"another machine/{pid}@1")  # Nothing can be known.

    async def test_a_second_router_waits_for_the_first_to_stop(self, logs: SqliteLogs) -> None:
        log, other = await new_log(logs), await logs.open()
        working, stop, order = asyncio.Event(), asyncio.Event(), []

        async def first(task: Task) -> None:
            working.set()
            await stop.wait()
            order.append("first")

        async def second(task: Task) -> None:
            order.append("second")

        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(log.work([DISPOSITIONS], first))
            await working.wait()
            group.create_task(other.work([DISPOSITIONS], second))
            await asyncio.sleep(1.5)  # Longer than the lease: the first gives signs of life.
            assert order == []
            stop.set()

        assert order == ["first", "second"]

    async def test_a_router_that_gives_no_sign_of_life_is_taken_over(self, logs: SqliteLogs) -> None:
        log = await new_log(logs)
        with sqlite3.connect(logs.path) as connection:
            connection.execute("INSERT INTO leases VALUES ('snp-router', 'someone', 'elsewhere/1@1', 7)")
        connection.close()
        ran = []

        async def run(task: Task) -> None:
            ran.append(task.partition)

        began = time.monotonic()
        async with asyncio.timeout(10):
            await log.work([DISPOSITIONS], run)

        assert ran == [0]
        assert time.monotonic() - began >= QUICK.lease_seconds

    async def test_a_lease_taken_behind_a_tasks_back_fences_its_next_commit(self, logs: SqliteLogs) -> None:
        log, other = await new_log(logs), await logs.open()
        moved: list[bool] = []

        async def run(task: Task) -> None:
            if moved:
                assert await counted(task) == 5
                return
            await task.commit([position_output(0, count=1)])
            with sqlite3.connect(logs.path) as connection:
                connection.execute("UPDATE leases SET owner = 'another', process = 'elsewhere/1@1'")
            connection.close()
            await other.append([position_output(0, count=5)])
            try:
                await task.commit([position_output(0, count=2)])
            except TaskMoved:
                moved.append(True)
                raise

        async with asyncio.timeout(10):
            await log.work([DISPOSITIONS], run)

        assert moved == [True]


class TestSweep:
    async def test_old_tombstones_go_and_keys_written_again_stay(self, logs: SqliteLogs) -> None:
        log = await new_log(logs)
        await log.append([Output(BILLS, b"a", b"1"), Output(BILLS, b"b", b"1"), Output(BILLS, b"c", b"1")])
        await log.append([Output(BILLS, b"a", None), Output(BILLS, b"b", None)])
        await log.append([Output(BILLS, b"b", b"2")])

        assert [r.key for r in await everything(log, BILLS)] == [b"c", b"a", b"b"]
        sweep_a_week_later(logs.path)

        assert [(r.key, r.value) for r in await everything(log, BILLS)] == [(b"c", b"1"), (b"b", b"2")]

    async def test_records_beyond_their_topics_retention_go(self, logs: SqliteLogs) -> None:
        log = await new_log(logs)
        await log.create_topics([TopicSpec("short", 1, retention_days=2)])
        await log.append(outputs("short", 3) + outputs("t", 3))
        sweep_a_week_later(logs.path)

        assert [record.topic for record in await everything(log, "short", "t")] == ["t"] * 3
        assert await log.end_offsets("short") == {0: 3}


def test_no_clock_deletes_anything_unread_but_what_parties_ask() -> None:
    """A machine's clock may be a year ahead. Input, notices and decisions are kept whatever the time is."""
    specs = [*topics.topic_specs(4), *topics.party_topic_specs("SLTC")]
    assert [spec.name for spec in specs if spec.retention_days is not None] == ["snp.request.SLTC"]


def sweep_a_week_later(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        sweep(connection, all_topics(connection), now_milliseconds() + 7 * DAY)
    connection.close()


def test_no_input_is_swept_before_it_is_read() -> None:
    """A file is swept of topics with a retention alone, so a task on it never misses what it did not read."""
    kept = {spec.name for spec in topic_specs(4) if spec.compacted or spec.retention_days is None}
    assert {*INPUTS} <= kept
