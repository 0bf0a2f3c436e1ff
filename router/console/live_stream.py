"""The stream that tells open browsers how current the console is, and that pages have changed.

A browser has one stream for all its tabs, which fetch their own page anew when it has changed. So whatever is on a page
is as of one moment, and a slow browser delays nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from router.clock import now_milliseconds
from router.desk.index_notices import IndexedEntry

MOST_SUBSCRIBERS: Final = 200

PAUSE_SECONDS = 1.0
"""Between two beats to one browser."""
BEAT_SECONDS = 5.0
"""Between two beats while nothing changes."""

MOST_STOPS: Final = 20
"""New do-not-loads sent in one beat; all of them are on the page."""


class NewDoNotLoad(NamedTuple):
    """A do-not-load that just began, for those who asked to be alerted."""

    bill: str
    vessel_name: str | None


class Beat(NamedTuple):
    revision: int
    """Differs if any page may have changed."""
    stops: tuple[NewDoNotLoad, ...]
    """Do-not-loads that began since the last beat."""


class LiveStream:
    """All open browsers' streams."""

    def __init__(self) -> None:
        self.revision = now_milliseconds()
        """Counts changes; begins with the time, so that a page from before a restart is never taken for current."""
        self._changed = asyncio.Event()
        self._stops: list[deque[NewDoNotLoad]] = []
        """One for each browser, with what it has not been sent."""
        self._closing = asyncio.Event()

    @property
    def is_full(self) -> bool:
        return len(self._stops) >= MOST_SUBSCRIBERS

    def publish(self, entries: Iterable[IndexedEntry] = ()) -> None:
        """Have open pages fetched anew, and alert those who asked for it to what begins a do-not-load."""
        self.revision += 1
        for entry in entries:
            if entry.stops_anew:
                for stops in self._stops:
                    stops.append(NewDoNotLoad(entry.fields["bill"], entry.vessel_name))
        self._wake()

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self._closing.set()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @contextmanager
    def subscribed(self) -> Iterator[AsyncIterator[Beat]]:
        """Beats for one browser: at once, then at most one a second and at least one every five."""
        stops: deque[NewDoNotLoad] = deque(maxlen=MOST_STOPS)
        self._stops.append(stops)
        try:
            yield self._beats(stops)
        finally:
            self._stops[:] = [one for one in self._stops if one is not stops]

    async def _beats(self, stops: deque[NewDoNotLoad]) -> AsyncIterator[Beat]:
        while not self._closing.is_set():
            changed, sent = self._changed, tuple(stops)
            stops.clear()
            yield Beat(self.revision, sent)
            await _wait(self._closing, PAUSE_SECONDS)
            await _wait(changed, BEAT_SECONDS - PAUSE_SECONDS)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
