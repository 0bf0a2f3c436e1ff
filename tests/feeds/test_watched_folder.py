"""A watched folder hands out complete files once, keeps them by outcome, and hands out again what changed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from router.errors import UsageError
from router.feeds import watched_folder
from router.feeds.watched_folder import ReadyFile, WatchedFolder


def write(path: Path, text: str, modified_at: int = 1_000) -> Path:
    path.write_text(text)
    os.utime(path, (modified_at, modified_at))
    return path


def names(ready: list[ReadyFile]) -> list[str]:
    return [one.path.name for one in ready]


def paths(ready: list[ReadyFile]) -> list[Path]:
    return [one.path for one in ready]


def test_a_file_is_complete_once_it_is_unchanged(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=2)
    path = write(tmp_path / "a.x12", "one")
    assert folder.complete(0) == []
    write(path, "one two", 1_001)
    assert folder.complete(1.5) == []
    assert folder.complete(3) == []
    assert paths(folder.complete(3.5)) == [path]
    assert folder.complete(9) == []


def test_a_file_that_changes_later_comes_again_but_not_while_it_is_read(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    path = write(tmp_path / "a.x12", "one")
    (first,) = folder.complete(0)
    assert (first.path, first.is_again) == (path, False)
    write(path, "another", 2_000)
    assert folder.complete(1) == []
    assert folder.move(first) == path
    (again,) = folder.complete(2)
    assert (again.path, again.is_again) == (path, True)
    assert folder.move(again) == tmp_path / "done" / "a.x12"


def test_unfinished_and_hidden_files_are_ignored(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    for name in (".hidden", "a.part", "b.TMP", "c.filepart"):
        write(tmp_path / name, "")
    assert folder.complete(0) == []


def test_a_folder_is_refused_once_and_stays(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    (tmp_path / "folder").mkdir()
    (ready,) = folder.complete(0)
    with pytest.raises(UsageError, match="is a folder"):
        list(folder.chunks(ready))
    assert folder.move(ready, "why") == tmp_path / "folder"
    write(tmp_path / "folder" / "a.x12", "")
    assert folder.complete(1) == []


def test_a_link_is_refused_and_moved_itself(tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.x12").symlink_to(tmp_path / "secret")
    folder = WatchedFolder(tmp_path / "inbox", settle_seconds=0)
    (ready,) = folder.complete(0)
    with pytest.raises(UsageError, match="symbolic link"):
        list(folder.chunks(ready))
    assert folder.move(ready, "why").is_symlink()
    assert folder.complete(1) == []
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_file_exchanged_for_a_link_after_the_look_is_refused(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    path = write(tmp_path / "a.x12", "one")
    (ready,) = folder.complete(0)
    path.unlink()
    path.symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match="symbolic link"):
        list(folder.chunks(ready))


def test_the_smallest_file_comes_first_then_the_oldest(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    write(tmp_path / "a", "long", 1_000)
    write(tmp_path / "b", "", 2_000)
    write(tmp_path / "c", "", 1_000)
    assert names(folder.complete(0)) == ["c", "b", "a"]


def moved(folder: WatchedFolder, path: Path, report: str | None = None) -> Path:
    (ready,) = [one for one in folder.complete(0) if one.path == path]
    return folder.move(ready, report)


def test_a_moved_file_keeps_its_name_unless_it_is_taken(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    targets = [moved(folder, write(tmp_path / "a.x12", text)).name for text in "123"]
    assert targets == ["a.x12", "a.1.x12", "a.2.x12"]
    assert (tmp_path / "done" / "a.1.x12").read_text() == "2"


def test_a_failed_file_has_its_report_beside_it(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    for _ in range(2):
        target = moved(folder, write(tmp_path / "a.x12", "bad"), "why")
    assert target == tmp_path / "failed" / "a.1.x12"
    assert (tmp_path / "failed" / "a.1.x12.report.txt").read_text() == "why"


def test_no_report_is_written_through_a_link(tmp_path: Path):
    (tmp_path / "inbox").mkdir()
    folder = WatchedFolder(tmp_path / "inbox", settle_seconds=0)
    (tmp_path / "inbox" / "failed" / "a.x12.report.txt").symlink_to(tmp_path / "elsewhere")
    assert moved(folder, write(tmp_path / "inbox" / "a.x12", "bad"), "why").name == "a.1.x12"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("report", [None, "why"])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_file_that_is_written_to_after_it_was_moved_comes_again(tmp_path: Path, report: str | None, restarts: bool):
    """An uploader that keeps the file open writes on after the move."""
    folder = WatchedFolder(tmp_path, settle_seconds=2)
    with (tmp_path / "a.x12").open("w") as upload:
        upload.write("first half, ")
        upload.flush()
        os.utime(tmp_path / "a.x12", (1_000, 1_000))
        folder.complete(0)
        (ready,) = folder.complete(2)
        target = folder.move(ready, report)
        assert folder.complete(3) == []
        upload.write("second half")
    if restarts:
        folder = WatchedFolder(tmp_path, settle_seconds=2)
    assert folder.complete(4) == []
    (again,) = folder.complete(6)
    assert (again.path, again.is_again) == (tmp_path / "a.x12", True)
    assert b"".join(folder.chunks(again)) == b"first half, second half"
    assert not target.exists()
    assert not (tmp_path / "failed" / "a.x12.report.txt").exists()
    folder.move(again)
    assert WatchedFolder(tmp_path)._moved.keys() == {tmp_path / "done" / "a.x12"}
    assert folder.complete(9) == []


def test_a_file_that_another_replaced_before_the_move_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    path = write(tmp_path / "a.x12", "one")
    (ready,) = folder.complete(0)
    free = watched_folder._free

    def replace_meanwhile(target: Path, name: str) -> Path:
        write(tmp_path / ".new", "two").rename(path)
        monkeypatch.setattr(watched_folder, "_free", free)
        return free(target, name)

    monkeypatch.setattr(watched_folder, "_free", replace_meanwhile)
    folder.move(ready)
    (back,) = folder.complete(1)
    assert b"".join(folder.chunks(back)) == b"two"


def test_a_file_comes_back_under_a_free_name(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    target = moved(folder, write(tmp_path / "a.x12", "one"))
    write(tmp_path / "a.x12", "the next of that name")
    write(target, "one, corrected", 2_000)
    assert names(folder.complete(1)) == ["a.1.x12", "a.x12"]


def test_files_moved_and_unchanged_are_left_in_peace_after_a_restart(tmp_path: Path):
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    for number in range(3):
        moved(folder, write(tmp_path / f"{number}.x12", "one"))
    assert WatchedFolder(tmp_path, settle_seconds=0).complete(0) == []


def test_memory_of_moved_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watched_folder, "MOVED_FILES", 2)
    folder = WatchedFolder(tmp_path, settle_seconds=0)
    targets = [moved(folder, write(tmp_path / f"{number}.x12", "one")) for number in range(3)]
    for target in targets:
        write(target, "changed", 2_000)
    assert names(folder.complete(1)) == ["1.x12", "2.x12"]


def test_a_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a folder"):
        WatchedFolder(tmp_path / "nowhere")


def test_a_link_in_place_of_done_is_refused(tmp_path: Path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "done").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="done is not a folder"):
        WatchedFolder(tmp_path / "inbox")


async def test_present_and_later_files_come_until_stopped(tmp_path: Path):
    write(tmp_path / "first", "1")
    folder, stop, found = WatchedFolder(tmp_path, settle_seconds=0.1), asyncio.Event(), []
    async with asyncio.timeout(20):
        async for ready in folder.files(stop):
            found.append(ready.path.name)
            folder.move(ready)
            if ready.path.name == "first":
                write(tmp_path / "second", "2")
            else:
                stop.set()
    assert found == ["first", "second"]
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["first", "second"]
