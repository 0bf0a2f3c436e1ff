"""The listener as a web application: `POST /messages`, its limits, its answers and its figures.

A body is answered with 200 once what it holds is durable on the log. The same body again stores nothing twice, so a
sender repeats any request without an answer, and any answered with 408, 429 or 5xx.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from router.background import background
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine.feed_activity import FeedMonitor
from router.errors import FatalLogError, LogError, UsageError
from router.harmless_text import harmless
from router.http import TlsFiles, is_of_this_machine, serving, web_application
from router.listener import ListenSettings
from router.listener.posted_messages import PostOutcome, store_body
from router.listener.tokens import TokenHolder, Tokens
from router.log.interface import Log
from router.status import LogProbe, status_served

BODY_SECONDS: Final = 60.0
"""The deadline for a whole body. A slow sender holds its place no longer."""
PLACE_SECONDS: Final = 5.0
"""The wait for a place, before the sender is asked to come again."""
BUSY_RETRY_SECONDS: Final = 5
LOG_RETRY_SECONDS: Final = 30
REREAD_SECONDS: Final = 1.0
"""Between two looks for outages and rules in the registry."""
LONGEST_SOURCE: Final = 200

ANSWERS: Final = (
    HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
"""Statuses of the answers to `POST /messages`."""
UNAUTHORISED: Final = "give a valid token: `Authorization: Bearer TOKEN` (`snp-router listen token add` makes one)"
PLAIN_HTTP: Final = (
    "other machines reach {}, and tokens would cross the network unencrypted: set listen.tls_certificate and "
    "listen.tls_key, or listen.behind_proxy = true if a proxy with TLS is in front"
)

_log = structlog.get_logger(__name__)


class Refusal(Exception):
    """An answer to a request of which nothing was stored."""

    def __init__(self, status: HTTPStatus, text: str, *, retry_seconds: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {} if retry_seconds is None else {"Retry-After": str(retry_seconds)}
        if status is HTTPStatus.UNAUTHORIZED:
            self.headers["WWW-Authenticate"] = "Bearer"


class Places:
    """Places for bodies in memory. No token has more than half of them, so no sender keeps out all others."""

    def __init__(self, count: int) -> None:
        self._all = asyncio.Semaphore(count)
        self._share = max(1, count // 2)
        self._of_token: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def place(self, name: str) -> AsyncIterator[None]:
        """A place for the token of this name. Raises Refusal if none is free in time."""
        own = self._of_token.setdefault(name, asyncio.Semaphore(self._share))
        await _take(own, HTTPStatus.TOO_MANY_REQUESTS, f"this token has {self._share} bodies under way")
        try:
            await _take(self._all, HTTPStatus.SERVICE_UNAVAILABLE, "too many bodies are under way")
            try:
                yield
            finally:
                self._all.release()
        finally:
            own.release()


async def _take(places: asyncio.Semaphore, status: HTTPStatus, text: str) -> None:
    try:
        async with asyncio.timeout(PLACE_SECONDS):
            await places.acquire()
    except TimeoutError:
        raise Refusal(status, f"{text}: send it again", retry_seconds=BUSY_RETRY_SECONDS) from None


class ListenerFigures:
    """Figures for Prometheus. None of them names a bill or a token."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = self._counter("snp_listener_answers", "Answers to posted bodies, by HTTP status.", "status")
        self.events = self._counter("snp_listener_events", "Events stored from posted bodies.")
        self.filings = self._counter("snp_listener_filings", "Filings stored from posted bodies.")
        self.dead_letters = self._counter("snp_listener_dead_letters", "Dead letters stored from posted bodies.")
        self.bodies = Gauge("snp_listener_bodies", "Bodies under way.", registry=self.registry)
        for status in ANSWERS:
            self.answers.labels(str(int(status)))  # `increase` can't see the first increase of a series

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def count(self, outcome: PostOutcome) -> None:
        self.events.inc(outcome.intake.events)
        self.filings.inc(outcome.intake.filings)
        self.dead_letters.inc(outcome.intake.dead_letters)


