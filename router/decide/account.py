"""A bill's account, the holds and releases that stand, and the order in which its events apply.

The order is by posted minute and, within a minute, one that lets the safer win: so the order of arrival can't matter,
nor can repetition.

What each event does to a bill's account, by its code's effect.

Rules are those of CBP's Trade Act FAQ (vessel mode, 2008) section 25 and of CAMIR V19 appendix D, as noted at each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.decide.codes import Code, Effect
from router.decide.rules import STANDING, Rules
from router.model.eastern import order_minute

ADDED: Final = "55"
DELETED: Final = "54"
QUANTITY_CODES: Final = frozenset({"55", "56", "69"})
"""The only codes whose quantity is the bill's own."""
TAKING_BACK: Final = 3
PLACING: Final = 4
"""Ranks within one minute (`order_key`): what stops comes last, and a block outlives a take-back of its minute."""


class LedgerEvent(NamedTuple):
    """What the ledger keeps of a disposition."""

    id: str
    code: str
    posted: int
    """Eastern wall-clock minute, minutes since 1970."""
    quantity: int | None = None
    containers: tuple[str, ...] = ()
    """Filled only for a container-level event; without check digits."""
    entry_type: str | None = None
    entry_number: str | None = None
    port: str | None = None
    reversal: bool = False
    resent: bool = False


class HeldPieces(NamedTuple):
    """A hold that stands."""

    quantity: int | None
    """Pieces; None: all, however many that are."""
    placed: int
    """Posted minute of the latest placement."""


class StandingRelease(NamedTuple):
    """A release that stands, or what is left of it."""

    id: str
    code: str
    quantity: int | None
    posted: int
    entry_number: str | None
    port: str | None
    stale_by: str | None = None
    """The event that placed a hold after it."""


HoldKey = tuple[str, str | None]
"""Disposition code, and the container it is on (None: the whole bill)."""


@dataclass(slots=True)
class Account:
    holds: dict[HoldKey, HeldPieces] = field(default_factory=dict)
    lots: list[StandingRelease] = field(default_factory=list)
    authorities: dict[str, int] = field(default_factory=dict)
    """Code of an authority short of delivery, to its posted minute."""
    manifested: int | None = None
    complete: bool = False
    taken_back: bool = False
    closed: bool = False
    added: int | None = None
    deleted: int | None = None
    last_entry_code: str | None = None
    """The latest of 1A, 1B, 1C, 4C: rule of 4A."""
    last_posted: int | None = None
    unseen: set[str] = field(default_factory=set)
    """Removals whose hold was never seen."""
    quantity_minute: int | None = None
    """Of the event that gave `manifested`. Only while events are applied: no minute is ever split by a fold."""

    def copy(self) -> Account:
        return Account(
            dict(self.holds),
            list(self.lots),
            dict(self.authorities),
            self.manifested,
            self.complete,
            self.taken_back,
            self.closed,
            self.added,
            self.deleted,
            self.last_entry_code,
            self.last_posted,
            set(self.unseen),
            self.quantity_minute,
        )

    @property
    def is_deleted(self) -> bool:
        """54, and no 55 in its minute or after it: deleting and adding again may be one act."""
        return self.deleted is not None and (self.added is None or self.added < self.deleted)


def order_key(event: LedgerEvent, rules: Rules) -> tuple[int, int, int, str]:
    """The order in which events of a bill apply, whatever order they came in."""
    return order_minute(event.posted), _rank(event, rules), event.quantity or 0, event.id


def _rank(event: LedgerEvent, rules: Rules) -> int:
    """Within one minute: a life's beginning, then removals and releases, then what is neutral, then what stops."""
    if event.code == ADDED:
        return 0
    code = rules.codes.get(event.code)
    if code is None or code.effect is Effect.REVOKE or event.code == DELETED:
        return TAKING_BACK
    if code.effect is Effect.PLACE:
        return PLACING
    if code.effect is Effect.BLOCK:
        return 1 if event.reversal else PLACING
    if code.effect is Effect.LIFT:
        return PLACING if event.reversal else 1
    if code.effect in (Effect.RELEASE, Effect.MOVE):
        return TAKING_BACK if event.reversal else 1
    return 1 if event.code in rules.codes.ends else 2


