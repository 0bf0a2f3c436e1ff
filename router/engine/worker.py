"""The router's loop: each task restores its state, then polls, decides and commits, again and again."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from router import topics
from router.background import background
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine.administration import write_first_rules
from router.engine.arrivals import Arrivals
from router.engine.backlog import TURN_RECORDS, Batch, Idleness
from router.engine.feed_silence import SilenceLimit
from router.engine.missing_topics import missing_topics_sought
from router.engine.party_requests import FindRecords, find_records
from router.engine.task_zero import TaskZero, task_zero_of
from router.engine.uncertain_commits import UncertainCommits
from router.errors import DestinationMissing, FatalLogError, InputLost, TaskMoved, TaskRetry
from router.log.interface import AdministeredLog, Output, Position, Record, Task
from router.model.eastern import MILLISECONDS
from router.model.registry_values import RegistryNote
from router.model.vocabulary import Tally
from router.observe import COMMITTED, DESTINATION_MISSING, MOVED, RESTORING, RETRIED, ROUTING, Health, Metrics
from router.task.input_records import is_second_copy
from router.task.outputs import registry_output, timeline_fields
from router.task.shard import Shard

TRANSACTION_RECORDS: Final = 1000
"""Input records of one transaction in a backlog: more don't save CPU. When it is quiet, each poll is committed."""
WALKED_BILLS: Final = 500
"""Bills walked in one transaction, so that new records don't wait for a walk over all bills."""
MOST_OUTPUTS: Final = 20_000
"""A transaction with so many outputs is committed before its other records are decided. A thousand events with four
recipients each make half as many. A thousand stopped boxes of hundreds of bills would make them without end."""
POLL_SECONDS: Final = 1.0
"""The longest wait for new records: task 0 ticks and `/live` is answered between two polls."""
GATHER_SECONDS: Final = 0.05
"""Index facts alone wait this long for more: they notify nobody, and a transaction costs the same for hundreds."""

JUDGEMENT_SECONDS: Final = 2.0
"""Between two looks of a task that stands still for an operator's judgement."""

LOGGED_FIELDS: Final = ("event_id", "bill", "disposition_code", "cause", "status", "source", "waiting")
EVENTS: Final = frozenset({topics.URGENT, topics.DISPOSITIONS})

