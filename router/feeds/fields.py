"""How single values of CBP's messages are read, the same for X12 and CAMIR: one event gives one reading.

Functions that raise `InputError` are for values an event can't do without; the others give None for what
isn't there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from router.errors import InputError
from router.model.eastern import LATEST, to_milliseconds
from router.model.identifiers import SCAC_WIDTH, bill_key, container_key

_CACHE: Final = 8_192
_CONTROL: Final = dict.fromkeys((*range(32), *range(127, 160)))
_CAPITALS: Final = str.maketrans(ascii_lowercase, ascii_uppercase)
_DATE: Final = re.compile(r"[0-9]{8}")
_TIME: Final = re.compile(r"[0-9]{4}(?:[0-9]{2}(?:[0-9]{1,2})?)?")
_CODE: Final = re.compile(r"[A-Z0-9]{2,3}")
_BILL_NUMBER_LIMIT: Final = 50
_BILL_NUMBER: Final = re.compile(r"[!-~]{1,50}")
_SCAC: Final = re.compile(r"[!-~]{1,4}")
_QUANTITY: Final = re.compile(r"([+-]?)([0-9]{1,15})(?:\.0*)?")
_SHORT_SCAC: Final = re.compile(r"([A-Z]{2,3})([0-9].*)")
_CENTURY_PIVOT: Final = 70
"""Two-digit years from here on are of the last century. AMS is younger than 1970, and bills die after a year."""

FIXED_ZONES: Final = {"ES": timezone(timedelta(hours=-5)), "ED": timezone(timedelta(hours=-4))}
"""X12 zones that name standard or daylight time outright. ET, any other and none mean the Eastern wall clock."""


@lru_cache(_CACHE)
def moment(date: str, time: str, zone: str = "") -> int:
    """UTC milliseconds of CCYYMMDD and HHMM, HHMMSS or HHMMSSDD. Raises InputError where there is no such time."""
    if not _DATE.fullmatch(date):
        raise InputError(f"{date!r} is not a date (CCYYMMDD)" if date else "the date is missing")
    if not _TIME.fullmatch(time):
        raise InputError(f"{time!r} is not a time (HHMM)" if time else "the time is missing")
    if int(date[:4]) < 1970:
        raise InputError(f"{date!r} is before 1970")
    try:
        clock = int(time[:2]), int(time[2:4]), int(time[4:6] or "0")
        wall = datetime(int(date[:4]), int(date[4:6]), int(date[6:8]), *clock)
        found = to_milliseconds(wall.replace(tzinfo=FIXED_ZONES.get(zone)))
    except (ValueError, OverflowError) as error:
        raise InputError(f"there is no {date} {time}: {error}") from error
    if found > LATEST:
        raise InputError(f"{date} {time} is after the year 9999 in UTC")
    return found


def moment_or_none(date: str, time: str) -> int | None:
    try:
        return moment(date, time)
    except InputError:
        return None


@lru_cache(_CACHE)
def with_century(date: str) -> str:
    """CCYYMMDD from YYMMDD; anything else comes back as it is."""
    if len(date) != 6 or not date.isdecimal():
        return date
    return ("19" if int(date[:2]) >= _CENTURY_PIVOT else "20") + date


@lru_cache(_CACHE)
def iso_date(date: str) -> str | None:
    """`2026-07-28` from `20260728`; None where there is no such day."""
    if not _DATE.fullmatch(date):
        return None
    try:
        return datetime(int(date[:4]), int(date[4:6]), int(date[6:8])).date().isoformat()
    except ValueError:
        return None


@lru_cache(_CACHE)
def code_of(text: str) -> str:
    """Any two or three letters and digits: an unknown code is not an error here, the ledger deals with it."""
    if not _CODE.fullmatch(text):
        raise InputError(
            f"{text!r} is not a disposition code (two or three letters or digits)"
            if text
            else "the disposition code is missing"
        )
    return text


@lru_cache(_CACHE)
def scac_readable(text: str) -> bool:
    """Whether it can stand in a bill's key. Its proper shape is checked later, and only flagged."""
    return _SCAC.fullmatch(text) is not None


def bill_readable(text: str) -> bool:
    """Up to 50 printable characters without blanks; longer than CBP's twelve is left to the checks of identifiers."""
    plain_number = text.isalnum() and text.isascii() and len(text) <= _BILL_NUMBER_LIMIT
    return plain_number or _BILL_NUMBER.fullmatch(text) is not None


@lru_cache(_CACHE)
def quantity_of(text: str) -> tuple[int | None, bool]:
    """Pieces, and whether CBP takes them back (a minus sign). Nothing and zero are None. Raises InputError."""
    if not text:
        return None, False
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is not a quantity")
    return int(match[2]) or None, match[1] == "-"


@lru_cache(_CACHE)
def entry_of(entry_type: str, number: str) -> tuple[str | None, str | None]:
    """Entry type and number; zeros and blanks are None, dashes are left out."""
    number = number.replace("-", "").replace(" ", "")
    kind = entry_type if entry_type.strip("0") else None
    return kind, (number if number.strip("0") else None)


@lru_cache(_CACHE)
def bill_reference(text: str) -> str | None:
    """The bill key in a reference: SCAC and number, as in `OCNXMB7781234`. A SCAC shorter than four letters
    is padded if it isn't already and a digit ends it; None where there is no number after the SCAC. Raises InputError
    for a number that is none: it becomes a key."""
    text = text.strip()
    short = _SHORT_SCAC.fullmatch(text)
    scac, number = (short[1], short[2]) if short is not None else (text[:SCAC_WIDTH], text[SCAC_WIDTH:])
    number = number.replace(" ", "")
    if number and not (bill_readable(number) and scac_readable(scac.replace(" ", ""))):
        raise InputError(f"{text[:80]!r} is not a bill of another (SCAC and number)")
    return bill_key(scac, number) if number else None


def upper(text: str) -> str:
    """Of the letters CBP uses, without a change of length: `ß` would become two letters, and another bill's number."""
    return text.upper() if text.isascii() else text.translate(_CAPITALS)


def plain(text: str) -> str | None:
    """Upper case, stripped, without control characters; None if nothing is left."""
    if not text.isprintable():
        text = text.translate(_CONTROL)
    return text.strip().upper() or None


def remarks_of(parts: Iterable[str]) -> str | None:
    """Free text that came in pieces, joined by single blanks."""
    return " ".join(filter(None, map(plain, parts))) or None


def other_containers(own: str, named: tuple[str, ...]) -> tuple[str, ...]:
    """Those named beside the one that an event is about, which may be named again with or without its check digit."""
    key = container_key(own)
    return tuple(container for container in named if container_key(container) != key)


def absent(place: str, text: str, what: str) -> str:
    """The reason for a value that is missing or isn't what it should be."""
    return f"{place}: {text!r} is not {what}" if text else f"{place}: {what} is missing"
