"""Times as people type them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import UsageError
from router.feeds.typed_times import typed_time
from router.model.eastern import DAY, HOUR, MINUTE, iso

NOW = 1_784_030_400_000
"""2026-07-14T12:00:00Z, 08:00 Eastern."""


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-07-14T08:12", "2026-07-14T12:12:00Z"),
        ("2026-07-14 08:12", "2026-07-14T12:12:00Z"),
        ("2026-07-14T08:12Z", "2026-07-14T08:12:00Z"),
        ("2026-07-14T08:12+09:00", "2026-07-13T23:12:00Z"),
        ("07:30", "2026-07-14T11:30:00Z"),
        ("7:30", "2026-07-14T11:30:00Z"),
        ("08:00", "2026-07-14T12:00:00Z"),
        ("22:00", "2026-07-14T02:00:00Z"),
        ("22:00Z", "2026-07-13T22:00:00Z"),
        ("10:00z", "2026-07-14T10:00:00Z"),
        ("22:00+09:00", "2026-07-13T13:00:00Z"),
        ("yesterday 22:00", "2026-07-14T02:00:00Z"),
        ("Yesterday  7:30", "2026-07-13T11:30:00Z"),
        ("today 06:00", "2026-07-14T10:00:00Z"),
        ("2h", "2026-07-14T10:00:00Z"),
        ("90 min", "2026-07-14T10:30:00Z"),
        ("45m", "2026-07-14T11:15:00Z"),
        ("3d", "2026-07-11T12:00:00Z"),
    ],
)
def test_what_is_typed_is_the_last_such_time(text: str, meant: str) -> None:
    assert iso(typed_time("since", text, NOW)) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("22:00", "2026-07-15T02:00:00Z"),
        ("08:00", "2026-07-15T12:00:00Z"),
        ("tomorrow 06:00", "2026-07-15T10:00:00Z"),
        ("2h", "2026-07-14T14:00:00Z"),
        ("2026-07-14T20:00", "2026-07-15T00:00:00Z"),
    ],
)
def test_an_expected_return_is_the_next_such_time(text: str, meant: str) -> None:
    assert iso(typed_time("until", text, NOW, ahead=True)) == meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a time"),
        ("soon", "is not a time"),
        ("25:00", "hours go from 00 to 23"),
        ("22:75", "minutes to 59"),
        ("2026-07-14", "has no time of day"),
        ("2026-02-30T10:00", "is not a time"),
        ("1784030400000", "write 2026-07-14T22:00"),
        ("2h30", "is not a time"),
        ("0001-01-01T00:00+23:00", "no time of this century"),
        ("monday 22:00", "is not a time"),
        ("99999d", "no time of this century"),
        ("1999-01-01T00:00", "no time of this century"),
    ],
)
def test_wrong_input_is_refused_in_words_that_show_the_forms(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        typed_time("since", text, NOW)
    assert str(refused.value).startswith("since: ")


def test_the_clock_change_of_spring_and_autumn_is_that_of_cbp() -> None:
    first_pass = typed_time("since", "2026-11-01T01:30", NOW)
    assert iso(first_pass) == "2026-11-01T05:30:00Z"
    assert iso(typed_time("since", "2026-03-08T02:30", NOW)) == "2026-03-08T07:00:00Z"


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(typed_time("since", text, NOW), int)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(NOW, NOW + 400 * DAY))
def test_a_time_of_day_lies_in_the_day_before_now(hour: int, minute: int, now: int) -> None:
    moment = typed_time("since", f"{hour:02}:{minute:02}", now)
    assert now - DAY - HOUR - MINUTE < moment <= now
