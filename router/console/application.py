"""The console as one web application: its pages, the log-in before them, its limits, and its start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from router.background import background
from router.console import ConsoleSettings
from router.console.actions import ACTIONS
from router.console.backend import Backend, ConsoleFigures, Follower, keep_refreshed
from router.console.live_stream import LiveStream
from router.console.login import LOGIN, ask_to_log_in
from router.console.pages import ROUTES
from router.console.rendering import page
from router.console.sessions import COOKIE, SESSION_SECONDS, LoginSessions
from router.decide.rules import Rules
from router.desk.bill_index import FOLLOWED, BillIndex
from router.desk.bill_views import NotFoundError
from router.engine.feed_silence import SilenceLimit
from router.errors import LogError, UsageError
from router.http import serving, web_application
from router.log.interface import AdministeredLog
from router.status import LogProbe, status_served

STATIC: Final = Path(__file__).parent / "static"

LARGEST_FORM: Final = 256 * 1024
"""Bytes of a request's body; a corrected dead letter is the largest."""
FORM_SECONDS: Final = 30.0
"""The deadline for a whole body."""
LONGEST_QUERY: Final = 2048
LONGEST_PATH: Final = 512

SECURITY_HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
     b"img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip
"""Pages load nothing from elsewhere, contain no scripts, and can't be framed."""

ALL_ROUTES: Final = [*ROUTES, *ACTIONS, *LOGIN, Mount("/static", StaticFiles(directory=STATIC))]

OPEN_PATHS: Final = ("/login", "/static/")
"""Paths that need no log-in."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def serve_console(
    log: AdministeredLog,
    rules: Rules,
    settings: ConsoleSettings,
    listen: str,
    status_listen: str | None = None,
    limits: Sequence[SilenceLimit] = (),
) -> AsyncIterator[str]:
    """Serve the console while the block runs, and yield its address. Raises UsageError, LogError.

    `status_listen` is an address for `/metrics`, `/live` and `/ready`, which need no log-in. `limits`
    are the longest usual silences of feeds.
    """
    index, live = BillIndex(settings.index_file), LiveStream()
    await index.open()
    follower = Follower(log, rules, index, live)
    probe = LogProbe(log, FOLLOWED)
    backend = Backend(log, index, live, follower, LoginSessions(settings.access), probe, limits)
    figures = ConsoleFigures(backend)
    try:
        async with AsyncExitStack() as stack:
            await probe.look()
            await stack.enter_async_context(background("asking the log", probe.keep_looking))
            await stack.enter_async_context(background("following the log", follower.run))
            await stack.enter_async_context(background("refreshing figures", partial(keep_refreshed, backend, figures)))
            await stack.enter_async_context(status_served(figures.registry, backend, status_listen))
            app = behind_proxies(console_app(backend), settings.access.tls_proxy_addresses)
            address = await stack.enter_async_context(serving(app, listen))
            stack.callback(live.close)  # first, or the server would wait for open browsers
            yield address
    finally:
        await index.close()


def console_app(backend: Backend) -> Starlette:
    sessions = backend.sessions
    signed_cookie = Middleware(
        SessionMiddleware,
        secret_key=sessions.key,
        session_cookie=COOKIE,
        max_age=SESSION_SECONDS,
        same_site="strict",
        https_only=sessions.settings.secure_cookie,
    )
    app = web_application(
        routes=ALL_ROUTES,
        middleware=[Middleware(LimitsAndHeaders), signed_cookie, Middleware(LoginRequired, backend=backend)],
        exception_handlers=dict.fromkeys((HTTPException, UsageError, LogError), _problem_page),
    )
    app.state.backend = backend
    return app


def behind_proxies(app: ASGIApp, addresses: Sequence[str]) -> ASGIApp:
    """The app with the browser's address in each request, if it comes through one of these proxies."""
    return ProxyHeadersMiddleware(app, list(addresses)) if addresses else app  # type: ignore[arg-type,return-value]


class LimitsAndHeaders:
    """Limits the size of every request, and adds security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name != b"server"]
                caching = [] if scope["path"].startswith("/static/") else [(b"cache-control", b"no-store")]
                message["headers"] = [*kept, *SECURITY_HEADERS, *caching]
            await send(message)

        if len(scope["query_string"]) > LONGEST_QUERY or len(scope["raw_path"]) > LONGEST_PATH:
            await Response("the address is too long", HTTPStatus.REQUEST_URI_TOO_LONG)(scope, receive, send_secured)
        else:
            await self._app(scope, _limited(receive) if scope["method"] == "POST" else receive, send_secured)


def _limited(receive: Receive) -> Receive:
    """The same body, refused beyond `LARGEST_FORM` or after `FORM_SECONDS`. Bodies of other methods are never read."""
    size = 0
    deadline = asyncio.get_running_loop().time() + FORM_SECONDS

    async def limited() -> Message:
        nonlocal size
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "the form did not arrive in time: send it again") from None
        size += len(message.get("body", b""))
        if size > LARGEST_FORM:
            text = f"the form has more than {LARGEST_FORM} bytes: shorten it"
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        return message

    return limited


COME_AGAIN: Final = (
    '<!doctype html><html lang="en"><title>snp-router</title><meta http-equiv="refresh" content="0">'
    '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">'
)
"""Browsers keep the cookie back from a link on another site, and send it when the page asks for itself."""


class LoginRequired:
    """Passes requests with a session on, which it adds to the request; others get the log-in page."""

    def __init__(self, app: ASGIApp, backend: Backend) -> None:
        self._app, self._sessions = app, backend.sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PATHS):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            session = self._sessions.session_of(request)
        except UsageError as error:
            _log.error("console_users_unusable", reason=str(error))
            text = "the console can't read its file of users: its log gives the reason"
            await Response(text, HTTPStatus.SERVICE_UNAVAILABLE)(scope, receive, send)
            return
        if session is not None:
            scope.setdefault("state", {})["session"] = session
            await self._app(scope, receive, send)
        elif request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            await HTMLResponse(COME_AGAIN)(scope, receive, send)
        else:
            try:
                answer = await ask_to_log_in(request)
            except HTTPException as error:
                answer = Response(error.detail, error.status_code)
            except ClientDisconnect:
                return
            await answer(scope, receive, send)


async def _problem_page(request: Request, error: Exception) -> Response:
    """An error's own text, with the HTTP status that fits it."""
    text = error.detail if isinstance(error, HTTPException) else str(error)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
    elif isinstance(error, NotFoundError):
        status = HTTPStatus.NOT_FOUND
    else:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, UsageError) else HTTPStatus.SERVICE_UNAVAILABLE
    return page(request, "problem.html", status, title=status.phrase, text=text)
