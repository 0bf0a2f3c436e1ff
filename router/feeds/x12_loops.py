"""Loops of a 350's set: from its segments to events, each an X4 (a bill's) or V9 (a vessel's) with its details.

A damaged segment ends the loop before it, and gets a dead letter for each bill that it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from router.errors import InputError
from router.feeds.bounded_input import ENCODING, EVENT_LIMIT, NO_BILL, ReadableBill, ReadOptions
from router.feeds.cbp_messages import (
    PADDING,
    VALUE_CACHE,
    EventDetails,
    MessageReader,
    iso_date,
    plain,
    posted_time,
    readable_bill,
    upper,
)
from router.feeds.x12_interchanges import USUAL, Delimiters
from router.feeds.x12_segments import SEGMENTS, fault_of
from router.model.identifiers import bill_key, container_clean, is_readable_scac, is_valid_container, is_valid_scac
from router.model.inputs import Disposition, Shipment

_NO_ELEMENTS: Final = 21 * ("",)
"""The elements of an X4, the longest segment that is read."""
_ISSUER: Final = 9
"""The bill's issuer, the last element of an X4 that is required."""
_EVENT_BEGINS: Final = ("X4", "V9")


class NamedBill(NamedTuple):
    """A bill that a damaged segment names."""

    text: str
    """The part of the segment to keep for it, which is as damaged by itself."""
    bill: ReadableBill


class LoopReader(MessageReader):
    """Reader of the segments of one set after another, below headers that a subclass keeps."""

    scac_place, number_place = "X409", "X401"

    def __init__(self, source: str, received_at: int, options: ReadOptions) -> None:
        super().__init__(source, received_at, options)
        self._delimiters = USUAL
        self._isa = self._gs = self._st = self._m10 = self._p4 = ""
        self._takes_headers = self._references_lead = True
        self._detail_tags: frozenset[str] = frozenset()
        """Beginnings of the segments that join an X4's loop; none if no detail is taken."""
        self._damaged = self._fault = ""
        """The latest damaged segment that began a loop, and its fault."""
        self._leading: list[str] = []
        """References before the only X4 of a port."""
        self._bills_of_port = 0

    def _begin_port(self) -> None:
        self._leading, self._bills_of_port = [], 0
        self._voyage, self._firms = _voyage_of(self._m10, self._p4, self._delimiters.element)

    def _end_port(self) -> None:
        """End the loop. References before the port's only X4 belong to it."""
        if self._loop:
            self._loop[1:1] = self._leading
        self._leading = []
        self._end_loop()

    def _read_segments(self, texts: list[str]) -> None:
        """The hot path: whole segments, nearly all of them a bill event or a detail of one."""
        element = self._delimiters.element
        head, details = None if self._references_lead else "X4" + element, self._detail_tags
        loop, position = self._loop, self._position
        for text in texts:
            position += 1
            tag = text[:3]
            if tag in details and loop:
                loop.append(text)
            elif tag == head:
                self._end_loop()
                loop = self._loop = [text]
                self._loop_position = self._position = position
            else:
                self._position = position
                self._read_segment(text)
                loop = self._loop
        self._position = position
        if sum(map(len, loop)) > EVENT_LIMIT:
            self._shorten_loop()

    def _read_segment(self, text: str) -> None:
        """Read any whole segment."""
        name = text.partition(self._delimiters.element)[0]
        if name in _EVENT_BEGINS:
            if self._bills_of_port:
                self._leading = []  # of several bills nobody can tell which one is meant
            self._bills_of_port += name == "X4"
            self._begin_loop(text)
        elif name in ("M10", "P4"):
            self._end_port()
            if self._takes_headers:
                self._m10, self._p4 = (text, "") if name == "M10" else (self._m10, text)
            self._begin_port()
        elif name in ("N9", "K1") and self._references_lead and not self._bills_of_port:
            if self._detail_tags and (name == "N9" or self._leading):
                self._leading.append(text)
        elif name == "VID" and self._loop and self._detail_tags:
            self._loop.append(text)

    def _read_damaged(self, text: str, fault: str, bills: list[NamedBill]) -> None:
        """End the loop before a damaged segment, whose own bills get its dead letters."""
        self._position += 1
        name = text.partition(self._delimiters.element)[0]
        before = self._uncertain
        if name not in _EVENT_BEGINS and (bills or not self._accepted):
            may_be_cut = len(self._loop) == 1 and self._loop[0].count(self._delimiters.element) <= _ISSUER
            self._uncertain = "BILL" if may_be_cut else "MESSAGE"
        self._end_port()
        self._uncertain = before
        if name == "P4" or (name not in SEGMENTS and not bills):  # it may have been a port's
            self._p4 = ""
            self._begin_port()
        elif name == "M10":
            self._m10 = self._p4 = ""
            self._begin_port()
        for one in bills[:-1]:
            self._reject(self._with_headers(one.text), fault, one.bill)
        if bills or self._fragment:
            self._damaged, self._fault = bills[-1].text if bills else text, fault
            self._begin_loop(self._damaged)

    def _event_of(self, loop: list[str], source: str) -> Disposition:
        if loop[0] is self._damaged:
            raise InputError(self._fault)
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
        container = container_clean(x4[11] + x4[12]) if x4[12] else None
        event = self._event(
            x4[7],
            posted_time(x4[5], x4[6], x4[17]),
            (remarks, containers, snps, references),
            source,
            scac=x4[9],
            number=_number(loop[0], element) if " " in loop[0] or "\t" in loop[0] else x4[1],
            quantity=x4[2],
            entry_type=x4[3],
            entry_number=x4[4],
            container=container,
            port=x4[13] or None,
            firms=x4[14] or self._firms,
            destination=x4[18] or None,
            indicator=x4[20] or None,
        )
        is_plain = container is None and not x4[3] and not x4[4]
        if is_plain or _fits(x4, container, references):
            return event
        return event._replace(uncertain=event.uncertain or "MESSAGE")

    def _bills_within(self, text: str) -> list[NamedBill]:
        """The bills of a damaged segment: at its own places if it is an X4, or nobody knows, and of each X4 in it."""
        name, *rest = (upper(part).strip() for part in text.split(self._delimiters.element))
        found = []
        starts = [match.start() for match in _swallowed_pattern(self._delimiters).finditer(text, 1)]
        if name == "X4" or name not in SEGMENTS or fault_of(["X4", *rest]) is None:
            own = self._bill_at_x4_places(text[: starts[0]] if starts else text)
            if own.scac is not None:
                found.append(NamedBill(text, own))
        for start, end in pairwise([*starts, len(text)]):
            bill = self._bill_at_x4_places(text[start:end])
            if bill.scac is not None:
                before = len(text[:start].rstrip()) - 1  # without it the X4 would be whole
                found.append(NamedBill(text[before if found else 0 : end], bill))
        return found

    def _bill_at_x4_places(self, text: str) -> ReadableBill:
        x4 = [part.strip() for part in upper(text).split(self._delimiters.element)]
        x4.extend(_NO_ELEMENTS[len(x4) :])
        if not is_valid_scac(x4[9]):
            return NO_BILL
        return readable_bill(x4[9], _number(text, self._delimiters.element), x4[7])

    def _bill_of(self, text: str, *, whole: bool = True) -> ReadableBill:
        """The last element of a text that is not `whole` may be cut."""
        if not whole:
            text = text.rpartition(self._delimiters.element)[0]
        bills = self._bills_within(text)
        return bills[0].bill if bills else NO_BILL

    def _headers(self) -> list[str]:
        return [self._isa, self._gs, self._st, self._m10, self._p4]

    def _encoded(self, texts: Iterable[str]) -> bytes:
        return "".join(text + self._delimiters.terminator for text in texts if text).encode(ENCODING)


