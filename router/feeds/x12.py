"""X12 350 ocean, "Customs Status Information": every event of every interchange, as a stream.

What can be read is delivered, whatever is wrong around it: an event that can't be read, a set that isn't
ours and an interchange whose counts or trailers are wrong each become a dead letter beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from router.errors import InputError
from router.feeds.evidence import LOOP_SIZE, NO_BILL, Bill, Evidence
from router.feeds.fields import moment_or_none, with_century
from router.feeds.x12_envelope import GROUP, INTERCHANGE, LEVELS, TRANSACTION, Envelopes
from router.feeds.x12_event import Envelope, bill_event, port_firms, readable_bill, surroundings, vessel_event
from router.feeds.x12_segments import BLANKS, ENCODING, Cut, Delimiters, Segments, Skipped, Start, Token, read_segments
from router.model.inputs import DeadLetter, Disposition, Shipment

FORMAT: Final = "x12"
OUR_SET: Final = "350"
OUR_GROUPS: Final = ("SO", "AU")
HEADER_LIMIT: Final = 500
"""Characters of a segment that others stand under; it is told again with each of them. X12's longest has some 200."""

_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_HEADERS: Final = ("GS", "ST", "M10", "P4", "BA1", *LEVELS)
_DETAILS: Final = ("K1", "N9", "N7", "VID")

Event = Disposition | DeadLetter


def read_x12(chunks: Iterable[bytes], source: str, received_at: int, *, fragment: bool = False) -> Iterator[Event]:
    """The events in the order of the file. Never raises for what the bytes are; memory doesn't grow with
    the file.

    A `fragment` is what a dead letter holds: events with the envelope they stood in, but without trailers.
    """
    reader = _Reader(source, received_at, fragment)
    for token in read_segments(chunks):
        reader.take_in(token)
        yield from reader.events()
    reader.end_interchange()
    yield from reader.events()


