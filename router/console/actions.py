"""Forms of an operator's actions, each of which returns to its page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.rendering import address_of, backend_of, form_of, session_of
from router.console.sessions import csrf_ok
from router.decide.standing_holds import CBP_HOLD, StandingHold
from router.desk.bill_views import key_from
from router.desk.clearances import clear
from router.desk.confirmations import Operator, confirm, fingerprint
from router.desk.downtime import declare, end
from router.desk.operator_deeds import accept, dismiss, read_dead_letter, relay, retry
from router.desk.registered_parties import ask_resync
from router.engine.administration import acting_from
from router.errors import UsageError
from router.feeds.forms import ClearanceForm, ManualForm, OutageForm, checked
from router.model.identifiers import split_bill_key
from router.model.inputs import PLACE

FormFields = Mapping[str, str]

Action = Callable[[Request, FormFields], Awaitable[str]]
"""Performs an operator's action and returns the path of the page to show next."""


async def acting_fields(request: Request) -> FormFields:
    """The fields of an operator's form. Raises HTTPException for a viewer's, and for one without the token."""
    session = session_of(request)
    if not session.user.may_act:
        raise HTTPException(HTTPStatus.FORBIDDEN, "viewers can only read: ask an operator to do this")
    fields = {name: value.strip() for name, value in (await form_of(request)).items()}
    if not csrf_ok(session, fields.get("csrf", "")):
        raise HTTPException(HTTPStatus.FORBIDDEN, "the form is too old, or came from another page: reload it")
    return fields


def _action(act: Action) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that requires the operator's role, and the session's token."""

    async def answer(request: Request) -> Response:
        fields = await acting_fields(request)
        with acting_from(address_of(request)):
            return RedirectResponse(await act(request, fields), HTTPStatus.SEE_OTHER)

    return answer


async def _retry(request: Request, fields: FormFields) -> str:
    """Read a dead letter again, or the corrected content."""
    backend = backend_of(request)
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    corrected = fields.get("corrected", "")
    by = session_of(request).user.name
    tried = await retry(backend.log, backend.rules, letter, corrected.encode() if corrected else None, by=by)
    if tried.problem is not None:
        raise UsageError(f"the dead letter is not resolved: {tried.problem}")
    return "/dead-letters"


async def _accept(request: Request, fields: FormFields) -> str:
    """Have a message in doubt read as certain."""
    backend = backend_of(request)
    letter = await read_dead_letter(backend.log, request.path_params["letter"])
    by = session_of(request).user.name
    await accept(backend.log, backend.rules, letter, by=by, reason=_required(fields, "reason"))
    return "/dead-letters"


async def _dismiss(request: Request, fields: FormFields) -> str:
    """Dismiss a dead letter that is not a message of CBP's."""
    log = backend_of(request).log
    letter = await read_dead_letter(log, request.path_params["letter"])
    await dismiss(log, letter, by=session_of(request).user.name, reason=_required(fields, "reason"))
    return "/dead-letters"


async def _confirm(request: Request, fields: FormFields) -> str:
    """Confirm a bill's status despite its doubts."""
    backend, key = backend_of(request), request.path_params["bill"]
    operator = Operator(_name(request), _account(request), _required(fields, "reason"))
    await confirm(backend.log, backend.rules, key, operator, seen=_required(fields, "seen"))
    return f"/bills/{key}"


async def _clear(request: Request, fields: FormFields) -> str:
    """End one hold, or all of a kind, where CBP said outside its messages that it has ended."""
    backend, key = backend_of(request), request.path_params["bill"]
    bill = (await backend.bill(key)).bill
    if fingerprint(bill) != _required(fields, "seen"):
        raise UsageError(f"{key} has changed since you saw it: look at it again")
    given = _given(fields, "source", "reason", "ticket") | {"by": _name(request)} | _chosen(bill.status.holds, fields)
    await clear(backend.log, backend.rules, key, checked(ClearanceForm, given), user=_account(request))
    return f"/bills/{key}"


