"""Outages as every task sees them: from when they are declared until nothing late comes any more. No news of a bill
that one covers is no clearance.

What is kept is a few frozen values, never changed in place: a transaction that is thrown away puts the old ones back,
and a task's position holds them, so that compaction of the registry can't lose what was announced already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from router.decide.cargo_facts import Cargo
from router.decide.rules import Rules
from router.decide.status import TWIN_PORTS
from router.model.eastern import MILLISECONDS, MINUTE
from router.model.registry_values import DECLARED, LateTally, Outage

DOWN, SILENT, RECOVERING, RECOVERED = "DOWN", "SILENT", "RECOVERING", "RECOVERED"


class OutageWatch(NamedTuple):
    """An outage that lasts, or from which a feed recovers."""

    outage: Outage
    announced: int
    """The number of its latest announcement. The first follows the time at which it was first heard of: so no number,
    and with it no notice's id, comes back when an outage does that was over."""
    tallies: tuple[LateTally, ...] = ()
    """What came late so far; the latest of each run."""

    @property
    def last_late_at(self) -> int:
        """When it ended, or the last late event came."""
        return max(self.outage.ended_at or 0, *(tally.at for tally in self.tallies), 0)


def watched_of(datum: Mapping[str, Any]) -> OutageWatch:
    """As it lies in a position."""
    tallies = tuple(LateTally(**tally) for tally in datum["tallies"])
    return OutageWatch(Outage(**datum["outage"]), datum["announced"], tallies)


Outages = Mapping[str, OutageWatch]
"""By id."""


class Announcement(NamedTuple):
    state: str
    watched: OutageWatch


def with_outage(outages: Outages, outage: Outage, elapsed: int) -> Outages:
    """`elapsed` is the registry's. One that is over when it is first heard of is history, not news."""
    old = outages.get(outage.id)
    if old is None and outage.ended_at is not None:
        return outages
    if old is None:
        return {**outages, outage.id: OutageWatch(outage, elapsed // MILLISECONDS + 1)}
    news = _said(outage) != _said(old.outage)
    return {**outages, outage.id: OutageWatch(outage, old.announced + news, old.tallies)}


def _said(outage: Outage) -> Outage:
    """What parties hear of it: never who said so."""
    return outage._replace(declared_by=None, ended_by=None)


def with_tally(outages: Outages, tally: LateTally) -> Outages:
    watched = outages.get(tally.outage)
    if watched is None:
        return outages
    others = tuple(other for other in watched.tallies if other.run != tally.run)
    return {**outages, tally.outage: watched._replace(tallies=(*others, tally))}


def without_recovered(outages: Outages, now: int, rules: Rules) -> Outages:
    """Without those that ended and from which nothing late came for the quiet time."""
    quiet = rules.recovery_quiet_minutes * MINUTE
    left = {
        number: watched
        for number, watched in outages.items()
        if watched.outage.ended_at is None or now - watched.last_late_at < quiet
    }
    return outages if len(left) == len(outages) else left


def announcements(before: Outages, after: Outages) -> Iterator[Announcement]:
    """What is to be said when the one has become the other."""
    for number, watched in after.items():
        old = before.get(number)
        if old is None or old.announced != watched.announced:
            outage = watched.outage
            begun = DOWN if outage.kind == DECLARED else SILENT
            yield Announcement(begun if outage.ended_at is None else RECOVERING, watched)
    for number, watched in before.items():
        if number not in after:
            yield Announcement(RECOVERED, watched._replace(announced=watched.announced + 1))


def is_behind(outages: Outages, known: Cargo, party_scac: Callable[[str], str]) -> bool:
    """Whether an outage covers a bill: its port of unlading (or the one that is one place with it), and its manifest
    carrier, where it is a line's own."""
    return any(_covers(watched.outage, known, party_scac) for watched in outages.values())


def _covers(outage: Outage, known: Cargo, party_scac: Callable[[str], str]) -> bool:
    port, line, carrier = outage.port, outage.carrier, known.carrier_scac
    if port is not None and (known.port_of_unlading is None or _place(known.port_of_unlading) != _place(port)):
        return False
    return line is None or (carrier is not None and party_scac(carrier) == party_scac(line))


def _place(port: str) -> str:
    return TWIN_PORTS.get(port, port)
