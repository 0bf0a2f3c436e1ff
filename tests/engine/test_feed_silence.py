"""A feed that is silent for too long is announced once, only in the hours of its limit, until it is active again."""

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


def begun(last: str, now: str, *limits: SilenceLimit) -> list[Outage]:
    return silence_changes(limits or [WEEKDAYS], {("cbp", "2704"): at(last)}, {}, [], at(now))


@pytest.mark.parametrize(
    ("last", "now", "silent"),
    [
        ("2026-07-14T10:00", "2026-07-14T11:00", False),
        ("2026-07-14T10:00", "2026-07-14T11:01", True),
        ("2026-07-14T21:30", "2026-07-15T05:00", False),  # no limit at night
        ("2026-07-14T21:30", "2026-07-15T06:30", False),  # counted from when the night is over
        ("2026-07-14T21:30", "2026-07-15T07:01", True),
        ("2026-07-17T12:00", "2026-07-18T12:00", False),  # Saturday
    ],
)
def test_it_is_silent_in_the_hours_of_its_limit(last: str, now: str, silent: bool) -> None:
    found = begun(last, now)
    assert bool(found) == silent
    assert all((one.kind, one.feed, one.began_at) == (SILENT, "cbp", at(last)) for one in found)


def test_the_shortest_limit_applies_and_is_noticed_once() -> None:
    always = SilenceLimit("cbp", None, frozenset(range(7)), 0, 24, 30)
    (found,) = begun("2026-07-14T10:00", "2026-07-14T11:30", WEEKDAYS, always)
    active = {("cbp", "2704"): at("2026-07-14T10:00")}
    assert silence_changes([always], active, {("cbp", None): found.id}, [found], at("2026-07-14T12:00")) == []


def test_a_feed_without_any_activity_is_not_silent() -> None:
    assert silence_changes([WEEKDAYS], {}, {}, [], at("2026-07-14T12:00")) == []


def test_a_port_is_silent_although_others_are_active() -> None:
    harbour = WEEKDAYS._replace(port="2704")
    active = {("cbp", "2704"): at("2026-07-14T10:00"), ("cbp", "5301"): at("2026-07-14T11:59")}
    (found,) = silence_changes([WEEKDAYS, harbour], active, {}, [], at("2026-07-14T12:00"))
    assert found.port == "2704"


def test_a_silence_ends_when_the_feed_is_active_again() -> None:
    (found,) = begun("2026-07-14T10:00", "2026-07-14T11:30")
    active = {("cbp", None): at("2026-07-14T12:10")}
    (ended,) = silence_changes([WEEKDAYS], active, {("cbp", None): found.id}, [found], at("2026-07-14T12:11"))
    assert (ended.id, ended.ended_at) == (found.id, at("2026-07-14T12:10"))


@pytest.mark.parametrize(("minutes", "expected"), [(1, "1 minute"), (30, "30 minutes")])
def test_the_reason_counts_minutes_in_words(minutes: int, expected: str) -> None:
    limit = SilenceLimit("cbp", None, frozenset(range(7)), 0, 24, minutes)
    (found,) = begun("2026-07-14T10:00", "2026-07-14T11:30", limit)
    assert found.reason == f"no message for more than {expected}"
