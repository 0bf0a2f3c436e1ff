"""Holds as they stand: CBP's own, those of events without a known effect, and those derived from other bills."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from router.decide.account import Account, HeldPieces, HoldKey
from router.decide.cargo_facts import Cargo
from router.decide.deeds import Deeds
from router.decide.rules import Rules
from router.model.eastern import last_pass
from router.model.identifiers import is_container_key, key_without_prefix
from router.model.links import MORE_EVENTS, LinkFact, Stop, bounded_stops, events_of
from router.model.vocabulary import HoldKind, UnparsedKind

UNPARSED_KINDS: Final[tuple[UnparsedKind, ...]] = ("UNREADABLE", "UNKNOWN_CODE")
CBP_HOLD: Final = "CBP"
MANUAL_HOLD: Final = "MANUAL"
"""Kinds of hold that several modules name."""

MOST_BOXES: Final = 100
"""Boxes stopped by other bills that a bill's notices list one by one; more of them become one hold. Otherwise each of a
thousand boxes would send a thousand holds to everyone."""


class StandingHold(NamedTuple):
    """A hold as notices show it."""

    kind: HoldKind
    code: str | None
    container_number: str | None
    quantity: int | None
    placed: int | None
    """Posted minute."""
    meaning: str | None
    do_not_load: bool = False
    at_destination: bool = False
    id: str | None = None
    """Event id of an unparsed event, by which an operator may confirm it, or of a manual event. None for others."""
    events: tuple[str, ...] = ()
    """Ids of the events that placed it. Of a derived hold, ids of the other bills' events that stop this one."""
    because_of: tuple[Stop, ...] = ()
    """Other bills' stops behind a derived hold, the oldest first."""
    shown_in_us: bool = False
    """True of a do-not-load if a later event shows the cargo in the U.S., where it can't be loaded any more."""

    @property
    def key(self) -> tuple[str, str | None, str | None, str | None]:
        """The same for one hold before and after an event."""
        return self.kind, self.code, self.container_number, self.id

    @property
    def names_unknown_container(self) -> bool:
        """True if it names a container that can't be recognised, so that it may be any of the bill's."""
        return self.container_number is not None and not is_container_key(self.container_number)

    def concerns(self, container: str) -> bool:
        return self.container_number in (None, container) or self.names_unknown_container

    def seen_bill(self, party: str | None) -> str | None:
        """The oldest bill behind a derived hold that the party may see; None for the party: an operator of the
        router, who may see all."""
        return next((stop.bill for stop in self.because_of if party is None or party in stop.seen_by), None)


class UnparsedEvent(NamedTuple):
    """An event that stops its bill because its effect is unknown."""

    id: str
    kind: UnparsedKind
    code: str | None
    placed: int
    container_number: str | None = None
    rules: int = 1
    """Number of the rules under which it came."""
    names_bill: bool = False
    """True if it is certain that it is about this bill: it was read as an event, from whole input."""


def cbp_holds(holds: Mapping[HoldKey, HeldPieces], rules: Rules) -> Iterable[StandingHold]:
    for (code, container), standing in holds.items():
        known = rules.codes.get(code)
        yield StandingHold(
            CBP_HOLD,
            code,
            container,
            standing.quantity,
            standing.placed,
            known.meaning if known else None,
            standing.do_not_load,
            standing.at_destination,
            events=standing.events,
        )


_MEANINGS: Final = {
    "UNREADABLE": "an event of this bill could not be read, or its posted time can't be right",
    "UNKNOWN_CODE": "an event of this bill has a code that is not known here",
}


def unparsed_holds(unparsed: Iterable[UnparsedEvent], rules: Rules) -> Iterable[StandingHold]:
    """Holds of unparsed events. One whose code is a known do-not-load is a do-not-load."""
    for one in unparsed:
        known = rules.at(one.rules).codes.get(one.code or "")
        do_not_load = known is not None and known.do_not_load
        meaning = _MEANINGS[one.kind]
        yield StandingHold(
            *(one.kind, one.code, one.container_number, None, one.placed, meaning, do_not_load),
            id=one.id,
            events=(one.id,),
        )


