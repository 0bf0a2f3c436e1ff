"""The strip of a feed's last 24 hours, and the page of an outage."""

from __future__ import annotations

from pathlib import Path

from router.console.feed_strips import WIDTH, feed_strips
from router.engine.feed_silence import SilenceLimit
from router.model.eastern import DAY, HOUR, MINUTE
from router.model.registry_values import DECLARED, Outage
from tests.console.desk import desk

NOW = 1_784_000_000_000
LIMIT = SilenceLimit("cbp", None, frozenset(range(7)), 0, 24, 60)


def test_a_silence_beyond_the_limit_and_an_outage_are_drawn_where_they_were() -> None:
    outage = Outage("a", DECLARED, NOW - 3 * HOUR, mode="ocean", ended_at=NOW - HOUR)
    heard = {("cbp", "2704"): [NOW - 5 * HOUR, NOW - 2 * HOUR, NOW - MINUTE]}
    strips = feed_strips(heard, [LIMIT], [outage], NOW - 2 * DAY, NOW)
    assert [(one.feed, one.port) for one in strips] == [("cbp", None), ("cbp", "2704")]
    for strip in strips:
        assert (strip.silent, strip.outages, strip.is_silent(NOW), strip.unknown_until) == (2, 1, False, None)
        assert all(part.start >= 0 and part.start + part.width <= WIDTH for part in strip.parts)


def test_what_came_before_the_console_looked_is_unknown_and_no_silence() -> None:
    (strip,) = feed_strips({("cbp", None): [NOW - 5 * HOUR]}, [LIMIT], [], NOW, NOW)
    assert (strip.silent, strip.unknown_until) == (0, NOW)
    assert strip.is_silent(NOW) is True


def test_a_feed_that_was_never_heard_is_unknown() -> None:
    (strip,) = feed_strips({}, [LIMIT], [], None, NOW)
    assert (strip.last, strip.is_silent(NOW), strip.parts[0].kind) == (None, None, "unknown")


async def test_an_outage_has_its_checklist_and_contacts_without_a_shell(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, anna):
        fields = {"reason": "ACE is down", "mode": "ocean", "port": "2704"}
        preview, _ = await anna.do("/outages", fields)
        assert "port 2704" in preview
        page = await anna.shown("ACE is down</a>", "/feeds")
        (path,) = {one.split('"')[0] for one in page.split('href="')[1:] if one.startswith("/outages/")}
        shown = await anna.get(path)
        assert "Checklist for port 2704" in shown
        assert "No news is not clearance" in shown
        assert "On paper: 0" in shown
