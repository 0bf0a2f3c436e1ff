"""The page for the next shift: everything since a time, to be read and to be printed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.rendering import backend_of, csv_response, page
from router.desk.handover import Handover, read_handover, section_rows
from router.errors import TaskRetry, UsageError
from router.feeds.typed_times import typed_time
from router.harmless_text import csv_cell
from router.model.eastern import iso

SHIFT: Final = "12h"
SHOWN: Final = 100
"""Rows of each section, unless all are asked for."""
ALL: Final = "all"
EXPORTED: Final = (
    "section", "bill", "at", "posted_at", "code", "hold", "status", "status_now", "stands", "cause", "revoked",
    "read_by", "not_read_by", "unknown_of", "unknown_because", "by", "action", "subject", "detail", "scac",
    "bill_of_lading", "do_not_load", "reasons", "parties", "since", "id", "kind", "mode", "feed", "port", "carrier",
    "reason", "ticket", "began_at", "ended_at", "source", "received_at",
)  # fmt: skip
"""Columns of the export: those of every section."""


async def handover(request: Request) -> Response:
    """The sections of a stretch, each counted; by itself the last twelve hours."""
    given = request.query_params
    try:
        begin, end = _stretch(request)
    except UsageError as error:
        return page(request, "handover.html", HTTPStatus.UNPROCESSABLE_ENTITY, found=None, problem=str(error),
                    given=given, is_live=False)  # fmt: skip
    found = await _read(request, begin, end)
    address = {"since": iso(begin), "until": iso(end)}
    return page(
        request, "handover.html", found=found, problem=None, given=given, is_live=False, sections=section_rows(found),
        most=None if given.get("rows") == ALL else SHOWN, everything=f"?{urlencode(address | {'rows': ALL})}",
        csv_address=f"/handover.csv?{urlencode(address)}", codes=backend_of(request).rules.codes,
    )  # fmt: skip


async def export(request: Request) -> Response:
    """All rows of all sections, as CSV."""
    sections = section_rows(await _read(request, *_stretch(request)))

    async def rows() -> AsyncIterator[list[str]]:
        for section, found in sections.items():
            for fields in found:
                yield [csv_cell((fields | {"section": section}).get(name)) for name in EXPORTED]

    return csv_response("handover", EXPORTED, rows())


def _stretch(request: Request) -> tuple[int, int]:
    """Its begin and end, UTC milliseconds. Raises UsageError."""
    given, now = request.query_params, now_milliseconds()
    begin = typed_time("since", given.get("since") or SHIFT, now)
    end = typed_time("until", given["until"], now) if given.get("until") else now
    if end <= begin:
        raise UsageError(f"since: {iso(begin)} is not earlier than {iso(end)}; times without an offset are Eastern")
    return begin, end


async def _read(request: Request, begin: int, end: int) -> Handover:
    """Read the stretch from the log itself. Raises LogError."""
    backend = backend_of(request)
    if backend.cut_off is not None:
        raise TaskRetry(f"not known: {backend.cut_off.reason}")
    return await read_handover(backend.log, backend.rules, begin, end)


ROUTES: Final[list[Any]] = [Route("/handover", handover), Route("/handover.csv", export)]
