"""The time now, and pauses between attempts. Decisions never look at a clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import repeat


def now_milliseconds() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def growing_pauses(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Endless pauses: `first_seconds`, then each twice as long as the last, up to `longest_seconds`."""
    pause = first_seconds
    while pause < longest_seconds:
        yield pause
        pause *= 2
    yield from repeat(longest_seconds)
