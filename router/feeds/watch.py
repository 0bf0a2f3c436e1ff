"""A watched folder: files are handed out once they are complete, and moved away once their events are on
the log.

A file that is moved only after its events were written is, after a crash in between, fed in again: the
identity of events absorbs that, so nothing is lost and nothing doubled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from watchfiles import awatch

from router.errors import UsageError

DONE: Final = "done"
FAILED: Final = "failed"
REPORT_SUFFIX: Final = ".report.txt"
SETTLE_SECONDS: Final = 2.0
"""How long size and time of a file must stay the same before it counts as complete: longer than the pauses
of a usual transfer. Senders who write under another name and rename are on the safe side whatever the
pause."""

_UNFINISHED: Final = (".part", ".tmp", ".partial", ".filepart", ".crdownload")
_LOOK_SECONDS: Final = 0.5
"""Longest time between two looks at the folder, however silent the operating system is (network drives are)."""


class _Look(NamedTuple):
    size: int
    modified_at: int
    since: float
    """When it was first seen like that, by this machine's steady clock."""


class WatchedFolder:
    """The folder `path`, with `done/` and `failed/` in it, which are made if need be."""

    def __init__(self, path: Path, *, settle_seconds: float = SETTLE_SECONDS) -> None:
        if not path.is_dir():
            raise UsageError(f"{path} is not a folder: make it, or name another with --watch")
        self.path = path
        self._settle_seconds = settle_seconds
        self._looks: dict[Path, _Look] = {}
        self._handed_out: set[tuple[Path, int, int]] = set()
        for name in (DONE, FAILED):
            (path / name).mkdir(exist_ok=True)

    async def files(self, stop: asyncio.Event | None = None) -> AsyncIterator[Path]:
        """Complete files, the oldest first, those already there included, until `stop` is set or the caller
        ends it.

        A file is handed out once; changed afterwards and still there, it is handed out again.
        """
        timeout = int(min(_LOOK_SECONDS, self._settle_seconds or _LOOK_SECONDS) * 1000)
        looks = awatch(
            self.path, recursive=False, stop_event=stop, rust_timeout=timeout, yield_on_timeout=True, debounce=timeout
        )
        for path in self.complete(time.monotonic()):
            yield path
        async for _ in looks:
            for path in self.complete(time.monotonic()):
                yield path

    def complete(self, now: float) -> list[Path]:
        """The files that are complete at `now` and were not handed out yet; hands them out."""
        looks: dict[Path, _Look] = {}
        for path in self.path.iterdir():
            look = _look(path, now)
            if look is not None:
                before = self._looks.get(path)
                same = before is not None and before[:2] == look[:2]
                looks[path] = before if same and before is not None else look
        self._looks = looks
        ready = [path for path, look in looks.items() if now - look.since >= self._settle_seconds]
        ready = [path for path in ready if (path, *looks[path][:2]) not in self._handed_out]
        self._handed_out = {mark for mark in self._handed_out if mark[0] in looks}
        self._handed_out |= {(path, *looks[path][:2]) for path in ready}
        return sorted(ready, key=lambda path: (looks[path].modified_at, path.name))

    def move_done(self, path: Path) -> Path:
        """Where it went. Only to be called once its events are on the log."""
        return _move(path, self.path / DONE)

    def move_failed(self, path: Path, report: str) -> Path:
        """Where it went; `report` lies beside it. The report comes first, so that no failed file is without one."""
        target = _free(self.path / FAILED, path.name)
        beside = target.with_name(target.name + REPORT_SUFFIX)
        try:
            beside.write_text(report, encoding="utf-8")
        except OSError:  # a full disk; else each attempt would leave one
            beside.unlink(missing_ok=True)
            raise
        return path.rename(target)


def _look(path: Path, now: float) -> _Look | None:
    """None for what isn't a file to be fed in, or is gone already."""
    if path.name.startswith(".") or path.name.lower().endswith(_UNFINISHED) or not path.is_file():
        return None
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return _Look(status.st_size, status.st_mtime_ns, now)


def _move(path: Path, folder: Path) -> Path:
    return path.rename(_free(folder, path.name))


def _free(folder: Path, name: str) -> Path:
    """A name not taken in the folder: `a.x12`, then `a.1.x12`, `a.2.x12` and so on."""
    target, number = folder / name, 0
    while target.exists() or target.with_name(target.name + REPORT_SUFFIX).exists():
        number += 1
        target = folder / f"{Path(name).stem}.{number}{Path(name).suffix}"
    return target
