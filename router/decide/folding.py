"""Entering records in a bill's state within bounds: beyond them the oldest are folded into sums.

Neither a bill with thousands of events nor a feed of endless unparsable ones can make a state grow without end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from router.decide.account import MOST_PLACEMENTS, Account, HeldPieces
from router.decide.bill_state import (
    BillState,
    assess_bill,
    confirmed_manual_events,
    counting_events,
    counts_since,
    open_manual_releases,
    opening_account,
    snapshot_account,
)
from router.decide.deeds import ClearedBy
from router.decide.ledger import QUANTITY_CODES, apply_events
from router.decide.ledger_event import LedgerEvent, merged_sendings, order_key, stops
from router.decide.manual_events import DowntimeRecord, RelayedEvent, apply_with_releases, release_minute
from router.decide.rules import FRESH, Rules
from router.decide.standing_holds import CBP_HOLD, UNPARSED_KINDS, UnparsedEvent
from router.decide.status import CLEARED_BY_HAND, INPUT_UNCERTAIN
from router.model.eastern import order_minute, posted_minute
from router.model.inputs import Clearance, Confirmation, Snapshot

MOST_CONFIRMED: Final = 1000
"""Ids of confirmed events kept before those that no longer occur on the bill are dropped."""
OLDER: Final = "older:"
"""Prefix of the id that stands for several unparsed events. No keyed id has a colon."""


def with_event(state: BillState, event: LedgerEvent, rules: Rules) -> BillState:
    """The state with an event at its place; beyond the bound, the oldest events are folded."""
    events = state.events
    key = order_key(event, rules)
    if not events or order_key(events[-1], rules) < key:
        events = (*events, event)
    else:
        place = bisect_right(events, key, key=lambda one: order_key(one, rules))
        events = (*events[:place], event, *events[place:])
    state = replace(state, events=events)
    return _folded(state, rules) if len(events) > rules.fold_after_events else state


def with_repeat(state: BillState, known: LedgerEvent, repeat: LedgerEvent, rules: Rules) -> BillState:
    """The state with what another message adds to a known event: its seconds, its pass of autumn's repeated hour, that
    it was no re-sending, or that it was read whole."""
    if (merged := merged_sendings(known, repeat, rules)) == known:
        return state
    events = [merged if event is known else event for event in state.events]
    return replace(state, events=tuple(sorted(events, key=lambda event: order_key(event, rules))))


def with_cleared(state: BillState, record: Clearance) -> BillState:
    """The state with the named stops cleared; the same object if it adds nothing."""
    by = ClearedBy(record.user, record.received_at)
    if record.kind in UNPARSED_KINDS:
        resolved = state.resolved | (state.unparsed.keys() & set(record.events))
        return state if resolved == state.resolved else replace(state, resolved=resolved)
    scope = (record.disposition_code, record.container_number) if record.kind == CBP_HOLD else (None, None)
    deeds = state.deeds.with_cleared([(event, *scope) for event in record.events], by)
    return state if deeds is state.deeds else replace(state, deeds=deeds)


def with_unparsed(state: BillState, event: UnparsedEvent, rules: Rules) -> BillState:
    """The state with an unparsed event, which stops the bill.

    Beyond the bound resolved ones are forgotten; then the oldest half becomes one, whose id has their number and time,
    so that a confirmation of fewer doesn't end it.
    """
    unparsed = {**state.unparsed, event.id: event}
    if len(unparsed) <= rules.fold_after_events:
        return replace(state, unparsed=unparsed)
    standing = sorted((one for one in unparsed.values() if one.id not in state.resolved), key=_age)
    if len(standing) > rules.fold_after_events:
        half = len(standing) // 2
        standing = [_folded_unparsed(standing[:half], rules), *standing[half:]]
    unparsed = {one.id: one for one in standing}
    return replace(state, unparsed=unparsed, resolved=state.resolved & unparsed.keys())


def with_confirmed(state: BillState, record: Confirmation, rules: Rules) -> BillState:
    """The state with confirmed doubts, each on the events covered; the same object if it adds nothing. An event whose
    input is confirmed counts as one read whole.

    Beyond the bound, ids that no longer occur on the bill are dropped.
    """
    covers = frozenset(record.covers)
    unparsed = frozenset(one for one in covers & state.unparsed.keys() if state.unparsed[one].kind in record.doubts)
    seen = covers - state.unparsed.keys()
    deeds = state.deeds
    if CLEARED_BY_HAND in record.doubts:
        deeds = deeds.with_second_person(record.user, covers, rules.four_eyes)
    doubts = [doubt for doubt in record.doubts if doubt not in (*UNPARSED_KINDS, CLEARED_BY_HAND, INPUT_UNCERTAIN)]
    deeds = deeds.with_confirmed(doubts, seen)
    if INPUT_UNCERTAIN in record.doubts:
        state = _with_input_confirmed(state, covers)
    if deeds == state.deeds and unparsed <= state.resolved:
        return state
    if deeds.number_confirmed > MOST_CONFIRMED:
        deeds = deeds.with_confirmed_among(seen | assess_bill(replace(state, deeds=deeds), rules).confirmable_ids())
    return replace(state, deeds=deeds, resolved=state.resolved | unparsed)


def _with_input_confirmed(state: BillState, covers: frozenset[str]) -> BillState:
    if not any(event.uncertain is not None and event.id in covers for event in state.events):
        return state
    events = tuple(event._replace(uncertain=None) if event.id in covers else event for event in state.events)
    return replace(state, events=events)


def with_relayed(state: BillState, relayed: Iterable[RelayedEvent]) -> BillState:
    """The state with manual events, new or changed."""
    downtime = state.downtime or DowntimeRecord({})
    return replace(state, downtime=downtime._replace(relayed={**downtime.relayed, **{one.id: one for one in relayed}}))


def with_snapshot(state: BillState, snapshot: Snapshot, snapshot_id: str, rules: Rules) -> BillState:
    """The state that begins from a snapshot. To a bill that has events it only adds: it ends no hold, since a removal
    that CBP did not send is no proof."""
    begun = replace(state, snapshot=snapshot, snapshot_id=snapshot_id, snapshot_rules=rules.number)
    if not state.events and state.folded is None:
        return begun
    since = posted_minute(snapshot.status_at)
    earlier = tuple(
        event
        for event in counting_events(state, state.events, rules)
        if event.latest_minute < since and not counts_since(event, since, rules)  # else a copy may count again
    )
    account = opening_account(state, rules)
    apply_events(account, earlier, rules, state.deeds)
    _forget_minutes(account, state, earlier)
    _add_snapshot(account, snapshot_account(snapshot, snapshot_id, rules), earlier, rules)
    summed = frozenset(event.id for event in state.events if not counts_since(event, since, rules))
    return replace(begun, folded=account, in_snapshot=summed)


def _add_snapshot(account: Account, given: Account, earlier: Sequence[LedgerEvent], rules: Rules) -> None:
    """Add a snapshot's holds, and what it has released beyond the account's releases. Such a release is stale if a stop
    is known that was posted after it."""
    account.complete = True
    account.last_posted = max(given.last_posted or 0, account.last_posted or 0)
    for key, pieces in given.holds.items():
        standing = account.holds.get(key)
        account.holds[key] = pieces if standing is None else _both(standing, pieces)
    known = [release.quantity for release in account.releases]
    for release in given.releases:
        missing = None if None in known else (release.quantity or 0) - sum(filter(None, known))
        if missing is None or missing <= 0:
            continue
        later = [one.id for one in earlier if one.latest_minute >= release.posted and _makes_stale(one, rules)]
        stale_by: dict[str | None, str] = {**release.stale_by}
        if later:
            stale_by[None] = later[-1]
        account.releases.append(release._replace(quantity=missing, stale_by=stale_by))


def _both(one: HeldPieces, other: HeldPieces) -> HeldPieces:
    """The stricter of two statements on one hold."""
    quantities = (one.quantity, other.quantity)
    return one._replace(
        quantity=None if None in quantities else max(filter(None, quantities), default=None),
        placed=max(one.placed, other.placed),
        events=(*one.events, *other.events)[-MOST_PLACEMENTS:],
        do_not_load=one.do_not_load or other.do_not_load,
        at_destination=one.at_destination and other.at_destination,
    )


def _makes_stale(event: LedgerEvent, rules: Rules) -> bool:
    return stops(event, rules) and rules.at(event.rules).release_after_hold_of(event.code) == FRESH


def _forget_minutes(account: Account, state: BillState, counting: Iterable[LedgerEvent]) -> None:
    """Keep of an account only what sums may keep."""
    if account.holds_unseen:
        account.nominated = None  # it did not come first
    account.holds_unseen.clear()
    account.removals_unmatched.clear()
    account.quantity_until = None  # no minute is split by a fold
    if not _quantity_is_from_events(state, counting):
        account.manifested = None  # a later filing may change a filed quantity


def _folded(state: BillState, rules: Rules) -> BillState:
    """The state with its oldest quarter of events in sums. Folding one at a time would cost each event the same."""
    last = order_minute(state.events[max(1, rules.fold_after_events // 4) - 1].posted)
    oldest = tuple(event for event in state.events if order_minute(event.posted) <= last)
    counting = counting_events(state, oldest, rules)
    folded = opening_account(state, rules)
    releases: list[RelayedEvent] = []
    if state.relayed:
        relayed, releases = _folded_manual_events(state, folded, oldest, last, rules)
        state = with_relayed(state, relayed)
    apply_with_releases(folded, counting, releases, rules, state.deeds)
    _forget_minutes(folded, state, counting)
    return replace(
        state,
        folded=folded,
        fold_line=max(last + 1, state.fold_line or 0),  # no minute is split: its events can't be told apart any more
        events=state.events[len(oldest) :],
    )


def _folded_manual_events(
    state: BillState, opening: Account, oldest: tuple[LedgerEvent, ...], last: int, rules: Rules
) -> tuple[list[RelayedEvent], list[RelayedEvent]]:
    """Manual events with the confirmations that would go with the folded events, and the releases to fold."""
    found = confirmed_manual_events(state, opening, rules)
    going = {event.id for event in oldest}
    releases = [one for one in open_manual_releases(state, found, rules) if release_minute(one) <= last]
    folded = {one.id for one in releases}
    changed = []
    for one in state.relayed.values():
        event = found.get(one.id)
        confirmed_by = event if event in going else one.confirmed_by
        changed.append(one._replace(confirmed_by=confirmed_by, folded=one.folded or one.id in folded))
    return changed, releases


def _quantity_is_from_events(state: BillState, folding: Iterable[LedgerEvent]) -> bool:
    before = state.folded is not None and state.folded.manifested is not None
    return before or any(event.code in QUANTITY_CODES and event.quantity is not None for event in folding)


def _age(one: UnparsedEvent) -> tuple[int, str]:
    return one.placed, one.id


def _folded_unparsed(oldest: list[UnparsedEvent], rules: Rules) -> UnparsedEvent:
    known = ((one.rules, rules.at(one.rules).codes.get(one.code or "")) for one in oldest)
    stopping = [(code.code, number) for number, code in known if code is not None and code.do_not_load]
    do_not_load, under = stopping[0] if stopping else (None, rules.number)
    number = sum(int(one.id.split(":")[1]) if one.id.startswith(OLDER) else 1 for one in oldest)
    placed = oldest[-1].placed
    named = any(one.names_bill for one in oldest)
    return UnparsedEvent(f"{OLDER}{number}:{placed}", "UNREADABLE", do_not_load, placed, None, under, named)
