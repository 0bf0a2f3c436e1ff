"""The desk's index: built from the topics, the same after any interruption, and rebuilt from any damage."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from router import topics
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.desk.bill_index import FOLLOWED, BillIndex, IndexedBill
from router.desk.bill_query import query_of
from router.desk.index_file import IndexFile
from router.desk.index_notices import NoticeFilter, notices_of
from router.errors import TaskRetry, UsageError
from router.log.interface import Record
from router.log.sqlite import open_sqlite_log
from router.log.url import open_log
from router.topics import TopicSpec

BILL = "NVXAHBL000012345"
PAGE = 4096
FILLED = 500
NOW = 1_785_000_000_000


@pytest.fixture
async def records(demo_log: Path) -> list[Record]:
    """All records of the demo's log."""
    async with open_log(f"sqlite:///{demo_log}") as log:
        return [record async for batch in log.read(FOLLOWED, until_end=True) for record in batch]


async def listed(index: BillIndex, **facets: str) -> list[IndexedBill]:
    return [row async for row in index.every_bill(query_of(facets), Registry(), NOW)]


# Contents


async def test_the_index_has_what_the_topics_have(index: BillIndex, records: list[Record]) -> None:
    entries = await index.write_records(records, Rules())
    assert len(entries) == sum(record.topic == topics.TIMELINE for record in records)
    assert await index.statuses() == {"RELEASED": 2, "HELD": 1, "ON_FILE": 2}  # the history of a vessel is no bill
    assert (await index.history(BILL))[-1]["status"] == "RELEASED"
    assert (await index.page(notices_of(NoticeFilter()))).total == sum(bool(one.fields["notified"]) for one in entries)


@pytest.mark.parametrize("size", [1, 7])
async def test_an_interrupted_build_resumes_where_it_stopped(
    tmp_path: Path, index: BillIndex, records: list[Record], size: int
) -> None:
    await index.write_records(records, Rules())
    interrupted = BillIndex(tmp_path / "interrupted.db")
    await interrupted.open()
    for start in range(0, len(records), size):
        await interrupted.write_records(records[start : start + size], Rules())
        await interrupted.close()
        interrupted = BillIndex(tmp_path / "interrupted.db")
        await interrupted.open()
    assert await interrupted.positions() == await index.positions()
    assert await interrupted.statuses() == await index.statuses()
    assert await interrupted.history(BILL) == await index.history(BILL)
    await interrupted.close()


async def test_the_same_records_again_change_nothing(index: BillIndex, records: list[Record]) -> None:
    await index.write_records(records, Rules())
    before = (await index.statuses(), await listed(index), await index.history(BILL))
    await index.write_records(records, Rules())
    assert (await index.statuses(), await listed(index), await index.history(BILL)) == before


async def test_a_program_that_is_behind_takes_nothing_back_from_one_that_is_ahead(
    tmp_path: Path, index: BillIndex, records: list[Record]
) -> None:
    other = BillIndex(tmp_path / "index.db")
    await other.open()
    for start in range(0, len(records), 5):
        ahead = await index.write_records(records[start : start + 5], Rules())
        again = await other.write_records(records[max(0, start - 20) : start + 5], Rules())
        shown = [entry.fields for entry in again][len(again) - len(ahead) :]
        assert shown == [entry.fields for entry in ahead]  # each shows its own readers every entry
    alone = BillIndex(tmp_path / "alone.db")
    await alone.open()
    await alone.write_records(records, Rules())
    assert await listed(other) == await listed(alone)
    assert await other.positions() == await alone.positions()
    assert await other.statuses() == await alone.statuses()
    await other.close()
    await alone.close()


