"""A folder whose files are fed in once they are complete, and moved once their events are on the log.

After a crash between the two, a file is fed in again. Its events keep their identity, so none is lost or counted twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from watchfiles import awatch

from router.errors import UsageError

DONE: Final = "done"
FAILED: Final = "failed"
REPORT_SUFFIX: Final = ".report.txt"
SETTLE_SECONDS: Final = 2.0
"""Time without change after which a file is complete; longer than the pauses of usual transfers."""

_UNFINISHED: Final = (".part", ".tmp", ".partial", ".filepart", ".crdownload")
_POLL_SECONDS: Final = 0.5
"""Longest time between two looks at the folder. Network drives report no changes."""


class _FileState(NamedTuple):
    path: Path
    size: int
    modified_at: int


class WatchedFolder:
    """The folder `path`. Makes `done/` and `failed/` in it."""

    def __init__(self, path: Path, *, settle_seconds: float = SETTLE_SECONDS) -> None:
        if not path.is_dir():
            raise UsageError(f"{path} is not a folder: create it, or name another with --watch")
        self.path = path
        self._settle_seconds = settle_seconds
        self._first_seen: dict[_FileState, float] = {}
        """Seconds of the machine's steady clock."""
        self._handed_out: set[_FileState] = set()
        for name in (DONE, FAILED):
            (path / name).mkdir(exist_ok=True)

    async def files(self, stop: asyncio.Event | None = None) -> AsyncIterator[Path]:
        """Complete files, the oldest first, until `stop` is set.

        Each file comes once, and again if it is still there and has changed.
        """
        timeout = int(min(_POLL_SECONDS, self._settle_seconds or _POLL_SECONDS) * 1000)
        changes = awatch(
            self.path, recursive=False, stop_event=stop, rust_timeout=timeout, yield_on_timeout=True, debounce=timeout
        )
        for path in self.complete(time.monotonic()):
            yield path
        async for _ in changes:
            for path in self.complete(time.monotonic()):
                yield path

    def complete(self, now: float) -> list[Path]:
        """Files that are complete at `now`. None comes twice in the same state."""
        self._first_seen = {state: self._first_seen.get(state, now) for state in self._states()}
        ready = {state for state, since in self._first_seen.items() if now - since >= self._settle_seconds}
        new = ready - self._handed_out
        self._handed_out = (self._handed_out & self._first_seen.keys()) | new
        return [state.path for state in sorted(new, key=lambda state: (state.modified_at, state.path.name))]

    def _states(self) -> Iterator[_FileState]:
        """Files that are neither hidden nor unfinished."""
        for path in self.path.iterdir():
            if path.name.startswith(".") or path.name.lower().endswith(_UNFINISHED) or not path.is_file():
                continue
            with suppress(FileNotFoundError):
                status = path.stat()
                yield _FileState(path, status.st_size, status.st_mtime_ns)

    def move_done(self, path: Path) -> Path:
        """Move a file whose events are on the log. Returns its new path."""
        return path.rename(_free(self.path / DONE, path.name))

    def move_failed(self, path: Path, report: str) -> Path:
        """Move a file and write a report beside it, first, so that every failed file has one. Returns its new path."""
        target = _free(self.path / FAILED, path.name)
        beside = target.with_name(target.name + REPORT_SUFFIX)
        try:
            beside.write_text(report, encoding="utf-8")
        except OSError:  # on a full disk each attempt would leave an empty report
            beside.unlink(missing_ok=True)
            raise
        return path.rename(target)


def _free(folder: Path, name: str) -> Path:
    """The first free name in the folder of `a.x12`, `a.1.x12`, `a.2.x12` and so on."""
    target, number = folder / name, 0
    while target.exists() or target.with_name(target.name + REPORT_SUFFIX).exists():
        number += 1
        target = folder / f"{Path(name).stem}.{number}{Path(name).suffix}"
    return target
