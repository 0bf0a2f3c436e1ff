"""A log with parties that have webhooks, and the process that delivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from router import codec
from router.clock import now_milliseconds
from router.codec import published
from router.desk.receipts import WebhookOrder, WebhookState, order_output, read_webhooks
from router.engine.administration import import_parties
from router.log.interface import Log, Output
from router.model.registry_values import Party
from router.webhooks.delivery import deliver_notices
from router.webhooks.signing import add_secret
from tests.webhooks.endpoint import Endpoint, quick

PATIENCE_SECONDS = 20
FIELDS = [field["name"] for field in published.raw_schema("hold")["fields"]]


def notices(scac: str, bills: Sequence[str], first: int = 0) -> list[Output]:
    """One hold a bill, in this order, with numbered ids."""
    lists = dict.fromkeys(("container_numbers", "doubts", "holds", "authorises", "containers", "flags", "covers"), ())
    outputs = []
    for number, bill in enumerate(bills, first):
        fields: dict[str, Any] = dict.fromkeys(FIELDS) | lists | {"container_level": False, "reversal": False}
        own = {"notice_id": f"{scac}-{number}", "event_id": None, "cause": "DISPOSITION"}
        recipient = {"recipient": scac, "roles": ("FILER",), "recipient_voyage_number": None}
        value = codec.encode("hold", fields | {"scac": "NVXA", "bill_of_lading": bill} | own | recipient)
        outputs.append(Output(Party(scac).topic, f"NVXA{bill}".encode(), value, (("kind", b"hold"),)))
    return outputs


class Scene:
    def __init__(self, log: Log, folder: Path) -> None:
        self.log = log
        self.folder = folder

    async def party(self, scac: str, endpoint: Endpoint, status: str = "live") -> str:
        """Register a party; return its secret."""
        await import_parties(self.log, [Party(scac, status=status, webhook_url=endpoint.url)])
        return add_secret(self.folder / "secrets", scac)

    async def write(self, scac: str, *bills: str, first: int = 0) -> None:
        await self.log.append(notices(scac, bills, first))

    async def order(self, scac: str, *, paused: bool = False, replay_from: int | None = None) -> None:
        await self.log.append([order_output(WebhookOrder(scac, paused, replay_from, now_milliseconds()))])

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(deliver_notices(self.log, quick(self.folder, **changes)))
        try:
            yield
        finally:
            task.cancel()
            _, late = await asyncio.wait([task], timeout=PATIENCE_SECONDS)
            assert not late, "it did not stop"
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def state(self, scac: str) -> WebhookState:
        return (await read_webhooks(self.log)).states[scac]

    async def until_state(self, scac: str, is_so: Any) -> WebhookState:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                known = (await read_webhooks(self.log)).states.get(scac)
                if known is not None and is_so(known):
                    return known
                await asyncio.sleep(0.05)
