"""The console's work behind its pages: following the log into the index, and refreshing the figures for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from router import topics
from router.clock import growing_pauses, now_milliseconds
from router.codec.packed import BILL_STATE
from router.console.live_stream import LiveStream
from router.console.sessions import LoginSessions
from router.decide.bill_state import assess_bill
from router.decide.registry import Registry
from router.decide.rules import Rules, UnknownRules
from router.desk.bill_index import FOLLOWED, BillIndex, LastCommit
from router.desk.bill_views import BillView, NotFoundError, view_of
from router.desk.index_following import BATCH, IndexProgress, begin_following
from router.desk.index_notices import IndexedEntry
from router.desk.lost_inputs import gaps_of
from router.desk.unconfirmed_releases import UnconfirmedReleases, month_before
from router.desk.unread_notices import UnreadNotices, read_unread
from router.engine.feed_silence import SilenceLimit
from router.errors import LogError, RouterError, TaskRetry, first_error
from router.log.interface import AdministeredLog, Record
from router.model.eastern import DAY, MILLISECONDS
from router.model.registry_values import DECLARED, SILENT, FeedActivity, Outage, Party, Sailing
from router.status import CutOff, LogProbe
from router.task.input_records import apply_registry_record

REFRESH_SECONDS = 15.0
"""Most notices are read within seconds, so a shorter interval would only count those."""
LONGEST_REFRESH_SECONDS: Final = 60.0
"""Figures are unknown after so long without a refresh."""

RULES_SECONDS: Final = 0.1
"""Between two looks for rules that the registry has and the console has not read yet."""

OUTAGE_KINDS: Final = (DECLARED, SILENT)

SILENT_SECONDS: Final = 180.0
"""Each task commits once a minute, at the registry's tick. One without a commit for so long does not route."""
READER: Final = ("registry", "bills")
"""The parts of the follower, each of which can be cut off."""

BEING_BUILT: Final = "the index is being built"
REGISTRY_UNREAD: Final = "the registry is being read"

_log = structlog.get_logger(__name__)


