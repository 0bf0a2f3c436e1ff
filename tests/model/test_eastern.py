"""CBP's clock: Eastern wall-clock minutes, through both changes of the year."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.model.eastern import (
    HOUR,
    LATEST,
    MINUTE,
    from_posted,
    is_first_pass,
    is_pass_unknown,
    iso,
    last_pass,
    order_minute,
    order_moment,
    posted_minute,
    to_milliseconds,
)

moments = st.integers(0, 4_102_444_800_000)
"""1970 to 2100."""


def wall(text: str) -> int:
    return to_milliseconds(datetime.fromisoformat(text))


def test_a_time_without_offset_is_eastern() -> None:
    assert iso(wall("2026-07-14T08:12")) == "2026-07-14T12:12:00Z"
    assert iso(wall("2026-01-14T08:12")) == "2026-01-14T13:12:00Z"


def test_a_time_with_an_offset_is_what_it_says() -> None:
    assert iso(wall("2026-07-14T08:12+02:00")) == "2026-07-14T06:12:00Z"


def test_of_the_hour_that_autumn_repeats_the_first_is_meant() -> None:
    assert iso(wall("2026-11-01T01:30")) == "2026-11-01T05:30:00Z"


def test_the_fraction_is_written_only_where_there_is_one() -> None:
    assert iso(1) == "1970-01-01T00:00:00.001Z"
    assert iso(1000) == "1970-01-01T00:00:01Z"


@given(st.integers())
def test_whatever_a_record_says_has_a_minute_and_can_be_written(moment: int) -> None:
    assert posted_minute(moment) <= posted_minute(LATEST)
    assert iso(moment) <= "9999-12-31T23:59:59Z"


@given(moments)
def test_writing_and_reading_a_moment_keeps_every_millisecond(moment: int) -> None:
    assert to_milliseconds(datetime.fromisoformat(iso(moment))) == moment


@given(moments)
def test_back_from_a_posted_minute_is_the_same_minute_in_autumn_too(moment: int) -> None:
    assert from_posted(posted_minute(moment)) == moment // MINUTE * MINUTE


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-11-01T00:59", None),
        ("2026-11-01T01:00", "2026-11-01T01:00"),
        ("2026-11-01T01:59", "2026-11-01T01:00"),
        ("2026-11-01T02:00", None),
        ("2026-03-08T03:00", None),
        ("2026-07-14T01:30", None),
    ],
)
def test_only_the_repeated_hour_is_one_moment_for_the_order(text: str, hour: str | None) -> None:
    assert order_minute(posted_minute(wall(text))) == posted_minute(wall(hour or text))


def test_both_passes_of_the_repeated_hour_are_told_apart_and_folded_together() -> None:
    first = wall("2026-11-01T01:30")
    assert order_minute(posted_minute(first)) == order_minute(posted_minute(first + HOUR))
    assert posted_minute(first) != posted_minute(first + HOUR)
    is_first = [is_first_pass(posted_minute(first + hours * HOUR)) for hours in (-1, 0, 1, 2)]
    assert is_first == [False, True, False, False]
    assert last_pass(posted_minute(first)) == posted_minute(first + HOUR) == last_pass(posted_minute(first + HOUR))


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("2026-11-01T01:00", True),
        ("2026-11-01T01:59:59", True),
        ("2026-11-01T00:59", False),
        ("2026-11-01T02:00", False),
        ("2026-11-01T01:30-04:00", False),
        ("2026-03-08T02:30", False),
    ],
)
def test_only_a_time_without_offset_in_the_repeated_hour_tells_no_pass(text: str, unknown: bool) -> None:
    assert is_pass_unknown(datetime.fromisoformat(text)) == unknown


@pytest.mark.parametrize("skipped", ["02:00", "02:10", "02:55:30"])
def test_an_hour_that_spring_skips_is_the_moment_of_the_change(skipped: str) -> None:
    assert iso(wall(f"2026-03-08T{skipped}")) == "2026-03-08T07:00:00Z" == iso(wall("2026-03-08T03:00"))
    assert wall("2026-03-08T01:59:59") < wall(f"2026-03-08T{skipped}")


@given(moments, st.integers(0, 4 * 60 * MINUTE))
def test_what_is_later_never_comes_before_in_the_order(moment: int, after: int) -> None:
    assert order_minute(posted_minute(moment)) <= order_minute(posted_minute(moment + after))
    assert order_moment(moment) <= order_moment(moment + after)
    assert 0 <= moment - order_moment(moment) < 120 * MINUTE
