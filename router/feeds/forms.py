"""How the values of our own input forms are read, the same for CSV, JSON Lines and Avro: pydantic types.

Text is stripped and upper-cased where it is a code; empty is unknown; lists are arrays or text separated by
`;`; times are ISO 8601, Eastern where they have no offset, and become UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints

from router.errors import InputError
from router.feeds.fields import bill_reference
from router.model.eastern import LATEST, to_milliseconds
from router.model.identifiers import container_clean
from router.model.limits import MOST_NAMED
from router.model.registry_values import MOST_ALIASES

LIST_SEPARATOR: Final = ";"
REGISTERED_SCAC: Final = r"^[A-Za-z]{2,4}$"
PORT: Final = r"^[0-9]{4}$"
CONTAINER: Final = r"^[A-Z]{4}[0-9]{6,7}$"
CODE: Final = r"^[A-Za-z0-9]{2,3}$"
IMO: Final = r"^[0-9]{7}$"
SCAC: Final = r"^[!-~]{1,4}$"
BILL_NUMBER: Final = r"^[!-~]{1,50}$"
PRINTED: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
URL: Final = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$"
"""Without user and password: a secret has no place in the registry."""
LONGEST_REASON: Final = 300
"""Characters: a fault quotes the value, however long that is."""
LARGEST_QUANTITY: Final = 10**15


def _none_if_empty(value: Any) -> Any:
    return (value.strip() or None) if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part for part in map(str.strip, value.split(LIST_SEPARATOR)) if part)
    return value


def _moment(value: Any) -> Any:
    """ISO 8601 text, a datetime (as Avro's logical types give) or UTC milliseconds."""
    value = _none_if_empty(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is not a time in ISO 8601, such as 2026-07-14T08:12") from error
    if not isinstance(value, datetime):
        return value
    try:
        return to_milliseconds(value)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{value!r} is out of range") from error


def _day(value: Any) -> Any:
    value = _none_if_empty(value)
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise ValueError(f"{value!r} is not a date such as 2026-07-28 (year, month, day)") from error
    return value


def _reference(value: Any) -> Any:
    value = _none_if_empty(value)
    if not isinstance(value, str):
        return value
    try:
        reference = bill_reference(value.upper())
    except InputError as error:
        raise ValueError(error.reason) from error
    if reference is None:
        raise ValueError(f"{value!r} is not a bill: a SCAC of four places, then the number")
    return reference


def _container(value: Any) -> Any:
    return container_clean(value) if isinstance(value, str) else value


def _containers(value: Any) -> Any:
    value = _listed(value)
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        return value
    cleaned = (container_clean(part) for part in value)
    return tuple(dict.fromkeys(part for part in cleaned if part is not None))


_SHAPES: Final = {
    REGISTERED_SCAC: "a SCAC has two to four letters",
    PORT: "a port is its Schedule D code, four digits",
    CONTAINER: "a container has four letters and seven digits, such as CSQU3054383",
    CODE: "a code has two or three letters or digits, such as 1H",
    IMO: "an IMO number has seven digits and nothing else",
    SCAC: "a SCAC has up to four characters, without blanks",
    BILL_NUMBER: "a bill's number has up to 50 characters, without blanks",
    PRINTED: "it has characters that can't be printed",
    URL: "it has to be https://host/path, without user and password",
}
"""What is said of a value that hasn't its pattern: patterns are no words for people."""
_WHOLE_NUMBER: Final = "it has to be a whole number, in digits only, such as 1200"
_WORDS: Final = {
    "missing": "it is missing",
    "int_parsing": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
}
_OURS: Final = {
    "Input should": "it has to",
    "String should": "it has to",
    "Invalid JSON": "each line has to be one whole JSON object",
}
"""What pydantic's messages begin with."""


def reason_of(fault: Mapping[str, Any]) -> str:
    """One of pydantic's faults (with its context) in our words."""
    pattern = (fault.get("ctx") or {}).get("pattern")
    if fault["type"] == "string_pattern_mismatch" and pattern in _SHAPES:
        return _SHAPES[pattern]
    if fault["type"] in _WORDS:
        return _WORDS[fault["type"]]
    said = str(fault["msg"]).removeprefix("Value error, ")
    for theirs, ours in _OURS.items():
        said = said.replace(theirs, ours)
    return said[:LONGEST_REASON]


Empty = BeforeValidator(_none_if_empty)
Upper = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, max_length=2000, pattern=PRINTED)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=PRINTED)]
Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=50, pattern=PRINTED)]
Scac = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=SCAC)]
"""What can stand in a bill's key; its proper shape is checked later and only flagged."""
RegisteredScac = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=REGISTERED_SCAC)]
BillNumber = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=BILL_NUMBER)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=CODE)]

Port = Annotated[str, StringConstraints(strip_whitespace=True, pattern=PORT)]
"""Schedule D."""

Url = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=URL)]
OptionalUrl = Annotated[Url | None, Empty]
OptionalUpper = Annotated[Upper | None, Empty]
OptionalText = Annotated[Text | None, Empty]
OptionalScac = Annotated[Scac | None, Empty]
OptionalBillNumber = Annotated[BillNumber | None, Empty]
OptionalReference = Annotated[str | None, BeforeValidator(_reference)]
OptionalDay = Annotated[str | None, BeforeValidator(_day)]
Moment = Annotated[int, BeforeValidator(_moment), Field(ge=0, le=LATEST)]
OptionalMoment = Annotated[Annotated[int, Field(ge=0, le=LATEST)] | None, BeforeValidator(_moment)]
OptionalContainer = Annotated[Annotated[str, StringConstraints(pattern=CONTAINER)] | None, BeforeValidator(_container)]
"""Four letters, then six digits or, with its check digit, seven."""
FeedName = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
]
OptionalQuantity = Annotated[Annotated[int, Field(ge=0, le=LARGEST_QUANTITY)] | None, Empty]
SignedQuantity = Annotated[Annotated[int, Field(ge=-LARGEST_QUANTITY, le=LARGEST_QUANTITY)] | None, Empty]
Flag = Annotated[bool, BeforeValidator(lambda value: False if _none_if_empty(value) is None else value)]
Codes = Annotated[
    tuple[Annotated[Upper, StringConstraints(max_length=100)], ...],
    BeforeValidator(_listed),
    Field(max_length=MOST_NAMED),
]
RegisteredScacs = Annotated[tuple[RegisteredScac, ...], BeforeValidator(_listed), Field(max_length=MOST_ALIASES)]
Containers = Annotated[
    tuple[Annotated[Upper, StringConstraints(max_length=100)], ...],
    BeforeValidator(_containers),
    Field(max_length=MOST_NAMED),
]
Ports = Annotated[tuple[Port, ...], BeforeValidator(_listed), Field(max_length=100)]
