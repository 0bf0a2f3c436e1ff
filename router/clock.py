"""The time now, and how long to wait before the next try. Decisions never look at a clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import repeat


def now_milliseconds() -> int:
    """UTC milliseconds since 1970. For the edges alone: no decision looks at a clock."""
    return time.time_ns() // 1_000_000


def growing_pauses(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """For ever: `first_seconds`, then each twice the one before, up to `longest_seconds`."""
    pause = first_seconds
    while pause < longest_seconds:
        yield pause
        pause *= 2
    yield from repeat(longest_seconds)
