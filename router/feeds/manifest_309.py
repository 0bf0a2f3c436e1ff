"""X12 309 ocean, "Customs Manifest": the filings of a set (releases 004010 and 006050).

A bill is a loop: an LX segment, M13 (an amendment's reason), M11 (the bill), N9 references, parties, M12 (in-bond) and
its containers (VID), each with its cargo. Of the parties and the cargo nothing is read.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence, Set
from typing import Final, NamedTuple

from router.errors import InputError
from router.feeds.bounded_input import BLANKS, OtherMessage
from router.feeds.cbp_messages import PADDING, iso_date, plain, upper, with_century
from router.feeds.manifest_layouts import CARGO_STEP, SEGMENTS, STEPS_309
from router.feeds.manifests import (
    Box,
    DamagedBill,
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
from router.model.identifiers import is_valid_port
from router.model.inputs import Filing, Shipment
from router.model.vocabulary import DeclaredIn

SET: Final = "309"
DECLARED_IN: Final[Mapping[str, DeclaredIn]] = {"W": "ORIGINAL", "X": "AMENDMENT", "Y": "AMENDMENT", "V": "AMENDMENT"}
"""By M1009 (element 256): the original manifest of a carrier to CBP, its update before arrival, its amendment, and the
amendment that CBP required. Others are exports, copies for a port, and CBP's own."""
ADDED: Final = "A"
"""M1303 (element 580) of a bill that an amendment adds. Others delete it or replace its quantity."""

VERSIONS: Final = ("004010", "007040")
"""The earliest and the latest release (GS08) whose layout was read."""

_BEFORE_PORTS: Final = frozenset({"N9", "VEH", "M7", "CII", "NM1", "DMG", "DMA", "REF", "N3", "N4"})
_FIRST_OF_STEP: Final = {4: "N1", 5: "M12", CARGO_STEP: "VID"}
_ALSO_BELOW_CARGO: Final = frozenset({"N1", "N3", "N4", "PER"})
_ONCE: Final = frozenset({"M13", "M11", "M12"})


class _Segment(NamedTuple):
    position: int
    text: str
    name: str
    values: list[str]
    """The name and the elements, in capitals and stripped; filled up to the longest segment."""


_LONGEST: Final = 1 + max(map(len, SEGMENTS.values()))


def fault_of(text: str, element: str) -> str | None:
    """The first fault of a segment against its layout, in words that quote nothing; None if it has none."""
    name, *values = _elements(text, element)
    layout = SEGMENTS.get(name)
    if layout is None:
        return "there is no such segment in a 309"
    if len(values) > len(layout):
        return f"the {name} segment has {len(values)} elements, more than {len(layout)}"
    for number, (value, one) in enumerate(zip(values, layout, strict=False), 1):
        if (value and not one.shape.fullmatch(value)) or (one.is_needed and not value):
            return f"{name}{number:02} is invalid or missing"
    missing = next((number for number, one in enumerate(layout, 1) if one.is_needed and number > len(values)), None)
    return f"{name}{missing:02} is missing" if missing is not None else None


def _elements(text: str, element: str) -> list[str]:
    return [value.strip(PADDING) for value in upper(text.lstrip(BLANKS)).split(element)]


def version_faults(gs: str, element: str) -> list[str]:
    """The fault of an unknown version (GS08); none without a GS."""
    version = "".join(gs.split(element)[8:9]).strip()[:6]
    if not gs or (version.isdigit() and VERSIONS[0] <= version <= VERSIONS[1]):
        return []
    return [f"GS08 is no release from {VERSIONS[0]} to {VERSIONS[1]}, those whose manifests are known"]


def read_set(
    texts: Sequence[str], element: str, source: str, received_at: int, extra_segments: Container[str] = ()
) -> Iterator[ManifestResult]:
    """The filings of a whole set, ST and SE included. `source` is the place before a segment's number.

    Raises InputError before any filing if the set is damaged outside its bills.
    """
    reader = _SetReader(element, source, received_at)
    loops = reader.loops([text for text in texts if text.partition(element)[0].strip() not in extra_segments])
    kind = reader.manifest_type
    if kind and kind not in DECLARED_IN:
        yield OtherMessage(f"{SET} of type {kind}", f"{source}1")
        return
    for loop in loops:
        yield reader.read(loop)


class _Loop(NamedTuple):
    port: _Segment
    segments: list[_Segment]
    names: set[str]
    """Names of its segments."""
    fault: str | None = None
    """The first one. An unknown segment may be an LX that lost its name, so that what follows is another bill's."""

    def with_segment(self, one: _Segment, fault: str | None) -> _Loop:
        self.segments.append(one)
        self.names.add(one.name)
        return self if fault is None else self.with_fault(one, fault)

    def with_fault(self, one: _Segment, fault: str) -> _Loop:
        return self if self.fault is not None else self._replace(fault=f"segment {one.position}: {fault}")