OVERRIDE: Final = "4A"
EXAM_CODES: Final = frozenset({"1A", "1B"})

MOST_LOTS: Final = 200
"""Releases kept apart. Beyond, the oldest go: what was released less often than that is not released in full."""

MINUTES_A_DAY: Final = 1440


def settle(
    base: Account, events: Iterable[LedgerEvent], rules: Rules, confirmed: Collection[str] = frozenset()
) -> Account:
    """Apply events, already in `order_key` order, to a copy of `base`. Unknown codes are not applied here: what they
    may have meant stands beside the account as a hold of its own."""
    account = base.copy()
    apply_events(account, events, rules, confirmed)
    return account


def apply_events(account: Account, events: Iterable[LedgerEvent], rules: Rules, confirmed: Collection[str]) -> None:
    """As `settle`, to `account` itself."""
    get = rules.codes.get
    for event in events:
        code = get(event.code)
        if code is not None:
            _apply(account, event, code, rules, confirmed)


def _apply(account: Account, event: LedgerEvent, code: Code, rules: Rules, confirmed: Collection[str]) -> None:
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


def _begin(account: Account, event: LedgerEvent, rules: Rules) -> None:
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


def _delete(account: Account, event: LedgerEvent) -> None:
    """54 undoes a release, not a hold."""
    account.deleted = order_minute(event.posted)
    account.lots.clear()
    account.authorities.clear()


def _scopes(event: LedgerEvent) -> tuple[str | None, ...]:
    return event.containers or (None,)


def _place(
    account: Account, event: LedgerEvent, codes: Iterable[str], rules: Rules, confirmed: Collection[str]
) -> None:
    for code in codes:
        for container in _scopes(event):
            key = (code, container)
            standing = account.holds.get(key)
            if event.resent and standing is not None:
                continue  # the same hold, sent again for another port or vessel
            account.holds[key] = HeldPieces(_added(standing, event.quantity, account.manifested), event.posted)
            if rules.release_after_hold != STANDING:
                _make_stale(account, event, confirmed)


def _added(standing: HeldPieces | None, quantity: int | None, manifested: int | None) -> int | None:
    """Placements add up, to the bill's quantity at most. None is all."""
    if quantity is None or (standing is not None and standing.quantity is None):
        return None
    total = quantity + (standing.quantity or 0 if standing else 0)
    return min(total, manifested) if manifested is not None else total


def _make_stale(account: Account, event: LedgerEvent, confirmed: Collection[str]) -> None:
    account.lots = [
        lot if lot.id in confirmed and event.id in confirmed else lot._replace(stale_by=event.id)
        for lot in account.lots
    ]


def _subtract(account: Account, event: LedgerEvent, codes: Collection[str]) -> bool:
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


def _left(standing: HeldPieces, quantity: int | None, manifested: int | None) -> int | None:
    if quantity is None or (manifested is not None and quantity >= manifested):
        return 0
    held = standing.quantity if standing.quantity is not None else manifested
    return None if held is None else max(0, held - quantity)


def _release(account: Account, event: LedgerEvent, code: Code, rules: Rules, confirmed: Collection[str]) -> None:
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
    account.lots.append(
        StandingRelease(event.id, event.code, event.quantity, event.posted, event.entry_number, event.port)
    )
    if len(account.lots) > MOST_LOTS:
        _trim(account)
        del account.lots[:-MOST_LOTS]


def _take_back(account: Account, event: LedgerEvent, code: Code, rules: Rules, confirmed: Collection[str]) -> None:
    """4A, 4E, 14-16, 4Z, 83, 84, 95. 4A after 1A or 1B holds again, until 1B or 4C (a later 1C doesn't end it)."""
    _cancel(account, event, code.cancels)
    _subtract(account, event, code.cancels)
    if event.code == OVERRIDE and account.last_entry_code in EXAM_CODES:
        _place(account, event, (event.code,), rules, confirmed)


def _cancel(account: Account, event: LedgerEvent, codes: frozenset[str]) -> None:
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