class Follower:
    """Copies the log into the index and to open browsers. While the log is unreachable, it retries."""

    def __init__(self, log: AdministeredLog, rules: Rules, index: BillIndex, live: LiveStream) -> None:
        """`rules` are in force until the registry has its first."""
        self.registry = Registry()
        self.rules = rules
        self.outages: dict[str, Outage] = {}
        """All outages by id; the registry keeps only open ones."""
        self.heard: dict[tuple[str, str | None], list[int]] = {}
        """By feed and port, times of messages in the last day, a minute apart at least. Compaction keeps the latest."""
        self.heard_since: int | None = None
        """The time from which `heard` is complete, UTC milliseconds."""
        self.caught_up = asyncio.Event()
        """Set once the index holds all records that were on the log at the start."""
        self.progress: IndexProgress | None = None
        """Progress of the index towards the log's end; None once it is there."""
        self.knows_registry = asyncio.Event()
        """Set once the registry is read to its end."""
        self._read_at = dict.fromkeys(READER, now_milliseconds())
        self._failures: dict[str, CutOff] = {}
        self._as_of: dict[str, int] = {}
        """By part, the time up to which everything is known."""
        self._log, self._index, self._live = log, index, live

    @property
    def cut_off(self) -> CutOff | None:
        """Since when, and why, no new records arrive."""
        return min(self._failures.values(), default=None)

    @property
    def as_of(self) -> int | None:
        """The time up to which everything on the log is known, UTC milliseconds; None until it is read once."""
        return min(self._as_of.values()) if len(self._as_of) == len(READER) and self.caught_up.is_set() else None

    def hanging(self) -> list[str]:
        """Empty: a failed step is retried, so the console never needs a restart."""
        return []

    def unready(self) -> list[str]:
        reasons = [] if self.caught_up.is_set() else [BEING_BUILT]
        reasons += [] if self.knows_registry.is_set() else [REGISTRY_UNREAD]
        return reasons if self.cut_off is None else [*reasons, self.cut_off.reason]

    async def run(self) -> None:
        """Follow the log until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._retrying("registry", self._follow_registry))
                group.create_task(self._retrying("bills", self._follow_bills))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _retrying(self, part: str, follow: Callable[[], Awaitable[None]]) -> None:
        pauses = growing_pauses(0.5, 30)
        while True:
            try:
                await follow()
            except LogError as error:
                self._failures[part] = CutOff(self._read_at[part], str(error))
                pause = next(pauses)
                _log.warning("console_cut_off", reason=str(error), again_in_seconds=pause)
                await asyncio.sleep(pause)

    def _has_read(self, part: str, batch: Sequence[Record]) -> None:
        """Note a batch. Without records all is read; else all is up to the partition whose newest record is oldest."""
        now, newest = now_milliseconds(), dict[tuple[str, int], int]()
        for record in batch:
            place = (record.topic, record.partition)
            newest[place] = max(newest.get(place, 0), record.timestamp)
        self._read_at[part] = now
        self._failures.pop(part, None)
        known = min(self._as_of.get(part, 0), now)  # later only by a clock that was set back since
        self._as_of[part] = max(min(now, *newest.values()) if newest else now, known)

    async def _follow_registry(self) -> None:
        """Read the registry, then follow it. The earlier state stays in place until all of it is read anew."""
        registry, outages, offset = Registry(), dict[str, Outage](), 0

        def apply(batch: list[Record]) -> bool:
            """True if a party, a sailing or an outage changed."""
            nonlocal offset
            has_changed = False
            for record in batch:
                value = apply_registry_record(registry, record)
                offset = record.offset + 1
                has_changed |= isinstance(value, Party | Sailing | Outage)
                if isinstance(value, Outage):
                    outages[value.id] = value
                elif isinstance(value, FeedActivity):
                    self._note_heard(value)
            return has_changed

        began = now_milliseconds()
        async for batch in self._log.read([topics.REGISTRY], until_end=True):
            apply(batch)
        self.registry, self.outages = registry, outages
        await self._index.write_registry(registry, outages.values())
        self.rules = registry.rules or self.rules
        self._as_of["registry"] = began
        self.heard_since = began
        self.knows_registry.set()
        async for batch in self._log.read([topics.REGISTRY], begin={(topics.REGISTRY, 0): offset}):
            if apply(batch):
                await self._index.write_registry(registry, outages.values())
            self.rules = registry.rules or self.rules
            self._has_read("registry", batch)
            if batch:
                self._live.publish()

    def _note_heard(self, activity: FeedActivity) -> None:
        times = self.heard.setdefault((activity.feed, activity.port), [])
        kept = [at for at in times if activity.at - DAY <= at < activity.at]
        times[:] = [*kept, activity.at]

    async def _follow_bills(self) -> None:
        progress = await begin_following(self._log, self._index)
        if progress.is_anew:
            _log.warning("console_index_begun_anew", reason="the index was built from another log")
        if not progress.begin:
            self.caught_up.clear()
        if self.knows_registry.is_set():
            await self._index.write_registry(self.registry, self.outages.values())
        self.progress = progress
        began = now_milliseconds()
        await self._index_batches(self._log.read(FOLLOWED, begin=progress.begin, until_end=True))
        self.progress = None
        self._as_of["bills"] = began
        self.caught_up.set()
        self._live.publish()
        await self._index_batches(self._log.read(FOLLOWED, begin=await self._index.positions()))

    async def _index_batches(self, batches: AsyncIterator[list[Record]]) -> None:
        async for batch in batches:
            for start in range(0, len(batch), BATCH):
                records = batch[start : start + BATCH]
                entries = await self._write(records)
                if self.progress is not None:
                    self.progress.advance(records)
                self._live.publish(entries if self.caught_up.is_set() else ())
            self._has_read("bills", batch)

    async def _write(self, records: Sequence[Record]) -> list[IndexedEntry]:
        """Index the records, if need be once the registry is read up to the rules under which they came."""
        while True:
            try:
                return await self._index.write_records(records, self.rules)
            except UnknownRules:
                await asyncio.sleep(RULES_SECONDS)


class SilentPartition(NamedTuple):
    """A partition for which no router commits anything."""

    partition: int
    since: int | None
    """Its last commit, by the router's clock, UTC milliseconds. None: it never had one."""
    reason: str | None = None
    """The cause, if the log names one."""


class Commits:
    """The age of each partition's last commit. Only the first look relies on the router's clock."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int | None, float]] = {}
        """By partition, its last commit, and when that was new by `time.monotonic`."""

    def look(self, partitions: Iterable[int], last: Mapping[int, LastCommit], now: int) -> None:
        """Note the partitions' last commits; `now` is in UTC milliseconds."""
        before, monotonic = self._seen, time.monotonic()
        self._seen = {}
        for partition in partitions:
            at = last[partition].at if partition in last else None
            if partition in before and before[partition][0] == at:
                self._seen[partition] = before[partition]
            elif partition in before:
                self._seen[partition] = at, monotonic
            else:
                self._seen[partition] = at, monotonic - (max(0, now - at) / MILLISECONDS if at else SILENT_SECONDS)

    def ages(self) -> dict[int, float]:
        """Seconds since the last commit, by partition."""
        now = time.monotonic()
        return {partition: now - since for partition, (_, since) in self._seen.items()}

    def silent(self) -> list[SilentPartition]:
        ages = self.ages()
        return [SilentPartition(one, at) for one, (at, _) in self._seen.items() if ages[one] >= SILENT_SECONDS]


