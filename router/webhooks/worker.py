"""`snp-router webhooks run`: follows the registry and the parties' topics, and keeps a delivery going for each webhook.

One process at a time works (the log's group sees to that); how far each party is, is written to `snp.webhooks` with the
task's fence. What was posted and not written yet when a process dies is posted again: at least once, under the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Final, cast

import structlog

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.registry import Registry
from router.desk.alerts import Alert, alert_for, settle_alerts
from router.desk.receipts import whom_to_call
from router.desk.webhooks import Known, WebhookOrder, WebhookState, state_output
from router.engine.administration import read_registry
from router.errors import LogError
from router.log.interface import AdministeredLog, Record, Task
from router.model.registry_values import Party
from router.webhooks.delivery import Delivery
from router.webhooks.secrets import Secrets
from router.webhooks.sender import Sender, open_sender
from router.webhooks.settings import WebhookSettings

GROUP: Final = "snp-router-webhooks"
KEPT_SECONDS: Final = 0.5
"""How often it is written how far the parties are: so much is posted again after a crash."""
LOOK_UP_THREADS: Final = 64
"""For looking up names: a server of names that is slow for one party must not hold up the others."""
DISABLED: Final = "WEBHOOK_DISABLED"
PREFIX: Final = "webhook:"

_log = structlog.get_logger(__name__)


def wants_webhook(party: Party) -> bool:
    return party.webhook_url is not None and party.status in ("live", "certifying")


class Webhooks:
    def __init__(self, log: AdministeredLog, settings: WebhookSettings) -> None:
        self._log = log
        self._settings = settings
        self._secrets = Secrets(settings)

    async def run(self) -> None:
        """Until cancelled. Raises UsageError, FatalLogError."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(LOOK_UP_THREADS, thread_name_prefix="look-up"))
        async with open_sender(self._settings) as sender:

            async def work(task: Task) -> None:
                known = Known({}, {})
                async for batch in task.restore([topics.WEBHOOKS]):
                    known.take_in(batch)
                await Turn(self._log, task, known, sender, self._secrets, self._settings).run()

            await self._log.work([topics.WEBHOOKS], work, group=GROUP)


