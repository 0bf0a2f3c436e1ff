"""What each event does to a bill's account, by its code's effect.

Rules are those of CBP's Trade Act FAQ (vessel mode, 2008) section 25 and of CAMIR V19 appendix D, as noted at each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from router.clock import order_minute
from router.decide.ledger.account import ADDED, DELETED, QUANTITY_CODES, Account, Event, Lot, Standing
from router.decide.ledger.codes import Code, Effect
from router.decide.ledger.rules import STANDING, Rules

OVERRIDE: Final = "4A"
EXAM_CODES: Final = frozenset({"1A", "1B"})

MOST_LOTS: Final = 200
"""Releases kept apart. Beyond, the oldest go: what was released less often than that is not released in full."""

MINUTES_A_DAY: Final = 1440


def settle(base: Account, events: Iterable[Event], rules: Rules, confirmed: Collection[str] = frozenset()) -> Account:
    """Apply events, already in `order_key` order, to a copy of `base`. Unknown codes are not applied here: what they
    may have meant stands beside the account as a hold of its own."""
    account = base.copy()
    apply_events(account, events, rules, confirmed)
    return account


def apply_events(account: Account, events: Iterable[Event], rules: Rules, confirmed: Collection[str]) -> None:
    """As `settle`, to `account` itself."""
    get = rules.codes.get
    for event in events:
        code = get(event.code)
        if code is not None:
            _apply(account, event, code, rules, confirmed)


def _apply(account: Account, event: Event, code: Code, rules: Rules, confirmed: Collection[str]) -> None:
    if event.code == ADDED:
        _begin(account, event, rules)
    if event.code in rules.history_complete_from:
        account.complete = True
    if event.code in QUANTITY_CODES and event.quantity is not None:
        _set_quantity(account, event.quantity, order_minute(event.posted))
    effect = code.effect
    if effect is Effect.PLACE or (effect is Effect.LIFT and event.reversal):
        placed = (event.code,) if effect is Effect.PLACE else tuple(code.pair)
        _place(account, event, placed, rules, confirmed)
    elif effect is Effect.BLOCK:
        if event.reversal:
            _subtract(account, event, (event.code,))
        else:
            _place(account, event, (event.code,), rules, confirmed)
    elif effect is Effect.LIFT:
        if not _subtract(account, event, code.pair):
            account.unseen.add(event.id)
    elif effect in (Effect.RELEASE, Effect.MOVE):
        _release(account, event, code, rules, confirmed)
    elif effect is Effect.REVOKE:
        _take_back(account, event, code, rules, confirmed)
    elif event.code in rules.codes.ends:
        _subtract(account, event, rules.codes.ends[event.code])
    if event.code == DELETED:
        _delete(account, event)
    if code.closes:
        account.closed = code.closes == "yes"
    if not event.reversal and (event.code in EXAM_CODES or effect is Effect.RELEASE):
        account.last_entry_code = event.code
    account.last_posted = max(event.posted, account.last_posted or event.posted)


def _set_quantity(account: Account, quantity: int, minute: int) -> None:
    """The latest counts; of two in one minute the larger, of which less is released."""
    same_minute = account.quantity_minute == minute and account.manifested is not None
    account.manifested = max(quantity, account.manifested or 0) if same_minute else quantity
    account.quantity_minute = minute


def _begin(account: Account, event: Event, rules: Rules) -> None:
    """55. Releases posted before it belong to what was there before. Holds stay (54 and 55 may be a change of type,
    and deleting undoes no hold), unless the number comes back after a life that ended and a long quiet."""
    quiet = event.posted - account.last_posted if account.last_posted is not None else 0
    over = not account.holds and quiet >= rules.forget_after_days * MINUTES_A_DAY
    if over or quiet >= rules.forget_silent_after_days * MINUTES_A_DAY:
        account.holds.clear()
        account.manifested = None
    account.lots.clear()
    account.authorities.clear()
    account.taken_back = account.closed = False
    account.last_entry_code = None
    account.added = order_minute(event.posted)


def _delete(account: Account, event: Event) -> None:
    """54 undoes a release, not a hold."""
    account.deleted = order_minute(event.posted)
    account.lots.clear()
    account.authorities.clear()


def _scopes(event: Event) -> tuple[str | None, ...]:
    return event.containers or (None,)


def _place(account: Account, event: Event, codes: Iterable[str], rules: Rules, confirmed: Collection[str]) -> None:
    for code in codes:
        for container in _scopes(event):
            key = (code, container)
            standing = account.holds.get(key)
            if event.resent and standing is not None:
                continue  # the same hold, sent again for another port or vessel
            account.holds[key] = Standing(_added(standing, event.quantity, account.manifested), event.posted)
            if rules.release_after_hold != STANDING:
                _make_stale(account, event, confirmed)


def _added(standing: Standing | None, quantity: int | None, manifested: int | None) -> int | None:
    """Placements add up, to the bill's quantity at most. None is all."""
    if quantity is None or (standing is not None and standing.quantity is None):
        return None
    total = quantity + (standing.quantity or 0 if standing else 0)
    return min(total, manifested) if manifested is not None else total


