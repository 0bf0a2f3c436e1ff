"""Compares what parties got with a replay of `snp.timeline`: the proof behind "once, in order, never to anyone else".

`check` reads nothing and judges everything: give it all records of `snp.timeline` and of every party's topic, from any
log, in any order of partitions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

from router import codec, topics
from router.decide.bill import decide, with_lost_input
from router.decide.bill_state import AssessedBill, assess_bill
from router.decide.consequences import HistoryEntry
from router.decide.dead_letters import failed_decision_letter
from router.decide.identity import BillRecord, notice_id
from router.decide.outages import (
    RECOVERED,
    Outages,
    announcements,
    lost_input_announcement,
    with_filers,
    with_outage,
    with_procedure,
    without_recovered,
)
from router.decide.registry import Context, Registry
from router.decide.rules import Rules
from router.errors import InputError
from router.log.interface import Record
from router.model.identifiers import concerns_a_bill, is_vessel_key
from router.model.inputs import Confirmation
from router.model.links import RefilingAnswer
from router.model.registry_values import LostInput, Outage, OutageFilers, PortProcedure, RegistryNote, party_topic
from router.task.input_records import foreign_letter
from router.task.outputs import timeline_fields
from router.task.registry_duties import POSITION, Position

FORGOTTEN = "FORGOTTEN"


Gone = Callable[[Record, str], bool]
"""Tells by an entry of the timeline and a recipient whether the notice may have gone with a deleted topic."""


def check(
    timeline: Sequence[Record],
    party_records: Sequence[Record],
    rules: Rules,
    gone: Gone = lambda entry, recipient: False,
    registry: Registry | None = None,
    losses: Sequence[Loss] = (),
) -> list[str]:
    """Every violation, in words; empty if there is none.

    * each notice in a party's topic is named by exactly one entry of the timeline, for that party, bill and kind, and
      is there once; each notice that is named is there, unless it may be `gone`;
    * per bill and party, notices are in the order decided, and a bill's decisions are numbered one after the other;
    * deciding anew on each entry's input gives the status that the entry says. Give the `registry` where its sailings
      have a first lading date: one can complete the history of a bill that began with a nomination. Give the `losses`
      that operators have accepted: every bill must end with each of them counted.
    """
    roster = registry or Registry()
    entries = [Entry(*_decoded(record)) for record in sorted(timeline, key=lambda one: (one.partition, one.offset))]
    lives: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        lives[entry.bill].append(entry)
    spans = [CountedLoss(loss, _certain_from(loss, entries)) for loss in sorted(losses, key=lambda one: one.offset)]
    return [
        *_notices_differ(entries, party_records, gone),
        *(
            fault
            for bill in lives.values()
            for fault in (*_numbers_differ(bill), *_statuses_differ(bill, rules, roster, spans))
        ),
    ]


class Loss(NamedTuple):
    """Input that a task went on without."""

    judged: LostInput
    offset: int
    """The offset of its record in the registry."""


def losses_in(registry: Iterable[Record], state: Iterable[Record]) -> list[Loss]:
    """The losses in the tasks' positions, from all records of `snp.registry` and of `snp.bills`."""
    positions: dict[bytes, Position] = {}
    for record in state:
        if record.key.startswith(topics.POSITION_KEY) and record.value is not None:
            positions[record.key] = POSITION.decode(record.value)
    accepted = {one for position in positions.values() for one in position.lost}
    judged = [(codec.decode_value(one.value), one.offset) for one in registry if one.value is not None]
    return [Loss(value, offset) for value, offset in judged if isinstance(value, LostInput) and value in accepted]


class CountedLoss(NamedTuple):
    loss: Loss
    certain_from: float
    """Place in the timeline of the first entry that was certainly decided without the lost records."""


class Entry(NamedTuple):
    record: Record
    fields: dict[str, Any]

    @property
    def bill(self) -> str:
        bill: str = self.fields["bill"]
        return bill

    def __str__(self) -> str:
        return f"{self.bill}, decision {self.fields['sequence']} ({self.fields['cause']})"


class Named(NamedTuple):
    """A notice as the timeline names it."""

    place: int
    """Of its entry; entries of one bill are in one partition, in the order decided."""
    entry: Entry
    recipient: str
    kind: str


