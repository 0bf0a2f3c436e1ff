"""One bill, one record: `decide(bill, record, context) -> Decision`, a pure function.

First the record is *applied* to the bill's state; then `conclude` (router/decide/consequences.py) compares the bill
before and after, and decides on notices, index facts and history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from router.decide.bill_state import AssessedBill, BillState
from router.decide.cargo_facts import CargoFacts, content_of, supersedes
from router.decide.certainty import may_not_free, shown, with_certainty
from router.decide.consequences import Decision, conclude
from router.decide.dead_letters import (
    future_event_id,
    future_event_letter,
    old_event_letter,
    test_event_letter,
    unknown_code_letter,
    unknown_zone_letter,
)
from router.decide.folding import (
    with_cleared,
    with_confirmed,
    with_event,
    with_relayed,
    with_repeat,
    with_snapshot,
    with_unparsed,
)
from router.decide.identity import (
    BillRecord,
    content_hash,
    event_key,
    identity,
    key_of,
    keyed_id,
    level_containers,
    manual_id,
    second_pass_identity,
    snapshot_id,
)
from router.decide.ledger_event import LedgerEvent, stops
from router.decide.lost_input import spans_of
from router.decide.manual_events import ACTIONS, RelayedEvent
from router.decide.notices import CATCH_UP, DISPOSITION, FILING, LINK, OPERATOR, AppliedRecord, manual_disposition
from router.decide.paper import (
    apply_paper_bill,
    apply_paper_match,
    apply_refiling,
    apply_refiling_answer,
    apply_refiling_refusal,
    apply_refiling_request,
    reissue,
    with_index_answer,
)
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.decide.standing_holds import UnparsedEvent
from router.errors import InputError
from router.model.eastern import DAY, MILLISECONDS, MINUTE, in_repeated_hour, posted_minute
from router.model.identifiers import container_key, entry_clean, has_invalid_identifier, is_vessel_key
from router.model.inputs import (
    Clearance,
    Confirmation,
    DeadLetter,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    PaperMatch,
    Snapshot,
)
from router.model.limits import MOST_HOLDS, MOST_MANUAL_EVENTS, MOST_NAMED, MOST_SPLITS, check_limits
from router.model.links import LinkFact, Refiling, RefilingAnswer, RefilingRefusal, RefilingRequest
from router.model.vocabulary import Flag

MOST_AHEAD: Final = DAY
"""Largest plausible difference by which an event's posted time is later than its receipt: clocks and zones."""


def decide(before: AssessedBill | None, record: BillRecord, context: Context) -> Decision:
    """The decision on one record. A record that adds nothing gives a decision without history.

    Raises InputError for a record beyond the limits.
    """
    check_limits(record)
    if isinstance(record, Disposition) and record.test and context.rules.usage != "test":
        return Decision(before, letters=(test_event_letter(record),))
    if before is None:
        if isinstance(record, LinkFact) and not record.active:
            return Decision(None)  # the bill was forgotten meanwhile
        if isinstance(record, Disposition) and _is_older_than_horizon(record, context.rules):
            return Decision(None, letters=(old_event_letter(record),))
    state = with_lost_input(before.state if before is not None else BillState(key_of(record)), context.registry)
    applied = _APPLY[type(record)](state, record, context)
    if applied is None:
        return Decision(before)
    decision = conclude(before, applied, context.registry, context.rules)
    if isinstance(record, Disposition) and record.container_level:
        _check_scopes(decision)
    return decision


def with_lost_input(state: BillState, registry: Registry) -> BillState:
    """The state with what its task has lost of its input; the same object if that is no news."""
    spans = spans_of(registry.lost) if registry.lost else ()
    return state if state.lost == spans else replace(state, lost=spans)


def _check_scopes(decision: Decision) -> None:
    if decision.bill is None:
        return
    account = decision.bill.account
    if max(len(account.holds), len(account.authorities)) > MOST_HOLDS:
        raise InputError(f"the bill would have more than {MOST_HOLDS} holds or authorities, each on its container")
    if len(account.exported) > MOST_NAMED:
        raise InputError(f"the bill would have more than {MOST_NAMED:,} exported containers")


