"""Faults by a disk, a copy or a person are reported, and nothing is decided on what is left of the file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from router.errors import FatalLogError
from router.files import make_for_owner
from router.log.interface import Log, Output, Task
from router.log.sqlite import SqliteSettings, open_sqlite_log
from router.topics import BILLS, DISPOSITIONS, REGISTRY, TopicSpec
from tests.log.contract import everything, position_output

SPECS = (
    TopicSpec(BILLS, 1, compacted=True),
    TopicSpec(REGISTRY, 1, compacted=True),
    TopicSpec(DISPOSITIONS, 1),
)


class Quick(SqliteSettings):
    retry_pause_seconds: ClassVar[float] = 0.01
    longest_retry_pause_seconds: ClassVar[float] = 0.05


QUICK = Quick(busy_timeout_seconds=0.5)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Make a file with a bill that was released, then held, and with waiting input."""
    path = tmp_path / "snp.db"
    async with open_sqlite_log(str(path)) as log:
        await log.create_topics(SPECS)
        await log.append([Output(BILLS, b"bill", b"released"), Output(REGISTRY, b"party:SLTC", b"a party")])
        await log.append([Output(BILLS, b"bill", b"released, then held"), position_output(0, count=1)])
        await log.append([Output(DISPOSITIONS, b"bill", b"%d" % number) for number in range(5)])
    return path


async def route(log: Log) -> None:
    """Restore, read, poll and commit, as a router does."""

    async def run(task: Task) -> None:
        state = [record async for batch in task.restore([BILLS]) for record in batch]
        await everything(log, REGISTRY)
        records = await task.poll({REGISTRY: 1, DISPOSITIONS: 0}, 100, 0)
        assert (len(state), len(records)) == (2, 5)
        await task.commit([Output(BILLS, b"bill", b"held"), position_output(0, count=2)])

    await log.work([REGISTRY, DISPOSITIONS], run)


async def test_a_whole_file_is_routed(path: Path) -> None:
    async with open_sqlite_log(str(path)) as log:
        await route(log)
        assert await log.check(SPECS) == []


Damage = Callable[[sqlite3.Connection], object]


