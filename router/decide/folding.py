"""What a record adds to a bill's state, and how the state stays bounded: beyond its limits the oldest is folded into
sums.

A bill with thousands of events, or a feed that sends what nobody can read without end, must not make a state without
end. All functions change the state they are given: a copy that is the decision's own.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Set
from typing import Final

from router.decide.account import QUANTITY_CODES, Account, LedgerEvent, order_key
from router.decide.bill_state import BillState, account_of
from router.decide.manual_events import DowntimeRecord, RelayedEvent, release_minute, settle_with_releases
from router.decide.rules import Rules
from router.decide.status import UnparsedEvent
from router.model.eastern import order_minute, posted_minute
from router.model.inputs import Snapshot

MOST_CONFIRMED: Final = 1000
"""Ids kept of what operators have confirmed, before those are dropped that nothing on the bill bears any more."""
OLDER: Final = "older:"
"""Begins the id of what stands for several unread events. No keyed id has a colon."""


def enter_event(state: BillState, event: LedgerEvent, rules: Rules) -> None:
    """Enter an event in its place; beyond the bound, fold the oldest into sums."""
    state.events = state.events.copy()
    if not state.events or order_key(state.events[-1], rules) < order_key(event, rules):
        state.events.append(event)
    else:
        insort(state.events, event, key=lambda one: order_key(one, rules))
    if len(state.events) > rules.fold_after_events:
        _fold(state, rules)


def correct_resending(state: BillState, event_id: str) -> bool:
    """Take note that an event known as sent again came as a first sending, too: which one came first must not
    matter."""
    corrected = [event._replace(resent=event.resent and event.id != event_id) for event in state.events]
    changed = corrected != state.events
    state.events, state.settled_account = corrected, None
    return changed


def enter_unread(state: BillState, one: UnparsedEvent, rules: Rules) -> None:
    """Enter an event that stops the bill because nobody can say what it does. Beyond the bound those that are
    settled are forgotten, then the oldest half becomes one: under an id that tells how many it stands for and since
    when, so that an operator's word on fewer doesn't end it."""
    state.unread = state.unread | {one.id: one}
    if len(state.unread) <= rules.fold_after_events:
        return
    standing = sorted((one for one in state.unread.values() if one.id not in state.settled), key=_age)
    if len(standing) > rules.fold_after_events:
        half = len(standing) // 2
        standing = [_folded_unread(standing[:half], rules), *standing[half:]]
    state.unread = {one.id: one for one in standing}
    state.settled = state.settled & state.unread.keys()


def enter_confirmed(state: BillState, covers: Set[str], rules: Rules) -> None:
    """Enter an operator's word. Beyond the bound, what nothing on the bill is known by any more is forgotten."""
    state.confirmed = state.confirmed | covers
    if len(state.confirmed) > MOST_CONFIRMED:
        state.confirmed = (state.confirmed & state.coverable(rules)) | covers
    state.settled = state.settled | (covers & state.unread.keys())


def enter_word(state: BillState, word: RelayedEvent) -> None:
    state.offline = (state.offline or DowntimeRecord({}))._replace(words=state.words | {word.id: word})


def begin_from(state: BillState, snapshot: Snapshot, rules: Rules) -> None:
    """Take a snapshot as what stood at its time. What was folded since stays, and the snapshot's holds beside it:
    whether they were removed since, nobody can tell."""
    state.snapshot = snapshot
    if state.folded is not None and state.fold_line is not None:
        if state.fold_line > posted_minute(snapshot.status_at):
            state.folded = state.folded.copy()
            state.folded.holds = account_of(snapshot, rules).holds | state.folded.holds
        else:
            state.folded = state.fold_line = None


def _fold(state: BillState, rules: Rules) -> None:
    """A quarter at a time, so that a bill with thousands of events doesn't pay for it at each."""
    last = order_minute(state.events[max(1, rules.fold_after_events // 4) - 1].posted)
    oldest = [event for event in state.events if order_minute(event.posted) <= last]
    counting = state.counting(oldest, rules)
    known_quantity = _is_counted(state, counting)
    opening = state.opening(rules)
    releases = _fold_words(state, opening, oldest, last, rules)
    state.folded = settle_with_releases(opening, counting, releases, rules, state.confirmed)
    state.folded.unseen.clear()
    state.folded.quantity_minute = None  # no minute is split by a fold
    if not known_quantity:
        state.folded.manifested = None  # only filed, so a later filing has the say
    state.fold_line = max(last + 1, state.fold_line or 0)  # no minute is split: its fingerprints are gone
    state.events = state.events[len(oldest) :]


def _fold_words(
    state: BillState, opening: Account, oldest: list[LedgerEvent], last: int, rules: Rules
) -> list[RelayedEvent]:
    """Which words turned out to be which events must be remembered when those go, and releases by hand before the
    fold line go with them; these are returned."""
    if not state.words:
        return []
    found = state.confirmations(opening, rules)
    going = {event.id for event in oldest}
    releases = [word for word in state.open_releases(found, rules) if release_minute(word, rules) <= last]
    folded = {word.id for word in releases}
    for word in state.words.values():
        event = found.get(word.id)
        confirmed_by = event if event in going else word.confirmed_by
        enter_word(state, word._replace(confirmed_by=confirmed_by, folded=word.folded or word.id in folded))
    return releases


def _is_counted(state: BillState, events: list[LedgerEvent]) -> bool:
    """Whether an event that is folded now or was before gave the bill's quantity."""
    before = state.folded is not None and state.folded.manifested is not None
    return before or any(event.code in QUANTITY_CODES and event.quantity is not None for event in events)


def _age(one: UnparsedEvent) -> tuple[int, str]:
    return one.placed, one.id


def _folded_unread(oldest: list[UnparsedEvent], rules: Rules) -> UnparsedEvent:
    known = (rules.codes.get(one.code or "") for one in oldest)
    do_not_load = next((code.code for code in known if code is not None and code.do_not_load), None)
    number = sum(int(one.id.split(":")[1]) if one.id.startswith(OLDER) else 1 for one in oldest)
    placed = oldest[-1].placed
    return UnparsedEvent(f"{OLDER}{number}:{placed}", "UNREADABLE", do_not_load, placed)
