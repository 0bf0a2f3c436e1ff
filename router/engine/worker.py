"""Transactions whose commit failed without saying whether it happened: the position that is restored tells.

The router's loop: for each task restore, poll, decide, commit.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine.backlog import Idle, unrouted
from router.engine.scheduling import FIRST, NOTHING, PolledBatch, Portion, Turns
from router.engine.task_zero import TaskZero, TaskZeroSettings, leading
from router.errors import DestinationMissing, FatalLogError, TaskMoved, TaskRetry
from router.log.interface import AdministeredLog, Output, Record, Task
from router.model.registry_values import RegistryNote
from router.model.vocabulary import Tally
from router.observe.health import RESTORING, ROUTING, Health
from router.observe.metrics import COMMITTED, DESTINATION_MISSING, MOVED, RETRIED, Metrics
from router.task.outputs import registry_output
from router.task.shard import Shard


class UncertainCommit(NamedTuple):
    position: bytes
    """As the transaction wrote it, if it was made. No other of the task's writes the same."""
    tally: Tally


class UncertainCommits:
    """Of each task the last transaction in doubt. Only for counting what was done: what to do next, the restored state
    and position say."""

    def __init__(self) -> None:
        self._of: dict[int, UncertainCommit] = {}

    def enter(self, task: int, outputs: Iterable[Output], tally: Tally) -> None:
        position = position_in(outputs, task)
        if position is not None:
            self._of[task] = UncertainCommit(position, tally)

    def settle(self, task: int, position: bytes | None) -> Tally:
        """What the transaction in doubt did, if `position`, the one restored, is its own; else nothing. Where another
        process had the task meanwhile and went on, that can't be told any more: then it isn't counted."""
        doubt = self._of.pop(task, None)
        return doubt.tally if doubt is not None and doubt.position == position else Tally()


def position_in(records: Iterable[Output | Record], task: int) -> bytes | None:
    """A task's position, as it lies in the last of these records that holds it."""
    key = topics.POSITION_KEY + str(task).encode()
    found = [record.value for record in records if record.key == key]
    return found[-1] if found else None


EVENTS: Final = frozenset({topics.URGENT, topics.DISPOSITIONS})

SLICE_RECORDS: Final = 10
"""Records decided, or bills walked, before other coroutines get a turn: an open transaction holds back its readers, and
needs some twenty turns to be committed."""

MOST_OUTPUTS: Final = 20_000
"""A transaction that has come to write so many records is committed before its other records are decided; these are
polled again. A thousand events with four recipients each make about half as many; a sailing with hundreds of lines, or
a thousand stopped boxes of hundreds of bills, would make them without end."""

SMALL_RECORDS: Final = 50
"""So many a task takes at a time without a turn. If there are as many it is behind, and takes more of them in turn."""