class _SetReader:
    def __init__(self, element: str, source: str, received_at: int) -> None:
        self._element, self._source, self._received_at = element, source, received_at
        self._m10: _Segment | None = None
        self.manifest_type = ""

    def loops(self, texts: Sequence[str]) -> list[_Loop]:
        """The bills' loops. Raises InputError for damage outside them, and for that which may hide where one begins."""
        loops: list[_Loop] = []
        port: _Segment | None = None
        is_open = False
        for position, text in enumerate(texts, 1):
            name, *_ = values = _elements(text, self._element)
            values.extend((_LONGEST - len(values)) * [""])
            one, fault = _Segment(position, text, name, values), fault_of(text, self._element)
            if is_open and ((name in STEPS_309 and name != "LX") or name not in SEGMENTS):
                fault = fault or _misplaced(loops[-1].names, one)
                loops[-1] = loops[-1].with_segment(one, fault)
                if fault is not None and len(loops) > 1 and "M11" not in loops[-1].names:
                    loops[-2] = loops[-2].with_fault(one, fault)  # it may be a container of the bill before
            elif fault is not None:
                raise InputError(f"segment {position}: {fault}")
            elif name == "LX" and port is not None:
                loops.append(_Loop(port, [one], {name}))
                is_open = True
            elif name == "P4" and self._m10 is not None:
                self._check_port(one)
                port, is_open = one, False
            elif name == "M10" and self._m10 is None and position == 2:
                self._m10, self.manifest_type = one, one.values[9]
            elif not (
                (name == "ST" and position == 1)
                or (name == "SE" and position == len(texts))
                or (name in _BEFORE_PORTS and self._m10 is not None and port is None)
            ):
                raise InputError(f"segment {position}: {name} does not belong here")
        if self._m10 is None:
            raise InputError("there is no M10")
        return loops

    def _check_port(self, p4: _Segment) -> None:
        unlading_of("P401", p4.values[1])
        if iso_date(with_century(p4.values[2])) is None:
            raise InputError(f"segment {p4.position}: P402 is not a date")

    def read(self, loop: _Loop) -> ManifestResult:
        first = loop.segments[0]
        try:
            if loop.fault is not None:
                raise InputError(loop.fault)
            return self._filing(loop)
        except InputError as error:
            assert self._m10 is not None
            texts = [self._m10.text, loop.port.text, *(one.text for one in loop.segments)]
            return DamagedBill(f"{_bill_in(loop)}: {error.reason}; nothing was taken from it", first.position, texts)

    def _filing(self, loop: _Loop) -> Filing | OtherMessage:
        named = {one.name: one.values for one in loop.segments if one.name in _ONCE}
        m13, m11 = named.get("M13"), named.get("M11")
        source = f"{self._source}{loop.segments[0].position}"
        if m13 is not None and (m11 is None or m13[3] not in ("", ADDED)):
            return OtherMessage(f"{SET} amendment {m13[3]}".rstrip(), source)
        if m11 is None:
            raise InputError("there is no M11")
        bill_type = m11[9] or None
        boxes, snps, references = self._details(loop.segments)
        return Filing(
            scac_of("M1112", m11[12]),
            number_of("M1101", m11[1]),
            bill_type,
            tuple(dict.fromkeys(snps)),
            self._shipment(loop, references, checked_boxes(boxes, bill_type), named.get("M12")),
            pieces_of("M1103", m11[3]),
            self._received_at,
            source,
            DECLARED_IN.get(self.manifest_type, "AMENDMENT") if m13 is None else "AMENDMENT",
        )

    def _details(self, segments: Sequence[_Segment]) -> tuple[list[Box], list[str], dict[str, str]]:
        boxes: list[Box] = []
        snps: list[str] = []
        references: dict[str, str] = {}
        for one in segments:
            values = one.values
            if one.name == "N9" and values[1] == "SNP":
                snps.append(snp_of("N902", values[2]))
            elif one.name == "N9" and values[1] in ("OB", "OL"):
                if references.setdefault(values[1], values[2]) != values[2]:
                    raise InputError(f"there are two references {values[1]}")
            elif one.name == "VID" and (box := box_of("VID02 and VID03", values[2] + values[3], values[10])):
                boxes.append(box)
        return boxes, snps, references

    def _shipment(
        self, loop: _Loop, references: Mapping[str, str], containers: tuple[str, ...], m12: Sequence[str] | None
    ) -> Shipment:
        assert self._m10 is not None
        m10, p4 = self._m10.values, loop.port.values
        destination = m12[3] if m12 is not None and m12[3] else None
        if destination is not None and not is_valid_port(destination):
            raise invalid("M1203", "port (Schedule D)")
        return Shipment(
            carrier_scac=scac_of("M1001", m10[1]),
            imo_number=imo_of("M1004", m10[4]) if m10[10] == "L" else None,
            vessel_name=plain(m10[5]),
            voyage_number=plain(m10[6]),
            manifest_sequence_number=plain(m10[7]),
            port_of_unlading=p4[1],
            arrival_date=iso_date(with_century(p4[2])),
            in_bond_destination=destination,
            master_bill=reference_of("N902", references["OB"]) if "OB" in references else None,
            original_bill=reference_of("N902", references["OL"]) if "OL" in references else None,
            container_numbers=containers,
        )


def _misplaced(before: Set[str], one: _Segment) -> str | None:
    """The fault of a segment's place after those of these names in its loop."""
    if one.name in _ONCE and one.name in before:
        return f"there is a second {one.name}"
    step = max(STEPS_309.get(name, 0) for name in before)
    if step == CARGO_STEP and one.name in _ALSO_BELOW_CARGO:
        return None
    own = STEPS_309[one.name]
    needs = _FIRST_OF_STEP.get(own)
    if own < step or (own > step and needs is not None and one.name != needs):
        return f"{one.name} does not belong here"
    return "there is no M11 before it" if own > 2 and "M11" not in before else None


def _bill_in(loop: _Loop) -> str:
    """The bill's name for a person, if it can be told."""
    m11 = next((one for one in loop.segments if one.name == "M11"), None)
    try:
        assert m11 is not None
        return f"bill {scac_of('', m11.values[12])} {number_of('', m11.values[1])}"
    except (AssertionError, InputError):
        return "a bill"
