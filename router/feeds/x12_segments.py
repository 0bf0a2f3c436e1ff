"""Segments of the X12 350 as data: their elements, and what makes one damaged; the order of a set as a grammar.

Sources: ASC X12 dictionaries of 004010 to 006050; where they differ, the longer element. Elements that no rule needs
are optional here, and elements whose table could not be read take any text of moderate length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from router.feeds.bounded_input import BLANKS, SHOWN
from router.feeds.cbp_messages import PADDING, upper
from router.feeds.x12_interchanges import USUAL, Delimiters
from router.model.identifiers import LONGEST_BILL_NUMBER, found_number


class Element(NamedTuple):
    kind: str
    least: int
    most: int
    is_required: bool


_ANY: Final = " ".join(20 * ["AN1-80"])
_TABLE: Final = {
    "GS": "ID2! AN1-15! AN1-15! DT8! TM4-8! N1-9! ID1-2! AN1-12!",
    "ST": "ID3! AN1-9! AN1-35",
    "SE": "N1-10! AN1-9!",
    "GE": "N1-6! N1-9!",
    "IEA": "N1-5! N9!",
    "M10": "ID2-4 ID1-2 ID2-3 ID1-8 AN2-28 AN2-30 AN1-80 R1-15 ID1 ID1 ID1 AN1-80 ID2 ID2 ID1 ID2 ID1",
    "P4": "CO1-30! DT8! R1-15 CO1-30 TM4-8 DT8 TM4-8",
    "V9": "ID3! TX1-25 DT8 TM4-8 TX2-30 ID2 ID2-3 ID3 ID6-9 R1-15 ID1-3 TX1-30 ID2-3 " + 7 * "R1-15 ",
    "VEH": _ANY,
    "NM1": _ANY,
    "VID": "ID2 CO1-4 CO1-15! AN1-15 AN1-15 " + 7 * "AN1-15 " + "AN1-15",
    "M7": "AN1-15! AN1-15 AN1-15 AN1-15 ID2-3",
    "M7A": _ANY,
    "K1": "TX1-30! TX1-30",
    "X4": "BN1-50! R1-15 ID2-3 CO1-50 DT8! TM4-8! ID2-3! CO1-50 ID2-4! ID2-4 CO1-4 CO1-15 CO1-30 CO1-30 ID2-3 AN1-80"
    " ID2-3 CO1-30 CO1-30 ID1",
    "N9": "ID2-3! AN1-80 TX1-45 DT8 TM4-8 ID2-3 AN1-80",
    "N7": "CO1-4 CO1-15! R1-10 ID1-2 R1-8 R1-6 R1-6 R1-8 ID1 ID1 ID2 ID2-4 R1-6 AN1-30 R1-5 ID1-2 ID1 N1 ID2 R1-8 R1-8"
    " ID4 ID2-4 ID1-4",
}
"""Elements by segment: kind, lengths, and `!` if required. Kinds are X12's, and CO for a code or number of letters,
digits, blanks and dashes, BN for a bill number, TX for free text."""

PAIRS: Final = {"X4": ((8, 10), (15, 16))}
"""Elements that come together or not at all (X12 syntax notes)."""
NEEDS: Final = {"X4": ((11, (12,)),), "N9": ((1, (2, 3)),)}
"""Elements of which one of the others must be given too: a container's prefix says nothing without its number."""
EQUIPMENT: Final = {"N7": 1, "VID": 2}
"""Element with the letters of an equipment's number, by segment. If they are given, the next begins with a digit: an N9
under another name does not."""

_TURN: Final = 1 << 16
"""Characters of a set that are split into segments at a time."""
_CLASSES: Final = {
    "ID": ("[A-Z0-9]", "letters and digits"),
    "N": ("[0-9]", "digits"),
    "R": ("[-+0-9.]", "a number"),
    "DT": ("[0-9]", "a date in digits"),
    "TM": ("[0-9]", "a time in digits"),
    "CO": ("[A-Z0-9a-z -]", "letters, digits, blanks and dashes"),
    "AN": ("[^\x00-\x1f\x7f-\xa0]", "text without control characters"),
    "BN": ("[A-Z0-9]", ""),
    "TX": ("[^\0]", "text"),
}

REFERENCES_LEAD: Final = frozenset({"004010"})
"""Versions in which N9, with its K1, comes before the X4 of its bill, and not after it (ASC X12 004010, 350)."""


