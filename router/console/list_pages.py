"""The console's lists: each is filtered, sorted and paged in the index, has an address, and exports all its rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.codec import Fields
from router.console.bill_pages import days_to, sailing_of
from router.console.rendering import backend_of, bill_of, cause_of, csv_response, page
from router.decide.identity import notice_id
from router.desk.bill_index import BillIndex, audit, dead_letters, history_of, waiting
from router.desk.bill_query import UNREAD
from router.desk.index_lists import Paged, Selection
from router.desk.index_notices import KINDS, IndexedEntry, NoticeFilter, notices_of
from router.desk.index_reading import ReadTime, SentNotice, UnreadStop, unread_of
from router.desk.index_registry import (
    PARTY_ORDERS,
    SAILING_ORDERS,
    IndexedParty,
    IndexedSailing,
    lines_of,
    outages_of,
    parties_of,
    sailings_of,
)
from router.desk.remedies import AT_THE_BILL, MISSING
from router.desk.stop_records import NewStop, stops_since
from router.engine.administration import AuditEntry
from router.errors import UsageError
from router.feeds.typed_times import typed_time
from router.harmless_text import csv_cell
from router.model.eastern import eastern_day, iso
from router.model.inputs import DeadLetter
from router.model.registry_values import PARTY_STATUSES, Line, Outage
from router.presentation import by_cause

Given = dict[str, str]
"""The facets and the order that an address names; those without a value are left out."""

ORDER: Final = ("sort", "order")
LONGEST_NUMBER: Final = 15
"""Digits of a time in an address."""
TIMES: Final = frozenset({"at", "action_at", "since", "received_at", "unread_since", "began_at", "until", "ended_at"})
"""Columns in UTC milliseconds, which an export has as ISO 8601."""


def _row_fields(row: Any) -> dict[str, Any]:
    fields: dict[str, Any] = row._asdict()
    return fields


async def _nothing_more(request: Request, given: Given, found: Paged[Any]) -> dict[str, Any]:
    return {}


class ListPage(NamedTuple):
    """A list with its page and its export."""

    path: str
    """Its address; that of the export ends with `.csv`."""
    template: str
    facets: tuple[str, ...]
    """Words of the address that select rows."""
    select: Callable[[Request, Given], Selection[Any]]
    """Raises UsageError for a value that selects nothing."""
    columns: tuple[str, ...]
    """Columns of its export."""
    orders: tuple[str, ...] = ()
    """Words that sort it; the first is usual."""
    fields: Callable[[Any], Mapping[str, Any]] = _row_fields
    """Values of a row's columns."""
    more: Callable[[Request, Given, Paged[Any]], Awaitable[Mapping[str, Any]]] = _nothing_more
    """Other values for its template."""

    async def show(self, request: Request) -> Response:
        """One page of the rows that the address selects."""
        given, words = await self.given(request), request.query_params
        selection = self.select(request, given)
        found = await backend_of(request).index.page(selection, words.get("after"), words.get("before"))
        words_given = dict.fromkeys((*self.facets, *ORDER), "") | given
        return page(
            request, self.template, found=found, given=words_given, text=given.get("text", ""),
            links=self.links(request.url.path, given, found), sorted_by=self._sorted_by(given, selection.descending),
            **await self.more(request, given, found),
        )  # fmt: skip

    async def export(self, request: Request) -> Response:
        """All rows that the address selects, as CSV."""
        selection = self.select(request, await self.given(request))

        async def rows() -> AsyncIterator[list[str]]:
            async for row in backend_of(request).index.every_row(selection):
                fields = self.fields(row)
                yield [csv_cell(_shown(name, fields.get(name))) for name in self.columns]

        return csv_response(self.path.strip("/").replace("/", "-").translate(_BRACES), self.columns, rows())

    async def given(self, request: Request) -> Given:
        """The words of the address that this list knows."""
        names = (*self.facets, *ORDER)
        return {name: value for name in names if (value := request.query_params.get(name, "").strip())}

    def links(self, path: str, given: Given, found: Paged[Any]) -> ListLinks:
        """Addresses of the other pages of a list, and of its export."""

        def to(**more: str) -> str:
            words = urlencode({**given, **more})
            return f"{path}?{words}" if words else path

        return ListLinks(
            to(),
            to() if found.before else None,
            to(before=found.before) if found.before else None,
            to(after=found.after) if found.after else None,
            f"{path}.csv" + (f"?{urlencode(given)}" if given else ""),
        )

    def _sorted_by(self, given: Given, is_descending: bool) -> dict[str, tuple[str, str]]:
        """For each order its address, and `aria-sort` of its column; the present order's address is the reverse."""
        facets = {name: value for name, value in given.items() if name not in ORDER}
        made = {}
        for name in self.orders:
            is_now = given.get("sort", self.orders[0]) == name
            words = facets | {"sort": name} | ({"order": "asc" if is_descending else "desc"} if is_now else {})
            way = ("descending" if is_descending else "ascending") if is_now else "none"
            made[name] = f"?{urlencode(words)}", way
        return made

    def routes(self) -> list[Route]:
        return [Route(f"{self.path}.csv", self.export), Route(self.path, self.show)]