@dataclass
class Backend:
    """Everything that the pages and actions use."""

    log: AdministeredLog
    index: BillIndex
    live: LiveStream
    follower: Follower
    sessions: LoginSessions
    probe: LogProbe
    limits: Sequence[SilenceLimit] = ()
    """The longest usual silences of feeds."""
    commits: Commits = field(default_factory=Commits)
    """Looked at like `unread`."""
    silent: Sequence[SilentPartition] = ()
    """Partitions that nobody routes, each with the reason if the log tells one. Refreshed like `unread`."""
    unconfirmed: UnconfirmedReleases | None = None
    """Refreshed like `unread`; None until then."""
    unread: list[UnreadNotices] = field(default_factory=list)
    """Unread notices of each live party, the party with the oldest stop first; refreshed every 15 s."""
    unread_unknown: str | None = BEING_BUILT
    """Why `unread` is not up to date, if it is not."""
    unread_as_of: int | None = None
    """The time up to which `unread` is known, UTC milliseconds."""

    @property
    def as_of(self) -> int | None:
        """The time up to which everything on a page is known, UTC milliseconds. If `unread_unknown`, pages say that."""
        followed = self.follower.as_of
        if followed is None:
            return None
        times = [followed]
        if self.unread_unknown is None and self.unread_as_of is not None:
            times.append(self.unread_as_of)
        if self.cut_off is not None:
            times.append(self.cut_off.since)
        return min(times)

    @property
    def unread_do_not_loads(self) -> int | None:
        """The number of do-not-loads that some party has not read, each counted for each; None if unknown."""
        return None if self.unread_unknown else sum(len(one.do_not_loads) for one in self.unread)

    @property
    def cut_off(self) -> CutOff | None:
        """Since when, and why, nothing new is known."""
        return min((one for one in (self.follower.cut_off, self.probe.cut_off) if one is not None), default=None)

    @property
    def unknown(self) -> str | None:
        """Why what the index and the registry hold is not all that is on the log."""
        if self.cut_off is not None:
            return self.cut_off.reason
        return next(iter(self.follower.unready()), None)

    def not_found(self, text: str) -> RouterError:
        """The error for what is neither in the index nor in the registry, though it may be on the log."""
        return NotFoundError(text) if self.unknown is None else TaskRetry(f"not known: {self.unknown}")

    def hanging(self) -> list[str]:
        return self.follower.hanging()

    def unready(self) -> list[str]:
        return [*self.follower.unready(), *self.probe.unready()]

    @property
    def registry(self) -> Registry:
        return self.follower.registry

    @property
    def rules(self) -> Rules:
        return self.follower.rules

    async def bill(self, key: str) -> BillView:
        """The bill as the index has it. Raises NotFoundError, or TaskRetry if the index does not have all bills."""
        value = await self.index.state(key)
        if value is None:
            raise self.not_found(f"no bill {key} has been routed yet: check the number, or use the search")
        bill = assess_bill(BILL_STATE.decode(value), self.rules)
        return view_of(bill, self.registry, await self.index.history(key))