def _chosen(holds: Sequence[StandingHold], fields: FormFields) -> dict[str, Any]:
    """The hold of that number on the page, or all of a kind."""
    chosen = _required(fields, "hold")
    if not chosen.isascii() or not chosen.isdigit() or int(chosen) >= len(holds):
        return {"kind": chosen}
    hold = holds[int(chosen)]
    events = hold.events[-1:] if hold.kind == CBP_HOLD else hold.events
    return {"kind": hold.kind, "container": hold.container_number, "events": events}


async def _relay(request: Request, fields: FormFields) -> str:
    """Enter a hold, its removal or a release that CBP gave by phone, by e-mail or on paper."""
    backend, key = backend_of(request), request.path_params["bill"]
    scac, number = split_bill_key(key)
    now = now_milliseconds()
    ours = {"scac": scac, "bill_of_lading": number, "said_at": now, "by": session_of(request).user.name}
    given = _given(fields, "action", "code", "container", "quantity", "channel", "source", "ticket")
    await relay(backend.log, backend.rules, checked(ManualForm, given | ours), now)
    return f"/bills/{key}"


async def _place(request: Request, fields: FormFields) -> str:
    """Place a hold that CBP announced on a bill that is not known yet."""
    backend = backend_of(request)
    scac, number = split_bill_key(key_from(_required(fields, "bill").split()))
    now = now_milliseconds()
    ours = {"scac": scac, "bill_of_lading": number, "said_at": now, "by": session_of(request).user.name}
    given = _given(
        fields, "code", "container", "channel", "source", "ticket",
        "carrier_scac", "imo_number", "voyage_number", "port_of_unlading", "master_bill", "snps",
    )  # fmt: skip
    entered = checked(ManualForm, given | ours | {"action": PLACE})
    await relay(backend.log, backend.rules, entered, now)
    return f"/search?q={quote(number)}"


async def _declare(request: Request, fields: FormFields) -> str:
    """Declare an outage of a feed, a port or a line."""
    now = now_milliseconds()
    ours = {"by": session_of(request).user.name, "since": now}
    given = _given(fields, "mode", "port", "feed", "carrier", "reason", "until", "ticket")
    await declare(backend_of(request).log, checked(OutageForm, given | ours), now)
    return "/feeds"


async def _end_outage(request: Request, fields: FormFields) -> str:
    now = now_milliseconds()
    await end(backend_of(request).log, request.path_params["outage"], session_of(request).user.name, now, now)
    return "/feeds"


async def _resync(request: Request, fields: FormFields) -> str:
    """Send a party the present status of all its open bills."""
    party = request.path_params["party"]
    await ask_resync(backend_of(request).log, party, session_of(request).user.name, now_milliseconds())
    return f"/parties/{party}"


def _name(request: Request) -> str:
    return session_of(request).user.name


def _account(request: Request) -> str:
    """The operator's account, as deeds name it."""
    return f"console:{_name(request)}"


def _given(fields: FormFields, *names: str) -> dict[str, Any]:
    """The named fields; empty ones are None."""
    return {name: fields.get(name) or None for name in names}


def _required(fields: FormFields, name: str) -> str:
    if not fields.get(name):
        raise UsageError(f"the field {name} is empty: fill it in")
    return fields[name]


ACTIONS: Final[list[Any]] = [
    Route("/dead-letters/{letter}/retry", _action(_retry), methods=["POST"]),
    Route("/dead-letters/{letter}/accept", _action(_accept), methods=["POST"]),
    Route("/dead-letters/{letter}/dismiss", _action(_dismiss), methods=["POST"]),
    Route("/bills/{bill}/confirm", _action(_confirm), methods=["POST"]),
    Route("/bills/{bill}/clear", _action(_clear), methods=["POST"]),
    Route("/bills/{bill}/by-hand", _action(_relay), methods=["POST"]),
    Route("/holds", _action(_place), methods=["POST"]),
    Route("/outages", _action(_declare), methods=["POST"]),
    Route("/outages/{outage}/end", _action(_end_outage), methods=["POST"]),
    Route("/parties/{party}/resync", _action(_resync), methods=["POST"]),
]