def _elements(specification: str) -> tuple[Element, ...]:
    found = []
    for one in specification.split():
        match = re.fullmatch(r"([A-Z]+)([0-9]+)(?:-([0-9]+))?(!?)", one)
        assert match is not None, one
        found.append(Element(match[1], int(match[2]), int(match[3] or match[2]), bool(match[4])))
    return tuple(found)


SEGMENTS: Final = {name: _elements(specification) for name, specification in _TABLE.items()}


_LEAST_OF_EVENT: Final = max(number for number, element in enumerate(SEGMENTS["X4"], 1) if element.is_required)
"""Elements of the shortest X4."""


def fault_of(parts: list[str]) -> str | None:
    """The first thing that is wrong with a segment in capitals, its elements stripped and its name first; or None.

    Unknown names are faults too, and so is a bill's event within another segment.
    """
    name, elements = parts[0], SEGMENTS.get(parts[0])
    if elements is None:
        return f"{name[:SHOWN]!r} is no segment of a 350"
    if len(parts) - 1 > len(elements):
        most = f"it has {len(parts) - 1} elements, and {name} has at most {len(elements)}"
        return f"{most}; a segment terminator may be missing"
    for number, element in enumerate(elements, 1):
        value = parts[number] if number < len(parts) else ""
        if fault := _element_fault(value, element):
            return f"{name}{number:02} {fault}"
    values = [*parts, *[""] * len(elements)]
    if name == "X4" and found_number(values[1], values[9]) is None:
        return f"X401 {values[1][:SHOWN]!r} is not a bill number of one to twelve letters and digits"
    for one, other in PAIRS.get(name, ()):
        if bool(values[one]) != bool(values[other]):
            return f"{name}{one:02} and {name}{other:02} must come together"
    for one, others in NEEDS.get(name, ()):
        if values[one] and not any(values[other] for other in others):
            return f"{name}{one:02} comes without {' or '.join(f'{name}{other:02}' for other in others)}"
    if (initial := EQUIPMENT.get(name)) and values[initial] and not values[initial + 1][:1].isdigit():
        return f"{name}{initial + 1:02} {values[initial + 1][:SHOWN]!r} is no equipment number"
    return None if name == "X4" else hidden_event_fault(parts)


def hidden_event_fault(parts: list[str]) -> str | None:
    """The fault of a segment that is a whole X4 under another name, or that has swallowed one; or None.

    It matters where layouts are wide enough for an X4, or unknown.
    """
    for index, part in enumerate(parts[:-_LEAST_OF_EVENT]):
        if (index == 0 or part.endswith("X4")) and fault_of(["X4", *parts[index + 1 :]]) is None:
            return "its elements are those of an X4" if index == 0 else "it has swallowed an X4"
    return None


def _element_fault(value: str, element: Element) -> str | None:
    if not value:
        return "is missing" if element.is_required else None
    shown = repr(value[:SHOWN])
    if len(value) > element.most:
        most = f"{shown} has {len(value)} characters, and at most {element.most} are allowed"
        return f"{most}; a segment terminator may be missing"
    if len(value) < element.least:
        return f"{shown} has fewer than {element.least} characters"
    characters, kind = _CLASSES[element.kind]
    if element.kind == "BN":
        return None  # read with its issuer
    return None if re.fullmatch(f"{characters}+", value) else f"{shown} is not {kind}"


class CheckedSet(NamedTuple):
    """The segments of a set that may be damaged, and what is wrong with them."""

    texts: list[str]
    """Without blank ones, names in capitals."""
    damage: dict[int, str]
    """Faults of damaged segments, by index."""
    disorder: list[str]
    """Segments out of place."""


def is_whole_set(text: str, start: int, end: int, delimiters: Delimiters, references_lead: bool) -> bool:
    """True if it is certain at first sight that no segment of a set's body is damaged or out of place.

    In the text a terminator comes before each segment. It takes a fraction of the time of looking at each.
    """
    if delimiters != USUAL and end - start < _TURN:
        return False  # the pattern takes longer to make than the segments to look at
    return _whole_set(delimiters, references_lead).fullmatch(text, start, end) is not None


def segments_in(text: str, start: int, end: int, terminator: str) -> Iterator[list[str]]:
    """The segments of a whole set, some at a time."""
    while start < end:
        stop = text.rfind(terminator, start + 1, start + _TURN) if end - start > _TURN else end
        stop = stop if stop > 0 else end
        yield text[start + len(terminator) : stop].split(terminator)
        start = stop


