"""Times as people type them: `2026-07-14T22:00Z`, `22:00`, `yesterday 22:00`, `2h`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

from router.errors import UsageError
from router.model.eastern import DAY, EASTERN, HOUR, MILLISECONDS, MINUTE, is_within_years, to_milliseconds

UNITS: Final = {"m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY}
DAYS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}
_SPAN: Final = re.compile(r"([0-9]{1,5}) ?(m|min|h|d)")
_CLOCK: Final = re.compile(r"(?:([a-z]+) )?([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)(z|[+-][0-9]{2}:?[0-9]{2})?")
_HAS_TIME: Final = re.compile(r"[0-9-]+[T ][0-9].*")
FORMS: Final = "2026-07-14T22:00, 2026-07-15T02:00Z, 22:00, yesterday 22:00 or 2h"


def typed_time(name: str, text: str, now: int, *, ahead: bool = False) -> int:
    """UTC milliseconds of a time that somebody typed for the option `name`.

    A time without an offset is Eastern. A time of day without a day is the last such time, a span such as `2h` is that
    long ago; if `ahead`, the next such time, and that long from now. Raises UsageError.
    """
    words = " ".join(text.lower().split())
    if span := _SPAN.fullmatch(words):
        moment = now + int(span[1]) * UNITS[span[2]] * (1 if ahead else -1)
    elif (clock := _CLOCK.fullmatch(words)) and (clock[1] is None or clock[1] in DAYS):
        moment = _of_day(name, text, clock[1], f"{clock[2].zfill(5)}{(clock[3] or '').upper()}", now, ahead=ahead)
    else:
        moment = _of_calendar(name, text)
    if not is_within_years(moment):
        raise UsageError(f"{name}: {text!r} is no time of this century")
    return moment


def _of_day(name: str, text: str, day: str | None, clock: str, now: int, *, ahead: bool) -> int:
    try:
        at = time.fromisoformat(clock)
    except ValueError:
        raise UsageError(f"{name}: {text!r} names no time of day: hours go from 00 to 23, minutes to 59") from None
    today = datetime.fromtimestamp(now / MILLISECONDS, UTC).astimezone(at.tzinfo or EASTERN).date()

    def moment(days: int) -> int:
        return to_milliseconds(datetime.combine(today + timedelta(days=days), at))

    if day is not None:
        return moment(DAYS[day])
    if ahead:
        return moment(0) if moment(0) > now else moment(1)
    return moment(0) if moment(0) <= now else moment(-1)


def _of_calendar(name: str, text: str) -> int:
    try:
        moment = to_milliseconds(datetime.fromisoformat(text.strip()))
    except (OverflowError, ValueError):
        raise UsageError(f"{name}: {text!r} is not a time: write {FORMS}") from None
    if not _HAS_TIME.fullmatch(text.strip()):
        raise UsageError(f"{name}: {text!r} has no time of day: write {FORMS}")
    return moment