class ConsoleFigures(Collector):
    """Gauges for Prometheus. None of them names a bill. Of what is unknown there is no sample."""

    def __init__(self, backend: Backend) -> None:
        self.registry = CollectorRegistry()
        """The figures to show."""
        self._backend = backend
        self._known = CollectorRegistry()
        """The figures that mean something only while the log is read."""
        known = self._known
        self.waiting = _gauge(
            known, "snp_waiting_bills", "Bills with a recipient that can't be notified.", "do_not_load"
        )
        self.letters = _gauge(known, "snp_dead_letters_waiting", "Unresolved dead letters.")
        self.outages = _gauge(known, "snp_open_outages", "Open outages.", "kind")
        self.silence = _gauge(known, "snp_feed_silence_seconds", "Seconds since a feed's last event.", "feed", "port")
        self._is_refreshed = False
        self.unread = _gauge(
            self.registry, "snp_unread_do_not_loads", "Do-not-loads that a party has not read.", "party"
        )
        self.unread_unknown = _gauge(
            self.registry, "snp_unread_unknown", "1 if what a party has read is unknown.", "party"
        )
        self.unread_age = _gauge(
            self.registry, "snp_unread_do_not_load_age_seconds", "Age of a party's oldest unread do-not-load.", "party"
        )
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        is_known = self._is_refreshed and self._backend.unknown is None
        yield GaugeMetricFamily(
            "snp_console_unknown", "1 if the console's figures are unknown: it does not read the log.", not is_known
        )
        if is_known:
            ages = GaugeMetricFamily(
                "snp_partition_commit_age_seconds", "Seconds since a partition's last commit.", labels=["partition"]
            )
            for partition, age in self._backend.commits.ages().items():
                ages.add_metric([str(partition)], age)
            yield ages
            yield from self._known.collect()

    def set_known(self, *, are_known: bool = True) -> None:
        """Note whether the figures are those of the log."""
        self._is_refreshed = are_known

    async def refresh(self) -> None:
        """Set the gauges from the backend's index and registry. Raises LogError."""
        backend = self._backend
        counts, now = await backend.index.counts(), now_milliseconds()
        stopped = counts["waiting_do_not_load"]
        self.waiting.labels("true").set(stopped)
        self.waiting.labels("false").set(counts["waiting"] - stopped)
        self.letters.set(counts["letters"])
        for kind in OUTAGE_KINDS:
            outages = backend.follower.outages.values()
            self.outages.labels(kind).set(sum(one.kind == kind and one.ended_at is None for one in outages))
        self.silence.clear()
        for (feed, port), at in backend.registry.feed_activity.items():
            self.silence.labels(feed, port or "").set(max(0, now - at) / MILLISECONDS)
        self.set_known()

    def refresh_unread(self) -> None:
        """Set the gauges of what parties have read. Where that is unknown, the number has no sample."""
        backend, now = self._backend, now_milliseconds()
        for gauge in (self.unread, self.unread_age, self.unread_unknown):
            gauge.clear()
        for party in backend.registry.parties.values():
            if party.status == "live":
                self.unread_unknown.labels(party.id).set(1)
        for unread in backend.unread if backend.unread_unknown is None else ():
            stops = unread.do_not_loads
            age = max((stop.age(now) for stop in stops), default=0)
            if unread.is_known:
                self.unread_unknown.labels(unread.party.id).set(0)
                self.unread.labels(unread.party.id).set(len(stops))
            if unread.is_known or stops:
                self.unread_age.labels(unread.party.id).set(max(0, age) / MILLISECONDS)


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=registry)


async def keep_refreshed(backend: Backend, figures: ConsoleFigures) -> None:
    """Refresh unread notices, silent partitions and figures until cancelled. While the log is unreachable, they are
    unknown."""
    while not backend.follower.caught_up.is_set():
        figures.refresh_unread()
        with suppress(TimeoutError):
            await asyncio.wait_for(backend.follower.caught_up.wait(), REFRESH_SECONDS)
    while True:
        try:
            async with asyncio.timeout(LONGEST_REFRESH_SECONDS):
                await _refresh(backend, figures)
        except (LogError, TimeoutError) as error:
            reason = str(error) or f"the log did not answer within {LONGEST_REFRESH_SECONDS:.0f} s"
            backend.unread_unknown = reason
            figures.set_known(are_known=False)
            _log.warning("console_cut_off", reason=reason, again_in_seconds=REFRESH_SECONDS)
        figures.refresh_unread()
        backend.live.publish()
        await asyncio.sleep(REFRESH_SECONDS)


async def _refresh(backend: Backend, figures: ConsoleFigures) -> None:
    """Raises LogError."""
    if backend.probe.cut_off is not None:
        raise TaskRetry(backend.probe.cut_off.reason)
    last = await backend.index.last_commits()
    backend.commits.look(range(backend.probe.partitions[topics.BILLS]), last, now_milliseconds())
    silent = backend.commits.silent()
    lost = await _lost(backend.log, {one.partition: last[one.partition] for one in silent if one.since is not None})
    backend.silent = [one._replace(reason=lost.get(one.partition)) for one in silent]
    backend.unconfirmed = await backend.index.unconfirmed(month_before(backend.registry))
    await figures.refresh()
    began = now_milliseconds()
    backend.unread = await read_unread(backend.log, backend.registry, await backend.index.read_positions())
    backend.unread_as_of, backend.unread_unknown = began, None
    await backend.index.write_unread(backend.unread)
    await backend.index.write_observations(backend.unread, began)


async def _lost(log: AdministeredLog, last: Mapping[int, LastCommit]) -> dict[int, str]:
    """By partition, what was deleted before it was read. Raises LogError."""
    gaps = await gaps_of(log, {one: commit.position for one, commit in last.items()}) if last else []
    return {
        gap.task: f"records of {gap.topic} were deleted before they were read (`snp-router lost-input list`)"
        for gap in gaps
    }
