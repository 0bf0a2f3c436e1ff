"""From the segments of one X12 350 event to a Disposition. Pure: what it needs of the envelope is handed in.

An event is a *loop*: an X4 (a bill's) or V9 (the vessel's) and the K1, N9, N7 and VID segments that follow
it, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from router.errors import InputError
from router.feeds.evidence import Bill
from router.feeds.fields import (
    absent,
    bill_readable,
    bill_reference,
    code_of,
    entry_of,
    iso_date,
    moment,
    other_containers,
    plain,
    quantity_of,
    remarks_of,
    scac_readable,
    upper,
)
from router.feeds.surroundings import Details
from router.model.identifiers import bill_key, container_clean
from router.model.inputs import Disposition, Shipment

SEGMENT_LIMIT: Final = 2_000
"""An X4 with every element at its full length is shorter; what is longer has lost a terminator."""

_CACHE: Final = 8_192
_X4_ELEMENTS: Final = 18
_V9_ELEMENTS: Final = 14
_M10_ELEMENTS: Final = 11
_P4_ELEMENTS: Final = 5


class Envelope(NamedTuple):
    """What an event takes from its interchange."""

    received_at: int
    transmitted_at: int | None
    test: bool


def surroundings(m10: str, p4: str, element: str) -> Shipment:
    """What can be read of an M10 and a P4 segment; either may be empty. M1004 is an IMO number only under
    M1010 = L."""
    manifest, port = _elements(m10, element, _M10_ELEMENTS), _elements(p4, element, _P4_ELEMENTS)
    return Shipment(
        carrier_scac=plain(manifest[1]),
        imo_number=plain(manifest[4]) if manifest[10] == "L" and manifest[4].strip("0") else None,
        vessel_name=plain(manifest[5]),
        voyage_number=plain(manifest[6]),
        manifest_sequence_number=plain(manifest[7]),
        port_of_unlading=plain(port[1]),
        arrival_date=iso_date(port[2]),
    )


def port_firms(p4: str, element: str) -> str | None:
    return plain(_elements(p4, element, _P4_ELEMENTS)[4])


def bill_event(
    loop: Sequence[str],
    element: str,
    around: Shipment,
    envelope: Envelope,
    firms: str | None,
    source: str,
) -> Disposition:
    """The event of an X4 loop. Raises InputError if it has no bill, code or time that can be read, or a
    wrong quantity."""
    x4 = _elements(loop[0], element, _X4_ELEMENTS)
    number, scac, initial, serial = x4[1], x4[9], x4[11], x4[12]
    if len(loop[0]) > SEGMENT_LIMIT:
        raise InputError(f"the X4 segment is longer than {SEGMENT_LIMIT} characters")
    if not bill_readable(number):
        raise InputError(absent("X401", number, "a bill number"))
    if not scac_readable(scac):
        raise InputError(absent("X409", scac, "a SCAC"))
    remarks, containers, snps, references = _details(loop, element)
    if x4[15]:
        references[x4[15]] = x4[16]
    own = container_clean(initial + serial) if serial else None
    named = tuple(dict.fromkeys(containers)) if containers else ()
    quantity, negative = quantity_of(x4[2])
    entry_type, entry_number = entry_of(x4[3], x4[4] or references.get("IB", ""))
    return Disposition(
        scac,
        number,
        code_of(x4[7]),
        moment(x4[5], x4[6], x4[17]),
        quantity,
        entry_type,
        entry_number,
        () if own is None else (own,),
        x4[13] or None,
        x4[14] or firms,
        negative,
        False,
        " ".join(remarks) if remarks else None,
        tuple(dict.fromkeys(snps)) if snps else (),
        around._replace(
            master_bill=_master(references, x4[8], x4[10]),
            original_bill=bill_reference(references["OL"]) if "OL" in references else None,
            container_numbers=named if own is None else other_containers(own, named),
        ),
        envelope.received_at,
        source,
        envelope.transmitted_at,
        envelope.test,
    )


def vessel_event(loop: Sequence[str], element: str, around: Shipment, envelope: Envelope, source: str) -> Disposition:
    """The event of a V9: no bill. Raises InputError if its code or time can't be read."""
    if len(loop[0]) > SEGMENT_LIMIT:
        raise InputError(f"the V9 segment is longer than {SEGMENT_LIMIT} characters")
    v9 = _elements(loop[0], element, _V9_ELEMENTS)
    return Disposition(
        scac=None,
        bill_of_lading=None,
        disposition_code=code_of(v9[1]),
        action_at=moment(v9[3], v9[4], v9[13]),
        remarks=remarks_of([v9[2], v9[12], *_details(loop, element).remarks]),
        shipment=around,
        received_at=envelope.received_at,
        source=source,
        transmitted_at=envelope.transmitted_at,
        test=envelope.test,
    )


