"""A bill's status: from its account, its stopped boxes and houses, and its unparsed events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from router.decide.account import RELEASE_PREDATES_HOLD, Account, HeldPieces, HoldKey, StandingRelease
from router.decide.cargo_facts import Cargo
from router.decide.deeds import Deeds
from router.decide.places import PORT_DIFFERS, release_place
from router.decide.rules import Rules
from router.model.eastern import last_pass
from router.model.links import MORE_EVENTS, LinkFact, Stop, bounded_stops, events_of
from router.model.vocabulary import Authority, Doubt, HoldKind, Status, UnparsedKind

DO_NOT_LOAD: Final = "DO_NOT_LOAD"
HELD: Final = "HELD"
DELETED: Final = "DELETED"
CLOSED: Final = "CLOSED"
RELEASED: Final = "RELEASED"
RELEASE_UNCONFIRMED: Final = "RELEASE_UNCONFIRMED"
PARTIALLY_RELEASED: Final = "PARTIALLY_RELEASED"
MOVEMENT_AUTHORISED: Final = "MOVEMENT_AUTHORISED"
NOT_RELEASED: Final = "NOT_RELEASED"
ON_FILE: Final = "ON_FILE"

OVER: Final = frozenset({RELEASED, CLOSED, DELETED})
"""Statuses of a life that is over. After a long quiet such a bill is forgotten."""

QUANTITY_UNKNOWN: Final = "QUANTITY_UNKNOWN"
HISTORY_INCOMPLETE: Final = "HISTORY_INCOMPLETE"
CLEARED_BY_HAND: Final = "CLEARED_BY_HAND"

UNPARSED_KINDS: Final[tuple[UnparsedKind, ...]] = ("UNREADABLE", "UNKNOWN_CODE")
CBP_HOLD: Final = "CBP"
MANUAL_HOLD: Final = "MANUAL"
"""Kinds of hold that several modules name."""

IN_BOND: Final = "IN_BOND_MOVEMENT"
EXAM: Final = "EXAM_TRANSFER"
TERMINAL: Final = "TERMINAL_EXIT"
PARTIAL: Final = "PARTIAL_DELIVERY"

EMPTY_RELEASE: Final = "1C"

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
    """Of a derived hold: the other bills' stops behind it, the oldest first."""
    shown_in_us: bool = False
    """True of a do-not-load if a later event shows the cargo in the U.S., where it can't be loaded any more."""

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


class ContainerStatus(NamedTuple):
    """Status of one container of a bill. Made by `container_statuses`."""

    number: str
    """As written on the bill."""
    stopped: bool
    """True if a hold stands on the bill or on the container."""
    do_not_load: bool
    authorises: tuple[Authority, ...]
    released: bool
    """True if this bill's cargo in it may be delivered. Other bills' cargo may be in it too."""


class Assessment(NamedTuple):
    """Status of a bill, with what notices show of it."""

    status: Status
    """A `Status`."""
    deliverable: bool
    do_not_load: bool
    doubts: tuple[Doubt, ...]
    holds: tuple[StandingHold, ...]
    authorises: tuple[Authority, ...]
    manifested_quantity: int | None
    released_quantity: int | None
    release_posted: int | None
    cleared: tuple[StandingHold, ...] = ()
    """Holds that one person cleared and no other has confirmed: they no longer stand, but nothing is allowed that they
    forbade."""
    deliverable_at: str | None = None
    """Port at which it may be delivered now, Schedule D. None if it may not, or if its port of unlading is unknown."""
    containers: tuple[ContainerStatus, ...] = ()

    @property
    def stopped(self) -> bool:
        return bool(self.holds or self.cleared)

    def shows_the_same(self, other: Assessment | None) -> bool:
        """True if notices of both would be the same. They don't show which events placed a hold, and of several bills
        behind a derived hold the oldest. That a container is named now is no news of its own."""
        if other is None or self == other:
            return other is not None
        if self._as_shown() != other._as_shown():
            return False
        known = {container.number: container for container in self.containers}
        return all(known.get(container.number, container) == container for container in other.containers)

    def _as_shown(self) -> tuple[Assessment, list[str | None]]:
        cleared = tuple(hold._replace(events=(), shown_in_us=False) for hold in self.cleared)
        shown = self._replace(holds=self.shown_holds, cleared=cleared, containers=())
        return shown, [hold.seen_bill(None) for hold in self.holds]

    @property
    def shown_holds(self) -> tuple[StandingHold, ...]:
        """The holds without the events and the bills behind them."""
        return tuple(hold._replace(events=(), because_of=(), shown_in_us=False) for hold in self.holds)


