"""The console's file on a hostile disk: it is made again from the log, and no other file is ever harmed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from router.console.index_file import IndexFile
from router.errors import TaskRetry, UsageError
from router.log.sqlite import open_sqlite_log
from router.topics import TopicSpec

PAGE = 4096
FILLED = 500


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[IndexFile]:
    made = IndexFile(tmp_path / "index.db")
    await made.open()
    await made._write(fill)
    yield made
    await made.close()


def fill(sqlite: sqlite3.Connection) -> None:
    sqlite.executemany("INSERT INTO deeds VALUES (?, ?)", [(number, b"x" * 100) for number in range(FILLED)])
    sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def count(sqlite: sqlite3.Connection) -> int:
    (number,) = sqlite.execute("SELECT count(value) FROM deeds").fetchone()
    return int(number)


async def opened(path: Path) -> None:
    index = IndexFile(path)
    try:
        await index.open()
    finally:
        await index.close()


@pytest.mark.parametrize("version", [0, 1, 99])
async def test_a_log_named_by_mistake_is_refused_and_left_as_it_was(tmp_path: Path, version: int) -> None:
    async with open_sqlite_log(str(tmp_path / "snp.db")) as log:
        await log.create_topics([TopicSpec("t", 1)])
    with closing(sqlite3.connect(tmp_path / "snp.db")) as sqlite:
        sqlite.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(UsageError, match="no index of the console's"):
        await opened(tmp_path / "snp.db")
    with closing(sqlite3.connect(tmp_path / "snp.db")) as sqlite:
        assert sqlite.execute("SELECT name FROM topics").fetchall() == [("t",)]


async def test_what_cant_be_an_index_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no index " * 1000)
    (tmp_path / "folder").mkdir()
    for name in ("text", "folder", "no/where"):
        with pytest.raises(UsageError, match=r"can't be used: .*console.index_file"):
            await opened(tmp_path / name)


def a_page_is_lost(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-PAGE:] = bytes(PAGE)
    path.write_bytes(content)


def it_is_cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def it_is_deleted(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [a_page_is_lost, it_is_cut_off, it_is_deleted])
async def test_a_broken_index_is_made_anew(tmp_path: Path, index: IndexFile, damage: Callable[[Path], None]) -> None:
    await index._write(lambda sqlite: sqlite.execute("SELECT 1").close())
    damage(tmp_path / "index.db")
    with pytest.raises(TaskRetry, match="is made again"):
        await index._read(count)
    await index.mend()
    assert await index._read(count) == 0
    await index._write(fill)
    assert await index._read(count) == FILLED


async def test_of_two_consoles_on_one_file_one_begins_anew_and_both_go_on(tmp_path: Path, index: IndexFile) -> None:
    assert await index._read(count) == FILLED
    other = IndexFile(tmp_path / "index.db")
    await other.open()
    await other.begin_anew()
    with pytest.raises(TaskRetry):
        await index._read(count)
    await index.mend()
    await index._write(fill)
    assert await other._read(count) == FILLED
    await other.close()


async def test_an_index_of_another_version_is_made_anew(tmp_path: Path, index: IndexFile) -> None:
    await index._write(lambda sqlite: sqlite.execute("PRAGMA user_version = 99").close())
    await index.close()
    again = IndexFile(tmp_path / "index.db")
    await again.open()
    assert await again._read(count) == 0
    await again.close()
