"""The pages that a duty officer reads: notices, bills, sailings, parties, feeds, waiting bills, dead letters, audit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console import bill_pages, list_pages
from router.console.backend import Backend
from router.console.live_notices import NoticeFilter
from router.console.rendering import backend_of, bill_of, cause_of, page, pieces
from router.desk.bill_query import BillQuery
from router.desk.bill_views import bill_fields, explain, sailing_reasons
from router.desk.clearances import IN_BULK
from router.desk.confirmations import fingerprint
from router.desk.rules_in_force import release_after_hold_text
from router.desk.unread_notices import sentence, unknown_sentence
from router.errors import UsageError
from router.presentation import by_cause

RECENT: Final = 50


async def notices(request: Request) -> Response:
    """The first page: parties to call, stopped bills, and the latest notices, which `live_notices` continues."""
    backend, wanted = backend_of(request), _filter(request)
    recent = [entry for entry in await backend.index.recent(10 * RECENT) if wanted.matches(entry)][:RECENT]
    now = now_milliseconds()
    calls = [sentence(one.party, stop, now) for one in backend.unread for stop in one.do_not_loads][:RECENT]
    calls += [unknown_sentence(one) for one in backend.unread if one.receipt.disbelieved is not None]
    index = backend.index
    counts, statuses = await index.counts(), await index.statuses()
    stopped = await index.bills(BillQuery(do_not_load="yes"), backend.registry, now)
    return page(
        request, "stream.html", groups=by_cause(recent, cause_of, bill_of), wanted=wanted, counts=counts,
        stopped=stopped, statuses=statuses, query=request.url.query, unread=calls,
        unread_unknown=backend.unread_unknown, unconfirmed=backend.unconfirmed,
        rule=release_after_hold_text(backend.rules), codes=backend.rules.codes, now=now,
    )  # fmt: skip


async def live_notices(request: Request) -> Response:
    """New notices as server-sent events, each with finished rows of the table."""
    backend = backend_of(request)
    if backend.live.is_full:
        text = "too many pages show live notices: close one, or reload this page later"
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, text)
    wanted = _filter(request)

    async def events() -> AsyncIterator[str]:
        with backend.live.subscribed(wanted) as subscription:
            yield ": here\n\n"
            async for update in subscription.updates():
                if not _is_logged_in(backend, request):
                    return
                if update.rows:
                    data = {"rows": "".join(reversed(update.rows)), "missed": update.missed}
                    yield f"data: {json.dumps(data)}\n\n"
                else:
                    yield ": still here\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _is_logged_in(backend: Backend, request: Request) -> bool:
    """False also while the file of users can't be read."""
    with suppress(UsageError):
        return backend.sessions.session_of(request) is not None
    return False


def _filter(request: Request) -> NoticeFilter:
    given = {name: value.strip() for name, value in request.query_params.items()}
    kind = given.get("kind", "").lower()
    return NoticeFilter(
        party=given.get("party", "").upper() or None,
        kind=kind if kind in ("hold", "change", "release") else None,
        vessel=given.get("vessel", "").upper() or None,
        port=given.get("port") or None,
        do_not_load=bool(given.get("do_not_load")),
    )


async def bill(request: Request) -> Response:
    """A bill's status, holds and history, its recipients and their grounds, and which of them have read everything."""
    backend = backend_of(request)
    view = await backend.bill(request.path_params["bill"])
    read = {
        one.party.id: "no" if view.key in one.bills else "yes" if one.is_known else f"unknown: {one.receipt.unknown}"
        for one in backend.unread
    }
    return page(
        request, "bill.html", key=view.key, bill=bill_fields(view), explained=explain(view), read=read,
        unread_unknown=backend.unread_unknown, seen=fingerprint(view.bill), bulk=IN_BULK, reasons=sailing_reasons(view),
    )  # fmt: skip


async def parties(request: Request) -> Response:
    known = backend_of(request).registry.parties.values()
    return page(request, "parties.html", parties=sorted(known, key=lambda one: one.id))


async def party(request: Request) -> Response:
    """A party's contact, its topic, and its unread notices."""
    backend = backend_of(request)
    found = backend.registry.party(request.path_params["party"].upper())
    if found is None:
        raise backend.not_found("there is no such party")
    unread = next((one for one in backend.unread if one.party.id == found.id), None)
    return page(request, "party.html", party=found, unread=unread, unread_unknown=backend.unread_unknown)


async def feeds(request: Request) -> Response:
    """The time of each feed's last event, every outage, the latest first, and the ports' procedures."""
    backend = backend_of(request)
    active = sorted((feed, port or "", at) for (feed, port), at in backend.registry.feed_activity.items())
    history = sorted(backend.follower.outages.values(), key=lambda one: one.began_at, reverse=True)
    procedures = sorted(backend.registry.procedures.values())
    return page(request, "feeds.html", active=active, history=history, now=now_milliseconds(), procedures=procedures)


async def dead_letter(request: Request) -> Response:
    """A dead letter's content, with the invalid piece marked."""
    backend = backend_of(request)
    found = await backend.index.dead_letter(request.path_params["letter"])
    if found is None:
        raise backend.not_found("there is no such dead letter")
    return page(request, "letter.html", letter=found, pieces=pieces(found))


ROUTES: Final[list[Any]] = [
    *bill_pages.ROUTES,
    *list_pages.ROUTES,
    Route("/", notices),
    Route("/live-notices", live_notices),
    Route("/bills/{bill}", bill),
    Route("/parties", parties),
    Route("/parties/{party}", party),
    Route("/feeds", feeds),
    Route("/dead-letters/{letter}", dead_letter),
]
