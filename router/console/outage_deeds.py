"""Deeds of an outage day: declare an outage, change it, end it."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from router.clock import now_milliseconds
from router.console import outage_pages
from router.console.deeds import Deed, FormFields, Preview, given, name_of
from router.console.rendering import backend_of
from router.desk.downtime import declare, end, find_open
from router.feeds.forms import OutageForm, checked


def _outage(request: Request, fields: FormFields, now: int) -> OutageForm:
    entered = given(fields, "mode", "port", "feed", "carrier", "reason", "until", "ticket")
    return checked(OutageForm, entered | {"by": name_of(request), "since": now})


def _readers(request: Request) -> str:
    live = sum(party.status == "live" for party in backend_of(request).registry.parties.values())
    return f"{live} live parties read of it on snp.feed-status: no news is not clearance."


async def _preview_declare(request: Request, fields: FormFields) -> Preview:
    form = _outage(request, fields, now_milliseconds())
    where = "".join((f", port {form.port}" if form.port else "", f", line {form.carrier}" if form.carrier else ""))
    facts = [f"{'All modes' if form.mode == 'all' else form.mode.capitalize()}{where}: {form.reason}."]
    facts += [_readers(request)]
    if form.carrier:
        facts += [f"The parties of {form.carrier}'s sailings and filers of its open bills get a notice each."]
    return Preview("Declare an outage", tuple(facts))


async def _declare(request: Request, fields: FormFields) -> str:
    """Declare an outage of a feed, a port or a line."""
    now = now_milliseconds()
    await declare(backend_of(request).log, _outage(request, fields, now), now)
    return "/feeds"


async def _preview_end(request: Request, _fields: FormFields) -> Preview:
    outage = await find_open(backend_of(request).log, request.path_params["outage"])
    return Preview("End the outage", (f"{outage.reason or 'silence'}: it is over from now on.", _readers(request)))


async def _end_outage(request: Request, _fields: FormFields) -> str:
    now = now_milliseconds()
    await end(backend_of(request).log, request.path_params["outage"], name_of(request), now, now)
    return "/feeds"


DEEDS: Final = (
    Deed("/outages", "declare", outage_pages.feeds, "/feeds", _preview_declare, _declare),
    Deed("/outages/{outage}/end", "end", outage_pages.feeds, "/feeds", _preview_end, _end_outage),
)
