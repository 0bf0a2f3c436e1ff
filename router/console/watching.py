"""What the desk has to ask for now and then: who has not read what, and the figures that follow."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from router.clock import now_milliseconds
from router.console.desk import Desk
from router.console.figures import OUTAGE_KINDS, DeskFigures
from router.desk.unread_notices import read_unread
from router.errors import LogError
from router.model.eastern import MILLISECONDS

EVERY_SECONDS: Final = 15.0
"""A do-not-load is called unread after minutes; sooner, most are just being read."""

_log = structlog.get_logger(__name__)


async def keep_watching(desk: Desk, figures: DeskFigures) -> None:
    """Until cancelled. While the log can't be asked, what was known stays."""
    await desk.follower.caught_up.wait()
    while True:
        try:
            desk.watched.unread = await read_unread(desk.log, desk.registry)
            await show(desk, figures)
        except LogError as error:
            _log.warning("console_cut_off", reason=str(error), again_in_seconds=EVERY_SECONDS)
        await asyncio.sleep(EVERY_SECONDS)


async def show(desk: Desk, figures: DeskFigures) -> None:
    """Set all figures anew."""
    counts, now = await desk.index.counts(), now_milliseconds()
    stopped = counts["waiting_do_not_load"]
    figures.waiting.labels("true").set(stopped)
    figures.waiting.labels("false").set(counts["waiting"] - stopped)
    figures.letters.set(counts["letters"])
    for kind in OUTAGE_KINDS:
        figures.outages.labels(kind).set(
            sum(one.kind == kind and one.ended_at is None for one in desk.follower.outages.values())
        )
    for (feed, port), at in desk.registry.heard.items():
        figures.silence.labels(feed, port or "").set(max(0, now - at) / MILLISECONDS)
    figures.unread.clear()
    figures.unread_age.clear()
    for unread in desk.watched.unread:
        stops = unread.do_not_loads
        age = max((stop.age(now) for stop in stops), default=0)
        figures.unread.labels(unread.party.scac).set(len(stops))
        figures.unread_age.labels(unread.party.scac).set(max(0, age) / MILLISECONDS)
