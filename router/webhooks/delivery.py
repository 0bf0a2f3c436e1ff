"""Delivery by webhook: one process follows the registry and the parties' topics and posts each notice to its party.

Only one process at a time works; the log's consumer group ensures that. Each party's progress is written to
`snp.webhooks`, fenced as a task's. Notices posted after the last write are posted again after a crash: at least once,
under the same id.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Any, Final, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from router import codec, topics
from router.background import background
from router.clock import now_milliseconds
from router.decide.registry import Registry
from router.desk.receipts import WEBHOOK_ORDER, WebhookOrder, WebhookRecords, WebhookState, state_output
from router.desk.unread_notices import Alert, alert_for, update_alerts, whom_to_call
from router.engine.administration import read_registry
from router.errors import LogError, TaskMoved, UsageError, first_error
from router.harmless_text import json_line
from router.log.interface import AdministeredLog, Record, Task
from router.model.eastern import MILLISECONDS, iso
from router.model.registry_values import Party
from router.presentation import plain_value
from router.status import LogProbe
from router.webhooks.delivery_schedule import DeliverySchedule, PendingNotice
from router.webhooks.sender import DELIVERED, DOWN, GONE, REFUSED, Outcome, Sender, open_sender
from router.webhooks.signing import signed_headers
from router.webhooks.webhook_settings import WebhookSettings

GROUP: Final = "snp-router-webhooks"
WRITE_SECONDS: Final = 0.5
"""Interval of progress writes; notices of so long are posted again after a crash."""
LOOK_UP_THREADS: Final = 64
"""For name look-ups: a name server that is slow for one party must not delay the others."""
LONGEST_SLEEP_SECONDS: Final = 60.0
NOT_OURS: Final = "another process delivers, or the log does not answer"
OUTCOMES: Final = (DELIVERED, REFUSED, DOWN, GONE)
DISABLED: Final = "WEBHOOK_DISABLED"
ALERT_PREFIX: Final = "webhook:"

_log = structlog.get_logger(__name__)


def wants_webhook(party: Party) -> bool:
    return party.webhook_url is not None and party.status in ("live", "certifying")


class DeliveryStatus(Collector):
    """Health and figures of the process that delivers. Another process may deliver instead: then it has no figures."""

    def __init__(self, log: AdministeredLog) -> None:
        self.registry = CollectorRegistry()
        self.probe = LogProbe(log)
        self.deliveries: Mapping[str, PartyDelivery] = {}
        """By party, while they are ours."""
        self.trouble: str | None = NOT_OURS
        """Why this process does not deliver."""
        self._posts = Counter("snp_webhook_posts", "Posts, by outcome.", ["outcome"], registry=self.registry)
        for outcome in OUTCOMES:
            self._posts.labels(outcome.lower())  # `rate` can't see the first increase of a series
        self.registry.register(self)

    def count(self, outcome: Outcome) -> None:
        self._posts.labels(outcome.kind.lower()).inc()

    def hanging(self) -> list[str]:
        """Empty: every step has a deadline."""
        return []

    def unready(self) -> list[str]:
        return [*([] if self.trouble is None else [self.trouble]), *self.probe.unready()]

    def collect(self) -> Iterator[Metric]:
        failing = GaugeMetricFamily(
            "snp_webhook_failing_seconds",
            "Seconds since a party's endpoint fails; 0: it works.",
            labels=["party"],
        )
        given_up = GaugeMetricFamily(
            "snp_webhook_given_up", "1 if nothing is posted to a party any more, until an operator resumes it.",
            labels=["party"],
        )  # fmt: skip
        for party, delivery in self.deliveries.items() if self.trouble is None else ():
            since = delivery.state.failing_since
            failing.add_metric([party], 0.0 if since is None else max(0, now_milliseconds() - since) / MILLISECONDS)
            given_up.add_metric([party], delivery.state.disabled is not None)
        yield from (failing, given_up)


async def deliver_notices(
    log: AdministeredLog, settings: WebhookSettings, status: DeliveryStatus | None = None
) -> None:
    """Deliver notices until cancelled, and report to `status`. Raises UsageError, FatalLogError."""
    status = status or DeliveryStatus(log)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(LOOK_UP_THREADS, thread_name_prefix="look-up"))
    async with open_sender(settings) as sender:

        async def work(task: Task) -> None:
            try:
                records = WebhookRecords({}, {})
                async for batch in task.restore([topics.WEBHOOKS]):
                    records.apply(batch)
                await DeliveryTask(log, task, records, sender, status).run()
            except LogError as error:
                status.trouble = NOT_OURS if isinstance(error, TaskMoved) else str(error)
                raise
            finally:
                status.trouble = status.trouble or NOT_OURS
                status.deliveries = {}

        async with background("asking the log", status.probe.keep_looking):
            await log.work([topics.WEBHOOKS], work, group=GROUP)


class PartyDelivery:
    """Delivery to one party, from its topic through its schedule to its endpoint."""

    def __init__(
        self, party: Party, state: WebhookState, log: AdministeredLog, sender: Sender, status: DeliveryStatus
    ) -> None:
        self.party = party
        self._log = log
        self._sender = sender
        self._status = status
        self._schedule = DeliverySchedule(state, sender.settings, random.random)
        self._awake = asyncio.Event()
        self._next_offset = state.receipt.begin
        self._is_behind = True
        """The log has notices that were offered while the schedule was full, or before we followed."""
        self._was_offered = False

    @property
    def state(self) -> WebhookState:
        return self._schedule.state

    def obey(self, order: WebhookOrder) -> None:
        self._schedule.obey(paused=order.paused, order_at=order.at)
        self._awake.set()

    def offer(self, record: Record) -> None:
        """Offer a new record of the topic. It is taken if there is room, else read from the log later."""
        self._was_offered = True
        if not self._is_behind and record.offset >= self._next_offset:
            self._is_behind = self._schedule.is_full
            if not self._is_behind:
                self._add(record)
        self._awake.set()

    def read_from_log(self) -> None:
        """Read on from the log: records may have been missed."""
        self._is_behind = self._was_offered = True
        self._awake.set()

    async def run(self) -> None:
        """Run until cancelled; posts in flight are then dropped and made again next time. Raises LogError."""
        async with asyncio.TaskGroup() as posts:
            while True:
                self._awake.clear()
                while self._is_behind and not self._schedule.is_full:
                    await self._read()
                while (pending := self._schedule.next(now_milliseconds())) is not None:
                    posts.create_task(self._try(pending))
                await self._sleep()

    async def _read(self) -> None:
        """Fill the schedule from the log. Records offered meanwhile are not taken, so another read follows."""
        self._was_offered = False
        begin = {(self.party.topic, 0): self._next_offset}
        async with _reading(self._log, [self.party.topic], until_end=True, begin=begin) as reading:
            async for batch in reading:
                for record in batch:
                    if self._schedule.is_full:
                        return
                    self._add(record)
        self._is_behind = self._was_offered

    def _add(self, record: Record) -> None:
        self._schedule.add(record, codec.decode(record.value or b"")[1]["notice_id"])
        self._next_offset = record.offset + 1

    async def _sleep(self) -> None:
        """Wait for a record, an outcome or an order, or until a pause is over."""
        wake_at = self._schedule.wake_at()
        seconds = LONGEST_SLEEP_SECONDS
        if wake_at is not None and wake_at > now_milliseconds():
            seconds = min(seconds, (wake_at - now_milliseconds()) / MILLISECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._awake.wait()

    async def _try(self, pending: PendingNotice) -> None:
        outcome = await self._post(pending)
        self._status.count(outcome)
        before = self.state
        self._schedule.record_outcome(pending, outcome, now_milliseconds())
        after = self.state
        if outcome.kind != DELIVERED and (before.failing_since is None or after.disabled is not None):
            fields = {"party": self.party.id, "outcome": outcome.kind, "detail": outcome.detail}
            _log.warning("webhook_disabled" if after.disabled else "webhook_failed", **fields)
        elif outcome.kind == DELIVERED and before.failing_since is not None:
            _log.info("webhook_works_again", party=self.party.id, after_failures=before.attempts)
        self._awake.set()

    async def _post(self, pending: PendingNotice) -> Outcome:
        assert self.party.webhook_url is not None
        body = body_of(pending.record)
        try:
            secrets = await self._sender.secrets.of(self.party.id)
        except UsageError as error:
            return Outcome(DOWN, str(error))
        headers = signed_headers(pending.notice_id, time.time(), body, secrets)
        return await self._sender.post(self.party.webhook_url, body, headers)


def body_of(record: Record) -> str:
    """Body of every attempt: type, time written, and the notice as in `schemas/hold.avsc`."""
    notice = plain_value(record.value or b"")
    return json_line({"type": f"notice.{notice['kind']}", "timestamp": iso(record.timestamp), "data": notice})


class DeliveryTask:
    """All parties' deliveries, while this process owns the task of `snp.webhooks`."""

    def __init__(
        self, log: AdministeredLog, task: Task, records: WebhookRecords, sender: Sender, status: DeliveryStatus
    ) -> None:
        self._log = log
        self._status = status
        self._task = task
        self._records = records
        self._sender = sender
        self._written = dict(records.states)
        self._deliveries: dict[str, PartyDelivery] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._disabled: frozenset[str] = frozenset()
        self._is_following = asyncio.Event()

    async def run(self) -> None:
        """Raises LogError; whatever fails, the next run begins at what was written."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for work in (self._follow(), self._follow_orders(), self._keep_writing()):
                    group.create_task(work)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        except asyncio.CancelledError:
            with suppress(LogError):  # the outcome is then that of a crash
                await self._write()
            raise

    # Registry and topics

    async def _follow(self) -> None:
        while True:
            place = (await self._log.end_offsets(topics.REGISTRY))[0]
            registry = await read_registry(self._log)
            existing = await self._log.topics()
            parties = {p.id: p for p in registry.parties.values() if wants_webhook(p) and p.topic in existing}
            self._deliver_to(parties)
            await self._follow_topics({party.topic: party_id for party_id, party in parties.items()}, place)

    async def _follow_topics(self, by_topic: dict[str, str], place: int) -> None:
        """Follow until a party changes. Deliveries begin once reading began, so that no record is missed."""
        names = [topics.REGISTRY, *sorted(by_topic)]
        begin = {(topics.REGISTRY, 0): place}
        is_first = True
        async with _reading(self._log, names, from_start=False, begin=begin) as reading:
            async for batch in reading:
                if is_first:
                    is_first = False
                    self._is_following.set()
                    self._status.trouble, self._status.deliveries = None, self._deliveries
                    for delivery in self._deliveries.values():
                        delivery.read_from_log()
                for record in batch:
                    if record.topic != topics.REGISTRY:
                        self._deliveries[by_topic[record.topic]].offer(record)
                if any(record.topic == topics.REGISTRY and record.key.startswith(b"party:") for record in batch):
                    return

    def _deliver_to(self, parties: dict[str, Party]) -> None:
        """Start and stop deliveries so that exactly these parties have one."""
        for party_id in list(self._deliveries):
            if party_id not in parties or self._deliveries[party_id].party != parties[party_id]:
                self._records.states[party_id] = self._stop(party_id)
        for party_id in parties.keys() - self._deliveries.keys():
            self._start(parties[party_id], self._records.states.get(party_id) or WebhookState(party_id))

    def _start(self, party: Party, state: WebhookState) -> None:
        delivery = self._deliveries[party.id] = PartyDelivery(party, state, self._log, self._sender, self._status)
        if (order := self._records.orders.get(party.id)) is not None and order.at > state.order_at:
            if order.replay_from is None:
                delivery.obey(order)  # before the first post
            else:
                self._group.create_task(self._follow_order(order))
        self._running[party.id] = self._group.create_task(self._run(delivery), name=f"webhook {party.id}")
        _log.info("webhook_followed", party=party.id, begin=state.receipt.begin)

    async def _run(self, delivery: PartyDelivery) -> None:
        await self._is_following.wait()
        await delivery.run()

    def _stop(self, party_id: str) -> WebhookState:
        """Stop a delivery; posts in flight count as not delivered."""
        self._running.pop(party_id).cancel()
        return self._deliveries.pop(party_id).state

    # Orders

    async def _follow_orders(self) -> None:
        position: dict[str, int] = {}
        while True:
            for record in await self._task.poll(position, 1000, 1.0):
                position[record.topic] = record.offset + 1
                if record.value is not None and WEBHOOK_ORDER.is_of(record.value):
                    self._records.apply([record])
                    await self._follow_order(self._records.orders[record.key.decode().partition(":")[2]])

    async def _follow_order(self, order: WebhookOrder) -> None:
        delivery = self._deliveries.get(order.party)
        if delivery is None or order.at <= delivery.state.order_at:
            return
        if order.replay_from is not None:
            first = await self._first_since(delivery.party.topic, order.replay_from)
            if self._deliveries.get(order.party) is not delivery:  # its party changed meanwhile
                return
            state = self._stop(order.party)
            begin = state.receipt.begin if first is None else min(first, state.receipt.begin)
            self._start(delivery.party, state._replace(taken_to=begin, open=(), refused=(), order_at=order.at))
        self._deliveries[order.party].obey(order)

    async def _first_since(self, topic: str, since: int) -> int | None:
        async with _reading(self._log, [topic], until_end=True) as reading:
            async for batch in reading:
                for record in batch:
                    if record.timestamp >= since:
                        return record.offset
        return None

    # Progress

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write()

    async def _write(self) -> None:
        states = self._records.states | {party_id: delivery.state for party_id, delivery in self._deliveries.items()}
        changed = {party_id: state for party_id, state in states.items() if self._written.get(party_id) != state}
        if changed:
            await self._task.commit([state_output(state) for state in changed.values()])
            self._written |= changed
        disabled = frozenset(party_id for party_id, state in states.items() if state.disabled is not None)
        if disabled != self._disabled:
            registry = await read_registry(self._log)
            alerts = _alerts((states[party_id] for party_id in disabled), registry)
            await update_alerts(self._log, ALERT_PREFIX, alerts, now_milliseconds())
            self._disabled = disabled


def _reading(log: AdministeredLog, names: Sequence[str], **how: Any) -> aclosing[AsyncGenerator[list[Record]]]:
    """Read topics, and close the reader on leaving."""
    return aclosing(cast(AsyncGenerator[list[Record]], log.read(names, **how)))


def _alerts(states: Iterable[WebhookState], registry: Registry) -> list[Alert]:
    alerts = []
    for state in states:
        if (party := registry.parties.get(state.party)) is not None:
            text = f"{state.party} gets no notices by webhook: {state.disabled}; {whom_to_call(party)}"
            since = state.last_error_at or now_milliseconds()
            alerts.append(alert_for(party, f"{ALERT_PREFIX}{state.party}", DISABLED, since, now_milliseconds(), text))
    return alerts
