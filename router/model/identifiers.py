"""How a bill of lading is written: the issuer's SCAC padded to four places, then the number. Its key everywhere.

Checks of identifiers where a check exists. A failed check flags a notice; it never drops an event.

Sources: SCAC and Schedule D by their shapes, containers by ISO 6346, IMO numbers by their own digit, entry
numbers by 19 CFR 142.3a and CBP's check-digit table (equal to Luhn, with letters worth 1 to 9).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from router.model.inputs import Disposition

SCAC_WIDTH = 4
_KEY: Final = re.compile(r"[!-`{-~][ -~]{4,53}")
"""Four places and a number of up to fifty. What begins in lower case is no bill's; nor is what is reserved."""


def bill_key(scac: str, number: str) -> str:
    """`bill_key("NVXA", "HBL000012345")` is `NVXAHBL000012345`; a shorter SCAC is padded with blanks on the right."""
    return scac.ljust(SCAC_WIDTH) + number


def is_bill_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def split_bill_key(key: str) -> tuple[str, str]:
    """The issuer's SCAC without padding, and the number."""
    return key[:SCAC_WIDTH].rstrip(), key[SCAC_WIDTH:]


def vessel_key(imo_number: str | None, vessel_name: str | None, carrier_scac: str | None, voyage: str | None) -> str:
    """The key of a vessel's events on one voyage. Lower case at its start keeps it apart from every bill's key."""
    return f"vessel:{imo_number or vessel_name or ''}:{carrier_scac or ''}:{voyage or ''}"


def is_vessel_key(key: str) -> bool:
    return key.startswith("vessel:")


def outage_key(outage_id: str) -> str:
    """The key of what is said of an outage."""
    return f"outage:{outage_id}"


def concerns_a_bill(key: str) -> bool:
    """Whether a key is a bill's: those of vessels and outages begin in lower case."""
    return not key[:1].islower()


IN_BOND_ENTRY_TYPES: Final = frozenset({"61", "62", "63"})
"""Under these the entry-number field holds an in-bond number, which has no entry check digit."""

SERIAL_WIDTH: Final = 10
"""Owner code, category and serial of a container; the check digit is the eleventh place."""

_CACHE: Final = 8_192
_SCAC: Final = re.compile(r"[A-Z]{2,4}")
_CONTAINER: Final = re.compile(r"[A-Z]{4}[0-9]{6,7}")
_IMO: Final = re.compile(r"[0-9]{7}")
_SCHEDULE_D: Final = re.compile(r"[0-9]{4}")
_ENTRY: Final = re.compile(r"(?!000)[A-Z0-9]{3}[0-9]{8}")
_NOT_IN_CONTAINERS: Final = re.compile(r"[^A-Z0-9]")
_CONTAINER_VALUES: Final = tuple(value for value in range(10, 39) if value % 11)
"""What A to Z are worth in ISO 6346: from 10 on, multiples of 11 left out."""
_ENTRY_LETTERS: Final = {letter: (ord(letter) - ord("A")) % 9 + 1 for letter in "ABCDEFGHIJKLMNOPQR"} | {
    letter: ord(letter) - ord("S") + 2 for letter in "STUVWXYZ"
}


@lru_cache(_CACHE)
def scac_ok(scac: str) -> bool:
    """Two to four letters. Whether anyone owns the code is the registry's to say."""
    return _SCAC.fullmatch(scac) is not None


def container_clean(text: str) -> str | None:
    """As carriers write it, in upper case without blanks, dashes and dots; None for nothing and for `NC`
    (no container)."""
    cleaned = text.upper()
    if not (cleaned.isalnum() and cleaned.isascii()):
        cleaned = _NOT_IN_CONTAINERS.sub("", cleaned)
    return cleaned if cleaned not in ("", "NC") else None


@lru_cache(_CACHE)
def container_key(text: str) -> str:
    """The same for a container written with and without its check digit: ten places, or the cleaned text
    where the shape is not that of a container."""
    cleaned = container_clean(text) or ""
    return cleaned[:SERIAL_WIDTH] if _CONTAINER.fullmatch(cleaned) else cleaned


@lru_cache(_CACHE)
def container_ok(text: str) -> bool:
    """Four letters and six digits, and, if there is an eleventh place, the right check digit."""
    if not _CONTAINER.fullmatch(text):
        return False
    return len(text) == SERIAL_WIDTH or container_check_digit(text[:SERIAL_WIDTH]) == int(text[SERIAL_WIDTH])


def container_check_digit(serial: str) -> int:
    values = (_CONTAINER_VALUES[ord(place) - ord("A")] if place.isalpha() else int(place) for place in serial)
    return sum(value << index for index, value in enumerate(values)) % 11 % 10


@lru_cache(_CACHE)
def imo_ok(number: str) -> bool:
    if not _IMO.fullmatch(number):
        return False
    return sum(int(digit) * (7 - index) for index, digit in enumerate(number[:6])) % 10 == int(number[6])


@lru_cache(_CACHE)
def schedule_d_ok(port: str) -> bool:
    return _SCHEDULE_D.fullmatch(port) is not None


@lru_cache(_CACHE)
def entry_number_ok(number: str, entry_type: str | None) -> bool:
    """Filer, seven digits and check digit, without dashes. True for in-bond numbers, and where no entry
    type says that this is an entry at all: CBP puts form numbers in the same field."""
    if entry_type is None or entry_type in IN_BOND_ENTRY_TYPES:
        return True
    return _ENTRY.fullmatch(number) is not None and entry_check_digit(number[:10]) == int(number[10])


def entry_check_digit(ten: str) -> int:
    total = 0
    for index, place in enumerate(ten):
        value = _ENTRY_LETTERS[place] if place.isalpha() else int(place)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return -total % 10


def doubtful(disposition: Disposition) -> bool:
    """Whether any identifier of the event fails its check."""
    event = disposition
    return not (
        _shipment_ok(event.scac, event.carrier_scac, event.imo_number, event.transaction_port, event.port_of_unlading)
        and (event.entry_number is None or entry_number_ok(event.entry_number, event.entry_type))
        and all(map(container_ok, event.container_numbers))
        and all(map(container_ok, event.other_container_numbers))
    )


@lru_cache(_CACHE)
def _shipment_ok(
    scac: str | None, carrier: str | None, imo_number: str | None, acted_at: str | None, unlading: str | None
) -> bool:
    """What thousands of bills have in common."""
    return (
        all(scac_ok(one) for one in (scac, carrier) if one is not None)
        and (imo_number is None or imo_ok(imo_number))
        and all(schedule_d_ok(port) for port in (acted_at, unlading) if port is not None)
    )
