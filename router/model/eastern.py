"""CBP's clock: events are posted in U.S. Eastern wall-clock time (CAMIR R02 45-54, X12 X405-06) or, in X12, in the zone
of X417.

A posted minute is counted in UTC, so it also tells autumn's two passes apart if the message does.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

EASTERN: Final = ZoneInfo("America/New_York")
MILLISECONDS: Final = 1000
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 86_400_000
CLOCKS_DIFFER: Final = 5 * MINUTE
"""Tolerated difference between the clocks of two machines or people."""
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2100
"""Years of dates and times from outside. Any other is a slip or damage, such as milliseconds that are seconds."""
LATEST: Final = 253_402_300_799_000
"""End of the year 9999, UTC milliseconds. ISO 8601 has no later moments."""
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MOMENT: Final = (datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - _START) // timedelta(milliseconds=1)
_END_OF_YEARS: Final = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _START) // timedelta(milliseconds=1)


def to_milliseconds(moment: datetime) -> int:
    """UTC milliseconds since 1970. A time without an offset is Eastern.

    In autumn's repeated hour it is the first pass. All of the hour that spring skips counts as the moment of the
    change, so that it stays between the times on either side of it.
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=EASTERN)
        if is_skipped(moment):
            moment = moment.replace(minute=0, second=0, microsecond=0)
    return (moment - _START) // timedelta(milliseconds=1)


def is_within_years(milliseconds: int) -> bool:
    """True for a moment from `FIRST_YEAR` to `LAST_YEAR`."""
    return _FIRST_MOMENT <= milliseconds < _END_OF_YEARS


def is_skipped(moment: datetime) -> bool:
    """True for a wall-clock time that never was: spring sets the clock forward past it."""
    return _gained_by_fold(moment) > timedelta(0)


def is_repeated(moment: datetime) -> bool:
    """True for a wall-clock time that autumn sets the clock back to, so that it was twice."""
    return _gained_by_fold(moment) < timedelta(0)


def is_pass_unknown(moment: datetime) -> bool:
    """True for a time without an offset in the hour that autumn repeats on Eastern clocks."""
    return moment.tzinfo is None and is_repeated(moment.replace(tzinfo=EASTERN))


def _gained_by_fold(moment: datetime) -> timedelta:
    before, after = moment.replace(fold=0).utcoffset(), moment.replace(fold=1).utcoffset()
    assert before is not None
    assert after is not None
    return after - before


def iso(milliseconds: int) -> str:
    """ISO 8601 in UTC, such as `2026-07-14T12:12:00Z`, with a fraction only if there is one. See `_on_calendar`."""
    milliseconds = _on_calendar(milliseconds)
    moment = datetime.fromtimestamp(milliseconds / MILLISECONDS, UTC)
    text = moment.isoformat(timespec="milliseconds" if milliseconds % MILLISECONDS else "seconds")
    return text.replace("+00:00", "Z")


def iso_minute(milliseconds: int) -> str:
    """ISO 8601 in UTC without seconds, such as `2026-07-14T12:12Z`. See `_on_calendar`."""
    return datetime.fromtimestamp(_on_calendar(milliseconds) / MILLISECONDS, UTC).strftime("%Y-%m-%dT%H:%MZ")


@lru_cache(maxsize=65536)
def day_of(text: str) -> date | None:
    """The day of `CCYY-MM-DD` text; None if there is no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def eastern_day(milliseconds: int) -> str:
    """`CCYY-MM-DD` of a moment on the Eastern wall clock."""
    return datetime.fromtimestamp(_on_calendar(milliseconds) / MILLISECONDS, EASTERN).date().isoformat()


def days_between(one: str, other: str) -> int:
    """Days from one valid date to another, either way."""
    return abs((date.fromisoformat(one) - date.fromisoformat(other)).days)


def start_of_day(text: str) -> int | None:
    """UTC milliseconds at which the day of `CCYY-MM-DD` text begins by CBP's clock; None if there is no such day."""
    day = day_of(text)
    return None if day is None else to_milliseconds(datetime(day.year, day.month, day.day))


def posted_minute(milliseconds: int) -> int:
    """Minute of a moment, in minutes since 1970 UTC. See `_on_calendar`."""
    return _on_calendar(milliseconds) // MINUTE


def from_posted(posted: int) -> int:
    """UTC milliseconds of a posted minute."""
    return posted * MINUTE


def _on_calendar(milliseconds: int) -> int:
    """The moment, or the nearest one on the calendar: every record must be decidable."""
    return min(max(milliseconds, 0), LATEST)


def in_repeated_hour(posted: int) -> bool:
    """True for the minutes of both passes of the hour that autumn repeats."""
    return _start_of_repeated(posted // 60) is not None


def order_minute(posted: int) -> int:
    """Minute that does not depend on the pass of autumn's repeated hour: in it, that of its beginning. Events of one
    such minute are folded together, and manual events of that hour have a fixed order."""
    start = _start_of_repeated(posted // 60)
    return posted if start is None else start


def is_first_pass(posted: int) -> bool:
    """True for the minutes of autumn's repeated hour that an Eastern time without its pass is read as."""
    return _start_of_repeated(posted // 60) == posted // 60 * 60


def last_pass(posted: int) -> int:
    """Latest minute that a kept minute may mean if its pass was not kept."""
    return posted + 60 if is_first_pass(posted) else posted


def order_moment(milliseconds: int) -> int:
    """The same for a moment to the millisecond: the beginning of autumn's repeated hour, otherwise the moment
    itself."""
    start = _start_of_repeated(milliseconds // HOUR)
    return milliseconds if start is None else start * MINUTE


@lru_cache(maxsize=65536)
def _start_of_repeated(hour: int) -> int | None:
    """First minute of the two hours that Eastern clocks show alike, if this hour since 1970 UTC is one of them."""
    for start in (hour - 1, hour):
        if _offset_minutes(start) > _offset_minutes(start + 1):
            return start * 60
    return None


@lru_cache(maxsize=65536)
def _offset_minutes(hour: int) -> int:
    """Offset of Eastern clocks during an hour since 1970 UTC; they change on the hour."""
    offset = datetime.fromtimestamp(_on_calendar(hour * HOUR) // MILLISECONDS, EASTERN).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) // 60
