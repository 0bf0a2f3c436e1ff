"""From the records of one CAMIR event to a Disposition. Pure: what it needs of the frame is handed in.

An event is a *loop*: an R02 with its continuation, or an R06, and the B04, R03 and R05 records that follow
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from router.errors import InputError
from router.feeds.camir_layout import LAYOUT, field
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
    with_century,
)
from router.feeds.surroundings import Details
from router.model.identifiers import container_clean
from router.model.inputs import Disposition, Shipment

_CACHE = 8_192


class Frame(NamedTuple):
    """What an event takes from its transmission."""

    received_at: int
    transmitted_at: int | None


def surroundings(m01: str, r01: str) -> Shipment:
    """What can be read of an M01 and an R01; either may be empty. The port's record has the word where both speak."""

    def either(name: str) -> str | None:
        return plain(field(r01, "R01", name)) or plain(field(m01, "M01", name))

    imo = field(m01, "M01", "imo")
    return Shipment(
        carrier_scac=either("carrier"),
        imo_number=imo if imo.strip("0") else None,
        vessel_name=either("vessel"),
        voyage_number=either("voyage"),
        manifest_sequence_number=either("sequence"),
        port_of_unlading=plain(field(r01, "R01", "port")),
        arrival_date=iso_date(with_century(field(r01, "R01", "arrival"))),
    )


def bill_event(loop: Sequence[str], issuer: str, around: Shipment, frame: Frame, source: str) -> Disposition:
    """The event of an R02. Raises InputError if it has no issuer, bill, code or time that can be read, a
    wrong quantity, or if the continuation it announces isn't there: without it nobody knows whether it is
    about one container."""
    r02 = _fields(loop[0], "R02")
    if not scac_readable(issuer):
        raise InputError(absent("J01", issuer, "the bill's issuer"))
    if not bill_readable(r02["bill"]):
        raise InputError(absent("R02 4-15", r02["bill"], "a bill number"))
    continued = r02["continued"] == "1"
    if continued and not (len(loop) > 1 and loop[1].startswith("R02")):
        raise InputError("the R02 announces a continuation record (position 68), but none follows")
    more = _fields(loop[1] if continued else "", "continuation")
    details = _details(loop[2:] if continued else loop[1:])
    if more["reference"]:
        details.references[more["qualifier"]] = more["reference"]
    own = container_clean(more["container"])
    named = tuple(dict.fromkeys(details.containers))
    quantity, negative = quantity_of(r02["quantity"])
    entry_type, entry_number = entry_of(r02["entry_type"], r02["entry_number"] or details.references.get("IB", ""))
    return Disposition(
        issuer,
        r02["bill"],
        code_of(r02["code"]),
        moment(with_century(r02["date"]), r02["time"]),
        quantity,
        entry_type,
        entry_number,
        () if own is None else (own,),
        more["port"] or None,
        more["firms"] or None,
        negative or r02["reversal"] == "N",
        r02["resent"] == "Y",
        remarks_of(details.remarks),
        tuple(dict.fromkeys(details.snps)),
        around._replace(
            master_bill=bill_reference(details.references.get("OB", "")),
            original_bill=bill_reference(details.references.get("OL", "")),
            container_numbers=named if own is None else other_containers(own, named),
        ),
        frame.received_at,
        source,
        frame.transmitted_at,
    )


def vessel_event(loop: Sequence[str], around: Shipment, frame: Frame, source: str) -> Disposition:
    """The event of an R06: no bill. Raises InputError if its code or time can't be read."""
    r06 = _fields(loop[0], "R06")
    return Disposition(
        scac=None,
        bill_of_lading=None,
        disposition_code=code_of(r06["code"]),
        action_at=moment(with_century(r06["date"]), r06["time"]),
        remarks=remarks_of(_details(loop[1:]).remarks),
        shipment=around,
        received_at=frame.received_at,
        source=source,
        transmitted_at=frame.transmitted_at,
    )


def readable_bill(r02: str, issuer: str) -> Bill:
    """As much of issuer, number and code as an R02 that can't be read in full still says. Issuer and number
    come together or not at all."""
    number, code = field(r02, "R02", "bill"), field(r02, "R02", "code")
    try:
        known: str | None = code_of(code)
    except InputError:
        known = None
    return (issuer, number, known) if bill_readable(number) and scac_readable(issuer) else (None, None, known)


def _fields(record: str, kind: str) -> dict[str, str]:
    record = upper(record)
    return {name: record[place].strip() for name, place in LAYOUT[kind].items()}


def _details(records: Sequence[str]) -> Details:
    details = Details([], [], [], {})
    for record in records:
        name = record[:3]
        if name == "B04":
            qualifier, value = _reference(record)
            if qualifier == "SNP" and value:
                details.snps.append(value)
            elif value:
                details.references.setdefault(qualifier, value)
        elif name == "R03":
            details.remarks.append(record[LAYOUT["R03"]["remark"]])
        elif name == "R05" and (container := container_clean(field(record, "R05", "container"))):
            details.containers.append(container)
    return details


@lru_cache(_CACHE)
def _reference(record: str) -> tuple[str, str]:
    return plain(field(record, "B04", "qualifier")) or "", plain(field(record, "B04", "value")) or ""
