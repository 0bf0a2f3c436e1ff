"""Walks over all bills of a task, a bounded number at a time: reviews, resyncs and forgetting.

A resync sends a party that was down the status now of all its open bills, once. The task of partition 0 alone decides
which request starts: it writes the record again with the time, or deletes it if one of that party is running. So all
tasks start the same ones, whatever compaction left of the registry. When all tasks are done, the records are deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from router import codec, topics
from router.decide.audience import audience_of
from router.decide.bill_state import AssessedBill
from router.decide.consequences import Decision, conclude, history_entry
from router.decide.notices import RESYNC, AppliedRecord
from router.decide.recipients import is_entitled
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.decide.status import OVER
from router.log.interface import Output
from router.model.eastern import DAY
from router.model.identifiers import concerns_a_bill
from router.model.registry_values import Request, RequestDone, registry_key
from router.task.bill_table import BillTable
from router.task.outputs import registry_output


class Walk:
    """A bounded pass over all bills. Its place is part of the task's position."""

    def __init__(self, goal: int = 0, cursor: str | None = None) -> None:
        self.goal = goal
        """The registry's epoch, or the day, for which it walks."""
        self.cursor = cursor
        """The last bill visited; None: done."""

    @property
    def place(self) -> tuple[int, str | None]:
        return self.goal, self.cursor

    def next(self, bills: BillTable, limit: int) -> list[str]:
        """The next bills to visit. Bills that are new since its start are up to date anyway, visited or not."""
        if self.cursor is None or limit <= 0:
            return []
        chosen = bills.after(self.cursor, limit)
        self.cursor = chosen[-1] if len(chosen) == limit else None
        return chosen


class RunningResync(NamedTuple):
    """A request that was started."""

    request: Request
    party: str
    """The party of its id at its start."""
    cursor: str | None = None
    """The last bill visited; None: this task's walk has not begun or is over."""
    is_done: bool = False
    """True if this task is done."""
    tasks_done: tuple[int, ...] = ()
    """All tasks that are done; kept by that of partition 0."""


class Resyncs:
    """The running resyncs as one task sees them. `running` is part of its position."""

    def __init__(self, partition: int, tasks: int) -> None:
        self.running: tuple[RunningResync, ...] = ()
        self._partition = partition
        self._tasks = tasks
        self._walk: tuple[str, Walk] | None = None

    def restore(self, running: tuple[RunningResync, ...]) -> None:
        self.running = running
        self._walk = None

    @property
    def is_walking(self) -> bool:
        return any(one.cursor is not None for one in self.running)

    def apply_request(self, request: Request, registry: Registry) -> Iterator[Output]:
        """Apply a request, new or started."""
        known = next((one for one in self.running if one.request.id == request.id), None)
        if request.started_at is not None:
            self._start(request, known, registry)
        elif self._partition == 0:
            party = registry.party_id(request.scac)
            if known is not None:
                yield registry_output(known.request)  # a duplicate must not look like one that has not started
            elif any(one.party == party for one in self.running):
                yield Output(topics.REGISTRY, registry_key(request), None)
            else:
                started = request._replace(started_at=registry.now)
                self.running = (*self.running, RunningResync(started, party))
                yield registry_output(started)

    def _start(self, request: Request, known: RunningResync | None, registry: Registry) -> None:
        if known is not None and (known.is_done or known.cursor is not None):
            return
        party = registry.party_id(request.scac)
        others = tuple(one for one in self.running if one.request.id != request.id and one.party != party)
        self.running = (*others, RunningResync(request, party, ""))

    def apply_done(self, done: RequestDone) -> Iterator[Output]:
        """Apply one task's completion. After the last one, the records are deleted."""
        for one in self.running:
            if self._partition == 0 and one.request.id == done.request and done.task not in one.tasks_done:
                tasks_done = (*one.tasks_done, done.task)
                self._replace(one._replace(tasks_done=tasks_done))
                if len(tasks_done) == done.tasks:
                    self.forget(registry_key(one.request))
                    yield Output(topics.REGISTRY, registry_key(one.request), None)
                    for task in tasks_done:
                        yield Output(topics.REGISTRY, registry_key(done._replace(task=task)), None)

    def forget(self, key: bytes) -> None:
        """Forget the request with that registry key, which was deleted."""
        self.running = tuple(one for one in self.running if registry_key(one.request) != key)

    def next(self, bills: BillTable, limit: int, now: int) -> tuple[str, list[str], Output | None]:
        """A party with the next bills to resync, and the completion once there are no more."""
        one = next((one for one in self.running if one.cursor is not None), None)
        if one is None or limit <= 0:
            return "", [], None
        if self._walk is None or self._walk[0] != one.request.id:
            self._walk = one.request.id, Walk(0, one.cursor)
        walk = self._walk[1]
        keys = walk.next(bills, limit)
        is_done = walk.cursor is None
        self._replace(one._replace(cursor=walk.cursor, is_done=is_done))
        done = RequestDone(one.request.id, self._partition, self._tasks, now)
        return one.party, keys, registry_output(done) if is_done else None

    def _replace(self, changed: RunningResync) -> None:
        same = changed.request.id
        self.running = tuple(changed if one.request.id == same else one for one in self.running)


