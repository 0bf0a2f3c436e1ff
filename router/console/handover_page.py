"""The handover to the next shift: everything since a time, on one page to read or print."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.rendering import backend_of, page
from router.desk.handover import read_handover, section_rows
from router.errors import UsageError
from router.feeds.typed_times import typed_time

A_SHIFT: Final = "12h"


async def handover(request: Request) -> Response:
    """What was stopped and freed since a time, who read it, what is open, and what people did. It stands still: it is
    read from the log for each request."""
    backend, now = backend_of(request), now_milliseconds()
    given = request.query_params.get("since", "").strip() or A_SHIFT
    try:
        since = typed_time("since", given, now)
        if since >= now:
            raise UsageError("since: that is still to come; times without an offset are Eastern")
    except UsageError as error:
        return page(request, "handover.html", given=given, fault=str(error), found=None, rows={}, is_live=False)
    found = await read_handover(backend.log, backend.rules, since, now)
    return page(
        request, "handover.html", given=given, fault=None, found=found, rows=section_rows(found), is_live=False
    )  # fmt: skip


HANDOVER: Final[list[Any]] = [Route("/handover", handover)]
