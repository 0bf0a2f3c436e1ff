"""Field types of the forms in router/feeds/forms.py: pydantic types, the same for tables, JSON Lines and Avro.

Text is stripped, and codes become upper case. Lists are arrays, or text separated by `;`. Times are ISO 8601, Eastern
if they have no offset, and become UTC milliseconds.
"""

from __future__ import annotations

import re
import string
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)

from router.feeds.bounded_input import SHOWN
from router.feeds.cbp_messages import VALUE_CACHE, bill_reference
from router.feeds.cbp_messages import upper as capitals
from router.model import identifiers
from router.model.eastern import (
    FIRST_YEAR,
    LAST_YEAR,
    MILLISECONDS,
    MINUTE,
    is_pass_unknown,
    is_within_years,
    to_milliseconds,
)
from router.model.limits import LONGEST_CONTAINER, LONGEST_NAME, MOST_NAMED, MOST_PIECES
from router.model.party_ids import PARTY_ID, named_party, usual_type
from router.model.registry_values import MOST_ALIASES

LIST_SEPARATOR: Final = ";"
LONGEST_TIME: Final = 40
"""Characters of the times that are cached: thousands of events share a minute."""
LONGEST_REASON: Final = 300
"""Characters of the reason for one fault. It may quote the value."""
MOST_FAULTS: Final = 8
"""Faults of one record or row that are named."""

BILL_TYPE_WORDS: Final = frozenset({"regular", "master", "house", "empty"})
_BILL_TYPE_CODE: Final = re.compile(r"[A-Za-z0-9]{1,2}")
UNREADABLE_REFERENCE: Final = ""
_SCIENTIFIC: Final = re.compile(r"[0-9]+[.,][0-9]+E[+-]?[0-9]+|[0-9]+E[+-][0-9]+")
_SECONDS: Final = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}.[0-9]{2}:?[0-9]{2}:?([0-9]{2})")
_DATE_AND_TIME: Final = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}[Tt ][0-9]{2}:?[0-9]{2}.*")
_YEARS: Final = f"is not within the years {FIRST_YEAR} to {LAST_YEAR}"
_OTHER_UNITS: Final = {"seconds": 1000, "microseconds": 1 / 1000}
"""Units that programs write in place of milliseconds, in milliseconds."""
_WHOLE: Final = "write a whole number in digits only, such as 1200"
_REASONS: Final = {"missing": "it is missing", "int_parsing": _WHOLE, "int_from_float": _WHOLE, "int_type": _WHOLE}
"""By pydantic's types of faults."""
_BEGINNINGS: Final = {"Value error, ": "", "Input should": "it must", "String should": "it must"}
"""Beginnings of pydantic's messages, and their replacements."""
_PATTERN_REASONS: Final[dict[str, str]] = {}


class MessageNumber(NamedTuple):
    """The bill number of an event that another program wrote. Repaired where it has to be, since a stop counts."""

    number: str
    is_repaired: bool


def reasons_of(error: ValidationError) -> str:
    """The faults of a form in words for the people who fill it in, each with its field; missing fields first."""
    faults = sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "missing")
    reasons = [_reason(fault, ".".join(map(str, fault["loc"]))[:SHOWN]) for fault in faults[:MOST_FAULTS]]
    more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
    return "; ".join(reasons) + more


def _reason(fault: Any, place: str) -> str:
    pattern = fault.get("ctx", {}).get("pattern")
    reason = _PATTERN_REASONS.get(pattern) or _REASONS.get(fault["type"]) or str(fault["msg"])
    for theirs, ours in _BEGINNINGS.items():
        reason = reason.replace(theirs, ours)
    reason, value = reason[:LONGEST_REASON], str(fault["input"])[:SHOWN]
    if not place:
        return reason
    shows_value = fault["type"] == "missing" or repr(value) in reason
    return f"{place}: {reason}" if shows_value else f"{place}: {reason} (it is {value!r})"


def listed(value: Any) -> Any:
    """Parts of text that is separated by `;`, or of a list, without empty ones. Any other value unchanged."""
    parts = value.split(LIST_SEPARATOR) if isinstance(value, str) else value
    if isinstance(parts, list | tuple):
        return tuple([part for part in parts if not isinstance(part, str) or part.strip()])
    return value


def upper(value: Any) -> Any:
    return capitals(value.strip()) if isinstance(value, str) else value


def lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _moment(value: Any) -> Any:
    """UTC milliseconds of ISO 8601 text with date and time."""
    if not isinstance(value, str):
        return _no_switch(value)
    text = value.strip()
    return _moment_of(text) if len(text) <= LONGEST_TIME else _parsed_moment(text)


def _parsed_moment(text: str) -> int:
    try:
        moment = to_milliseconds(datetime.fromisoformat(text))
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{text!r} is not a time in ISO 8601, such as 2026-07-14T08:12") from error
    if not _DATE_AND_TIME.fullmatch(text):
        raise ValueError(f"{text!r} needs a date and a time of day, such as 2026-07-14T08:12")
    return moment


