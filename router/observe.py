"""The figures of a running router for Prometheus, its health, and the HTTP endpoints for both.

Metric names follow Prometheus' conventions: base units, `_total` for counters. The loop counts once a transaction, so
an event costs next to nothing. No metric holds a secret or an identifier of cargo.
"""

from __future__ import annotations

import asyncio
import collections
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from typing import Final, NamedTuple

import structlog
from prometheus_client import Counter, Gauge, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from router import topics
from router.codec import NOTICE_KINDS
from router.errors import LogError
from router.log.interface import Log, Position
from router.model.eastern import MILLISECONDS
from router.model.vocabulary import Counted

LATENCY_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)
"""Seconds, from a quiet hour's milliseconds to a day's backlog."""
TRANSACTION_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

COMMITTED: Final = "committed"
DESTINATION_MISSING: Final = "destination_missing"
RETRIED: Final = "retried"
MOVED: Final = "moved"
OUTCOMES: Final = (COMMITTED, DESTINATION_MISSING, RETRIED, MOVED)

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
DROPPED: Final = "dropped"
REQUEST_OUTCOMES: Final = (ACCEPTED, REFUSED, DROPPED)

LAG_SECONDS: Final = 15.0
"""Between two looks at the lag: Prometheus' usual scrape interval."""
STUCK_SECONDS: Final = 60.0
"""A routing task reports once a poll, so about every second. One that is silent for this long hangs."""

NOT_OPEN: Final = "it is not open yet"
RESTORING: Final = "restoring"
STANDING: Final = "standing still"
ROUTING: Final = "routing"

_log = structlog.get_logger(__name__)


