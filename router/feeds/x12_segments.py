"""X12 below the meaning of segments: from bytes to segments, and the nesting of interchange, group and transaction.

The segments depend only on the bytes, not on the chunks they come in. Memory is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from router.feeds.bounded_input import BLANKS, ENCODING, PIECE_LIMIT, UnreadableInput, blocks
from router.feeds.credentials import MASK

ISA_LENGTH: Final = 106
ISA_ELEMENTS: Final = 16
HEADER_REACH: Final = 512
"""Characters searched for the elements of an ISA of another length."""
FAULT_LIMIT: Final = 20
"""Faults of one interchange that its dead letter names."""

TOO_LONG: Final = f"the segment has more than {PIECE_LIMIT:,} bytes; a segment terminator may be missing"
CUT_TOO_LONG: Final = f"the file ends within a segment of more than {PIECE_LIMIT:,} bytes and may have been cut"
NO_ISA: Final = "no interchange can be read here: an ISA segment with its 16 elements must come first"

_NO_DELIMITERS: Final = " -+.\x00"
_SEPARATOR_PLACES: Final = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)
_SHAPES: Final = {9: r"\d{6}", 10: r"\d{4}", 13: r"\d{1,9}", 15: r"[A-Z]"}
_AFTER_ISA: Final = re.compile(r"([^\w\s])([^\w ])\s*(?:GS|TA1|IEA|ISA)", re.ASCII)
_BARE: Final = re.compile(r"(?:GS|ST)\*")
_CANDIDATE: Final = re.compile(r"ISA[^A-Za-z0-9 \t\r\n\x00]")


class Delimiters(NamedTuple):
    element: str = "*"
    terminator: str = "~"


class InterchangeStart(NamedTuple):
    delimiters: Delimiters
    isa: str
    """The ISA segment with its credentials masked; empty for a file without one."""


class UnreadableStretch(NamedTuple):
    reason: str
    content: UnreadableInput
    inside: bool
    """True in place of a segment of an interchange, False between interchanges."""


X12Token = InterchangeStart | list[str] | UnreadableStretch | str
"""A list holds the next segments, without terminators and line breaks; empty ones are counted too.

