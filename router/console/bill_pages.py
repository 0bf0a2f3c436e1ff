"""The pages that answer questions about many bills: the list with its facets, searches, boxes and sailings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.rendering import backend_of, bars, csv_response, page
from router.decide.status import DO_NOT_LOAD, HELD
from router.desk.bill_index import IndexedBill
from router.desk.bill_query import (
    AGES,
    ARRIVING,
    DOUBTS,
    FLAGS,
    ORDERS,
    STATUSES,
    UNREAD,
    BillQuery,
    cursor_of,
    query_of,
)
from router.desk.bill_search import search as search_index
from router.desk.box_views import box_number, box_view
from router.desk.bulk_deeds import MOST_AT_ONCE
from router.desk.clearances import IN_BULK
from router.errors import UsageError
from router.harmless_text import csv_cell
from router.model.eastern import eastern_day, iso
from router.model.registry_values import Sailing

EXPORTED: Final = IndexedBill._fields
"""Columns of an export."""


async def bills(request: Request) -> Response:
    """One page of the bills that fit the facets in the address."""
    backend, now = backend_of(request), now_milliseconds()
    query, problem = _query(request)
    given = request.query_params
    status = HTTPStatus.OK if problem is None else HTTPStatus.UNPROCESSABLE_ENTITY
    after = cursor_of(given["after"], query) if given.get("after") else None
    before = cursor_of(given["before"], query) if given.get("before") else None
    found = await backend.index.bills(query, backend.registry, now, after=after, before=before)
    statuses = {one: found.by_status.get(one, 0) for one in STATUSES}
    if query.status:
        others = await backend.index.bills(query._replace(status=()), backend.registry, now, size=1)
        statuses = {one: others.by_status.get(one, 0) for one in STATUSES}
    return page(
        request, "bills.html", status, query=query, found=found, problem=problem, statuses=statuses, now=now,
        given={**query.fields(), **({} if problem is None else given)}, choices=CHOICES,
        codes=backend.rules.codes, link=link, sorted_by=_sorted_by(query), unread_unknown=backend.unread_unknown,
        bulk=IN_BULK, most_at_once=MOST_AT_ONCE,
    )  # fmt: skip


CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "arriving": ARRIVING, "doubt": DOUBTS, "flag": FLAGS, "unread": tuple(UNREAD), "age": tuple(AGES),
}  # fmt: skip
"""The words of each facet that has a list of them."""


def _query(request: Request) -> tuple[BillQuery, str | None]:
    """The query of the address; with a value that selects nothing, no bill at all, and the reason."""
    try:
        return query_of(request.query_params), None
    except UsageError as error:
        return BillQuery(bill="-"), str(error)


def link(query: BillQuery, **changes: Any) -> str:
    """Address of the list of a query; `changes` are other facets, or a cursor's token as `after` or `before`."""
    cursors = {name: changes.pop(name) for name in ("after", "before") if name in changes}
    fields = query._replace(**changes).fields() | {name: place.token() for name, place in cursors.items()}
    return "/bills" + (f"?{urlencode(fields)}" if fields else "")


def _sorted_by(query: BillQuery) -> dict[str, tuple[str, str]]:
    """For each order its address, and `aria-sort` of its column; the present order's address is the reverse."""
    made = {}
    for name in ORDERS:
        is_now = query.sort == name
        way = ("descending" if query.descending else "ascending") if is_now else "none"
        made[name] = link(query, sort=name, descending=is_now and not query.descending), way
    return made


async def export(request: Request) -> Response:
    """All bills that fit, as CSV, written while they are read."""
    backend, now, query = backend_of(request), now_milliseconds(), query_of(request.query_params)

    async def rows() -> AsyncIterator[list[str]]:
        async for row in backend.index.every_bill(query, backend.registry, now):
            yield exported_cells(row)

    return csv_response("bills", EXPORTED, rows())


def exported_cells(row: IndexedBill) -> list[str]:
    """The cells of `EXPORTED`, as `snp-router bills --format csv` has them."""
    return [csv_cell(iso(row.since) if name == "since" else getattr(row, name)) for name in EXPORTED]


async def search(request: Request) -> Response:
    """Everything that the text names. A container alone leads to its box."""
    backend, now = backend_of(request), now_milliseconds()
    text = request.query_params.get("q", "").strip()
    found = await search_index(backend.index, backend.registry, text, now)
    return page(
        request, "search.html", text=text, found=found, now=now, link=link, codes=backend.rules.codes,
        box=_box_of(text), no_query=BillQuery(),
    )  # fmt: skip


def _box_of(text: str) -> str | None:
    try:
        return box_number(text)
    except UsageError:
        return None


async def box(request: Request) -> Response:
    """A container with every known bill in it."""
    backend, now = backend_of(request), now_milliseconds()
    asked = request.path_params["number"]
    number = box_number(asked)
    if number != asked:
        return RedirectResponse(f"/boxes/{quote(number)}", HTTPStatus.SEE_OTHER)
    found = await box_view(backend.index, backend.registry, backend.rules, number, now)
    return page(request, "box.html", box=found, codes=backend.rules.codes)


# Sailings


def next_arrival(sailing: Sailing, today: str) -> str | None:
    """The sailing's first call from today on, by CBP's clock."""
    return next((one for one in sailing.dates if one >= today), None)


def days_to(day: str, today: str) -> str:
    """`today`, `tomorrow`, `in 5 days`, `3 days ago`."""
    days = (date.fromisoformat(day) - date.fromisoformat(today)).days
    if days in (0, 1, -1):
        return {0: "today", 1: "tomorrow", -1: "yesterday"}[days]
    return f"in {days} days" if days > 0 else f"{-days} days ago"


def sailing_of(request: Request) -> Sailing:
    """The sailing that the address names. Raises NotFoundError, or TaskRetry if the registry is not read whole."""
    backend = backend_of(request)
    found = backend.registry.roster.sailing(request.path_params["sailing"])
    if found is None:
        raise backend.not_found("there is no such sailing")
    return found


async def sailing(request: Request) -> Response:
    """A sailing's calls and lines, its bills by status, and those that are stopped."""
    backend, now, found = backend_of(request), now_milliseconds(), sailing_of(request)
    aboard = BillQuery(sailing=found.sailing_id)
    everything = await backend.index.bills(aboard, backend.registry, now, size=1)
    held = aboard._replace(status=(DO_NOT_LOAD, HELD))
    stopped = await backend.index.bills(held, backend.registry, now)
    today = eastern_day(now)
    return page(
        request, "sailing.html", sailing=found, aboard=aboard, held=held, total=everything.total, stopped=stopped,
        bars=bars(everything.by_status), today=today, days_to=days_to, next_arrival=next_arrival(found, today),
        link=link, now=now, codes=backend.rules.codes,
    )  # fmt: skip


async def loading_list(request: Request) -> Response:
    """All do-not-loads of a sailing on one page to print, for the loading desk."""
    backend, now, found = backend_of(request), now_milliseconds(), sailing_of(request)
    query = BillQuery(sailing=found.sailing_id, do_not_load="yes", sort="bill")
    rows = [row async for row in backend.index.every_bill(query, backend.registry, now)]
    return page(request, "loading_list.html", sailing=found, rows=rows, now=now, codes=backend.rules.codes)


ROUTES: Final[list[Any]] = [
    Route("/bills", bills),
    Route("/bills.csv", export),
    Route("/search", search),
    Route("/boxes/{number}", box),
    Route("/sailings/{sailing}", sailing),
    Route("/sailings/{sailing}/do-not-loads", loading_list),
]
