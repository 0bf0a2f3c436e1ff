"""Rules for values, events and dead letters that X12 and CAMIR share, so that one event has one reading.

Functions that raise InputError read values that an event needs. The others return None for an absent or invalid value.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from router.decide.rules import Rules
from router.errors import InputError
from router.feeds.bounded_input import (
    EVENT_LIMIT,
    NO_BILL,
    SHOWN,
    ReadableBill,
    ReadOptions,
    ReadResult,
    UnreadableInput,
)
from router.model.eastern import (
    EASTERN,
    FIRST_YEAR,
    LAST_YEAR,
    day_of,
    is_pass_unknown,
    is_repeated,
    is_skipped,
    is_within_years,
    to_milliseconds,
)
from router.model.identifiers import (
    SCAC_WIDTH,
    bill_key,
    container_key,
    entry_clean,
    found_number,
    is_bill_number,
    is_disposition_code,
    is_readable_scac,
)
from router.model.inputs import NOWHERE, Disposition
from router.model.vocabulary import Uncertainty

LONG_LOOP: Final = 100
"""Texts of a loop whose characters are counted. Each has at most 2,000, or makes its event unreadable."""
MESSAGE_FAULTS: Final = 20
"""Faults of one message that its dead letter names."""
MOST_RECORDS: Final = EVENT_LIMIT // 80
"""CAMIR records of one event."""
PADDING: Final = " \t\r\n"
"""Around a value. Any other character may have replaced one of the value's own."""
VALUE_CACHE: Final = 8_192
"""Entries of each cache of values: thousands of bills share dates, parties and references."""
_OFFSETS: Final = {
    "ND": -2.5, "NS": -3.5, "TD": -3, "TS": -4, "ED": -4, "ES": -5, "CD": -5, "CS": -6, "MD": -6, "MS": -7,
    "PD": -7, "PS": -8, "AD": -8, "AS": -9, "HD": -9, "HS": -10, "UT": 0, "GM": 0,
    **{f"{east:02}": east for east in range(1, 13)},
    **{f"{25 - west:02}": -west for west in range(1, 13)},
    "25": -2.5, "26": -3.5, "27": 5.5, "28": 9.5, "29": 10.5,
}  # fmt: skip
"""Hours east of UTC, by zone of X12 element 623."""
ZONES: Final[dict[str, tzinfo]] = {
    "": EASTERN,
    "ET": EASTERN,
    "CT": ZoneInfo("America/Chicago"),
    "MT": ZoneInfo("America/Denver"),
    "PT": ZoneInfo("America/Los_Angeles"),
    "AT": ZoneInfo("America/Anchorage"),
    **{zone: timezone(timedelta(hours=hours)) for zone, hours in _OFFSETS.items()},
}
"""Zones of X12 element 623 (release 008010). Missing are those that tell no offset: LT is local to somebody, and parts
of HT, NT and TT keep daylight time while others don't."""

_CONTROL: Final = dict.fromkeys((*range(32), *range(127, 160)))
_CAPITALS: Final = str.maketrans(ascii_lowercase, ascii_uppercase)
_DATE: Final = re.compile(r"[0-9]{8}")
_TIME: Final = re.compile(r"[0-9]{4}(?:[0-9]{2}(?:[0-9]{1,2})?)?")
_QUANTITY: Final = re.compile(r"([+-]?)([0-9]{1,15})(?:\.0*)?")
_SHORT_SCAC: Final = re.compile(r"([A-Z]{2,3})([0-9].*)")
_FIRST_OF_LAST_CENTURY: Final = "70"
"""Two-digit year. AMS is younger than 1970, and bills are forgotten after a year."""


class PostedTime(NamedTuple):
    """The time at which CBP posted an event, as the message gives it."""

    at: int
    """UTC milliseconds."""
    second: int | None = None
    """None if the message gives no seconds."""
    unknown_zone: str | None = None
    """Zone as written, if it tells no moment; `at` then reads the clock as Eastern."""
    pass_unknown: bool = False
    """True if an Eastern clock showed the time twice; `at` is then the first."""


