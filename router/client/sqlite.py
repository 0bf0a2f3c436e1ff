"""A party's topic in a SQLite file, for trying things out: there are no groups, so each run begins at the beginning."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from router.errors import UsageError
from router.log.interface import Record
from router.log.url import SQLITE, open_log


class Kept(NamedTuple):
    value: bytes | None
    place: str


class SqliteSource:
    """A `Source`."""

    def __init__(self, url: str, topic: str) -> None:
        """Raises UsageError where there is no such file: opening it would make an empty one."""
        if not Path(url.removeprefix(SQLITE)).is_file():
            raise UsageError(f"there is no file {url.removeprefix(SQLITE)}: `snp-router import parties FILE` makes it")
        self._url = url
        self._topic = topic
        self._opened = AsyncExitStack()
        self._batches: AsyncIterator[list[Record]] | None = None
        self._waiting: deque[Record] = deque()

    async def open(self) -> None:
        log = await self._opened.enter_async_context(open_log(self._url))
        if self._topic not in await log.topics():
            raise UsageError(f"{self._url} has no topic {self._topic}: `party` is the SCAC that it is registered under")
        self._batches = log.read([self._topic])

    async def next(self) -> Kept:
        assert self._batches is not None
        while not self._waiting:
            self._waiting.extend(await anext(self._batches))
        record = self._waiting.popleft()
        return Kept(record.value, f"{record.topic}, offset {record.offset}")

    def handled(self, record: Kept) -> None:
        pass

    async def close(self) -> None:
        await self._opened.aclose()