_moment_of: Final = lru_cache(VALUE_CACHE)(_parsed_moment)


def _within_years(moment: int) -> int:
    if is_within_years(moment):
        return moment
    units = [unit for unit, milliseconds in _OTHER_UNITS.items() if is_within_years(int(moment * milliseconds))]
    meant = f": it seems to be in {units[0]}, and must be UTC milliseconds" if units else ""
    raise ValueError(f"the time {moment} {_YEARS}{meant}")


def _no_switch(value: Any) -> Any:
    """Refuses true and false as numbers, which pydantic takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")
    return value


def _number(value: Any) -> Any:
    """Refuses `1_0` too, which pydantic takes for ten."""
    if isinstance(value, str) and "_" in value:
        raise ValueError(_WHOLE)
    return _no_switch(value)


def written_second(moment: Any) -> int | None:
    """The second within the minute of ISO 8601 text, or of UTC milliseconds that are no whole minute; None if not
    written."""
    if isinstance(moment, str):
        match = _SECONDS.match(moment.strip())
        return int(match[1]) if match is not None else None
    return moment % MINUTE // MILLISECONDS or None if isinstance(moment, int) else None


def tells_no_pass(moment: Any) -> bool:
    """True for ISO 8601 text without an offset in autumn's repeated hour."""
    if not isinstance(moment, str) or moment.endswith("Z"):
        return False
    try:
        return is_pass_unknown(datetime.fromisoformat(moment.strip()))
    except (OverflowError, ValueError):
        return False  # `Timestamp` says so


def _day(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        day = date.fromisoformat(value.strip())
    except ValueError as error:
        raise ValueError(f"{value!r} is not a date such as 2026-07-28 (year, month, day)") from error
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"{value!r} {_YEARS}")
    return day.isoformat()


def bill_number_fault(text: str, scac: str) -> str | None:
    """The fault of a number that a person enters, with the number to write; None if it is as CBP has it."""
    if identifiers.is_bill_number(text):
        return None
    if _SCIENTIFIC.fullmatch(text):
        return f"{text[:SHOWN]!r} was changed by a spreadsheet: format the column as text and enter the number again"
    found = identifiers.found_number(text, scac)
    instead = f"; write {found!r}, without its SCAC, blanks and dashes" if found is not None else ""
    return f"{text[:SHOWN]!r} is not a bill number of one to twelve letters and digits{instead}"


def _bill_number(value: Any, info: ValidationInfo) -> Any:
    """`scac` must be an earlier field."""
    text = upper(value)
    if isinstance(text, str) and (fault := bill_number_fault(text, info.data.get("scac") or "")):
        raise ValueError(fault)
    return text


def _number_of_message(value: Any, info: ValidationInfo) -> MessageNumber:
    """The number in an event of another program. `scac` must be an earlier field. A no-break space is damage."""
    if isinstance(value, str) and identifiers.is_bill_number(value):
        return MessageNumber(value, False)
    text = capitals(value.rstrip(string.whitespace)) if isinstance(value, str) else None
    found = identifiers.found_number(text, info.data.get("scac") or "") if text is not None else None
    if found is None:
        quotes = "; write it in quotes" if isinstance(value, int | float) else ""
        raise ValueError(f"{str(value)[:SHOWN]!r} is not a bill number of one to twelve letters and digits{quotes}")
    return MessageNumber(found, found != text)


