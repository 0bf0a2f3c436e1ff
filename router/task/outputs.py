"""A decision as records for the log. Everything is encoded here, so that deciding stays free of formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from router import codec, topics
from router.decide.audience import Disclosure
from router.decide.boxes import Answer
from router.decide.cargo_facts import Cargo
from router.decide.consequences import Decision, Incomplete
from router.decide.notices import SHOWN, Subject, shared_fields
from router.decide.recipients import Notice, Shared
from router.decide.rules import Rules
from router.decide.status import StandingHold
from router.log.interface import KEY_SEPARATOR, Output
from router.model.identifiers import split_bill_key
from router.model.inputs import DeadLetter
from router.model.links import IndexFact
from router.model.registry_values import RegistryValue, registry_key

KIND_HEADERS: Final = {kind: (("kind", kind.encode()),) for kind in codec.NOTICE_KINDS}
"""So that a consumer can filter without decoding."""


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
    if decision.notices:
        yield from _notice_outputs(key, bill, decision.notices, rules)
    for fact in decision.facts:
        yield Output(topics.INDEX, fact.key.encode(), codec.encode_value(fact))
    for link in decision.links:
        yield Output(topics.LINKS, link.bill.encode(), codec.encode_value(link))
    for letter in decision.letters:
        yield letter_output(letter)
    if decision.waiting_changed:
        yield Output(topics.WAITING, bill, _waiting(key, decision.waits) if decision.waits else None)
    if decision.entered is not None:
        yield Output(topics.TIMELINE, bill, _timeline(key, decision, origin))


def registry_output(value: RegistryValue) -> Output:
    """Under a key of its own for each kind and subject: the registry is compacted."""
    return Output(topics.REGISTRY, registry_key(value), codec.encode_value(value))


def letter_output(letter: DeadLetter) -> Output:
    return Output(topics.DEAD_LETTERS, letter.id.encode(), codec.encode_value(letter))


def _notice_outputs(key: str, bill: bytes, notices: Iterable[Notice], rules: Rules) -> Iterator[Output]:
    """What notices share is encoded once, and put together once for each view."""
    fields: dict[int, list[bytes]] = {}
    parts: dict[tuple[int, Disclosure], bytes] = {}
    for notice in notices:
        shared, member = notice.shared, notice.member
        assert member.topic is not None
        part = parts.get((id(shared), member.view))
        if part is None:
            if id(shared) not in fields:
                fields[id(shared)] = codec.encode_shared(_shared_fields(key, shared, rules))
            part = codec.join_shared(fields[id(shared)], _withheld_places()[member.view])
            parts[id(shared), member.view] = part
        value = codec.encode_notice(
            notice.kind,
            part,
            notice.notice_id,
            shared.subject.event_id if shared else None,
            notice.cause,
            notice.covers,
            codec.encode_recipient(member.scac, member.roles, member.voyage_number),
        )
        yield Output(member.topic, bill, value, KIND_HEADERS[notice.kind])


def _shared_fields(key: str, shared: Shared | None, rules: Rules) -> tuple[Any, ...]:
    if shared is None:
        return shared_fields(key, Cargo(), Subject(), None, (), (), rules)
    return shared_fields(key, shared.known, shared.subject, shared.after, shared.authorises, shared.flags, rules)


@cache
def _withheld_places() -> tuple[tuple[int, ...], ...]:
    """Of what each view doesn't show, the places in a notice's shared part."""
    lowest = {name: view for view, names in SHOWN.items() for name in names}
    return tuple(
        tuple(place for place, name in enumerate(codec.shared_names()) if lowest[name] < view) for view in Disclosure
    )


def _waiting(key: str, waits: Incomplete) -> bytes:
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
    """In the schema's order."""
    entered, state, after = decision.entered, decision.state, decision.after
    assert entered is not None
    assert state is not None
    subject = entered.subject
    return codec.encode(
        "timeline-entry",
        (
            key,
            state.sequence,
            origin.topic,
            origin.offset,
            origin.value,
            origin.at,
            entered.cause,
            subject.event_id,
            subject.disposition_code,
            subject.action_at,
            origin.source,
            subject.remarks,
            entered.repeated,
            decision.before.status if decision.before else None,
            after.status if after else "",
            decision.flags,
            [_hold_words(hold) for hold in after.holds] if after else (),
            origin.registry_offset,
            decision.id,
            [(told.member.scac, told.kind, told.cause, told.member.roles) for told in decision.notices],
            [reason for reason in state.waiting if ":" in reason],
        ),
    )


def _hold_words(hold: StandingHold) -> str:
    quantity = "" if hold.quantity is None else hold.quantity
    return f"{hold.kind}:{hold.code or ''}:{hold.container_number or ''}:{quantity}"


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
