"""A feed that is silent for too long is missed in its hours only, once, until it is heard again."""

from __future__ import annotations

from datetime import datetime

import pytest

from router.engine.feed_silence import SilenceLimit, silence_changes
from router.model.eastern import to_milliseconds
from router.model.registry_values import SILENT, Outage

WEEKDAYS = SilenceLimit("cbp", None, frozenset(range(5)), 6, 22, 60)


def at(text: str) -> int:
    """Eastern."""
    return to_milliseconds(datetime.fromisoformat(text))


def begun(last: str, now: str, *hours: SilenceLimit) -> list[Outage]:
    return silence_changes(hours or [WEEKDAYS], {("cbp", "2704"): at(last)}, {}, [], at(now))


@pytest.mark.parametrize(
    ("last", "now", "missed"),
    [
        ("2026-07-14T10:00", "2026-07-14T11:00", False),
        ("2026-07-14T10:00", "2026-07-14T11:01", True),
        ("2026-07-14T21:30", "2026-07-15T05:00", False),  # nobody listens at night
        ("2026-07-14T21:30", "2026-07-15T06:30", False),  # counted from when the night is over
        ("2026-07-14T21:30", "2026-07-15T07:01", True),
        ("2026-07-17T12:00", "2026-07-18T12:00", False),  # Saturday
    ],
)
def test_it_is_missed_in_its_hours(last: str, now: str, missed: bool) -> None:
    found = begun(last, now)
    assert bool(found) == missed
    assert all((one.kind, one.feed, one.began_at) == (SILENT, "cbp", at(last)) for one in found)


def test_the_shortest_silence_counts_and_is_noticed_once() -> None:
    always = SilenceLimit("cbp", None, frozenset(range(7)), 0, 24, 30)
    (found,) = begun("2026-07-14T10:00", "2026-07-14T11:30", WEEKDAYS, always)
    heard = {("cbp", "2704"): at("2026-07-14T10:00")}
    assert silence_changes([always], heard, {("cbp", None): found.id}, [found], at("2026-07-14T12:00")) == []


def test_a_feed_that_was_never_heard_is_not_missed() -> None:
    assert silence_changes([WEEKDAYS], {}, {}, [], at("2026-07-14T12:00")) == []


def test_a_port_is_missed_although_others_are_heard() -> None:
    harbour = WEEKDAYS._replace(port="2704")
    heard = {("cbp", "2704"): at("2026-07-14T10:00"), ("cbp", "5301"): at("2026-07-14T11:59")}
    (found,) = silence_changes([WEEKDAYS, harbour], heard, {}, [], at("2026-07-14T12:00"))
    assert found.port == "2704"


def test_it_ends_when_the_feed_is_heard_again() -> None:
    (found,) = begun("2026-07-14T10:00", "2026-07-14T11:30")
    heard = {("cbp", None): at("2026-07-14T12:10")}
    (ended,) = silence_changes([WEEKDAYS], heard, {("cbp", None): found.id}, [found], at("2026-07-14T12:11"))
    assert (ended.id, ended.ended_at) == (found.id, at("2026-07-14T12:10"))
