"""Arrivals of a bill or of its containers, as CBP's events record them: its places, proof that it is in the U.S., and
the authorities to move that end with them.

Scopes are containers without check digits, and None for the whole bill.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from router.decide.codes import ArrivalEffect, Code
from router.decide.port_areas import PortAreas
from router.model.identifiers import is_valid_port
from router.model.limits import MOST_NAMED

MOST_ARRIVALS: Final = 4
"""Arrivals kept of one scope. Beyond, the oldest are dropped, which frees less."""


class Arrival(NamedTuple):
    """An arrival in bond that stands."""

    port: str
    """Schedule D."""
    posted: int
    """Posted minute."""


Places = dict[str | None, tuple[Arrival, ...]]
"""Arrivals by scope. A container that is not a key has those of the whole bill."""


def with_arrival(
    places: Places,
    effect: ArrivalEffect | None,
    containers: Collection[str],
    code: Code,
    port: str | None,
    posted: int,
    areas: PortAreas,
) -> None:
    """Apply an event that records an arrival (11-13), moves it to another port (57-59) or takes it back (63-65).

    An unknown port, or a container's arrival without its container, is no place. A take-back that names a port where an
    arrival stands ends only that one; any other ends all in its scope.
    """
    valid = port if port is not None and is_valid_port(port) else None
    if effect == "recorded":
        if valid is not None and (containers or not code.of_container):
            _change(places, containers, lambda arrivals: _with(arrivals, Arrival(valid, posted)))
    elif effect == "changed":
        _change(places, containers, lambda arrivals: _moved(arrivals, valid, posted))
    elif effect == "deleted":
        _change(places, containers, lambda arrivals: _without(arrivals, valid, posted, areas))


def _change(
    places: Places, containers: Collection[str], change: Callable[[tuple[Arrival, ...]], tuple[Arrival, ...]]
) -> None:
    scopes: set[str | None] = {*containers} if containers else {None, *places}
    whole = places.get(None, ())
    for scope in scopes:
        places[scope] = change(places.get(scope, whole))
    if len(places) > MOST_NAMED or not any(places.values()):
        places.clear()


def _with(arrivals: tuple[Arrival, ...], arrival: Arrival) -> tuple[Arrival, ...]:
    others = (one for one in arrivals if one.port != arrival.port)
    return tuple(sorted((*others, arrival), key=lambda one: (one.posted, one.port)))[-MOST_ARRIVALS:]


def _moved(arrivals: tuple[Arrival, ...], port: str | None, posted: int) -> tuple[Arrival, ...]:
    later = tuple(one for one in arrivals if one.posted > posted)
    if len(later) == len(arrivals) or port is None:
        return later
    return _with(later, Arrival(port, posted))


def _without(arrivals: tuple[Arrival, ...], port: str | None, posted: int, areas: PortAreas) -> tuple[Arrival, ...]:
    earlier = [one for one in arrivals if one.posted <= posted]
    named = [one for one in earlier if port is not None and areas.same(one.port, port)]
    ended = named or earlier
    return tuple(one for one in arrivals if one not in ended)


def has_arrived(
    places: Mapping[str | None, tuple[Arrival, ...]],
    scope: str | None,
    port: str,
    areas: PortAreas,
    boxes: Iterable[str],
) -> bool:
    """True if the scope arrived at the port or at one of its area. The whole bill has if each of its containers has."""
    if not places:
        return False
    if scope is not None:
        return _is_at(places.get(scope, places.get(None, ())), port, areas)
    scopes: set[str | None] = {*places} if places.get(None) else {*boxes, *places} - {None}
    return bool(scopes) and all(_is_at(places.get(one, ()), port, areas) for one in scopes)


def _is_at(arrivals: Iterable[Arrival], port: str, areas: PortAreas) -> bool:
    return any(areas.same(one.port, port) for one in arrivals)
