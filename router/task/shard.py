"""A task's state in memory, and what each record does to it: `(state, record) -> (state, outputs)`, for one partition.

Pure in the sense that matters: no clock, no I/O. What a transaction changed lies in an overlay until the log has it:
`committed()` keeps it, `abandon()` forgets it, so a decision that could not be written can be made again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from router import codec, topics
from router.decide.bill import decide
from router.decide.bill_state import BillState
from router.decide.cargo_facts import FromPeople, set_right
from router.decide.consequences import Decision, conclude
from router.decide.dead_letters import (
    KEYED_BY_BILL,
    foreign_letter,
    names_a_bill,
    overlooked_letter,
    undecidable_letter,
)
from router.decide.identity import BillRecord, key_of
from router.decide.notices import CATCH_UP, Entered
from router.decide.registry import Context
from router.decide.rules import Rules
from router.errors import InputError
from router.log.interface import Output, Record, partition_of
from router.model.identifiers import is_bill_key, is_vessel_key
from router.model.inputs import DeadLetter, Disposition
from router.model.links import IndexFact
from router.model.registry_values import RegistryValue
from router.model.vocabulary import Tally
from router.task.bill_table import BillStates
from router.task.box_index import BoxIndex
from router.task.input_records import LARGEST_LETTER, value_of
from router.task.outputs import Origin, index_state_output, letter_output, outputs_of
from router.task.registry_duties import RegistryDuties
from router.task.walks import forgotten, is_forgettable, on_record, resync, withdrawals


class Shard:
    def __init__(self, rules: Rules, partition: int, tasks: int) -> None:
        """`tasks`: how many there are."""
        self.rules = rules
        self.partition = partition
        self._tasks = tasks
        self.registry_duties = RegistryDuties(rules, partition, tasks)
        self.registry = self.registry_duties.registry
        self._context = Context(self.registry, rules)
        self.position: dict[str, int] = {}
        self._states = BillStates()
        self._index = BoxIndex()
        self._outputs: list[Output] = []
        self._committed_position: dict[str, int] = {}
        self.tally = Tally()
        """What the transaction under way does: `events`, `repeated`, `hold`, `change`, `release`, `dead letters`."""

    @property
    def bill_count(self) -> int:
        return len(self._states.stored)

    # Restoring

    def load(self, record: Record) -> None:
        """Take in one record of `snp.bills` or `snp.index-state`, as restored."""
        if record.topic == topics.BILLS:
            self._load_bill(record)
        else:
            self._index.load(record)

    def _load_bill(self, record: Record) -> None:
        if record.key.startswith(topics.POSITION_KEY):
            if record.value is not None:
                self._load_position(codec.decode(record.value)[1])
        else:
            self._states.load(record.key.decode(), record.value)

    def _load_position(self, datum: codec.Datum) -> None:
        self.position = dict(datum["offsets"])
        self.registry_duties.restore(datum)
        self._committed_position = dict(self.position)

    def load_registry(self, record: Record) -> None:
        """Take in a registry record from before the position: it was acted on already."""
        self.registry_duties.load(record)

    # Deciding

    def process(self, record: Record) -> None:
        """Apply one input record; what it puts out waits for `take_outputs`. Never raises for what a record says."""
        self.position[record.topic] = record.offset + 1
        try:
            value = value_of(record)
        except InputError as error:
            value = foreign_letter(record, error.reason)
        if isinstance(value, Disposition):  # as most are: the others take longer to tell apart
            self._bill(value, record)
        elif isinstance(value, RegistryValue):
            self._outputs.extend(self.registry_duties.hear(value, self._origin(record, None)))
        elif isinstance(value, IndexFact):
            self._index.enter(value)
        elif isinstance(value, FromPeople) and (earlier := set_right(value, self.registry.now)):
            self._bill(earlier, record._replace(value=codec.encode_value(earlier)))  # for the history, as decided
        elif value is not None:
            self._bill(value, record)
        elif record.topic == topics.REGISTRY:
            self.registry_duties.resyncs.forget(record.key)

    def _announce(self) -> None:
        for said, decision, origin in self.registry_duties.announce():
            assert decision.state is not None
            self._outputs += (*said, *outputs_of(decision.state.key, decision, origin, self.rules))
            self.tally.update(notice.kind for notice in decision.notices)

    def _bill(self, value: BillRecord, record: Record) -> None:
        if isinstance(value, DeadLetter) and not names_a_bill(value):
            self._outputs.append(letter_output(value))
            return
        key = key_of(value)
        if not (is_bill_key(key) or is_vessel_key(key)):
            letter = foreign_letter(record, f"what it is about, {key[:60]!r}, is no bill")
            self._outputs.append(letter_output(letter._replace(scac=None, bill_of_lading=None)))
            return
        if record.topic in KEYED_BY_BILL and partition_of(key.encode(), self._tasks) != self.partition:
            # fed in by a program that deals out keys in its own way: two tasks would each know half of the bill
            self._outputs.append(Output(topics.LINKS, key.encode(), codec.encode_value(value), record.headers))
            return
        try:
            decision = decide(self.state(key), value, self._context)
            self._keep(key, decision, self._origin(record, value))
            if isinstance(value, Disposition):
                self._count(record, decision)
        except Exception as error:  # noqa: BLE001 - whatever a decision raises must stop its bill, and nothing else
            if isinstance(value, DeadLetter):  # the bill can't even be stopped: all others go on
                self._outputs.append(letter_output(value))
            else:
                self._bill(undecidable_letter(value, error), record)

    def _keep(self, key: str, decision: Decision, origin: Origin) -> None:
        outputs = list(outputs_of(key, decision, origin, self.rules))
        self._outputs.extend(outputs)
        for notice in decision.notices:
            self.tally[notice.kind] += 1
        if decision.letters:
            self.tally["dead letters"] += len(decision.letters)
        if decision.entered is not None:
            self._states.put(key, decision.state)

    def _count(self, record: Record, decision: Decision) -> None:
        """The second copy of an urgent event is no repetition of CBP's."""
        if decision.entered is not None and not decision.entered.repeated:
            self.tally["events"] += 1
        elif not (record.topic == topics.DISPOSITIONS and record.headers):
            self.tally["repeated"] += 1

    def _origin(self, record: Record, value: Any) -> Origin:
        at = getattr(value, "received_at", None) or self.registry.now
        source = getattr(value, "source", None)
        given = record.value if len(record.value or b"") <= LARGEST_LETTER else None
        return Origin(record.topic, record.offset, given, at, self.position.get(topics.REGISTRY, 0), source)

    def _answer(self) -> None:
        """What follows for bills from all that bills said to the index in this transaction."""
        entries, links = self._index.answers()
        self._outputs.extend(index_state_output(fact, answer) for fact, answer in entries)
        self._outputs.extend(Output(topics.LINKS, link.bill.encode(), codec.encode_value(link)) for link in links)

    # What goes on between records

    def step(self, limit: int) -> int:
        """Look at up to `limit` bills that a change of the registry, a new day or a request may concern; how many were
        looked at. Called once, after the transaction's records.

        Bounded, so that a live record never waits for a walk over all bills.
        """
        self._announce()
        self._answer()
        looked = 0
        for walk, look in ((self.registry_duties.walk, self._refresh), (self.registry_duties.sweep, self._forget)):
            for key in walk.next(self._states.stored, limit - looked):
                self._look(key, look)
                looked += 1
        while self.registry_duties.may_resync and looked < limit:
            scac, keys, done = self.registry_duties.resyncs.next(self._states.stored, limit - looked, self.registry.now)
            for key in keys:
                self._look(key, partial(self._resync, scac=scac))
            looked += len(keys)
            if done is not None:
                self._outputs.append(done)
        return looked

    @property
    def is_walking(self) -> bool:
        return self.registry_duties.is_walking

    def _look(self, key: str, look: Callable[[str], None]) -> None:
        try:
            look(key)
        except Exception as error:  # noqa: BLE001 - one bill must not stop the walk over all others
            self._outputs.append(letter_output(overlooked_letter(key, error)))

    def _refresh(self, key: str) -> None:
        """Who is new gets the status now, who has dropped out a last word. Nothing is written where nothing changed."""
        before = self.state(key)
        if before is None:
            return
        before.assess(self.rules)  # before it is copied, so that the copy goes on from its account
        decision = conclude(before, Entered(before.copy(), CATCH_UP), self.registry, self.rules)
        if decision.notices or decision.facts or decision.waiting_changed:
            self._keep(key, decision, self._walk_origin())

    def _resync(self, key: str, scac: str) -> None:
        before = self.state(key)
        decision = resync(before, scac, self.registry, self.rules) if before is not None else None
        if decision is not None:
            self._keep(key, decision, self._walk_origin())

    def _forget(self, key: str) -> None:
        state = self.state(key)
        if state is None or not is_forgettable(state, self.registry.elapsed, self.rules):
            return
        self._outputs += (*withdrawals(state), *on_record(state, self.registry.now, self.rules))
        self._keep(key, forgotten(state, self.rules), self._walk_origin())
        self._states.put(key, None)

    def _walk_origin(self) -> Origin:
        offset = self.position.get(topics.REGISTRY, 0)
        return Origin(topics.REGISTRY, offset - 1, None, self.registry.now, offset)

    # The transaction

    def state(self, key: str) -> BillState | None:
        """The bill's state as of now, uncommitted changes included."""
        return self._states.get(key)

    @property
    def outputs_waiting(self) -> int:
        """So many records, or a few more, is the transaction to write by now, beside the bills' states."""
        return len(self._outputs) + self._index.concerned

    def take_outputs(self) -> list[Output]:
        """Everything the transaction is to write: outputs in the order decided, then states, then the position."""
        states = (Output(topics.BILLS, key.encode(), value) for key, value in self._states.changes().items())
        outputs = [*self._outputs, *states]
        position_key = topics.POSITION_KEY + str(self.partition).encode()
        outputs.append(Output(topics.BILLS, position_key, self._encode_position()))
        return outputs

    def _encode_position(self) -> bytes:
        return codec.encode("position", {"offsets": self.position, **self.registry_duties.for_position()})

    def committed(self) -> None:
        self._states.committed()
        self._index.committed()
        self._committed_position = dict(self.position)
        self.registry_duties.committed()
        self._clear()

    def abandon(self) -> None:
        """Forget what the transaction changed; of the registry not what parties and sailings there are."""
        self.position = dict(self._committed_position)
        self.registry_duties.abandon()
        self._states.abandon()
        self._index.abandon()
        self._clear()

    def _clear(self) -> None:
        self._outputs = []
        self.tally = Tally()
