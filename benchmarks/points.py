"""What is drawn of measurements: a cost at a size, waits at a rate."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    direction: str
    series: str
    size: int
    microseconds: float
    """CPU, of an event."""


class Waits(NamedTuple):
    rate: int
    fed: float
    """Events a second that the feed brought to the log."""
    p50: float
    p99: float
    """Milliseconds."""
    routed: float
    """Events a second, from the first notice to the last."""
