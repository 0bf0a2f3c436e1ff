"""Live notices to every open browser; a slow browser misses some instead of delaying the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from router.desk.index_records import IndexedEntry

MOST_ROWS: Final = 100
"""Rows kept for one browser; the oldest are dropped and counted. A person reads no faster, and bills' pages have all.
"""

MOST_SUBSCRIBERS: Final = 200

PAUSE_SECONDS: Final = 0.5
"""Between two updates to one browser."""

KEEP_ALIVE_SECONDS: Final = 15.0


class NoticeFilter(NamedTuple):
    """The notices that one browser shows; None means any."""

    party: str | None = None
    kind: str | None = None
    vessel: str | None = None
    port: str | None = None
    do_not_load: bool = False

    def matches(self, entry: IndexedEntry) -> bool:
        """False for an entry without recipients, which is in its bill's history only."""
        notified = entry.fields["notified"]
        if not notified:
            return False
        if self.party and not any(one["recipient"] == self.party for one in notified):
            return False
        if self.kind and not any(one["kind"] == self.kind for one in notified):
            return False
        if self.vessel and self.vessel not in (entry.vessel_name or "").upper():
            return False
        if self.port and entry.port != self.port:
            return False
        return not self.do_not_load or entry.fields["do_not_load"]


class LiveUpdate(NamedTuple):
    rows: tuple[str, ...]
    """Rows of the page's table, oldest first."""
    missed: int


class Subscription:
    """One browser's rows that are not sent yet."""

    def __init__(self, wanted: NoticeFilter) -> None:
        self._wanted = wanted
        self._rows: deque[str] = deque(maxlen=MOST_ROWS)
        self._missed = 0
        self._has_rows = asyncio.Event()

    def add(self, entries: Iterable[tuple[IndexedEntry, str]]) -> None:
        """Add those of the entries, each with its row, that pass the filter."""
        for entry, row in entries:
            if self._wanted.matches(entry):
                self._missed += len(self._rows) == MOST_ROWS
                self._rows.append(row)
                self._has_rows.set()

    async def updates(self) -> AsyncIterator[LiveUpdate]:
        """New rows, at most twice a second. Without any, an empty update every 15 s keeps the connection open."""
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await self._has_rows.wait()
            except TimeoutError:
                yield LiveUpdate((), 0)
                continue
            update = LiveUpdate(tuple(self._rows), self._missed)
            self._rows.clear()
            self._missed = 0
            self._has_rows.clear()
            yield update
            await asyncio.sleep(PAUSE_SECONDS)


class LiveNotices:
    """All open browsers' subscriptions."""

    def __init__(self, row_of: Callable[[IndexedEntry], str]) -> None:
        """`row_of` renders an entry, once for all browsers."""
        self._row_of = row_of
        self._subscriptions: set[Subscription] = set()

    @property
    def is_full(self) -> bool:
        return len(self._subscriptions) >= MOST_SUBSCRIBERS

    def publish(self, entries: list[IndexedEntry]) -> None:
        if self._subscriptions:
            rendered = [(entry, self._row_of(entry)) for entry in entries]
            for subscription in self._subscriptions:
                subscription.add(rendered)

    @contextmanager
    def subscribed(self, wanted: NoticeFilter) -> Iterator[Subscription]:
        subscription = Subscription(wanted)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