class Turn:
    """From when the work is ours until it is not."""

    def __init__(
        self,
        log: AdministeredLog,
        task: Task,
        known: Known,
        sender: Sender,
        secrets: Secrets,
        settings: WebhookSettings,
    ) -> None:
        self._log = log
        self._task = task
        self._known = known
        self._parts = (sender, secrets, settings)
        self._written = dict(known.states)
        self._deliveries: dict[str, Delivery] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._disabled: frozenset[str] = frozenset()
        self._is_following = asyncio.Event()

    async def run(self) -> None:
        """Raises LogError: whatever fails, all starts again from what was written."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for work in (self._follow(), self._hear_orders(), self._keep_writing()):
                    group.create_task(work)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        except asyncio.CancelledError:
            with suppress(LogError):  # then as after a crash
                await self._write()
            raise

    # Following the log

    async def _follow(self) -> None:
        while True:
            place = (await self._log.end_offsets(topics.REGISTRY))[0]
            registry = await read_registry(self._log)
            there = await self._log.topics()
            parties = {p.scac: p for p in registry.parties.values() if wants_webhook(p) and p.topic in there}
            self._keep(parties)
            by_topic = {party.topic: scac for scac, party in parties.items()}
            await self._follow_topics(by_topic, place)

    async def _follow_topics(self, by_topic: dict[str, str], place: int) -> None:
        """Until the registry changes. Deliveries begin when the reading does: nothing falls between the two."""
        names = [topics.REGISTRY, *sorted(by_topic)]
        begin = {(topics.REGISTRY, 0): place}
        reading = cast(AsyncGenerator[list[Record]], self._log.read(names, from_start=False, begin=begin))
        is_first = True
        async with aclosing(reading):
            async for batch in reading:
                if is_first:
                    is_first = False
                    self._is_following.set()
                    for delivery in self._deliveries.values():
                        delivery.inbox.look_again()
                for record in batch:
                    if record.topic != topics.REGISTRY:
                        self._deliveries[by_topic[record.topic]].inbox.offer(record)
                if any(_is_of_a_party(record) for record in batch):
                    return

    def _keep(self, parties: dict[str, Party]) -> None:
        """Exactly these parties' deliveries run."""
        for scac in list(self._deliveries):
            if scac not in parties or self._deliveries[scac].party != parties[scac]:
                self._known.states[scac] = self._stop(scac)
        for scac in parties.keys() - self._deliveries.keys():
            self._start(parties[scac], self._known.states.get(scac) or WebhookState(scac))

    def _start(self, party: Party, state: WebhookState) -> None:
        delivery = self._deliveries[party.scac] = Delivery(party, state, self._log, *self._parts)
        if (order := self._known.orders.get(party.scac)) is not None and order.at > state.order_at:
            if order.replay_from is None:
                delivery.obey(order)  # before anything goes out
            else:
                self._group.create_task(self._follow_order(order))
        self._running[party.scac] = self._group.create_task(self._deliver(delivery), name=f"webhook {party.scac}")
        _log.info("webhook_followed", party=party.scac, begin=state.begin)

    def _stop(self, scac: str) -> WebhookState:
        """Posts under way are let go: they count as not delivered."""
        self._running.pop(scac).cancel()
        return self._deliveries.pop(scac).state

    async def _deliver(self, delivery: Delivery) -> None:
        await self._is_following.wait()
        await delivery.run()

    # Orders

    async def _hear_orders(self) -> None:
        position: dict[str, int] = {}
        while True:
            for record in await self._task.poll(position, 1000, 1.0):
                position[record.topic] = record.offset + 1
                if record.value is not None and codec.schema_name_of(record.value) == "webhook-order":
                    self._known.take_in([record])
                    await self._follow_order(self._known.orders[record.key.decode().partition(":")[2]])

    async def _follow_order(self, order: WebhookOrder) -> None:
        delivery = self._deliveries.get(order.scac)
        if delivery is None or order.at <= delivery.state.order_at:
            return
        if order.replay_from is not None:
            first = await self._first_since(delivery.party.topic, order.replay_from)
            if self._deliveries.get(order.scac) is not delivery:  # its party changed while we looked
                return
            state = self._stop(order.scac)
            place = state.begin if first is None else min(first, state.begin)
            self._start(delivery.party, state._replace(taken_to=place, open=(), refused=(), order_at=order.at))
        self._deliveries[order.scac].obey(order)

    async def _first_since(self, topic: str, since: int) -> int | None:
        reading = cast(AsyncGenerator[list[Record]], self._log.read([topic], until_end=True))
        async with aclosing(reading):
            async for batch in reading:
                for record in batch:
                    if record.timestamp >= since:
                        return record.offset
        return None

    # Writing down

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(KEPT_SECONDS)
            await self._write()

    async def _write(self) -> None:
        states = self._known.states | {scac: delivery.state for scac, delivery in self._deliveries.items()}
        changed = {scac: state for scac, state in states.items() if self._written.get(scac) != state}
        if changed:
            await self._task.commit([state_output(state) for state in changed.values()])
            self._written |= changed
        disabled = frozenset(scac for scac, state in states.items() if state.disabled is not None)
        if disabled != self._disabled:
            registry = await read_registry(self._log)
            alerts = _alerts((states[scac] for scac in disabled), registry)
            await settle_alerts(self._log, PREFIX, alerts, now_milliseconds())
            self._disabled = disabled


def _alerts(states: Iterable[WebhookState], registry: Registry) -> list[Alert]:
    alerts = []
    for state in states:
        if (party := registry.parties.get(state.scac)) is not None:
            text = f"{state.scac} gets no notices by webhook: {state.disabled}; {whom_to_call(party)}"
            since = state.last_error_at or now_milliseconds()
            alerts.append(alert_for(party, f"{PREFIX}{state.scac}", DISABLED, since, now_milliseconds(), text))
    return alerts


def _is_of_a_party(record: Record) -> bool:
    """Of the registry: a party that changed; ticks and the like concern nobody here."""
    return record.topic == topics.REGISTRY and record.key.startswith(b"party:")


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
