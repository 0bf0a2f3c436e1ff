"""A party's endpoint: a real HTTPS server that keeps every post and answers as the test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar

import trustme
from aiohttp import web
from standardwebhooks import Webhook

from router.webhooks.webhook_settings import WebhookSettings

LOOPBACK = ip_network("127.0.0.0/8")
Answer = Callable[["Post"], web.Response | None]


class Post:
    """One request received."""

    def __init__(self, request: web.Request, body: str) -> None:
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.text = body
        self.body: dict[str, Any] = json.loads(body)
        self.id = request.headers["webhook-id"]
        self.bill: str | None = self.body["data"]["bill_of_lading"]

    def is_signed_with(self, secret: str) -> bool:
        Webhook(secret).verify(self.text, self.headers)
        return True


class Endpoint:
    def __init__(self) -> None:
        self.posts: list[Post] = []
        """Every request received."""
        self.taken: list[Post] = []
        """Those answered 200, each id once."""
        self.answer: Answer = lambda post: None
        """Returns the answer; None for 200."""
        self.most_at_once: defaultdict[str | None, int] = defaultdict(int)
        self.url = ""
        self._now: defaultdict[str | None, int] = defaultdict(int)

    async def take(self, request: web.Request) -> web.Response:
        post = Post(request, await request.text())
        self.posts.append(post)
        self._now[post.bill] += 1
        self.most_at_once[post.bill] = max(self.most_at_once[post.bill], self._now[post.bill])
        await asyncio.sleep(0)
        self._now[post.bill] -= 1
        answer = self.answer(post)
        if answer is None and post.id not in {one.id for one in self.taken}:
            self.taken.append(post)
        return answer or web.Response()

    async def until(self, is_so: Callable[[Endpoint], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not is_so(self):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(folder: Path, authority: trustme.CA | None = None) -> AsyncIterator[Endpoint]:
    """With `authority`: HTTPS, and its certificate in `folder/ca.pem`."""
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_post("/{rest:.*}", endpoint.take)
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "rebound.example").configure_cert(context)
        authority.cert_pem.write_to_path(folder / "ca.pem")
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    endpoint.url = f"{'https' if authority else 'http'}://127.0.0.1:{port}/notices"
    try:
        yield endpoint
    finally:
        await runner.cleanup()


class QuickSettings(WebhookSettings):
    first_pause_seconds: ClassVar[float] = 0.05
    longest_pause_seconds: ClassVar[float] = 0.2


def quick(folder: Path, kind: type[WebhookSettings] = QuickSettings, **changes: Any) -> WebhookSettings:
    """Settings that allow posts to this machine, with short waits."""
    given = {
        "secrets_directory": folder / "secrets",
        "ca_file": folder / "ca.pem",
        "allowed_networks": (LOOPBACK,),
        "attempt_seconds": 2,
    }
    return kind(**given | changes)  # type: ignore[arg-type]


def ids(posts: Sequence[Post]) -> list[str]:
    return [post.id for post in posts]


def delivered(count: int) -> Any:
    return lambda endpoint: len(endpoint.taken) >= count
