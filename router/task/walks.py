"""Passes over all bills of a task, a bounded number at a time.

Requests of parties that were down themselves: the status now of all their open bills, once.

The task of partition 0 alone says which request starts: it writes the record again with the time, or takes it away if
one of that party is running. So all tasks start the same ones, whatever compaction left of the registry. Each walks its
bills a bounded number at a time; when all have said that they are through, the records are taken away.

When a bill is forgotten, and what is said then: nothing is kept of a life that is over and quiet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from router import codec, topics
from router.decide.audience import audience_of
from router.decide.bill_state import BillState
from router.decide.consequences import Decision, conclude
from router.decide.notices import RESYNC, Entered
from router.decide.recipients import is_told_now
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.decide.status import OVER
from router.log.interface import Output
from router.model.eastern import DAY
from router.model.identifiers import concerns_a_bill
from router.model.registry_values import Request, RequestDone, registry_key
from router.task.bill_table import BillTable


class Walk:
    """A bounded pass over all bills; its cursor is part of the position."""

    def __init__(self, goal: int = 0, cursor: str | None = None) -> None:
        self.goal = goal
        """What it is for: the registry's epoch, or a day."""
        self.cursor = cursor
        """The last bill looked at; None: done."""

    @property
    def place(self) -> tuple[int, str | None]:
        return self.goal, self.cursor

    def next(self, bills: BillTable, limit: int) -> list[str]:
        """The next bills to look at; those that came meanwhile are up to date by themselves, and seen or not."""
        if self.cursor is None or limit <= 0:
            return []
        chosen = bills.after(self.cursor, limit)
        self.cursor = chosen[-1] if len(chosen) == limit else None
        return chosen


class Running(NamedTuple):
    """A request that was started."""

    request: Request
    party: str
    """The party behind its SCAC, as of its start."""
    cursor: str | None = None
    """The last bill looked at; None: this task's walk has not begun or is over."""
    through: bool = False
    done: tuple[int, ...] = ()
    """Tasks that are through; kept by that of partition 0."""


def running_of(datum: Mapping[str, Any]) -> Running:
    """As it lies in a position."""
    return Running(**{**datum, "request": Request(**datum["request"]), "done": tuple(datum["done"])})


class Resyncs:
    """Those that run, as one task sees them; `running` is part of its position."""

    def __init__(self, partition: int, tasks: int) -> None:
        self.running: tuple[Running, ...] = ()
        self._partition = partition
        self._tasks = tasks
        self._walk: tuple[str, Walk] | None = None

    def restore(self, running: tuple[Running, ...]) -> None:
        self.running = running
        self._walk = None

    @property
    def is_walking(self) -> bool:
        return any(one.cursor is not None for one in self.running)

    def ask(self, request: Request, registry: Registry) -> Iterator[Output]:
        """A request, as it is asked or as it was started."""
        known = next((one for one in self.running if one.request.id == request.id), None)
        if request.started_at is not None:
            self._start(request, known, registry)
        elif self._partition == 0:
            party = registry.party_scac(request.scac)
            if known is not None:
                yield _output(known.request)  # asked again under the same id: it must not look as if it hadn't begun
            elif any(one.party == party for one in self.running):
                yield Output(topics.REGISTRY, registry_key(request), None)
            else:
                started = request._replace(started_at=registry.now)
                self.running = (*self.running, Running(started, party))
                yield _output(started)

    def _start(self, request: Request, known: Running | None, registry: Registry) -> None:
        if known is not None and (known.through or known.cursor is not None):
            return
        party = registry.party_scac(request.scac)
        others = tuple(one for one in self.running if one.request.id != request.id and one.party != party)
        self.running = (*others, Running(request, party, ""))

    def hear(self, done: RequestDone) -> Iterator[Output]:
        """Of a task that is through; of all of them, the records are taken away."""
        for one in self.running:
            if self._partition == 0 and one.request.id == done.request and done.task not in one.done:
                heard = one._replace(done=(*one.done, done.task))
                self._put(heard)
                if len(heard.done) == done.tasks:
                    self.forget(registry_key(one.request))
                    yield Output(topics.REGISTRY, registry_key(one.request), None)
                    for task in heard.done:
                        yield Output(topics.REGISTRY, registry_key(done._replace(task=task)), None)

    def forget(self, key: bytes) -> None:
        """The request under that key of the registry was taken away."""
        self.running = tuple(one for one in self.running if registry_key(one.request) != key)

    def next(self, bills: BillTable, limit: int, now: int) -> tuple[str, list[str], Output | None]:
        """Whom to resync, on which bills; and what is to be said once it is all."""
        one = next((one for one in self.running if one.cursor is not None), None)
        if one is None or limit <= 0:
            return "", [], None
        if self._walk is None or self._walk[0] != one.request.id:
            self._walk = one.request.id, Walk(0, one.cursor)
        walk = self._walk[1]
        keys = walk.next(bills, limit)
        through = walk.cursor is None
        self._put(one._replace(cursor=walk.cursor, through=through))
        done = RequestDone(one.request.id, self._partition, self._tasks, now)
        return one.party, keys, _output(done) if through else None

    def _put(self, changed: Running) -> None:
        same = changed.request.id
        self.running = tuple(changed if one.request.id == same else one for one in self.running)


