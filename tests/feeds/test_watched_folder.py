"""A watched folder hands out complete files once, and keeps them by outcome."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from router.errors import UsageError
from router.feeds.watched_folder import WatchedFolder


def write(path: Path, text: str, modified_at: int = 1_000) -> Path:
    path.write_text(text)
    os.utime(path, (modified_at, modified_at))
    return path


def test_a_file_is_complete_once_it_is_unchanged(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=2)
    path = write(tmp_path / "a.x12", "one")
    assert folder.complete(0) == []
    write(path, "one two", 1_001)
    assert folder.complete(1.5) == []
    assert folder.complete(3) == []
    assert folder.complete(3.5) == [path]
    assert folder.complete(9) == []


def test_a_file_that_changes_later_comes_again(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    path = write(tmp_path / "a.x12", "one")
    assert folder.complete(0) == [path]
    write(path, "another", 2_000)
    assert folder.complete(1) == [path]


def test_unfinished_and_hidden_files_and_folders_are_ignored(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    for name in (".hidden", "a.part", "b.TMP", "c.filepart"):
        write(tmp_path / name, "")
    (tmp_path / "folder").mkdir()
    assert folder.complete(0) == []


def test_the_oldest_file_comes_first(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    write(tmp_path / "a", "", 2_000)
    write(tmp_path / "b", "", 1_000)
    assert [path.name for path in folder.complete(0)] == ["b", "a"]


def test_a_moved_file_keeps_its_name_unless_it_is_taken(tmp_path: Path):
    folder = WatchedFolder(tmp_path)
    names = [folder.move_done(write(tmp_path / "a.x12", text)).name for text in "123"]
    assert names == ["a.x12", "a.1.x12", "a.2.x12"]
    assert (tmp_path / "done" / "a.1.x12").read_text() == "2"


def test_a_failed_file_has_its_report_beside_it(tmp_path: Path):
    folder = WatchedFolder(tmp_path)
    for _ in range(2):
        target = folder.move_failed(write(tmp_path / "a.x12", "bad"), "why")
    assert target == tmp_path / "failed" / "a.1.x12"
    assert (tmp_path / "failed" / "a.1.x12.report.txt").read_text() == "why"


def test_a_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a folder"):
        WatchedFolder(tmp_path / "nowhere")


async def test_present_and_later_files_come_until_stopped(tmp_path: Path):
    write(tmp_path / "first", "1")
    folder, stop, found = WatchedFolder(tmp_path, settle_seconds=0.1), asyncio.Event(), []
    async with asyncio.timeout(20):
        async for path in folder.files(stop):
            found.append(path.name)
            folder.move_done(path)
            if path.name == "first":
                write(tmp_path / "second", "2")
            else:
                stop.set()
    assert found == ["first", "second"]
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["first", "second"]