class ListLinks(NamedTuple):
    """Addresses beside a page of a list; None where there is no such page."""

    all: str
    """The first page, as a whole address."""
    first: str | None
    previous: str | None
    next: str | None
    csv: str


_BRACES: Final = str.maketrans("", "", "{}")


def _shown(name: str, value: Any) -> Any:
    return iso(value) if name in TIMES and value is not None else value


# Sailings and parties


def _sailings(request: Request, given: Given) -> Selection[IndexedSailing]:
    return sailings_of(given, eastern_day(now_milliseconds()))


class SailingsPage(ListPage):
    """Sailings to come; if there are none, those before."""

    async def given(self, request: Request) -> Given:
        given = await super().given(request)
        if "show" in given:
            return given
        coming = await backend_of(request).index.page(self.select(request, given), size=1)
        return given if coming.total else {**given, "show": "past"}


async def _of_sailings(request: Request, given: Given, found: Paged[Any]) -> dict[str, Any]:
    return {"today": eastern_day(now_milliseconds()), "days_to": days_to}


def _parties(request: Request, given: Given) -> Selection[IndexedParty]:
    return parties_of(given)


async def _of_parties(request: Request, given: Given, found: Paged[Any]) -> dict[str, Any]:
    unknown = backend_of(request).unread_unknown
    return {"statuses": PARTY_STATUSES, "unread_unknown": unknown}


def _lines(request: Request, given: Given) -> Selection[Line]:
    return lines_of(sailing_of(request).sailing_id)


async def _of_lines(request: Request, given: Given, found: Paged[Any]) -> dict[str, Any]:
    return {"sailing": sailing_of(request).sailing_id}


def _outages(request: Request, given: Given) -> Selection[Outage]:
    return outages_of(_text(given))


# What is not read


def _unread(request: Request, given: Given) -> Selection[UnreadStop]:
    kind, party = given.get("kind", ""), given.get("party", "").upper()
    if kind and kind not in UNREAD:
        raise UsageError(f"kind {kind!r} is none of {', '.join(UNREAD)}")
    known = backend_of(request).registry.party(party) if party else None
    return unread_of(known.id if known is not None else party, kind)


async def _of_unread(request: Request, given: Given, found: Paged[Any]) -> dict[str, Any]:
    return {"kinds": tuple(UNREAD), "unread_unknown": backend_of(request).unread_unknown}


# New do-not-loads


def _since(given: Given) -> int:
    """UTC milliseconds, as a number or typed; by itself an hour ago."""
    text = given.get("since", "1h")
    if text.isdecimal() and len(text) <= LONGEST_NUMBER:
        return int(text)
    return typed_time("since", text, now_milliseconds())


def _new_stops(request: Request, given: Given) -> Selection[NewStop]:
    return stops_since(_since(given))


async def _of_new_stops(request: Request, given: Given, found: Paged[Any]) -> dict[str, Any]:
    return {"since": _since(given)}


# Notices


def notice_filter(request: Request, given: Given) -> NoticeFilter:
    """The filter that an address names; a kind that is none selects any."""
    registry, party, kind = backend_of(request).registry, given.get("party", "").upper(), given.get("kind", "").lower()
    known = registry.party(party) if party else None
    return NoticeFilter(
        party if known is None else known.id,
        kind if kind in KINDS else "",
        " ".join(given.get("vessel", "").upper().split()),
        given.get("port", ""),
        bool(given.get("do_not_load")),
    )


def _notices(request: Request, given: Given) -> Selection[IndexedEntry]:
    return notices_of(notice_filter(request, given))


async def _of_notices(request: Request, given: Given, found: Paged[Any]) -> dict[str, Any]:
    return {"wanted": notice_filter(request, given), "groups": by_cause(found.rows, cause_of, bill_of)}


def _notice_fields(entry: IndexedEntry) -> dict[str, Any]:
    notified = [f"{one['recipient']} {one['kind']}" for one in entry.fields["notified"]]
    return entry.fields | {"notified": notified, "vessel_name": entry.vessel_name, "port": entry.port}