def resync(bill: AssessedBill, party_id: str, registry: Registry, rules: Rules) -> Decision | None:
    """The status now of a bill for one party; None if the party is not notified of it, or it has long been over."""
    state, status = bill.state, bill.status
    if not concerns_a_bill(state.key) or not state.is_notifiable or state.is_superseded:
        return None
    if status.status in OVER and registry.elapsed - state.touched > rules.resync_over_days * DAY:
        return None
    audience = audience_of(state.key, bill.cargo, state.is_in_stopped_box, registry, state.kept_sailing_id)
    recipient, last = audience.recipients.get(party_id), state.last_notices.get(party_id)
    if recipient is None:  # a party that lost its ground gets a standing stop until its end
        if last is None or not status.stopped:
            return None
    elif recipient.topic is None or (last is None and not is_entitled(recipient, None, status)):
        return None
    return conclude(bill, AppliedRecord(state, RESYNC, renotify=frozenset({party_id})), registry, rules)


def is_forgettable(bill: AssessedBill, elapsed: int, rules: Rules) -> bool:
    """True if a life is over and long quiet, or any bill is quiet for much longer.

    `elapsed` is the registry's, since a clock that jumps must not age a do-not-load.
    """
    touched = bill.state.touched
    quiet = elapsed - touched if touched else 0  # 0: from before the first tick
    if quiet >= rules.forget_silent_after_days * DAY:
        return True
    return bill.status.status in OVER and quiet >= rules.forget_after_days * DAY


def forgetting_outputs(bill: AssessedBill, now: int, rules: Rules) -> Iterator[Output]:
    """Withdrawals of the bill's index facts and waiting record, and an audit entry if something still stops it."""
    state, status = bill.state, bill.status
    for fact in state.index_facts.values():
        yield Output(topics.INDEX, fact.key.encode(), codec.encode_value(fact._replace(present=False)))
    if state.waiting:
        yield Output(topics.WAITING, state.key.encode(), None)
    if status.stopped:
        holds = ", ".join(sorted({hold.code or hold.kind for hold in status.holds}))
        detail = f"{status.status} ({holds}); no record of it for {rules.forget_silent_after_days} days"
        entry = {"at": now, "by": "router", "action": "forget", "subject": state.key, "detail": detail}
        yield Output(topics.AUDIT, state.key.encode(), codec.encode("audit-entry", entry))


def forgotten(bill: AssessedBill, rules: Rules) -> Decision:
    """The last entry in a bill's history, without notices."""
    state = replace(bill.state, sequence=bill.state.sequence + 1)
    history = history_entry(state, AppliedRecord(state, "FORGOTTEN"), bill.status, bill.status, rules)
    return Decision(None, history)
