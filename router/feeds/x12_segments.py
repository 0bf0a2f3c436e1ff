"""From bytes to X12 segments: delimiters, interchange boundaries, line breaks, over-long pieces and garbage.

Knows nothing of what segments mean but ISA, which declares the delimiters, and IEA, after which others may
come. Whatever the bytes and however they are cut into chunks, the tokens are the same and memory is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from router.feeds.evidence import MASK, PIECE_LIMIT, Evidence, blocks
from router.model.inputs import HEAD_SIZE

ENCODING: Final = "latin-1"
"""CBP's text is ASCII; in latin-1 any other byte is a character too, so that none can stop the reader."""

ISA_LENGTH: Final = 106
ISA_ELEMENTS: Final = 16
HEADER_REACH: Final = 512
"""How far to look for the elements of an ISA that isn't 106 long."""

BLANKS: Final = " \t\r\n\v\f\x00\x1a\xef\xbb\xbf"
"""May stand between interchanges: blanks, line breaks, fillers, an end-of-file mark, a byte order mark."""

TOO_LONG: Final = f"the segment is longer than {PIECE_LIMIT} bytes"

_SEPARATOR_PLACES: Final = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)
_SHAPES: Final = {9: r"\d{6}", 10: r"\d{4}", 13: r"\d{1,9}", 15: r"[A-Z]"}
_AFTER_ISA: Final = re.compile(r"([^\w\s])([^\w ])\s*(?:GS|TA1|IEA|ISA)", re.ASCII)
_BARE: Final = re.compile(r"(?:GS|ST)\*")
_CANDIDATE: Final = re.compile(r"ISA[^A-Za-z0-9 \t\r\n\x00]")


class Delimiters(NamedTuple):
    element: str = "*"
    terminator: str = "~"


class Start(NamedTuple):
    """An interchange begins; `isa` is its ISA segment, credentials masked, or empty where a file has none."""

    delimiters: Delimiters
    isa: str


class Segments(NamedTuple):
    """The next segments of the interchange, without terminators and line breaks. Empty ones count too."""

    texts: list[str]


class Skipped(NamedTuple):
    """A stretch that is no segment that can be read. `inside` an interchange it stands where a segment should be."""

    reason: str
    evidence: Evidence
    head: str
    inside: bool


class Cut(NamedTuple):
    """The file ends within this segment."""

    text: str


Token = Start | Segments | Skipped | Cut


class _Header(NamedTuple):
    start: Start
    length: int


def read_segments(chunks: Iterable[bytes]) -> Iterator[Token]:
    reader = _Reader()
    for block in blocks(chunks):
        reader.text += block.decode(ENCODING)
        yield from reader.drain(final=False)
    yield from reader.drain(final=True)


class _Reader:
    def __init__(self) -> None:
        self.text = ""
        """Not yet read."""
        self._delimiters: Delimiters | None = None
        """None between interchanges."""
        self._skipping: Evidence | None = None
        self._head = ""

    def drain(self, final: bool) -> Iterator[Token]:
        """Everything that can be told from the text at hand; with `final` everything."""
        while self.text:
            before = len(self.text), self._delimiters
            if self._delimiters is None:
                yield from self._between(final)
            elif self._skipping is not None:
                yield from self._over_long(self._delimiters.terminator)
            else:
                yield from self._inside(self._delimiters, final)
            if (len(self.text), self._delimiters) == before:
                break
        if final and self._skipping is not None:
            yield self._skipped("the file ends within it")

    def _between(self, final: bool) -> Iterator[Token]:
        """One step towards the next interchange; what stands before it is garbage."""
        if self._skipping is None:
            self.text = self.text.lstrip(BLANKS)
            if _BARE.match(self.text):
                self._delimiters = Delimiters()
                yield Start(self._delimiters, "")
                return
        candidate = _CANDIDATE.search(self.text)
        if candidate is None:
            self._garbage(len(self.text) - (0 if final else len("ISA")))
        elif candidate.start():
            self._garbage(candidate.start())
        else:
            header = read_header(self.text[:HEADER_REACH])
            if header is not None:
                yield from self._end_garbage()
                self._delimiters = header.start.delimiters
                self.text = self.text[header.length :]
                yield header.start
            elif final or len(self.text) >= HEADER_REACH:
                self._unreadable_header()

    def _unreadable_header(self) -> None:
        """Pass over an ISA that can't be read, crossing out what may be credentials but nothing of a next ISA."""
        another = _CANDIDATE.search(self.text, 1, HEADER_REACH)
        end = another.start() if another else HEADER_REACH
        self.text = mask_isa(self.text[:end]) + self.text[end:]
        self._garbage(len("ISA") + 1)

    def _inside(self, delimiters: Delimiters, final: bool) -> Iterator[Token]:
        """All whole segments at hand, up to the end of the interchange."""
        text, terminator = self.text, delimiters.terminator
        boundary, ends = _boundary(text, terminator, final)
        if boundary is not None:
            self.text = text[boundary:]
            self._delimiters = None
            yield from _split(text[:boundary], delimiters)
            if not ends:
                return
            trailer, _, self.text = self.text.partition(terminator)
            yield Segments([_one_line(trailer, delimiters).strip(BLANKS)])
            return
        end = text.rfind(terminator)
        self.text = text[end + 1 :]
        if end >= 0:
            yield from _split(text[: end + 1], delimiters)
        if len(self.text) > PIECE_LIMIT:
            self._skipping = Evidence()
        elif final:
            rest, self.text = _one_line(self.text, delimiters).strip(BLANKS), ""
            if rest:
                yield Cut(rest)

    def _over_long(self, terminator: str) -> Iterator[Token]:
        end = self.text.find(terminator)
        self._garbage(end if end >= 0 else len(self.text))
        if end >= 0:
            self.text = self.text[len(terminator) :]
            yield self._skipped(TOO_LONG)

    def _garbage(self, length: int) -> None:
        """Put the first `length` characters aside."""
        if length > 0:
            part, self.text = self.text[:length], self.text[length:]
            self._skipping = self._skipping or Evidence()
            self._skipping.add(part.encode(ENCODING))
            self._head += part[: max(0, HEAD_SIZE - len(self._head))]

    def _end_garbage(self) -> Iterator[Token]:
        if self._skipping is not None:
            yield self._skipped("")

    def _skipped(self, reason: str) -> Skipped:
        assert self._skipping is not None
        inside = self._delimiters is not None
        if not inside:
            reason = "no interchange can be read here: it doesn't begin with an ISA segment in the right form"
        token = Skipped(reason, self._skipping, self._head, inside)
        self._skipping, self._head = None, ""
        return token