def _make_stale(account: Account, event: Event, confirmed: Collection[str]) -> None:
    account.lots = [
        lot if lot.id in confirmed and event.id in confirmed else lot._replace(stale_by=event.id)
        for lot in account.lots
    ]


def _subtract(account: Account, event: Event, codes: Collection[str]) -> bool:
    """Take the event's pieces off each of those holds in its scope; False if none of them stands.

    Without a quantity, or with the bill's whole, it ends the hold. A bill-level removal doesn't touch a hold on a
    container, nor the other way round.
    """
    seen = False
    for code in codes:
        for container in _scopes(event):
            standing = account.holds.get((code, container))
            if standing is None:
                continue
            seen = True
            left = _left(standing, event.quantity, account.manifested)
            if left == 0:
                del account.holds[code, container]
            else:
                account.holds[code, container] = standing._replace(quantity=left)
    return seen


def _left(standing: Standing, quantity: int | None, manifested: int | None) -> int | None:
    if quantity is None or (manifested is not None and quantity >= manifested):
        return 0
    held = standing.quantity if standing.quantity is not None else manifested
    return None if held is None else max(0, held - quantity)


def _release(account: Account, event: Event, code: Code, rules: Rules, confirmed: Collection[str]) -> None:
    """1B, 1C, 4C (and 1J, 1W, 1X, 1Z, which allow less). A reversal takes the same back."""
    if event.reversal:
        _cancel(account, event, frozenset({event.code}))
        if event.code in EXAM_CODES:  # the exam that 1B ended is demanded again, as by 4A
            _place(account, event, ("1A",), rules, confirmed)
        return
    if code.effect is Effect.MOVE:
        if code.authority and not event.containers:  # for one container it authorises nothing for the bill
            account.taken_back = False
            account.authorities[event.code] = event.posted
        return
    account.taken_back = False
    _subtract(account, event, rules.codes.ends.get(event.code, frozenset()))
    account.lots.append(Lot(event.id, event.code, event.quantity, event.posted, event.entry_number, event.port))
    if len(account.lots) > MOST_LOTS:
        _trim(account)
        del account.lots[:-MOST_LOTS]


def _take_back(account: Account, event: Event, code: Code, rules: Rules, confirmed: Collection[str]) -> None:
    """4A, 4E, 14-16, 4Z, 83, 84, 95. 4A after 1A or 1B holds again, until 1B or 4C (a later 1C doesn't end it)."""
    _cancel(account, event, code.cancels)
    _subtract(account, event, code.cancels)
    if event.code == OVERRIDE and account.last_entry_code in EXAM_CODES:
        _place(account, event, (event.code,), rules, confirmed)


def _cancel(account: Account, event: Event, codes: frozenset[str]) -> None:
    for code in codes & account.authorities.keys():
        del account.authorities[code]
    account.taken_back = account.taken_back or bool(codes - {"1A"})
    left = event.quantity
    if left is None or (account.manifested is not None and left >= account.manifested):
        account.lots = [lot for lot in account.lots if lot.code not in codes]
        return
    _trim(account)
    # Of the entry that is named first, then the newest: what is taken back is most likely what was given last.
    for lot in sorted(account.lots, key=lambda lot: (lot.entry_number == event.entry_number, lot.posted), reverse=True):
        if lot.code in codes and left > 0:
            taken = left if lot.quantity is None else min(left, lot.quantity)
            left -= taken
            position = account.lots.index(lot)
            if lot.quantity is None or taken == lot.quantity:
                del account.lots[position]
            else:
                account.lots[position] = lot._replace(quantity=lot.quantity - taken)


def _trim(account: Account) -> None:
    """More can't be released than the bill has: the oldest of what is too much was given twice."""
    if account.manifested is None or any(lot.quantity is None for lot in account.lots):
        return
    excess = sum(lot.quantity or 0 for lot in account.lots) - account.manifested
    while excess > 0 and account.lots:
        first = account.lots[0]
        quantity = first.quantity or 0
        if quantity <= excess:
            del account.lots[0]
        else:
            account.lots[0] = first._replace(quantity=quantity - excess)
        excess -= quantity
