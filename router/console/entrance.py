"""Logging in and out."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.console.access import COOKIE, SESSION_SECONDS, csrf_ok
from router.console.page import desk_of, form_of, page
from router.errors import UsageError

MOST_FIELDS: Final = 10

_log = structlog.get_logger(__name__)


async def form(request: Request) -> Response:
    return page(request, "login.html", wrong=None)


async def log_in(request: Request) -> Response:
    access = desk_of(request).access
    if not _same_site(request):
        return page(request, "login.html", HTTPStatus.FORBIDDEN, wrong="this form was sent from another page")
    given = await form_of(request, MOST_FIELDS)
    name, password = given.get("name", ""), given.get("password", "")
    try:
        async with access.one_at_a_time:
            token = await asyncio.to_thread(access.log_in, name, password)
    except UsageError as error:
        return page(request, "login.html", HTTPStatus.TOO_MANY_REQUESTS, wrong=str(error))
    if token is None:
        _log.warning("console_login_refused")
        return page(request, "login.html", HTTPStatus.UNAUTHORIZED, wrong="the name or the password is wrong")
    answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        COOKIE, token, max_age=SESSION_SECONDS, secure=access.settings.secure_cookie, httponly=True, samesite="strict"
    )
    return answer


async def log_out(request: Request) -> Response:
    given = await form_of(request, MOST_FIELDS)
    session = request.scope["state"]["session"]
    if csrf_ok(session, given.get("csrf", "")):
        desk_of(request).access.log_out(request)
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE)
    return answer


def _same_site(request: Request) -> bool:
    """Browsers say where a form was sent from; what doesn't say is no browser, and no one's session rides on it."""
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


ROUTES: Final[list[Any]] = [
    Route("/login", form, methods=["GET"]),
    Route("/login", log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
]