def _apply_disposition(state: BillState, record: Disposition, context: Context) -> AppliedRecord | None:
    rules, secret = context.rules, context.registry.secret
    record = with_certainty(record, rules)
    text = identity(record, state.key)
    is_known_code = rules.codes.get(record.disposition_code) is not None
    event_id = keyed_id(secret, text if is_known_code else content_hash(text))
    if record.unknown_zone is not None:
        if not stops(ledger_event(record, event_id, 0, rules.number), rules):
            return _apply_undated_event(state, record, unknown_zone_letter(record, text), context)
        record = record._replace(action_at=record.received_at, action_second=None, pass_unknown=False)
    posted = posted_minute(record.action_at)
    second_pass = second_pass_identity(record, state.key)
    event = ledger_event(record, event_id, posted, rules.number, second_pass and keyed_id(secret, second_pass))
    if event.uncertain is None and may_not_free(event, rules):
        event = event._replace(uncertain="MESSAGE")
    known = next((one for one in state.events if one.id == event_id), None)
    unparsed = state.unparsed.get(event_id)
    is_duplicate = known is not None or unparsed is not None
    if not is_duplicate and _is_in_future(record):
        return _apply_undated_event(state, record, future_event_letter(record, text), context)
    given = state
    if not (record.uncertain is not None and _is_known_whole(known, unparsed)):
        state = replace(state, facts=state.facts.with_disposition(record, posted))
    if known is not None:
        state = with_repeat(state, known, event, rules)
    if unparsed is not None and not unparsed.names_bill and event.uncertain != "BILL":
        state = replace(state, unparsed={**state.unparsed, event_id: unparsed._replace(names_bill=True)})
    is_news = (state.facts, state.events, state.unparsed) != (given.facts, given.events, given.unparsed)
    state = _with_resolved(state, record.retry_of, event_id, secret)
    if state.unparsed:  # an earlier copy may have had a time in the future
        state = _with_resolved(state, future_event_id(text), event_id, secret)
    letters: tuple[DeadLetter, ...] = ()
    if not is_known_code and (not is_duplicate or record.retry_of):
        letters = (unknown_code_letter(record, text),)
    if is_duplicate:
        if not (is_news or letters or state.resolved is not given.resolved):
            return None
        if known is not None and known.uncertain is not None and event.uncertain is None:
            flags = _flags(state, record, posted, rules)
            return AppliedRecord(state, DISPOSITION, record, None, flags, True, caused_by=event_id)
        return AppliedRecord(state, FILING, duplicate=True, letters=letters)
    if is_known_code:
        is_copy = in_repeated_hour(posted) and any(event.is_other_reading(one) for one in state.events)
        state = with_event(state, event, rules)
        if is_copy:
            return AppliedRecord(state, FILING, duplicate=True)
    else:
        containers = level_containers(record)
        container = containers[0] if len(containers) == 1 else None
        named = event.uncertain != "BILL"
        unknown = UnparsedEvent(
            event_id, "UNKNOWN_CODE", record.disposition_code, posted, container, rules.number, named
        )
        state = with_unparsed(state, unknown, rules)
    flags = _flags(state, record, posted, rules)
    return AppliedRecord(state, DISPOSITION, shown(record), event_id, flags, letters=letters)


def _is_known_whole(known: LedgerEvent | None, unparsed: UnparsedEvent | None) -> bool:
    return (known is not None and known.uncertain is None) or (unparsed is not None and unparsed.names_bill)


def _apply_undated_event(
    state: BillState, record: Disposition, letter: DeadLetter, context: Context
) -> AppliedRecord | None:
    """An event whose posted time can't be right stops the bill, in place of the dead letter that it is a retry of.

    Retried while the time is still the same, it becomes a dead letter again, since the retry resolved the first.
    """
    if record.retry_of is None:
        return _apply_dead_letter(state, letter, context)
    secret = context.registry.secret
    applied = _apply_dead_letter(state, letter, context) or AppliedRecord(
        state, FILING, duplicate=True, letters=(letter,)
    )
    return replace(applied, state=_with_resolved(applied.state, record.retry_of, keyed_id(secret, letter.id), secret))


