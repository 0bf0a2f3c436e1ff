"""What a duty officer reads: the stream, a bill, a sailing, a party, feeds, what waits, what could not be read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.desk import Desk
from router.console.index import MOST_FOUND, Found
from router.console.live import Filter
from router.console.page import desk_of, page
from router.console.shown import bars, pieces
from router.decide.registry import Registry
from router.desk.bill_views import bill_fields, explain
from router.desk.unread_notices import sentence
from router.model.registry_values import Sailing

RECENT: Final = 50


async def stream(request: Request) -> Response:
    """The latest notices, and where more of them come from."""
    desk, wanted = desk_of(request), _filter(request)
    recent = [entry for entry in await desk.index.recent(10 * RECENT) if wanted.wants(entry)][:RECENT]
    counts = await desk.index.counts()
    stopped = await desk.index.stopped()
    statuses = await desk.index.statuses()
    return page(
        request, "stream.html", entries=recent, wanted=wanted, counts=counts, stopped=stopped, statuses=statuses,
        query=request.url.query, unread=_unread_sentences(request),
    )  # fmt: skip


def _unread_sentences(request: Request) -> list[str]:
    """Whom to call, about what."""
    now = now_milliseconds()
    desk = desk_of(request)
    return [sentence(one.party, stop, now) for one in desk.watched.unread for stop in one.do_not_loads][:RECENT]


async def live(request: Request) -> Response:
    """The same, as server-sent events: rows of the table, ready to be put in."""
    desk = desk_of(request)
    if desk.hub.is_full:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages watch already: close one, or reload later")
    wanted = _filter(request)

    async def events() -> AsyncIterator[str]:
        with desk.hub.watching(wanted) as watcher:
            yield ": here\n\n"
            async for delivery in watcher.deliveries():
                if not desk.access.lasts(request):
                    return
                if not delivery.rows:
                    yield ": still here\n\n"
                    continue
                yield _event("".join(reversed(delivery.rows)), delivery.missed)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _event(rows: str, missed: int) -> str:
    return f"data: {json.dumps({'rows': rows, 'missed': missed})}\n\n"


def _filter(request: Request) -> Filter:
    given = {name: value.strip() for name, value in request.query_params.items()}
    kind = given.get("kind", "").lower()
    return Filter(
        party=given.get("party", "").upper() or None,
        kind=kind if kind in ("hold", "change", "release") else None,
        vessel=given.get("vessel", "").upper() or None,
        port=given.get("port") or None,
        do_not_load=bool(given.get("do_not_load")),
    )


async def bill(request: Request) -> Response:
    """One bill: status, holds, history, who was told and why."""
    desk = desk_of(request)
    view = await desk.bill(request.path_params["bill"])
    return page(
        request, "bill.html", key=view.key, bill=bill_fields(view), explained=explain(view), read=_read(desk, view.key)
    )


def _read(desk: Desk, bill: str) -> dict[str, str]:
    """By party, whether it has read all that it was told of the bill."""
    return {
        one.party.scac: "not known" if one.receipt.unknown else "no" if bill in one.bills else "yes"
        for one in desk.watched.unread
    }


async def search(request: Request) -> Response:
    """Bills by number, container, entry, vessel or master."""
    text = request.query_params.get("q", "").strip()
    return page(request, "search.html", text=text, found_bills=await desk_of(request).index.search(text))


async def sailings(request: Request) -> Response:
    known = desk_of(request).registry.sailings.values()
    return page(request, "sailings.html", sailings=sorted(known, key=lambda one: one.arrival_date or "", reverse=True))


async def sailing(request: Request) -> Response:
    """One sailing: its lines, and its bills by status, do-not-loads on top."""
    desk = desk_of(request)
    found = desk.registry.sailings.get(request.path_params["sailing"])
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such sailing")
    aboard = [
        one
        for one, carrier, arrival in await desk.index.aboard(found.imo_number)
        if _is_aboard(found, one, carrier, arrival, desk.registry)
    ]
    counts = Counter(one.status for one in aboard)
    more = max(0, len(aboard) - MOST_FOUND)
    return page(request, "sailing.html", sailing=found, aboard=aboard[:MOST_FOUND], more=more, bars=bars(counts))


def _is_aboard(sailing: Sailing, bill: Found, carrier: str | None, arrival: str | None, registry: Registry) -> bool:
    found = registry.sailing(sailing.imo_number, carrier, bill.voyage_number, arrival)
    return found is not None and found.sailing_id == sailing.sailing_id


async def parties(request: Request) -> Response:
    known = desk_of(request).registry.parties.values()
    return page(request, "parties.html", parties=sorted(known, key=lambda one: one.scac))


async def party(request: Request) -> Response:
    """One party: its contact, its topic, what it has not read."""
    desk = desk_of(request)
    found = desk.registry.party(request.path_params["scac"].upper())
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such party")
    unread = next((one for one in desk.watched.unread if one.party.scac == found.scac), None)
    return page(request, "party.html", party=found, unread=unread)


async def waiting(request: Request) -> Response:
    return page(request, "waiting.html", waiting=await desk_of(request).index.waiting())


async def feeds(request: Request) -> Response:
    """When each feed was last heard, and every outage there was, the latest first."""
    desk = desk_of(request)
    heard = sorted((feed, port or "", at) for (feed, port), at in desk.registry.heard.items())
    history = sorted(desk.follower.outages.values(), key=lambda one: one.began_at, reverse=True)
    return page(request, "feeds.html", heard=heard, history=history, now=now_milliseconds())


async def audit(request: Request) -> Response:
    """What people did by hand, the latest first."""
    return page(request, "audit.html", deeds=await desk_of(request).index.deeds())


async def letters(request: Request) -> Response:
    return page(request, "letters.html", letters=await desk_of(request).index.letters())


async def letter(request: Request) -> Response:
    """One dead letter, whole, with the broken place marked."""
    found = await desk_of(request).index.letter(request.path_params["letter"])
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such dead letter")
    return page(request, "letter.html", letter=found, pieces=pieces(found))


ROUTES: Final[list[Any]] = [
    Route("/", stream),
    Route("/live-notices", live),
    Route("/bills/{bill}", bill),
    Route("/search", search),
    Route("/sailings", sailings),
    Route("/sailings/{sailing}", sailing),
    Route("/parties", parties),
    Route("/parties/{scac}", party),
    Route("/feeds", feeds),
    Route("/waiting", waiting),
    Route("/audit", audit),
    Route("/dead-letters", letters),
    Route("/dead-letters/{letter}", letter),
]