A string is the last segment of a file, without its terminator: it may be cut.
"""


def read_segments(chunks: Iterable[bytes]) -> Iterator[X12Token]:
    reader = _SegmentReader()
    for block in blocks(chunks):
        reader.text += block.decode(ENCODING)
        yield from reader.drain(final=False)
    yield from reader.drain(final=True)


class _SegmentReader:
    def __init__(self) -> None:
        self.text = ""
        """Input not yet read."""
        self._delimiters: Delimiters | None = None
        """None between interchanges."""
        self._unreadable: UnreadableInput | None = None

    def drain(self, final: bool) -> Iterator[X12Token]:
        """Every token that the text at hand decides; with `final`, all."""
        while self.text:
            before = len(self.text), self._delimiters
            if self._delimiters is None:
                yield from self._between(final)
            else:
                yield from self._inside(self._delimiters, final)
            if (len(self.text), self._delimiters) == before:
                break
        if self._unreadable is not None and final:
            yield self._stretch(CUT_TOO_LONG)

    def _between(self, final: bool) -> Iterator[X12Token]:
        """One step towards the next interchange."""
        if self._unreadable is None:
            self.text = self.text.lstrip(BLANKS)
            if _BARE.match(self.text):
                self._delimiters = Delimiters()
                yield InterchangeStart(self._delimiters, "")
                return
        candidate = _CANDIDATE.search(self.text)
        if candidate is None:
            self._put_aside(len(self.text) - (0 if final else len("ISA")))
        elif candidate.start():
            self._put_aside(candidate.start())
        elif header := _read_header(self.text[:HEADER_REACH]):
            if self._unreadable is not None:
                yield self._stretch(NO_ISA)
            start, length = header
            self._delimiters, self.text = start.delimiters, self.text[length:]
            yield start
        elif final or len(self.text) >= HEADER_REACH:
            # Mask the possible credentials of this unreadable ISA, but nothing of a next one.
            another = _CANDIDATE.search(self.text, 1, HEADER_REACH)
            end = another.start() if another else HEADER_REACH
            self.text = _mask_isa(self.text[:end]) + self.text[end:]
            self._put_aside(len("ISA") + 1)

    def _inside(self, delimiters: Delimiters, final: bool) -> Iterator[X12Token]:
        """All whole segments at hand, up to the end of the interchange, or the rest of one that is too long."""
        text, terminator = self.text, delimiters.terminator
        if self._unreadable is not None:
            end = text.find(terminator)
            self._put_aside(end if end >= 0 else len(text))
            if end >= 0:
                self.text = self.text[len(terminator) :]
                yield self._stretch(TOO_LONG)
            return
        boundary, is_trailer = _boundary(text, terminator, final)
        if boundary is not None:
            self.text = text[boundary:]
            self._delimiters = None
            yield from _split(text[:boundary], delimiters)
            if is_trailer:
                trailer, _, self.text = self.text.partition(terminator)
                yield [_one_line(trailer, delimiters).strip(BLANKS)]
            return
        end = text.rfind(terminator) + 1
        self.text = text[end:]
        if end:
            yield from _split(text[:end], delimiters)
        if len(self.text) > PIECE_LIMIT:
            self._unreadable = UnreadableInput()
        elif final:
            rest, self.text = _one_line(self.text, delimiters).strip(BLANKS), ""
            if rest:
                yield rest

    def _put_aside(self, length: int) -> None:
        if length > 0:
            self._unreadable = self._unreadable or UnreadableInput()
            self._unreadable.add(self.text[:length].encode(ENCODING))
            self.text = self.text[length:]

    def _stretch(self, reason: str) -> UnreadableStretch:
        assert self._unreadable is not None
        content, self._unreadable = self._unreadable, None
        inside = self._delimiters is not None
        return UnreadableStretch(reason if inside else NO_ISA, content, inside)


def _read_header(text: str) -> tuple[InterchangeStart, int] | None:
    """The ISA at the beginning of `text` and its length: by its fixed places, else by elements that are certain."""
    separator, length = text[3:4], ISA_LENGTH
    is_regular = len(text) >= ISA_LENGTH and text.count(separator, 0, ISA_LENGTH - 2) == ISA_ELEMENTS
    if not (is_regular and all(text[place] == separator for place in _SEPARATOR_PLACES)):
        # Of another length, for example with its blanks trimmed: sixteen elements of the right kinds, and a possible
        # next segment after component separator and terminator.
        parts = text.split(separator or "*", ISA_ELEMENTS)
        if len(parts) <= ISA_ELEMENTS or not _AFTER_ISA.match(parts[ISA_ELEMENTS]):
            return None
        if not all(re.fullmatch(shape, parts[element], re.ASCII) for element, shape in _SHAPES.items()):
            return None
        length = sum(map(len, parts[:ISA_ELEMENTS])) + ISA_ELEMENTS + 2
    component, terminator = text[length - 2], text[length - 1]
    if len({separator, component, terminator}) < 3 or any(map(str.isalnum, (separator, component, terminator))):
        return None
    if separator in _NO_DELIMITERS or terminator in _NO_DELIMITERS:
        return None
    if component == "~" and terminator in "\r\n":
        return None  # The component separator is missing and `~` is the terminator: lines are not segments.
    return InterchangeStart(Delimiters(separator, terminator), _mask_isa(text[: length - 1])), length


def _mask_isa(text: str) -> str:
    """The same text with the credentials of a leading ISA masked (ISA02, ISA04)."""
    if text[:3] != "ISA":
        return text
    parts = text.split(text[3:4] or "*", 5)
    for element in (2, 4):
        if element < len(parts) and parts[element].strip():
            parts[element] = MASK * len(parts[element])
    return (text[3:4] or "*").join(parts)


def _boundary(text: str, terminator: str, final: bool) -> tuple[int | None, bool]:
    """End of the interchange: the place of the next ISA (False) or of a whole IEA (True), the first of them."""
    found = _boundary_pattern(terminator).search(text) if "ISA" in text or "IEA" in text else None
    is_trailer = found is not None and found[1] == "IEA"
    if found is None or (is_trailer and not final and terminator not in text[found.end() :]):
        return None, False
    return found.start(1), is_trailer


@cache
def _boundary_pattern(terminator: str) -> re.Pattern[str]:
    """An ISA or IEA segment, after a terminator or at the beginning, apart from blanks."""
    blanks = re.escape(BLANKS)
    return re.compile(rf"(?:\A|{re.escape(terminator)})[{blanks}]*(ISA|IEA)(?=[\W_])(?![{blanks}])")


def _split(block: str, delimiters: Delimiters) -> Iterator[X12Token]:
    """The segments of a block that ends with a terminator, or of the end of an interchange without one."""
    terminator = delimiters.terminator
    if len(block) <= PIECE_LIMIT:
        texts = _one_line(block, delimiters).split(terminator)
        if not texts[-1].strip(BLANKS):
            texts.pop()
        yield texts
        return
    for text in block.split(terminator):
        if len(text) > PIECE_LIMIT:
            yield UnreadableStretch(TOO_LONG, UnreadableInput(text.encode(ENCODING)), inside=True)
        elif text.strip(BLANKS):
            yield [_one_line(text, delimiters)]


def _one_line(text: str, delimiters: Delimiters) -> str:
    """The text without line breaks: some systems break after each segment, some every 80 characters."""
    for line_break in "\r\n":
        if line_break in text and line_break not in delimiters:
            text = text.replace(line_break, "")
    return text


class EnvelopeLevel(NamedTuple):
    depth: int
    name: str
    header: str
    trailer: str
    control: int
    """Element of the header that holds its control number."""


_LEVELS: Final = (
    EnvelopeLevel(0, "interchange", "ISA", "IEA", 13),
    EnvelopeLevel(1, "group", "GS", "GE", 6),
    EnvelopeLevel(2, "transaction", "ST", "SE", 2),
)
LEVEL_OF_HEADER: Final = {level.header: level for level in _LEVELS}
LEVEL_OF_TRAILER: Final = {level.trailer: level for level in _LEVELS}


@dataclass
class _OpenEnvelope:
    level: EnvelopeLevel
    text: str
    control: str
    name: str
    """Level and control number."""
    count: int = 0


class Envelopes:
    """The open envelopes, outermost first, and the faults of the interchange in counts and control numbers."""

    def __init__(self) -> None:
        self._stack: list[_OpenEnvelope] = []
        self._faults: list[tuple[str, str]] = []
        """Reasons, each with the segment at fault."""

    def open(self, text: str, parts: list[str]) -> None:
        """Open a header's envelope. Every envelope at its level or below lacks its trailer."""
        level = LEVEL_OF_HEADER[parts[0]]
        self._abandon(level.depth)
        if self._stack:
            self._stack[-1].count += 1
        control = parts[level.control] if len(parts) > level.control else ""
        self._stack.append(_OpenEnvelope(level, text, control, f"{level.name} {control}"))

    def close(self, text: str, parts: list[str], segments: int) -> None:
        """Close a trailer's envelope. `segments` is a transaction's count, header and trailer included."""
        level = LEVEL_OF_TRAILER[parts[0]]
        self._abandon(level.depth + 1)
        if not self._stack or self._stack[-1].level is not level:
            self.fault(f"{level.trailer} without its {level.header}", text)
            return
        closed = self._stack.pop()
        count, control = (*parts[1:3], "", "")[:2]
        found = segments if level.trailer == "SE" else closed.count
        if not (count.isdecimal() and int(count[:18]) == found):
            self.fault(f"{closed.name}: {level.trailer}01 is {count!r}, but the count is {found}", text)
        if control.lstrip("0") != closed.control.lstrip("0"):
            self.fault(f"{closed.name}: {level.trailer}02 is {control!r} instead of {closed.control!r}", text)

    def fault(self, reason: str, text: str) -> None:
        if len(self._faults) < FAULT_LIMIT:
            self._faults.append((reason, text))

    def end_interchange(self) -> list[tuple[str, str]]:
        """Close what is open, with or without trailers. Returns the faults, each with its segment."""
        self._abandon(0)
        faults, self._faults = self._faults, []
        return faults

    @property
    def headers(self) -> list[str]:
        return [opened.text for opened in self._stack if opened.text]

    @property
    def place(self) -> str:
        """`interchange 000000101:transaction 0001`, without the group."""
        return ":".join(opened.name for opened in self._stack if opened.level.name != "group")

    def _abandon(self, depth: int) -> None:
        while self._stack and self._stack[-1].level.depth >= depth:
            lost = self._stack.pop()
            self.fault(f"{lost.name} has no {lost.level.trailer} and may have been cut", lost.text)