def _output(value: Request | RequestDone) -> Output:
    return Output(topics.REGISTRY, registry_key(value), codec.encode_value(value))


def resync(before: BillState, scac: str, registry: Registry, rules: Rules) -> Decision | None:
    """The status now of a bill for one party; None where it isn't told of it, or it has long been over."""
    superseded = before.offline is not None and before.offline.is_superseded
    if not concerns_a_bill(before.key) or not before.has_news or superseded:
        return None
    known, after = before.assess(rules)
    if after.status in OVER and registry.elapsed - before.touched > rules.resync_over_days * DAY:
        return None
    in_box = any(link.kind == "BOX" for link in before.links.values())
    member = audience_of(before.key, known, in_box, registry).members.get(scac)
    if member is None or member.topic is None or not is_told_now(member, before.told.get(scac), after):
        return None
    return conclude(before, Entered(before.copy(), RESYNC, again=frozenset({scac})), registry, rules)


def is_forgettable(state: BillState, elapsed: int, rules: Rules) -> bool:
    """Whether a life is over and has been quiet for long, or any bill has for much longer. `elapsed`: the registry's,
    since a clock that jumps must not make a do-not-load old."""
    quiet = elapsed - state.touched if state.touched else 0  # 0: from before the first tick of all
    if quiet >= rules.forget_silent_after_days * DAY:
        return True
    return state.assess(rules)[1].status in OVER and quiet >= rules.forget_after_days * DAY


def withdrawals(state: BillState) -> Iterator[Output]:
    """What takes back all that the bill has said to the index, and that it waits."""
    for fact in state.said.values():
        yield Output(topics.INDEX, fact.key.encode(), codec.encode_value(fact._replace(present=False)))
    if state.waiting:
        yield Output(topics.WAITING, state.key.encode(), None)


def on_record(state: BillState, now: int, rules: Rules) -> Iterator[Output]:
    """For the operators, on `snp.audit`: a bill that something still stops and that is forgotten all the same."""
    after = state.assess(rules)[1]
    if after.stopped:
        holds = ", ".join(sorted({hold.code or hold.kind for hold in after.holds}))
        detail = f"{after.status} ({holds}); nothing was heard of it for {rules.forget_silent_after_days} days"
        entry = {"at": now, "by": "router", "action": "forget", "subject": state.key, "detail": detail}
        yield Output(topics.AUDIT, state.key.encode(), codec.encode("audit-entry", entry))


def forgotten(state: BillState, rules: Rules) -> Decision:
    """The last entry in its history; nobody is told."""
    last = state.copy()
    last.sequence += 1
    after = state.assess(rules)[1]
    return Decision(last, Entered(last, "FORGOTTEN"), after, after)
