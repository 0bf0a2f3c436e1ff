"""The console as one web application: who may see it, how it is shielded, and where its pages are."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.console import actions, entrance, pages
from router.console.desk import Desk
from router.console.page import problem
from router.desk.bill_views import NotFoundError
from router.errors import LogError, UsageError

HERE: Final = Path(__file__).parent

LARGEST_FORM: Final = 256 * 1024
"""Bytes of a request's body: a corrected dead letter is the largest there is."""
FORM_SECONDS: Final = 30.0
"""For the whole of a body."""
LONGEST_QUERY: Final = 2048
LONGEST_PATH: Final = 512

SHIELD: Final = (
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
     b"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip
"""On every answer. Nothing is loaded from elsewhere, no script stands in a page, no page can be framed."""

OPEN_PATHS: Final = ("/login", "/static/")
"""What needs no log-in."""

_log = structlog.get_logger(__name__)


def console_app(desk: Desk) -> Starlette:
    app = Starlette(
        routes=[
            *pages.ROUTES,
            *actions.ROUTES,
            *entrance.ROUTES,
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Shield), Middleware(Gate, desk=desk)],
        exception_handlers=dict.fromkeys((HTTPException, UsageError, LogError), _refused),
    )
    app.router.redirect_slashes = False  # such a redirect goes where the request's Host header says
    app.state.desk = desk
    return app


class Shield:
    """Headers on every answer, and limits on what is asked, whoever asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name != b"server"]
                caching = [] if scope["path"].startswith("/static/") else [(b"cache-control", b"no-store")]
                message["headers"] = [*kept, *SHIELD, *caching]
            await send(message)

        if len(scope["query_string"]) > LONGEST_QUERY or len(scope["raw_path"]) > LONGEST_PATH:
            await Response("the address is too long", HTTPStatus.REQUEST_URI_TOO_LONG)(scope, receive, shielded)
        else:
            await self._app(scope, _limited(receive) if scope["method"] == "POST" else receive, shielded)


def _limited(receive: Receive) -> Receive:
    """The same body, cut off where it grows beyond the limit or is too slow. Bodies of what is only looked at are not
    read."""
    size = 0
    until = asyncio.get_running_loop().time() + FORM_SECONDS

    async def limited() -> Message:
        nonlocal size
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "the form did not come whole") from None
        size += len(message.get("body", b""))
        if size > LARGEST_FORM:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a form has at most {LARGEST_FORM} bytes")
        return message

    return limited


class Gate:
    """Nobody gets past without a session; and nobody acts without the role and the form's own token."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PATHS):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            session = self._desk.access.session_of(request)
        except UsageError as error:
            _log.error("console_users_unusable", reason=str(error))
            text = "who may log in can't be looked up: the console's log says why"
            await Response(text, HTTPStatus.SERVICE_UNAVAILABLE)(scope, receive, send)
            return
        if session is None:
            answer = (
                RedirectResponse("/login", HTTPStatus.SEE_OTHER)
                if request.method == "GET"
                else Response("log in first", HTTPStatus.UNAUTHORIZED)
            )
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["session"] = session
        await self._app(scope, receive, send)


async def _refused(request: Request, error: Exception) -> Response:
    """Errors phrase themselves; only their rank among HTTP's differs."""
    if isinstance(error, HTTPException):
        return problem(request, HTTPStatus(error.status_code), error.detail)
    if isinstance(error, NotFoundError):
        return problem(request, HTTPStatus.NOT_FOUND, str(error))
    if isinstance(error, UsageError):
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