def assess(
    account: Account,
    cargo: Cargo,
    links: Iterable[LinkFact],
    unparsed: Iterable[UnparsedEvent],
    rules: Rules,
    deeds: Deeds,
    manual_holds: tuple[StandingHold, ...] = (),
    *,
    incomplete: bool = False,
) -> Assessment:
    """Assess a bill. While it is `incomplete`, it may be stopped by what is still to come, so nothing is allowed."""
    derived = _derived_holds(links, cargo, deeds)
    holds = (*_cbp_holds(account.holds, rules), *manual_holds, *_unparsed_holds(unparsed, rules), *derived)
    cleared = tuple(_cbp_holds(_unconfirmed(account, deeds), rules)) if account.cleared else ()
    do_not_load = any(hold.do_not_load for hold in (*holds, *cleared))
    if do_not_load:
        holds, cleared = _with_sight(holds, account, cargo), _with_sight(cleared, account, cargo)
    stopping = (*holds, *cleared)
    doubts, enough, port = _release(account, cargo, rules, deeds)
    if cleared:
        doubts = (*doubts, CLEARED_BY_HAND)
    authorities = _authorities(account, cargo, stopping)
    if incomplete:
        authorities = ()
        if account.releases and HISTORY_INCOMPLETE not in doubts:
            doubts = (*doubts, HISTORY_INCOMPLETE)
    stop: Status | None = HELD if holds else None
    if any(hold.do_not_load and not hold.shown_in_us for hold in stopping):
        stop = DO_NOT_LOAD
    status = stop or _status(account, cargo, doubts, enough, authorities)
    names_containers = any(release.container is not None for release in account.releases)
    if status == PARTIALLY_RELEASED and not doubts and not names_containers:
        authorities = (*authorities, PARTIAL)
    return Assessment(
        status,
        status == RELEASED,
        do_not_load,
        doubts,
        holds,
        authorities,
        account.manifested,
        _released_quantity(account, cargo),
        max([release.posted for release in account.releases], default=None),
        cleared,
        port if status == RELEASED else None,
    )


def _status(
    account: Account, cargo: Cargo, doubts: tuple[Doubt, ...], enough: bool, authorities: tuple[Authority, ...]
) -> Status:
    """The first status that applies while nothing stops the bill."""
    released = bool(account.releases)
    if account.is_deleted:
        return DELETED
    if account.closed or (cargo.containers_filed and cargo.container_keys <= account.exported):
        return CLOSED
    if released and enough:
        return RELEASE_UNCONFIRMED if doubts else RELEASED
    if released:
        return PARTIALLY_RELEASED
    if authorities:
        return MOVEMENT_AUTHORISED
    return NOT_RELEASED if account.revoked else ON_FILE


def _unconfirmed(account: Account, deeds: Deeds) -> dict[HoldKey, HeldPieces]:
    """Cleared holds that no second person has confirmed."""
    return {
        key: pieces
        for key, pieces in account.cleared.items()
        if not all(deeds.clear_for_good(event, *key) for event in pieces.events)
    }


def _cbp_holds(holds: Mapping[HoldKey, HeldPieces], rules: Rules) -> Iterable[StandingHold]:
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


def _unparsed_holds(unparsed: Iterable[UnparsedEvent], rules: Rules) -> Iterable[StandingHold]:
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