class _Reader:
    """Where the reading stands: in which interchange, set, port and loop."""

    def __init__(self, source: str, received_at: int, fragment: bool) -> None:
        self._source, self._received_at, self._fragment = source, received_at, fragment
        self._out: list[Event] = []
        self._envelopes = Envelopes()
        self._aside: Evidence | None = None
        self._aside_reason = self._aside_place = ""
        self._loop: list[str] = []
        self._overflow: Evidence | None = None
        """Of a loop that is too long: it must not grow in memory."""
        self._loop_position = self._position = 0
        self._m10 = self._p4 = ""
        self._begin(Start(Delimiters(), ""))

    def events(self) -> list[Event]:
        """What has been read since the last call."""
        taken, self._out = self._out, []
        return taken

    def take_in(self, token: Token) -> None:
        if isinstance(token, Segments):
            self._segments(token.texts)
        elif isinstance(token, Start):
            self.end_interchange()
            self._begin(token)
        elif isinstance(token, Skipped):
            self._skipped(token)
        else:
            self._cut(token)

    def _segments(self, texts: list[str]) -> None:
        """The hot path: nearly every segment is a bill event or a detail of one."""
        element = self._delimiters.element
        head, details = "X4" + element, frozenset(name + element for name in ("K1", "N9", "N7"))
        loop, position = self._loop, self._position
        for text in texts:
            position += 1
            tag = text[:3]
            if tag in details and loop:
                loop.append(text)
            elif tag == head and self._aside is None:
                self._end_loop()
                loop = self._loop = [text]
                self._loop_position = self._position = position
            else:
                self._position = position
                self._segment(text.strip(BLANKS))
                loop, position = self._loop, self._position
        self._position = position
        if sum(map(len, loop)) > LOOP_SIZE:
            self._overflow = self._overflow or Evidence(self._encoded([*self._context(), loop[0]]))
            self._overflow.add(self._encoded(loop[1:]))
            del loop[1:]

    def _segment(self, text: str) -> None:
        """Any segment. Of those we don't know, well-formed ones are passed over."""
        name = text.partition(self._delimiters.element)[0].strip()
        if len(text) > HEADER_LIMIT and name in _HEADERS:
            reason = f"the {name} segment is longer than {HEADER_LIMIT} characters: a terminator may be missing"
            self._dead_letter(reason, [text], self._position)
            text = text[:HEADER_LIMIT]
        parts = [part.strip() for part in text.split(self._delimiters.element)]
        if name in ("GS", "ST"):
            self._header(name, text, parts)
        elif name in LEVELS:
            self._trailer(name, text, parts)
        elif self._aside is not None:
            self._aside.add(self._encoded([text]))
        elif name in ("X4", "V9"):
            self._end_loop()
            self._loop, self._loop_position = [text], self._position
        elif name in _DETAILS:
            if self._loop:
                self._loop.append(text)
        elif name in ("M10", "P4"):
            self._surround(name, text)
        elif name == "BA1":
            self._put_aside("the set is about exports (BA1): not routed as an import", [self._m10, text])
        elif not text:
            self._position -= 1
        elif not _NAME.fullmatch(name):
            self._dead_letter("this is no X12 segment", [text], self._position)

    # Envelopes

    def _begin(self, token: Start) -> None:
        """An interchange; without an ISA the defaults hold until one comes."""
        isa = [part.strip() for part in token.isa.split(token.delimiters.element)] if token.isa else [""] * 17
        self._delimiters = token.delimiters
        transmitted_at = moment_or_none(with_century(isa[9]), isa[10])
        self._envelope = Envelope(self._received_at, transmitted_at, test=isa[15].upper() == "T")
        self._isa, self._interchange_place = token.isa, self._source
        self._position = 0
        if token.isa:
            self._position = 1
            self._interchange_place = f"{self._source}:interchange {isa[13]}"
            self._envelopes.open(INTERCHANGE, token.isa, isa)
        self._leave_set()

    def _header(self, name: str, text: str, parts: list[str]) -> None:
        self._leave_set()
        self._envelopes.open(GROUP if name == "GS" else TRANSACTION, text, parts)
        kind = parts[1] if len(parts) > 1 else ""
        if name == "GS":
            if kind.upper() not in OUR_GROUPS:
                self._envelopes.fault(f"GS01 is {kind!r}, neither SO nor AU", text)
            return
        self._position = 1
        self._prefix = self._place_prefix()
        if kind != OUR_SET:
            self._put_aside(f"the set is {kind!r}, not 350 (customs status information)", [])

    def _trailer(self, name: str, text: str, parts: list[str]) -> None:
        if self._aside is not None and name == "SE":
            self._aside.add(self._encoded([text]))
        self._leave_set()
        self._envelopes.close(LEVELS[name], text, parts, self._position)
        self._prefix = self._place_prefix()
        if name == "IEA":
            self.end_interchange()

    def end_interchange(self) -> None:
        """Deliver what is still open, then flag the interchange if anything about it was wrong."""
        self._leave_set()
        self._envelopes.close_all()
        faults, evidence = self._envelopes.take_faults()
        if faults and not self._fragment:
            content = self._encoded(list(dict.fromkeys([self._isa, *evidence])))
            reason = "; ".join(faults) + ". What could be read was delivered"
            letter = Evidence(content).letter(reason, self._interchange_place, FORMAT, self._received_at)
            self._out.append(letter)

    def _leave_set(self) -> None:
        """Whatever was open in the set is complete, and what follows stands under nothing."""
        self._end_loop()
        if self._aside is not None:
            letter = self._aside.letter(self._aside_reason, self._aside_place, FORMAT, self._received_at)
            self._out.append(letter)
            self._aside = None
        self._m10 = self._p4 = ""
        self._around = Shipment()
        self._firms: str | None = None
        self._prefix = self._place_prefix()

    def _put_aside(self, reason: str, texts: list[str]) -> None:
        """The rest of the set goes to one dead letter."""
        self._end_loop()
        self._aside = Evidence(self._encoded([*self._envelopes.headers, *texts]))
        self._aside_reason, self._aside_place = reason, f"{self._prefix}{self._position}"

    # Events

    def _surround(self, name: str, text: str) -> None:
        self._end_loop()
        if name == "M10":
            self._m10, self._p4 = text, ""
        else:
            self._p4 = text
        self._around = surroundings(self._m10, self._p4, self._delimiters.element)
        self._firms = port_firms(self._p4, self._delimiters.element)

    def _end_loop(self) -> None:
        if not self._loop:
            return
        loop, self._loop = self._loop, []
        overflow, self._overflow = self._overflow, None
        element, source = self._delimiters.element, f"{self._prefix}{self._loop_position}"
        of_bill = loop[0][:2] == "X4"
        try:
            if overflow is not None or sum(map(len, loop)) > LOOP_SIZE:
                raise InputError(f"the event has more than {LOOP_SIZE} characters")
            if of_bill:
                event = bill_event(loop, element, self._around, self._envelope, self._firms, source)
            else:
                event = vessel_event(loop, element, self._around, self._envelope, source)
            self._out.append(event)
        except InputError as error:
            bill = readable_bill(loop[0], element) if of_bill else NO_BILL
            evidence = overflow or Evidence(self._encoded(self._context()))
            evidence.add(self._encoded(loop[1:] if overflow else loop))
            self._out.append(evidence.letter(error.reason, source, FORMAT, self._received_at, bill))

    def _skipped(self, token: Skipped) -> None:
        if not token.inside:
            self.end_interchange()
            self._out.append(token.evidence.letter(token.reason, self._source, FORMAT, self._received_at))
            return
        self._position += 1
        self._end_loop()
        bill = NO_BILL
        if token.head[:2] == "X4":
            bill = readable_bill(token.head, self._delimiters.element, whole=False)
        place = f"{self._prefix}{self._position}"
        self._out.append(token.evidence.letter(token.reason, place, FORMAT, self._received_at, bill))

    def _cut(self, token: Cut) -> None:
        """The last segment has no terminator. Only a trailer is taken at its word: of anything else the end
        may be missing, and half a SCAC or quantity must not be believed."""
        name = token.text.partition(self._delimiters.element)[0]
        self._position += 1
        if name in LEVELS:
            self._segment(token.text)
            return
        self._end_loop()
        bill = readable_bill(token.text, self._delimiters.element, whole=False) if name == "X4" else NO_BILL
        self._dead_letter("the file ends within this segment", [token.text], self._position, bill)

    # Dead letters

    def _dead_letter(self, reason: str, texts: list[str], position: int, bill: Bill = NO_BILL) -> None:
        """With the envelope and port that the segments stood in, so that they can be read again by themselves."""
        evidence = Evidence(self._encoded([*self._context(), *texts]))
        self._out.append(evidence.letter(reason, f"{self._prefix}{position}", FORMAT, self._received_at, bill))

    def _context(self) -> list[str]:
        return [*self._envelopes.headers, *filter(None, (self._m10, self._p4))]

    def _encoded(self, texts: list[str]) -> bytes:
        return "".join(text + self._delimiters.terminator for text in texts if text).encode(ENCODING)

    def _place_prefix(self) -> str:
        return ":".join(filter(None, (self._source, self._envelopes.place, "segment ")))