def read_header(text: str) -> _Header | None:
    """The ISA at the beginning of `text`: by its fixed places, else by its elements if those can be told for sure."""
    if len(text) < ISA_LENGTH:
        return _salvaged_header(text)
    separator = text[3]
    regular = text.count(separator, 0, ISA_LENGTH - 2) == ISA_ELEMENTS and all(
        text[place] == separator for place in _SEPARATOR_PLACES
    )
    return _header(text, ISA_LENGTH) if regular else _salvaged_header(text)


def _salvaged_header(text: str) -> _Header | None:
    """An ISA of another length, e.g. with its blanks trimmed: sixteen elements of the right kinds, and
    after the component separator and the terminator a segment that may follow."""
    parts = text.split(text[3:4] or "*", ISA_ELEMENTS)
    if len(parts) <= ISA_ELEMENTS or not _AFTER_ISA.match(parts[ISA_ELEMENTS]):
        return None
    if not all(re.fullmatch(shape, parts[element], re.ASCII) for element, shape in _SHAPES.items()):
        return None
    return _header(text, sum(map(len, parts[:ISA_ELEMENTS])) + ISA_ELEMENTS + 2)


def _header(text: str, length: int) -> _Header | None:
    """An ISA of that length, unless its delimiters can't be."""
    separator, component, terminator = text[3], text[length - 2], text[length - 1]
    distinct = len({separator, component, terminator}) == 3
    if not distinct or not _may_delimit(separator) or not _may_delimit(terminator) or component.isalnum():
        return None
    if component == "~" and terminator in "\r\n":
        # The component separator is missing, and `~` is the terminator: not to be split by lines.
        return None
    return _Header(Start(Delimiters(separator, terminator), mask_isa(text[: length - 1])), length)


def _may_delimit(character: str) -> bool:
    return not character.isalnum() and character not in " -+.\x00"


def mask_isa(text: str) -> str:
    """The same text with the credentials in ISA02 and ISA04 crossed out, if it begins with an ISA."""
    if text[:3] != "ISA":
        return text
    parts = text.split(text[3:4] or "*", 5)
    for element in (2, 4):
        if element < len(parts) and parts[element].strip():
            parts[element] = MASK * len(parts[element])
    return (text[3:4] or "*").join(parts)


def _boundary(text: str, terminator: str, final: bool) -> tuple[int | None, bool]:
    """Where the interchange ends: the place of the next ISA (False) or of a whole IEA (True), whichever is first."""
    place = _segment_place(text, "ISA", terminator)
    limit = len(text) if place is None else place
    trailer = _segment_place(text[:limit] if place is not None else text, "IEA", terminator)
    if trailer is not None and (final or text.find(terminator, trailer) >= 0):
        return trailer, True
    return place, False


def _segment_place(text: str, name: str, terminator: str) -> int | None:
    place = text.find(name)
    while place >= 0:
        delimiter = text[place + 3 : place + 4]
        delimits = delimiter and not delimiter.isalnum() and delimiter not in BLANKS
        if delimits and _begins(text, place, terminator):
            return place
        place = text.find(name, place + 3)
    return None


def _begins(text: str, place: int, terminator: str) -> bool:
    """Whether a segment begins at `place`: after a terminator, or at the beginning, blanks apart."""
    while place and text[place - 1] != terminator and text[place - 1] in BLANKS:
        place -= 1
    return place == 0 or text[place - 1] == terminator


def _split(block: str, delimiters: Delimiters) -> Iterator[Token]:
    """The segments of a block that ends with a terminator (or is the tail of an interchange without one)."""
    terminator = delimiters.terminator
    if len(block) <= PIECE_LIMIT:
        texts = _one_line(block, delimiters).split(terminator)
        if not texts[-1].strip(BLANKS):
            texts.pop()
        yield Segments(texts)
        return
    for text in block.split(terminator):
        if len(text) > PIECE_LIMIT:
            evidence = Evidence(text.encode(ENCODING))
            yield Skipped(TOO_LONG, evidence, text[:HEAD_SIZE], inside=True)
        elif text.strip(BLANKS):
            yield Segments([_one_line(text, delimiters)])


def _one_line(text: str, delimiters: Delimiters) -> str:
    """Without line breaks, wherever they stand: some systems break after each segment, some every 80 characters."""
    for line_break in "\r\n":
        if line_break in text and line_break not in delimiters:
            text = text.replace(line_break, "")
    return text
