"""Checks the time stamps of records, which the clocks of other machines wrote, against our own clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import structlog

from router.model.eastern import CLOCKS_DIFFER, MILLISECONDS, is_within_years

AHEAD: Final = MILLISECONDS
"""A record dated further ahead of our clock shows that the clocks differ."""
KEPT_SECONDS: Final = 120.0
"""The largest difference is shown this long, if no larger one comes. There is a tick a minute, of task 0's clock."""

_log = structlog.get_logger(__name__)


class Arrivals:
    """The arrival of one task's records. All that is read later arrived after the last poll that came to the end of the
    inputs, so an earlier time stamp is another clock's. Times are UTC milliseconds."""

    def __init__(self, task: int) -> None:
        self._task = task
        self._complete_at: float | None = None
        """Begin of the last poll whose records were all there were, by `time.monotonic`."""
        self._largest = 0
        self._largest_at = 0.0

    def complete(self, polled_at: float | None) -> None:
        """All records that were there at `polled_at`, by `time.monotonic`, have been read. None: it is not known."""
        self._complete_at = polled_at if polled_at is not None else self._complete_at

    def is_credible(self, timestamp: int, now: int) -> bool:
        """True if a record may have arrived at its time stamp. False for all records of a backlog at the start: whether
        it or the clock is old can't be told."""
        earliest = self._earliest(now)
        return earliest is not None and earliest <= timestamp <= now + AHEAD

    def difference(self, timestamps: Sequence[int], now: int) -> int | None:
        """Return the least difference of the clocks behind these records from ours; the largest of late. Positive: the
        other clock is ahead. None: unknown yet. A time that no clock shows, which any client can write, is none."""
        shown = [one for one in timestamps if is_within_years(one)]
        if not shown:
            return None
        earliest = self._earliest(now)
        ahead, behind = max(shown) - now, 0 if earliest is None else min(shown) - earliest
        found = ahead if ahead > AHEAD else min(behind, 0)
        if not found and earliest is None:
            return None
        if abs(found) >= abs(self._largest) or time.monotonic() - self._largest_at > KEPT_SECONDS:
            if found and not self._largest:
                _log.warning("clocks_differ", task=self._task, seconds=round(found / MILLISECONDS, 1))
            self._largest, self._largest_at = found, time.monotonic()
        return self._largest

    def _earliest(self, now: int) -> int | None:
        if self._complete_at is None:
            return None
        return now - round((time.monotonic() - self._complete_at) * MILLISECONDS) - CLOCKS_DIFFER
