"""A task's state in memory, and the effect of each input record on it, for one partition.

Neither clock nor I/O is used. The changes of a transaction are separate until the log has them: `commit` keeps them and
`abandon` drops them, so that a decision that could not be written can be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from router import codec, topics
from router.decide.bill import decide, with_lost_input
from router.decide.bill_state import AssessedBill
from router.decide.cargo_facts import EnteredByPeople, capped_at_tick
from router.decide.consequences import Decision, conclude
from router.decide.dead_letters import failed_decision_letter, failed_walk_letter
from router.decide.identity import BillRecord, key_of
from router.decide.notices import CATCH_UP, AppliedRecord
from router.decide.registry import Context
from router.decide.rules import Rules
from router.errors import FatalLogError, InputError, InputLost
from router.log.interface import Output, Record, partition_of
from router.model.identifiers import is_bill_key, is_vessel_key
from router.model.inputs import DeadLetter, Disposition
from router.model.links import IndexFact
from router.model.registry_values import LostInput, RegistryValue
from router.model.vocabulary import Tally
from router.task.bill_table import Bills
from router.task.box_index import BoxIndex
from router.task.chains import Chains
from router.task.input_records import (
    KEYED_BY_BILL,
    LARGEST_LETTER,
    dated_at_tick,
    foreign_letter,
    is_first_copy,
    is_second_copy,
    value_of,
)
from router.task.outputs import Origin, index_entry_output, letter_output, outputs_of
from router.task.registry_duties import POSITION, RegistryDuties
from router.task.walks import forgetting_outputs, forgotten, is_forgettable, resync

NOT_URGENT: Final = "one that frees would overtake earlier holds. It counts once it is on cbp.dispositions"


class Shard:
    def __init__(self, rules: Rules, partition: int, tasks: int) -> None:
        """`rules` are in force until the registry has its first. `tasks` is the number of all tasks."""
        self.partition = partition
        self._tasks = tasks
        self.registry_duties = RegistryDuties(rules, partition, tasks)
        self.registry = self.registry_duties.registry
        self.position: dict[str, int] = {}
        """Next offset of each input topic."""
        self._read_at: dict[str, int] = {}
        """Time of the last record read of each input topic, UTC milliseconds. For people, so it is never undone."""
        self._bills = Bills()
        self._index = BoxIndex()
        self._chains = Chains()
        self._outputs: list[Output] = []
        self._committed_position: dict[str, int] = {}
        self._counted_early = self._committed_counted_early = 0
        """See `Position.counted_early`."""
        self.tally = Tally()
        """Counts of the transaction under way: `events`, `duplicates`, `hold`, `change`, `release`, `dead letters`."""

    @property
    def rules(self) -> Rules:
        """The rules in force at this place in the registry."""
        return self.registry_duties.rules

    @property
    def bill_count(self) -> int:
        return len(self._bills.stored)

    # Restoring

    def load(self, record: Record) -> None:
        """Enter a restored record of `snp.bills` or `snp.index-state`. Raises InputError for an invalid position,
        FatalLogError for a record that can't be read: a state without it could release what it holds."""
        if record.fault is not None:
            raise FatalLogError(
                f"{record.place}: the state can't be read: {record.fault}. Another program wrote it, or a disk is "
                "damaged: restore the topic from a backup, or begin with empty topics"
            )
        if record.topic != topics.BILLS:
            self._index.load(record)
        elif not record.key.startswith(topics.POSITION_KEY):
            if partition_of(record.key, self._tasks) != self.partition:
                raise FatalLogError(
                    f"{record.place}: the bill {record.key.decode(errors='replace')[:60]} does not belong in this "
                    f"partition of {self._tasks}: the topics were given more partitions, or another program wrote it. "
                    "See More partitions in the runbook"
                )
            self._bills.load(record.key.decode(), record.value)
        elif record.value is not None:
            position = POSITION.decode(record.value)
            self.position = dict(position.offsets)
            self._read_at = dict(position.read_at)
            self.registry_duties.restore(position)
            self._chains.restore(position.heads)
            self._counted_early = self._committed_counted_early = position.counted_early
            self._committed_position = dict(self.position)

    def load_registry(self, record: Record) -> None:
        """Enter a registry record from before the position, without acting on it again."""
        self.registry_duties.load(record)

    def begin_at(self, offsets: Mapping[str, int]) -> None:
        """Begin without a position, so that the first one names every input: what is deleted of one that had no record
        by then is missed."""
        self.position = dict(offsets)
        self._committed_position = dict(offsets)

    # Deciding

    def process(self, record: Record) -> None:
        """Apply one input record; its outputs wait for `take_outputs`. Never raises for a record's content."""
        record = dated_at_tick(record, self.registry.now)
        self.position[record.topic] = record.offset + 1
        self._read_at[record.topic] = record.timestamp
        value: Any
        try:
            value = value_of(record)
        except InputError as error:
            value = foreign_letter(record, error.reason)
        if isinstance(value, Disposition):  # most are; telling the others apart takes longer
            self._decide(value, record)
        elif isinstance(value, RegistryValue):
            self._outputs.extend(self.registry_duties.apply(value, self._origin(record, None)))
        elif isinstance(value, IndexFact):
            self._index.enter(value)
        elif isinstance(value, EnteredByPeople) and (capped := capped_at_tick(value, self.registry.now)):
            self._decide(capped, record._replace(value=codec.encode_value(capped)))  # for the history, as decided
        elif value is not None:
            self._decide(value, record)
        elif record.topic == topics.REGISTRY:
            self.registry_duties.resyncs.forget(record.key)

    def judgement_of(self, lost: InputLost) -> LostInput | None:
        """An operator's judgement of exactly this loss, unless it was used for an earlier one."""
        for judged in self.registry.judged.values():
            gap = (judged.topic, judged.task, judged.begin, judged.end)
            if gap == (lost.topic, lost.partition, lost.begin, lost.end) and judged not in self.registry.lost:
                return judged
        return None

    def go_on_without(self, lost: LostInput) -> None:
        """Go on behind records of an input that were deleted before they were read. The position says so from the next
        commit on; each bill that may lack one of them hears of it in a walk."""
        self.position[lost.topic] = lost.end
        self.registry_duties.go_on_without(lost)

    def _decide(self, value: BillRecord, record: Record) -> None:
        if isinstance(value, DeadLetter) and (value.scac is None or value.bill_of_lading is None):
            self._put_aside(value)
            return
        key = key_of(value)
        if not (is_bill_key(key) or is_vessel_key(key)):
            self._decide(foreign_letter(record, f"it names {key[:60]!r}, which is no bill"), record)
            return
        if record.topic == topics.URGENT and isinstance(value, Disposition) and not self.rules.codes.is_urgent(value):
            letter = foreign_letter(record, f"only events that stop belong on {topics.URGENT}: {NOT_URGENT}")
            self._put_aside(letter._replace(scac=None, bill_of_lading=None))
            return
        if record.topic in KEYED_BY_BILL and partition_of(key.encode(), self._tasks) != self.partition:
            # written by a program with another partitioner: two tasks would each know half of the bill
            self._outputs.append(Output(topics.LINKS, key.encode(), codec.encode_value(value), record.headers))
            return
        try:
            decision = decide(self.bill(key), value, Context(self.registry, self.rules))
            self._keep(key, decision, self._origin(record, value))
            if isinstance(value, Disposition):
                self._count(record, decision)
        except Exception as error:  # noqa: BLE001 - a failed decision must stop its bill, and nothing else
            if isinstance(value, DeadLetter):  # the bill can't even be stopped; all others go on
                self._put_aside(value)
            else:
                self._decide(failed_decision_letter(value, error), record)

    def _put_aside(self, letter: DeadLetter) -> None:
        """Write a dead letter that stops no bill."""
        self._outputs.append(letter_output(letter))
        self.tally["dead letters"] += 1

    def _keep(self, key: str, decision: Decision, origin: Origin) -> None:
        self._outputs += list(outputs_of(key, decision, origin))
        for notice in decision.notices:
            self.tally[notice.kind] += 1
        if decision.letters:
            self.tally["dead letters"] += len(decision.letters)
        if decision.history is not None:
            self._bills.put(key, decision.bill)
        if decision.bill is not None and self.registry_duties.filer_searches.running:
            self.registry_duties.filer_searches.note(decision.bill, self.registry)

    def _count(self, record: Record, decision: Decision) -> None:
        """Count an event or a duplicate. Of an urgent event's two copies one is no duplicate of CBP's, in whichever
        order they are read."""
        if decision.history is not None and not decision.history.duplicate:
            self.tally["events"] += 1
            self._counted_early += is_second_copy(record)
        elif is_first_copy(record) and self._counted_early:
            self._counted_early -= 1
        elif not is_second_copy(record):
            self.tally["duplicates"] += 1

    def _origin(self, record: Record, value: Any) -> Origin:
        at = getattr(value, "received_at", None) or self.registry.now
        source = getattr(value, "source", None)
        kept = record.value if len(record.value or b"") <= LARGEST_LETTER else None
        return Origin(record.topic, record.offset, kept, at, self.position.get(topics.REGISTRY, 0), source)

    # Between records

    def step(self, limit: int) -> int:
        """Announce, answer the index, and visit at most `limit` bills of walks. Returns the number of bills visited.

        Called once, after the transaction's records. The bound keeps live records from waiting for a walk.
        """
        self._announce()
        self._answer()
        visited = 0
        for walk, visit in ((self.registry_duties.walk, self._review), (self.registry_duties.sweep, self._forget)):
            for key in walk.next(self._bills.stored, limit - visited):
                self._visit(key, visit)
                visited += 1
        searches = self.registry_duties.filer_searches
        while searches.is_walking and visited < limit:
            keys = searches.next(self._bills.stored, limit - visited)
            for key in keys:
                self._visit(key, self._search)
            visited += len(keys)
        self._outputs += searches.reports(self.registry.now)
        while self.registry_duties.may_resync and visited < limit:
            resyncs = self.registry_duties.resyncs
            party_id, keys, done = resyncs.next(self._bills.stored, limit - visited, self.registry.now)
            for key in keys:
                self._visit(key, partial(self._resync, party_id=party_id))
            visited += len(keys)
            if done is not None:
                self._outputs.append(done)
        return visited

    def _announce(self) -> None:
        for public, decision, origin in self.registry_duties.announce():
            assert decision.history is not None
            self._outputs += (*public, *outputs_of(decision.history.bill, decision, origin))
            self.tally.update(notice.kind for notice in decision.notices)

    def _answer(self) -> None:
        """Write the index's answers to all facts of this transaction."""
        entries, links = self._index.answers()
        self._outputs.extend(index_entry_output(fact, answer) for fact, answer in entries)
        self._outputs.extend(Output(topics.LINKS, link.bill.encode(), codec.encode_value(link)) for link in links)

    @property
    def is_walking(self) -> bool:
        return self.registry_duties.is_walking

    def _visit(self, key: str, visit: Callable[[str], None]) -> None:
        try:
            visit(key)
        except Exception as error:  # noqa: BLE001 - one bill must not stop the walk over all others
            self._put_aside(failed_walk_letter(key, error))

    def _review(self, key: str) -> None:
        """New recipients get the status now, leaving ones a last notice. Nothing is written if nothing changed."""
        bill = self.bill(key)
        if bill is None:
            return
        state = with_lost_input(bill.state, self.registry)
        decision = conclude(bill, AppliedRecord(state, CATCH_UP), self.registry, self.rules)
        after = decision.bill.state if decision.bill is not None else state
        is_kept = after.sailing != bill.state.sailing or after.lost is not bill.state.lost
        is_kept = is_kept or after.index_losses != bill.state.index_losses
        if decision.notices or decision.facts or decision.waiting_changed or is_kept:
            self._keep(key, decision, self._walk_origin())

    def _resync(self, key: str, party_id: str) -> None:
        bill = self.bill(key)
        decision = resync(bill, party_id, self.registry, self.rules) if bill is not None else None
        if decision is not None:
            self._keep(key, decision, self._walk_origin())

    def _search(self, key: str) -> None:
        bill = self.bill(key)
        if bill is not None:
            self.registry_duties.filer_searches.note(bill, self.registry)

    def _forget(self, key: str) -> None:
        bill = self.bill(key)
        if bill is None or not is_forgettable(bill, self.registry.elapsed, self.rules):
            return
        self._outputs += forgetting_outputs(bill, self.registry.now, self.rules)
        self._keep(key, forgotten(bill, self.rules), self._walk_origin())

    def _walk_origin(self) -> Origin:
        offset = self.position.get(topics.REGISTRY, 0)
        return Origin(topics.REGISTRY, offset - 1, None, self.registry.now, offset)

    # The transaction

    def bill(self, key: str) -> AssessedBill | None:
        """The bill with uncommitted changes. Raises InputError if its stored state is invalid."""
        return self._bills.get(key, self.rules)

    @property
    def outputs_waiting(self) -> int:
        """Upper limit of the records that the transaction is to write by now, without the bills' states."""
        return len(self._outputs) + self._index.affected_bills

    def take_outputs(self, more: Iterable[Output] = ()) -> list[Output]:
        """Everything that the transaction writes: outputs in the order decided, `more`, states, the position."""
        states = (Output(topics.BILLS, key.encode(), value) for key, value in self._bills.encode_changes().items())
        outputs = list(self._chains.link((*self._outputs, *more)))
        position = self.registry_duties.position(self.position, self._read_at)
        encoded = POSITION.encode(position._replace(heads=self._chains.heads, counted_early=self._counted_early))
        return [*outputs, *states, Output(topics.BILLS, topics.position_key(self.partition), encoded)]

    def committed(self) -> None:
        """The outputs taken last are on the log."""
        self._bills.commit()
        self._index.commit()
        self._committed_position = dict(self.position)
        self.registry_duties.commit()
        self._chains.commit()
        self._committed_counted_early = self._counted_early
        self._clear()

    def abandon(self) -> None:
        """Drop the transaction's changes, except parties and sailings in the registry."""
        self.position = dict(self._committed_position)
        self.registry_duties.abandon()
        self._chains.abandon()
        self._bills.abandon()
        self._index.abandon()
        self._counted_early = self._committed_counted_early
        self._clear()

    def _clear(self) -> None:
        self._outputs = []
        self.tally = Tally()
