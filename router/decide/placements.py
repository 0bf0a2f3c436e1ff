"""Holds of an account: placements, their removals, and the releases that a placement makes stale.

Sources: CBP's Trade Act FAQ (vessel mode, 2008), section 25, and CAMIR V19, appendix D.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from router.decide.account import MOST_PLACEMENTS, RELEASE_PREDATES_HOLD, Account, HeldPieces, HoldKey
from router.decide.codes import Effect
from router.decide.deeds import Deeds
from router.decide.ledger_event import LedgerEvent
from router.decide.rules import FRESH, Rules

MOST_EXCEPTED: Final = 100
"""Containers for which a release is stale, or an authority taken back, while it stands for others. Beyond, it is for
all."""


def scopes_of(event: LedgerEvent) -> tuple[str | None, ...]:
    return event.containers or (None,)


def place(account: Account, event: LedgerEvent, codes: Iterable[str], rules: Rules, deeds: Deeds) -> None:
    for code in codes:
        blocks = (known := rules.codes.get(code)) is None or known.effect is not Effect.PLACE
        for container in scopes_of(event):
            key = (code, container)
            standing = account.holds.get(key)
            events = ((*standing.events, event.placement) if standing else (event.placement,))[-MOST_PLACEMENTS:]
            if event.resent and standing is not None:
                account.holds[key] = standing._replace(events=events)  # the same hold, for another port or vessel
            else:
                entries = (*(standing.entry_numbers if standing else ()), event.entry_number) if blocks else ()
                account.holds[key] = HeldPieces(
                    _added(standing, event.quantity, account.manifested),
                    event.posted,
                    events,
                    *stops_of(code, standing, rules),
                    tuple(dict.fromkeys(entries)),
                )
                _interrupt(account, event, container, deeds if rules.release_after_hold_of(code) == FRESH else None)
            if deeds.cleared:
                end_cleared(account, key, deeds)


def end_cleared(account: Account, key: HoldKey, deeds: Deeds) -> None:
    """End a standing hold if an operator cleared its latest placement."""
    pieces = account.holds[key]
    if not deeds.clear(pieces.events[-1], *key):
        return
    del account.holds[key]
    before = account.cleared.get(key)
    account.cleared[key] = pieces._replace(
        quantity=_added(before, pieces.quantity, account.manifested),
        events=(*before.events, pieces.events[-1]) if before else pieces.events[-1:],
        entry_numbers=tuple(dict.fromkeys((*(before.entry_numbers if before else ()), *pieces.entry_numbers))),
    )


def stops_of(code: str, standing: HeldPieces | None, rules: Rules) -> tuple[bool, bool]:
    """`do_not_load` and `at_destination` of a hold after one more placement."""
    known = rules.codes.get(code)
    do_not_load, at_destination = (known.do_not_load, known.at_destination) if known is not None else (False, False)
    if standing is None:
        return do_not_load, at_destination
    return do_not_load or standing.do_not_load, at_destination and standing.at_destination


def _added(standing: HeldPieces | None, quantity: int | None, manifested: int | None) -> int | None:
    """Pieces held after one more placement: the sum, at most the bill's quantity. None is all."""
    if quantity is None or (standing is not None and standing.quantity is None):
        return None
    total = quantity + (standing.quantity or 0 if standing else 0)
    return min(total, manifested) if manifested is not None else total


def _interrupt(account: Account, event: LedgerEvent, container: str | None, deeds: Deeds | None) -> None:
    """Mark the releases in a stop's scope. They become stale too, but for those that the deeds settle together with the
    stop; without deeds, none does."""
    for position, release in enumerate(account.releases):
        is_later = release.posted > event.latest_minute  # the stop is older than the sums
        if is_later or not _overlap(release.container, container):
            continue
        stale_by = release.stale_by
        if deeds is not None and not deeds.settle(RELEASE_PREDATES_HOLD, release.id, event.id):
            stale_by = {**stale_by, container if release.container is None else None: event.id}
            if len(stale_by) > MOST_EXCEPTED:
                stale_by = {None: event.id}
        account.releases[position] = release._replace(stale_by=stale_by, interrupted=True)


def _overlap(one: str | None, other: str | None) -> bool:
    """True if two scopes have cargo in common: a container, and None for the whole bill."""
    return one is None or other is None or one == other


def may_be_same(entry: str | None, other: str | None) -> bool:
    """True unless two entries are known to differ."""
    return entry is None or other is None or entry == other


def end_holds(account: Account, event: LedgerEvent, codes: Collection[str]) -> bool:
    """End the holds or blocks of those codes in the event's scope. False if none stands in any scope.

    Those that stand in other scopes only are noted with the event.
    """
    if subtract(account, event, codes):
        return True
    scopes = scopes_of(event)
    standing = account.holds.keys() | account.cleared.keys()
    elsewhere = frozenset(code for code, container in standing if code in codes and container not in scopes)
    if elsewhere:
        account.removals_unmatched[event.id] = elsewhere
    return bool(elsewhere)


def subtract(account: Account, event: LedgerEvent, codes: Collection[str]) -> bool:
    """Take the event's pieces off each hold of those codes in its scope, cleared or not. False if there is none.

    Without a quantity, or with the bill's whole quantity, it ends the hold. A bill-level removal does not touch a hold
    on a container, nor the reverse; an event of one entry does not touch the exam of another.
    """
    seen = False
    for code in codes:
        for container in scopes_of(event):
            for holds in (account.holds, account.cleared):
                seen = _subtract_from(holds, (code, container), event, account.manifested) or seen
    return seen


def _subtract_from(holds: dict[HoldKey, HeldPieces], key: HoldKey, event: LedgerEvent, manifested: int | None) -> bool:
    pieces = holds.get(key)
    if pieces is None:
        return False
    others = tuple(entry for entry in pieces.entry_numbers if not may_be_same(entry, event.entry_number))
    if others and others == pieces.entry_numbers:
        return False
    left = _left(pieces, event.quantity, manifested)
    if left == 0 and others:
        left = pieces.quantity  # the pieces of each entry's exam are unknown
    if left == 0:
        del holds[key]
    else:
        holds[key] = pieces._replace(quantity=left, entry_numbers=others or pieces.entry_numbers)
    return True


def _left(standing: HeldPieces, quantity: int | None, manifested: int | None) -> int | None:
    if quantity is None or (manifested is not None and quantity >= manifested):
        return 0
    held = standing.quantity if standing.quantity is not None else manifested
    return None if held is None else max(0, held - quantity)
