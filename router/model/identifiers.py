"""The grammar of each identifier, its check digit, and the keys made of identifiers.

Two levels of strictness apply. *Readable* identifiers can stand in a key; a message with any other goes to the dead
letters. *Valid* identifiers have the published shape and check digit; any other flags a notice and drops no event.

Sources: containers by ISO 6346; IMO numbers by their own check digit; entry numbers by 19 CFR 142.3a and CBP's
check-digit table (equal to Luhn, with letters worth 1 to 9); SCAC and Schedule D by their shapes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from router.model.inputs import Disposition, Shipment

SCAC_WIDTH: Final = 4
SERIAL_WIDTH: Final = 10
"""Owner code, category and serial of a container; the check digit is the eleventh place."""

READABLE_SCAC: Final = r"[!-~]{1,4}"
LONGEST_BILL_NUMBER: Final = 12
BILL_NUMBER: Final = rf"[A-Z0-9]{{1,{LONGEST_BILL_NUMBER}}}"
"""A bill's number without its issuer's SCAC: X12 X401, CAMIR R02 4-15."""
SCAC: Final = r"[A-Z]{2,4}"
CONTAINER: Final = r"[A-Z]{4}[0-9]{6,7}"
IMO_NUMBER: Final = r"[0-9]{7}"
PORT: Final = r"[0-9]{4}"
"""Schedule D."""
FOREIGN_PORT: Final = r"[0-9]{5}"
"""Schedule K."""
DISPOSITION_CODE: Final = r"[A-Z0-9]{2,3}"

IN_BOND_ENTRY_TYPES: Final = frozenset({"61", "62", "63"})
"""Entry types whose entry-number field holds an in-bond number, which has no entry check digit."""

_CACHE: Final = 8_192
_READABLE_SCAC: Final = re.compile(READABLE_SCAC)
_BLANKS_AND_DASHES: Final = re.compile(r"[\s\u2010-\u2015-]")
_SCAC: Final = re.compile(SCAC)
_CONTAINER: Final = re.compile(CONTAINER)
_ODD_CONTAINER: Final = re.compile(r"([A-Z]{4})([0-9]{3,7})?(?:\1([0-9]{3,7}))?")
_IMO_NUMBER: Final = re.compile(IMO_NUMBER)
_PORT: Final = re.compile(PORT)
_FOREIGN_PORT: Final = re.compile(FOREIGN_PORT)
_CODE: Final = re.compile(DISPOSITION_CODE)
_ENTRY: Final = re.compile(r"(?!000)[A-Z0-9]{3}[0-9]{8}")
_NOT_IN_CONTAINERS: Final = re.compile(r"[^A-Z0-9]")
_BILL_KEY: Final = re.compile(rf"[!-`{{-~][ -~]{{3}}{BILL_NUMBER}")
"""Four places and a number. A lower-case beginning marks keys of other subjects."""
_CONTAINER_VALUES: Final = tuple(value for value in range(10, 39) if value % 11)
"""Values of A to Z in ISO 6346: from 10 on, without multiples of 11."""
_ENTRY_LETTERS: Final = {letter: (ord(letter) - ord("A")) % 9 + 1 for letter in "ABCDEFGHIJKLMNOPQR"} | {
    letter: ord(letter) - ord("S") + 2 for letter in "STUVWXYZ"
}


# Keys


def bill_key(scac: str, number: str) -> str:
    """Key of a bill everywhere: the issuer's SCAC, padded to four places with blanks on the right, and the number.

    `bill_key("NVXA", "HBL000012345")` is `NVXAHBL000012345`.
    """
    return scac.ljust(SCAC_WIDTH) + number


def is_bill_key(text: str) -> bool:
    return _BILL_KEY.fullmatch(text) is not None


def split_bill_key(key: str) -> tuple[str, str]:
    """The issuer's SCAC without padding, and the number."""
    return key[:SCAC_WIDTH].rstrip(), key[SCAC_WIDTH:]