def _derived_holds(links: Iterable[LinkFact], cargo: Cargo, deeds: Deeds) -> Iterator[StandingHold]:
    """Holds by the stops of other bills, without those that an operator cleared here."""
    boxes: dict[str, tuple[Stop, ...]] = {}
    houses: tuple[Stop, ...] = ()
    for link in links:
        stops = tuple(stop for stop in link.stops if MORE_EVENTS in stop.events or not deeds.clear_all(stop.events))
        if stops and link.kind == "BOX":
            boxes[link.key.partition(":")[2]] = stops
        elif stops and link.kind == "HOUSE":
            houses = stops
    if len(boxes) > MOST_BOXES:
        meaning = f"more than {MOST_BOXES} of its containers are stopped"
        yield _derived_hold("BOX", None, bounded_stops({stop for stops in boxes.values() for stop in stops}), meaning)
        boxes = {}
    for container, stops in boxes.items():
        do_not_load = any(stop.do_not_load for stop in stops)
        meaning = "the container must not be loaded" if do_not_load else "the container is stopped"
        yield _derived_hold("BOX", container, stops, meaning)
    if houses:
        yield from _house_holds(houses, cargo.container_keys)


def _house_holds(stops: tuple[Stop, ...], named: frozenset[str]) -> Iterator[StandingHold]:
    """The hold of a master of which a house is held, and one on each container that must not be loaded because of a
    house. `named` are the master's containers.

    If a house names none of them, its do-not-load concerns each.
    """
    not_to_load: dict[str | None, list[Stop]] = {}
    for stop in stops:
        if stop.do_not_load:
            for container in named.intersection(stop.containers) or (None,):
                not_to_load.setdefault(container, []).append(stop)
    everywhere = None in not_to_load or len(not_to_load) > MOST_BOXES
    meaning = "a house bill under this master must not be loaded"
    whole = _derived_hold("HOUSE", None, stops, meaning if everywhere else "a house bill under this master is held")
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


def _with_sight(holds: tuple[StandingHold, ...], account: Account, cargo: Cargo) -> tuple[StandingHold, ...]:
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


def _release(account: Account, cargo: Cargo, rules: Rules, deeds: Deeds) -> tuple[tuple[Doubt, ...], bool, str | None]:
    """The doubts; True if the releases cover the whole bill once all doubts are confirmed; the port of the release."""
    releases, manifested = account.releases, account.manifested
    is_whole = _releases_empty(releases, cargo)
    doubts: list[Doubt] = []
    port: str | None = None
    if releases:
        unsure = [release for release in releases if not is_confirmed_whole(release, account, deeds)]
        if not is_whole and unsure and (manifested is None or any(release.quantity is None for release in unsure)):
            doubts.append(QUANTITY_UNKNOWN)
        port, elsewhere = release_place(account, cargo, rules, deeds)
        again = _released_again(account, elsewhere, cargo)
        stale = [_is_stale(release, again, deeds) for release in releases]
        # Only releases free of every doubt can make up for others: a fresh one elsewhere and a stale one here don't.
        good = [release for release, *doubtful in zip(releases, stale, elsewhere, strict=True) if not any(doubtful)]
        if not _covers(good, account, cargo):
            doubts += [RELEASE_PREDATES_HOLD] if any(stale) else []
            doubts += [PORT_DIFFERS] if any(elsewhere) else []
    if not account.complete and HISTORY_INCOMPLETE not in deeds.confirmed:
        doubts.append(HISTORY_INCOMPLETE)
    is_unknown = manifested is None or any(release.quantity is None for release in releases)
    enough = is_unknown or _sum(releases) >= (manifested or 0)
    return tuple(doubts), is_whole or (enough and _reach_every_container(releases, cargo)), port


def is_confirmed_whole(release: StandingRelease, account: Account, deeds: Deeds) -> bool:
    """True if an operator confirmed the release as one of all pieces, as many as are manifested now."""
    raised_by = account.quantity_raised_by
    return deeds.settle(QUANTITY_UNKNOWN, release.id, *(() if raised_by is None else (raised_by,)))


