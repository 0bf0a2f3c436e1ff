"""From bytes to X12 interchanges: each buffered to its end, its delimiters found, on one line.

The interchanges depend only on the bytes, not on the chunks they come in. Memory is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final, NamedTuple

from router.feeds.bounded_input import BLANKS, ENCODING, UnreadableInput, blocks
from router.feeds.cbp_messages import upper

INTERCHANGE_LIMIT: Final = 32 << 20
"""Characters of an interchange. CBP's own limit is 12 MiB (CBP350 Ocean, Customs Status Information, 2020)."""
HEADER_REACH: Final = 1024
"""Characters searched for the elements of an ISA and for the first segments after it."""
ISA_WIDTHS: Final = (3, 2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
"""Places of the name and of each element (ASC X12, ISA)."""
ISA_LENGTH: Final = sum(ISA_WIDTHS) + 16
"""Without the terminator."""

NO_ISA: Final = "no interchange can be read here: an ISA segment with its 16 elements must come first"
NOT_BEGUN: Final = "it does not begin with an ISA segment"
TOO_LONG: Final = f"it has more than {INTERCHANGE_LIMIT >> 20} MiB, longer than any of CBP's"

_SEPARATOR_PLACES: Final = tuple(sum(ISA_WIDTHS[:end]) + end - 1 for end in range(1, 17))
_PADDED: Final = frozenset({2, 4, 6, 8})
"""Elements filled up with blanks, which some systems trim."""
_SHAPES: Final = {
    **dict.fromkeys((1, 3, 5, 7), re.compile(r"[A-Z0-9]{2}")),
    **dict.fromkeys((6, 8), re.compile(r"[ -~]*")),
    **dict.fromkeys((9, 10, 12, 13, 14), re.compile(r"[0-9]*")),
}
_NO_DELIMITERS: Final = " -+.\x00\xa0"
_BREAKS: Final = "\r\n"
_BLANK_RUN: Final = r"[ \t\xc2\xa0]*\xa0[ \t\xc2\xa0]*"
"""Blanks with a no-break space among them."""
_BLANK: Final = f"[{re.escape(BLANKS)}]"
_TERMINATOR: Final = r"(?P<terminator>[\xc2-\xdf][\x80-\xbf]|[^\w ])"
"""One character, or a character of two bytes in UTF-8."""
_TERMINATOR_BEFORE: Final = re.compile(rf"{_TERMINATOR}{_BLANK}*\Z", re.ASCII)
_BARE: Final = re.compile(r"(?:GS|ST|X4)(?P<element>[^\w\s])", re.ASCII | re.IGNORECASE)
_ISA: Final = re.compile(r"I[\r\n]*S[\r\n]*A[\r\n]*(?=[^A-Za-z0-9 \r\n\x00])(?!.{0,5}ISA)", re.IGNORECASE)
_IEA: Final = re.compile(r"(?<![A-Z0-9])I[\r\n]*E[\r\n]*A(?=[^A-Z0-9 ])", re.IGNORECASE)
_ISA_WITHIN: Final = re.compile(r"ISA(?P<e>\W)\w\w(?P=e).{10}(?P=e)\w\w(?P=e).{10}(?P=e)\w\w(?P=e)", re.DOTALL)
"""A header that no terminator precedes: the segment before it was cut."""
_SET_BEGINS: Final = re.compile(
    r"(?:[Ss][Tt](?P<element>[^\w\s])[0-9]{3}(?P=element)"
    r"|[Xx]4(?P<other>[^\w\s])[A-Za-z0-9]{1,12}(?P=other)[0-9]*(?P=other))",
    re.ASCII,
)
"""A set, or a bill's event in what is left of one."""
_FOLLOWS: Final = re.compile(rf"{_BLANK}*(?:(?:GS|TA1|IEA|ISA|ST)\W|\Z)", re.IGNORECASE | re.ASCII)


class Delimiters(NamedTuple):
    element: str = "*"
    terminator: str = "~"


USUAL: Final = Delimiters()


class Mark(NamedTuple):
    """An envelope's header or trailer."""

    name: str
    start: int
    """Place of its name in the interchange's text."""


class Interchange(NamedTuple):
    """A whole interchange; without ISA, the sets up to the next one."""

    delimiters: Delimiters
    isa: str
    """Its header without terminator, or what stands in its place; empty for sets alone."""
    text: str
    """The segments after the header on one line, each *after* a terminator. Text behind the last one may be cut."""
    marks: tuple[Mark, ...]
    faults: tuple[str, ...]
    """Faults of the header and of the length."""
    joint: str
    """The terminator after the header; empty if it has none."""


class UnreadableStretch(NamedTuple):
    """Text between interchanges."""

    reason: str
    content: UnreadableInput


class Header(NamedTuple):
    delimiters: Delimiters
    isa: str
    joint: str
    length: int
    """Characters of the input."""
    faults: tuple[str, ...] = ()


def read_interchanges(chunks: Iterable[bytes]) -> Iterator[Interchange | UnreadableStretch]:
    reader = _InterchangeReader()
    for block in blocks(chunks):
        reader.text += block.decode(ENCODING)
        yield from reader.drain(final=False)
    yield from reader.drain(final=True)


class _InterchangeReader:
    def __init__(self) -> None:
        self.text = ""
        """Input not yet read."""
        self._header: Header | None = None
        """None between interchanges."""
        self._pieces: list[str] = []
        self._size = 0
        self._marks: list[Mark] = []
        self._unreadable: UnreadableInput | None = None
        self._reason = NO_ISA

    def drain(self, final: bool) -> Iterator[Interchange | UnreadableStretch]:
        """Every result that the text at hand decides; with `final`, all."""
        while self.text:
            before = len(self.text), self._header
            if self._header is None:
                yield from self._between(final)
            else:
                yield from self._inside(self._header, final)
            if (len(self.text), self._header) == before:
                break
        if final:
            if self._header is not None:
                yield self._end(self._header)
            yield from self._end_stretch()

    def _between(self, final: bool) -> Iterator[UnreadableStretch]:
        """One step towards the next interchange."""
        if self._unreadable is None:
            self.text = self.text.lstrip(BLANKS)
        if self._unreadable is None and (bare := _BARE.match(self.text)):
            if (head := _head(self.text, 0, final)) is not None:
                _, found = _first_set(head)
                self._begin(Header(found or Delimiters(bare["element"]), "", "", 0))
            return
        isa = _ISA.search(self.text)
        first, found = _first_set(self.text if isa is None else self.text[: isa.start()])
        head = _head(self.text, first, final)
        if head is None:
            self._put_aside(first - HEADER_REACH)
        elif isa is not None and found is None:
            header = read_header(head)
            self._reason = self._reason if isinstance(header, Header) else header
            self._put_aside(first if isinstance(header, Header) else first + len("ISA"))
            if isinstance(header, Header):
                yield from self._end_stretch()
                self._begin(header)
        elif found is not None:
            self._put_aside(first - HEADER_REACH // 2)
            yield from self._end_stretch()
            length = _header_end(self.text, _first_set(self.text)[0], found)
            before = _without_breaks(self.text[:length]).strip(BLANKS)
            self._begin(Header(found, *_apart(before, found), length, (NOT_BEGUN,)))
        else:
            self._put_aside(len(self.text))

    def _begin(self, header: Header) -> None:
        self._header, self._reason = header, NO_ISA
        self.text = header.delimiters.terminator + self.text[header.length :]

    def _inside(self, header: Header, final: bool) -> Iterator[Interchange]:
        """Everything at hand, up to the end of the interchange."""
        raw, terminator = self.text, header.delimiters.terminator
        text = _one_line(raw, header.delimiters)
        reach = len(text) if final else text.rfind(terminator)
        end = None
        for found in _mark_pattern(header.delimiters).finditer(text, 0, reach):
            name = found[1].upper()
            if name == "ISA":
                end = found.start() + len(terminator)
                break
            self._marks.append(Mark(name, self._size + found.start(1)))
            if name == "IEA":
                end = text.find(terminator, found.end())
                end = len(text) if end < 0 else end + len(terminator)
                break
        within = _ISA_WITHIN.search(text, 0, reach if end is None else end) if "ISA" in text else None
        if within is not None:
            end = within.start()
            self._marks = [mark for mark in self._marks if mark.start < self._size + end]
        if end is not None:
            self._keep(text[:end])
            self.text = raw[_raw_length(raw, end, header.delimiters) :]
            yield self._end(header)
            return
        if reach > 0:
            self._keep(text[:reach])
            self.text = text[reach:]
        elif len(text) > INTERCHANGE_LIMIT:
            self._keep(text)
            self.text = terminator
        if self._size > INTERCHANGE_LIMIT:
            self._keep(terminator)
            yield self._end(header, TOO_LONG)
            self._header = header if TOO_LONG in header.faults else header._replace(faults=(*header.faults, TOO_LONG))

    def _keep(self, text: str) -> None:
        self._size += len(text)
        self._pieces.append(text)

    def _end(self, header: Header, *faults: str) -> Interchange:
        text, marks = "".join(self._pieces), tuple(self._marks)
        self._header, self._pieces, self._marks, self._size = None, [], [], 0
        all_faults = tuple(dict.fromkeys((*header.faults, *faults)))
        return Interchange(header.delimiters, header.isa, text, marks, all_faults, header.joint)

    def _put_aside(self, length: int) -> None:
        if length > 0:
            self._unreadable = self._unreadable or UnreadableInput()
            self._unreadable.add(self.text[:length].encode(ENCODING))
            self.text = self.text[length:]

    def _end_stretch(self) -> Iterator[UnreadableStretch]:
        if self._unreadable is not None:
            yield UnreadableStretch(self._reason, self._unreadable)
        self._unreadable, self._reason = None, NO_ISA


def _head(text: str, start: int, final: bool) -> str | None:
    """The text that decides over a header: up to the end of a short interchange; None if it is still to come."""
    head = text[start : start + HEADER_REACH]
    if end := _IEA.search(head):
        return head[: end.end()]
    return head if final or len(head) == HEADER_REACH else None


def _first_set(text: str) -> tuple[int, Delimiters | None]:
    """Place of the first set's header, or of the first bill's event, after a terminator; and the delimiters there.

    The length of the text and None if there is none.
    """
    for begins in _SET_BEGINS.finditer(text):
        before = _TERMINATOR_BEFORE.search(text, max(0, begins.start() - HEADER_REACH), begins.start())
        element = begins["element"] or begins["other"]
        if before is not None and before["terminator"] != element:
            return begins.start(), Delimiters(element, before["terminator"])
    return len(text), None


def read_header(head: str) -> Header | str:
    """The header of the ISA at the beginning of `head`, whatever is at fault with it; or why it can't be read.

    It may be broken into lines. Its delimiters are those that it declares, unless the segments after it end otherwise.
    """
    joined = _without_breaks(head)
    for text in (joined, head):
        is_beyond = text is not head and text[ISA_LENGTH : ISA_LENGTH + 1].isalnum()  # a line break is the terminator
        if _is_regular(text) and not is_beyond:
            return _header(head, text, ISA_LENGTH)
    separator = joined[3]
    parts = joined.split(separator, 16)
    if len(parts) == 17 and separator not in _NO_DELIMITERS and re.match(r"\W\W", parts[16]):
        length = sum(map(len, parts[:16])) + 16 + 1
        if _FOLLOWS.match(joined, length + 1):
            return _header(head, joined, length)
    return _header_by_sets(head, joined)


def _is_regular(isa: str) -> bool:
    return len(isa) > ISA_LENGTH and all(isa[place] == isa[3] for place in _SEPARATOR_PLACES)


def _header(head: str, text: str, length: int) -> Header | str:
    """The header of an ISA whose length is known, without its terminator."""
    isa = text[:length]
    declared = re.compile(_TERMINATOR, re.ASCII).match(text, length)
    terminator = text[length] if declared is None else declared[0]
    _, found = _first_set(text[length:])
    if found is None and text is not head and _first_set(head)[1] is not None:
        return _header_by_sets(head, head)  # line breaks end the segments, not the terminator of the ISA
    is_used = terminator not in _BREAKS and terminator in text[length + 1 :]
    if found is not None and found.terminator != terminator and not is_used:
        return _header_by_sets(head, text)
    delimiters = Delimiters(isa[3], terminator)
    if fault := _delimiters_fault(delimiters, isa[-1]):
        by_sets = _header_by_sets(head, text)
        return by_sets if isinstance(by_sets, Header) else fault
    faults = _isa_faults(isa, isa[3])
    return Header(delimiters, isa, terminator, _length_in(head, text, length + len(terminator)), tuple(faults))


def _header_by_sets(head: str, text: str) -> Header | str:
    """The header of an ISA at fault: up to the next segment, with the delimiters that its sets have."""
    start, found = _first_set(text)
    if found is None:
        return NO_ISA
    start = _header_end(text, start, found)
    isa, joint = _apart(text[:start].rstrip(BLANKS), found)
    faults = _isa_faults(isa, found.element) or ["the ISA is damaged"]
    if _is_regular(isa):
        declared, used = isa[ISA_LENGTH:], found.terminator
        faults = [f"the ISA declares the terminator {declared!r}, but {used!r} ends its segments"]
    return Header(found, isa, joint, _length_in(head, text, start), tuple(faults))


def _apart(before: str, delimiters: Delimiters) -> tuple[str, str]:
    """The text before the first segment, and its terminator if it has one."""
    isa = before.removesuffix(delimiters.terminator)
    return isa, before[len(isa) :]


def _header_end(text: str, start: int, delimiters: Delimiters) -> int:
    """Place of the first segment after an ISA at fault, at the latest that of a set."""
    follows = re.search(rf"(?<=\W)(?:GS|TA1|ST){re.escape(delimiters.element)}", text[:start])
    return start if follows is None else follows.start()


def _length_in(head: str, text: str, length: int) -> int:
    return length if text is head else _raw_length(head, length, USUAL)


def _delimiters_fault(delimiters: Delimiters, component: str) -> str | None:
    element, terminator = delimiters
    if terminator.isalnum() and terminator.isascii():
        return f"the ISA declares {terminator!r} as the segment terminator, which text may contain: use ~"
    if len({element, terminator, component}) < 3 or component.isalnum():
        return "the ISA has no component separator of its own (ISA16): the 16 elements of an ISA must come first"
    if element.isalnum() or element in _NO_DELIMITERS or terminator in _NO_DELIMITERS:
        return f"the ISA declares {element!r} and {terminator!r} as separators, which text may contain"
    if component == "~" and terminator in "\r\n":
        return "ISA16 (the component separator) is missing, or the terminator after it"
    return None


def _isa_faults(isa: str, separator: str) -> list[str]:
    """Wrong elements of an ISA. No credential is quoted."""
    parts = upper(isa).split(separator)
    if len(parts) != len(ISA_WIDTHS):
        missing = ": ISA16, the component separator, is missing" if len(parts) == len(ISA_WIDTHS) - 1 else ""
        return [f"the ISA has {len(parts) - 1} elements instead of 16{missing}"]
    faults = []
    for number, (value, width) in enumerate(zip(parts, ISA_WIDTHS, strict=True)):
        is_wide = len(value) == width or (number in _PADDED and len(value) < width)
        shape = _SHAPES.get(number)
        if not (is_wide and (shape is None or shape.fullmatch(value))):
            shown = "" if number in (2, 4) else f" {value[:40]!r}"
            faults.append(f"ISA{number:02}{shown} has not the {width} places, or not the characters, of its kind")
    return faults


@cache
def _mark_pattern(delimiters: Delimiters) -> re.Pattern[str]:
    element, terminator = map(re.escape, delimiters)
    names = "[Gg][SsEe]|[Ss][TtEe]|[Ii][SsEe][Aa]|[Tt][Aa]1"
    return re.compile(rf"{terminator}{_BLANK}*+(?=[GSITgsit])({names}){_BLANK}*{element}")


def _one_line(text: str, delimiters: Delimiters) -> str:
    """The text without line breaks (some systems break after each segment, some every 80 characters), and with blanks
    for no-break spaces before a segment. Within one they are damage."""
    text = _without_breaks(text, delimiters)
    if "\xa0" not in text:
        return text
    before_segment = rf"(?:\A|(?<={re.escape(delimiters.terminator)})){_BLANK_RUN}"
    return re.sub(before_segment, lambda found: " " * len(found[0]), text)


def _without_breaks(text: str, delimiters: Delimiters = USUAL) -> str:
    for line_break in _BREAKS:
        if line_break in text and line_break not in delimiters:
            text = text.replace(line_break, "")
    return text


def _raw_length(raw: str, length: int, delimiters: Delimiters) -> int:
    """Length in `raw` of the first characters of the same text on one line."""
    low, high = length, len(raw)
    while low < high:
        middle = (low + high) // 2
        breaks = sum(raw.count(one, 0, middle) for one in _BREAKS if one not in delimiters)
        low, high = (middle + 1, high) if middle - breaks < length else (low, middle)
    return low