@lru_cache(VALUE_CACHE)
def posted_time(date: str, time: str, zone: str = "") -> PostedTime:
    """The time in CCYYMMDD, HHMM or HHMMSS or HHMMSSDD, and X12's zone (none: Eastern). Raises InputError."""
    if not _DATE.fullmatch(date):
        raise InputError(f"the posted date {date!r} is not CCYYMMDD" if date else "the posted date is missing")
    if not _TIME.fullmatch(time):
        raise InputError(f"the posted time {time!r} is not HHMM" if time else "the posted time is missing")
    second = int(time[4:6]) if len(time) > len("HHMM") else None
    try:
        wall = datetime(int(date[:4]), int(date[4:6]), int(date[6:8]), int(time[:2]), int(time[2:4]), second or 0)
        there = _in_zone(wall, zone)
        found = to_milliseconds(there or wall)
    except (ValueError, OverflowError) as error:
        raise InputError(f"the posted time {date} {time} does not exist: {error}") from error
    if not is_within_years(found):
        raise InputError(f"the posted time {date} {time} is not within the years {FIRST_YEAR} to {LAST_YEAR}")
    if there is None:
        return PostedTime(found, second, zone)
    return PostedTime(found, second, pass_unknown=is_pass_unknown(there))


def _in_zone(wall: datetime, zone: str) -> datetime | None:
    """The wall-clock time in its zone, or without one if it is Eastern; None if that tells no moment.

    The hours of other clocks that a change of the year skips or repeats tell none either.
    """
    known = ZONES.get(zone)
    if known is None or known is EASTERN:
        return wall if known else None
    there = wall.replace(tzinfo=known)
    return None if is_skipped(there) or is_repeated(there) else there


def moment_or_none(date: str, time: str) -> int | None:
    try:
        return posted_time(date, time).at
    except InputError:
        return None


@lru_cache(VALUE_CACHE)
def with_century(date: str) -> str:
    """CCYYMMDD from YYMMDD; any other text unchanged."""
    if len(date) != 6 or not date.isdecimal():
        return date
    return ("19" if date >= _FIRST_OF_LAST_CENTURY else "20") + date


def iso_date(date: str) -> str | None:
    """`2026-07-28` from `20260728`; None for a day that does not exist or of other years."""
    day = day_of(date) if _DATE.fullmatch(date) else None
    return day.isoformat() if day is not None and FIRST_YEAR <= day.year <= LAST_YEAR else None


@lru_cache(VALUE_CACHE)
def code_of(text: str) -> str:
    """A disposition code, known to the code table or not. Raises InputError."""
    if not is_disposition_code(text):
        fault = f"{text[:SHOWN]!r} is not two or three letters or digits" if text else "is missing"
        raise InputError(f"the disposition code {fault}")
    return text


def readable_bill(scac: str, number: str, code: str) -> ReadableBill:
    """The bill and the code of an event that is unreadable otherwise. Issuer and number are useful only together."""
    known = code if is_disposition_code(code) else None
    found = found_number(number, scac) if is_readable_scac(scac) else None
    return ReadableBill(code=known) if found is None else ReadableBill(scac, found, known, found == number)


@lru_cache(VALUE_CACHE)
def quantity_of(text: str) -> tuple[int | None, bool]:
    """Pieces (None for zero and for no text), and True if a minus sign takes them back. Raises InputError."""
    match = _QUANTITY.fullmatch(text or "0")
    if match is None:
        raise InputError(f"the quantity {text!r} is not a whole number")
    return int(match[2]) or None, match[1] == "-"


@lru_cache(VALUE_CACHE)
def entry_of(entry_type: str, number: str) -> tuple[str | None, str | None]:
    """Entry type and number without dashes. Zeros and blanks are None."""
    return entry_type if entry_type.strip("0") else None, entry_clean(number)


