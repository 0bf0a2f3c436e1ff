"""One bill, one record: `decide(state, record) -> Decision`. Pure: the state given is not changed.

First the record is *entered* into a copy of the state; then `conclude` (router/decide/conclude.py) compares what
follows before and after and says who is told what.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from router import codec
from router.clock import DAY, MINUTE, iso, posted_minute
from router.decide.conclude import Decision, conclude
from router.decide.entered import Entered
from router.decide.identifiers import container_key, doubtful
from router.decide.identity import content_hash, event_key, identity, keyed_id, level_containers, manual_id
from router.decide.ledger import Event
from router.decide.manual import ACTIONS, Word
from router.decide.notice import (
    CATCH_UP,
    DISPOSITION,
    FILING,
    LINK,
    OPERATOR,
    Subject,
    subject_of,
    subject_of_word,
)
from router.decide.paper import (
    enter_handover,
    enter_paper_bill,
    enter_paper_match,
    enter_taken_over,
    reissue,
)
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.decide.state import BillState
from router.decide.status import Unread
from router.errors import InputError
from router.model.bill import bill_key, is_vessel_key
from router.model.facts import Handover, LinkFact, TakenOver
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

BillRecord = codec.FedValue | LinkFact | Handover | TakenOver


class Context(NamedTuple):
    """What a decision sees besides state and record."""

    registry: Registry
    rules: Rules


def key_of(record: BillRecord) -> str:
    """The bill (or vessel's voyage) that a record is about."""
    if isinstance(record, Disposition):
        return event_key(record)
    if isinstance(record, LinkFact | Handover | TakenOver):
        return record.bill
    if isinstance(record, Snapshot | PaperBill):
        record = record.filing
    return bill_key(record.scac or "", record.bill_of_lading or "")


def decide(state: BillState | None, record: BillRecord, context: Context) -> Decision:
    """What one record does to its bill. A record that adds nothing gives a decision without outputs."""
    if state is None:
        if isinstance(record, LinkFact) and not record.active:
            return Decision(None)  # the bill was forgotten meanwhile
        if isinstance(record, Disposition) and _is_older_than_horizon(record, context.rules):
            return _too_old(record)
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
    facts = state.facts.learn(record, posted)
    learnt = facts is not state.facts
    state.facts = facts
    learnt |= repeated and not record.resent and state.is_no_resending(event_id)
    settled = _settle_retried(state, record, event_id, secret)
    letters: tuple[DeadLetter, ...] = ()
    if not known_code and (not repeated or record.retry_of):
        letters = (unknown_code_letter(record, text),)
    if repeated:
        if not (learnt or settled or letters):
            return None
        return Entered(state, FILING, repeated=True, letters=letters)
    if known_code:
        state.with_event(ledger_event(record, event_id, posted), rules)
    else:
        containers = level_containers(record)
        container = containers[0] if len(containers) == 1 else None
        unread = Unread(event_id, "UNKNOWN_CODE", record.disposition_code, posted, container)
        state.with_unread(unread, rules)
    return Entered(
        state,
        DISPOSITION,
        subject=subject_of(record, event_id),
        flags=_flags(state, record, posted, rules),
        letters=letters,
    )


def ledger_event(record: Disposition, event_id: str, posted: int) -> Event:
    return Event(
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


def _settle_retried(state: BillState, record: Disposition, event_id: str, secret: bytes) -> bool:
    """A mended reading ends the hold that stood in its place, in the decision that applies it. One that is still what
    it was, an unknown code, ends nothing."""
    if record.retry_of is None:
        return False
    unread_id = keyed_id(secret, record.retry_of)
    if unread_id == event_id or unread_id not in state.unread or unread_id in state.settled:
        return False
    state.settled = state.settled | {unread_id}
    return True


def _flags(state: BillState, record: Disposition, posted: int, rules: Rules) -> tuple[str, ...]:
    late = record.received_at - record.action_at > rules.late_after_minutes * MINUTE
    behind = state.is_behind(posted)
    flags = (("LATE", late or behind), ("IDENTIFIER_DOUBTFUL", doubtful(record)), ("TEST", record.test))
    return tuple(flag for flag, applies in flags if applies)


def _enter_dead_letter(state: BillState, record: DeadLetter, context: Context) -> Entered | None:
    """What could not be read stops its bill until it is settled: it may have been a hold."""
    unread_id = keyed_id(context.registry.secret, record.id)
    if unread_id in state.unread:
        return None
    posted = posted_minute(record.received_at)
    unread = Unread(unread_id, "UNREADABLE", record.disposition_code, posted)
    state.with_unread(unread, context.rules)
    subject = Subject(unread_id, record.disposition_code, received_at=record.received_at)
    return Entered(state, DISPOSITION, subject=subject, letters=(record,))


def _enter_filing(state: BillState, record: Filing, context: Context) -> Entered | None:
    filing = state.facts.filing
    on_paper = state.offline is not None and state.offline.is_on_paper
    if (
        not on_paper
        and filing is not None
        and (
            record.received_at < filing.received_at
            or record._replace(received_at=0, source=None) == filing._replace(received_at=0, source=None)
        )
    ):
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
    state.begin_from(record._replace(holds=holds), context.rules)
    state.facts = replace(state.facts, filing=record.filing)
    return Entered(state, CATCH_UP)


def _enter_confirmation(state: BillState, record: Confirmation, context: Context) -> Entered | None:
    covers = set(record.covers)
    if covers <= state.confirmed:
        return None
    state.with_confirmed(covers, context.rules)
    return Entered(state, OPERATOR)


def _enter_manual(state: BillState, record: ManualEvent, context: Context) -> Entered | None:
    """Under an id of its own: whatever CBP sends electronically is another event, which may confirm this one."""
    if record.action not in ACTIONS:
        raise InputError(f"{record.action!r} is none of {', '.join(ACTIONS)}")
    word = Word(manual_id(context.registry.secret, record), record)
    if word.id in state.words:
        return None
    state.with_word(word)
    late = record.received_at - record.said_at > context.rules.late_after_minutes * MINUTE
    return Entered(state, OPERATOR, subject=subject_of_word(word), flags=("MANUAL", *(("LATE",) if late else ())))


def _enter_link(state: BillState, record: LinkFact, context: Context) -> Entered | None:
    known = state.links.get(record.key)
    if known == record if record.active else known is None:
        return None
    links = state.links.copy()
    links.pop(record.key, None)
    if record.active:
        links[record.key] = record
    state.links = links
    return Entered(state, LINK)


_ENTER: Final[dict[type, Callable[[BillState, Any, Context], Entered | None]]] = {
    Disposition: _enter_disposition,
    DeadLetter: _enter_dead_letter,
    Filing: _enter_filing,
    Snapshot: _enter_snapshot,
    Confirmation: _enter_confirmation,
    LinkFact: _enter_link,
    ManualEvent: _enter_manual,
    PaperBill: enter_paper_bill,
    PaperMatch: enter_paper_match,
    Handover: enter_handover,
    TakenOver: enter_taken_over,
}


def _is_older_than_horizon(record: Disposition, rules: Rules) -> bool:
    """Measured against its transmission's own date, so that an old file read today isn't old by itself."""
    if record.transmitted_at is None or is_vessel_key(event_key(record)):
        return False
    return record.transmitted_at - record.action_at > rules.forget_after_days * DAY


def _too_old(record: Disposition) -> Decision:
    reason = (
        f"the event was posted at {iso(record.action_at)}, long before it was sent, and its bill is not known here "
        "(any more): it may belong to a life that is over. If it counts, import the bill and retry"
    )
    return Decision(None, letters=(_letter(record, content_hash(disposition_json(record)), reason),))


def unknown_code_letter(record: Disposition, identity_text: str) -> DeadLetter:
    reason = (
        f"disposition code {record.disposition_code} is not in the code table: it may be a hold, so the bill is "
        "stopped. Add the code (setting `disposition_codes`) and retry, or confirm the bill"
    )
    return _letter(record, content_hash(identity_text), reason)


def undecidable_letter(record: BillRecord, error: Exception) -> DeadLetter:
    """For an event whose decision raised: an error of ours, which must not stop or clear the way for anything."""
    reason = f"deciding on this record failed ({error!r}): an error in the router. Retry after an update"
    if isinstance(record, Disposition):
        return _letter(record, content_hash(disposition_json(record)), reason)
    content = repr(record)
    scac, number = key_of(record)[:4].rstrip(), key_of(record)[4:]
    return DeadLetter(content_hash(content), reason, "", "unknown", content.encode(), len(content), scac, number)


def _letter(record: Disposition, letter_id: str, reason: str) -> DeadLetter:
    content = disposition_json(record).encode()
    return DeadLetter(
        letter_id,
        reason,
        record.source or "",
        "jsonl",
        content,
        len(content),
        record.scac,
        record.bill_of_lading,
        record.disposition_code,
        record.received_at,
    )


def disposition_json(record: Disposition) -> str:
    """The event as a line of our own input form, so that it can be fed in again."""
    fields = {name: value for name, value in record._asdict().items() if value not in (None, (), False)}
    fields.pop("retry_of", None)
    for name in ("action_at", "received_at", "transmitted_at"):
        if name in fields:
            fields[name] = iso(fields[name])
    return json.dumps(fields)
