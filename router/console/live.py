"""Notices as they happen, to every browser that watches: bounded, and never at the cost of the rest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from router.console.index import Entry

KEPT: Final = 100
"""Entries that wait for one browser at most. The oldest go first, and it is told how many it missed: a person can't
read faster, and the bill's own page has them all."""

MOST_WATCHERS: Final = 200

PAUSE_SECONDS: Final = 0.5
"""Between two deliveries to one browser."""

KEEP_ALIVE_SECONDS: Final = 15.0


class Filter(NamedTuple):
    """What one browser wants to see; None: anything."""

    party: str | None = None
    kind: str | None = None
    vessel: str | None = None
    port: str | None = None
    do_not_load: bool = False

    def wants(self, entry: Entry) -> bool:
        """Never what nobody was told: that is in the bill's history."""
        told = entry.fields["told"]
        if not told:
            return False
        if self.party and not any(one["recipient"] == self.party for one in told):
            return False
        if self.kind and not any(one["kind"] == self.kind for one in told):
            return False
        if self.vessel and self.vessel not in (entry.vessel_name or "").upper():
            return False
        if self.port and entry.port != self.port:
            return False
        return not self.do_not_load or entry.fields["status"] == "DO_NOT_LOAD"


class Delivery(NamedTuple):
    rows: tuple[str, ...]
    """As the page shows them, the oldest first."""
    missed: int


class Watcher:
    def __init__(self, wanted: Filter) -> None:
        self._wanted = wanted
        self._waiting: deque[str] = deque(maxlen=KEPT)
        self._missed = 0
        self._something = asyncio.Event()

    def tell(self, entries: Iterable[tuple[Entry, str]]) -> None:
        """Entries, each with its row."""
        for entry, row in entries:
            if self._wanted.wants(entry):
                self._missed += len(self._waiting) == KEPT
                self._waiting.append(row)
                self._something.set()

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """What came since the last one, at most twice a second; an empty one now and then, to keep the line open."""
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await self._something.wait()
            except TimeoutError:
                yield Delivery((), 0)
                continue
            delivery = Delivery(tuple(self._waiting), self._missed)
            self._waiting.clear()
            self._missed = 0
            self._something.clear()
            yield delivery
            await asyncio.sleep(PAUSE_SECONDS)


class Hub:
    def __init__(self, row_of: Callable[[Entry], str]) -> None:
        """`row_of` makes what is shown of an entry: once, however many watch."""
        self._row_of = row_of
        self._watchers: set[Watcher] = set()

    @property
    def is_full(self) -> bool:
        return len(self._watchers) >= MOST_WATCHERS

    def tell(self, entries: list[Entry]) -> None:
        if self._watchers:
            shown = [(entry, self._row_of(entry)) for entry in entries]
            for watcher in self._watchers:
                watcher.tell(shown)

    @contextmanager
    def watching(self, wanted: Filter) -> Iterator[Watcher]:
        watcher = Watcher(wanted)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
