"""X12 350 ocean, "Customs Status Information": a stream of the events of every interchange.

Readable events are delivered even if input around them is wrong. A dead letter holds each unreadable event, each
transaction set of another kind, and each interchange with wrong counts or missing trailers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from router.feeds.bounded_input import (
    BLANKS,
    ENCODING,
    EVENT_LIMIT,
    NO_BILL,
    BillAndCode,
    DispositionOrDeadLetter,
    Note,
)
from router.feeds.cbp_messages import MessageReader, Transmission, moment_or_none, with_century
from router.feeds.x12_event import bill_of_x4, voyage_of, x12_bill_event, x12_vessel_event
from router.feeds.x12_segments import (
    LEVEL_OF_TRAILER,
    Delimiters,
    InterchangeStart,
    OpenEnvelopes,
    X12Token,
    read_segments,
)
from router.model.inputs import Disposition

X12: Final = "x12"
SET_READ: Final = "350"
GROUPS_READ: Final = ("SO", "AU")
HEADER_LIMIT: Final = 500
"""Characters of a header segment, which each dead letter below it repeats. X12's longest has about 200."""

_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_LIMITED: Final = ("GS", "ST", "M10", "P4", "BA1", *LEVEL_OF_TRAILER)
_DETAILS: Final = ("K1", "N9", "N7", "VID")


def read_x12(
    chunks: Iterable[bytes], source: str, received_at: int, *, note: Note | None = None, fragment: bool = False
) -> Iterator[DispositionOrDeadLetter]:
    """The events in the order of the file, in constant memory. Raises for no bytes.

    A `fragment` is the content of a dead letter: events below their headers, without trailers.
    """
    return _X12Reader(source, received_at, fragment).results(read_segments(chunks))


class _X12Reader(MessageReader[X12Token]):
    format_name = X12

    def __init__(self, source: str, received_at: int, fragment: bool) -> None:
        super().__init__(source, received_at, fragment)
        self._envelopes = OpenEnvelopes()
        self._m10 = self._p4 = ""
        self._begin_interchange(InterchangeStart(Delimiters(), ""))

    def _read(self, part: X12Token) -> None:
        if isinstance(part, list):
            self._read_segments(part)
        elif isinstance(part, InterchangeStart):
            self._end_message()
            self._begin_interchange(part)
        elif isinstance(part, str):
            self._read_cut_segment(part)
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
                continue
            self._position = position
            if tag == head and self._set_aside is None:
                self._begin_loop(text)
            else:
                self._read_segment(text.strip(BLANKS))
                position = self._position
            loop = self._loop
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
            self._voyage, self._firms = voyage_of(self._m10, self._p4, self._delimiters.element)
        elif name == "BA1":
            reason = "the set is about exports (BA1); only imports are routed"
            self._put_aside(reason, [*self._envelopes.headers, self._m10, text])
        elif not text:
            self._position -= 1
        elif not _NAME.fullmatch(name):
            reason = "this is not an X12 segment: it does not begin with a segment name"
            self._reject(self._with_headers(text), reason)

    def _begin_interchange(self, start: InterchangeStart) -> None:
        self._delimiters, self._isa = start
        isa = [part.strip() for part in self._isa.split(self._delimiters.element)] if self._isa else [""] * 17
        transmitted_at = moment_or_none(with_century(isa[9]), isa[10])
        self._transmission = Transmission(self._received_at, transmitted_at, test=isa[15].upper() == "T")
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
            if kind != SET_READ:
                reason = f"the set is {kind!r}; only {SET_READ} (customs status information) is read"
                self._put_aside(reason, self._envelopes.headers)
        elif kind.upper() not in GROUPS_READ:
            self._envelopes.fault(f"GS01 is {kind!r}, neither {' nor '.join(GROUPS_READ)}", text)

    def _read_trailer(self, name: str, text: str, parts: list[str]) -> None:
        if self._set_aside is not None and name == "SE":
            self._set_aside.add(self._encoded([text]))
        self._leave_set()
        self._envelopes.close(text, parts, self._position)
        self._find_place()
        if name == "IEA":
            self._end_message()

    def _end_message(self, *, has_trailer: bool = False) -> None:
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
        self._voyage, self._firms = voyage_of("", "", "*")
        self._find_place()

    def _find_place(self) -> None:
        self._place_prefix = ":".join(filter(None, (self._source, self._envelopes.place, "segment ")))

    def _event_of(self, loop: list[str], source: str) -> Disposition:
        element = self._delimiters.element
        if loop[0][:2] == "X4":
            return x12_bill_event(loop, element, self._voyage, self._transmission, self._firms, source)
        return x12_vessel_event(loop, element, self._voyage, self._transmission, source)

    def _bill_of(self, text: str, *, whole: bool = True) -> BillAndCode:
        return bill_of_x4(text, self._delimiters.element, whole) if text[:2] == "X4" else NO_BILL

    def _read_cut_segment(self, text: str) -> None:
        """Read a trailer without its terminator. Of any other segment, a SCAC or quantity may be cut in half."""
        self._position += 1
        if text.partition(self._delimiters.element)[0] in LEVEL_OF_TRAILER:
            self._read_segment(text)
            return
        self._end_loop()
        reason = "the file ends within this segment and may have been cut; feed in the whole file"
        self._reject(self._with_headers(text), reason, self._bill_of(text, whole=False))

    def _headers(self) -> list[str]:
        return [*self._envelopes.headers, self._m10, self._p4]

    def _encoded(self, texts: Iterable[str]) -> bytes:
        return "".join(text + self._delimiters.terminator for text in texts if text).encode(ENCODING)
