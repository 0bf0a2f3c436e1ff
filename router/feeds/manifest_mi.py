"""CAMIR manifest input (ACR application MI) and its amendments (AI): the filings of a transmission.

A bill begins with a B01 below its issuer's J01. B02, B04, parties, in-bond data (I01) and containers (C01), each with
its cargo, follow. Of the parties only second notify parties are read, of the cargo nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final, NamedTuple

from router.errors import InputError
from router.feeds.bounded_input import OtherMessage
from router.feeds.camir_records import Gap, Transmission, field
from router.feeds.cbp_messages import iso_date, plain, upper, with_century
from router.feeds.manifest_layouts import CARGO_STEP, RECORDS, STEPS_MI
from router.feeds.manifests import (
    Box,
    DamagedBill,
    InDoubtError,
    ManifestResult,
    box_of,
    checked_boxes,
    imo_of,
    invalid,
    number_of,
    pieces_of,
    reference_of,
    scac_of,
    snp_of,
    unlading_of,
)
from router.model.identifiers import SCAC, is_valid_port
from router.model.inputs import Filing, Shipment
from router.model.vocabulary import DeclaredIn

DECLARED_IN: Final[Mapping[str, DeclaredIn]] = {"MI": "ORIGINAL", "AI": "AMENDMENT"}
"""By application (ACR 14-15)."""
ADDED: Final = "A"
"""A01 12 of a bill that an amendment adds. Others delete it (D) or replace its quantity (R)."""

_HEADERS: Final = ("M01", "P01", "J01")
_BELOW_M01: Final = frozenset({"M02", "B04"})
_ONCE: Final = frozenset({"B02", "I01"})

_ISSUER: Final = re.compile(SCAC)


class _Record(NamedTuple):
    position: int
    text: str
    kind: str
    values: dict[str, str]
    """In capitals and stripped."""
    fault: str | None


class _Bill(NamedTuple):
    headers: Mapping[str, _Record]
    added_by: _Record | None
    records: list[_Record]
    kinds: set[str]
    """Kinds of its records."""
    faults: list[str]


def read_transmission(
    transmission: Transmission, source: str, position: int, received_at: int, *, is_part: bool, accepted: bool
) -> Iterator[ManifestResult]:
    """The filings of a transmission. `source` is the place before a record's number, `position` the number of its ACR.

    A part (`is_part`) of one has no ZCR. Raises InputError before any filing if the transmission is damaged outside its
    bills, InDoubtError if only its trailer is wrong and nobody `accepted` it.
    """
    acr, *texts = [part for part in transmission.parts if isinstance(part, str)]
    zcr = texts.pop() if texts and texts[-1][:3] == "ZCR" else None
    if not accepted and zcr is None and not is_part:
        raise InDoubtError("it has no ZCR and may have been cut")
    if not accepted and zcr is not None and field(zcr, "ZCR", "records").lstrip("0") != str(len(texts)):
        raise InDoubtError(f"ZCR 35-39 is not the number of its records, {len(texts)}")
    if any(isinstance(part, Gap) for part in transmission.parts):
        raise InputError("it contains text that is no record")
    application = field(acr, "ACR", "application")
    for bill in _bills([_record(number, text) for number, text in enumerate(texts, position + 1)]):
        first = bill.records[0]
        try:
            if bill.faults:
                raise InputError(bill.faults[0])
            yield _filing(bill, application, f"{source}{first.position}", received_at)
        except InputError as error:
            above = [acr, *(one.text for one in bill.headers.values())]
            reason = f"{_bill_in(bill)}: {error.reason}; nothing was taken from it"
            yield DamagedBill(reason, first.position, [*above, *(one.text for one in bill.records)])


def _record(position: int, text: str) -> _Record:
    text = upper(text)
    kind = text[:3]
    values: dict[str, str] = {}
    if kind not in RECORDS:
        return _Record(position, text, kind, values, "there is no such record in a manifest")
    if kind != "J01" and _ISSUER.fullmatch(text[3:].rstrip()):
        return _Record(position, text, kind, values, "it may be a J01")
    for one in RECORDS[kind]:
        values[one.name] = text[one.place].strip()
        if not one.characters.fullmatch(text[one.place]):
            return _Record(position, text, kind, values, f"{one.label} is invalid")
    return _Record(position, text, kind, values, None)


def _bills(records: Sequence[_Record]) -> list[_Bill]:
    """The bills in order. Damage that may hide a J01 ends the issuer: the bills after it are damaged too."""
    bills: list[_Bill] = []
    headers: dict[str, _Record] = {}
    amended: _Record | None = None
    issuer_fault: str | None = None
    is_open = False
    for one in records:
        fault = one.fault and f"record {one.position}: {one.fault}"
        if one.kind in _HEADERS:
            if one.fault is not None:
                raise InputError(f"record {one.position}: {one.fault}")
            outer = _HEADERS[: _HEADERS.index(one.kind)]
            if any(name not in headers for name in outer):
                raise InputError(f"record {one.position}: {one.kind} does not belong here")
            headers = {name: headers[name] for name in outer} | {one.kind: one}
            amended, issuer_fault, is_open = None, None, False
        elif one.kind == "A01" and "J01" in headers:
            amended, is_open = one, False
        elif one.kind == "B01" and "J01" in headers:
            bills.append(_Bill(headers, amended, [one], {one.kind}, [text for text in (issuer_fault, fault) if text]))
            amended, is_open = None, True
            if fault is not None:
                issuer_fault = issuer_fault or fault  # it may be a J01
        elif is_open:
            fault = fault or _misplaced(bills[-1].kinds, one)
            bills[-1].records.append(one)
            bills[-1].kinds.add(one.kind)
            if fault is not None:
                bills[-1].faults.append(fault)
                if len(bills[-1].records) == 2 and len(bills) > 1:
                    bills[-2].faults.append(fault)  # it may be a container of the bill before
                if one.fault is not None and not one.values:
                    issuer_fault = fault  # it may be a J01
        elif not (one.kind in _BELOW_M01 and "M01" in headers and "P01" not in headers and fault is None):
            raise InputError(fault or f"record {one.position}: {one.kind} does not belong here")
    return bills


def _misplaced(before: Set[str], one: _Record) -> str | None:
    """The fault of a record's place after those of these kinds in its bill."""
    own, step = STEPS_MI.get(one.kind), max(STEPS_MI.get(kind, 0) for kind in before)
    is_first_cargo = own == CARGO_STEP > step and one.kind != "C01"
    is_second = one.kind in _ONCE and one.kind in before
    if own is None or own < step or is_first_cargo or is_second:
        return f"record {one.position}: {one.kind} does not belong here"
    return None


