"""A bill's status: from its account, its stopped boxes and houses, and its unparsed events."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple, get_args

from router.decide.account import RELEASE_PREDATES_HOLD, Account, HeldPieces, HoldKey, StandingRelease
from router.decide.cargo_facts import Cargo
from router.decide.deeds import Deeds
from router.decide.places import PORT_DIFFERS, release_place
from router.decide.rules import Rules
from router.decide.standing_holds import (
    StandingHold,
    UnparsedEvent,
    cbp_holds,
    derived_holds,
    unparsed_holds,
    with_sight,
)
from router.model.links import LinkFact
from router.model.vocabulary import Authority, Doubt, Status

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
INPUT_UNCERTAIN: Final = "INPUT_UNCERTAIN"

_FREEDOM: Final[tuple[Status, ...]] = (
    *(DO_NOT_LOAD, HELD, DELETED, CLOSED, NOT_RELEASED, ON_FILE),
    *(MOVEMENT_AUTHORISED, PARTIALLY_RELEASED, RELEASE_UNCONFIRMED, RELEASED),
)
"""Statuses by what they allow, the least first."""

IN_BOND: Final = "IN_BOND_MOVEMENT"
EXAM: Final = "EXAM_TRANSFER"
TERMINAL: Final = "TERMINAL_EXIT"
PARTIAL: Final = "PARTIAL_DELIVERY"

EMPTY_RELEASE: Final = "1C"


class ContainerStatus(NamedTuple):
    """Status of one container of a bill. Made by `container_statuses`."""

    number: str
    """The number as written on the bill."""
    stopped: bool
    """True if a hold stands on the bill or on the container."""
    do_not_load: bool
    authorises: tuple[Authority, ...]
    released: bool
    """True if this bill's cargo in it may be delivered. Other bills' cargo may be in it too."""

    def allows_more_than(self, other: ContainerStatus | None) -> bool:
        """True if it allows something that the other, or a container not listed, does not."""
        if other is None:
            return self.released or bool(self.authorises)
        is_freer = (
            (self.released and not other.released)
            or (other.stopped and not self.stopped)
            or (other.do_not_load and not self.do_not_load)
        )
        return is_freer or not {*self.authorises} <= {*other.authorises}


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

    def with_input_doubt(self, whole: Assessment) -> Assessment:
        """The status with `INPUT_UNCERTAIN` if it would allow more, were all input whole (`whole`).

        A release that is put aside is shown where nothing else is allowed, but allows nothing itself.
        """
        if self.deliverable or not whole.allows_more_than(self):
            return self
        found = {*self.doubts, INPUT_UNCERTAIN}
        shown = self
        if self.status in (ON_FILE, NOT_RELEASED) and whole.status in (RELEASED, RELEASE_UNCONFIRMED):
            found |= {*whole.doubts}
            shown = self._replace(
                status=RELEASE_UNCONFIRMED,
                released_quantity=whole.released_quantity,
                release_posted=whole.release_posted,
            )
        return shown._replace(doubts=tuple(doubt for doubt in get_args(Doubt) if doubt in found))

    def allows_more_than(self, other: Assessment) -> bool:
        """True if it allows something that the other does not, or would once a doubt or another hold is ended."""
        if _FREEDOM.index(self.status) > _FREEDOM.index(other.status) or not {*self.authorises} <= {*other.authorises}:
            return True
        if _pieces(self.released_quantity) > _pieces(other.released_quantity):
            return True
        if (self.release_posted or 0) > (other.release_posted or 0):
            return True
        if other.release_posted is not None and not {*other.doubts} <= {*self.doubts}:
            return True
        own = {hold.key: hold for hold in (*self.holds, *self.cleared)}
        if any(_is_less(own.get(hold.key), hold) for hold in (*other.holds, *other.cleared)):
            return True
        boxes = {box.number: box for box in other.containers}
        return any(box.allows_more_than(boxes.get(box.number)) for box in self.containers)

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


def _pieces(quantity: int | None) -> float:
    return math.inf if quantity is None else quantity


def _is_less(hold: StandingHold | None, other: StandingHold) -> bool:
    """True if the hold, or its absence, stops less than the other."""
    if hold is None or _pieces(hold.quantity) < _pieces(other.quantity):
        return True
    return (other.do_not_load and not hold.do_not_load) or (hold.shown_in_us and not other.shown_in_us)


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
    lost: bool = False,
) -> Assessment:
    """Assess a bill. While it is `incomplete`, it may be stopped by what is still to come, and if something is `lost`,
    by that: so nothing is allowed."""
    derived = derived_holds(links, cargo, deeds)
    holds = (*cbp_holds(account.holds, rules), *manual_holds, *unparsed_holds(unparsed, rules), *derived)
    cleared = tuple(cbp_holds(_unconfirmed(account, deeds), rules)) if account.cleared else ()
    do_not_load = any(hold.do_not_load for hold in (*holds, *cleared))
    if do_not_load:
        holds, cleared = with_sight(holds, account, cargo), with_sight(cleared, account, cargo)
    stopping = (*holds, *cleared)
    doubts, enough, port = _release(account, cargo, rules, deeds)
    if cleared:
        doubts = (*doubts, CLEARED_BY_HAND)
    authorities = _authorities(account, cargo, stopping)
    if incomplete or lost:
        authorities = ()
        if (account.releases or lost) and HISTORY_INCOMPLETE not in doubts:
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
