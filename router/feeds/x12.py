"""X12 350 ocean, "Customs Status Information": a stream of the events of every interchange.

Readable events are delivered even if input around them is wrong. A dead letter holds each unreadable event, each
transaction set of another kind, and each interchange with wrong counts or missing trailers. An event is a loop: an X4
(a bill's) or V9 (a vessel's) segment, followed by K1, N9, N7 and VID segments in any order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from router.decide.rules import Rules
from router.errors import InputError
from router.feeds.bounded_input import BLANKS, ENCODING, EVENT_LIMIT, NO_BILL, BillAndCode, Note, ReadResult
from router.feeds.cbp_messages import (
    VALUE_CACHE,
    EventDetails,
    MessageReader,
    iso_date,
    moment_or_none,
    plain,
    posted_time,
    readable_bill,
    upper,
    with_century,
)
from router.feeds.x12_segments import LEVEL_OF_TRAILER, Delimiters, Envelopes, InterchangeStart, X12Token, read_segments
from router.model.identifiers import bill_key, container_clean, is_readable_scac
from router.model.inputs import Disposition, Shipment

X12: Final = "x12"
HEADER_LIMIT: Final = 500
"""Characters of a header segment, which each dead letter below it repeats. X12's longest has about 200."""
SEGMENT_LIMIT: Final = 2_000
"""Characters of a segment of an event. An X4 with all elements at full length has fewer."""

_NO_ELEMENTS: Final = 19 * ("",)
"""The elements of an X4, the longest segment that is read."""
_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_LIMITED: Final = ("GS", "ST", "M10", "P4", "BA1", *LEVEL_OF_TRAILER)
_DETAILS: Final = ("K1", "N9", "N7", "VID")


def read_x12(
    chunks: Iterable[bytes],
    source: str,
    received_at: int,
    *,
    rules: Rules | None = None,
    note: Note | None = None,
    fragment: bool = False,
    accepted: bool = False,
) -> Iterator[ReadResult]:
    """The events in the order of the file, in constant memory. Never raises because of the bytes.

    A `fragment` is the content of a dead letter: events below their headers, without trailers.
    """
    return _X12Reader(source, received_at, rules, fragment, accepted).results(read_segments(chunks))


