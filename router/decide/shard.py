"""A task's state in memory, and what each record does to it: `(state, record) -> (state, outputs)`, for one partition.

Pure in the sense that matters: no clock, no I/O. What a transaction changed lies in an overlay until the log has it:
`committed()` keeps it, `abandon()` forgets it, so a decision that could not be written can be made again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any, Final

from router import codec, topics
from router.clock import DAY
from router.decide.announcing import decision_on, feed_status
from router.decide.bill import Context, decide
from router.decide.bills import Bills
from router.decide.certification import CERTIFYING, begins, sample_outputs
from router.decide.conclude import Decision, conclude
from router.decide.dead_letters import foreign_letter, names_a_bill, undecidable_letter
from router.decide.entered import Entered
from router.decide.index import Index
from router.decide.keys import BillRecord, key_of
from router.decide.notice import CATCH_UP
from router.decide.outages import Announcement, announcements, still_watched, watched_of
from router.decide.outputs import Origin, index_state_output, letter_output, outputs_of
from router.decide.registry import Registry
from router.decide.resync import Resyncs, resync, running_of
from router.decide.rules import Rules
from router.decide.state import BillState
from router.decide.status import OVER
from router.decide.stored import decode_state, encode_state
from router.decide.walk import Walk
from router.errors import InputError
from router.log.interface import Output, Record
from router.model.facts import IndexFact
from router.model.inputs import DeadLetter, Disposition
from router.model.registry import Heard, Outage, Party, RegistryNote, RegistryValue, Request, RequestDone, Sailing

TICK: Final = "tick"

HOT_BILLS: Final = 20_000
"""Decoded states kept at hand; the rest lie as bytes, about a third of the memory."""


class Shard:
    def __init__(self, rules: Rules, partition: int, tasks: int) -> None:
        """`tasks`: how many there are."""
        self.rules = rules
        self.partition = partition
        self.registry = Registry()
        self._context = Context(self.registry, rules)
        self.position: dict[str, int] = {}
        self.walk = Walk()
        self.sweep = Walk()
        self.certifying: frozenset[str] = frozenset()
        """Parties that were sent their samples and are not live yet. Known to task 0, which sends them."""
        self.resyncs = Resyncs(partition, tasks)
        self._bills = Bills()
        self._hot: OrderedDict[str, BillState] = OrderedDict()
        self._index = Index()
        self._outputs: list[Output] = []
        self._due: list[tuple[Announcement, Origin]] = []
        self._registry_drained = True
        """Whether this transaction read nothing of the registry: then all of it that was there was read before."""
        self._changed_bills: dict[str, BillState | None] = {}
        self._committed_position: dict[str, int] = {}
        self._committed_walks = (self.walk.place, self.sweep.place)
        self._committed_certifying = self.certifying
        self._committed_standing = (self.registry.now, self.registry.outages, self.resyncs.running)
        self._encoded: dict[str, bytes | None] = {}
        self.tally: Counter[str] = Counter()
        """What the transaction under way does: `events`, `repeated`, `hold`, `change`, `release`, `dead letters`."""

    @property
    def bill_count(self) -> int:
        return len(self._bills)

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
        elif record.value is None:
            self._bills.drop(record.key.decode())
        else:
            self._bills[record.key.decode()] = record.value

    def _load_position(self, datum: codec.Datum) -> None:
        self.position = dict(datum["offsets"])
        self.walk = Walk(datum["walk_epoch"], datum["walk_cursor"])
        self.sweep = Walk(datum["sweep_day"], datum["sweep_cursor"])
        self.certifying = frozenset(datum["certifying"])
        self.registry.now = datum["now"]
        self.registry.outages = {one["outage"]["id"]: watched_of(one) for one in datum["outages"]}
        self.resyncs.restore(tuple(running_of(one) for one in datum["resyncs"]))
        self._mark_committed()

    def load_registry(self, record: Record) -> None:
        """Take in a registry record from before the position: it was acted on already. Outages and requests are in the
        position itself."""
        value = _registry_value(record.value) if record.value is not None else None
        if isinstance(value, Outage):
            self.registry.remember(value)
        elif isinstance(value, Party | Sailing | RegistryNote | Heard):
            self.registry.apply(value, record.offset)

    # Deciding

    def process(self, record: Record) -> None:
        """Apply one input record; what it puts out waits for `take_outputs`. Never raises for what a record says."""
        self.position[record.topic] = record.offset + 1
        if record.value is None:
            if record.topic == topics.REGISTRY:
                self.resyncs.forget(record.key)
            return
        try:
            value = codec.decode_value(record.value)
        except InputError as error:
            value = foreign_letter(record, str(error))
        if isinstance(value, Disposition):  # as most are: the others take longer to tell apart
            self._bill(value, record)
        elif isinstance(value, RegistryValue):
            self._registry_drained = False
            self._registry(value, record)
        elif isinstance(value, IndexFact):
            self._index.enter(value)
        else:
            self._bill(value, record)

    def _registry(self, value: RegistryValue, record: Record) -> None:
        if isinstance(value, Request):
            self._outputs.extend(self.resyncs.ask(value, self.registry))
        elif isinstance(value, RequestDone):
            self._outputs.extend(self.resyncs.hear(value))
        elif isinstance(value, Heard):
            self.registry.apply(value)
        else:
            before = self.registry.outages
            self.registry.apply(value, record.offset)
            if isinstance(value, RegistryNote) and value.kind == TICK:
                self.registry.outages = still_watched(before, self.registry.now, self.rules)
            if self.partition == 0 and self.registry.outages is not before:
                origin = self._origin(record, None)
                self._due += [(one, origin) for one in announcements(before, self.registry.outages)]
            if self.partition == 0:
                self._certify(value, record.offset)
            self._begin_walks()

    def _begin_walks(self) -> None:
        if self.registry.epoch > self.walk.goal:
            self.walk = Walk(self.registry.epoch, "")
        if self.registry.now // DAY > self.sweep.goal and self.sweep.cursor is None:
            self.sweep = Walk(self.registry.now // DAY, "")

    def _certify(self, value: object, offset: int) -> None:
        """A party that becomes `certifying` gets its samples, once."""
        if (party := begins(self.certifying, value, self.registry)) is not None:
            self._outputs.extend(output for _, output in sample_outputs(party.scac, offset))
        if isinstance(value, Party):
            others = self.certifying - {value.scac}
            self.certifying = others | {value.scac} if value.status == CERTIFYING else others

    def _announce(self) -> None:
        """With the registry as it is behind all that the transaction read of it: so that a transaction that is decided
        again says the same."""
        for announcement, origin in self._due:
            if announcement.watched.outage.carrier is None:
                self._outputs.append(feed_status(announcement, self.registry.now))
            decision = decision_on(announcement, self.registry)
            assert decision.state is not None
            self._outputs.extend(outputs_of(decision.state.key, decision, origin, self.rules))
            self.tally.update(notice.kind for notice in decision.notices)
        self._due = []

    def _bill(self, value: BillRecord, record: Record) -> None:
        if isinstance(value, DeadLetter) and not names_a_bill(value):
            self._outputs.append(letter_output(value))
            return
        key = key_of(value)
        try:
            decision = decide(self.state(key), value, self._context)
            self._keep(key, decision, self._origin(record, value))
            if isinstance(value, Disposition):
                self._count(record, decision)
        except Exception as error:  # whatever a decision raises must stop its bill, and nothing else
            if isinstance(value, DeadLetter):
                raise
            self._bill(undecidable_letter(value, error), record)

    def _keep(self, key: str, decision: Decision, origin: Origin) -> None:
        outputs = list(outputs_of(key, decision, origin, self.rules))
        self._outputs.extend(outputs)
        for notice in decision.notices:
            self.tally[notice.kind] += 1
        if decision.letters:
            self.tally["dead letters"] += len(decision.letters)
        if decision.entered is not None:
            self._changed_bills[key] = decision.state

    def _count(self, record: Record, decision: Decision) -> None:
        """The second copy of an urgent event is no repetition of CBP's."""
        if decision.entered is not None and not decision.entered.repeated:
            self.tally["events"] += 1
        elif not (record.topic == topics.DISPOSITIONS and record.headers):
            self.tally["repeated"] += 1

    def _origin(self, record: Record, value: Any) -> Origin:
        at = getattr(value, "received_at", None) or self.registry.now
        source = getattr(value, "source", None)
        return Origin(record.topic, record.offset, record.value, at, self.position.get(topics.REGISTRY, 0), source)

    def _answer(self) -> None:
        """What follows for bills from all that bills said to the index in this transaction."""
        entries, links = self._index.answers()
        self._outputs.extend(index_state_output(fact, answer) for fact, answer in entries)
        self._outputs.extend(Output(topics.LINKS, link.bill.encode(), codec.encode_value(link)) for link in links)

    # What goes on between records

    def step(self, limit: int) -> int:
        """Look at up to `limit` bills that a change of the registry, a new day or a request may concern; how many were
        looked at. Called once, after the transaction's records.

        Bounded, so that a live record never waits for a walk over all bills. A request is walked for only when the
        registry was read as far as it goes: its walk looks at each bill once.
        """
        self._announce()
        self._answer()
        looked = 0
        for walk, look in ((self.walk, self._refresh), (self.sweep, self._forget)):
            for key in walk.next(self._bills, limit - looked):
                look(key)
                looked += 1
        while self._registry_drained and self.resyncs.is_walking and looked < limit:
            scac, keys, done = self.resyncs.next(self._bills, limit - looked, self.registry.now)
            for key in keys:
                self._resync(key, scac)
            looked += len(keys)
            if done is not None:
                self._outputs.append(done)
        return looked

    @property
    def is_walking(self) -> bool:
        return self.walk.cursor is not None or self.sweep.cursor is not None or self.resyncs.is_walking

    def _refresh(self, key: str) -> None:
        """Who is new gets the status now, who has dropped out a last word. Nothing is written where nothing changed."""
        before = self.state(key)
        if before is None:
            return
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
        if state is None or not self._is_forgettable(state):
            return
        self._outputs.extend(
            Output(topics.INDEX, fact.key.encode(), codec.encode_value(fact._replace(present=False)))
            for fact in state.said.values()
        )
        if state.waiting:
            self._outputs.append(Output(topics.WAITING, key.encode(), None))
        forgotten = state.copy()
        forgotten.sequence += 1
        after = state.assess(self.rules)[1]
        farewell = Decision(forgotten, Entered(forgotten, "FORGOTTEN"), after, after)
        self._keep(key, farewell, self._walk_origin())
        self._changed_bills[key] = None

    def _is_forgettable(self, state: BillState) -> bool:
        quiet = self.registry.now - state.touched if state.touched else 0  # 0: from before the first tick of all
        if quiet >= self.rules.forget_silent_after_days * DAY:
            return True
        over = state.assess(self.rules)[1].status in OVER
        return over and quiet >= self.rules.forget_after_days * DAY

    def _walk_origin(self) -> Origin:
        offset = self.position.get(topics.REGISTRY, 0)
        return Origin(topics.REGISTRY, offset - 1, None, self.registry.now, offset)

    # The transaction

    def state(self, key: str) -> BillState | None:
        """The bill's state as of now, uncommitted changes included."""
        if key in self._changed_bills:
            return self._changed_bills[key]
        state = self._hot.get(key)
        if state is not None:
            self._hot.move_to_end(key)
            return state
        value = self._bills.get(key)
        if value is None:
            return None
        state = self._hot[key] = decode_state(value)
        if len(self._hot) > HOT_BILLS:
            self._hot.popitem(last=False)
        return state

    @property
    def outputs_waiting(self) -> int:
        """So many records, or a few more, is the transaction to write by now, beside the bills' states."""
        return len(self._outputs) + self._index.concerned

    def take_outputs(self) -> list[Output]:
        """Everything the transaction is to write: outputs in the order decided, then states, then the position."""
        states = {key: None if state is None else encode_state(state) for key, state in self._changed_bills.items()}
        self._encoded = states
        outputs = [*self._outputs, *(Output(topics.BILLS, key.encode(), value) for key, value in states.items())]
        position_key = topics.POSITION_KEY + str(self.partition).encode()
        outputs.append(Output(topics.BILLS, position_key, self._encode_position()))
        return outputs

    def _encode_position(self) -> bytes:
        return codec.encode(
            "position",
            {
                "offsets": self.position,
                "walk_epoch": self.walk.goal,
                "walk_cursor": self.walk.cursor,
                "sweep_day": self.sweep.goal,
                "sweep_cursor": self.sweep.cursor,
                "certifying": sorted(self.certifying),
                "now": self.registry.now,
                "outages": tuple(self.registry.outages.values()),
                "resyncs": self.resyncs.running,
            },
        )

    def committed(self) -> None:
        for key, value in self._encoded.items():
            state = self._changed_bills[key]
            if state is None or value is None:
                self._bills.drop(key)
                self._hot.pop(key, None)
            else:
                self._bills[key] = value
                self._hot[key] = state
        self._index.committed()
        self._mark_committed()
        self._clear()

    def _mark_committed(self) -> None:
        self._committed_position = dict(self.position)
        self._committed_walks = (self.walk.place, self.sweep.place)
        self._committed_certifying = self.certifying
        self._committed_standing = (self.registry.now, self.registry.outages, self.resyncs.running)

    def abandon(self) -> None:
        """Forget what the transaction changed. Of the registry parties and sailings stay: what it was told of them
        holds whoever hears it twice."""
        self.position = dict(self._committed_position)
        self.registry.now, self.registry.outages, running = self._committed_standing
        self.resyncs.restore(running)
        self.walk, self.sweep = (Walk(*place) for place in self._committed_walks)
        self.certifying = self._committed_certifying
        self._index.abandon()
        self._clear()

    def _clear(self) -> None:
        self._outputs = []
        self._due = []
        self._registry_drained = True
        self._changed_bills = {}
        self._encoded = {}
        self.tally = Counter()


def _registry_value(value: bytes) -> RegistryValue:
    decoded = codec.decode_value(value)
    if not isinstance(decoded, RegistryValue):
        raise InputError("a record that is no registry record stands in the registry")
    return decoded
