"""A party's reading over the last 24 hours as a diagram: its unread notices, the age of its oldest unread do-not-load,
and what is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from router.desk.index_reading import Observation
from router.model.eastern import DAY, MINUTE

WIDTH: Final = DAY // MINUTE
"""Width of the diagram, one unit a minute."""
HEIGHT: Final = 100


class Span(NamedTuple):
    """Minutes of one kind, from the left edge."""

    start: int
    width: int


class ReadingLag(NamedTuple):
    """Curves in an SVG of `WIDTH` by `HEIGHT`, each as the `d` of a path; empty where all is zero or unknown."""

    began: int
    """Time of the left edge, UTC milliseconds; the right edge is 24 hours later."""
    unread: str
    most_unread: int
    ages: str
    longest_age: int
    """Milliseconds."""
    unknown: tuple[Span, ...]
    """Minutes without an observation, and those in which the party's reader could not be followed."""
    last: Observation | None
    """The latest of a known reading."""

    @property
    def unknown_minutes(self) -> int:
        return sum(span.width for span in self.unknown)


def reading_lag(observations: Iterable[Observation], until: int) -> ReadingLag:
    """Draw what was observed in the 24 hours until a time, UTC milliseconds. The minute that has just begun counts as
    the one before it until it is observed."""
    first = until // MINUTE - WIDTH + 1
    seen = {one.at // MINUTE - first: one for one in observations}
    known = {minute: one for minute, one in seen.items() if one.notices is not None and 0 <= minute < WIDTH}
    if WIDTH - 1 not in seen and WIDTH - 2 in known:
        known[WIDTH - 1] = known[WIDTH - 2]
    unread = {minute: one.notices or 0 for minute, one in known.items()}
    ages = {minute: max(0, one.at - one.oldest) if one.oldest is not None else 0 for minute, one in known.items()}
    return ReadingLag(
        first * MINUTE,
        _curve(unread),
        max(unread.values(), default=0),
        _curve(ages),
        max(ages.values(), default=0),
        tuple(_spans(minute for minute in range(WIDTH) if minute not in known)),
        known[max(known)] if known else None,
    )


def _spans(minutes: Iterable[int]) -> list[Span]:
    """Spans of minutes that follow each other; `minutes` ascend."""
    spans: list[Span] = []
    for minute in minutes:
        if spans and spans[-1].start + spans[-1].width == minute:
            spans[-1] = Span(spans[-1].start, spans[-1].width + 1)
        else:
            spans.append(Span(minute, 1))
    return spans


def _curve(values: Mapping[int, int]) -> str:
    """Areas below the values as steps, one for each span that is above zero; the greatest value is at the top."""
    most = max(values.values(), default=0)
    parts = []
    for span in _spans(minute for minute in sorted(values) if values[minute]):
        parts.append(f"M{span.start} {HEIGHT}")
        before = None
        for minute in range(span.start, span.start + span.width):
            top = HEIGHT - max(1, HEIGHT * values[minute] // most)
            if top != before:
                parts.append(f"H{minute}V{top}")
            before = top
        parts.append(f"H{span.start + span.width}V{HEIGHT}Z")
    return "".join(parts)