def _covers(good: list[StandingRelease], account: Account, cargo: Cargo) -> bool:
    """True if all releases are free of doubt, or those that are suffice."""
    if len(good) == len(account.releases):
        return True
    if _releases_empty(good, cargo):
        return True
    manifested = account.manifested
    if manifested is None or any(release.quantity is None for release in good):
        return False
    return _sum(good) >= manifested and _reach_every_container(good, cargo)


def _reach_every_container(releases: list[StandingRelease], cargo: Cargo) -> bool:
    """False if all releases name containers, but not all of the bill's."""
    named = {release.container for release in releases}
    return None in named or cargo.container_keys <= named


def _releases_empty(releases: Iterable[StandingRelease], cargo: Cargo) -> bool:
    """True if a bill of empty containers has its 1C, or one for each of them. CBP posts it when the ship arrives,
    whatever the quantities (CBP Trade Act FAQ, vessel mode, section 16)."""
    if not cargo.is_empty:
        return False
    named = {release.container for release in releases if release.code == EMPTY_RELEASE}
    return None in named or (cargo.containers_filed and cargo.container_keys <= named)


def _released_again(account: Account, elsewhere: list[bool], cargo: Cargo) -> frozenset[str | None]:
    """Containers, of several, that a release names which no hold has outdated."""
    if len(cargo.container_keys) < 2:  # the only container's release is one of the bill's pieces
        return frozenset()
    releases = zip(account.releases, elsewhere, strict=True)
    fresh = (one for one, is_elsewhere in releases if not (one.stale_by or one.reduced or is_elsewhere))
    return frozenset(one.container for one in fresh if one.container is not None)


def _is_stale(release: StandingRelease, again: frozenset[str | None], deeds: Deeds) -> bool:
    """True if a hold that came after the release makes it stale, but for containers that were released again."""
    if not release.stale_by:
        return False
    return is_stale(release, [hold for scope, hold in release.stale_by.items() if scope not in again], deeds)


def is_stale(release: StandingRelease, holds: Collection[str], deeds: Deeds) -> bool:
    """True if one of the holds that came after the release makes it stale."""
    return bool(holds) and not deeds.settle(RELEASE_PREDATES_HOLD, release.id, *holds)


def _sum(releases: Iterable[StandingRelease]) -> int:
    return sum([release.quantity or 0 for release in releases])


def _released_quantity(account: Account, cargo: Cargo) -> int | None:
    if _releases_empty(account.releases, cargo):
        return account.manifested
    if any(release.quantity is None for release in account.releases):
        return None
    total = _sum(account.releases)
    return total if account.manifested is None else min(total, account.manifested)


def _authorities(account: Account, cargo: Cargo, holds: tuple[StandingHold, ...]) -> tuple[Authority, ...]:
    """The authorities of the whole bill that the holds permit: given for it, or for each of its containers. A bill that
    is deleted or closed has none."""
    if not account.authorities or account.is_deleted or account.closed:
        return ()
    containers = cargo.container_keys if cargo.containers_filed else ()
    standing: set[Authority | None] = set()
    for code in {code for code, _ in account.authorities}:
        standing.add(account.authority_of(code, None))
        if containers:
            of_each = {account.authority_of(code, container) for container in containers}
            standing.update(of_each if None not in of_each else ())
    return permitted(standing, cargo, holds)


def permitted(
    authorities: Iterable[Authority | None], cargo: Cargo, holds: Collection[StandingHold]
) -> tuple[Authority, ...]:
    """The authorities that the holds permit, sorted.

    A hold at the in-bond destination doesn't stop the move there (1J); an exam transfer is allowed under a hold (1X);
    1Z is for a master, never for a simple bill. Sources: CAMIR V19, appendix D; CBP's house-bill FAQ.
    """
    here = any(not hold.at_destination for hold in holds)
    do_not_load = any(hold.do_not_load for hold in holds)
    allowed: set[Authority] = set()
    for authority in authorities:
        blocked = {IN_BOND: here, EXAM: do_not_load}.get(authority or "", bool(holds))
        if authority and not blocked and not (authority == TERMINAL and cargo.is_simple):
            allowed.add(authority)
    return tuple(sorted(allowed))