class Metrics:
    """One router's figures, in a registry of their own: two routers in one process don't share counters."""

    def __init__(self, health: Health | None = None) -> None:
        """`health` is that of the router's tasks."""
        self.registry = CollectorRegistry()
        self._events = self._counter("snp_events", "Events routed: new ones and duplicates.", "outcome")
        self._notices = self._counter("snp_notices", "Notices written, by kind.", "kind")
        self._dead_letters = self._counter("snp_dead_letters", "Dead letters written.")
        self._transactions = self._counter("snp_transactions", "Transactions, by outcome.", "outcome")
        self._transaction_seconds = Histogram(
            "snp_transaction_duration_seconds",
            "From a transaction's first decision until it is committed.",
            buckets=TRANSACTION_BUCKETS,
            registry=self.registry,
        )
        self._latency = Latencies()
        self.registry.register(self._latency)
        self.registry.register(FailingTasks(health or Health()))
        self._committed_at = time.monotonic()
        since_commit = self._gauge(
            "snp_seconds_since_commit", "Seconds since this process's last commit, or its start."
        )
        since_commit.set_function(lambda: time.monotonic() - self._committed_at)
        self._unknown_latencies = self._counter(
            "snp_latency_unknown",
            "Events whose latency is unknown: of a backlog at the start, or by a clock that differs.",
        )
        self._clock = self._gauge(
            "snp_clock_difference_seconds", "Least difference of another machine's clock from ours.", "task"
        )
        self._lag = self._gauge("snp_task_lag_records", "Records of an input not read by its task.", "task", "topic")
        self._lag_unknown = self._gauge("snp_task_lag_unknown", "1 if a task's lag is unknown.")
        self.lag_unknown()
        self._restore = self._gauge("snp_task_restore_seconds", "Duration of a task's latest restore, so far.", "task")
        self._bills = self._gauge("snp_open_bills", "Bills on a task's ledger.", "task")
        self._stopped = self._gauge("snp_task_stopped", "1 while a task stands still for an operator.", "task")
        self._requests = self._counter("snp_requests", "Parties' requests, by outcome.", "outcome")
        self._requests_failing = self._gauge(
            "snp_requests_not_read_seconds",
            "Seconds since requests could be read, of task 0's owner.",
            "task",
        )
        self._start_at_zero()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _start_at_zero(self) -> None:
        """Create each series: `rate` can't see the first increase of one that begins with it."""
        for outcome in ("new", "duplicate"):
            self._events.labels(outcome)
        for kind in NOTICE_KINDS:
            self._notices.labels(kind)
        for outcome in OUTCOMES:
            self._transactions.labels(outcome)
        for outcome in REQUEST_OUTCOMES:
            self._requests.labels(outcome)

    def count(self, tally: Mapping[Counted, int]) -> None:
        """Add the work of committed transactions, as in `Shard.tally`."""
        self._events.labels("new").inc(tally.get("events", 0))
        self._events.labels("duplicate").inc(tally.get("duplicates", 0))
        self._dead_letters.inc(tally.get("dead letters", 0))
        for kind in NOTICE_KINDS:
            self._notices.labels(kind).inc(tally.get(kind, 0))

    def transaction(self, outcome: str, seconds: float | None = None) -> None:
        """Count a transaction. `outcome` is one of OUTCOMES; `seconds` belongs to a committed one."""
        self._transactions.labels(outcome).inc()
        if outcome == COMMITTED:
            self._committed_at = time.monotonic()
        if seconds is not None:
            self._transaction_seconds.observe(seconds)

    def latencies(self, arrived: Iterable[int], now: int) -> None:
        """Observe events by their moments of arrival; their notices are committed `now`. UTC milliseconds."""
        self._latency.observe(arrived, now)

    def request(self, outcome: str) -> None:
        """Count a party's request. `outcome` is one of REQUEST_OUTCOMES; a dropped one may stand for many."""
        self._requests.labels(outcome).inc()

    def requests_failing(self, seconds: float) -> None:
        self._requests_failing.labels("0").set(seconds)

    def forget_requests(self) -> None:
        """Drop the gauge of a task 0 that another process has now."""
        _remove(self._requests_failing, "0")

    def stands_still(self, task: int, stopped: bool) -> None:
        self._stopped.labels(str(task)).set(stopped)

    def unknown_latencies(self, events: int) -> None:
        self._unknown_latencies.inc(events)

    def clock_difference(self, task: int, seconds: float) -> None:
        """Set how much the clock behind a task's latest records differs from ours, at least; positive: it is ahead."""
        self._clock.labels(str(task)).set(seconds)

    def restoring(self, task: int) -> None:
        """Note that a restore begins. Its duration grows until it is `restored`."""
        begun = time.monotonic()
        self._restore.labels(str(task)).set_function(lambda: time.monotonic() - begun)

    def restored(self, task: int, seconds: float) -> None:
        _remove(self._restore, str(task))
        self._restore.labels(str(task)).set(seconds)

    def bills(self, task: int, count: int) -> None:
        self._bills.labels(str(task)).set(count)

    def lag(self, task: int, topic: str, records: int) -> None:
        self._lag.labels(str(task), topic).set(records)
        self._lag_unknown.set(0)

    def lag_unknown(self) -> None:
        self._lag.clear()
        self._lag_unknown.set(1)

    def lag_measured(self, *, of_all: bool) -> None:
        """Note that the log answered. A task of ours that is not open yet has no lag."""
        self._lag_unknown.set(not of_all)

    def forget(self, task: int) -> None:
        """Drop the gauges of a task that another process has now."""
        for gauge in (self._restore, self._bills, self._clock, self._stopped):
            _remove(gauge, str(task))
        for topic in topics.INPUTS:
            _remove(self._lag, str(task), topic)


class Latencies(Collector):
    """A histogram that takes a transaction at a time: its thousand events share few moments of arrival."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, arrived: Iterable[int], now: int) -> None:
        for moment, count in collections.Counter(arrived).items():
            seconds = max(0, now - moment) / MILLISECONDS
            self._counts[bisect_left(LATENCY_BUCKETS, seconds)] += count
            self._sum += seconds * count

    def collect(self) -> Iterator[Metric]:
        bounds = [*map(str, LATENCY_BUCKETS), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        text = "From an event's arrival on the log until its notices are committed."
        yield HistogramMetricFamily("snp_end_to_end_latency_seconds", text, buckets, self._sum)


def _remove(gauge: Gauge, *labels: str) -> None:
    with suppress(KeyError):  # the task left before the series began
        gauge.remove(*labels)


async def watch_lag(log: Log, passed: Callable[[], Mapping[int, Position]], metrics: Metrics) -> None:
    """Measure the lag until cancelled, from where `passed` says that our tasks are. While the log does not answer, it
    is unknown."""
    try:
        while True:
            try:
                async with asyncio.timeout(LAG_SECONDS):
                    await measure_lag(log, passed, metrics)
            except (LogError, TimeoutError):
                metrics.lag_unknown()
            await asyncio.sleep(LAG_SECONDS)
    finally:
        metrics.lag_unknown()


async def measure_lag(log: Log, passed: Callable[[], Mapping[int, Position]], metrics: Metrics) -> None:
    """Set the lag of each open task and input. Raises LogError."""
    for topic in topics.INPUTS:
        ends = await log.end_offsets(topic)
        for task, position in passed().items():
            end = ends.get(0 if topic == topics.REGISTRY else task, 0)
            metrics.lag(task, topic, max(0, end - position[topic]))
    metrics.lag_measured(of_all=log.assigned_tasks() <= passed().keys())


class Failure(NamedTuple):
    """A task's failure to work, since when by `time.monotonic`."""

    since: float
    reason: str


