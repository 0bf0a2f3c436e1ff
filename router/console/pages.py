"""The pages that a duty officer reads: bills, sailings, parties, feeds, waiting bills, dead letters, audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console import bill_pages, handover_page, list_pages, outage_pages, user_pages
from router.console.backend import Backend
from router.console.flag_advice import ADVICE
from router.console.lifeline import lifeline
from router.console.now_page import NOW
from router.console.reading_lag import HEIGHT, WIDTH, reading_lag
from router.console.rendering import MOST_SHOWN, backend_of, page, pieces, receipt_of
from router.decide.identity import keyed_id
from router.decide.standing_holds import StandingHold
from router.desk.bill_index import dead_letters
from router.desk.bill_query import STATUSES, BillQuery
from router.desk.bill_views import BillView, NotFoundError, bill_fields, explain, explain_party, sailing_reasons
from router.desk.clearances import IN_BULK, place_of
from router.model.eastern import DAY, iso

LONGEST_PARTY: Final = 60
MOST_UNREAD: Final = 50
"""Unread stops on a party's page; their own list has all."""
MOST_HISTORY: Final = 50
"""Latest decisions on a bill's page; its history has all."""


async def bill(request: Request) -> Response:
    """A bill's status, holds and history, its recipients and their grounds, and which of them have read everything."""
    backend = backend_of(request)
    receipt, key = receipt_of(request), request.path_params["bill"]
    try:
        view = await backend.bill(key)
    except NotFoundError:
        if receipt is None:
            raise
        return page(request, "new_bill.html", key=key)
    shown, asked = bill_fields(view), request.query_params.get("party", "").strip().upper()[:LONGEST_PARTY]
    stopping = frozenset(code for code, one in backend.rules.codes.codes.items() if one.do_not_load)
    read = {
        one.party.id: "no" if view.key in one.bills else "yes" if one.is_known else f"unknown: {one.receipt.unknown}"
        for one in backend.unread
    }
    history = shown["timeline"][-MOST_HISTORY:]
    reads = await list_pages.read_times(backend.index, key, history)
    return page(
        request, "bill.html", key=view.key, history=history, reads=reads, bill=shown, explained=explain(view),
        codes=backend.rules.codes, read=read, unread_unknown=backend.unread_unknown, bulk=IN_BULK,
        reasons=sailing_reasons(view),
        choices=[hold_choice(hold) for hold in view.bill.status.holds], advice=ADVICE,
        letters=await _letters(view, backend), life=lifeline(shown["timeline"], stopping, now_milliseconds()),
        asked=explain_party(view, asked) if asked else None,
        done=[one for one in shown["timeline"] if receipt and is_deed_after(one, receipt.at)],
    )  # fmt: skip


BY_HAND: Final = ("manual-event", "clearance", "confirmation")
"""Records of a bill's history that an operator wrote."""


def is_deed_after(entry: Mapping[str, Any], moment: int) -> bool:
    """True for an operator's deed in a bill's history, written since then."""
    record = entry["input"]["record"] if isinstance(entry["input"], dict) else None
    return record in BY_HAND and entry["at"] >= iso(moment)


def hold_choice(hold: StandingHold) -> str:
    """The hold's name in the form, which is the same after others have ended."""
    return "|".join(part or "" for part in place_of(hold))


async def _letters(view: BillView, backend: Backend) -> dict[str, str]:
    """Ids of the waiting dead letters behind unreadable events, by the event's id."""
    unparsed = view.bill.state.unparsed
    if not unparsed:
        return {}
    secret, letters = view.registry.secret, backend.index.every_row(dead_letters())
    return {event: one.id async for one in letters if (event := keyed_id(secret, one.id)) in unparsed}


async def new_hold(request: Request) -> Response:
    """The form for a hold on a bill that is not known yet."""
    return page(request, "new_hold.html", bill=request.query_params.get("bill", ""))


async def party(request: Request) -> Response:
    """A party's contact, its topic, and its unread notices."""
    backend = backend_of(request)
    found = backend.registry.party(request.path_params["party"].upper())
    if found is None:
        raise backend.not_found("there is no such party")
    unread = next((one for one in backend.unread if one.party.id == found.id), None)
    query, now = BillQuery(party=found.id), now_milliseconds()
    lag = reading_lag(await backend.index.observations(found.id, now - DAY), now)
    statuses = (await backend.index.bills(query, backend.registry, now, size=1)).by_status
    return page(
        request,
        "party.html",
        lag=lag,
        width=WIDTH,
        height=HEIGHT,
        most=MOST_UNREAD,
        party=found,
        unread=unread,
        unread_unknown=backend.unread_unknown,
        statuses={one: statuses[one] for one in STATUSES if statuses.get(one)},
    )


async def dead_letter(request: Request) -> Response:
    """A dead letter's content, with the invalid piece marked."""
    backend = backend_of(request)
    found = await backend.index.dead_letter(request.path_params["letter"])
    if found is None:
        raise backend.not_found("there is no such dead letter")
    return page(request, "letter.html", letter=found, pieces=pieces(found), most_shown=MOST_SHOWN)


ROUTES: Final[list[Any]] = [
    *NOW,
    *bill_pages.ROUTES,
    *list_pages.ROUTES,
    *handover_page.ROUTES,
    Route("/bills/{bill}", bill),
    Route("/holds", new_hold),
    Route("/parties/{party}", party),
    *outage_pages.ROUTES,
    Route("/dead-letters/{letter}", dead_letter),
    *user_pages.ROUTES,
]