COLLECTOR_THRESHOLDS: Final = (100_000, 20, 100)
"""The ledger is millions of long-lived values without cycles. At Python's defaults, scanning them costs a fifth of the
throughput."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkSettings:
    silence_limits: tuple[SilenceLimit, ...] = ()
    """Feeds that are announced as silent."""
    idle_seconds: float = 0.2
    """With `until_idle`: a task without new records for this long is idle."""


@dataclass(slots=True)
class Totals:
    """The summary of a run. Counts a commit whose outcome was unknown too, once the log shows that it was made."""

    counts: Tally = field(default_factory=Tally)
    bills: dict[int, int] = field(default_factory=dict)
    """On the ledger, by task. After the run, of those that were ours to the end."""


class Worker:
    """Routes on one log until it is cancelled or, with `until_idle`, until nothing is left to route."""

    def __init__(
        self,
        log: AdministeredLog,
        rules: Rules,
        settings: WorkSettings | None = None,
        *,
        until_idle: bool = False,
        find_requests: FindRecords | None = None,
        clock: Callable[[], int] = now_milliseconds,
    ) -> None:
        """`rules` are written to a registry that has none. `find_requests` reads what parties wrote; without it, this
        process does. `clock` returns UTC milliseconds; a demo sets its own time."""
        self.totals = Totals()
        self.health = Health(log.assigned_tasks)
        self.metrics = Metrics(self.health)
        self.shards: dict[int, Shard] = {}
        """By task: those of ours that are restored. For others to read only."""
        self._tasks: dict[int, Task] = {}
        """The tasks of `shards`."""
        self._log = log
        self._rules = rules
        self._settings = settings or WorkSettings()
        self._until_idle = until_idle
        self._find_requests = find_requests or partial(find_records, log)
        self._idleness = Idleness(log)
        self._uncertain = UncertainCommits(log, self._count)
        self._clock = clock
        self._standing: dict[int, InputLost] = {}
        """Tasks that stand still, with what they lost."""
        self._turn = asyncio.Lock()
        """Held by the task that decides; see `router.engine.backlog`."""

    async def run(self, group: str = "snp-router") -> Totals:
        """Raises FatalLogError if routing can't go on; committed transactions stay."""
        gc.set_threshold(*COLLECTOR_THRESHOLDS)
        await write_first_rules(self._log, self._rules, self._clock())
        seeking = partial(self._uncertain.keep_looking, self.shards.__contains__)
        try:
            async with background("seeking uncertain commits", seeking):
                await self._log.work(topics.INPUTS, self._route, group=group)
        finally:
            await self._uncertain.look_a_last_time()
            ours = self._log.assigned_tasks()
            self.totals.bills = {task: count for task, count in self.totals.bills.items() if task in ours}
        if self._standing:
            raise FatalLogError("\n  ".join(["not everything is routed:", *map(str, self._standing.values())]))
        return self.totals

    def passed(self) -> dict[int, Position]:
        """The offsets to which each task of ours has read its inputs; see `Task.passed`."""
        return {number: task.passed(self.shards[number].position) for number, task in self._tasks.items()}

    async def _route(self, task: Task) -> None:
        self.health.report(task.partition, RESTORING)
        self.metrics.restoring(task.partition)
        try:
            shard = self.shards[task.partition] = await self._restore(task)
            self._tasks[task.partition] = task
            self._idleness.opened(task.partition)
            task_zero_work = task_zero_of(
                self._log, shard, self._settings.silence_limits, self._find_requests, self.metrics, self._clock,
                until_idle=self._until_idle,
            )  # fmt: skip
            async with missing_topics_sought(self._log, shard, self._clock), task_zero_work as task_zero:
                await self._keep_routing(task, shard, task_zero)
        except TaskMoved:
            self.totals.bills.pop(task.partition, None)
            self.metrics.transaction(MOVED)
            raise
        except TaskRetry as error:
            self.health.fails(task.partition, str(error))
            self.metrics.transaction(RETRIED)
            raise
        finally:
            self._idleness.closed(task.partition)
            self._tasks.pop(task.partition, None)
            self.shards.pop(task.partition, None)
            self.health.forget(task.partition)
            self.metrics.forget(task.partition)

    async def _restore(self, task: Task) -> Shard:
        """Read the state, the position, and the registry up to that position."""
        started = time.perf_counter()
        tasks = len(await self._log.end_offsets(topics.DISPOSITIONS))
        shard = Shard(self._rules, task.partition, tasks)
        async for batch in task.restore(topics.STATE):
            self._uncertain.read(task.partition, batch)
            for record in batch:
                shard.load(record)
        if shard.bill_count and not shard.position:
            raise FatalLogError(
                f"{self._log.url} has bills in {topics.BILLS}, partition {task.partition}, but no position: it is an "
                "incomplete copy. Finish it with `snp-router move`, or begin with empty topics"
            )
        if not shard.position:
            shard.begin_at(await self._beginnings(task.partition))
        known = shard.position.get(topics.REGISTRY, 0)
        async for batch in self._log.read([topics.REGISTRY], until_end=True):
            for record in batch:
                if record.offset < known:
                    shard.load_registry(record)
        self._uncertain.restored(task.partition)
        self._count_bills(shard)
        seconds = time.perf_counter() - started
        self.metrics.restored(task.partition, seconds)
        _log.info("task_restored", task=task.partition, bills=shard.bill_count, seconds=round(seconds, 3))
        return shard

    async def _beginnings(self, task: int) -> dict[str, int]:
        return {
            topic: (await self._log.begin_offsets(topic))[0 if topic == topics.REGISTRY else task]
            for topic in topics.INPUTS
        }

    async def _keep_routing(self, task: Task, shard: Shard, task_zero: TaskZero | None) -> None:
        arrivals = Arrivals(task.partition)
        while True:
            try:
                batch = await self._poll(task, shard)
            except InputLost as lost:
                batch = await self._stand_still(shard, lost)
            if batch.records or shard.is_walking or (task_zero is not None and task_zero.is_due):
                self._idleness.interrupted()
                outputs = await self._decide(task, shard, task_zero, batch)
                await self._commit(task, shard, task_zero, batch, outputs)
                self._observe_arrivals(shard, batch, arrivals)
                self.health.works(task.partition)
                self._idleness.interrupted()
                continue
            arrivals.complete(batch.begun_at)
            self.health.works(task.partition)
            if self._until_idle and await self._idleness.is_reached(task.partition):
                return

    async def _poll(self, task: Task, shard: Shard) -> Batch:
        begun_at = time.monotonic()
        seconds = self._settings.idle_seconds if self._until_idle else POLL_SECONDS
        records = await task.poll(shard.position, TRANSACTION_RECORDS, 0.0 if shard.is_walking else seconds)
        room = TRANSACTION_RECORDS - len(records)
        if records and room and not shard.is_walking and all(record.topic == topics.INDEX for record in records):
            after_them = {**shard.position, topics.INDEX: records[-1].offset + 1}
            records += await task.poll(after_them, room, GATHER_SECONDS)
        self.health.report(task.partition, ROUTING)
        self.metrics.stands_still(task.partition, False)
        self._standing.pop(task.partition, None)
        return Batch(records, time.perf_counter(), begun_at)

    async def _stand_still(self, shard: Shard, lost: InputLost) -> Batch:
        """Read the registry alone, which may have an operator's judgement of what was lost: then go on without it."""
        if shard.partition not in self._standing:
            _log.error("task_stands_still", task=shard.partition, reason=str(lost))
        self._standing[shard.partition] = lost
        self.health.stand_still(shard.partition, str(lost))
        self.metrics.stands_still(shard.partition, True)
        if (judged := shard.judgement_of(lost)) is not None:
            _log.warning("task_goes_on", task=shard.partition, topic=lost.topic, by=judged.by, offset=judged.end)
            shard.go_on_without(judged)
            return Batch([], time.perf_counter())
        records = await self._registry_behind(shard.position[topics.REGISTRY])
        if not records:
            await asyncio.sleep(self._settings.idle_seconds if self._until_idle else JUDGEMENT_SECONDS)
        return Batch(records, time.perf_counter())

    async def _registry_behind(self, offset: int) -> list[Record]:
        records: list[Record] = []
        async for batch in self._log.read([topics.REGISTRY], until_end=True, begin={(topics.REGISTRY, 0): offset}):
            records += batch[: TRANSACTION_RECORDS - len(records)]
            if len(records) == TRANSACTION_RECORDS:
                break
        return records

    async def _decide(self, task: Task, shard: Shard, task_zero: TaskZero | None, batch: Batch) -> list[Output]:
        """Decide the batch, or as much of it as one transaction may hold. Returns the transaction's outputs."""

        def urgent_waits() -> bool:
            return task.has_waiting(topics.URGENT, shard.position)

        bills = WALKED_BILLS if may_walk(batch) else 0
        for number in range(0, len(batch.records), TURN_RECORDS):
            async with self._turn:
                if shard.outputs_waiting >= MOST_OUTPUTS or batch.is_cut_before(number, urgent_waits=urgent_waits()):
                    bills = min(bills, TURN_RECORDS)  # a walk goes on in small steps, however often it is cut
                    break
                for record in batch.records[number : number + TURN_RECORDS]:
                    if shard.outputs_waiting >= MOST_OUTPUTS:
                        break
                    shard.process(record)
                await asyncio.sleep(0)
        shard.step(min(TURN_RECORDS, bills))  # without a walk too: it concludes the records as a whole
        while shard.is_walking and (bills := bills - TURN_RECORDS) > 0 and shard.outputs_waiting < MOST_OUTPUTS:
            async with self._turn:
                if batch.is_cut(urgent_waits=urgent_waits()):
                    break
                shard.step(min(TURN_RECORDS, bills))
                await asyncio.sleep(0)
        return shard.take_outputs(task_zero.outputs() if task_zero is not None else ())

    async def _commit(
        self, task: Task, shard: Shard, task_zero: TaskZero | None, batch: Batch, outputs: list[Output]
    ) -> None:
        """Commit. If a destination is missing, decide again with that knowledge."""
        while True:
            outputs = self._uncertain.named(outputs)
            try:
                await task.commit(outputs)
                break
            except DestinationMissing as error:
                _refuse_missing_own(error)
                _log.warning("destination_missing", topics=error.topics, task=task.partition)
                self.metrics.transaction(DESTINATION_MISSING)
                shard.abandon()
                await self._note_missing(shard, error.topics)
                outputs = await self._decide(task, shard, task_zero, batch)
            except (TaskMoved, TaskRetry, asyncio.CancelledError):
                self._uncertain.add(task.partition, outputs, shard.tally)
                raise
        tally = shard.tally
        shard.committed()
        if task_zero is not None:
            task_zero.committed()
        self._count(tally)
        self._count_bills(shard)
        self.metrics.transaction(COMMITTED, time.perf_counter() - batch.polled_at)
        if _log.is_enabled_for(logging.DEBUG):
            _log_decisions(task.partition, outputs)

    def _observe_arrivals(self, shard: Shard, batch: Batch, arrivals: Arrivals) -> None:
        """Observe the latency of each committed event once, though a stop is on two topics, and other clocks."""
        now, done = now_milliseconds(), [one for one in batch.records if one.offset < shard.position.get(one.topic, 0)]
        arrived = [record.timestamp for record in done if record.topic in EVENTS and not is_second_copy(record)]
        known = [moment for moment in arrived if arrivals.is_credible(moment, now)]
        self.metrics.latencies(known, now)
        self.metrics.unknown_latencies(len(arrived) - len(known))
        difference = arrivals.difference([one.timestamp for one in done], now) if done else None
        if difference is not None:
            self.metrics.clock_difference(shard.partition, difference / MILLISECONDS)
        if len(done) == len(batch.records) < TRANSACTION_RECORDS:
            arrivals.complete(batch.begun_at)

    def _count(self, tally: Tally) -> None:
        self.totals.counts.update(tally)
        self.metrics.count(tally)

    def _count_bills(self, shard: Shard) -> None:
        self.totals.bills[shard.partition] = shard.bill_count
        self.metrics.bills(shard.partition, shard.bill_count)

    async def _note_missing(self, shard: Shard, missing: tuple[str, ...]) -> None:
        notes = [RegistryNote("missing", topic, self._clock()) for topic in missing]
        await self._log.append([registry_output(note) for note in notes], atomic=True)
        for note in notes:
            shard.registry.apply(note)


def _refuse_missing_own(error: DestinationMissing) -> None:
    """Raises TaskRetry if topics of the router's own are missing: without them nothing can be decided."""
    own = [topic for topic in error.topics if not topic.startswith(topics.PARTY_PREFIX)]
    if own:
        raise TaskRetry(
            f"missing or refused topics: {', '.join(own)}. `snp-router topics check --apply` makes them again, without "
            "their records"
        ) from error


def may_walk(batch: Batch) -> bool:
    """Bills are not walked before the registry is read to its end. After a restart it may lack parties and sailings
    that were written again behind the position: the registry is compacted."""
    return len(batch.records) < TRANSACTION_RECORDS or batch.records[-1].topic != topics.REGISTRY


def _log_decisions(task: int, outputs: list[Output]) -> None:
    """Log each committed decision, so that one event can be followed through the log lines."""
    for output in outputs:
        if output.topic == topics.TIMELINE and output.value is not None:
            entry = timeline_fields(output.value)
            fields = {name: entry[name] for name in LOGGED_FIELDS}
            notified = [f"{one['recipient']}:{one['kind']}" for one in entry["notified"]]
            _log.debug("bill_decided", task=task, **fields, notified=notified)