@cache
def _swallowed_pattern(delimiters: Delimiters) -> re.Pattern[str]:
    return re.compile(rf"X4{re.escape(delimiters.element)}", re.IGNORECASE)


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
    return [part.strip(PADDING) for part in parts] if " " in text or "\t" in text else parts


def _fits(x4: list[str], container: str | None, references: dict[str, str]) -> bool:
    """True if the container is one, and entry type and number, which may be the reference IB, come together."""
    has_number = bool(x4[4] or references.get("IB"))
    return (container is None or is_valid_container(container)) and bool(x4[3]) == has_number


def _number(x4: str, element: str) -> str:
    """X401 in upper case. A blank before it is no padding: a character may be lost."""
    _, _, rest = x4.partition(element)
    return upper(rest.partition(element)[0]).rstrip(PADDING)


def _details(loop: Sequence[str], element: str) -> EventDetails:
    remarks: list[str] = []
    containers: list[str] = []
    snps: list[str] = []
    references: dict[str, str] = {}
    for text in loop:
        name = text[:2]
        if name == "N9":
            qualifier, value = _reference(text, element)
            if qualifier == "SNP" and value:
                snps.append(value)
            elif value:
                references.setdefault(qualifier, value)
        elif name == "N7":
            if container := _container(text.split(element)):
                containers.append(container)
        elif name == "VI":
            if container := _container(text.split(element)[1:4]):
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
    """The container in the second and third part: N701, N702 and the check digit in N718 if it is separate, or VID02
    and VID03."""
    if len(parts) < 3:
        return None
    serial = parts[2]
    if len(parts) > 18 and len(serial.strip()) == 6:
        serial = serial.strip() + parts[18].strip()
    return container_clean(parts[1] + serial)