@lru_cache(_CACHE)
def key_without_prefix(key: str) -> str | None:
    """The bill key that a key may stand for whose number begins with its own SCAC; None for any other key.

    `NVXANVXAHBL1` may stand for `NVXAHBL1`.
    """
    scac, number = split_bill_key(key)
    rest = number.removeprefix(scac)
    return bill_key(scac, rest) if scac and rest and rest != number else None


def vessel_key(shipment: Shipment) -> str:
    """Key of a vessel's events on one voyage. Its lower-case beginning sets it apart from every bill's key."""
    vessel = shipment.imo_number or shipment.vessel_name or ""
    return f"vessel:{vessel}:{shipment.carrier_scac or ''}:{shipment.voyage_number or ''}"


def is_vessel_key(key: str) -> bool:
    return key.startswith("vessel:")


def outage_key(outage_id: str) -> str:
    """Key of an outage's history."""
    return f"outage:{outage_id}"


def concerns_a_bill(key: str) -> bool:
    """True for a bill's key; keys of vessels and outages begin in lower case."""
    return not key[:1].islower()


# Readable identifiers


@lru_cache(_CACHE)
def is_readable_scac(text: str) -> bool:
    """True if the text can stand in a bill's key."""
    return _READABLE_SCAC.fullmatch(text) is not None


def is_bill_number(text: str) -> bool:
    """True for one to twelve capital letters and digits."""
    return text.isalnum() and text.isascii() and len(text) <= LONGEST_BILL_NUMBER and text == text.upper()


def found_number(text: str, scac: str) -> str | None:
    """The bill number that a message's text in capitals means; None if it means none.

    It is *repaired* if it differs from the text: it has no blanks and dashes, and a number longer than twelve that
    begins with its issuer's SCAC has lost that. A repaired number stops its bill, but frees nothing.
    """
    if is_bill_number(text):
        return text
    repaired = _BLANKS_AND_DASHES.sub("", text)
    if len(repaired) > LONGEST_BILL_NUMBER:
        repaired = repaired.removeprefix(scac)
    return repaired if is_bill_number(repaired) else None


@lru_cache(_CACHE)
def is_disposition_code(text: str) -> bool:
    """True for two or three letters or digits, known to the code table or not."""
    return _CODE.fullmatch(text) is not None


def entry_clean(text: str) -> str | None:
    """An entry number in upper case without dashes and blanks; None for nothing and for zeros."""
    cleaned = text.upper().replace("-", "").replace(" ", "")
    return cleaned if cleaned.strip("0") else None


def container_clean(text: str) -> str | None:
    """A container number in upper case without blanks, dashes and dots; None for nothing and for `NC` (no container).

    One that is given twice, or without leading zeros, is the one that its check digit proves.
    """
    cleaned = text.upper()
    if not (cleaned.isalnum() and cleaned.isascii()):
        cleaned = _NOT_IN_CONTAINERS.sub("", cleaned)
    if not SERIAL_WIDTH <= len(cleaned) <= SERIAL_WIDTH + 1:
        cleaned = _proven_container(cleaned) or cleaned
    return cleaned if cleaned not in ("", "NC") else None


def _proven_container(text: str) -> str | None:
    """The number of eleven places that the text gives twice or without zeros. Six digits may be a whole serial, so they
    prove nothing."""
    match = _ODD_CONTAINER.fullmatch(text)
    if match is None:
        return None
    owner, *given = match.groups()
    digits = [part for part in given if part]
    whole = {part.zfill(SERIAL_WIDTH + 1 - len(owner)) for part in digits if len(part) != SERIAL_WIDTH - len(owner)}
    numbers = [owner + one for one in whole if is_valid_container(owner + one)]
    if len(whole) != 1 or not numbers:
        return None
    (number,) = numbers
    alike = all(len(part) != SERIAL_WIDTH - len(owner) or owner + part == number[:SERIAL_WIDTH] for part in digits)
    return number if alike else None


