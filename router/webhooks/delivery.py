"""One party's notices on their way to its lanes: a bounded number in memory, the rest stays on the log.

Delivering to one party: from its inbox through its lanes to its endpoint, for as long as it is let.

`snp-router webhooks run`: follows the registry and the parties' topics, and keeps a delivery going for each webhook.

One process at a time works (the log's group sees to that); how far each party is, is written to `snp.webhooks` with the
task's fence. What was posted and not written yet when a process dies is posted again: at least once, under the same id.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Final, cast

import structlog

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.registry import Registry
from router.desk.receipts import Known, WebhookOrder, WebhookState, state_output
from router.desk.unread_notices import Alert, alert_for, settle_alerts, whom_to_call
from router.engine.administration import read_registry
from router.errors import LogError, UsageError
from router.log.interface import Log, Record, Task
from router.model.eastern import MILLISECONDS, iso
from router.model.registry_values import Party
from router.plain import json_line, plain_value
from router.webhooks.delivery_schedule import Lanes, Pending
from router.webhooks.sender import DELIVERED, DOWN, Outcome, Sender, open_sender
from router.webhooks.signing import Secrets, signed_headers
from router.webhooks.webhook_settings import WebhookSettings

MOST: Final = 100


class Inbox:
    """Filled from two sides: `offer` with what is new while there is room, and from the log where that was too much."""

    def __init__(self, log: Log, topic: str, begin: int, wake: Callable[[], None]) -> None:
        self._log = log
        self._topic = topic
        self._next = begin
        self._waiting: deque[Record] = deque()
        self._wake = wake
        self._is_behind = True
        self._was_offered = False

    def offer(self, record: Record) -> None:
        """What is new on the topic. Never waits."""
        self._was_offered = True
        if not self._is_behind and record.offset >= self._next:
            if len(self._waiting) < MOST:
                self._waiting.append(record)
                self._next = record.offset + 1
            else:
                self._is_behind = True
        self._wake()

    def look_again(self) -> None:
        """Something may have been missed: read on from where we are."""
        self._is_behind = self._was_offered = True
        self._wake()

    async def take(self) -> Record | None:
        """The next one, or None if there is nothing more for now. Raises LogError."""
        if not self._waiting and self._is_behind:
            await self._fill()
        return self._waiting.popleft() if self._waiting else None

    async def _fill(self) -> None:
        """Read a portion. What is offered meanwhile is not taken; there is another portion then."""
        self._was_offered = False
        begin = {(self._topic, 0): self._next}
        reading = cast(AsyncGenerator[list[Record]], self._log.read([self._topic], until_end=True, begin=begin))
        async with aclosing(reading):
            async for batch in reading:
                for record in batch[: MOST - len(self._waiting)]:
                    self._waiting.append(record)
                    self._next = record.offset + 1
                if len(self._waiting) == MOST:
                    return
        self._is_behind = self._was_offered


LONGEST_SLEEP_SECONDS: Final = 60.0

_log = structlog.get_logger(__name__)


class Delivery:
    def __init__(
        self, party: Party, state: WebhookState, log: Log, sender: Sender, secrets: Secrets, settings: WebhookSettings
    ) -> None:
        self.party = party
        self._lanes = Lanes(state, settings, random.random)
        self._awake = asyncio.Event()
        self.inbox = Inbox(log, party.topic, state.begin, self._awake.set)
        self._sender = sender
        self._secrets = secrets

    @property
    def state(self) -> WebhookState:
        return self._lanes.state

    def obey(self, order: WebhookOrder) -> None:
        self._lanes.obey(paused=order.paused, order_at=order.at)
        self._awake.set()

    async def run(self) -> None:
        """For ever. Raises LogError; on cancellation posts under way are let go, and made again next time."""
        async with asyncio.TaskGroup() as posts:
            while True:
                self._awake.clear()
                await self._take_in()
                while (pending := self._lanes.next(now_milliseconds())) is not None:
                    posts.create_task(self._try(pending))
                await self._sleep()

    async def _take_in(self) -> None:
        while not self._lanes.is_full and (record := await self.inbox.take()) is not None:
            self._lanes.add(record, _notice_id(record))

    async def _sleep(self) -> None:
        """Until something came, was settled or ordered, or a pause is over."""
        wake_at = self._lanes.wake_at()
        seconds = LONGEST_SLEEP_SECONDS
        if wake_at is not None and wake_at > now_milliseconds():
            seconds = min(seconds, (wake_at - now_milliseconds()) / MILLISECONDS)
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _try(self, pending: Pending) -> None:
        outcome = await self._post(pending)
        before = self._lanes.state
        self._lanes.settle(pending, outcome, now_milliseconds())
        after = self._lanes.state
        if outcome.kind != DELIVERED and (before.failing_since is None or after.disabled is not None):
            words = {"party": self.party.scac, "outcome": outcome.kind, "detail": outcome.detail}
            _log.warning("webhook_disabled" if after.disabled else "webhook_failed", **words)
        elif outcome.kind == DELIVERED and before.failing_since is not None:
            _log.info("webhook_works_again", party=self.party.scac, after_failures=before.attempts)
        self._awake.set()

    async def _post(self, pending: Pending) -> Outcome:
        assert self.party.webhook_url is not None
        body = body_of(pending.record)
        try:
            secrets = await self._secrets.of(self.party.scac)
        except UsageError as error:
            return Outcome(DOWN, str(error))
        headers = signed_headers(pending.notice_id, time.time(), body, secrets)
        return await self._sender.post(self.party.webhook_url, body, headers)


def body_of(record: Record) -> str:
    """The same for every attempt: type, when it was written, and the notice as in `schemas/hold.avsc`."""
    notice = plain_value(record.value or b"")
    return json_line({"type": f"notice.{notice['kind']}", "timestamp": iso(record.timestamp), "data": notice})


def _notice_id(record: Record) -> str:
    notice_id: str = codec.decode(record.value or b"")[1]["notice_id"]
    return notice_id


GROUP: Final = "snp-router-webhooks"
KEPT_SECONDS: Final = 0.5
"""How often it is written how far the parties are: so much is posted again after a crash."""
LOOK_UP_THREADS: Final = 64
"""For looking up names: a server of names that is slow for one party must not hold up the others."""
DISABLED: Final = "WEBHOOK_DISABLED"
PREFIX: Final = "webhook:"


def wants_webhook(party: Party) -> bool:
    return party.webhook_url is not None and party.status in ("live", "certifying")


class Webhooks:
    def __init__(self, log: Log, settings: WebhookSettings) -> None:
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
        self, log: Log, task: Task, known: Known, sender: Sender, secrets: Secrets, settings: WebhookSettings
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