@lru_cache(VALUE_CACHE)
def bill_reference(text: str) -> str | None:
    """The bill key in a reference of SCAC and number, such as `OCNXMB7781234`; None for any other text.

    Pads a SCAC of two or three letters that a digit follows. A number that needs repair is none: it may be another's.
    """
    text = text.strip(PADDING)
    short = _SHORT_SCAC.fullmatch(text)
    scac, number = (short[1], short[2]) if short is not None else (text[:SCAC_WIDTH], text[SCAC_WIDTH:])
    scac, number = scac.strip(PADDING), number.strip(PADDING)
    return bill_key(scac, number) if is_bill_number(number) and is_readable_scac(scac) else None


def upper(text: str) -> str:
    """Capitals for the letters CBP uses, at the same length: `ß` as `SS` would be another bill's number."""
    return text.upper() if text.isascii() else text.translate(_CAPITALS)


def plain(text: str) -> str | None:
    """Upper case, stripped, without control characters; None if nothing is left."""
    if not text.isprintable():
        text = text.translate(_CONTROL)
    return text.strip().upper() or None


def not_found(place: str, text: str, kind: str) -> InputError:
    """The error for a place in a message that is empty or holds something else than a `kind`."""
    return InputError(f"{place} {text[:SHOWN]!r} is not a {kind}" if text else f"{place} has no {kind}")


EventDetails = tuple[list[str], list[str], list[str], dict[str, str]]
"""Remarks without control characters, containers, SNPs, and the first value of each other qualifier.

They come from the texts below an event's own. A plain tuple costs less, and each event makes one.
"""