COLLECTOR_THRESHOLDS: Final = (100_000, 20, 100)
"""The ledger is millions of long-lived values without cycles: looking through them often costs a fifth of the speed."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkSettings:
    records_per_transaction: int = 1000
    """With a backlog; when it is quiet, what there is is committed at once."""
    walk_bills_per_transaction: int = 500
    poll_seconds: float = 1.0
    index_gather_seconds: float = 0.05
    """What bills say to the index waits so long for more to share its transaction with: by itself it tells nobody, and
    a transaction costs the same for one record as for hundreds."""
    idle_seconds: float = 0.2
    """With `until_idle`: nothing new for so long, in any task, is idle."""
    duties: TaskZeroSettings = field(default_factory=TaskZeroSettings)
    """Of task 0."""


@dataclass(slots=True)
class Totals:
    """What a run did, for its summary; also in commits that nobody heard of, if the restored state has them."""

    counts: Tally = field(default_factory=Tally)
    bills: dict[int, int] = field(default_factory=dict)
    """On the ledger, by task."""


class Worker:
    """Routes on one log until it is cancelled, or, with `until_idle`, until nothing is left to do."""

    def __init__(
        self,
        log: AdministeredLog,
        rules: Rules,
        settings: WorkSettings | None = None,
        *,
        until_idle: bool = False,
        clock: Callable[[], int] | None = None,
    ) -> None:
        """`clock` gives UTC milliseconds: the time, unless a story goes by one of its own."""
        self.totals = Totals()
        self.metrics = Metrics()
        self.health = Health()
        self.shards: dict[int, Shard] = {}
        """By task: those that are ours and restored. For looking at only."""
        self._log = log
        self._rules = rules
        self._settings = settings or WorkSettings()
        self._idle = Idle() if until_idle else None
        self._doubts = UncertainCommits()
        self._clock = clock or now_milliseconds
        self._turns = Turns()

    async def run(self, group: str = "snp-router") -> Totals:
        """Raises FatalLogError where going on makes no sense; what was committed stays."""
        gc.set_threshold(*COLLECTOR_THRESHOLDS)
        await self._log.work(topics.INPUTS, self._route, group=group)
        return self.totals

    async def _route(self, task: Task) -> None:
        self.health.at(task.partition, RESTORING)
        try:
            shard = self.shards[task.partition] = await self._restore(task)
            self.totals.bills[task.partition] = shard.bill_count
            if self._idle:
                self._idle.enter(task.partition)
            async with leading(self._log, shard, self._settings.duties, self._clock, task.partition) as duties:
                await self._keep_routing(task, shard, duties)
        except TaskMoved:
            self.metrics.transaction(MOVED)
            raise
        except TaskRetry:
            self.metrics.transaction(RETRIED)
            raise
        finally:
            if self._idle:
                self._idle.leave(task.partition)
            self.shards.pop(task.partition, None)
            self.health.let_go(task.partition)
            self.metrics.let_go(task.partition, topics.INPUTS)

    async def _keep_routing(self, task: Task, shard: Shard, duties: TaskZero | None) -> None:
        taken = NOTHING
        while True:
            self.health.at(task.partition, ROUTING)
            async with self._portion(task, shard, taken) as taken:
                busy = bool(taken.records) or shard.is_walking or (duties is not None and duties.are_due)
                outputs = await self._decide(task, shard, taken, duties) if busy else []
            if self._idle and taken.portion.seconds and self._idle.is_over(task.partition, busy=busy):
                if await self._nothing_is_left(self._idle):
                    return
                continue
            if not busy:
                continue
            done = await self._commit(task, shard, taken, duties, outputs)
            if self._idle:
                self._idle.is_over(task.partition, busy=True)
            self._count(done)
            self.totals.bills[task.partition] = shard.bill_count
            self.metrics.bills(task.partition, shard.bill_count)

    @asynccontextmanager
    async def _portion(self, task: Task, shard: Shard, last: PolledBatch) -> AsyncIterator[PolledBatch]:
        """A small one at once, a large one in turn. Who is behind takes a small one too where something urgent waits:
        after each large one, and now and then while the others have their turns. It reads before its turn, which is for
        deciding alone, and again only where something urgent came meanwhile."""
        small = Portion(min(SMALL_RECORDS, self._settings.records_per_transaction), 0, 0.0)
        if len(last.records) < SMALL_RECORDS and not shard.is_walking:
            seconds = self._settings.idle_seconds if self._idle else self._settings.poll_seconds
            yield await self._poll(task, shard, small._replace(seconds=seconds))
            return
        large = Portion(self._settings.records_per_transaction, self._settings.walk_bills_per_transaction, 0.0)
        ahead = await self._poll(task, shard, large)

        def hurries() -> bool:
            return not ahead.ends_within(*FIRST) and (ahead.brings(topics.URGENT) or _urgent_waits(task, shard))

        if last.portion.records > small.records and hurries():
            yield await self._poll(task, shard, small)
            return
        async with self._turns.of(task.partition, hurries) as has_turn:
            if has_turn and not _urgent_waits(task, shard):
                yield ahead._replace(at=time.perf_counter())
            else:
                yield await self._poll(task, shard, large if has_turn else small)

    def _count(self, done: Tally) -> None:
        self.totals.counts.update(done)
        self.metrics.counted(done)

    async def _restore(self, task: Task) -> Shard:
        """State, position, and the registry as it was at that position."""
        started = time.perf_counter()
        tasks = len(await self._log.end_offsets(topics.DISPOSITIONS))
        shard = Shard(self._rules, task.partition, tasks)
        position = None
        async for batch in task.restore(topics.STATE):
            position = position_in(batch, task.partition) or position
            for record in batch:
                shard.load(record)
        if shard.bill_count and not shard.position:
            raise FatalLogError(
                f"{self._log.url} has bills in {topics.BILLS}, partition {task.partition}, but no position: it is a "
                "copy that is not complete. Finish it (`snp-router move`), or begin with empty topics"
            )
        known = shard.position.get(topics.REGISTRY, 0)
        async for batch in self._log.read([topics.REGISTRY], until_end=True):
            for record in batch:
                if record.offset < known:
                    shard.load_registry(record)
        self._count(self._doubts.settle(task.partition, position))
        seconds = time.perf_counter() - started
        self.metrics.restored(task.partition, seconds)
        self.metrics.bills(task.partition, shard.bill_count)
        _log.info("task_restored", task=task.partition, bills=shard.bill_count, seconds=round(seconds, 3))
        return shard

    async def _poll(self, task: Task, shard: Shard, portion: Portion) -> PolledBatch:
        most = portion.records
        records = await task.poll(shard.position, most, portion.seconds)
        if portion.seconds and 0 < len(records) < most and all(record.topic == topics.INDEX for record in records):
            behind = {record.topic: record.offset + 1 for record in records}
            gather = self._settings.index_gather_seconds
            records += await task.poll({**shard.position, **behind}, most - len(records), gather)
        return PolledBatch(records, portion, time.perf_counter())

    async def _commit(
        self, task: Task, shard: Shard, taken: PolledBatch, duties: TaskZero | None, outputs: list[Output]
    ) -> Tally:
        """Commit; where a destination is missing, decide again with that knowledge. What was done, by kinds."""
        while True:
            try:
                await task.commit(outputs)
            except DestinationMissing as error:
                _log.warning("destination_missing", topics=error.topics, task=task.partition)
                self.metrics.transaction(DESTINATION_MISSING)
                shard.abandon()
                await self._note_missing(shard, error.topics)
                outputs = await self._decide(task, shard, taken, duties)
                continue
            except (TaskMoved, TaskRetry):
                self._doubts.enter(task.partition, outputs, shard.tally)
                raise
            done = shard.tally
            shard.committed()
            if duties is not None:
                duties.done()
            self.metrics.transaction(COMMITTED, time.perf_counter() - taken.at)
            if _log.is_enabled_for(logging.DEBUG):
                _say_decided(task.partition, outputs)
            self.metrics.latencies(
                (
                    record.timestamp
                    for record in taken.records
                    if record.topic in EVENTS and record.offset < shard.position.get(record.topic, 0)
                ),
                now_milliseconds(),
            )
            return done

    async def _decide(self, task: Task, shard: Shard, taken: PolledBatch, duties: TaskZero | None) -> list[Output]:
        """In slices, so that commits under way and heartbeats get their turn.

        No bill is walked while there may be more of the registry: after a restart parties and sailings may be missing
        that were written anew behind the position, since the registry is compacted.
        """
        for first in range(0, len(taken.records), SLICE_RECORDS):
            if taken.holds_up(first, lambda: _urgent_waits(task, shard)):
                break
            for record in taken.records[first : first + SLICE_RECORDS]:
                if shard.outputs_waiting >= MOST_OUTPUTS:
                    break
                shard.process(record)
            await asyncio.sleep(0)
        left = 0 if taken.ends_within(topics.REGISTRY) else taken.portion.bills
        shard.step(min(SLICE_RECORDS, left))  # also without a walk: it says what follows from the records as a whole
        while shard.is_walking and (left := left - SLICE_RECORDS) > 0 and shard.outputs_waiting < MOST_OUTPUTS:
            await asyncio.sleep(0)
            shard.step(min(SLICE_RECORDS, left))
        done = duties.take_up() if duties is not None else []
        return [*shard.take_outputs(), *done]

    async def _nothing_is_left(self, idle: Idle) -> bool:
        """Also in tasks that are not ours (yet): a router that died keeps its own for as long as its session lasts."""
        if not idle.everywhere:
            partitions = len(await self._log.end_offsets(topics.DISPOSITIONS))
            idle.everywhere = idle.tasks == partitions or await unrouted(self._log) == 0
        return idle.everywhere

    async def _note_missing(self, shard: Shard, missing: tuple[str, ...]) -> None:
        notes = [RegistryNote("missing", topic, self._clock()) for topic in missing]
        await self._log.append([registry_output(note) for note in notes], atomic=True)
        for note in notes:
            shard.registry.apply(note)


def _say_decided(task: int, outputs: list[Output]) -> None:
    """A line for each decision that was committed, so that one event can be followed through the log lines."""
    for output in outputs:
        if output.topic == topics.TIMELINE and output.value is not None:
            entry = codec.decode(output.value)[1]
            said = {name: entry[name] for name in ("event_id", "bill", "disposition_code", "cause", "status", "source")}
            told = [f"{one['recipient']}:{one['kind']}" for one in entry["told"]]
            _log.debug("bill_decided", task=task, **said, told=told, waiting=entry["waiting"])


def _urgent_waits(task: Task, shard: Shard) -> bool:
    return task.has_waiting(topics.URGENT, shard.position)