def ledger_event(
    record: Disposition, event_id: str, posted: int, rules: int, second_pass: str | None = None
) -> LedgerEvent:
    return LedgerEvent(
        event_id,
        record.disposition_code,
        posted,
        record.quantity or None,
        level_containers(record),
        record.entry_type,
        entry_clean(record.entry_number or ""),
        record.transaction_port,
        record.reversal,
        record.resent,
        rules,
        second_of(record),
        record.received_at if record.resent else 0,
        second_pass,
        record.uncertain,
        record.indicator,
    )


def second_of(record: Disposition) -> int | None:
    """Second within the minute; None if unknown. Other programs may give it in `action_at` only."""
    if record.action_second is not None:
        return record.action_second
    return record.action_at % MINUTE // MILLISECONDS or None


def _with_resolved(state: BillState, letter_id: str | None, event_id: str, secret: bytes) -> BillState:
    """The state where a corrected reading has ended the hold of its dead letter. A reading that is still the same, an
    unknown code, ends nothing."""
    if letter_id is None:
        return state
    unparsed_id = keyed_id(secret, letter_id)
    if unparsed_id == event_id or unparsed_id not in state.unparsed or unparsed_id in state.resolved:
        return state
    return replace(state, resolved=state.resolved | {unparsed_id})


def _flags(state: BillState, record: Disposition, posted: int, rules: Rules) -> tuple[Flag, ...]:
    is_late = record.received_at - record.action_at > rules.late_after_minutes * MINUTE
    flags: dict[Flag, bool] = {
        "LATE": is_late or state.is_behind(posted),
        "IDENTIFIER_DOUBTFUL": record.uncertain == "BILL" or has_invalid_identifier(record),
    }
    return tuple(flag for flag, applies in flags.items() if applies)


def _apply_dead_letter(state: BillState, record: DeadLetter, context: Context) -> AppliedRecord | None:
    """An unreadable event stops its bill until it is resolved: it may have been a hold.

    With a count of equal ones it comes again, and is only written anew while it stands.
    """
    event_id = keyed_id(context.registry.secret, record.id)
    if record.times > 1:
        stands = event_id in state.unparsed and event_id not in state.resolved
        return AppliedRecord(state, FILING, duplicate=True, letters=(record,)) if stands else None
    if event_id in state.unparsed:
        return None
    placed, number = posted_minute(record.received_at), context.rules.number
    unparsed = UnparsedEvent(
        *(event_id, "UNREADABLE", record.disposition_code, placed, None, number),
        names_bill=not record.bill_in_doubt,
    )
    state = with_unparsed(state, unparsed, context.rules)
    event = Disposition(None, None, record.disposition_code or "", 0, received_at=record.received_at)
    return AppliedRecord(state, DISPOSITION, event, event_id, letters=(record,))


def _apply_filing(state: BillState, record: Filing, context: Context) -> AppliedRecord | None:
    if state.downtime is not None and state.downtime.is_on_paper:
        unfiled = state.facts._replace(filing=None)  # the electronic filing replaces the paper
        return reissue(replace(state, facts=_with_filing(unfiled, record)))
    facts = _with_filing(state.facts, record)
    if facts is state.facts:
        return None
    return AppliedRecord(replace(state, facts=facts), FILING, only_adds=record.declared_in != "TABLE")


def _with_filing(facts: CargoFacts, record: Filing) -> CargoFacts:
    """The facts with a filing's; the same object if it is no news."""
    if record.declared_in != "TABLE":
        return facts.with_declaration(record)
    known = facts.filing
    is_news = known is None or (content_of(record) != content_of(known) and supersedes(record, known))
    return facts._replace(filing=record) if is_news else facts


def _apply_snapshot(state: BillState, record: Snapshot, context: Context) -> AppliedRecord | None:
    if state.snapshot is not None and record.status_at <= state.snapshot.status_at:
        return None
    holds = tuple(
        hold._replace(container_number=hold.container_number and container_key(hold.container_number))
        for hold in record.holds
    )
    event_id = snapshot_id(context.registry.secret, state.key, record)
    state = with_snapshot(state, record._replace(holds=holds), event_id, context.rules)
    return AppliedRecord(replace(state, facts=state.facts._replace(filing=record.filing)), CATCH_UP, caused_by=event_id)


