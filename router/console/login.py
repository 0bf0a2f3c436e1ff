"""Logging in and out. A log-in leads to the page that was asked for; a form sent without a session waits for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.backend import Backend
from router.console.login_throttle import network_of
from router.console.rendering import address_of, backend_of, form_of, page, session_of
from router.console.sessions import LONGEST_NAME, csrf_ok
from router.desk.index_records import LOGGED_IN
from router.engine.administration import AuditEntry, acting_from, audit_output
from router.errors import LogError, UsageError

LOGIN_REFUSED: Final = "console log-in refused"
AUDIT_SECONDS: Final = 3.0

HOME: Final = "/"
NEXT: Final = "next"
"""The field with the page to show after the log-in."""
KEPT: Final = "kept."
"""Begins the names of the fields of a form that waits for the log-in."""
_OWN_PAGE: Final = re.compile(r"/(?![/\\])[!-~]*")

_log = structlog.get_logger(__name__)


async def ask_to_log_in(request: Request) -> Response:
    """Answer a request without a session. A page is shown after the log-in, a form is kept until then.

    Only a browser's own form is kept: another site must not have its form sent by whoever logs in. What scripts ask for
    gets the status alone.
    """
    if request.headers.get("sec-fetch-mode", "navigate") != "navigate":
        return Response("log in first", HTTPStatus.UNAUTHORIZED)
    here = request.scope["raw_path"].decode("latin-1") + (f"?{request.url.query}" if request.url.query else "")
    if request.method == "GET":
        wanted = quote(here, safe="/")
        return RedirectResponse("/login" if wanted == HOME else f"/login?{NEXT}={wanted}", HTTPStatus.SEE_OTHER)
    is_own = _is_own_form(request) and request.url.path != "/logout"
    kept = await form_of(request) if is_own else {}
    for secret in ("csrf", "password"):
        kept.pop(secret, None)
    wanted = here if is_own else HOME
    reason = "you are logged out: log in, then your form goes on" if kept else "log in first"
    return _login_page(request, HTTPStatus.UNAUTHORIZED, wrong=reason, wanted=wanted, kept=kept)


def _is_own_form(request: Request) -> bool:
    """Browsers send this header. Anything without it is no browser, so no other site can be using its session."""
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _login_page(
    request: Request,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    wrong: str | None = None,
    wanted: str = HOME,
    kept: Mapping[str, str] | None = None,
) -> Response:
    return page(request, "login.html", status, wrong=wrong, wanted=wanted, kept=kept or {})


def _page_after(given: Mapping[str, str]) -> str:
    """The page to show after the log-in; only one of this console."""
    wanted = given.get(NEXT, HOME)
    return wanted if _OWN_PAGE.fullmatch(wanted) and not wanted.startswith("/login") else HOME


async def login_form(request: Request) -> Response:
    return _login_page(request, wanted=_page_after(request.query_params))


async def log_in(request: Request) -> Response:
    backend = backend_of(request)
    sessions = backend.sessions
    if not _is_own_form(request):
        return _login_page(request, HTTPStatus.FORBIDDEN, wrong="the form came from another site: log in here")
    given = await form_of(request)
    name, address = given.get("name", "")[:LONGEST_NAME], address_of(request)
    is_known = sessions.knows(name, address) or await _has_logged_in(backend, name, address)
    try:
        user = await sessions.log_in(name, given.get("password", ""), address, is_known=is_known)
    except UsageError as error:
        return _refusal(request, given, name, HTTPStatus.TOO_MANY_REQUESTS, str(error))
    if user is None:
        return _refusal(request, given, name, HTTPStatus.UNAUTHORIZED, "the name or the password is wrong")
    await _audit(backend, AuditEntry(now_milliseconds(), name, LOGGED_IN, name, address), address)
    sessions.begin(request, user)
    wanted, kept = _page_after(given), _kept(given)
    if not kept:
        return RedirectResponse(wanted, HTTPStatus.SEE_OTHER)
    csrf = request.session["csrf"]
    return page(request, "kept_form.html", wanted=wanted, kept=kept, form_csrf=csrf)


async def _has_logged_in(backend: Backend, name: str, address: str) -> bool:
    """Tell whether somebody logged in under this name from this network before."""
    known = await backend.index.login_addresses(name)
    return network_of(address) in map(network_of, known)


def _kept(given: Mapping[str, str]) -> dict[str, str]:
    """The fields of the form that waited for the log-in."""
    return {name.removeprefix(KEPT): value for name, value in given.items() if name.startswith(KEPT)}


def _refusal(request: Request, given: Mapping[str, str], name: str, status: HTTPStatus, reason: str) -> Response:
    """The log-in page with the reason. The audit gets its entry after the answer, which takes no longer for that.

    A name that is no user's is not kept: it may be a password, typed into the wrong field."""
    backend, address = backend_of(request), address_of(request)
    subject = name if backend.sessions.is_user(name) else "a name that is no user's"
    answer = _login_page(request, status, wrong=reason, wanted=_page_after(given), kept=_kept(given))
    if backend.sessions.throttle.is_to_be_audited(subject, address):
        entry = AuditEntry(now_milliseconds(), subject, LOGIN_REFUSED, subject, f"{address}: {reason}")
        answer.background = BackgroundTask(_audit, backend, entry, address)
    return answer


async def _audit(backend: Backend, entry: AuditEntry, address: str) -> None:
    """Write a log-in or a refusal to the audit. While the log does not answer, the console's own log has it: the desk
    must get at what is known of stopped cargo, then above all."""
    try:
        with acting_from(address):
            output = audit_output(entry)
        async with asyncio.timeout(AUDIT_SECONDS):
            await backend.log.append([output])
    except (LogError, TimeoutError) as error:
        _log.error("console_login_not_audited", entry=entry._asdict(), reason=str(error) or "the log does not answer")


async def log_out(request: Request) -> Response:
    """End all of the user's sessions."""
    given, session = await form_of(request), session_of(request)
    if csrf_ok(session, given.get("csrf", "")):
        backend_of(request).sessions.log_out(request, session.user)
    return RedirectResponse("/login", HTTPStatus.SEE_OTHER)


LOGIN: Final[list[Any]] = [
    Route("/login", login_form, methods=["GET"]),
    Route("/login", log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
]