class _X12Reader(MessageReader[X12Token]):
    format_name = X12
    scac_place, number_place = "X409", "X401"

    def __init__(self, source: str, received_at: int, rules: Rules | None, fragment: bool, accepted: bool) -> None:
        super().__init__(source, received_at, rules, fragment, accepted)
        self._envelopes = Envelopes()
        self._m10 = self._p4 = ""
        self._begin_interchange(InterchangeStart(Delimiters(), ""))

    def _read(self, part: X12Token) -> None:
        if isinstance(part, list):
            self._read_segments(part)
        elif isinstance(part, InterchangeStart):
            self._end_message()
            self._begin_interchange(part)
        elif isinstance(part, str) and part.partition(self._delimiters.element)[0] in LEVEL_OF_TRAILER:
            self._position += 1
            self._read_segment(part)
        elif isinstance(part, str):  # of any other segment, a SCAC or quantity may be cut in half
            self._position += 1
            self._end_loop()
            reason = "the file ends within this segment and may have been cut; feed in the whole file"
            self._reject(self._with_headers(part), reason, self._bill_of(part, whole=False))
        elif part.inside:
            self._position += 1
            self._end_loop()
            self._reject(part.content, part.reason, self._bill_of(part.content.head.decode(ENCODING), whole=False))
        else:
            self._end_message()
            self._reject(part.content, part.reason, place=self._source)

    def _read_segments(self, texts: list[str]) -> None:
        """The hot path: nearly every segment is a bill event or a detail of one."""
        element = self._delimiters.element
        head, details = "X4" + element, frozenset(name + element for name in ("K1", "N9", "N7"))
        loop, position = self._loop, self._position
        for text in texts:
            position += 1
            tag = text[:3]
            if tag in details and loop:
                loop.append(text)
            elif tag == head and self._set_aside is None:
                self._end_loop()
                loop = self._loop = [text]
                self._loop_position = self._position = position
            else:
                self._position = position
                self._read_segment(text.strip(BLANKS))
                loop, position = self._loop, self._position
        self._position = position
        if sum(map(len, loop)) > EVENT_LIMIT:
            self._shorten_loop()

    def _read_segment(self, text: str) -> None:
        """Read any segment. A well-formed one with an unknown name is skipped."""
        name = text.partition(self._delimiters.element)[0].strip()
        if len(text) > HEADER_LIMIT and name in _LIMITED:
            reason = f"the {name} segment has more than {HEADER_LIMIT} characters; a segment terminator may be missing"
            self._reject(self._with_headers(text), reason)
            text = text[:HEADER_LIMIT]
        parts = [part.strip() for part in text.split(self._delimiters.element)]
        if name in ("GS", "ST"):
            self._read_header(name, text, parts)
        elif name in LEVEL_OF_TRAILER:
            self._read_trailer(name, text, parts)
        elif self._set_aside is not None:
            self._set_aside.add(self._encoded([text]))
        elif name in ("X4", "V9"):
            self._begin_loop(text)
        elif name in _DETAILS:
            if self._loop:
                self._loop.append(text)
        elif name in ("M10", "P4"):
            self._end_loop()
            self._m10, self._p4 = (text, "") if name == "M10" else (self._m10, text)
            self._voyage, self._firms = _voyage_of(self._m10, self._p4, self._delimiters.element)
        elif name == "BA1":
            reason = "BA1 makes it an export set, and only imports are routed"
            self._put_aside(reason, [*self._envelopes.headers, self._m10, text])
        elif not text:
            self._position -= 1
        elif not _NAME.fullmatch(name):
            reason = "this is not an X12 segment: it does not begin with a segment name"
            self._reject(self._with_headers(text), reason)

    def _begin_interchange(self, start: InterchangeStart) -> None:
        self._delimiters, self._isa = start
        isa = [part.strip() for part in self._isa.split(self._delimiters.element)] if self._isa else [""] * 17
        self._transmitted_at, self._is_test = moment_or_none(with_century(isa[9]), isa[10]), isa[15].upper() == "T"
        self._position, self._interchange_place = 0, self._source
        if self._isa:
            self._position, self._interchange_place = 1, f"{self._source}:interchange {isa[13]}"
            self._envelopes.open(self._isa, isa)
        self._leave_set()

    def _read_header(self, name: str, text: str, parts: list[str]) -> None:
        self._leave_set()
        self._envelopes.open(text, parts)
        kind = parts[1] if len(parts) > 1 else ""
        if name == "ST":
            self._position = 1
            self._find_place()
            if kind != "350":
                reason = f"ST01 is {kind!r}, and only 350 (customs status information) is read"
                self._put_aside(reason, self._envelopes.headers)
        elif kind.upper() not in ("SO", "AU"):
            self._envelopes.fault(f"GS01 is {kind!r}, neither SO nor AU", text)

    def _read_trailer(self, name: str, text: str, parts: list[str]) -> None:
        if self._set_aside is not None and name == "SE":
            self._set_aside.add(self._encoded([text]))
        self._leave_set()
        self._envelopes.close(text, parts, self._position)
        self._find_place()
        if name == "IEA":
            self._end_message()

    def _end_message(self) -> None:
        """End the interchange. Adds a dead letter if it has faults."""
        self._leave_set()
        if faults := self._envelopes.end_interchange():
            segments = dict.fromkeys([self._isa, *(text for _, text in faults)])
            self._reject_message("; ".join(fault for fault, _ in faults), segments, self._interchange_place)

    def _leave_set(self) -> None:
        """End the loop and the set. No port or manifest applies to the next segment."""
        self._end_loop()
        self._end_aside()
        self._m10 = self._p4 = ""
        self._voyage, self._firms = _voyage_of("", "", "*")
        self._find_place()

    def _find_place(self) -> None:
        self._place_prefix = ":".join(filter(None, (self._source, self._envelopes.place, "segment ")))

    def _event_of(self, loop: list[str], source: str) -> Disposition:
        element = self._delimiters.element
        remarks, containers, snps, references = _details(loop, element)
        if loop[0][:2] != "X4":
            v9 = _elements(loop[0], element)
            remarks = [*filter(None, map(plain, (v9[2], v9[12]))), *remarks]
            posted = posted_time(v9[3], v9[4], v9[13])
            if posted.unknown_zone is not None:
                raise InputError(f"V913 {posted.unknown_zone!r} tells no offset, so the posted time is unknown")
            return self._event(v9[1], posted, (remarks, [], [], {}), source)
        x4 = _elements(loop[0], element)
        if x4[15]:
            references[x4[15]] = x4[16]
        if x4[8] and not references.get("OB") and is_readable_scac(x4[10]):  # older releases name the master here
            references["OB"] = bill_key(x4[10], x4[8])
        return self._event(
            x4[7],
            posted_time(x4[5], x4[6], x4[17]),
            (remarks, containers, snps, references),
            source,
            scac=x4[9],
            number=x4[1],
            quantity=x4[2],
            entry_type=x4[3],
            entry_number=x4[4],
            container=container_clean(x4[11] + x4[12]) if x4[12] else None,
            port=x4[13] or None,
            firms=x4[14] or self._firms,
            destination=x4[18] or None,
        )

    def _bill_of(self, text: str, *, whole: bool = True) -> BillAndCode:
        """The last element of a text that is not `whole` may be cut."""
        x4 = upper(text[:SEGMENT_LIMIT]).split(self._delimiters.element)
        x4 = [part.strip() for part in (x4 if whole and len(text) <= SEGMENT_LIMIT else x4[:-1])]
        x4.extend(_NO_ELEMENTS[len(x4) :])
        return readable_bill(x4[9], x4[1], x4[7]) if text[:2] == "X4" else NO_BILL

    def _headers(self) -> list[str]:
        return [*self._envelopes.headers, self._m10, self._p4]

    def _encoded(self, texts: Iterable[str]) -> bytes:
        return "".join(text + self._delimiters.terminator for text in texts if text).encode(ENCODING)


