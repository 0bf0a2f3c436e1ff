"""Lists of waiting bills, of dead letters and of the audit, each filtered by a text, paged and exported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.console.rendering import backend_of, csv_response, page
from router.desk.bill_index import BillIndex, Paged
from router.desk.remedies import AT_THE_BILL, MISSING
from router.engine.administration import AuditEntry
from router.harmless_text import csv_cell
from router.model.eastern import iso
from router.model.inputs import DeadLetter


class ListPage(NamedTuple):
    """A list with its page and its export."""

    name: str
    """Its address without the slash, and the name of its file."""
    template: str
    read: Callable[[BillIndex], Callable[[str | None, str], Awaitable[Paged]]]
    columns: tuple[str, ...]
    """Columns of its export."""
    fields: Callable[[Any], dict[str, Any]]
    """Values of a row's columns; times in UTC milliseconds."""

    async def show(self, request: Request) -> Response:
        """One page of the rows that contain the text of the address."""
        text, after = request.query_params.get("text", "").strip(), request.query_params.get("after")
        found = await self.read(backend_of(request).index)(after, text)
        following = f"?{urlencode({'text': text, 'after': found.after})}" if found.after else None
        csv_address = f"/{self.name}.csv" + (f"?{urlencode({'text': text})}" if text else "")
        return page(
            request, self.template, found=found, text=text, following=following, csv_address=csv_address,
            is_first=after is None,
        )  # fmt: skip

    async def export(self, request: Request) -> Response:
        """All rows that contain the text, as CSV."""
        text, read = request.query_params.get("text", "").strip(), self.read(backend_of(request).index)

        async def rows() -> AsyncIterator[list[str]]:
            after, is_first = None, True
            while is_first or after is not None:
                found = await read(after, text)
                after, is_first = found.after, False
                for row in found.rows:
                    fields = self.fields(row)
                    yield [csv_cell(_shown(name, fields.get(name))) for name in self.columns]

        return csv_response(self.name, self.columns, rows())


def _shown(name: str, value: Any) -> Any:
    return iso(value) if name in ("at", "since", "received_at") else value


def _letter_fields(letter: DeadLetter) -> dict[str, Any]:
    return letter._asdict()


def _entry_fields(entry: AuditEntry) -> dict[str, Any]:
    return entry._asdict()


FIRST: Final = 10
"""Bills of each group that are shown before one is chosen."""


class WaitingPage(ListPage):
    """Waiting bills, by what is missing until the address has a text."""

    async def show(self, request: Request) -> Response:
        index, given = backend_of(request).index, request.query_params
        if given.get("text", "").strip() or given.get("after"):
            return await super().show(request)
        counts = await index.counts()
        groups = [
            (one, (await index.waiting(text=one.reason, size=FIRST)).rows) for one in await index.waiting_groups()
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


LISTS: Final = (
    WaitingPage(
        "waiting", "waiting.html", lambda index: index.waiting,
        ("scac", "bill_of_lading", "status", "do_not_load", "reasons", "parties", "since"), dict,
    ),
    ListPage(
        "dead-letters", "letters.html", lambda index: index.dead_letters,
        ("id", "received_at", "scac", "bill_of_lading", "reason", "source", "format", "content_size", "times"),
        _letter_fields,
    ),
    ListPage("audit", "audit.html", lambda index: index.audit, AuditEntry._fields, _entry_fields),
)  # fmt: skip

ROUTES: Final[list[Any]] = [
    route for one in LISTS for route in (Route(f"/{one.name}", one.show), Route(f"/{one.name}.csv", one.export))
]
