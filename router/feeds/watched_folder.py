"""A folder whose files are handed out once they are complete, moved once they are read, and read again if they change.

An upload that pauses looks complete. So a file that changes after it was read comes again, from its start, wherever it
was moved: its events keep their identity, so none is lost or counted twice. The same holds after a crash.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import stat
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from watchfiles import awatch

from router.background import held_up_steps
from router.errors import UsageError
from router.feeds.input_files import chunks_as_they_come, is_folder, open_found
from router.file_systems import mount_of

DONE: Final = "done"
FAILED: Final = "failed"
REPORT_SUFFIX: Final = ".report.txt"
SETTLE_SECONDS: Final = 2.0
"""Time without change after which a file is complete; longer than the pauses of usual transfers."""
MOVED_FILES: Final = 2_000
"""The latest files in `done/` and `failed/`, in which a change is noticed."""

_UNFINISHED: Final = (".part", ".tmp", ".partial", ".filepart", ".crdownload")
_POLL_SECONDS: Final = 0.5
"""Longest time between two looks at the folder. Network drives report no changes."""
_RETRY_SECONDS: Final = 2.0
"""Between two attempts to look at a folder that is not there."""
_SHARED: Final = "files there may look complete before they are: fetch them to a local disk, and rename them in there"

_log = structlog.get_logger(__name__)


class FileState(NamedTuple):
    """An entry of the folder as it stood at one look. If nobody writes to it, it stays the same."""

    device: int
    inode: int
    size: int
    modified_at: int
    """Nanoseconds since 1970."""


class ReadyFile(NamedTuple):
    """A complete file, or an entry that is refused when it is read."""

    size: int
    modified_at: int
    path: Path
    state: FileState
    is_again: bool
    """True if it was read before and has changed since."""


class WatchedFolder:
    """The folder `path`. Makes `done/` and `failed/` in it. Raises UsageError if one of them is no folder."""

    def __init__(self, path: Path, *, settle_seconds: float = SETTLE_SECONDS) -> None:
        if not path.is_dir():
            raise UsageError(f"{path} is not a folder: create it, or name another with --watch")
        if (mount := mount_of(path)) is not None and mount.may_be_shared:
            _log.warning("folder_on_shared_drive", folder=str(path), kind=mount.kind, reason=_SHARED)
        self.path = path
        self._settle_seconds = settle_seconds
        self._first_seen: dict[tuple[Path, FileState], float] = {}
        """Seconds of the machine's steady clock."""
        self._is_seen = False
        """True if the latest look at the folder succeeded."""
        self._handed_out: dict[Path, FileState] = {}
        """Files of the folder, as they were handed out."""
        self._under_way: set[Path] = set()
        self._changed: set[Path] = set()
        """Files that came back because they changed after they were moved."""
        self._moved: OrderedDict[Path, FileState | None] = OrderedDict()
        """The latest files in `done/` and `failed/`, as they were read; None for one that was written to since."""
        for name in (DONE, FAILED):
            _make_own_folder(path / name)
        self._find_moved()

    async def files(self, stop: asyncio.Event | None = None) -> AsyncIterator[ReadyFile]:
        """Complete files until `stop` is set, those of each look by size. `move` or `leave` each of them. A folder that
        can't be looked at, as of a volume that is not mounted, is tried again."""
        with held_up_steps() as held_up:
            while True:
                try:
                    for name in (DONE, FAILED):
                        _make_own_folder(self.path / name)
                    async for found in self._looks(stop):
                        held_up(None)
                        for ready in found:
                            yield ready
                    return
                except OSError as error:
                    self._first_seen, self._is_seen = {}, False
                    held_up(f"the folder {self.path} can't be looked at: {error.strerror}")
                    _log.warning("folder_not_read", folder=str(self.path), reason=error.strerror)
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _looks(self, stop: asyncio.Event | None) -> AsyncIterator[list[ReadyFile]]:
        """Yield the files that each look found. Raises OSError."""
        timeout = int(min(_POLL_SECONDS, self._settle_seconds or _POLL_SECONDS) * 1000)
        changes = awatch(
            self.path, recursive=False, stop_event=stop, rust_timeout=timeout, yield_on_timeout=True, debounce=timeout
        )
        yield self.complete(time.monotonic())
        async for _ in changes:
            yield self.complete(time.monotonic())

    def waiting(self, now: float) -> list[float] | None:
        """For each file that is not fed in yet, the seconds since it was first seen unchanged. None: the folder can't
        be looked at."""
        if not self._is_seen:
            return None
        return [
            now - since
            for (path, state), since in self._first_seen.items()
            if path in self._under_way or self._handed_out.get(path) != state
        ]

    def complete(self, now: float) -> list[ReadyFile]:
        """Files that are complete at `now`, the smallest first. None comes twice in one state, or while it is read.
        Raises OSError."""
        self._take_back_changed()
        self._first_seen = {entry: self._first_seen.get(entry, now) for entry in self._entries()}
        self._is_seen = True
        there = {path for path, _ in self._first_seen}
        self._handed_out = {path: state for path, state in self._handed_out.items() if path in there}
        self._changed &= there
        ready = [
            ReadyFile(state.size, state.modified_at, path, state, self._was_read(path, state))
            for (path, state), since in self._first_seen.items()
            if now - since >= self._settle_seconds
            and path not in self._under_way
            and self._handed_out.get(path) != state
        ]
        for one in ready:
            self._handed_out[one.path] = one.state
            self._under_way.add(one.path)
        return sorted(ready)

    def chunks(self, ready: ReadyFile) -> Iterator[bytes]:
        """The bytes of the file. Raises UsageError if it can't be read, or is refused."""
        with open_found(ready.path, self.path) as descriptor:
            yield from chunks_as_they_come(descriptor, ready.path)

    def move(self, ready: ReadyFile, report: str | None = None) -> Path:
        """Move a file that was read to `done/`; with a report to `failed/`, and the report beside it.

        A file that has changed meanwhile stays where it is, to come again. So does a folder. Returns its path. Raises
        OSError.
        """
        if _state_of(ready.path) != ready.state or is_folder(ready.path):
            return self.leave(ready)
        target = _free(self.path / (DONE if report is None else FAILED), ready.path.name)
        if report is not None:
            _write_report(target, report)  # first, so that every failed file has one
        ready.path.rename(target)
        # The state as read: what is written during this call, or is another file, differs from it.
        self._remember(target, ready.state)
        self.leave(ready)
        return target

    def leave(self, ready: ReadyFile) -> Path:
        """Leave a file where it is. It comes again if it changes."""
        self._under_way.discard(ready.path)
        return ready.path

    def _was_read(self, path: Path, state: FileState) -> bool:
        before = self._handed_out.get(path)
        is_same_file = before is not None and before[:2] == state[:2]
        return is_same_file or path in self._changed

    def _entries(self) -> Iterator[tuple[Path, FileState]]:
        """Entries that are neither hidden nor unfinished."""
        for path in self.path.iterdir():
            name = path.name
            if name.startswith(".") or name in (DONE, FAILED) or name.lower().endswith(_UNFINISHED):
                continue
            if (state := _state_of(path)) is not None:
                yield path, state

    def _take_back_changed(self) -> None:
        """Take files out of `done/` and `failed/` that have changed since they were read."""
        for path, state in list(self._moved.items()):
            found = _state_of(path)
            if found == state and found is not None:
                continue
            del self._moved[path]
            if found is not None:
                back = _free(self.path, path.name)
                with suppress(OSError):  # somebody took it away at this moment
                    path.rename(back)
                    self._changed.add(back)
                    path.with_name(path.name + REPORT_SUFFIX).unlink(missing_ok=True)

    def _remember(self, path: Path, state: FileState | None) -> None:
        self._moved[path] = state
        if len(self._moved) > MOVED_FILES:
            self._moved.popitem(last=False)

    def _find_moved(self) -> None:
        """Find the files that were moved before this start.

        A rename sets the time of the inode's change, and a write sets both times: if they are equal, somebody has
        written to the file after it was moved.
        """
        found = []
        for entry in (entry for name in (DONE, FAILED) for entry in os.scandir(self.path / name)):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and not entry.name.endswith(REPORT_SUFFIX):
                found.append((status.st_ctime_ns, Path(entry.path), status))
        for changed_at, path, status in sorted(heapq.nlargest(MOVED_FILES, found, key=lambda one: one[0])):
            self._remember(path, None if status.st_mtime_ns == changed_at else _state(status))


