"""One bill, one record: `decide(state, record) -> Decision`. Pure: the state given is not changed.

First the record is *entered* into a copy of the state; then `conclude` (router/decide/consequences.py) compares what
follows before and after and says who is told what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from router.decide.account import LedgerEvent
from router.decide.bill_state import BillState
from router.decide.cargo_facts import content_of, supersedes
from router.decide.consequences import Decision, conclude
from router.decide.dead_letters import still_to_come_id, still_to_come_letter, too_old_letter, unknown_code_letter
from router.decide.folding import begin_from, correct_resending, enter_confirmed, enter_event, enter_unread, enter_word
from router.decide.identity import (
    BillRecord,
    content_hash,
    event_key,
    identity,
    key_of,
    keyed_id,
    level_containers,
    manual_id,
)
from router.model.limits import MOST_HOLDS, MOST_SPLITS, MOST_WORDS, check
from router.decide.manual_events import ACTIONS, RelayedEvent
from router.decide.notices import (
    CATCH_UP,
    DISPOSITION,
    FILING,
    LINK,
    OPERATOR,
    Entered,
    Subject,
    subject_of,
    subject_of_word,
)
from router.decide.paper import enter_handover, enter_paper_bill, enter_paper_match, enter_taken_over, reissue
from router.decide.registry import Context
from router.decide.rules import Rules
from router.decide.status import UnparsedEvent
from router.errors import InputError
from router.model.eastern import DAY, MINUTE, posted_minute
from router.model.identifiers import container_key, has_invalid_identifier, is_vessel_key
from router.model.inputs import (
    Confirmation,
    DeadLetter,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    PaperMatch,
    Snapshot,
)
from router.model.links import LinkFact, Refiling, RefilingAnswer
from router.model.vocabulary import Flag

MOST_AHEAD: Final = DAY
"""So long after it came an event can have been posted: clocks and their zones differ by less."""


def decide(state: BillState | None, record: BillRecord, context: Context) -> Decision:
    """What one record does to its bill. A record that adds nothing gives a decision without outputs. Raises InputError
    for what is beyond our limits."""
    check(record)
    if state is None:
        if isinstance(record, LinkFact) and not record.active:
            return Decision(None)  # the bill was forgotten meanwhile
        if isinstance(record, Disposition) and _is_older_than_horizon(record, context.rules):
            return Decision(None, letters=(too_old_letter(record),))
    before = state if state is not None else BillState(key_of(record))
    if before.has_news:
        before.assess(context.rules)  # before it is copied, so that the copy goes on from its account
    entered = _ENTER[type(record)](before.copy(), record, context)
    if entered is None:
        return Decision(state)
    return conclude(before, entered, context.registry, context.rules)


def _enter_disposition(state: BillState, record: Disposition, context: Context) -> Entered | None:
    rules, secret = context.rules, context.registry.secret
    text = identity(record, state.key)
    known_code = rules.codes.get(record.disposition_code) is not None
    event_id = keyed_id(secret, text if known_code else content_hash(text))
    posted = posted_minute(record.action_at)
    repeated = event_id in state.unread or event_id in state.event_ids()
    if not repeated and _is_still_to_come(record):
        return _enter_still_to_come(state, record, still_to_come_letter(record, text), context)
    facts = state.facts.learn(record, posted)
    learnt = facts is not state.facts
    state.facts = facts
    learnt |= repeated and not record.resent and correct_resending(state, event_id)
    settled = _settle(state, record.retry_of, event_id, secret)
    if state.unread:  # a copy that came before it can have been posted
        settled |= _settle(state, still_to_come_id(text), event_id, secret)
    letters: tuple[DeadLetter, ...] = ()
    if not known_code and (not repeated or record.retry_of):
        letters = (unknown_code_letter(record, text),)
    if repeated:
        if not (learnt or settled or letters):
            return None
        return Entered(state, FILING, repeated=True, letters=letters)
    if known_code:
        enter_event(state, ledger_event(record, event_id, posted), rules)
        if record.container_level and len(state.account(rules).holds) > MOST_HOLDS:
            raise InputError(f"with it more than {MOST_HOLDS} holds would stand on the bill, each on its container")
    else:
        containers = level_containers(record)
        container = containers[0] if len(containers) == 1 else None
        unread = UnparsedEvent(event_id, "UNKNOWN_CODE", record.disposition_code, posted, container)
        enter_unread(state, unread, rules)
    return Entered(
        state,
        DISPOSITION,
        subject=subject_of(record, event_id),
        flags=_flags(state, record, posted, rules),
        letters=letters,
    )


def _enter_still_to_come(state: BillState, record: Disposition, letter: DeadLetter, context: Context) -> Entered | None:
    """It stops the bill, in place of what it is the mended reading of. Retried while it is still to come, it is put
    aside again: the retry settled its letter."""
    entered = _enter_dead_letter(state, letter, context)
    if record.retry_of is None:
        return entered
    secret = context.registry.secret
    _settle(state, record.retry_of, keyed_id(secret, letter.id), secret)
    return entered or Entered(state, FILING, repeated=True, letters=(letter,))


def ledger_event(record: Disposition, event_id: str, posted: int) -> LedgerEvent:
    return LedgerEvent(
        event_id,
        record.disposition_code,
        posted,
        record.quantity or None,
        level_containers(record),
        record.entry_type,
        record.entry_number,
        record.transaction_port,
        record.reversal,
        record.resent,
    )


def _settle(state: BillState, letter_id: str | None, event_id: str, secret: bytes) -> bool:
    """A mended reading ends the hold that stood in its place, in the decision that applies it. One that is still what
    it was, an unknown code, ends nothing."""
    if letter_id is None:
        return False
    unread_id = keyed_id(secret, letter_id)
    if unread_id == event_id or unread_id not in state.unread or unread_id in state.settled:
        return False
    state.settled = state.settled | {unread_id}
    return True


def _flags(state: BillState, record: Disposition, posted: int, rules: Rules) -> tuple[Flag, ...]:
    late = record.received_at - record.action_at > rules.late_after_minutes * MINUTE
    behind = state.is_behind(posted)
    flags: dict[Flag, bool] = {
        "LATE": late or behind,
        "IDENTIFIER_DOUBTFUL": has_invalid_identifier(record),
        "TEST": record.test,
    }
    return tuple(flag for flag, applies in flags.items() if applies)


def _enter_dead_letter(state: BillState, record: DeadLetter, context: Context) -> Entered | None:
    """What could not be read stops its bill until it is settled: it may have been a hold."""
    unread_id = keyed_id(context.registry.secret, record.id)
    if unread_id in state.unread:
        return None
    posted = posted_minute(record.received_at)
    unread = UnparsedEvent(unread_id, "UNREADABLE", record.disposition_code, posted)
    enter_unread(state, unread, context.rules)
    subject = Subject(unread_id, record.disposition_code, received_at=record.received_at)
    return Entered(state, DISPOSITION, subject=subject, letters=(record,))


def _enter_filing(state: BillState, record: Filing, context: Context) -> Entered | None:
    filing = state.facts.filing
    on_paper = state.offline is not None and state.offline.is_on_paper
    news = filing is None or (content_of(record) != content_of(filing) and supersedes(record, filing))
    if not (news or on_paper):
        return None
    state.facts = replace(state.facts, filing=record)
    return reissue(state) if on_paper else Entered(state, FILING)


def _enter_snapshot(state: BillState, record: Snapshot, context: Context) -> Entered | None:
    if state.snapshot is not None and record.status_at <= state.snapshot.status_at:
        return None
    holds = tuple(
        hold._replace(container_number=hold.container_number and container_key(hold.container_number))
        for hold in record.holds
    )
    begin_from(state, record._replace(holds=holds), context.rules)
    state.facts = replace(state.facts, filing=record.filing)
    return Entered(state, CATCH_UP)


def _enter_confirmation(state: BillState, record: Confirmation, context: Context) -> Entered | None:
    covers = set(record.covers)
    if covers <= state.confirmed:
        return None
    enter_confirmed(state, covers, context.rules)
    return Entered(state, OPERATOR)


def _enter_manual(state: BillState, record: ManualEvent, context: Context) -> Entered | None:
    """Under an id of its own: whatever CBP sends electronically is another event, which may confirm this one."""
    if record.action not in ACTIONS:
        raise InputError(f"{record.action!r} is none of {', '.join(ACTIONS)}")
    word = RelayedEvent(manual_id(context.registry.secret, record), record)
    if word.id in state.words:
        return None
    if len(state.words) >= MOST_WORDS:
        raise InputError(f"{MOST_WORDS} things were said of this bill by hand already: no more are taken")
    enter_word(state, word)
    late = record.received_at - record.said_at > context.rules.late_after_minutes * MINUTE
    return Entered(state, OPERATOR, subject=subject_of_word(word), flags=("MANUAL", *(("LATE",) if late else ())))


def _enter_link(state: BillState, record: LinkFact, context: Context) -> Entered | None:
    known = state.links.get(record.key)
    if known == record if record.active else known is None:
        return None
    if record.active and record.kind == "SPLIT" and _splits(state) >= MOST_SPLITS:
        return None
    links = state.links.copy()
    links.pop(record.key, None)
    if record.active:
        links[record.key] = record
    state.links = links
    return Entered(state, LINK)


def _splits(state: BillState) -> int:
    return sum(link.kind == "SPLIT" for link in state.links.values())


_ENTER: Final[dict[type[BillRecord], Callable[[BillState, Any, Context], Entered | None]]] = {
    Disposition: _enter_disposition,
    DeadLetter: _enter_dead_letter,
    Filing: _enter_filing,
    Snapshot: _enter_snapshot,
    Confirmation: _enter_confirmation,
    LinkFact: _enter_link,
    ManualEvent: _enter_manual,
    PaperBill: enter_paper_bill,
    PaperMatch: enter_paper_match,
    Refiling: enter_handover,
    RefilingAnswer: enter_taken_over,
}


def _is_older_than_horizon(record: Disposition, rules: Rules) -> bool:
    """Measured against its transmission's own date, so that an old file read today isn't old by itself."""
    if record.transmitted_at is None or is_vessel_key(event_key(record)):
        return False
    sent = min(record.transmitted_at, record.received_at or record.transmitted_at)  # its date may be wrong
    return sent - record.action_at > rules.forget_after_days * DAY


def _is_still_to_come(record: Disposition) -> bool:
    """Whether CBP is said to have posted it long after it came. By that time it would outlast, lift or release
    whatever is posted until then. Told by the record alone, so that it doesn't matter when it is read."""
    came = record.received_at
    return came > 0 and record.action_at - came > MOST_AHEAD and not is_vessel_key(event_key(record))