def _notices_differ(entries: list[Entry], party_records: Sequence[Record], gone: Gone) -> Iterator[str]:
    named: dict[str, Named] = {}
    for place, entry in enumerate(entries):
        for one in entry.fields["notified"]:
            number = notice_id(entry.fields["decision_id"], one["recipient"])
            if number in named:
                yield f"{entry}: notice {number} is named twice"
            named[number] = Named(place, entry, one["recipient"], one["kind"])
    seen: Counter[str] = Counter()
    last: dict[tuple[str, bytes], int] = {}
    for record in sorted(party_records, key=lambda one: (one.topic, one.partition, one.offset)):
        where = f"{record.topic}, offset {record.offset}"
        kind, fields = _decoded_notice(record)
        notice = named.get(fields.get("notice_id", ""))
        if notice is None:
            yield f"{where}: a notice that no entry of the timeline names"
            continue
        seen[fields["notice_id"]] += 1
        if seen[fields["notice_id"]] > 1:
            yield f"{where}: doubled, {notice.entry}"
            continue
        yield from _misplaced(record, where, kind, fields, notice)
        if last.get((record.topic, record.key), -1) > notice.place:
            yield f"{where}: {notice.entry} comes after a later decision on the bill"
        last[record.topic, record.key] = notice.place
    for number, notice in named.items():
        if not seen[number] and not gone(notice.entry.record, notice.recipient):
            yield f"{notice.entry}: the {notice.kind} for {notice.recipient} is missing from its topic"


def _misplaced(record: Record, where: str, kind: str, fields: dict[str, Any], notice: Named) -> Iterator[str]:
    if record.topic != party_topic(notice.recipient) or fields["recipient"] != notice.recipient:
        yield f"{where}: {notice.entry} is for {notice.recipient}"
    if record.key.decode() != notice.entry.bill:
        yield f"{where}: its key is not that of the bill, {notice.entry}"
    if kind != notice.kind or dict(record.headers).get("kind") != kind.encode():
        yield f"{where}: a {kind} where {notice.entry} says {notice.kind}"


def _numbers_differ(life: list[Entry]) -> Iterator[str]:
    for before, entry in pairwise(life):
        over = before.fields["cause"] == FORGOTTEN or before.fields["status"] == RECOVERED
        step = entry.fields["sequence"] - before.fields["sequence"]
        if step != 1 and not (over and step > 0):
            yield f"{entry}: the decision before it in the history is number {before.fields['sequence']}"


def _announcements_differ(life: list[Entry], rules: Rules) -> Iterator[str]:
    """Announces an outage anew. Of what came late the history has no record: only that it can't be over too early."""
    outages: Outages = {}
    for entry in life:
        value = codec.decode_value(entry.fields["input"])
        after = outages
        if isinstance(value, Outage):
            after = with_outage(outages, value, 0)
        elif isinstance(value, OutageFilers):
            after = with_filers(outages, value)
        elif isinstance(value, PortProcedure):
            after = with_procedure(outages, value, rules.port_areas)
        elif isinstance(value, RegistryNote):
            after = without_recovered(outages, value.at, rules)
        said = [announcement.state for announcement in announcements(outages, after)]
        if isinstance(value, LostInput):
            said.append(lost_input_announcement(value).state)
        if said != [entry.fields["status"]]:
            yield f"{entry}: it announces {entry.fields['status']}, decided anew {said}"
        outages = after


def _certain_from(loss: Loss, entries: Iterable[Entry]) -> float:
    judged = loss.judged
    return min(
        (
            entry.record.offset
            for entry in entries
            if (entry.fields["input_topic"], entry.record.partition) == (judged.topic, judged.task)
            and loss.offset < entry.fields["registry_offset"]
            and entry.fields["input_offset"] >= judged.end >= judged.begin
        ),
        default=inf,
    )


def _may_count(entry: Entry, spans: Sequence[CountedLoss]) -> Iterator[tuple[LostInput, ...]]:
    """Losses that the task may have known when it decided, the fewest first. It knows of a loss some time after it has
    read the judgement, and before it reads what is left of the input."""
    of_task = [one for one in spans if one.loss.judged.task == entry.record.partition]
    known = [one for one in of_task if one.loss.offset < entry.fields["registry_offset"]]
    certain = sum(one.certain_from <= entry.record.offset for one in known)
    for count in range(certain, len(known) + 1):
        yield tuple(one.loss.judged for one in known[:count])


