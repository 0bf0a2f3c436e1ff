"""The pages of an outage day: the feeds' last 24 hours; for each outage its checklist, contacts and paper bills."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.feed_strips import WIDTH, feed_strips
from router.console.rendering import backend_of, page, receipt_of
from router.desk.downtime import checklist, read_outages
from router.desk.paper_bills import ON_PAPER, Proposal, lading_clock, propose_matches, read_paper_bills
from router.desk.registered_parties import contacts
from router.errors import TaskRetry
from router.model.eastern import MINUTE, iso_minute
from router.model.identifiers import is_valid_port

MOST_PAIRS: Final = 100
"""Paper bills matched at once."""


MOST_OUTAGES: Final = 20
"""Latest outages on the page; their own list has all."""


async def feeds(request: Request) -> Response:
    """Each feed's last 24 hours against its limit, every outage, the latest first, and the ports' procedures."""
    backend, now = backend_of(request), now_milliseconds()
    follower = backend.follower
    until = now if backend.cut_off is None else min(now, backend.cut_off.since)
    strips = feed_strips(follower.heard, backend.limits, follower.outages.values(), follower.heard_since, until)
    history = sorted(follower.outages.values(), key=lambda one: one.began_at, reverse=True)
    procedures = sorted(backend.registry.procedures.values())
    return page(
        request,
        "feeds.html",
        strips=strips,
        width=WIDTH,
        until=until,
        outages_known=len(history),
        history=history[:MOST_OUTAGES],
        procedures=procedures,
    )


FOLLOWED_FOR: Final = MINUTE
"""Milliseconds after a deed in which an outage's page follows the log, so that its result appears."""


async def outage(request: Request) -> Response:
    """An outage's checklist for one port, the port's contacts, and the bills on paper, each with what it may have been
    filed as if that is asked for. It reads the log, so it stands still but after a deed."""
    backend, now = backend_of(request), now_milliseconds()
    if request.path_params["outage"] not in backend.follower.outages:
        raise backend.not_found("there is no such outage")
    if backend.cut_off is not None:
        raise TaskRetry(f"not known: {backend.cut_off.reason}")
    views = await read_outages(backend.log)
    found = next(view.outage for view in views if view.outage.id == request.path_params["outage"])
    asked_port = found.port or request.query_params.get("port", "").strip()
    port, areas = asked_port if is_valid_port(asked_port) else None, backend.rules.port_areas
    paper = await read_paper_bills(backend.log, backend.rules)
    steps = people = proposals = None
    if port is not None:
        steps = checklist(backend.registry, views, paper, port, found.carrier, now, areas)
        people = contacts(backend.registry, port, areas)
    if request.query_params.get("propose"):
        proposals = await propose_matches(backend.log, backend.rules)
    receipt = receipt_of(request)
    return page(
        request, "outage.html", outage=found, asked_port=asked_port, port=port, steps=steps, people=people,
        paper=[(one, lading_clock(one, now) if one.state == ON_PAPER else None) for one in paper],
        on_paper=sum(one.state == ON_PAPER for one in paper), proposals=proposals, pairs=_best_pairs(proposals or ()),
        until=iso_minute(found.until) if found.until is not None else "",
        is_live=request.method == "GET" and receipt is not None and now < receipt.at + FOLLOWED_FOR,
    )  # fmt: skip


def _best_pairs(proposals: Iterable[Proposal]) -> str:
    """The best proposal of each bill on paper, a line each, up to the number that is matched at once."""
    best: dict[str, str] = {}
    for one in proposals:
        best.setdefault(one.paper, one.electronic)
    return "\n".join(f"{paper} {electronic}" for paper, electronic in islice(best.items(), MOST_PAIRS))


ROUTES: Final[list[Any]] = [Route("/feeds", feeds), Route("/outages/{outage}", outage)]
