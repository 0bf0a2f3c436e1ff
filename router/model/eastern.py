"""CBP's clock: events are posted in U.S. Eastern wall-clock time, to the minute (CAMIR R02 45-54, X12 X405-06)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

EASTERN: Final = ZoneInfo("America/New_York")
MILLISECONDS: Final = 1000
MINUTE: Final = 60_000
DAY: Final = 86_400_000
CLOCKS_DIFFER: Final = 5 * MINUTE
"""Tolerated difference between the clocks of two machines or people."""
LATEST: Final = 253_402_300_799_000
"""End of the year 9999, UTC milliseconds. ISO 8601 has no later moments, so feeds refuse them."""
_EPOCH: Final = datetime(1970, 1, 1)
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_milliseconds(moment: datetime) -> int:
    """UTC milliseconds since 1970. A time without an offset is Eastern; in autumn's repeated hour, the first."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=EASTERN)
    return (moment - _START) // timedelta(milliseconds=1)


def iso(milliseconds: int) -> str:
    """ISO 8601 in UTC, such as `2026-07-14T12:12:00Z`, with a fraction only if there is one. See `_on_calendar`."""
    milliseconds = _on_calendar(milliseconds)
    moment = datetime.fromtimestamp(milliseconds / MILLISECONDS, UTC)
    text = moment.isoformat(timespec="milliseconds" if milliseconds % MILLISECONDS else "seconds")
    return text.replace("+00:00", "Z")


@lru_cache(maxsize=65536)
def day_of(text: str) -> date | None:
    """The day of `CCYY-MM-DD` text; None if there is no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def posted_minute(milliseconds: int) -> int:
    """Eastern wall-clock minute of a moment, in minutes since 1970 on that wall clock. See `_on_calendar`."""
    milliseconds = _on_calendar(milliseconds)
    return milliseconds // MINUTE + _offset_minutes(milliseconds // (15 * MINUTE))


def _on_calendar(milliseconds: int) -> int:
    """The moment, or the nearest one on the calendar: every record must be decidable."""
    return min(max(milliseconds, 0), LATEST)


def order_minute(posted: int) -> int:
    """Minute by which events are ordered. All of autumn's repeated hour counts as its first minute, since its two
    passes can't be told apart; a fixed order applies within it."""
    hour = posted - posted % 60
    return hour if _is_repeated(hour) else posted


def order_moment(milliseconds: int) -> int:
    """The same for a moment to the millisecond: the beginning of autumn's repeated hour, otherwise the moment
    itself."""
    posted = posted_minute(milliseconds)
    hour = posted - posted % 60
    return from_posted(hour) if _is_repeated(hour) else milliseconds


def from_posted(posted: int) -> int:
    """UTC milliseconds of an Eastern wall-clock minute; in autumn's repeated hour, the first."""
    return posted * MINUTE - _utc_offset_of_wall(posted - posted % 15) * MINUTE


@lru_cache(maxsize=65536)
def _offset_minutes(quarter_hour: int) -> int:
    moment = datetime.fromtimestamp(quarter_hour * 900, EASTERN)
    return _minutes(moment.utcoffset())


@lru_cache(maxsize=65536)
def _utc_offset_of_wall(posted: int) -> int:
    return _minutes((_EPOCH + timedelta(minutes=posted)).replace(tzinfo=EASTERN).utcoffset())


@lru_cache(maxsize=65536)
def _is_repeated(hour: int) -> bool:
    wall = _EPOCH + timedelta(minutes=hour)
    first, second = wall.replace(tzinfo=EASTERN), wall.replace(tzinfo=EASTERN, fold=1)
    return first.utcoffset() != second.utcoffset() and first.utcoffset() > second.utcoffset()  # type: ignore[operator]


def _minutes(offset: timedelta | None) -> int:
    assert offset is not None
    return int(offset.total_seconds()) // 60
