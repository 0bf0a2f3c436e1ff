"""A decision as records for the log. Decisions know nothing of formats; all encoding is here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct, structs

from router import codec, topics
from router.codec.packed import INDEX_ENTRY, Packed, fields_of
from router.codec.published import NOTICE_KINDS, NoticeParts, encode_recipient
from router.decide.boxes import Answer, IndexEntry
from router.decide.consequences import Decision, HistoryEntry
from router.decide.notices import Notice
from router.decide.waiting import WaitingReasons
from router.log.interface import KEY_SEPARATOR, Output
from router.model.identifiers import split_bill_key
from router.model.inputs import DeadLetter
from router.model.links import IndexFact
from router.model.registry_values import RegistryValue, registry_key

KIND_HEADERS: Final = {kind: (("kind", kind.encode()),) for kind in NOTICE_KINDS}
"""Header by which a consumer can filter without decoding."""


class Origin(Struct, frozen=True, array_like=True):
    """The input record of a decision, for the history."""

    topic: str
    offset: int
    value: bytes | None
    at: int
    """Its `received_at`, or the tick. UTC milliseconds."""
    registry_offset: int
    source: str | None = None


class TimelineEntry(Struct, frozen=True, array_like=True):
    """A record of `snp.timeline`."""

    history: HistoryEntry
    input: Origin


TIMELINE_ENTRY: Final = Packed(19, "timeline-entry", TimelineEntry)


def timeline_fields(data: bytes) -> dict[str, Any]:
    """A record of `snp.timeline` as the fields of its history, and of its input, flat. Raises InputError."""
    entry = TIMELINE_ENTRY.decode(data)
    history, origin = entry.history, entry.input
    return {
        **fields_of(history),
        "input_topic": origin.topic,
        "input_offset": origin.offset,
        "input": origin.value,
        "at": origin.at,
        "registry_offset": origin.registry_offset,
        "source": origin.source,
    }


def outputs_of(key: str, decision: Decision, origin: Origin) -> Iterator[Output]:
    """Records of a decision: its notices in order, then all others. The state is written once a transaction."""
    bill = key.encode()
    if decision.notices:
        yield from _notice_outputs(bill, decision.notices)
    for fact in decision.facts:
        yield Output(topics.INDEX, fact.key.encode(), codec.encode_value(fact))
    for link in decision.links:
        yield Output(topics.LINKS, link.bill.encode(), codec.encode_value(link))
    for letter in decision.letters:
        yield letter_output(letter)
    if decision.waiting_changed:
        yield Output(topics.WAITING, bill, _waiting(key, decision.waiting) if decision.waiting else None)
    if decision.history is not None:
        yield Output(topics.TIMELINE, bill, TIMELINE_ENTRY.encode(TimelineEntry(decision.history, origin)))


def registry_output(value: RegistryValue) -> Output:
    return Output(topics.REGISTRY, registry_key(value), codec.encode_value(value))


def letter_output(letter: DeadLetter) -> Output:
    return Output(topics.DEAD_LETTERS, letter.id.encode(), codec.encode_value(letter))


def _notice_outputs(bill: bytes, notices: Iterable[Notice]) -> Iterator[Output]:
    parts: dict[int, NoticeParts] = {}
    for notice in notices:
        shared = parts.get(id(notice.fields))
        if shared is None:
            shared = parts[id(notice.fields)] = NoticeParts(notice.fields)
        recipient = notice.recipient
        assert recipient.topic is not None
        encoded = encode_recipient(recipient.id, recipient.roles, recipient.voyage_number)
        value = shared.notice(notice.kind, recipient.disclosure, notice.notice_id, encoded)
        yield Output(recipient.topic, bill, value, KIND_HEADERS[notice.kind])


def _waiting(key: str, waiting: WaitingReasons) -> bytes:
    scac, number = split_bill_key(key)
    fields: dict[str, Any] = {"scac": scac, "bill_of_lading": number, **structs.asdict(waiting)}
    return codec.encode("waiting", fields)


def index_entry_output(fact: IndexFact, answer: Answer | None) -> Output:
    """One record for each key and bill, in the partition of the index key. Without an answer it is deleted."""
    key = fact.key.encode() + KEY_SEPARATOR + fact.bill.encode()
    value = INDEX_ENTRY.encode(IndexEntry(fact, answer)) if answer is not None else None
    return Output(topics.INDEX_STATE, key, value)
