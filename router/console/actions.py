"""What an operator does by hand: each needs the role and the form's own token, and ends where it began."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.access import csrf_ok
from router.console.page import desk_of, form_of, session_of
from router.desk.manual import relay
from router.desk.outages import declare, end
from router.desk.requests import ask_resync
from router.desk.settling import confirm, dismiss, retry
from router.desk.views import read_dead_letter
from router.errors import UsageError
from router.feeds.forms import ManualForm, OutageForm, checked
from router.model.identifiers import split_bill_key

LONGEST_FIELD: Final = 200_000
"""Characters; a corrected dead letter is the longest."""

MOST_FIELDS: Final = 30

Fields = Mapping[str, str]
Act = Callable[[Request, Fields], Awaitable[str]]
"""Does what is asked; gives the page to go to then."""


def _action(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        session = session_of(request)
        if not session.user.may_act:
            raise HTTPException(HTTPStatus.FORBIDDEN, "a viewer reads; this needs an operator")
        fields = {name: value.strip() for name, value in (await form_of(request, MOST_FIELDS)).items()}
        if not csrf_ok(session, fields.get("csrf", "")):
            raise HTTPException(HTTPStatus.FORBIDDEN, "the form is too old, or was sent from another page: reload it")
        if any(len(value) > LONGEST_FIELD for value in fields.values()):
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"a field has at most {LONGEST_FIELD} characters")
        return RedirectResponse(await act(request, fields), HTTPStatus.SEE_OTHER)

    return answer


async def _retry(request: Request, fields: Fields) -> str:
    """Read a dead letter again, or what was put in its place."""
    desk = desk_of(request)
    letter = await read_dead_letter(desk.log, request.path_params["letter"])
    corrected = fields.get("corrected", "")
    by = session_of(request).user.name
    tried = await retry(desk.log, desk.rules, letter, corrected.encode() if corrected else None, by=by)
    if tried.problem is not None:
        raise UsageError(f"it still can't be read: {tried.problem}")
    return "/dead-letters"


async def _dismiss(request: Request, fields: Fields) -> str:
    """Put away a dead letter that is no message of CBP's."""
    desk = desk_of(request)
    letter = await read_dead_letter(desk.log, request.path_params["letter"])
    await dismiss(desk.log, letter, by=session_of(request).user.name, reason=_needed(fields, "reason"))
    return "/dead-letters"


async def _confirm(request: Request, fields: Fields) -> str:
    """Settle a bill's doubts."""
    desk, key = desk_of(request), request.path_params["bill"]
    reason = _needed(fields, "reason")
    await confirm(desk.log, desk.rules, key, by=session_of(request).user.name, reason=reason)
    return f"/bills/{key}"


async def _relay(request: Request, fields: Fields) -> str:
    """What CBP said by phone, by e-mail or on paper about a bill."""
    desk, key = desk_of(request), request.path_params["bill"]
    scac, number = split_bill_key(key)
    now = now_milliseconds()
    names = ("action", "code", "container", "quantity", "channel", "source", "ticket")
    given = {name: fields.get(name) or None for name in names}
    ours = {"scac": scac, "bill_of_lading": number, "said_at": now, "by": session_of(request).user.name}
    form = checked(ManualForm, given | ours)
    await relay(desk.log, desk.rules, form, now)
    return f"/bills/{key}"


async def _declare(request: Request, fields: Fields) -> str:
    """That a feed, a port or a line is down."""
    given = {name: fields.get(name) or None for name in ("port", "feed", "carrier", "reason", "until", "ticket")}
    now = now_milliseconds()
    form = checked(OutageForm, given | {"by": session_of(request).user.name, "since": now})
    await declare(desk_of(request).log, form, now)
    return "/feeds"


async def _end_outage(request: Request, fields: Fields) -> str:
    now = now_milliseconds()
    await end(desk_of(request).log, request.path_params["outage"], session_of(request).user.name, now, now)
    return "/feeds"


async def _resync(request: Request, fields: Fields) -> str:
    """The status now of all a party's open bills."""
    scac = request.path_params["scac"]
    await ask_resync(desk_of(request).log, scac, session_of(request).user.name, now_milliseconds())
    return f"/parties/{scac}"


def _needed(fields: Fields, name: str) -> str:
    if not fields.get(name):
        raise UsageError(f"{name.replace('_', ' ')} is missing")
    return fields[name]


ROUTES: Final[list[Any]] = [
    Route("/dead-letters/{letter}/retry", _action(_retry), methods=["POST"]),
    Route("/dead-letters/{letter}/dismiss", _action(_dismiss), methods=["POST"]),
    Route("/bills/{bill}/confirm", _action(_confirm), methods=["POST"]),
    Route("/bills/{bill}/by-hand", _action(_relay), methods=["POST"]),
    Route("/outages", _action(_declare), methods=["POST"]),
    Route("/outages/{outage}/end", _action(_end_outage), methods=["POST"]),
    Route("/parties/{scac}/resync", _action(_resync), methods=["POST"]),
]