class MessageReader(ABC):
    """Reader of one file. An event is a loop of texts (X12 segments or CAMIR records), its own and its details."""

    format_name: str
    scac_place: str
    number_place: str
    """Places of a bill's issuer and number in a message, for errors."""

    def __init__(self, source: str, received_at: int, options: ReadOptions) -> None:
        self._source, self._received_at = source, received_at
        self._rules = options.rules or Rules()
        self._fragment, self._accepted = options.fragment, options.accepted
        self._uncertain: Uncertainty | None = None
        """Stamped on the next events."""
        self._place_prefix = ""
        """Beginning of a text's place; its position follows."""
        self._results: list[ReadResult] = []
        self._transmitted_at: int | None = None
        self._is_test = False
        self._voyage = NOWHERE
        """Vessel, manifest and port of the next event."""
        self._loop: list[str] = []
        self._position = self._loop_position = 0
        self._long_loop: UnreadableInput | None = None
        """Texts of a loop beyond `EVENT_LIMIT`, which leave `_loop`."""

    @abstractmethod
    def _event_of(self, loop: list[str], source: str) -> Disposition:
        """Raises InputError."""

    @abstractmethod
    def _bill_of(self, text: str) -> ReadableBill:
        """The bill and code of an event's own text that is unreadable otherwise."""

    @abstractmethod
    def _headers(self) -> list[str]:
        """Headers that the next event is below. With them a dead letter can be read alone."""

    @abstractmethod
    def _encoded(self, texts: Iterable[str]) -> bytes: ...

    def _event(
        self,
        code: str,
        posted: PostedTime,
        details: EventDetails,
        source: str,
        *,
        scac: str | None = None,
        number: str | None = None,
        quantity: str = "",
        entry_type: str = "",
        entry_number: str = "",
        container: str | None = None,
        port: str | None = None,
        firms: str | None = None,
        destination: str | None = None,
        is_reversal: bool = False,
        is_resent: bool = False,
        indicator: str | None = None,
    ) -> Disposition:
        """The event of a bill, or of a vessel without `scac` and `number`. Raises InputError for an unreadable value.

        `container` makes it a container-level event; containers in the details are named for information. A repaired
        number and an unreadable reference make it uncertain.
        """
        remarks, containers, snps, references = details
        pieces, is_negative = quantity_of(quantity)
        kind, entry = entry_of(entry_type, entry_number or references.get("IB", ""))
        named = tuple(dict.fromkeys(containers)) if len(containers) > 1 else tuple(containers)
        if container is not None:
            key = container_key(container)
            named = tuple(other for other in named if container_key(other) != key)
        master, original = references.get("OB"), references.get("OL")
        uncertain = self._uncertain
        if (master and (master := bill_reference(master)) is None) or (
            original and (original := bill_reference(original)) is None
        ):
            uncertain = uncertain or "MESSAGE"
        if scac is not None and number is not None and not (is_bill_number(number) and is_readable_scac(scac)):
            found = self._issued_number(scac, number)
            number, uncertain = found, uncertain if found == number else "BILL"
        return Disposition(
            scac,
            number,
            code_of(code),
            posted.at,
            pieces,
            kind,
            entry,
            () if container is None else (container,),
            port,
            firms,
            is_reversal or is_negative,
            is_resent,
            " ".join(remarks) or None,
            tuple(dict.fromkeys(snps)),
            self._voyage.of_bill(master or None, original or None, named, destination),
            self._received_at,
            source,
            self._transmitted_at,
            self._is_test,
            None,
            posted.second,
            posted.unknown_zone,
            posted.pass_unknown,
            uncertain,
            indicator,
        )

    def _issued_number(self, scac: str, number: str) -> str:
        """The number of an issuer's bill. Raises InputError if the two make no bill's key."""
        if not is_readable_scac(scac):
            raise not_found(self.scac_place, scac, "SCAC")
        if (found := found_number(number, scac)) is None:
            raise not_found(self.number_place, number, "bill number of one to twelve letters and digits")
        return found

    def _begin_loop(self, text: str) -> None:
        self._end_loop()
        self._loop, self._loop_position = [text], self._position

    def _shorten_loop(self) -> None:
        """Keep only the event's own text of a loop that is too long."""
        self._long_loop = (self._long_loop or self._with_headers(self._loop[0])).add(self._encoded(self._loop[1:]))
        del self._loop[1:]

    def _end_loop(self) -> None:
        if not self._loop:
            return
        loop, self._loop = self._loop, []
        source = f"{self._place_prefix}{self._loop_position}"
        try:
            if self._long_loop or (len(loop) > LONG_LOOP and sum(map(len, loop)) > EVENT_LIMIT):
                raise InputError(f"the event has more than {EVENT_LIMIT:,} characters")
            self._results.append(self._event_of(loop, source))
        except InputError as error:
            content = (self._long_loop or self._with_headers(loop[0])).add(self._encoded(loop[1:]))
            self._reject(content, error.reason, self._bill_of(loop[0]), place=source)
            self._long_loop = None

    def _with_headers(self, text: str) -> UnreadableInput:
        return UnreadableInput(self._encoded([*self._headers(), text]))

    def _reject_in_doubt(self, faults: Sequence[str], content: UnreadableInput, place: str) -> None:
        """Add the dead letter of a whole message at fault, whose events were taken as uncertain."""
        reason = (
            f"{'; '.join(faults[:MESSAGE_FAULTS])}. Its stops count, and what frees counts only once the same comes"
            " whole: ask the sender, or `snp-router dead-letters accept` this message"
        )
        letter = content.dead_letter(reason, place, self.format_name, self._received_at)
        self._results.append(letter._replace(in_doubt=True))

    def _reject(self, content: UnreadableInput, reason: str, bill: ReadableBill = NO_BILL, *, place: str = "") -> None:
        letter = content.dead_letter(reason, place or self._place, self.format_name, self._received_at, bill)
        self._results.append(letter)

    @property
    def _place(self) -> str:
        return f"{self._place_prefix}{self._position}"