# A bill's history


async def read_times(index: BillIndex, bill: str, entries: Iterable[Mapping[str, Any]]) -> dict[str, ReadTime]:
    """Return the time at which each notice of these decisions was read, by the decision's sequence and the recipient, a
    blank between them; those of which nothing is known are left out."""
    sent = [
        SentNotice(one["recipient"], notice_id(entry["decision_id"], one["recipient"]), entry["sequence"])
        for entry in entries
        for one in entry["notified"]
    ]
    return {f"{one.sequence} {one.party}": time for one, time in (await index.read_times(bill, sent)).items()}


def _history(request: Request, given: Given) -> Selection[Fields]:
    return history_of(request.path_params["bill"])


async def _of_history(request: Request, given: Given, found: Paged[Any]) -> dict[str, Any]:
    backend, key = backend_of(request), request.path_params["bill"]
    if not found.total:
        raise backend.not_found(f"no bill {key} has been routed yet: check the number, or use the search")
    return {"key": key, "reads": await read_times(backend.index, key, found.rows)}


def _history_fields(entry: Fields) -> Fields:
    return entry | {"notified": [f"{one['recipient']} {one['kind']}" for one in entry["notified"]]}


# Waiting bills, dead letters, audit


def _text(given: Given) -> str:
    return given.get("text", "")


FIRST: Final = 10
"""Bills of each group that are shown before one is chosen."""


class WaitingPage(ListPage):
    """Waiting bills, by what is missing until the address has a text."""

    async def show(self, request: Request) -> Response:
        index, given = backend_of(request).index, request.query_params
        if given.get("text", "").strip() or given.get("after") or given.get("before"):
            return await super().show(request)
        counts = await index.counts()
        groups = [
            (one, (await index.page(waiting(one.reason), size=FIRST)).rows) for one in await index.waiting_groups()
        ]
        return page(
            request,
            "waiting_groups.html",
            groups=groups,
            counts=counts,
            remedies=MISSING,
            at_the_bill=AT_THE_BILL,
            parties=backend_of(request).registry.parties,
        )


def _waiting(request: Request, given: Given) -> Selection[Any]:
    return waiting(_text(given))


def _letters(request: Request, given: Given) -> Selection[DeadLetter]:
    return dead_letters(_text(given))


def _audit(request: Request, given: Given) -> Selection[AuditEntry]:
    return audit(_text(given))


NOTICES: Final = ListPage(
    "/notices", "notices.html", ("party", "kind", "vessel", "port", "do_not_load"), _notices,
    ("at", "bill", "disposition_code", "cause", "status", "do_not_load", "notified", "vessel_name", "port"),
    fields=_notice_fields, more=_of_notices,
)  # fmt: skip
"""The list whose beginning is on the first page."""

LISTS: Final = (
    NOTICES,
    SailingsPage(
        "/sailings", "sailings.html", ("show", "text"), _sailings, IndexedSailing._fields, SAILING_ORDERS,
        more=_of_sailings,
    ),
    ListPage("/sailings/{sailing}/lines", "lines.html", (), _lines, Line._fields, more=_of_lines),
    ListPage(
        "/parties", "parties.html", ("text", "status", "reading"), _parties, IndexedParty._fields, tuple(PARTY_ORDERS),
        more=_of_parties,
    ),
    ListPage("/outages", "outages.html", ("text",), _outages, Outage._fields),
    ListPage("/new-do-not-loads", "new_stops.html", ("since",), _new_stops, NewStop._fields, more=_of_new_stops),
    ListPage("/unread", "unread.html", ("party", "kind"), _unread, UnreadStop._fields, more=_of_unread),
    ListPage(
        "/bills/{bill}/history", "history.html", (), _history,
        ("at", "action_at", "disposition_code", "cause", "status_before", "status", "do_not_load", "remarks",
         "notified", "flags"),
        fields=_history_fields, more=_of_history,
    ),
    WaitingPage(
        "/waiting", "waiting.html", ("text",), _waiting,
        ("scac", "bill_of_lading", "status", "do_not_load", "reasons", "parties", "since"), fields=dict,
    ),
    ListPage(
        "/dead-letters", "letters.html", ("text",), _letters,
        ("id", "received_at", "scac", "bill_of_lading", "reason", "source", "format", "content_size", "times"),
    ),
    ListPage("/audit", "audit.html", ("text",), _audit, AuditEntry._fields),
)  # fmt: skip

ROUTES: Final[list[Any]] = [route for one in LISTS for route in one.routes()]
