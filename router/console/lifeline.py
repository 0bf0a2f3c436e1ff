"""A bill's life as a diagram: its holds as bars by posted time, what came late, its releases and notices as ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from router.model.eastern import HOUR, MILLISECONDS, iso

WIDTH: Final = 1000
NARROWEST: Final = 4
"""A bar is at least this wide, or a short hold could not be seen."""
RELEASED: Final = "RELEASED"
LATE: Final = HOUR


class Span(NamedTuple):
    """A part of the diagram, in thousandths of its width."""

    start: int
    width: int


class HoldBar(NamedTuple):
    name: str
    """Code or kind, and the container if it has one."""
    is_do_not_load: bool
    span: Span
    late: Span | None
    """From its posted time until it was known here, if that took more than an hour."""
    began: str
    ended: str | None
    """ISO 8601; None while it stands."""


class Tick(NamedTuple):
    place: int
    at: str
    text: str


class Lifeline(NamedTuple):
    bars: tuple[HoldBar, ...]
    releases: tuple[Tick, ...]
    notices: tuple[Tick, ...]
    began: str
    ended: str


class _Hold(NamedTuple):
    began: int
    known: int
    ended: int | None = None


def lifeline(timeline: Sequence[Mapping[str, Any]], do_not_load_codes: frozenset[str], now: int) -> Lifeline | None:
    """The diagram of a bill's history, as `bill_fields` has it; None without anything to draw. `now`: UTC milliseconds.

    It ends now while a hold stands, else with the last event.
    """
    holds, releases, notices = dict[str, list[_Hold]](), list[tuple[int, str]](), list[tuple[int, str]]()
    moments = [moment for entry in timeline for moment in _moments(entry)]
    if not moments:
        return None
    for entry in timeline:
        posted, decided = _moments(entry)
        _follow(holds, entry["holds"], posted, decided)
        if entry["status"] == RELEASED and entry["status_before"] != RELEASED:
            releases.append((posted, f"{entry['disposition_code'] or entry['cause']}: released"))
        if entry["notified"]:
            notices.append((decided, ", ".join(f"{one['kind']} {one['recipient']}" for one in entry["notified"])))
    stands = any(spans[-1].ended is None for spans in holds.values())
    begin, end = min(moments), max(now, *moments) if stands else max(moments)
    scale = _Scale(begin, max(end, begin + HOUR))
    bars = [_bar(name, one, scale, do_not_load_codes) for name, spans in holds.items() for one in spans]
    return Lifeline(
        tuple(sorted(bars, key=lambda bar: (bar.span.start, bar.name))),
        tuple(Tick(scale.place(at), iso(at), text) for at, text in releases),
        tuple(Tick(scale.place(at), iso(at), text) for at, text in notices),
        iso(begin),
        iso(end),
    )


class _Scale(NamedTuple):
    begin: int
    end: int

    def place(self, at: int) -> int:
        return round(WIDTH * (at - self.begin) / (self.end - self.begin))

    def span(self, start: int, end: int) -> Span:
        left = min(self.place(start), WIDTH - NARROWEST)
        return Span(left, max(NARROWEST, self.place(end) - left))


def _moments(entry: Mapping[str, Any]) -> tuple[int, int]:
    """The posted time of an entry's event, or else when it was decided; and when it was decided."""
    decided = _milliseconds(entry["at"])
    return (_milliseconds(entry["action_at"]) if entry["action_at"] else decided), decided


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * MILLISECONDS)


def _follow(holds: dict[str, list[_Hold]], standing: Sequence[str], posted: int, decided: int) -> None:
    for name in standing:
        spans = holds.setdefault(name, [])
        if not spans or spans[-1].ended is not None:
            spans.append(_Hold(posted, decided))
    for name, spans in holds.items():
        if name not in standing and spans[-1].ended is None:
            spans[-1] = spans[-1]._replace(ended=max(posted, spans[-1].began))


def _bar(name: str, hold: _Hold, scale: _Scale, do_not_load_codes: frozenset[str]) -> HoldBar:
    kind, code, container, *_ = [*name.split(":"), "", "", ""]
    end = scale.end if hold.ended is None else hold.ended
    is_late = hold.known - hold.began > LATE
    return HoldBar(
        " ".join(filter(None, (code or kind.replace("_", " ").lower(), container or "whole bill"))),
        code in do_not_load_codes,
        scale.span(hold.began, end),
        scale.span(hold.began, min(hold.known, end)) if is_late else None,
        iso(hold.began),
        None if hold.ended is None else iso(hold.ended),
    )