def derived_holds(links: Iterable[LinkFact], cargo: Cargo, deeds: Deeds) -> Iterator[StandingHold]:
    """Holds by the stops of other bills, without those that an operator cleared here."""
    boxes: dict[str, tuple[Stop, ...]] = {}
    houses: tuple[Stop, ...] = ()
    master = ""
    for link in links:
        stops = tuple(stop for stop in link.stops if MORE_EVENTS in stop.events or not deeds.clear_all(stop.events))
        if stops and link.kind == "BOX":
            boxes[link.key.partition(":")[2]] = stops
        elif stops and link.kind == "HOUSE":
            houses, master = stops, link.bill
    if len(boxes) > MOST_BOXES:
        meaning = f"more than {MOST_BOXES} of its containers are stopped"
        yield _derived_hold("BOX", None, bounded_stops({stop for stops in boxes.values() for stop in stops}), meaning)
        boxes = {}
    for container, stops in boxes.items():
        do_not_load = any(stop.do_not_load for stop in stops)
        meaning = "the container must not be loaded" if do_not_load else "the container is stopped"
        yield _derived_hold("BOX", container, stops, meaning)
    if houses:
        is_house = any(key_without_prefix(stop.bill) != master for stop in houses)
        subject = "a house bill under this master" if is_house else "the same number with its SCAC in front"
        yield from _house_holds(houses, cargo.container_keys, subject)


def _house_holds(stops: tuple[Stop, ...], named: frozenset[str], subject: str) -> Iterator[StandingHold]:
    """The hold of a master of which a house is held, and one on each container that must not be loaded because of a
    house. `named` are the master's containers, `subject` begins the meaning.

    If a house names none of them, its do-not-load concerns each.
    """
    not_to_load: dict[str | None, list[Stop]] = {}
    for stop in stops:
        if stop.do_not_load:
            for container in named.intersection(stop.containers) or (None,):
                not_to_load.setdefault(container, []).append(stop)
    everywhere = None in not_to_load or len(not_to_load) > MOST_BOXES
    meaning = f"{subject} must not be loaded"
    whole = _derived_hold("HOUSE", None, stops, meaning if everywhere else f"{subject} is held")
    yield whole._replace(do_not_load=everywhere)
    if not everywhere:
        for container, its in sorted(not_to_load.items(), key=lambda one: one[0] or ""):
            yield _derived_hold("HOUSE", container, tuple(its), meaning)


def _derived_hold(kind: HoldKind, container: str | None, stops: tuple[Stop, ...], meaning: str) -> StandingHold:
    return StandingHold(
        *(kind, None, container, None, min((stop.since for stop in stops if stop.since is not None), default=None)),
        meaning,
        any(stop.do_not_load for stop in stops),
        all(stop.at_destination for stop in stops),
        events=events_of(stops),
        because_of=stops,
    )


def with_sight(holds: tuple[StandingHold, ...], account: Account, cargo: Cargo) -> tuple[StandingHold, ...]:
    """The holds, those do-not-loads marked whose cargo an event of this bill or of theirs shows in the U.S.

    The vessel's arrival is no such event: an obeyed do-not-load leaves the box abroad.
    """
    if not account.shown_in_us and not any(hold.because_of for hold in holds):
        return holds
    return tuple(
        hold._replace(shown_in_us=True) if hold.do_not_load and _is_in_us(hold, account, cargo) else hold
        for hold in holds
    )


def _is_in_us(hold: StandingHold, account: Account, cargo: Cargo) -> bool:
    box = hold.container_number
    if not hold.because_of:
        return _is_shown(account, cargo, box, hold.placed)
    stops = (stop for stop in hold.because_of if stop.do_not_load)
    return all(
        stop.shown_in_us or (MORE_EVENTS not in stop.events and _is_shown(account, cargo, box, stop.since))
        for stop in stops
    )


def _is_shown(account: Account, cargo: Cargo, container: str | None, since: int | None) -> bool:
    """True if an event posted after that minute shows the scope in the U.S.: all of the bill, or each container."""
    shown = account.shown_in_us
    if not shown or since is None:
        return False
    minute = last_pass(since)
    if shown.get(None, minute) > minute:
        return True
    scopes = cargo.container_keys if container is None else {container}
    return bool(scopes) and all(shown.get(scope, minute) > minute for scope in scopes)
