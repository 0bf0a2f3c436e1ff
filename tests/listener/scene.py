"""A log with a listener, in this process, and what senders do with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from router.codec import decode_value
from router.decide.rules import Rules
from router.engine.administration import prepare
from router.listener import ListenSettings
from router.listener.message_server import Listener, serve_listener
from router.listener.tokens import Tokens
from router.log.interface import AdministeredLog
from router.log.url import open_log

EVENT = {"scac": "NVXA", "bill_of_lading": "B1", "disposition_code": "6H", "action_at": "2026-07-14T08:12"}


def event(**changes: object) -> bytes:
    """An event as a line of JSON."""
    return json.dumps(EVENT | changes).encode() + b"\n"


class Scene:
    def __init__(
        self, log: AdministeredLog, listener: Listener, tokens: Tokens, session: aiohttp.ClientSession
    ) -> None:
        self.log = log
        self.listener = listener
        self.tokens = tokens
        self.session = session
        self.token = self.add_token("relay", "dispositions")

    def add_token(self, name: str, kinds: str, issuers: str = "", feed: str = "cbp") -> str:
        scope = (frozenset(text.split(",")) if text else frozenset() for text in (kinds, issuers))
        return self.tokens.add(name, feed, *scope)

    def posting(self, body: Any, token: str | None = None, **options: Any) -> Any:
        """The request, to be entered as a context or awaited."""
        headers = {"Authorization": f"Bearer {token or self.token}"} | options.pop("headers", {})
        return self.session.post(self.listener.url, data=body, headers=headers, **options)

    async def post(self, body: Any, token: str | None = None, **options: Any) -> tuple[int, Any]:
        """The answer's status and JSON."""
        async with self.posting(body, token, **options) as answer:
            return answer.status, await answer.json()

    async def values(self, topic: str) -> list[Any]:
        batches = self.log.read([topic], until_end=True)
        return [decode_value(record.value) async for batch in batches for record in batch if record.value is not None]


@asynccontextmanager
async def listening(folder: Path, **settings: Any) -> AsyncIterator[Scene]:
    tokens = folder / "tokens.json"
    given = ListenSettings(tokens_file=tokens, **settings)
    async with (
        open_log(f"sqlite:///{folder}/snp.db") as log,
        aiohttp.ClientSession() as session,
    ):
        await prepare(log, 2)
        async with serve_listener(log, Rules(), given, "127.0.0.1:0", "127.0.0.1:0") as listener:
            yield Scene(log, listener, Tokens(tokens), session)