@lru_cache(_CACHE)
def container_key(text: str) -> str:
    """Ten places, equal for a container written with and without its check digit; the cleaned text of any that can't be
    recognised: without the shape of a container, or with another check digit than its own."""
    cleaned = container_clean(text) or ""
    return cleaned[:SERIAL_WIDTH] if is_valid_container(cleaned) else cleaned


@lru_cache(_CACHE)
def is_container_key(key: str) -> bool:
    """True if a key of `container_key` is of a container that can be recognised."""
    return len(key) == SERIAL_WIDTH and is_valid_container(key)


# Valid identifiers


@lru_cache(_CACHE)
def is_valid_scac(scac: str) -> bool:
    """True for two to four letters. The registry knows who owns the code."""
    return _SCAC.fullmatch(scac) is not None


@lru_cache(_CACHE)
def is_valid_container(text: str) -> bool:
    """True for four letters and six digits, followed by nothing or by the right check digit."""
    if not _CONTAINER.fullmatch(text):
        return False
    return len(text) == SERIAL_WIDTH or container_check_digit(text[:SERIAL_WIDTH]) == int(text[SERIAL_WIDTH])


def container_check_digit(serial: str) -> int:
    """Check digit of ten places by ISO 6346."""
    values = (_CONTAINER_VALUES[ord(place) - ord("A")] if place.isalpha() else int(place) for place in serial)
    return sum(value << index for index, value in enumerate(values)) % 11 % 10


@lru_cache(_CACHE)
def is_valid_imo_number(number: str) -> bool:
    if not _IMO_NUMBER.fullmatch(number):
        return False
    return sum(int(digit) * (7 - index) for index, digit in enumerate(number[:6])) % 10 == int(number[6])


@lru_cache(_CACHE)
def is_valid_port(port: str) -> bool:
    """True for a U.S. port: Schedule D, four digits."""
    return _PORT.fullmatch(port) is not None


def is_foreign_port(port: str) -> bool:
    """True for a foreign port: Schedule K, five digits. Cargo that stays aboard (FROB) is unladen at one."""
    return _FOREIGN_PORT.fullmatch(port) is not None


@lru_cache(_CACHE)
def is_valid_entry_number(number: str, entry_type: str | None) -> bool:
    """Filer, seven digits and check digit, without dashes.

    True for in-bond numbers, and where no entry type says that this is an entry: CBP puts form numbers in the same
    field.
    """
    if entry_type is None or entry_type in IN_BOND_ENTRY_TYPES:
        return True
    return _ENTRY.fullmatch(number) is not None and entry_check_digit(number[:10]) == int(number[10])


def entry_check_digit(ten: str) -> int:
    """Check digit of an entry number's first ten places."""
    total = 0
    for index, place in enumerate(ten):
        value = _ENTRY_LETTERS[place] if place.isalpha() else int(place)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return -total % 10


def has_invalid_identifier(event: Disposition) -> bool:
    """True if any identifier of the event fails its check."""
    shipment = event.shipment
    return not (
        _are_valid(
            event.scac,
            shipment.carrier_scac,
            shipment.imo_number,
            event.transaction_port,
            shipment.port_of_unlading,
            shipment.in_bond_destination,
        )
        and (event.entry_number is None or is_valid_entry_number(event.entry_number, event.entry_type))
        and all(map(is_valid_container, event.container_numbers))
        and all(map(is_valid_container, shipment.container_numbers))
    )


@lru_cache(_CACHE)
def _are_valid(
    scac: str | None,
    carrier: str | None,
    imo_number: str | None,
    acted_at: str | None,
    unlading: str | None,
    destination: str | None,
) -> bool:
    """The identifiers that thousands of bills have in common, checked once. The port of unlading may be foreign."""
    return (
        all(is_valid_scac(one) for one in (scac, carrier) if one is not None)
        and (imo_number is None or is_valid_imo_number(imo_number))
        and all(is_valid_port(port) for port in (acted_at, destination) if port is not None)
        and (unlading is None or is_valid_port(unlading) or is_foreign_port(unlading))
    )