def readable_bill(x4_text: str, element: str, whole: bool = True) -> Bill:
    """As much of issuer, number and code as an X4 that can't be read in full still says. Issuer and number
    come together or not at all. If the text isn't `whole`, its last element isn't trusted."""
    x4 = upper(x4_text[:SEGMENT_LIMIT]).split(element)
    x4 = [text.strip() for text in (x4 if whole and len(x4_text) <= SEGMENT_LIMIT else x4[:-1])]
    x4 += [""] * (_X4_ELEMENTS - len(x4))
    number, scac = x4[1], x4[9]
    try:
        code: str | None = code_of(x4[7])
    except InputError:
        code = None
    return (scac, number, code) if bill_readable(number) and scac_readable(scac) else (None, None, code)


def _elements(text: str, element: str, count: int) -> list[str]:
    """Upper case, at least `count` of them, the segment's name first. Blanks around are stripped where
    there are any."""
    parts = upper(text).split(element)
    if len(parts) < count:
        parts += [""] * (count - len(parts))
    return [part.strip() for part in parts] if " " in text or "\t" in text else parts


def _details(loop: Sequence[str], element: str) -> Details:
    remarks: list[str] = []
    containers: list[str] = []
    snps: list[str] = []
    references: dict[str, str] = {}
    for text in loop[1:]:
        name = text[:2]
        if len(text) > SEGMENT_LIMIT:
            name = text.partition(element)[0]
            reason = f"the {name[:3]} segment is longer than {SEGMENT_LIMIT} characters: a terminator may be missing"
            raise InputError(reason)
        if name == "N9":
            qualifier, value = _reference(text, element)
            if qualifier == "SNP" and value:
                snps.append(value)
            elif value:
                references.setdefault(qualifier, value)
        elif name == "N7":
            containers.extend(_container(upper(text).split(element)[1:]))
        elif name == "K1":
            remarks.extend(_remarks(text, element))
        elif name == "VI":
            containers.extend(_container(upper(text).split(element)[2:4]))
    return Details(remarks, containers, snps, references)


@lru_cache(_CACHE)
def _reference(text: str, element: str) -> tuple[str, str]:
    """N901 and N902. The same few parties stand under thousands of bills."""
    parts = [*text.split(element)[1:3], "", ""]
    return plain(parts[0]) or "", plain(parts[1]) or ""


@lru_cache(_CACHE)
def _remarks(text: str, element: str) -> tuple[str, ...]:
    return tuple(filter(None, map(plain, text.split(element)[1:3])))


def _container(parts: list[str]) -> tuple[str, ...]:
    """N701, N702 and the check digit of N718 if it comes apart; VID02 and VID03. None or one."""
    if len(parts) < 2:
        return ()
    serial = parts[1]
    if len(parts) > 17 and len(serial.strip()) == 6:
        serial = serial.strip() + parts[17].strip()
    container = container_clean(parts[0] + serial)
    return (container,) if container else ()


def _master(references: dict[str, str], number: str, scac: str) -> str | None:
    """The master of a house bill: reference OB, else X408 and X410 as older releases have it."""
    if master := references.get("OB"):
        return bill_reference(master)
    return bill_key(scac, number) if number and scac and scac_readable(scac) else None