class Health:
    """The latest report of each of our tasks; `/live` and `/ready` are answered from it."""

    def __init__(self, assigned: Callable[[], Collection[int]] = frozenset) -> None:
        """`assigned` returns the tasks that are ours, open or not."""
        self._assigned = assigned
        self._tasks: dict[int, tuple[str, float]] = {}
        """By open task, its stage and the time of the report by `time.monotonic`."""
        self._failures: dict[int, Failure] = {}
        self._standing: dict[int, str] = {}
        """Reasons of tasks that stand still until an operator acts."""

    def fails(self, task: int, reason: str) -> None:
        """Report that a step of a task failed. It fails until `works`, however often it is opened in between."""
        before = self._failures.get(task)
        self._failures[task] = Failure(time.monotonic() if before is None else before.since, reason)

    def works(self, task: int) -> None:
        """Report that a task committed, or that it has nothing to commit."""
        self._failures.pop(task, None)

    def failures(self) -> dict[int, Failure]:
        """The failures of our tasks. A task that is ours and never gets open fails, too."""
        ours = {*self._assigned(), *self._tasks}
        self._failures = {
            task: failure
            for task, failure in self._failures.items()
            if task in ours and (failure.reason != NOT_OPEN or task not in self._tasks)
        }
        for task in ours - self._tasks.keys():
            self._failures.setdefault(task, Failure(time.monotonic(), NOT_OPEN))
        return dict(sorted(self._failures.items()))

    def report(self, task: int, stage: str) -> None:
        self._tasks[task] = stage, time.monotonic()
        self._standing.pop(task, None)

    def stand_still(self, task: int, reason: str) -> None:
        self.report(task, STANDING)
        self._standing[task] = reason

    def forget(self, task: int) -> None:
        self._tasks.pop(task, None)
        self._standing.pop(task, None)

    def routing(self) -> set[int]:
        return {task for task, (stage, _) in self._tasks.items() if stage == ROUTING}

    def hanging(self) -> list[str]:
        """Reasons to restart the process. A task that restores never hangs: a large state takes its time."""
        now = time.monotonic()
        return [
            f"task {task} has done nothing for {now - at:.0f} s"
            for task, (stage, at) in sorted(self._tasks.items())
            if stage != RESTORING and now - at > STUCK_SECONDS
        ]

    def unready(self) -> list[str]:
        """Reasons why this process does not route, or not all of its tasks."""
        failures = self.failures()
        if not self._tasks and not failures:
            return ["no task is assigned to this process: other processes have them all, or the log does not answer"]
        restoring = sorted(task for task, (stage, _) in self._tasks.items() if stage == RESTORING)
        return [
            *(f"task {task} is restoring its state" for task in restoring),
            *(f"task {task} stands still. {reason}" for task, reason in sorted(self._standing.items())),
            *(f"task {task} fails: {failure.reason}" for task, failure in failures.items()),
        ]


class FailingTasks(Collector):
    """For each of our tasks, the seconds since it began to fail."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        text = "Seconds since a task began to fail: it can't be opened or can't commit. 0: it works."
        figure = GaugeMetricFamily("snp_task_failing_seconds", text, labels=["task"])
        failures, now = self._health.failures(), time.monotonic()
        for task in self._health.routing() | failures.keys():
            figure.add_metric([str(task)], now - failures[task].since if task in failures else 0)
        yield figure