def _filing(bill: _Bill, application: str, source: str, received_at: int) -> Filing | OtherMessage:
    action = bill.added_by.values["action"] if bill.added_by is not None else ADDED
    if action != ADDED:
        return OtherMessage(f"CAMIR {application} {action}", source)
    b01, boxes, snps = bill.records[0].values, list[Box](), list[str]()
    references: dict[str, str] = {}
    destination: str | None = None
    for one in bill.records[1:]:
        values = one.values
        if one.kind == "B04" and values["qualifier"] == "SNP":
            snps.append(snp_of("B04 7-36", values["value"]))
        elif one.kind == "N00" and values["entity"] == "SNP":
            snps.append(snp_of("N00 42-60", f"{values['id_qualifier']}:{values['id']}"))
        elif one.kind == "B04" and values["qualifier"] in ("OB", "OL"):
            if references.setdefault(values["qualifier"], values["value"]) != values["value"]:
                raise InputError(f"there are two references {values['qualifier']}")
        elif one.kind == "I01":
            destination = _destination_of(values["destination"])
        elif one.kind == "C01" and (box := box_of("C01 4-17", values["container"], values["load_status"])):
            boxes.append(box)
    bill_type = b01["type"] or None
    return Filing(
        scac_of("J01 4-7", bill.headers["J01"].values["issuer"]),
        number_of("B01 4-15", b01["bill"]),
        bill_type,
        tuple(dict.fromkeys(snps)),
        _shipment(bill.headers, references, checked_boxes(boxes, bill_type), destination),
        pieces_of("B01 21-30", b01["quantity"]),
        received_at,
        source,
        DECLARED_IN[application] if bill.added_by is None else "AMENDMENT",
    )


def _destination_of(text: str) -> str | None:
    if not text.strip("0"):
        return None
    if not is_valid_port(text):
        raise invalid("I01 21-24", "port (Schedule D)")
    return text


def _shipment(
    headers: Mapping[str, _Record], references: Mapping[str, str], containers: tuple[str, ...], destination: str | None
) -> Shipment:
    m01, p01 = headers["M01"].values, headers["P01"].values
    arrival = iso_date(with_century(p01["arrival"][4:] + p01["arrival"][:4]))
    if p01["arrival"].strip("0") and arrival is None:
        raise invalid("P01 8-13", "date (MMDDYY)")
    return Shipment(
        carrier_scac=scac_of("M01 4-7", m01["carrier"]),
        imo_number=imo_of("M01 52-58", m01["imo"]),
        vessel_name=plain(m01["vessel"]),
        voyage_number=plain(m01["voyage"]),
        manifest_sequence_number=plain(m01["sequence"]),
        port_of_unlading=unlading_of("P01 4-7", p01["port"]),
        arrival_date=arrival,
        in_bond_destination=destination,
        master_bill=reference_of("B04 7-36", references["OB"]) if "OB" in references else None,
        original_bill=reference_of("B04 7-36", references["OL"]) if "OL" in references else None,
        container_numbers=containers,
    )


def _bill_in(bill: _Bill) -> str:
    """The bill's name for a person, if it can be told."""
    try:
        issuer, number = bill.headers["J01"].values["issuer"], bill.records[0].values["bill"]
        return f"bill {scac_of('', issuer)} {number_of('', number)}"
    except (KeyError, InputError):
        return "a bill"