class Listener:
    """Stores posted bodies on the log."""

    def __init__(self, log: Log, rules: Rules, settings: ListenSettings) -> None:
        """`rules` are in force until the registry has its first."""
        self.figures = ListenerFigures()
        self.url = ""
        """Set once it is served."""
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with the FatalLogError for which the process must stop."""
        self._log, self._rules, self._settings = log, rules, settings
        self._tokens = Tokens(settings.tokens_file)
        self._places = Places(settings.concurrent_bodies)
        self._monitors: dict[str, FeedMonitor] = {}
        self.probe = LogProbe(log)
        """Also told of bodies that the log took or refused."""

    def hanging(self) -> list[str]:
        """Empty: every step has a deadline."""
        return []

    def unready(self) -> list[str]:
        return self.probe.unready()

    async def post(self, request: Request) -> Response:
        """The answer to `POST /messages`."""
        holder: TokenHolder | None = None
        try:
            holder = self._holder(request)
            answer = await self._stored(request, holder)
        except Refusal as refusal:
            answer = JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)
        except ClientDisconnect:
            answer = Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
        self.figures.answers.labels(str(answer.status_code)).inc()
        _log.info("body_answered", token=holder.name if holder else None, status=answer.status_code)
        return answer

    def _holder(self, request: Request) -> TokenHolder:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            holder = self._tokens.holder_of(token.strip()) if scheme.lower() == "bearer" else None
        except UsageError as error:
            _log.error("tokens_unusable", reason=str(error))
            text = "the listener can't read its tokens: its log lines give the reason"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_seconds=LOG_RETRY_SECONDS) from error
        if holder is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, UNAUTHORISED)
        return holder

    async def _stored(self, request: Request, holder: TokenHolder) -> Response:
        self._check_head(request)
        async with self._places.place(holder.name):
            with self.figures.bodies.track_inprogress():
                body = await self._body(request)
                try:
                    outcome = await self._store(holder, body, _source_of(request, holder))
                except FatalLogError as error:
                    if not self.failure.done():
                        self.failure.set_exception(error)
                    raise _log_refusal() from error
                except (LogError, OSError) as error:
                    self.probe.fails(str(error))
                    _log.warning("body_not_stored", token=holder.name, reason=str(error))
                    raise _log_refusal() from error
        self.probe.answers()
        self.figures.count(outcome)
        return _answer(outcome)

    async def _store(self, holder: TokenHolder, body: bytearray, source: str) -> PostOutcome:
        feed = holder.scope.feed
        if (monitor := self._monitors.get(feed)) is None:
            monitor = FeedMonitor(self._log, feed, self._rules, reread_seconds=REREAD_SECONDS)
            self._monitors[feed] = monitor
        return await store_body(self._log, monitor, holder, body, source, now_milliseconds())

    def _check_head(self, request: Request) -> None:
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._settings.size_limit_bytes:
            raise self._too_large()
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed: send it as it is")
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            text = "the body has several parts: send one message, or several of one format, as the body itself"
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)

    async def _body(self, request: Request) -> bytearray:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._settings.size_limit_bytes:
                        raise self._too_large()
        except TimeoutError:
            text = f"the body did not arrive within {BODY_SECONDS:.0f} s: send it again"
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, text) from None
        return body

    def _too_large(self) -> Refusal:
        limit = self._settings.size_limit_bytes
        text = f"the body has more than {limit:,} bytes: send its interchanges or transmissions one by one"
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)


def _log_refusal() -> Refusal:
    text = "the log can't be written now: send the same body again"
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_seconds=LOG_RETRY_SECONDS)


def _source_of(request: Request, holder: TokenHolder) -> str:
    """The token's name, and the sender's own name for the message or else the time."""
    given = harmless(request.query_params.get("source", ""))[:LONGEST_SOURCE].strip()
    return f"{holder.name}: {given or datetime.now(UTC).isoformat(timespec='seconds')}"


def _answer(outcome: PostOutcome) -> Response:
    fields: dict[str, Any] = outcome.fields()
    if outcome.has_taken:
        return JSONResponse(fields)
    if outcome.is_empty:
        status, text = HTTPStatus.BAD_REQUEST, "the body is empty"
    elif outcome.is_out_of_scope:
        status, text = HTTPStatus.FORBIDDEN, "the token covers nothing in the body; it was put aside"
    else:
        status, text = HTTPStatus.UNPROCESSABLE_ENTITY, "nothing in the body could be taken; it was put aside"
    return JSONResponse({"error": text} | fields, status)


def listener_app(listener: Listener) -> Starlette:
    return web_application(
        routes=[Route("/messages", listener.post, methods=["POST"])],
        exception_handlers={HTTPException: _problem},
    )


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{error.detail}: use POST /messages"}, error.status_code, error.headers)


@asynccontextmanager
async def serve_listener(
    log: Log, rules: Rules, settings: ListenSettings, address: str, status_listen: str | None = None
) -> AsyncIterator[Listener]:
    """Serve the listener while the block runs, and yield it. Raises UsageError.

    `status_listen` is an address for `/metrics`, `/live` and `/ready`, which need no token.
    """
    tls = None
    if settings.tls_certificate is not None and settings.tls_key is not None:
        tls = TlsFiles(settings.tls_certificate, settings.tls_key)
    elif not settings.behind_proxy and not is_of_this_machine(address):
        raise UsageError(PLAIN_HTTP.format(address))
    listener = Listener(log, rules, settings)
    await listener.probe.look()
    async with (
        background("asking the log", listener.probe.keep_looking),
        status_served(listener.figures.registry, listener, status_listen),
        serving(listener_app(listener), address, tls) as bound,
    ):
        listener.url = f"{'https' if tls else 'http'}://{bound}/messages"
        _log.info("listener_ready", url=listener.url)
        yield listener
