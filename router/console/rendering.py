"""Pages made from templates, and the values in them: times in UTC and at the port, dead letters, a sailing's bars.

The templates escape all text, and nothing here produces markup.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from router.clock import now_milliseconds
from router.console.backend import Backend
from router.console.sessions import LoginSession
from router.desk.bill_query import STATUSES
from router.desk.box_views import door_number
from router.desk.index_notices import IndexedEntry
from router.desk.ports import port_names, zone_of
from router.harmless_text import harmless, readable
from router.model.eastern import MILLISECONDS, iso
from router.model.inputs import DeadLetter

FORM: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 30
SELECTED: Final = "bill:"
"""Fields of bills that are selected begin with it."""
MORE_FIELDS: Final = {"/bills": 150, "/login": 160}
"""Fields of the forms that have more, by their path: a box to tick for each bill of a page. Such a form may wait for a
log-in."""

MOST_SHOWN: Final = 100_000
"""Characters of a dead letter's content on its page."""

_ISO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


class Moment(NamedTuple):
    machine: str
    utc: str
    clock: str
    """The time of day in UTC, with seconds."""
    there: str | None
    """The local time at the port."""


def moment(value: int | str | None, port: str | None = None) -> Moment | None:
    """The moment at UTC milliseconds or at an ISO 8601 text; None for any other text."""
    if value is None or (isinstance(value, str) and not _ISO_TIME.match(value)):
        return None
    at = datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value / MILLISECONDS, UTC)
    zone, utc = zone_of(port), at.astimezone(UTC)
    there = at.astimezone(zone).strftime("%m-%d %H:%M %Z") if zone is not None else None
    return Moment(at.isoformat(), at.strftime("%Y-%m-%d %H:%MZ"), utc.strftime("%H:%M:%SZ"), there)


class Piece(NamedTuple):
    """A segment or line of a dead letter."""

    text: str
    broken: bool


def pieces(letter: DeadLetter) -> list[Piece]:
    """A dead letter's segments or lines, with the invalid one marked.

    If its reason names a segment, the last one of that name is marked; otherwise the last piece, since a letter begins
    with its envelope.
    """
    text = readable(letter.content)[:MOST_SHOWN]
    parts = _segments(text) if letter.format == "x12" else text.splitlines()
    tag = re.search(r"\b(?:segment )?([A-Z][A-Z0-9]{1,2})\b", letter.reason)
    named = [index for index, part in enumerate(parts) if tag and re.match(rf"{tag[1]}\b", part)]
    broken = named[-1] if named else len(parts) - 1
    return [Piece(part, index == broken) for index, part in enumerate(parts)]


def _segments(text: str) -> list[str]:
    """X12 segments, split at the terminator: the 106th character of the ISA segment."""
    terminator = text[105] if text.startswith("ISA") and len(text) > 105 else "~"
    return [part.strip("\r\n") for part in text.split(terminator) if part.strip("\r\n")]


class Bar(NamedTuple):
    """One status in a sailing's diagram, in thousandths of its width."""

    status: str
    bills: int
    start: int
    width: int


def bars(counts: Mapping[str, int]) -> list[Bar]:
    total = sum(counts.values())
    made: list[Bar] = []
    start = 0
    for status in STATUSES:
        if count := counts.get(status, 0):
            width = max(8, 1000 * count // total)
            made.append(Bar(status, count, start, width))
            start += width
    return made


_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=lambda value: harmless(value) if type(value) is str else value,
)
_TEMPLATES.globals["moment"] = moment
_TEMPLATES.globals["port_names"] = port_names()
_TEMPLATES.globals["door_number"] = door_number


def backend_of(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


def session_of(request: Request) -> LoginSession:
    """The session of a request that passed `LoginRequired`."""
    session: LoginSession = request.scope["state"]["session"]
    return session


def address_of(request: Request) -> str:
    """The browser's address; behind a proxy, as that says it (`console.access.tls_proxy_addresses`)."""
    return request.client.host if request.client is not None else "unknown"


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a URL-encoded form. Raises HTTPException for any other body.

    A multipart body names its own encoding, and some encodings yield text that can't be written.
    """
    if request.headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the form as {FORM}")
    most = MORE_FIELDS.get(request.url.path, MOST_FIELDS)
    given = await request.form(max_files=0, max_fields=most)
    return {name: str(value) for name, value in given.items()}


def rendered(template: str, **values: Any) -> str:
    return _TEMPLATES.get_template(template).render(**values)


def cause_of(entry: IndexedEntry) -> str | None:
    """Id of the event that made the decision: the bill's own, or another bill's."""
    cause: str | None = entry.fields["event_id"] or entry.fields["caused_by"]
    return cause


def bill_of(entry: IndexedEntry) -> str:
    bill: str = entry.fields["bill"]
    return bill


class Entered(NamedTuple):
    """A form that was sent and has an error."""

    form: str
    fields: dict[str, str]
    error: str


class Receipt(NamedTuple):
    """A deed that was done on the console, as its page shows it afterwards."""

    heading: str
    at: int
    by: str
    notices: tuple[str, ...]
    """Foreseen ones: a kind and its recipients each."""


NOTHING_ENTERED: Final = Entered("", {}, "")


def receipt_of(request: Request) -> Receipt | None:
    """The receipt that the address carries."""
    value = backend_of(request).sessions.signed(request.query_params.get("receipt", ""))
    return None if value is None else Receipt(*value)


def page(request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """A page, with the banner and menu that all pages share."""
    backend = backend_of(request)
    state = request.scope.get("state", {})
    session, entered = state.get("session"), state.get("entered", NOTHING_ENTERED)
    if entered.error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    shared = {
        "user": session.user if session else None,
        "csrf": session.csrf if session else "",
        "path": request.url.path,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "entered": entered,
        "receipt": receipt_of(request),
        "is_live": request.method == "GET",
        "as_of": backend.as_of,
        "now": now_milliseconds(),
        "revision": backend.live.revision,
        "cut_off": backend.cut_off,
        "unknown": backend.unknown,
        "silent": backend.silent,
        "progress": backend.follower.progress,
        "outages": [outage for outage in backend.follower.outages.values() if outage.ended_at is None],
    }
    return HTMLResponse(rendered(template, **(shared | values)), status)


def csv_response(name: str, columns: Sequence[str], rows: AsyncIterator[Sequence[str]]) -> Response:
    """All rows as a file of CSV, written while they are read."""

    async def lines() -> AsyncIterator[str]:
        yield _csv_line(columns)
        async for cells in rows:
            yield _csv_line(cells)

    headers = {"content-disposition": f'attachment; filename="{name}-{iso(now_milliseconds())[:10]}.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
