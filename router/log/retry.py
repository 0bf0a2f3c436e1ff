"""How long to wait before the next try."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat


def growing_pauses(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """For ever: `first_seconds`, then each twice the one before, up to `longest_seconds`."""
    pause = first_seconds
    while pause < longest_seconds:
        yield pause
        pause *= 2
    yield from repeat(longest_seconds)