def _apply_confirmation(state: BillState, record: Confirmation, context: Context) -> AppliedRecord | None:
    confirmed = with_confirmed(state, record, context.rules)
    return None if confirmed is state else AppliedRecord(confirmed, OPERATOR)


def _apply_clearance(state: BillState, record: Clearance, context: Context) -> AppliedRecord | None:
    cleared = with_cleared(state, record)
    return None if cleared is state else AppliedRecord(cleared, OPERATOR, flags=("MANUAL",))


def _apply_manual_event(state: BillState, record: ManualEvent, context: Context) -> AppliedRecord | None:
    """A manual event has an id of its own: CBP's electronic message of the same is another event, which may confirm
    it."""
    if record.action not in ACTIONS:
        raise InputError(f"{record.action!r} is none of {', '.join(ACTIONS)}")
    relayed = RelayedEvent(manual_id(context.registry.secret, record), record, rules=context.rules.number)
    if relayed.id in state.relayed:
        return None
    if len(state.relayed) >= MOST_MANUAL_EVENTS:
        raise InputError(f"the bill has {MOST_MANUAL_EVENTS} manual events already, and takes no more")
    is_late = record.received_at - record.said_at > context.rules.late_after_minutes * MINUTE
    flags: tuple[Flag, ...] = ("MANUAL", "LATE") if is_late else ("MANUAL",)
    state = replace(with_relayed(state, [relayed]), facts=state.facts.with_manual_event(record))
    return AppliedRecord(state, OPERATOR, manual_disposition(relayed), relayed.id, flags)


def _apply_link(state: BillState, record: LinkFact, context: Context) -> AppliedRecord | None:
    known, given, caused_by = state.links.get(record.key), state, record.caused_by
    others = tuple(stop for stop in record.stops if stop.bill != state.key)  # a paper bill's own hold is no house's
    active = record.active and (bool(others) or not record.stops)
    record = record._replace(caused_by=None, active=active, stops=others)
    state, request = with_index_answer(state, record.key)
    if known == record if record.active else known is None:
        return AppliedRecord(state, LINK, refiling_request=request) if state is not given else None
    if record.active and record.kind == "SPLIT" and _splits(state) >= MOST_SPLITS:
        return None
    links = {key: link for key, link in state.links.items() if key != record.key}
    if record.active:
        links[record.key] = record
    return AppliedRecord(replace(state, links=links), LINK, refiling_request=request, caused_by=caused_by)


def _splits(state: BillState) -> int:
    return sum(link.kind == "SPLIT" for link in state.links.values())


_APPLY: Final[dict[type[BillRecord], Callable[[BillState, Any, Context], AppliedRecord | None]]] = {
    Disposition: _apply_disposition,
    DeadLetter: _apply_dead_letter,
    Filing: _apply_filing,
    Snapshot: _apply_snapshot,
    Confirmation: _apply_confirmation,
    Clearance: _apply_clearance,
    LinkFact: _apply_link,
    ManualEvent: _apply_manual_event,
    PaperBill: apply_paper_bill,
    PaperMatch: apply_paper_match,
    Refiling: apply_refiling,
    RefilingAnswer: apply_refiling_answer,
    RefilingRequest: apply_refiling_request,
    RefilingRefusal: apply_refiling_refusal,
}


def _is_older_than_horizon(record: Disposition, rules: Rules) -> bool:
    """True if the event was posted long before its transmission's own date; an old file read today is not old."""
    if record.transmitted_at is None or is_vessel_key(event_key(record)):
        return False
    sent = min(record.transmitted_at, record.received_at or record.transmitted_at)  # its date may be wrong
    return sent - record.action_at > rules.forget_after_days * DAY


def _is_in_future(record: Disposition) -> bool:
    """True if the posted time is long after the receipt. Such an event would outlast, lift or release everything posted
    until then. Only the record decides, so the time of reading does not matter."""
    received = record.received_at
    return received > 0 and record.action_at - received > MOST_AHEAD and not is_vessel_key(event_key(record))
