"""A decision as records for the log. Everything is encoded here, so that deciding stays free of formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from router import codec, topics
from router.decide.audience import View
from router.decide.conclude import Decision, Notice, Shared, Waits
from router.decide.crossing import Answer
from router.decide.notice import farewell_fields, shared_fields, withhold
from router.decide.rules import Rules
from router.decide.status import Assessment
from router.log.interface import KEY_SEPARATOR, Output
from router.model.bill import split_bill_key
from router.model.facts import IndexFact
from router.model.inputs import DeadLetter


class Origin(NamedTuple):
    """The record that a decision came from, for the history."""

    topic: str
    offset: int
    value: bytes | None
    at: int
    """Its `received_at`, or the tick. UTC milliseconds."""
    registry_offset: int
    source: str | None = None


def outputs_of(key: str, decision: Decision, origin: Origin, rules: Rules) -> Iterator[Output]:
    """Notices first, in their order; then what else the decision said. The state is written once a transaction."""
    bill = key.encode()
    shared_parts: dict[tuple[int, View], bytes] = {}
    for notice in decision.notices:
        part = (id(notice.shared), notice.member.view)
        if part not in shared_parts:
            shared_parts[part] = _shared_part(key, notice.shared, notice.member.view, rules)
        yield _notice_output(bill, notice, shared_parts[part])
    for fact in decision.facts:
        yield Output(topics.INDEX, fact.key.encode(), codec.encode_value(fact))
    for letter in decision.letters:
        yield letter_output(letter)
    if decision.waiting_changed:
        yield Output(topics.WAITING, bill, _waiting(key, decision.waits) if decision.waits else None)
    if decision.entered is not None:
        yield Output(topics.TIMELINE, bill, _timeline(key, decision, origin))


def letter_output(letter: DeadLetter) -> Output:
    return Output(topics.DEAD_LETTERS, letter.id.encode(), codec.encode_value(letter))


def _shared_part(key: str, shared: Shared | None, view: View, rules: Rules) -> bytes:
    if shared is None:
        return codec.encode_shared(farewell_fields(key))
    fields = shared_fields(key, shared.known, shared.subject, shared.after, shared.authorises, shared.flags, rules)
    return codec.encode_shared(withhold(fields, view))


def _notice_output(bill: bytes, notice: Notice, shared_part: bytes) -> Output:
    member = notice.member
    event_id = notice.shared.subject.event_id if notice.shared else None
    assert member.topic is not None
    value = codec.encode_notice(
        notice.kind,
        shared_part,
        notice.notice_id,
        event_id,
        notice.cause,
        notice.covers,
        codec.encode_recipient(member.scac, member.roles, member.voyage_number),
    )
    return Output(member.topic, bill, value, (("kind", notice.kind.encode()),))


def _waiting(key: str, waits: Waits) -> bytes:
    scac, number = split_bill_key(key)
    return codec.encode(
        "waiting",
        {
            "scac": scac,
            "bill_of_lading": number,
            "reasons": waits.reasons,
            "parties": waits.parties,
            "status": waits.status,
            "do_not_load": waits.do_not_load,
            "since": waits.since,
        },
    )


def _timeline(key: str, decision: Decision, origin: Origin) -> bytes:
    entered, state = decision.entered, decision.state
    assert entered is not None
    assert state is not None
    subject = entered.subject
    return codec.encode(
        "timeline-entry",
        {
            "bill": key,
            "sequence": state.sequence,
            "input_topic": origin.topic,
            "input_offset": origin.offset,
            "input": origin.value,
            "at": origin.at,
            "cause": entered.cause,
            "event_id": subject.event_id,
            "disposition_code": subject.disposition_code,
            "action_at": subject.action_at,
            "source": origin.source,
            "remarks": subject.remarks,
            "repeated": entered.repeated,
            "status_before": decision.before.status if decision.before else None,
            "status": decision.after.status if decision.after else "",
            "flags": decision.flags,
            "holds": _holds(decision.after),
            "registry_offset": origin.registry_offset,
            "told": [
                {
                    "recipient": notice.member.scac,
                    "kind": notice.kind,
                    "notice_id": notice.notice_id,
                    "cause": notice.cause,
                    "roles": notice.member.roles,
                }
                for notice in decision.notices
            ],
            "waiting": [reason for reason in state.waiting if ":" in reason],
        },
    )


def _holds(after: Assessment | None) -> list[str]:
    holds = after.holds if after else ()
    return [
        f"{hold.kind}:{hold.code or ''}:{hold.container_number or ''}:{'' if hold.quantity is None else hold.quantity}"
        for hold in holds
    ]


def index_state_output(fact: IndexFact, answer: Answer | None) -> Output:
    """One record per (key, bill), in the partition of the index key. Without an answer: the fact is gone."""
    if answer is None:
        return Output(topics.INDEX_STATE, index_state_key(fact), None)
    value = codec.encode(
        "index-state",
        {
            "fact": fact,
            "answered": answer.stopped,
            "answered_do_not_load": answer.do_not_load,
            "answered_since": answer.since,
        },
    )
    return Output(topics.INDEX_STATE, index_state_key(fact), value)


def index_state_key(fact: IndexFact) -> bytes:
    return fact.key.encode() + KEY_SEPARATOR + fact.bill.encode()
