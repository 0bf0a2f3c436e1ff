"""Outages as every task sees them: from their declaration until no late events come any more.

While an outage covers a bill, no news is not clearance. All values are frozen and never changed in place: an abandoned
transaction restores the old ones, and a task's position contains them, so that compaction of the registry can't lose
what was announced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from router.decide.port_areas import PortAreas
from router.decide.rules import Rules
from router.model.eastern import MILLISECONDS, MINUTE
from router.model.inputs import Shipment
from router.model.registry_values import DECLARED, LateTally, LostInput, Outage, OutageFilers, PortProcedure

MOST_PROCEDURES: Final = 400
"""Procedures in one announcement. The U.S. has some 330 ports."""
DOWN, SILENT, RECOVERING, RECOVERED = "DOWN", "SILENT", "RECOVERING", "RECOVERED"
LOST: Final = "LOST"
"""Messages of a time that is over were lost, and never come."""


class OutageWatch(NamedTuple):
    """An outage that lasts, or from which a feed recovers."""

    outage: Outage
    announced: int
    """Number of its latest announcement. The first follows the time of the outage's first record, so that no number,
    and no notice id, returns if an outage comes back."""
    tallies: tuple[LateTally, ...] = ()
    """Late events so far; the latest tally of each run."""
    filers: frozenset[str] = frozenset()
    """Filers that tasks reported: those with open bills that name the line, if the outage is a line's own."""

    @property
    def last_late_at(self) -> int:
        """Time of its end, or of the latest late event."""
        return max(self.outage.ended_at or 0, *(tally.at for tally in self.tallies), 0)


Outages = Mapping[str, OutageWatch]
"""By id."""


class Announcement(NamedTuple):
    state: str
    watch: OutageWatch
    new_filers: frozenset[str] = frozenset()
    """Filers reported just now, who alone have not been told. Empty: the announcement is to everyone."""


def with_outage(outages: Outages, outage: Outage, elapsed: int) -> Outages:
    """The outages with one more, or one changed. An outage that is over at its first record is history, not news.

    `elapsed` is the registry's.
    """
    old = outages.get(outage.id)
    if old is None and outage.ended_at is not None:
        return outages
    if old is None:
        return {**outages, outage.id: OutageWatch(outage, elapsed // MILLISECONDS + 1)}
    news = _announced(outage) != _announced(old.outage)
    return {**outages, outage.id: old._replace(outage=outage, announced=old.announced + news)}


def _announced(outage: Outage) -> Outage:
    """The part that parties see."""
    return outage._replace(declared_by=None, ended_by=None)


def with_tally(outages: Outages, tally: LateTally) -> Outages:
    watched = outages.get(tally.outage)
    if watched is None:
        return outages
    others = tuple(other for other in watched.tallies if other.run != tally.run)
    return {**outages, tally.outage: watched._replace(tallies=(*others, tally))}


def with_procedure(outages: Outages, procedure: PortProcedure, areas: PortAreas) -> Outages:
    """The outages with a port's new procedure, which is news of the outages at that port; one of all ports is not
    announced again for each of them."""
    news = {
        number: watched._replace(announced=watched.announced + 1)
        for number, watched in outages.items()
        if watched.outage.ended_at is None
        and watched.outage.port is not None
        and areas.same(watched.outage.port, procedure.port)
    }
    return {**outages, **news} if news else outages


def procedures_for(outage: Outage, procedures: Mapping[str, PortProcedure], areas: PortAreas) -> list[PortProcedure]:
    """The registered procedures of the outage's port area, or of all ports, by port."""
    return [procedures[port] for port in sorted(procedures) if outage.port is None or areas.same(outage.port, port)][
        :MOST_PROCEDURES
    ]


def with_filers(outages: Outages, report: OutageFilers) -> Outages:
    """The outages with a task's report. New filers of an outage that lasts are to be told of it."""
    watched = outages.get(report.outage)
    if watched is None or watched.outage.ended_at is not None or watched.filers.issuperset(report.filers):
        return outages
    more = watched._replace(announced=watched.announced + 1, filers=watched.filers.union(report.filers))
    return {**outages, report.outage: more}


def without_recovered(outages: Outages, now: int, rules: Rules) -> Outages:
    """The outages without those that ended and had no late events for the quiet time."""
    quiet = rules.recovery_quiet_minutes * MINUTE
    left = {
        number: watched
        for number, watched in outages.items()
        if watched.outage.ended_at is None or now - watched.last_late_at < quiet
    }
    return outages if len(left) == len(outages) else left


def announcements(before: Outages, after: Outages) -> Iterator[Announcement]:
    """Announcements due when the outages change."""
    for number, watched in after.items():
        old = before.get(number)
        if old is None or old.announced != watched.announced:
            outage = watched.outage
            begun = DOWN if outage.kind == DECLARED else SILENT
            new_filers = watched.filers - old.filers if old is not None else frozenset()
            yield Announcement(begun if outage.ended_at is None else RECOVERING, watched, new_filers)
    for number, watched in before.items():
        if number not in after:
            yield Announcement(RECOVERED, watched._replace(announced=watched.announced + 1))


def lost_input_announcement(lost: LostInput) -> Announcement:
    """The announcement of input that was lost, as of an outage from the last record that was read before it to the
    first one left."""
    began = lost.until if lost.since is None else lost.since
    outage = Outage(lost.id, DECLARED, began, declared_by=lost.by, ended_at=lost.until, ended_by=lost.by)
    return Announcement(LOST, OutageWatch(outage, lost.at // MILLISECONDS))


def is_behind(outages: Outages, shipment: Shipment, party_id: Callable[[str], str], areas: PortAreas) -> bool:
    """True if an outage of ocean messages covers a bill: by the area of its port of unlading and, if the outage is a
    line's own, by its manifest carrier."""
    return any(_covers(watched.outage, shipment, party_id, areas) for watched in outages.values())


def _covers(outage: Outage, shipment: Shipment, party_id: Callable[[str], str], areas: PortAreas) -> bool:
    if not outage.stops_ocean:
        return False
    port, line, carrier = outage.port, outage.carrier, shipment.carrier_scac
    if port is not None and (shipment.port_of_unlading is None or not areas.same(shipment.port_of_unlading, port)):
        return False
    return line is None or (carrier is not None and party_id(carrier) == party_id(line))