def a_byte_is_another(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("UPDATE records SET value = ? WHERE value = ?", (b"released, then helm", b"released, then held"))


def a_key_is_another(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("UPDATE records SET key = ? WHERE value = ?", (b"bilk", b"released, then held"))


def bytes_became_a_number(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("UPDATE records SET value = 7 WHERE value = ?", (b"released, then held",))


def a_state_is_lost(sqlite: sqlite3.Connection) -> None:
    sqlite.execute(
        "DELETE FROM records WHERE value = 'released, then held' OR value = x'72656c65617365642c207468656e2068656c64'"
    )
    assert sqlite.execute("SELECT changes()").fetchone() == (1,)


def a_party_is_lost(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("DELETE FROM records WHERE key = ?", (b"party:SLTC",))


def an_event_is_lost(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("DELETE FROM records WHERE value = ?", (b"2",))


def the_first_event_is_lost(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("DELETE FROM records WHERE value = ?", (b"0",))


def the_last_event_is_lost(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("DELETE FROM records WHERE value = ?", (b"4",))


def with_another_index(sqlite: sqlite3.Connection, ids: str) -> None:
    """Put another tree in the place of the index of keys, as a page of another day would. `ids` is SQL for its ids."""
    sqlite.execute("CREATE TABLE other (place, key, id, PRIMARY KEY (place, key, id)) WITHOUT ROWID")
    sqlite.execute(
        f"INSERT INTO other SELECT compacted_place, key, {ids} FROM records WHERE compacted_place IS NOT NULL"
    )
    roots = dict(
        sqlite.execute("SELECT name, rootpage FROM sqlite_master WHERE name IN ('latest', 'other')").fetchall()
    )
    sqlite.execute("PRAGMA writable_schema = ON")
    for name, root in (("latest", roots["other"]), ("other", roots["latest"])):
        sqlite.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (root, name))


def a_key_points_nowhere(sqlite: sqlite3.Connection) -> None:
    with_another_index(sqlite, "id - 1")


def a_key_points_elsewhere(sqlite: sqlite3.Connection) -> None:
    with_another_index(
        sqlite, "CASE key WHEN x'62696c6c' THEN id + 1 WHEN x'00706f736974696f6e3a30' THEN id - 1 ELSE id END"
    )


DAMAGES = (
    a_byte_is_another, a_key_is_another, bytes_became_a_number, a_state_is_lost, a_party_is_lost, an_event_is_lost,
    the_first_event_is_lost, the_last_event_is_lost, a_key_points_nowhere, a_key_points_elsewhere,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
async def test_nothing_is_decided_on_a_file_that_lost_something(path: Path, damage: Damage) -> None:
    with closing(sqlite3.connect(path)) as sqlite, sqlite:
        damage(sqlite)
    async with open_sqlite_log(str(path), QUICK) as log:
        with pytest.raises(FatalLogError, match=r"is damaged.*restore a backup"):
            await route(log)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_the_check_names_what_is_damaged(path: Path, damage: Damage) -> None:
    with closing(sqlite3.connect(path)) as sqlite, sqlite:
        damage(sqlite)
    async with open_sqlite_log(str(path), QUICK) as log:
        assert {finding.subject for finding in await log.check(SPECS)} == {str(path)}


async def test_a_state_of_another_day_is_not_taken_for_todays(path: Path, tmp_path: Path) -> None:
    """The record's own checksum is right: it comes from yesterday's backup."""
    older = tmp_path / "older.db"
    async with open_sqlite_log(str(older)) as log:
        await log.create_topics(SPECS)
        await log.append([Output(BILLS, b"other", b"released"), Output(BILLS, b"bill", b"released")])
    with closing(sqlite3.connect(path)) as sqlite, sqlite:
        sqlite.execute("ATTACH ? AS older", (str(older),))
        sqlite.execute("DELETE FROM main.records WHERE key = ?", (b"bill",))
        sqlite.execute("INSERT INTO main.records SELECT * FROM older.records WHERE key = ?", (b"bill",))
    async with open_sqlite_log(str(path), QUICK) as log:
        with pytest.raises(FatalLogError, match="records are missing, or are older ones"):
            await everything(log, BILLS)


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
async def test_a_file_taken_away_or_replaced_while_in_use_stops_all_who_use_it(path: Path, end: str) -> None:
    file = path.with_name(path.name + end)
    async with open_sqlite_log(str(path), QUICK) as log:
        await log.append([Output(DISPOSITIONS, b"bill", b"5")])
        await everything(log, DISPOSITIONS)
        os.rename(file, path.with_name("away"))
        for doing in (log.append([Output(DISPOSITIONS, b"bill", b"6")]), everything(log, DISPOSITIONS)):
            with pytest.raises(FatalLogError, match=f"snp.db{end} was taken away or replaced"):
                await doing
    assert end != "" or "snp.db" not in os.listdir(path.parent), "no empty file in its place"


def look_from_another_process(path: Path) -> None:
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM topics'); c.close()"
    subprocess.run([sys.executable, "-c", program, path], check=True)


async def test_a_file_in_use_is_not_opened_beside_sqlite(path: Path) -> None:
    """POSIX drops all locks of a process on a file when it closes the file once. Another program that ends would then
    think itself the last, and delete what is not yet in the file."""
    async with open_sqlite_log(str(path)) as log:
        await log.append([Output(DISPOSITIONS, b"bill", b"5")])
        make_for_owner(path)
        look_from_another_process(path)
        await log.append([Output(DISPOSITIONS, b"bill", b"6")])
        assert len(await everything(log, DISPOSITIONS)) == 7


@pytest.mark.parametrize("name", ["a?b#c %41 é.db", ":memory:", "file:x?mode=memory", "-"])
async def test_any_name_is_just_a_name(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        async with open_sqlite_log(str(tmp_path / name)) as log:
            await log.create_topics([TopicSpec("t", 1)])
    assert os.listdir(tmp_path) == [name]


async def test_a_link_to_a_file_is_that_file_and_a_second_name_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(path)
    async with open_sqlite_log(str(path)) as log, open_sqlite_log(str(tmp_path / "link.db")) as same:
        await log.append([Output(DISPOSITIONS, b"bill", b"5")])
        assert len(await everything(same, DISPOSITIONS)) == 6
    (tmp_path / "second.db").hardlink_to(path)
    with pytest.raises(FatalLogError, match="second name"):
        async with open_sqlite_log(str(path)):
            pass


@pytest.mark.parametrize("name", ["/dev/null", ".", "pipe", "nowhere"])
async def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "no" / "file")
    with pytest.raises(FatalLogError, match="is not a file"):
        async with open_sqlite_log(str(tmp_path / name)):
            pass


@contextmanager
def mounted(*words: str) -> Iterator[None]:
    """Mount for a moment: only a read-only mount keeps root from writing."""
    done = subprocess.run(["mount", *words], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting takes privileges: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", words[-1]], check=True)


async def test_a_folder_that_cant_be_written_to_is_named_with_the_remedy(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    os.rename(path, folder / "snp.db")

    async def opening() -> None:
        with pytest.raises(FatalLogError, match=r"copy it .* to a folder of your own"):
            async with open_sqlite_log(str(folder / "snp.db")):
                pass

    if os.geteuid() == 0:
        with mounted("--bind", "-o", "ro", str(folder), str(folder)):
            await opening()
    else:
        folder.chmod(0o500)
        await opening()
        folder.chmod(0o700)


async def test_a_file_mounted_by_itself_is_refused(path: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone 1.db"
    alone.touch()
    with mounted("--bind", str(path), str(alone)), pytest.raises(FatalLogError, match="Mount its folder"):
        async with open_sqlite_log(str(alone)):
            pass


async def test_a_file_that_others_may_read_is_logged(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mode, said in ((0o600, False), (0o644, True)):
        os.chmod(path, mode)
        async with open_sqlite_log(str(path)):
            pass
        assert ("file_open_to_all" in "".join(capsys.readouterr())) is said


async def test_a_copy_made_by_vacuum_works_like_the_original(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as sqlite:
        sqlite.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    async with open_sqlite_log(str(tmp_path / "copy.db")) as log:
        await route(log)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as sqlite:
        assert sqlite.execute("PRAGMA journal_mode").fetchone() == ("wal",)
