"""Delivering to one party: from its inbox through its lanes to its endpoint, for as long as it is let."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

import structlog

from router import codec
from router.clock import now_milliseconds
from router.desk.webhooks import WebhookOrder, WebhookState
from router.errors import UsageError
from router.log.interface import Log, Record
from router.model.eastern import MILLISECONDS, iso
from router.model.registry_values import Party
from router.presentation import json_line, plain_value
from router.webhooks.inbox import Inbox
from router.webhooks.lanes import Lanes, Pending
from router.webhooks.secrets import Secrets, signed_headers
from router.webhooks.sender import DELIVERED, DOWN, Outcome, Sender
from router.webhooks.settings import WebhookSettings

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
