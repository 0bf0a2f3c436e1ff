"""The console's work behind its pages: following the log into the index, and refreshing the figures for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from router import topics
from router.clock import growing_pauses, now_milliseconds
from router.codec.packed import BILL_STATE
from router.console.live_notices import LiveNotices
from router.console.sessions import LoginSessions
from router.decide.bill_state import assess_bill
from router.decide.registry import Registry
from router.decide.rules import Rules, UnknownRules
from router.desk.bill_index import FOLLOWED, BillIndex
from router.desk.bill_views import BillView, NotFoundError, view_of
from router.desk.index_following import BATCH, IndexProgress, begin_following
from router.desk.index_records import IndexedEntry
from router.desk.unconfirmed_releases import NO_UNCONFIRMED, UnconfirmedReleases, month_before
from router.desk.unread_notices import UnreadNotices, read_unread
from router.errors import LogError, first_error
from router.log.interface import AdministeredLog, Record
from router.model.eastern import MILLISECONDS
from router.model.registry_values import DECLARED, SILENT, Outage
from router.task.input_records import apply_registry_record

REFRESH_SECONDS: Final = 15.0
"""Most notices are read within seconds, so a shorter interval would only count those."""

RULES_SECONDS: Final = 0.1
"""Between two looks for rules that the registry has and the console has not read yet."""

OUTAGE_KINDS: Final = (DECLARED, SILENT)

_log = structlog.get_logger(__name__)


class Follower:
    """Copies the log into the index and to open browsers. While the log is unreachable, it retries."""

    def __init__(self, log: AdministeredLog, rules: Rules, index: BillIndex, live: LiveNotices) -> None:
        """`rules` are in force until the registry has its first."""
        self.registry = Registry()
        self.rules = rules
        self.outages: dict[str, Outage] = {}
        """All outages by id; the registry keeps only open ones."""
        self.caught_up = asyncio.Event()
        """Set once the index holds all records that were on the log at the start."""
        self.progress: IndexProgress | None = None
        """Progress of the index towards the log's end; None once it is there."""
        self.trouble: str | None = None
        """The reason why no new records arrive."""
        self._log, self._index, self._live = log, index, live

    def hanging(self) -> list[str]:
        """Empty: a failed step is retried, so the console never needs a restart."""
        return []

    def unready(self) -> list[str]:
        reasons = [] if self.caught_up.is_set() else ["the index is being built"]
        return reasons if self.trouble is None else [*reasons, self.trouble]

    async def run(self) -> None:
        """Follow the log until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._retrying(self._follow_registry))
                group.create_task(self._retrying(self._follow_bills))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _retrying(self, follow: Callable[[], Awaitable[None]]) -> None:
        pauses = growing_pauses(0.5, 30)
        while True:
            try:
                await follow()
            except LogError as error:
                self.trouble = str(error)
                pause = next(pauses)
                _log.warning("console_cut_off", reason=str(error), again_in_seconds=pause)
                await asyncio.sleep(pause)

    async def _follow_registry(self) -> None:
        registry, outages = Registry(), dict[str, Outage]()
        async for batch in self._log.read([topics.REGISTRY]):
            for record in batch:
                value = apply_registry_record(registry, record)
                if isinstance(value, Outage):
                    outages[value.id] = value
            self.registry, self.outages = registry, outages
            self.rules = registry.rules or self.rules

    async def _follow_bills(self) -> None:
        progress = await begin_following(self._log, self._index)
        if progress.is_anew:
            _log.warning("console_index_begun_anew", reason="the index was built from another log")
        if not progress.begin:
            self.caught_up.clear()
        self.progress = progress
        await self._index_batches(self._log.read(FOLLOWED, begin=progress.begin, until_end=True))
        self.progress = None
        self.caught_up.set()
        await self._index_batches(self._log.read(FOLLOWED, begin=await self._index.positions()))

    async def _index_batches(self, batches: AsyncIterator[list[Record]]) -> None:
        async for batch in batches:
            self.trouble = None
            for start in range(0, len(batch), BATCH):
                records = batch[start : start + BATCH]
                entries = await self._write(records)
                if self.progress is not None:
                    self.progress.advance(records)
                if self.caught_up.is_set():
                    self._live.publish(entries)

    async def _write(self, records: Sequence[Record]) -> list[IndexedEntry]:
        """Index the records, if need be once the registry is read up to the rules under which they came."""
        while True:
            try:
                return await self._index.write_records(records, self.rules)
            except UnknownRules:
                await asyncio.sleep(RULES_SECONDS)


@dataclass
class Backend:
    """Everything that the pages and actions use."""

    log: AdministeredLog
    index: BillIndex
    live: LiveNotices
    follower: Follower
    sessions: LoginSessions
    unconfirmed: UnconfirmedReleases = NO_UNCONFIRMED
    """Refreshed like `unread`."""
    unread: list[UnreadNotices] = field(default_factory=list)
    """Unread notices of each live party, the party with the oldest stop first; refreshed every 15 s."""
    unread_unknown: str | None = "the index is being built"
    """Why `unread` is not up to date, if it is not."""

    @property
    def registry(self) -> Registry:
        return self.follower.registry

    @property
    def rules(self) -> Rules:
        return self.follower.rules

    async def bill(self, key: str) -> BillView:
        """The bill as the index has it. Raises NotFoundError."""
        value = await self.index.state(key)
        if value is None:
            raise NotFoundError(f"no bill {key} has been routed yet: check the number, or use the search")
        bill = assess_bill(BILL_STATE.decode(value), self.rules)
        return view_of(bill, self.registry, await self.index.history(key))


class ConsoleFigures:
    """Gauges for Prometheus. None of them names a bill."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.waiting = self._gauge("snp_waiting_bills", "Bills with a recipient that can't be notified.", "do_not_load")
        self.letters = self._gauge("snp_dead_letters_waiting", "Unresolved dead letters.")
        self.outages = self._gauge("snp_open_outages", "Open outages.", "kind")
        self.silence = self._gauge("snp_feed_silence_seconds", "Seconds since a feed's last event.", "feed", "port")
        self.unread = self._gauge("snp_unread_do_not_loads", "Do-not-loads that a party has not read.", "party")
        self.unread_unknown = self._gauge("snp_unread_unknown", "1 if what a party has read is unknown.", "party")
        self.unread_age = self._gauge(
            "snp_unread_do_not_load_age_seconds", "Age of a party's oldest unread do-not-load.", "party"
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    async def refresh(self, backend: Backend) -> None:
        """Set the gauges from the backend's index and registry."""
        counts, now = await backend.index.counts(), now_milliseconds()
        stopped = counts["waiting_do_not_load"]
        self.waiting.labels("true").set(stopped)
        self.waiting.labels("false").set(counts["waiting"] - stopped)
        self.letters.set(counts["letters"])
        for kind in OUTAGE_KINDS:
            outages = backend.follower.outages.values()
            self.outages.labels(kind).set(sum(one.kind == kind and one.ended_at is None for one in outages))
        for (feed, port), at in backend.registry.feed_activity.items():
            self.silence.labels(feed, port or "").set(max(0, now - at) / MILLISECONDS)

    def refresh_unread(self, backend: Backend) -> None:
        """Set the gauges of what parties have read. Where that is unknown, the number has no sample."""
        now = now_milliseconds()
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


async def keep_refreshed(backend: Backend, figures: ConsoleFigures) -> None:
    """Refresh unread notices and figures until cancelled. While the log is unreachable, the last values stay, except
    that what parties have read is unknown."""
    while not backend.follower.caught_up.is_set():
        figures.refresh_unread(backend)
        with suppress(TimeoutError):
            await asyncio.wait_for(backend.follower.caught_up.wait(), REFRESH_SECONDS)
    while True:
        try:
            backend.unread = await read_unread(backend.log, backend.registry)
            backend.unread_unknown = None
            await backend.index.write_unread(backend.unread)
            backend.unconfirmed = await backend.index.unconfirmed(month_before(backend.registry))
            await figures.refresh(backend)
        except LogError as error:
            backend.unread_unknown = str(error)
            _log.warning("console_cut_off", reason=str(error), again_in_seconds=REFRESH_SECONDS)
        figures.refresh_unread(backend)
        await asyncio.sleep(REFRESH_SECONDS)