def checked_set(body: str, delimiters: Delimiters, references_lead: bool, extra: frozenset[str]) -> CheckedSet:
    """Look at each segment of a set's body. `extra`: names of segments to pass over."""
    checked = CheckedSet([], {}, [])
    state = ""
    for piece in body.split(delimiters.terminator):
        name, separator, rest = piece.lstrip(BLANKS).rstrip(PADDING).partition(delimiters.element)
        name = upper(name.strip())
        if not name and not rest:
            continue
        parts = [name, *(upper(part).strip(PADDING) for part in rest.split(delimiters.element))]
        fault = hidden_event_fault(parts) if name in extra else fault_of(parts)
        if fault is not None:
            checked.damage[len(checked.texts)] = fault
        checked.texts.append(name + separator + rest)
        if name in SEGMENTS:
            if misplaced := _misplaced(name, state, references_lead):
                checked.disorder.append(f"segment {len(checked.texts) + 1}: {misplaced}")
            state = _STATE_AFTER.get(name, state)
        elif fault is not None:
            state = _STATE_AFTER["X4"]
    return checked


_STATE_AFTER: Final = {"M10": "manifest", "P4": "port", "V9": "port", "X4": "bill"}


def _misplaced(name: str, state: str, references_lead: bool) -> str | None:
    if name == "M10":
        return "a second M10" if state else None
    if not state:
        return f"{name} without an M10 before it"
    if name != "P4" and state == "manifest":
        return f"{name} without a P4 before it"
    if name == "N9" and references_lead:
        return "N9 after an X4, where it may be the next bill's" if state == "bill" else None
    return f"{name} without an X4 before it" if name in ("N9", "N7") and state == "port" else None


@cache
def _whole_set(delimiters: Delimiters, references_lead: bool) -> re.Pattern[str]:
    """Pattern of a body in which no segment is damaged or out of place, at a fraction of the cost of looking at each.

    A body that it does not match may be whole too.
    """
    names = {name: _segment_pattern(name, delimiters) for name in SEGMENTS}

    def any_of(*some: str) -> str:
        return "|".join(names[name] for name in some)

    common = ("N7", "K1", "M7")  # the others may hide an X4
    bill = any_of(*common) if references_lead else any_of("N9", *common)
    port = any_of("V9", *common[1:], "N9") if references_lead else any_of("V9", *common[1:])
    return re.compile(rf"{names['M10']}(?:{names['P4']}(?:{port})*+(?:{names['X4']}(?:{bill})*+)*+)*+")


def _segment_pattern(name: str, delimiters: Delimiters) -> str:
    """The segment after a terminator. Of elements that come together, those apart are empty."""
    separator, terminator = map(re.escape, delimiters)
    elements = SEGMENTS[name]
    pairs, needs = dict(PAIRS.get(name, ())), dict(NEEDS.get(name, ()))
    apart = {one for pair in pairs.items() for one in pair if pair[1] - pair[0] > 1}
    joined = {one for one in (*pairs, *needs) if one not in apart and not elements[one - 1].is_required}
    pieces: list[tuple[str, bool]] = []
    for number, element in enumerate(elements, 1):
        if number in apart:
            pieces.append((separator, False))
        elif number == EQUIPMENT.get(name):
            letters = _element_pattern(element, delimiters, True)
            pieces.append((rf"(?:{separator}{letters}(?={separator}[0-9])|{separator})", False))
        elif number in joined:
            first = _element_pattern(element, delimiters, number in pairs)
            other = _element_pattern(elements[number], delimiters, True)
            pieces.append((rf"(?:{separator}{first}{separator}{other}|{separator}{separator})", False))
        elif number - 1 not in joined:
            is_needed = element.is_required or number - 1 in needs
            pieces.append((separator + _element_pattern(element, delimiters, is_needed), is_needed))
    pattern, is_needed = "", False
    for piece, is_required in reversed(pieces):
        is_needed = is_needed or is_required
        pattern = piece + pattern if is_needed else f"(?:{piece}{pattern}|)"
    return terminator + name + pattern


def _element_pattern(element: Element, delimiters: Delimiters, is_required: bool) -> str:
    inside = _characters(element.kind, delimiters)
    if element.kind == "BN":
        return f"[{inside}]{{1,{LONGEST_BILL_NUMBER}}}"
    if element.least == 1 and not is_required:
        return f"[{inside}]{{0,{element.most}}}"
    some = f"[{inside}]{{{element.least},{element.most}}}"
    return some if is_required else f"(?:{some}|)"


@cache
def _characters(kind: str, delimiters: Delimiters) -> str:
    characters, _ = _CLASSES[kind]
    allowed = (chr(one) for one in range(256) if chr(one) not in "".join(delimiters))
    return "".join(re.escape(one) for one in allowed if re.fullmatch(characters, one))
