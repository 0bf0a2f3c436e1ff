"""One X12 350 event from its segments. Pure: the values of envelope and port are arguments.

An event is a loop: an X4 (a bill's) or V9 (a vessel's) segment, followed by K1, N9, N7 and VID segments in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from router.errors import InputError
from router.feeds.bounded_input import BillAndCode
from router.feeds.cbp_messages import (
    VALUE_CACHE,
    EventDetails,
    Transmission,
    iso_date,
    message_event,
    moment,
    not_found,
    plain,
    readable_bill,
    upper,
)
from router.model.identifiers import bill_key, container_clean, is_readable_bill_number, is_readable_scac
from router.model.inputs import Disposition, Shipment

SEGMENT_LIMIT: Final = 2_000
"""Characters of one segment. An X4 with all elements at full length has fewer."""

_X4_ELEMENTS: Final = 18
_V9_ELEMENTS: Final = 14
_M10_ELEMENTS: Final = 11
_P4_ELEMENTS: Final = 5


def voyage_of(m10: str, p4: str, element: str) -> tuple[Shipment, str | None]:
    """Vessel, manifest, port and FIRMS of the events below an M10 and a P4 segment; either may be empty.

    M1004 is an IMO number only under M1010 = L.
    """
    manifest, port = _elements(m10, element, _M10_ELEMENTS), _elements(p4, element, _P4_ELEMENTS)
    shipment = Shipment(
        carrier_scac=plain(manifest[1]),
        imo_number=plain(manifest[4]) if manifest[10] == "L" and manifest[4].strip("0") else None,
        vessel_name=plain(manifest[5]),
        voyage_number=plain(manifest[6]),
        manifest_sequence_number=plain(manifest[7]),
        port_of_unlading=plain(port[1]),
        arrival_date=iso_date(port[2]),
    )
    return shipment, plain(port[4])


def x12_bill_event(
    loop: Sequence[str], element: str, voyage: Shipment, transmission: Transmission, firms: str | None, source: str
) -> Disposition:
    """The event of an X4 loop. Raises InputError without readable bill, code and time, or with a wrong quantity."""
    x4 = _elements(_bounded(loop[0], element), element, _X4_ELEMENTS)
    number, scac = x4[1], x4[9]
    if not is_readable_bill_number(number):
        raise not_found("X401", number, "bill number")
    if not is_readable_scac(scac):
        raise not_found("X409", scac, "SCAC")
    details = _details(loop, element)
    references = details.references
    if x4[15]:
        references[x4[15]] = x4[16]
    if x4[8] and not references.get("OB") and is_readable_scac(x4[10]):  # older releases name the master here
        references["OB"] = bill_key(x4[10], x4[8])
    return message_event(
        x4[7],
        moment(x4[5], x4[6], x4[17]),
        details,
        voyage,
        transmission,
        source,
        scac=scac,
        number=number,
        quantity=x4[2],
        entry_type=x4[3],
        entry_number=x4[4],
        container=container_clean(x4[11] + x4[12]) if x4[12] else None,
        port=x4[13] or None,
        firms=x4[14] or firms,
    )


def x12_vessel_event(
    loop: Sequence[str], element: str, voyage: Shipment, transmission: Transmission, source: str
) -> Disposition:
    """The event of a V9 loop. Raises InputError without readable code and time."""
    v9 = _elements(_bounded(loop[0], element), element, _V9_ELEMENTS)
    remarks = [*filter(None, map(plain, (v9[2], v9[12]))), *_details(loop, element).remarks]
    details = EventDetails(remarks, [], [], {})
    return message_event(v9[1], moment(v9[3], v9[4], v9[13]), details, voyage, transmission, source)


def bill_of_x4(text: str, element: str, whole: bool = True) -> BillAndCode:
    """The bill and code of an unreadable X4. The last element of a text that is not `whole` may be cut."""
    x4 = upper(text[:SEGMENT_LIMIT]).split(element)
    x4 = [part.strip() for part in (x4 if whole and len(text) <= SEGMENT_LIMIT else x4[:-1])]
    x4 += [""] * (_X4_ELEMENTS - len(x4))
    return readable_bill(x4[9], x4[1], x4[7])


def _elements(text: str, element: str, count: int) -> list[str]:
    """At least `count` elements in upper case, the segment's name first."""
    parts = upper(text).split(element)
    if len(parts) < count:
        parts += [""] * (count - len(parts))
    return [part.strip() for part in parts] if " " in text or "\t" in text else parts


def _bounded(text: str, element: str) -> str:
    if len(text) > SEGMENT_LIMIT:
        name = text.partition(element)[0][:3]
        raise InputError(
            f"the {name} segment has more than {SEGMENT_LIMIT:,} characters; a segment terminator may be missing"
        )
    return text


def _details(loop: Sequence[str], element: str) -> EventDetails:
    remarks: list[str] = []
    containers: list[str] = []
    snps: list[str] = []
    references: dict[str, str] = {}
    for text in loop[1:]:
        name = text[:2]
        if len(text) > SEGMENT_LIMIT:
            _bounded(text, element)
        if name == "N9":
            qualifier, value = _reference(text, element)
            if qualifier == "SNP" and value:
                snps.append(value)
            elif value:
                references.setdefault(qualifier, value)
        elif name == "N7":
            containers.extend(_container(text.split(element)[1:]))
        elif name == "K1":
            remarks.extend(_remarks(text, element))
        elif name == "VI":
            containers.extend(_container(text.split(element)[2:4]))
    return EventDetails(remarks, containers, snps, references)


@lru_cache(VALUE_CACHE)
def _reference(text: str, element: str) -> tuple[str, str]:
    """N901 and N902."""
    parts = [*text.split(element)[1:3], "", ""]
    return plain(parts[0]) or "", plain(parts[1]) or ""


@lru_cache(VALUE_CACHE)
def _remarks(text: str, element: str) -> tuple[str, ...]:
    return tuple(filter(None, map(plain, text.split(element)[1:3])))


def _container(parts: list[str]) -> tuple[str, ...]:
    """The container of N701, N702 and the check digit in N718 if it is separate, or of VID02 and VID03."""
    if len(parts) < 2:
        return ()
    serial = parts[1]
    if len(parts) > 17 and len(serial.strip()) == 6:
        serial = serial.strip() + parts[17].strip()
    container = container_clean(parts[0] + serial)
    return (container,) if container else ()