def _statuses_differ(
    life: list[Entry], rules: Rules, registry: Registry, spans: Sequence[CountedLoss]
) -> Iterator[str]:
    """Decides anew. Who is told isn't compared."""
    if not concerns_a_bill(life[0].bill) and not is_vessel_key(life[0].bill):
        yield from _announcements_differ(life, rules)
        return
    bill: AssessedBill | None = None
    ids: dict[str, str] = {}
    """Of events: as in the timeline, to what the replay (which has no secret) makes of them."""
    counted = 0
    for entry in life:
        fields = entry.fields
        if fields["cause"] == FORGOTTEN:
            bill, ids = None, {}
            continue
        for lost in _may_count(entry, spans):
            if len(lost) < counted:
                continue
            registry.lost = lost
            again = _decided_anew(bill, entry, ids, Context(registry, rules.at(fields["rules"])))
            if again.status == fields["status"]:
                break
        bill, counted = again.bill, len(registry.lost)
        if again.history is None and again.must_change:
            yield f"{entry}: decided anew, its input changes nothing"
        elif again.history is not None and fields["event_id"] is not None:
            ids[fields["event_id"]] = again.history.event_id or ""
        elif again.history is not None and fields["caused_by"] is not None:
            ids[fields["caused_by"]] = again.history.caused_by or ""
        if again.status != fields["status"]:
            yield f"{entry}: its status is {fields['status']}, decided anew it is {again.status}"
    registry.lost = tuple(one.loss.judged for one in spans if one.loss.judged.task == life[0].record.partition)
    if bill is not None and (status := _with_losses(bill, registry, rules).status.status) != bill.status.status:
        yield f"{life[-1]}: its status is {bill.status.status}, with what its task has lost it is {status}"


class DecidedAnew(NamedTuple):
    bill: AssessedBill | None
    history: HistoryEntry | None
    must_change: bool
    """True if its input is in the history for having changed the bill."""

    @property
    def status(self) -> str | None:
        return self.bill.status.status if self.bill is not None else None


def _decided_anew(bill: AssessedBill | None, entry: Entry, ids: dict[str, str], context: Context) -> DecidedAnew:
    if entry.fields["input"] is None:
        seen = _with_losses(bill, context.registry, context.rules) if bill is not None else None
        return DecidedAnew(seen, None, False)
    record = _renamed(_input(entry), ids)
    try:
        decision = decide(bill, record, context)
    except Exception as error:  # noqa: BLE001 - as the router does: what raises must stop its bill
        decision = decide(bill, failed_decision_letter(record, error), context)
    # All that an answer to a refiling may do is bid somebody farewell, and the replay knows nobody.
    return DecidedAnew(decision.bill, decision.history, not isinstance(record, RefilingAnswer))


def _with_losses(bill: AssessedBill, registry: Registry, rules: Rules) -> AssessedBill:
    state = with_lost_input(bill.state, registry)
    return bill if state is bill.state else assess_bill(state, rules)


def _input(entry: Entry) -> BillRecord:
    """The record decided on. What can't be decoded is what the router made of it: a dead letter."""
    value = entry.fields["input"]
    try:
        record: BillRecord = codec.decode_value(value)
        return record
    except InputError as error:
        source = entry.record._replace(
            topic=entry.fields["input_topic"], offset=entry.fields["input_offset"], key=entry.bill.encode(), value=value
        )
        return foreign_letter(source, str(error))


def _renamed(record: BillRecord, ids: dict[str, str]) -> BillRecord:
    if not isinstance(record, Confirmation):
        return record
    return record._replace(covers=tuple(ids.get(covered, covered) for covered in record.covers))


def _decoded(record: Record) -> tuple[Record, dict[str, Any]]:
    return record, timeline_fields(record.value or b"")


def _decoded_notice(record: Record) -> tuple[str, dict[str, Any]]:
    try:
        return codec.decode(record.value or b"")
    except InputError as error:
        return "unreadable", {"error": str(error)}


def describe(faults: Iterable[str]) -> str:
    """For an assertion's message."""
    return "\n".join(faults)
