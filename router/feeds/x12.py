"""X12 350 ocean, "Customs Status Information": the events of every interchange.

An interchange is judged whole before its events leave the reader. Damage stops, but frees nothing: an event of a
message or a loop at fault is uncertain, and a dead letter holds the message. An event is a loop: an X4 (a bill's) or V9
(a vessel's) segment, followed by K1, N9, N7 and VID segments in any order.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from router.decide.rules import Rules
from router.errors import InputError
from router.feeds import manifest_309
from router.feeds.bounded_input import (
    BLANKS,
    ENCODING,
    EVENT_LIMIT,
    NO_BILL,
    BillAndCode,
    Note,
    OtherMessage,
    ReadResult,
    UnreadableInput,
)
from router.feeds.cbp_messages import (
    MESSAGE_FAULTS,
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
from router.feeds.manifests import DamagedBill
from router.feeds.x12_envelopes import (
    OTHER_SETS,
    STATUS_SET,
    VERSION_WIDTH,
    Envelopes,
    Group,
    TransactionSet,
    envelopes_of,
    has_segment,
)
from router.feeds.x12_interchanges import Delimiters, Interchange, UnreadableStretch, read_interchanges
from router.feeds.x12_segments import REFERENCES_LEAD, SEGMENTS, CheckedSet, checked_set, is_whole_set, segments_in
from router.model.identifiers import bill_key, container_clean, is_readable_scac, is_valid_container, is_valid_scac
from router.model.inputs import Disposition, Shipment
from router.model.vocabulary import Usage

X12: Final = "x12"
USAGE_OF_ISA15: Final[dict[str, Usage]] = {"P": "production", "T": "test"}
TURN: Final = 2_000
"""Segments read before their events are handed on."""

_NO_ELEMENTS: Final = 21 * ("",)
"""The elements of an X4, the longest segment that is read."""
_ISSUER: Final = 9
"""The bill's issuer, the last element of an X4 that is required."""
_EVENT_BEGINS: Final = ("X4", "V9")


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
    """The events in the order of the file, an interchange at a time. Never raises because of the bytes.

    A `fragment` is the content of a dead letter: events below their headers, without trailers.
    """
    return _X12Reader(source, received_at, rules, fragment, accepted).results(read_interchanges(chunks))


class _Swallowed(NamedTuple):
    """A bill's event found within a damaged segment."""

    text: str
    """The part of the segment to keep for it, which is as damaged by itself."""
    bill: BillAndCode


