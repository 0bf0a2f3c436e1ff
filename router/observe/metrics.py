"""The figures a router counts, named after Prometheus' conventions: base units, `_total` for what only grows.

Everything is counted once a transaction, so an event costs next to nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from router.codec import NOTICE_KINDS
from router.model.eastern import MILLISECONDS
from router.model.vocabulary import Counted

LATENCY_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)
"""From a quiet hour's milliseconds to a day's backlog. Seconds."""

TRANSACTION_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

COMMITTED: Final = "committed"
DESTINATION_MISSING: Final = "destination_missing"
RETRIED: Final = "retried"
MOVED: Final = "moved"
OUTCOMES: Final = (COMMITTED, DESTINATION_MISSING, RETRIED, MOVED)


class Metrics:
    """One set of figures, with a registry of its own, so that two routers in one process don't mix theirs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = self._counter("snp_events", "Events routed: new ones and repeated ones.", "outcome")
        self._notices = self._counter("snp_notices", "Notices written, by kind.", "kind")
        self._dead_letters = self._counter("snp_dead_letters", "Dead letters written.")
        self._transactions = self._counter("snp_transactions", "Transactions, by how they ended.", "outcome")
        self._transaction_seconds = Histogram(
            "snp_transaction_duration_seconds",
            "From the first decision of a transaction until it is committed.",
            buckets=TRANSACTION_BUCKETS,
            registry=self.registry,
        )
        self._latency = Latencies()
        self.registry.register(self._latency)
        self._lag = self._gauge(
            "snp_task_lag_records", "Records of an input that a task has yet to read.", "task", "topic"
        )
        self._restore = self._gauge("snp_task_restore_seconds", "What the latest restoring of a task took.", "task")
        self._bills = self._gauge("snp_open_bills", "Bills on a task's ledger.", "task")
        self._start_at_zero()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _start_at_zero(self) -> None:
        """A series that begins at its first increase hides that increase from `rate`."""
        for outcome in ("new", "repeated"):
            self._events.labels(outcome)
        for kind in NOTICE_KINDS:
            self._notices.labels(kind)
        for outcome in OUTCOMES:
            self._transactions.labels(outcome)

    def counted(self, tally: Mapping[Counted, int]) -> None:
        """What committed transactions did, as `Shard.tally` counts it."""
        self._events.labels("new").inc(tally.get("events", 0))
        self._events.labels("repeated").inc(tally.get("repeated", 0))
        self._dead_letters.inc(tally.get("dead letters", 0))
        for kind in NOTICE_KINDS:
            self._notices.labels(kind).inc(tally.get(kind, 0))

    def transaction(self, outcome: str, seconds: float | None = None) -> None:
        """`outcome` is one of OUTCOMES; `seconds` for a committed one."""
        self._transactions.labels(outcome).inc()
        if seconds is not None:
            self._transaction_seconds.observe(seconds)

    def latencies(self, arrived: Iterable[int], now: int) -> None:
        """For events that arrived at those moments and are told of `now`, both in UTC milliseconds."""
        self._latency.observe(arrived, now)

    def restored(self, task: int, seconds: float) -> None:
        self._restore.labels(str(task)).set(seconds)

    def bills(self, task: int, count: int) -> None:
        self._bills.labels(str(task)).set(count)

    def lag(self, task: int, topic: str, records: int) -> None:
        self._lag.labels(str(task), topic).set(records)

    def let_go(self, task: int, topics: Iterable[str]) -> None:
        """Another process has the task now and shows its figures."""
        for gauge in (self._restore, self._bills):
            _forget(gauge, str(task))
        for topic in topics:
            _forget(self._lag, str(task), topic)


class Latencies(Collector):
    """A histogram that takes a whole transaction at a time: a thousand events have few moments of arrival."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, arrived: Iterable[int], now: int) -> None:
        for moment, count in Tally(arrived).items():
            seconds = max(0, now - moment) / MILLISECONDS
            self._counts[bisect_left(LATENCY_BUCKETS, seconds)] += count
            self._sum += seconds * count

    def collect(self) -> Iterator[Metric]:
        bounds = [*map(str, LATENCY_BUCKETS), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        text = "From an event's arrival on the log until its notices are committed."
        yield HistogramMetricFamily("snp_end_to_end_latency_seconds", text, buckets, self._sum)


def _forget(gauge: Gauge, *labels: str) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return  # it had not come so far
