"""The ledger: each event's effect on a bill's account.

The rules are those of CBP's Trade Act FAQ (vessel mode, 2008), section 25, and of CAMIR V19, appendix D, as noted at
each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from router.decide.account import Account, Nomination
from router.decide.arrivals import with_arrival
from router.decide.codes import Code, Effect
from router.decide.deeds import Deeds
from router.decide.ledger_event import ADDED, DELETED, LedgerEvent, is_put_aside
from router.decide.nomination import NOMINATED
from router.decide.placements import end_holds, place, scopes_of, subtract
from router.decide.releases import EXAM_CODES, apply_release, revoke
from router.decide.rules import Rules
from router.model.limits import MOST_NAMED

QUANTITY_CODES: Final = frozenset({"55", "56", "69"})
"""The only codes whose quantity is the bill's own."""
MINUTES_A_DAY: Final = 1440


def apply_events(account: Account, events: Iterable[LedgerEvent], rules: Rules, deeds: Deeds) -> None:
    """Apply events, sorted by `order_key`, to the account, each by the rules under which it came. Unknown codes are
    skipped: they stand beside the account as holds of their own."""
    for event in events:
        own = rules.at(event.rules)
        code = own.codes.get(event.code)
        if code is not None:
            _apply(account, event, code, own, deeds)


def _apply(account: Account, event: LedgerEvent, code: Code, rules: Rules, deeds: Deeds) -> None:
    account.names_bill = account.names_bill or event.uncertain != "BILL"
    if is_put_aside(event, rules):
        account.note_posted(event.posted)
        return
    is_whole, is_first = event.uncertain is None, account.last_posted is None
    if event.code == ADDED:
        _begin(account, event, rules)
    if is_whole and event.code in rules.history_complete_from:
        account.complete = True
    if event.code in QUANTITY_CODES and event.quantity is not None:
        _set_quantity(account, event.quantity, event)
    effect = code.effect
    if effect is Effect.PLACE or (effect is Effect.LIFT and event.reversal):
        placed = (event.code,) if effect is Effect.PLACE else tuple(code.pair)
        place(account, event, placed, rules, deeds)
    elif effect is Effect.BLOCK:
        if event.reversal:
            subtract(account, event, (event.code,))
        else:
            place(account, event, (event.code,), rules, deeds)
    elif effect is Effect.LIFT:
        if not end_holds(account, event, code.pair):
            account.holds_unseen.add(event.id)
    elif effect in (Effect.RELEASE, Effect.MOVE):
        apply_release(account, event, code, rules, deeds)
    elif effect is Effect.REVOKE:
        revoke(account, event, code, rules, deeds)
    elif is_whole and event.code in rules.codes.ends:
        end_holds(account, event, rules.codes.ends[event.code])
    if event.code == DELETED:
        _delete(account, event)
    if code.arrival or code.shown_in_us or code.ends_authorities:
        _arrive(account, event, code, rules)
    if is_whole and code.closes:
        _close(account, event, code)
    if not event.reversal and (event.code in EXAM_CODES or effect is Effect.RELEASE):
        account.last_entry_code = event.code
    account.note_posted(event.posted)
    if is_first and event.code == NOMINATED:
        account.nominated = Nomination(event.latest_minute, rules.history_from_nomination_of_several)


def _set_quantity(account: Account, quantity: int, event: LedgerEvent) -> None:
    """The latest quantity counts; of two whose order is unknown the larger, since less of it is released."""
    until = event.latest_at
    if (
        account.quantity_until is not None
        and account.manifested is not None
        and event.posted_at <= account.quantity_until
    ):
        quantity, until = max(quantity, account.manifested), max(until, account.quantity_until)
    if account.manifested is not None and quantity > account.manifested:
        account.quantity_raised_by = event.id
    account.manifested, account.quantity_until = quantity, until


def _begin(account: Account, event: LedgerEvent, rules: Rules) -> None:
    """Apply a 55. Releases posted before it belong to the earlier life.

    Holds stay, since 54 and 55 may be a change of type and deleting undoes no hold; they go only if the number comes
    back after a life that ended and a long quiet.
    """
    quiet = event.posted - account.last_posted if account.last_posted is not None else 0
    over = not account.holds and quiet >= rules.forget_after_days * MINUTES_A_DAY
    if over or quiet >= rules.forget_silent_after_days * MINUTES_A_DAY:
        account.holds.clear()
        account.cleared.clear()
        account.manifested = None
    account.releases.clear()
    account.authorities.clear()
    account.places.clear()
    account.shown_in_us.clear()
    account.movement_ended.clear()
    account.exported.clear()
    account.revoked = account.closed = False
    account.last_entry_code = None
    account.added = event.posted


def _delete(account: Account, event: LedgerEvent) -> None:
    """Apply a 54, which undoes releases but no hold."""
    account.deleted = event.latest_minute
    account.releases.clear()
    account.authorities.clear()


def _arrive(account: Account, event: LedgerEvent, code: Code, rules: Rules) -> None:
    """Apply an arrival, or an event that shows one: in bond (11-13, 57-59, 63-65), at a zone (BE), exported (50-52), in
    general order (1S, 1U), released after an exam (1B). A reversal takes an arrival back, and shows nothing; neither
    does one from damaged input."""
    if code.arrival:
        effect = code.arrival if not event.reversal else "deleted" if code.arrival == "recorded" else None
        minute = event.posted if effect == "recorded" else event.latest_minute
        port = event.port if event.uncertain is None or effect == "deleted" else None  # it moves to no place
        with_arrival(account.places, effect, event.containers, code, port, minute, rules.port_areas)
        if effect == "deleted":
            _take_back_sight(account, event)
    if event.reversal or event.uncertain is not None:
        return
    is_whole_bill = not event.containers and not code.of_container
    if code.shown_in_us and (event.containers or is_whole_bill):
        for scope in scopes_of(event) if len(account.shown_in_us) < MOST_NAMED else ():
            _set_latest(account.shown_in_us, scope, event.posted)
    if code.ends_authorities:
        for scope in scopes_of(event) if len(account.movement_ended) < MOST_NAMED else (None,):
            _set_latest(account.movement_ended, scope, event.latest_at)


def _take_back_sight(account: Account, event: LedgerEvent) -> None:
    """Forget that the cargo was shown in the U.S. until the event. One container may have been what showed the bill."""
    scopes = {None, *event.containers} if event.containers else {*account.shown_in_us}
    for scope in scopes & account.shown_in_us.keys():
        if account.shown_in_us[scope] <= event.latest_minute:
            del account.shown_in_us[scope]


def _set_latest(latest: dict[str | None, int], scope: str | None, time: int) -> None:
    latest[scope] = max(time, latest.get(scope, time))


def _close(account: Account, event: LedgerEvent, code: Code) -> None:
    """Close or reopen the bill, or the containers that the event names. An export of one container (52, 68) that does
    not say which closes nothing."""
    closes = (code.closes == "yes") is not event.reversal
    if event.containers:
        account.exported = account.exported | {*event.containers} if closes else account.exported - {*event.containers}
    elif not code.of_container:
        account.closed = closes
        account.exported = account.exported if closes else set()
