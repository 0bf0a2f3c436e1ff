"""One deed on many bills, from the list: a preview of the notices, the deed, and its receipt."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.bill_pages import link
from router.console.deeds import FormFields, operators_fields
from router.console.rendering import address_of, backend_of, page, session_of
from router.desk.bill_query import query_of
from router.desk.bulk_deeds import MOST_AT_ONCE, BulkDeed, do, foresee
from router.desk.confirmations import Operator
from router.engine.administration import acting_from
from router.errors import UsageError
from router.model.vocabulary import HoldKind

SELECTED: Final = "bill:"
"""Fields of the bills that are selected begin with it."""
FACET: Final = "facet:"
"""Fields of the list's query begin with it."""
GIVEN: Final = ("deed", "reason", "source", "ticket")


async def preview(request: Request) -> Response:
    """Consequences of a deed on the selected bills; nothing is done."""
    fields, backend = await operators_fields(request), backend_of(request)
    deed, query, now = _deed(request, fields), query_of(_facets(fields)), now_milliseconds()
    if fields.get("scope") == "list":
        keys: list[str] = []
        async for row in backend.index.every_bill(query, backend.registry, now):
            keys.append(row.bill)
            if len(keys) > MOST_AT_ONCE:
                raise UsageError(f"the list has more than {MOST_AT_ONCE:,} bills: narrow it")
    else:
        keys = [name.removeprefix(SELECTED) for name in fields if name.startswith(SELECTED)]
    if not keys:
        raise UsageError("no bill is selected: go back and tick those that are meant")
    foreseen = await foresee(backend.index, backend.log, backend.registry, backend.rules, deed, keys)
    notices = foreseen.notices_by_party()
    return page(
        request, "bulk_preview.html", deed=deed, foreseen=foreseen, notices=notices, back=link(query),
        notice_count=sum(counts.total() for counts in notices.values()),
        previewed=json.dumps({one.bill: one.seen for one in foreseen.possible}),
        given={name: value for name, value in fields.items() if name in GIVEN or name.startswith(FACET)},
    )  # fmt: skip


async def apply(request: Request) -> Response:
    """Do the deed on the previewed bills, and say of each what became of it."""
    fields, backend = await operators_fields(request), backend_of(request)
    deed, query = _deed(request, fields), query_of(_facets(fields))
    with acting_from(address_of(request)):
        done = await do(backend.log, backend.rules, deed, _previewed(fields))
    return page(request, "bulk_receipt.html", deed=deed, done=done, now=now_milliseconds(), back=link(query))


def _facets(fields: FormFields) -> dict[str, str]:
    return {name.removeprefix(FACET): value for name, value in fields.items() if name.startswith(FACET)}


def _deed(request: Request, fields: FormFields) -> BulkDeed:
    name = session_of(request).user.name
    wanted, reason = fields.get("deed", ""), fields.get("reason", "")
    if not reason:
        raise UsageError("the field reason is empty: fill it in")
    operator = Operator(name, f"console:{name}", reason)
    if wanted == "confirm":
        return BulkDeed("confirm", operator)
    kinds: dict[str, HoldKind] = {kind: kind for kind in get_args(HoldKind)}
    return BulkDeed("clear", operator, kinds.get(wanted), fields.get("source") or None, fields.get("ticket") or None)


def _previewed(fields: FormFields) -> dict[str, str]:
    """The bills of a preview, each with what was seen. Raises UsageError for anything but a preview's own field."""
    try:
        given = json.loads(fields.get("previewed", ""))
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(seen, str) for seen in given.values()) or not given:
        raise UsageError("the preview is missing: begin at the list")
    if len(given) > MOST_AT_ONCE:
        raise UsageError(f"these are more than {MOST_AT_ONCE:,} bills: narrow the list")
    return given


ROUTES: Final[list[Any]] = [
    Route("/bills/preview", preview, methods=["POST"]),
    Route("/bills/apply", apply, methods=["POST"]),
]
