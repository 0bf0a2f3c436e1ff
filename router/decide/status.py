"""A bill's status now, from its account and from what stands beside it: boxes, houses, and what could not be read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from router.decide.account import Account, StandingRelease
from router.decide.cargo_facts import Cargo
from router.decide.rules import Rules
from router.model.links import LinkFact
from router.model.vocabulary import Authority, Doubt, HoldKind, Status

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
"""Statuses of a life that is over; after a long quiet such a bill is forgotten."""

RELEASE_PREDATES_HOLD: Final = "RELEASE_PREDATES_HOLD"
QUANTITY_UNKNOWN: Final = "QUANTITY_UNKNOWN"
HISTORY_INCOMPLETE: Final = "HISTORY_INCOMPLETE"
PORT_DIFFERS: Final = "PORT_DIFFERS"

CBP_HOLD: Final = "CBP"
MANUAL_HOLD: Final = "MANUAL"
"""Kinds of hold, of those that are named in several places."""

IN_BOND: Final = "IN_BOND_MOVEMENT"
EXAM: Final = "EXAM_TRANSFER"
TERMINAL: Final = "TERMINAL_EXIT"
PARTIAL: Final = "PARTIAL_DELIVERY"

MOST_BOXES: Final = 100
"""Stopped by other bills, that stand in a bill's notices one by one; more are one hold. Else each of a thousand boxes
would send a thousand holds to everyone."""

TWIN_PORTS: Final = {"2709": "2704", "2809": "2811", "3002": "3001"}
"""Los Angeles and Long Beach, Oakland and San Francisco, Seattle and Tacoma are one place each."""


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
    """Of what could not be read or is unknown: its event id, by which an operator may confirm it. Of a hold by hand:
    the id of the word."""


class UnparsedEvent(NamedTuple):
    """An event that stops its bill because nobody can say what it does."""

    id: str
    kind: HoldKind
    """`UNREADABLE` or `UNKNOWN_CODE`."""
    code: str | None
    placed: int
    container_number: str | None = None


class Assessment(NamedTuple):
    """What follows from a bill's ledger."""

    status: str
    """Of a bill a `Status`; of an outage its own."""
    deliverable: bool
    do_not_load: bool
    doubts: tuple[Doubt, ...]
    holds: tuple[StandingHold, ...]
    authorises: tuple[Authority, ...]
    manifested_quantity: int | None
    released_quantity: int | None
    release_posted: int | None

    @property
    def stopped(self) -> bool:
        return bool(self.holds)


def assess(
    account: Account,
    known: Cargo,
    links: Iterable[LinkFact],
    unread: Iterable[UnparsedEvent],
    rules: Rules,
    confirmed: Collection[str],
    by_hand: tuple[StandingHold, ...] = (),
) -> Assessment:
    holds = (*_own_holds(account, rules), *by_hand, *_unread_holds(unread, rules), *_derived_holds(links))
    do_not_load = any(hold.do_not_load for hold in holds)
    doubts, enough = _release(account, known, confirmed)
    authorities = _authorities(account, known, holds, rules)
    status = _status(account, known, holds, do_not_load, doubts, enough, authorities)
    if status == PARTIALLY_RELEASED and not doubts:
        authorities = (*authorities, PARTIAL)
    return Assessment(
        status,
        status == RELEASED,
        do_not_load,
        doubts,
        holds,
        authorities,
        account.manifested,
        _released_quantity(account),
        max([lot.posted for lot in account.lots], default=None),
    )


def _status(
    account: Account,
    known: Cargo,
    holds: tuple[StandingHold, ...],
    do_not_load: bool,
    doubts: tuple[Doubt, ...],
    enough: bool,
    authorities: tuple[Authority, ...],
) -> Status:
    """The first that applies."""
    released = bool(account.lots)
    if holds:
        return DO_NOT_LOAD if do_not_load else HELD
    if account.is_deleted:
        return DELETED
    if account.closed or (released and known.is_empty and any(lot.code == "1C" for lot in account.lots)):
        return CLOSED
    if released and enough:
        return RELEASE_UNCONFIRMED if doubts else RELEASED
    if released:
        return PARTIALLY_RELEASED
    if authorities:
        return MOVEMENT_AUTHORISED
    return NOT_RELEASED if account.taken_back else ON_FILE


def _own_holds(account: Account, rules: Rules) -> Iterable[StandingHold]:
    for (code, container), standing in account.holds.items():
        known = rules.codes.get(code)
        yield StandingHold(
            CBP_HOLD,
            code,
            container,
            standing.quantity,
            standing.placed,
            known.meaning if known else None,
            known.do_not_load if known else False,
            known.at_destination if known else False,
        )


_MEANINGS: Final = {
    "UNREADABLE": "an event of this bill could not be read, or is dated in the future",
    "UNKNOWN_CODE": "an event of this bill has a code that is not known here",
}


