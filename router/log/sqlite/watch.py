"""Tells waiting readers that the file has changed, whoever changed it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress

from router.log.sqlite.connection import SqliteSettings, connect
from router.log.sqlite.errors import translated


class Watch:
    """One look for all readers of a process: SQLite's `data_version`, a few microseconds, without a thread.

    It changes whenever another connection commits, in this process or another. An error here is left to the
    readers, who are woken and meet it themselves.
    """

    def __init__(self, path: str, settings: SqliteSettings) -> None:
        with translated(path):
            self._sqlite = connect(path, settings.busy_timeout_seconds)
            # From now on it must never wait: it runs in the event loop.
            self._sqlite.execute("PRAGMA busy_timeout = 0")
        self._pause = settings.lookup_seconds
        self._change = asyncio.Event()
        self._looking = asyncio.create_task(self._look())

    def next_change(self) -> asyncio.Event:
        """Take it before looking for records, wait for it after: then nothing falls between."""
        return self._change

    def tell(self) -> None:
        """Something was written by this process: wake the readers now."""
        change, self._change = self._change, asyncio.Event()
        change.set()

    def next_offset(self, place: int) -> int:
        """Of the record that will come next there; 0 where that can't be told now."""
        try:
            (offset,) = self._sqlite.execute("SELECT next_offset FROM ends WHERE place = ?", (place,)).fetchone()
        except sqlite3.Error:
            return 0
        return int(offset)

    async def close(self) -> None:
        self._looking.cancel()
        with suppress(asyncio.CancelledError):
            await self._looking
        self._sqlite.close()

    async def _look(self) -> None:
        seen = -1
        while True:
            await asyncio.sleep(self._pause)
            version = self._version()
            if version != seen:
                seen = version
                self.tell()

    def _version(self) -> int:
        try:
            (version,) = self._sqlite.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return -2
        return int(version)
