"""The pages of an outage day: the feeds' last 24 hours; for each outage its checklist, contacts and paper bills."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.feed_strips import WIDTH, feed_strips
from router.console.rendering import backend_of, page
from router.desk.downtime import checklist, read_outages
from router.desk.paper_bills import ON_PAPER, lading_clock, read_paper_bills
from router.desk.registered_parties import contacts
from router.errors import TaskRetry
from router.model.identifiers import is_valid_port


async def feeds(request: Request) -> Response:
    """Each feed's last 24 hours against its limit, every outage, the latest first, and the ports' procedures."""
    backend, now = backend_of(request), now_milliseconds()
    follower = backend.follower
    until = now if backend.cut_off is None else min(now, backend.cut_off.since)
    strips = feed_strips(follower.heard, backend.limits, follower.outages.values(), follower.heard_since, until)
    history = sorted(follower.outages.values(), key=lambda one: one.began_at, reverse=True)
    procedures = sorted(backend.registry.procedures.values())
    return page(request, "feeds.html", strips=strips, width=WIDTH, until=until, history=history, procedures=procedures)


async def outage(request: Request) -> Response:
    """An outage's checklist for one port, the port's contacts, and the bills on paper. It stands still."""
    backend, now = backend_of(request), now_milliseconds()
    found = backend.follower.outages.get(request.path_params["outage"])
    if found is None:
        raise backend.not_found("there is no such outage")
    if backend.cut_off is not None:
        raise TaskRetry(f"not known: {backend.cut_off.reason}")
    given = found.port or request.query_params.get("port", "").strip()
    port, areas = given if is_valid_port(given) else None, backend.rules.port_areas
    paper = await read_paper_bills(backend.log, backend.rules)
    steps = people = None
    if port is not None:
        views = await read_outages(backend.log)
        steps = checklist(backend.registry, views, paper, port, found.carrier, now, areas)
        people = contacts(backend.registry, port, areas)
    waiting = [(one, lading_clock(one, now)) for one in paper if one.state == ON_PAPER]
    return page(
        request, "outage.html", outage=found, given=given, port=port, steps=steps, people=people, paper=waiting,
        filed=len(paper) - len(waiting), is_live=False,
    )  # fmt: skip


ROUTES: Final[list[Any]] = [Route("/feeds", feeds), Route("/outages/{outage}", outage)]