def _state_of(path: Path) -> FileState | None:
    """None if there is no such entry. A symbolic link is an entry of its own."""
    with suppress(FileNotFoundError):
        return _state(path.lstat())
    return None


def _state(status: os.stat_result) -> FileState:
    if stat.S_ISDIR(status.st_mode):  # its contents are of no interest
        return FileState(status.st_dev, status.st_ino, 0, 0)
    return FileState(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _make_own_folder(path: Path) -> None:
    """Raises UsageError if something else has that name: a link would let others say where files are moved to."""
    with suppress(FileExistsError):
        path.mkdir()
    if not is_folder(path):
        raise UsageError(f"{path} is not a folder of its own: move it away, and it is made")


def _write_report(target: Path, text: str) -> None:
    """Write a report beside a file. Raises OSError."""
    beside = target.with_name(target.name + REPORT_SUFFIX)
    try:
        with beside.open("x", encoding="utf-8") as file:  # never through a link that somebody put there
            file.write(text)
    except FileExistsError:
        raise
    except OSError:  # on a full disk each attempt would leave an empty report
        beside.unlink(missing_ok=True)
        raise


def _free(folder: Path, name: str) -> Path:
    """The first free name in the folder of `a.x12`, `a.1.x12`, `a.2.x12` and so on."""
    target, number = folder / name, 0
    while os.path.lexists(target) or os.path.lexists(target.with_name(target.name + REPORT_SUFFIX)):
        number += 1
        target = folder / f"{Path(name).stem}.{number}{Path(name).suffix}"
    return target
