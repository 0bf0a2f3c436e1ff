"""Masks of what manifests tell of consignees, shippers and cargo, which is kept nowhere.

Of a segment or record only the elements that are read stay, if they have the shape of such. Of all else the name and
the length stay. Where the ends of segments can't be told, nothing but names stays.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from router.feeds.manifest_layouts import READ_ELEMENTS, RECORDS, REFERENCES, SEGMENTS

_NAME_LENGTH: Final = 3
_X12: Final = re.compile(r"(?:\bST(?P<set>[^\w\s])309(?P=set)|\b(?:M11|N10)(?P<element>[^\w\s]))", re.IGNORECASE)
_ENDS: Final = re.compile(r"([^\w\s]|[\r\n])\s{0,4}(?:M10|M11|P4|LX|N1|N9|N10|VID|SE)[^\w\s]", re.IGNORECASE)
"""The character before a segment."""
_STATUS_SET: Final = "350"
_ENVELOPES: Final[Mapping[str, int]] = {"ISA": 16, "GS": 8, "GE": 2, "IEA": 2}
"""Elements of the segments around sets, which stay whole."""

_CAMIR: Final = re.compile(r"ACR.{10}(?:MI|AI)|B01[A-Z0-9 ]{17}[0-9 ]{10}", re.IGNORECASE | re.DOTALL)
_CARGO_RECORD: Final = re.compile(r"(?:^|[\r\n*~#])[BSUND]0[0-3]", re.IGNORECASE)
_CAMIR_HEADER: Final = re.compile(r"ACR|M01|P01|J01", re.IGNORECASE)
_STATUS_TRANSMISSION: Final = re.compile(r"ACR.{10}RC", re.IGNORECASE)
_FRAME: Final = ("ACR", "ZCR")
_RECORD_LENGTH: Final = 80
_SEPARATORS: Final = re.compile(r"[\r\n*~#]")


def cargo_details(text: str) -> Iterator[tuple[int, int]]:
    """First place and end of each stretch of text to mask."""
    found = _X12.search(text)
    if found is not None:
        yield from _in_x12(text, found["set"] or found["element"])
    elif _CAMIR.search(text) or (_CARGO_RECORD.search(text) and _CAMIR_HEADER.search(text)):
        yield from _in_camir(text)


def _in_x12(text: str, element: str) -> Iterator[tuple[int, int]]:
    ends = Counter(match[1] for match in _ENDS.finditer(text) if match[1] != element)
    end = ends.most_common(1)[0][0] if ends else None
    start, is_status = 0, False
    for piece in text.split(end) if end is not None else [text]:
        lead = len(piece) - len(piece.lstrip())
        values = piece[lead:].split(element)
        name = values[0].strip().upper()
        if name in ("ST", "ISA", "GS", "SE", "GE", "IEA"):
            is_status = name == "ST" and values[1:2] == [_STATUS_SET]
        if not is_status:
            yield from _unread_elements(values, name, start + lead)
        start += len(piece) + 1


def _unread_elements(values: Sequence[str], name: str, start: int) -> Iterator[tuple[int, int]]:
    read, layout = READ_ELEMENTS.get(name, frozenset()), SEGMENTS.get(name, ())
    if name in _ENVELOPES and len(values) <= 1 + _ENVELOPES[name]:
        return
    if name == "N9" and values[1:2] and values[1].strip().upper() not in REFERENCES:
        read = frozenset({1})
    for number, value in enumerate(values):
        is_read = number in read and number <= len(layout) and layout[number - 1].shape.fullmatch(value.strip().upper())
        if number == 0:
            if len(value) > _NAME_LENGTH:
                yield start + _NAME_LENGTH, start + len(value)
        elif value and not is_read:
            yield start, start + len(value)
        start += len(value) + 1


def _in_camir(text: str) -> Iterator[tuple[int, int]]:
    start, is_status = 0, False
    for line in _SEPARATORS.split(text):
        for place in range(0, len(line), _RECORD_LENGTH):
            record = line[place : place + _RECORD_LENGTH]
            kind = record[:_NAME_LENGTH].upper()
            if kind == "ACR":
                is_status = _STATUS_TRANSMISSION.match(record) is not None
            if not is_status and kind not in _FRAME:
                yield from _unread_places(record, kind, start + place)
        start += len(line) + 1


def _unread_places(record: str, kind: str, start: int) -> Iterator[tuple[int, int]]:
    place = _NAME_LENGTH
    for field in RECORDS.get(kind, ()):
        if field.characters.fullmatch(record[field.place].upper()):
            if place < field.place.start:
                yield start + place, start + min(field.place.start, len(record))
            place = field.place.stop
    if place < len(record):
        yield start + place, start + len(record)