def _voyage_of(m10: str, p4: str, element: str) -> tuple[Shipment, str | None]:
    """Vessel, manifest, port and FIRMS of the events below an M10 and a P4 segment; either may be empty.

    M1004 is an IMO number only under M1010 = L.
    """
    manifest, port = _elements(m10, element), _elements(p4, element)
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


def _elements(text: str, element: str) -> list[str]:
    """The elements in upper case, the segment's name first, filled up with empty ones."""
    parts = upper(text).split(element)
    if len(parts) < len(_NO_ELEMENTS):
        parts.extend(_NO_ELEMENTS[len(parts) :])
    return [part.strip() for part in parts] if " " in text or "\t" in text else parts


def _details(loop: Sequence[str], element: str) -> EventDetails:
    remarks: list[str] = []
    containers: list[str] = []
    snps: list[str] = []
    references: dict[str, str] = {}
    for text in loop:
        name = text[:2]
        if len(text) > SEGMENT_LIMIT:
            fault = f"the {text.partition(element)[0][:3]} segment has more than {SEGMENT_LIMIT:,} characters"
            raise InputError(f"{fault}; a segment terminator may be missing")
        if name == "N9":
            qualifier, value = _reference(text, element)
            if qualifier == "SNP" and value:
                snps.append(value)
            elif value:
                references.setdefault(qualifier, value)
        elif name in ("N7", "VI"):
            parts = text.split(element)
            if container := _container(parts[1:] if name == "N7" else parts[2:4]):
                containers.append(container)
        elif name == "K1":
            remarks.extend(_remarks(text, element))
    return remarks, containers, snps, references


@lru_cache(VALUE_CACHE)
def _reference(text: str, element: str) -> tuple[str, str]:
    """N901 and N902."""
    parts = [*text.split(element)[1:3], "", ""]
    return plain(parts[0]) or "", plain(parts[1]) or ""


@lru_cache(VALUE_CACHE)
def _remarks(text: str, element: str) -> tuple[str, ...]:
    return tuple(filter(None, map(plain, text.split(element)[1:3])))


def _container(parts: list[str]) -> str | None:
    """The container of N701, N702 and the check digit in N718 if it is separate, or of VID02 and VID03."""
    if len(parts) < 2:
        return None
    serial = parts[1]
    if len(parts) > 17 and len(serial.strip()) == 6:
        serial = serial.strip() + parts[17].strip()
    return container_clean(parts[0] + serial)