def _reference(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if reference := bill_reference(capitals(value)):
        return reference
    raise ValueError(
        f"{value[:SHOWN]!r} is not a bill: a SCAC of four places, then a number of one to twelve letters and digits"
    )


def _reference_of_message(value: Any) -> Any:
    return bill_reference(capitals(value)) or UNREADABLE_REFERENCE if isinstance(value, str) else value


def _bill_type(value: Any) -> Any:
    """A word, or CBP's code, which a table may hold as a number."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        return text
    if text.lower() in BILL_TYPE_WORDS:
        return text.lower()
    if not _BILL_TYPE_CODE.fullmatch(text):
        words = ", ".join(sorted(BILL_TYPE_WORDS))
        raise ValueError(f"{text[:SHOWN]!r} is none of {words}, nor a code of CBP's such as 30")
    return text.upper()


def _alias(value: str) -> str:
    """An id, with its type unless that is its usual one."""
    named = named_party(value)
    if not named.types:
        raise ValueError(f"{value!r} is not {_PARTY_ID_REASON}, alone or as type:id")
    return named.id if usual_type(named.id) == named.types[0] else f"{named.types[0]}:{named.id}"


def _container(value: Any) -> Any:
    return identifiers.container_clean(value) if isinstance(value, str) else value


def _containers(value: Any) -> Any:
    value = listed(value)
    if not isinstance(value, tuple) or not all(isinstance(part, str) for part in value):
        return value
    for part in value:
        if not part.isalnum() and not (part.strip().isprintable() and any(map(str.isalnum, part))):
            raise ValueError(f"{part[:SHOWN]!r} is not a container number")
    return tuple(dict.fromkeys(filter(None, map(identifiers.container_clean, value))))


def _pattern(pattern: str, reason: str) -> str:
    _PATTERN_REASONS[pattern] = reason
    return pattern


def _identifier(grammar: str, reason: str) -> StringConstraints:
    """The grammar in upper and lower case, since pydantic matches before it changes the case."""
    return StringConstraints(strip_whitespace=True, to_upper=True, pattern=_pattern(f"^(?i-u:{grammar})$", reason))


_PRINTED: Final = _pattern(r"^[^\x00-\x1f\x7f-\x9f]*$", "it has characters that cannot be printed")
_PARTY_ID_REASON: Final = "a SCAC (two to four letters), a FIRMS code (four places) or an ABI routing code (nine)"
_URL: Final = _pattern(
    r"^https?://[^\s/?#@]+([/?][^\s#]*)?$", "write it as https://host/path, without user and password"
)
_FEED_NAME: Final = _pattern(
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "a feed's name has letters, digits, dots and dashes, such as cbp"
)


def _text(longest: int = 2000, *, to_upper: bool = False) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, to_upper=to_upper, max_length=longest, pattern=_PRINTED)


UpperText = Annotated[str, _text(to_upper=True)]
PrintedText = Annotated[str, _text()]
Label = Annotated[str, _text(50), StringConstraints(to_lower=True, min_length=1)]
ShortText = Annotated[str, _text(200), Field(min_length=1)]
Url = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=_URL)]
"""Without user and password: the registry holds no secrets."""
FeedName = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=40, pattern=_FEED_NAME)]

Scac = Annotated[str, _identifier(identifiers.READABLE_SCAC, "a SCAC has at most four characters, without blanks")]
"""A SCAC that can stand in a bill's key. An invalid one is flagged later."""
RegisteredScac = Annotated[str, _identifier(identifiers.SCAC, "a SCAC has two to four letters")]
PartyId = Annotated[str, _identifier(f"(?:{PARTY_ID})", f"a party's id is {_PARTY_ID_REASON}")]
BillNumber = Annotated[str, BeforeValidator(_bill_number)]
MessageBillNumber = Annotated[MessageNumber, PlainValidator(_number_of_message)]
DispositionCode = Annotated[
    str, _identifier(identifiers.DISPOSITION_CODE, "a disposition code has two or three letters or digits, such as 1H")
]
ImoNumber = Annotated[str, _identifier(identifiers.IMO_NUMBER, "an IMO number has seven digits")]
PortCode = Annotated[str, _identifier(identifiers.PORT, "a port is a Schedule D code of four digits")]
UnladingPort = Annotated[
    str,
    _identifier(
        rf"(?:{identifiers.PORT}|{identifiers.FOREIGN_PORT})",
        "a port of unlading has four digits (Schedule D, 0401), or five abroad (Schedule K)",
    ),
]
ContainerNumber = Annotated[
    str,
    BeforeValidator(_container),
    _identifier(identifiers.CONTAINER, "a container number has four letters and seven digits, such as CSQU3054383"),
]
"""The check digit may be absent."""
BillReference = Annotated[str, BeforeValidator(_reference)]
"""A bill key, from SCAC and number."""
MessageBillReference = Annotated[str, BeforeValidator(_reference_of_message)]
"""The same, or `UNREADABLE_REFERENCE`, since the event counts in any case."""

BillType = Annotated[str, BeforeValidator(_bill_type)]
Number = Annotated[int, BeforeValidator(_number)]
Timestamp = Annotated[int, BeforeValidator(_moment), AfterValidator(_within_years)]
Second = Annotated[Number, Field(ge=0, le=59)]
Day = Annotated[str, BeforeValidator(_day)]
Pieces = Annotated[int, Field(ge=0, le=MOST_PIECES), BeforeValidator(_number)]
SignedPieces = Annotated[int, Field(ge=-MOST_PIECES, le=MOST_PIECES), BeforeValidator(_number)]

SnpList = Annotated[
    tuple[Annotated[str, _text(LONGEST_NAME), BeforeValidator(upper)], ...],
    Field(max_length=MOST_NAMED),
    BeforeValidator(listed),
]
ContainerNumbers = Annotated[
    tuple[Annotated[str, _text(LONGEST_CONTAINER, to_upper=True)], ...],
    Field(max_length=MOST_NAMED),
    BeforeValidator(_containers),
]
PortCodes = Annotated[tuple[PortCode, ...], BeforeValidator(listed), Field(max_length=100)]
Aliases = Annotated[
    tuple[Annotated[UpperText, AfterValidator(_alias)], ...], BeforeValidator(listed), Field(max_length=MOST_ALIASES)
]
