"""Records by which bills affect each other: facts for the index, its answers, and a paper bill's refiling.

They travel over the log, never from one task's memory to another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from router.model.inputs import ManualEvent

CONTAINER, MASTER, ORIGINAL = "container", "master", "original"

MOST_STOPS: Final = 32
"""Stops that a fact or a link names one by one."""
MOST_SEEN_BY: Final = 32
"""Parties of a bill that may see it as the reason of another bill's hold."""
MORE_EVENTS: Final = "more"
"""Stands for the events of the stops beyond `MOST_STOPS`. No event has this id, so nobody can clear them by name."""


class Stop(NamedTuple):
    """A bill's own hold, as it stops a box, its master or, shown only, its splits."""

    bill: str
    """The bill that has the hold."""
    events: tuple[str, ...]
    """Ids of the events that placed it."""
    do_not_load: bool = False
    since: int | None = None
    """Posted minute of its placement (Eastern wall clock, minutes since 1970)."""
    containers: tuple[str, ...] = ()
    """Containers that a do-not-load under a master concerns, without check digits; empty: not known."""
    at_destination: bool = False
    shown_in_us: bool = False
    """True of a do-not-load if a later event of that bill shows the cargo in the U.S."""
    seen_by: tuple[str, ...] = ()
    """Parties notified of the bill itself, which may see its number: at most `MOST_SEEN_BY`."""


class IndexFact(NamedTuple):
    """One bill's statement under one index key. Topic `snp.index`; `present` False withdraws it."""

    key: str
    """`container:CSQU305438` (no check digit), `master:<bill key>` or `original:<bill key>`."""
    bill: str
    present: bool
    stops: tuple[Stop, ...] = ()
    """Under a container: the holds that stop the box. Under a master: all own holds of the house. Under an original:
    of that bill itself, its holds as a whole. Bounded by `bounded_stops`."""
    sailing_id: str | None = None
    imo_number: str | None = None
    arrival_date: str | None = None
    alias: bool = False
    """The bill replaces the paper bill of this key, and gets the links that the index writes to it."""
    caused_by: str | None = None
    """Id of the event by which the fact changed."""

    @property
    def stopped(self) -> bool:
        return bool(self.stops)

    @property
    def do_not_load(self) -> bool:
        return any(stop.do_not_load for stop in self.stops)

    @property
    def since(self) -> int | None:
        """Posted minute of the oldest stop, which is the first."""
        return self.stops[0].since if self.stops else None

    @property
    def events(self) -> tuple[str, ...]:
        return events_of(self.stops)


class LinkFact(NamedTuple):
    """The index's answer to one bill. Topic `snp.links`, under that bill's key."""

    bill: str
    key: str
    """The index key that it answers."""
    kind: str
    """`BOX`, `HOUSE`, `SPLIT` (to an original) or `ORIGINAL` (to its splits)."""
    active: bool
    stops: tuple[Stop, ...] = ()
    """The other bills' holds behind it, bounded by `bounded_stops`."""
    other_bill: str | None = None
    """The other bill of a `SPLIT` or an `ORIGINAL`."""
    caused_by: str | None = None
    """Id of the other bill's event by which the answer changed. Not kept with the bill."""

    @property
    def events(self) -> tuple[str, ...]:
        return events_of(self.stops)


def events_of(stops: Iterable[Stop]) -> tuple[str, ...]:
    """Ids of the events behind stops, each once."""
    return tuple(dict.fromkeys(event for stop in stops for event in stop.events))


def bounded_stops(stops: Iterable[Stop]) -> tuple[Stop, ...]:
    """The stops, the oldest first. Those beyond `MOST_STOPS` become one of their joint effect."""
    ordered = sorted(stops, key=_age)
    kept, rest = ordered[:MOST_STOPS], ordered[MOST_STOPS:]
    if rest:
        do_not_load = any(stop.do_not_load for stop in rest)
        at_destination = all(stop.at_destination for stop in rest)
        kept.append(Stop(rest[0].bill, (MORE_EVENTS,), do_not_load, rest[0].since, at_destination=at_destination))
    return tuple(kept)


def _age(stop: Stop) -> tuple[bool, int, Stop]:
    return stop.since is None, stop.since or 0, stop


class RefilingRequest(NamedTuple):
    """The electronic bill's request for the history of the paper bill that was filed as it. Topic `snp.links`, under
    the paper bill's key."""

    bill: str
    """The paper bill."""
    electronic_bill: str


class RefilingRefusal(NamedTuple):
    """The answer of a bill that has no history to send: it is not on paper, or was filed as another bill. Topic
    `snp.links`, under the electronic bill's key."""

    bill: str
    """The electronic bill."""
    paper_bill: str
    unknown: bool
    """True if nothing was filed of it yet: the match stands until it is taken on paper."""
    stops: tuple[Stop, ...] = ()
    """Holds that CBP placed under its number meanwhile."""


class Refiling(NamedTuple):
    """A paper bill's history, for the bill under whose other number it was filed.

    Written by the paper bill's task to `snp.links` under the electronic bill's key.
    """

    bill: str
    """The electronic bill."""
    paper_bill: str
    manual_events: tuple[ManualEvent, ...]
    """Manual events under the paper number; they stand there until the electronic bill has them."""
    covers: tuple[str, ...]
    """Ids of the events notified under the paper number."""
    notified: tuple[str, ...]
    """Parties notified under it."""
    notified_release: tuple[str, ...] = ()
    """Those of them whose last notice was a Release."""
    replaces: tuple[str, ...] = ()
    """Earlier paper bills that were filed as this one."""
    stops: tuple[Stop, ...] = ()
    """Holds that CBP placed under the paper number. The index answers with them too, but maybe later."""


class RefilingAnswer(NamedTuple):
    """The electronic bill's acknowledgement of a refiling. Topic `snp.links`, under the paper bill's key."""

    bill: str
    """The paper bill."""
    electronic_bill: str
    manual_events: tuple[str, ...]
    """Ids of the manual events it has now."""
    not_entitled: tuple[str, ...]
    """Parties notified under the paper number that have no ground under the new one."""


RefilingRecord = RefilingRequest | RefilingRefusal | Refiling | RefilingAnswer
"""Records between a paper bill and the bill it was filed as, in this order."""