async def test_a_do_not_load_rings_also_in_the_program_that_writes_second(
    tmp_path: Path, index: BillIndex, records: list[Record]
) -> None:
    other = BillIndex(tmp_path / "index.db")
    await other.open()
    decisions = [one for one in records if one.topic == topics.TIMELINE and one.value is not None]
    began = [one for one in decisions if (await index.write_records([one], Rules()))[0].stops_anew]
    assert began
    await other.rebuild()
    for one in decisions:
        first = (await other.write_records([one], Rules()))[0].stops_anew
        assert (await other.write_records([one], Rules()))[0].stops_anew is first
    await other.close()


async def test_a_forgotten_bill_is_removed(index: BillIndex, records: list[Record]) -> None:
    await index.write_records(records, Rules())
    last = max(record.offset for record in records)
    await index.write_records([Record(topics.BILLS, 0, last + 1, BILL.encode(), None, (), 0)], Rules())
    assert BILL not in {one.bill for one in await listed(index)}
    assert await listed(index, container="CSQU305438", bill="NVXA*") == []
    assert (await index.statuses())["RELEASED"] == 1
    assert await index.state(BILL) is None


# The file


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[IndexFile]:
    made = IndexFile(tmp_path / "index.db")
    await made.open()
    await made._write(fill)
    yield made
    await made.close()


def fill(sqlite: sqlite3.Connection) -> None:
    sqlite.executemany("INSERT INTO audit VALUES (?, '', ?)", [(number, b"x" * 100) for number in range(FILLED)])
    sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def count(sqlite: sqlite3.Connection) -> int:
    (number,) = sqlite.execute("SELECT count(value) FROM audit").fetchone()
    return int(number)


async def open_and_close(path: Path) -> None:
    file = IndexFile(path)
    try:
        await file.open()
    finally:
        await file.close()


@pytest.mark.parametrize("version", [0, 1, 99])
async def test_a_log_named_by_mistake_is_refused_and_not_changed(tmp_path: Path, version: int) -> None:
    async with open_sqlite_log(str(tmp_path / "snp.db")) as log:
        await log.create_topics([TopicSpec("t", 1)])
    with closing(sqlite3.connect(tmp_path / "snp.db")) as sqlite:
        sqlite.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(UsageError, match=r"is not the desk's index: set console\.index_file"):
        await open_and_close(tmp_path / "snp.db")
    with closing(sqlite3.connect(tmp_path / "snp.db")) as sqlite:
        assert sqlite.execute("SELECT name FROM topics").fetchall() == [("t",)]


async def test_a_path_that_cannot_be_an_index_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no index " * 1000)
    (tmp_path / "folder").mkdir()
    for name in ("text", "folder", "no/where"):
        with pytest.raises(UsageError, match=r"cannot use .* as the desk's index: .*console.index_file"):
            await open_and_close(tmp_path / name)


def lose_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-PAGE:] = bytes(PAGE)
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def delete(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [lose_a_page, truncate, delete])
async def test_a_broken_file_is_rebuilt(tmp_path: Path, file: IndexFile, damage: Callable[[Path], None]) -> None:
    await file._write(lambda sqlite: sqlite.execute("SELECT 1").close())
    damage(tmp_path / "index.db")
    with pytest.raises(TaskRetry, match="is broken and is being rebuilt"):
        await file._read(count)
    await file.mend()
    assert await file._read(count) == 0
    await file._write(fill)
    assert await file._read(count) == FILLED


async def test_two_consoles_on_one_file_both_continue_after_one_rebuilds_it(tmp_path: Path, file: IndexFile) -> None:
    assert await file._read(count) == FILLED
    other = IndexFile(tmp_path / "index.db")
    await other.open()
    await other.rebuild()
    with pytest.raises(TaskRetry):
        await file._read(count)
    await file.mend()
    await file._write(fill)
    assert await other._read(count) == FILLED
    await other.close()


async def test_a_file_of_another_version_is_rebuilt(tmp_path: Path, file: IndexFile) -> None:
    await file._write(lambda sqlite: sqlite.execute("PRAGMA user_version = 99").close())
    await file.close()
    again = IndexFile(tmp_path / "index.db")
    await again.open()
    assert await again._read(count) == 0
    await again.close()