def _unread_holds(unread: Iterable[UnparsedEvent], rules: Rules) -> Iterable[StandingHold]:
    """Of what could not be read the code may still be known: a do-not-load is one whatever else of it is wrong."""
    for one in unread:
        known = rules.codes.get(one.code or "")
        do_not_load = known is not None and known.do_not_load
        meaning = _MEANINGS[one.kind]
        yield StandingHold(one.kind, one.code, one.container_number, None, one.placed, meaning, do_not_load, id=one.id)


def _derived_holds(links: Iterable[LinkFact]) -> Iterable[StandingHold]:
    active = [link for link in links if link.active]
    boxes = [link for link in active if link.kind == "BOX"]
    if len(boxes) > MOST_BOXES:
        since = min((link.since for link in boxes if link.since is not None), default=None)
        words = f"more than {MOST_BOXES} of its containers are stopped"
        yield StandingHold("BOX", None, None, None, since, words, any(link.do_not_load for link in boxes))
        boxes = []
    for link in boxes:
        container = link.key.partition(":")[2]
        words = "the container must not be loaded" if link.do_not_load else "the container is stopped"
        yield StandingHold("BOX", None, container, None, link.since, words, link.do_not_load)
    for link in active:
        if link.kind == "HOUSE":
            yield StandingHold("HOUSE", None, None, None, link.since, "a house bill under this master is held")


def _release(account: Account, known: Cargo, confirmed: Collection[str]) -> tuple[tuple[Doubt, ...], bool]:
    """The doubts there are, and whether what was released is enough for the whole bill if they are settled."""
    lots, manifested = account.lots, account.manifested
    doubts: list[Doubt] = []
    if lots:
        unsure = [lot for lot in lots if lot.id not in confirmed]
        if unsure and (manifested is None or any(lot.quantity is None for lot in unsure)):
            doubts.append(QUANTITY_UNKNOWN)
        stale = {lot.id for lot in lots if _is_stale(lot, confirmed)}
        elsewhere = {lot.id for lot in lots if not _at_place(lot, known, confirmed)}
        # Only what is free of every doubt can make up for the rest: one lot fresh and another at the place is neither.
        if not _covers([lot for lot in lots if lot.id not in stale | elsewhere], lots, manifested):
            doubts += [RELEASE_PREDATES_HOLD] if stale else []
            doubts += [PORT_DIFFERS] if elsewhere else []
    if not account.complete and not confirmed:
        doubts.append(HISTORY_INCOMPLETE)
    enough = manifested is None or any(lot.quantity is None for lot in lots) or _sum(lots) >= manifested
    return tuple(doubts), enough


def _covers(good: list[StandingRelease], lots: list[StandingRelease], manifested: int | None) -> bool:
    """Whether the lots without a doubt are all there are, or enough without the others."""
    if len(good) == len(lots):
        return True
    return manifested is not None and all(lot.quantity is not None for lot in good) and _sum(good) >= manifested


def _is_stale(lot: StandingRelease, confirmed: Collection[str]) -> bool:
    return lot.stale_by is not None and not (lot.id in confirmed and lot.stale_by in confirmed)


def _at_place(lot: StandingRelease, known: Cargo, confirmed: Collection[str]) -> bool:
    """Whether the release is for the bill's customs place; a release elsewhere doesn't free it there."""
    if lot.port is None or known.port_of_unlading is None or lot.id in confirmed:
        return True
    there, here = lot.port, known.port_of_unlading
    return TWIN_PORTS.get(there, there) == TWIN_PORTS.get(here, here)


def _sum(lots: Iterable[StandingRelease]) -> int:
    return sum([lot.quantity or 0 for lot in lots])


def _released_quantity(account: Account) -> int | None:
    if any(lot.quantity is None for lot in account.lots):
        return None
    total = _sum(account.lots)
    return total if account.manifested is None else min(total, account.manifested)


def _authorities(
    account: Account, known: Cargo, holds: tuple[StandingHold, ...], rules: Rules
) -> tuple[Authority, ...]:
    """The authorities that stand and that the holds leave room for.

    A hold at the in-bond destination doesn't stop the move there (1J); an exam transfer is allowed although a hold
    stands (1X); 1Z is a master's, never a simple bill's. CAMIR V19 appendix D; CBP's house-bill FAQ.
    """
    if not account.authorities:
        return ()
    here = any(not hold.at_destination for hold in holds)
    allowed: list[Authority] = []
    for code in account.authorities:
        entry = rules.codes.get(code)
        authority = entry.authority if entry else None
        blocked = {IN_BOND: here, EXAM: any(hold.do_not_load for hold in holds)}.get(authority or "", bool(holds))
        if authority and not blocked and not (authority == TERMINAL and known.is_simple):
            allowed.append(authority)
    return tuple(sorted(allowed))
