"""Filings of manifest messages: what X12 309 and CAMIR MI have in common.

Nothing is taken from a damaged bill: a filing frees, since it completes a history and gives a quantity, and it names
parties. Consignee, shipper and cargo description are read nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from router.errors import InputError
from router.feeds.bounded_input import OtherMessage
from router.feeds.cbp_messages import bill_reference, quantity_of
from router.model.identifiers import (
    SCAC_WIDTH,
    container_clean,
    is_bill_number,
    is_foreign_port,
    is_valid_container,
    is_valid_imo_number,
    is_valid_port,
    is_valid_scac,
)
from router.model.inputs import Filing
from router.model.limits import MOST_NAMED
from router.model.party_ids import named_party

EMPTY_TYPES: Final = ("12", "2")
"""Bill type of an empty container, in X12 and in CAMIR (CBP Trade Act FAQ, vessel mode, section 16)."""
EMPTY: Final = "E"
"""Load status of an empty container: VID10, C01 75."""


class DamagedBill(NamedTuple):
    """The segments or records of a bill of which nothing was taken."""

    reason: str
    position: int
    """Number of its first segment in the set, or of its first record in the transmission, from 1."""
    texts: Sequence[str]
    """With the headers that it is below."""


class InDoubtError(InputError):
    """A manifest with wrong counts or without trailer. Nothing was taken from it; an operator may accept it."""


ManifestResult = Filing | OtherMessage | DamagedBill


class Box(NamedTuple):
    number: str
    load_status: str


def scac_of(place: str, text: str) -> str:
    """Raises InputError."""
    if not is_valid_scac(text):
        raise invalid(place, "SCAC")
    return text


def number_of(place: str, text: str) -> str:
    """A bill number that needs no repair: a repaired one would free. Raises InputError."""
    if not is_bill_number(text):
        raise invalid(place, "bill number of one to twelve letters and digits")
    return text


def unlading_of(place: str, text: str) -> str:
    """Schedule D, or Schedule K for cargo that stays aboard. Raises InputError."""
    if not (is_valid_port(text) or is_foreign_port(text)):
        raise invalid(place, "port (Schedule D, or K abroad)")
    return text


def imo_of(place: str, text: str) -> str | None:
    """None for nothing and for zeros. Raises InputError if the check digit is wrong: another ship might be meant."""
    if not text.strip("0"):
        return None
    if not is_valid_imo_number(text):
        raise invalid(place, "IMO number with its check digit")
    return text


def pieces_of(place: str, text: str) -> int | None:
    """Raises InputError, also for no text."""
    try:
        pieces, is_negative = quantity_of(text)
    except InputError as error:
        raise invalid(place, "whole number") from error
    if is_negative or not text:
        raise invalid(place, "whole number")
    return pieces


def box_of(place: str, text: str, load_status: str) -> Box | None:
    """None for cargo that is in no container. Raises InputError for a number that ISO 6346 does not allow."""
    number = container_clean(text)
    if number is None:
        return None
    if not is_valid_container(number):
        raise invalid(place, "container number with its check digit")
    return Box(number, load_status)


def snp_of(place: str, text: str) -> str:
    """A second notify party as `id` or `type:id`. Raises InputError."""
    if not named_party(text).types:
        raise invalid(place, "second notify party (a SCAC, a FIRMS code or an ABI routing code)")
    return text


def reference_of(place: str, text: str) -> str:
    """A bill key. Raises InputError."""
    key = bill_reference(text)
    if key is None or not is_valid_scac(key[:SCAC_WIDTH].strip()):
        raise invalid(place, "bill: a SCAC, then a number")
    return key


def checked_boxes(boxes: Sequence[Box], bill_type: str | None) -> tuple[str, ...]:
    """The container numbers. Raises InputError for a loaded container on a bill of type empty (CBP's error 211)."""
    if bill_type in EMPTY_TYPES and any(box.load_status != EMPTY for box in boxes):
        raise InputError("the bill has the type empty, but a container is not empty")
    numbers = tuple(dict.fromkeys(box.number for box in boxes))
    if len(numbers) > MOST_NAMED:
        raise InputError(f"the bill has more than {MOST_NAMED:,} containers")
    return numbers


def invalid(place: str, kind: str) -> InputError:
    """The fault of a value. It does not quote it: a glued segment may hold a consignee there."""
    return InputError(f"{place} is not a {kind}")
