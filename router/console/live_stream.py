"""The stream that tells open browsers how current the console is, and that pages have changed.

A browser has one stream for all its tabs, which fetch their own page anew when it has changed. So whatever is on a page
is as of one moment, and a slow browser delays nobody.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
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

PAGES_A_SECOND: Final = 5
"""Pages that all browsers together fetch anew, each 30 to 50 ms of CPU, so that many take no more than a quarter of a
core."""
SHORTEST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 15.0
"""Half of the time after which a page is shown as old."""

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
    pause: float
    """Seconds between two fetches of one page; more while many browsers are open."""


class _Browser:
    """One browser's stream."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.stops: deque[NewDoNotLoad] = deque(maxlen=MOST_STOPS)
        """Do-not-loads that it has not been sent."""
        self.is_ended = False


class LiveStream:
    """All open browsers' streams."""

    def __init__(self) -> None:
        self.revision = now_milliseconds()
        """Counts changes; begins with the time, so that a page from before a restart is never taken for current."""
        self._changed = asyncio.Event()
        self._browsers: list[_Browser] = []
        """The oldest first."""
        self._closing = asyncio.Event()

    def has_room_for(self, user: str) -> bool:
        """False if there are as many streams as may be, and nobody would still have more of them than this user."""
        counts = self._counts()
        return len(self._browsers) < MOST_SUBSCRIBERS or max(counts.values()) > counts[user] + 1

    def publish(self, entries: Iterable[IndexedEntry] = ()) -> None:
        """Have open pages fetched anew, and alert those who asked for it to what begins a do-not-load."""
        self.revision += 1
        for entry in entries:
            if entry.stops_anew:
                for browser in self._browsers:
                    browser.stops.append(NewDoNotLoad(entry.fields["bill"], entry.vessel_name))
        self._wake()

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self._closing.set()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @contextmanager
    def subscribed(self, user: str) -> Iterator[AsyncIterator[Beat]]:
        """Beats for one browser: at once, then at most one a second and at least one every five. Of too many, the
        oldest of the user who has most gives way, whether or not it is read."""
        if len(self._browsers) >= MOST_SUBSCRIBERS:
            self._end(self._most())
        browser = _Browser(user)
        self._browsers.append(browser)
        try:
            yield self._beats(browser)
        finally:
            self._end(browser)

    def _pause(self) -> float:
        return min(LONGEST_PAUSE_SECONDS, max(SHORTEST_PAUSE_SECONDS, len(self._browsers) / PAGES_A_SECOND))

    def _most(self) -> _Browser:
        """The oldest browser of the user who has most."""
        counts = self._counts()
        return max(self._browsers, key=lambda browser: counts[browser.user])

    def _counts(self) -> Counter[str]:
        return Counter(browser.user for browser in self._browsers)

    def _end(self, browser: _Browser) -> None:
        browser.is_ended = True
        self._browsers[:] = [one for one in self._browsers if one is not browser]

    async def _beats(self, browser: _Browser) -> AsyncIterator[Beat]:
        while not (self._closing.is_set() or browser.is_ended):
            changed, sent = self._changed, tuple(browser.stops)
            browser.stops.clear()
            yield Beat(self.revision, sent, self._pause())
            await _wait(self._closing, PAUSE_SECONDS)
            await _wait(changed, BEAT_SECONDS - PAUSE_SECONDS)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