class _X12Reader(MessageReader[Interchange | UnreadableStretch]):
    format_name = X12
    scac_place, number_place = "X409", "X401"

    def __init__(self, source: str, received_at: int, rules: Rules | None, fragment: bool, accepted: bool) -> None:
        super().__init__(source, received_at, rules, fragment, accepted)
        self._delimiters = Delimiters()
        self._text = self._isa = self._joint = self._gs = self._st = self._m10 = self._p4 = ""
        self._interchange_place = source
        self._takes_details = self._takes_headers = self._references_lead = True
        self._detail_tags: frozenset[str] = frozenset()
        """Beginnings of the segments that join an X4's loop."""
        self._fault: str | None = None
        """Of the segment that begins the loop."""
        self._leading: list[str] = []
        """References before the only X4 of a port."""
        self._bills_of_port = 0

    def results(self, parts: Iterable[Interchange | UnreadableStretch]) -> Iterator[ReadResult]:
        for part in parts:
            for _ in self._turns(part):
                yield from self._results
                self._results.clear()

    def _read(self, part: Interchange | UnreadableStretch) -> None:
        for _ in self._turns(part):
            pass

    def _end_message(self) -> None:
        """Nothing is open between interchanges."""

    def _turns(self, part: Interchange | UnreadableStretch) -> Iterator[None]:
        if isinstance(part, UnreadableStretch):
            self._reject(part.content, part.reason, place=self._source)
        else:
            yield from self._read_interchange(part)
        yield

    def _read_interchange(self, interchange: Interchange) -> Iterator[None]:
        self._delimiters, self._isa, self._joint = interchange.delimiters, interchange.isa, interchange.joint
        self._text = interchange.text
        self._gs = self._st = ""
        isa = [upper(part).strip() for part in self._isa.split(self._delimiters.element)] if self._isa else []
        isa.extend([""] * (17 - len(isa)))
        self._transmitted_at, self._is_test = moment_or_none(with_century(isa[9]), isa[10]), isa[15] == "T"
        control = isa[13] if isa[13].isdigit() else ""
        self._interchange_place = f"{self._source}:interchange {control}" if self._isa else self._source
        envelopes = envelopes_of(interchange, self._rules)
        statuses = [group for group in envelopes.groups if any(map(self._is_read, group.sets))]
        usage = USAGE_OF_ISA15.get(isa[15], self._rules.usage)
        if statuses and self._isa and usage != self._rules.usage:
            self._put_aside_interchange(isa[15], usage)
            return
        if statuses and self._isa and isa[15] not in USAGE_OF_ISA15:
            envelopes.faults.append(f"ISA15 is {isa[15][:20]!r}, neither P (production) nor T (test)")
        self._results.extend(OtherMessage("TA1", self._interchange_place) for _ in range(envelopes.acknowledgements))
        faults = self._counted(envelopes.faults)
        reasons = list(faults)
        for group in envelopes.groups:
            yield from self._read_group(group, envelopes, faults, reasons)
        if faults:
            self._reject_in_doubt(reasons, self._content(0, len(self._text)), self._interchange_place)

    def _counted(self, faults: list[str]) -> list[str]:
        """The faults of an envelope that count: none in a fragment, which has no trailers, or if it was accepted."""
        return [] if self._fragment or self._accepted else faults

    def _is_read(self, one: TransactionSet) -> bool:
        return one.kind not in OTHER_SETS or self._has_event(one)

    def _has_event(self, one: TransactionSet) -> bool:
        return self._has(one, "X4")

    def _has(self, one: TransactionSet, name: str) -> bool:
        return has_segment(self._text, one, name, self._delimiters)

    def _put_aside_interchange(self, isa15: str, usage: Usage) -> None:
        """Put aside and count an interchange that is not for this installation."""
        reason = (
            f"put aside whole: ISA15 {isa15} makes it a {usage} interchange, and this installation is for"
            f" {self._rules.usage} (rules.usage). It concerns no bill here; feed it into a {usage} installation, or"
            " dismiss it"
        )
        self._reject(self._content(0, len(self._text)), reason, place=self._interchange_place)
        self._results.append(OtherMessage(f"{usage} interchange (put aside)", self._interchange_place))

    def _read_group(
        self, group: Group, envelopes: Envelopes, outer: list[str], outer_reasons: list[str]
    ) -> Iterator[None]:
        self._gs, self._references_lead = group.header, group.version[:VERSION_WIDTH] in REFERENCES_LEAD
        faults = self._counted(group.faults)
        reasons = list(faults)
        outer_reasons.extend(faults if outer else ())
        for one in group.sets:
            found = yield from self._read_set(one, envelopes, bool(outer or faults))
            (outer_reasons if outer else reasons).extend(f"{one.place or 'a set'}: {fault}" for fault in found)
            if found and not outer and not faults:
                self._reject_in_doubt(
                    found, self._content(one.start, one.end, *filter(None, [self._gs])), self._set_place(one)
                )
        self._st = ""
        if faults and not outer:
            self._reject_in_doubt(reasons, self._content(group.start, group.end), self._interchange_place)

    def _set_place(self, one: TransactionSet) -> str:
        return ":".join(filter(None, (self._interchange_place, one.place)))

    def _read_set(
        self, one: TransactionSet, envelopes: Envelopes, is_uncertain: bool
    ) -> Generator[None, None, list[str]]:
        """Read a set's events. Returns the set's faults."""
        self._st, self._position = one.header, 1
        self._place_prefix = f"{self._set_place(one)}:segment "
        if one.kind != STATUS_SET and one.header and not self._has_event(one):
            if one.kind == manifest_309.SET:
                return self._read_manifest(one, is_uncertain)
            self._pass_over(one)
            return []
        place = (self._text, one.body_start, one.body_end)
        if is_whole_set(*place, self._delimiters, self._references_lead):
            faults = self._begin_set(one, envelopes, is_uncertain, CheckedSet([], {}, []), {})
            for texts in segments_in(*place, self._delimiters.terminator):
                self._read_segments(texts)
                yield
        else:
            faults = yield from self._read_checked(one, envelopes, is_uncertain)
        self._end_port()
        if one.cut:
            self._position += 1
            reason = "the file ends within this segment and may have been cut; feed in the whole file"
            content = UnreadableInput(self._encoded(self._headers())).add(one.cut.encode(ENCODING))
            self._reject(content, reason, self._bill_of(one.cut, whole=False))
        return faults

    def _begin_set(
        self,
        one: TransactionSet,
        envelopes: Envelopes,
        is_uncertain: bool,
        checked: CheckedSet,
        swallowed: dict[int, list[_Swallowed]],
    ) -> list[str]:
        """Decide what is taken of a set. Returns its faults."""
        faults = self._counted([*one.faults, *_set_faults(one, checked, swallowed)])
        self._uncertain = "MESSAGE" if is_uncertain or faults else None
        is_whole = one.is_counted and not checked.disorder and all(swallowed.values())
        has_numbers = envelopes.wrong_numbers < 2
        forgiven = self._fragment or self._accepted
        self._takes_details, self._takes_headers = forgiven or (is_whole and has_numbers), forgiven or has_numbers
        names = ("K1", "N7") if self._references_lead else ("K1", "N9", "N7")
        self._detail_tags = frozenset(name + self._delimiters.element for name in names if self._takes_details)
        self._m10 = self._p4 = ""
        self._begin_port()
        return faults

    def _read_checked(
        self, one: TransactionSet, envelopes: Envelopes, is_uncertain: bool
    ) -> Generator[None, None, list[str]]:
        """Read a set of which segments may be damaged. Returns its faults."""
        if self._has(one, "BA1") and not self._has(one, "P4"):
            self._put_aside_set(one, "BA1 makes it an export set, and only imports are routed")
            return []
        body = self._text[one.body_start : one.body_end]
        checked = checked_set(body, self._delimiters, self._references_lead, self._rules.extra_segments)
        swallowed = {index: self._bills_within(checked.texts[index]) for index in checked.damage}
        faults = self._begin_set(one, envelopes, is_uncertain, checked, swallowed)
        index = 0
        for damaged in (*checked.damage, len(checked.texts)):
            for start in range(index, damaged, TURN):
                self._read_segments(checked.texts[start : min(start + TURN, damaged)])
                yield
            if damaged < len(checked.texts):
                self._read_damaged(checked.texts[damaged], checked.damage[damaged], swallowed[damaged])
            index = damaged + 1
        return faults

    def _pass_over(self, one: TransactionSet) -> None:
        """Count a set that is not for the router; put aside one that nobody knows."""
        if one.kind in OTHER_SETS:
            self._results.append(OtherMessage(one.kind, self._set_place(one)))
        else:
            self._put_aside_set(one, f"ST01 is {one.kind[:20]!r}, and only 350 (customs status information) is read")

    def _read_manifest(self, one: TransactionSet, is_uncertain: bool) -> list[str]:
        """Read a manifest's filings. Returns the set's faults: one at fault declares nothing."""
        faults = self._counted([*one.faults, *manifest_309.version_faults(self._gs, self._delimiters.element)])
        if is_uncertain or faults:
            return ["nothing was taken from this manifest", *faults]
        text = self._text[one.start : one.end]
        try:
            if one.cut:
                raise InputError("the file ends within its last segment")
            for found in manifest_309.read_set(
                list(filter(None, (segment.strip(BLANKS) for segment in text.split(self._delimiters.terminator)))),
                self._delimiters.element,
                self._place_prefix,
                self._received_at,
                self._rules.extra_segments,
            ):
                if isinstance(found, DamagedBill):
                    content = UnreadableInput(self._encoded([self._isa, self._gs, self._st, *found.texts]))
                    self._reject(content, found.reason, place=f"{self._place_prefix}{found.position}")
                else:
                    self._results.append(found)
        except InputError as error:
            reason = f"nothing was taken from this manifest: {error.reason}"
            self._reject(self._content(one.start, one.end, self._gs), reason, place=self._set_place(one))
        return []

    def _put_aside_set(self, one: TransactionSet, reason: str) -> None:
        reason = f"put aside whole: {reason}. Dismiss it if it is for another system"
        self._reject(self._content(one.start, one.end, *filter(None, [self._gs])), reason)

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
            if self._takes_details and (name == "N9" or self._leading):
                self._leading.append(text)
        elif name == "VID" and self._loop and self._takes_details:
            self._loop.append(text)

    def _read_damaged(self, text: str, fault: str, swallowed: list[_Swallowed]) -> None:
        """End the loop before a damaged segment, whose own bills get its dead letters."""
        self._position += 1
        name = text.partition(self._delimiters.element)[0]
        before = self._uncertain
        if name not in _EVENT_BEGINS and (swallowed or not self._accepted):
            may_be_cut = len(self._loop) == 1 and self._loop[0].count(self._delimiters.element) <= _ISSUER
            self._uncertain = "BILL" if may_be_cut else "MESSAGE"
        self._end_port()
        self._uncertain = before
        if name == "P4" or (name not in SEGMENTS and not swallowed):  # it may have been a port's
            self._p4 = ""
            self._begin_port()
        elif name == "M10":
            self._m10 = self._p4 = ""
            self._begin_port()
        for one in swallowed[:-1]:
            self._reject(self._with_headers(one.text), fault, one.bill)
        if swallowed or self._fragment:
            last = swallowed[-1].text if swallowed else text
            self._begin_loop(last)
            self._fault = fault

    def _event_of(self, loop: list[str], source: str) -> Disposition:
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise InputError(fault)
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
            number=x4[1],
            quantity=x4[2],
            entry_type=x4[3],
            entry_number=x4[4],
            container=container,
            port=x4[13] or None,
            firms=x4[14] or self._firms,
            destination=x4[18] or None,
            indicator=x4[20] or None,
        )
        if (container is not None and not is_valid_container(container)) or (not x4[3]) != (not x4[4]):
            return event._replace(uncertain=event.uncertain or "MESSAGE")
        return event

    def _bills_within(self, text: str) -> list[_Swallowed]:
        """The bills of a damaged segment: at its own places if it is an X4, or nobody knows, and of each X4 in it."""
        name = text.partition(self._delimiters.element)[0]
        found = []
        starts = [match.start() for match in _swallowed_pattern(self._delimiters).finditer(text, 1)]
        if name == "X4" or name not in SEGMENTS:
            own = self._bill_at_x4_places(text[: starts[0]] if starts else text)
            if own[0] is not None:
                found.append(_Swallowed(text, own))
        for start, end in pairwise([*starts, len(text)]):
            bill = self._bill_at_x4_places(text[start:end])
            if bill[0] is not None:
                before = len(text[:start].rstrip()) - 1  # without it the X4 would be whole
                found.append(_Swallowed(text[before if found else 0 : end], bill))
        return found

    def _bill_at_x4_places(self, text: str) -> BillAndCode:
        x4 = [part.strip() for part in upper(text).split(self._delimiters.element)]
        x4.extend(_NO_ELEMENTS[len(x4) :])
        return readable_bill(x4[9], x4[1], x4[7]) if is_valid_scac(x4[9]) else NO_BILL

    def _bill_of(self, text: str, *, whole: bool = True) -> BillAndCode:
        """The last element of a text that is not `whole` may be cut."""
        if not whole:
            text = text.rpartition(self._delimiters.element)[0]
        bills = self._bills_within(text)
        return bills[0].bill if bills else NO_BILL

    def _headers(self) -> list[str]:
        return [self._isa, self._gs, self._st, self._m10, self._p4]

    def _encoded(self, texts: Iterable[str]) -> bytes:
        return "".join(text + self._delimiters.terminator for text in texts if text).encode(ENCODING)

    def _content(self, start: int, end: int, *headers: str) -> UnreadableInput:
        """A whole message of the interchange, between two terminators, below its headers."""
        terminator = self._delimiters.terminator
        text = self._text[start : end + len(terminator)].rstrip(BLANKS).removeprefix(terminator)
        return UnreadableInput((self._isa + self._joint + terminator.join((*headers, text))).encode(ENCODING))


def _set_faults(one: TransactionSet, checked: CheckedSet, swallowed: dict[int, list[_Swallowed]]) -> list[str]:
    nameless = (index for index, bills in swallowed.items() if not bills)
    is_named = not one.header or one.kind == STATUS_SET
    return [
        *([] if is_named else [f"ST01 is {one.kind[:20]!r}, but the set has the X4 of a 350"]),
        *checked.disorder,
        *(f"segment {index + 2} is damaged and names no bill: {checked.damage[index]}" for index in nameless),
        *(["the file ends within its last segment"] if one.cut else []),
    ][:MESSAGE_FAULTS]


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
    return [part.strip() for part in parts] if " " in text or "\t" in text else parts


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
