"""CAMIR below the meaning of records: from bytes to records of 80 places, and the fields of each record.

Records come unseparated, or separated by line breaks or by `*`, `~` or `#`. They depend only on the bytes, not on the
chunks they come in. Memory is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from router.feeds.bounded_input import BLANKS, ENCODING, UnreadableInput, blocks
from router.feeds.cbp_messages import upper

RECORD_LENGTH: Final = 80

_LAYOUT: Final = {
    "ACR": "application 14-15, date 16-21, time 22-27",
    "ZCR": "records 35-39",
    "M01": "carrier 4-7, vessel 12-34, voyage 35-39, sequence 45-50, imo 52-58",
    "R01": "carrier 4-7, port 8-11, vessel 12-34, voyage 35-39, sequence 40-45, arrival 46-51",
    "J01": "issuer 4-7",
    "R02": (
        "bill 4-15, code 16-17, quantity 18-27, entry_type 28-29, entry_number 30-44, date 45-50, time 51-54, "
        "reversal 67-67, continued 68-68, resent 69-69"
    ),
    "continuation": "port 4-7, firms 8-11, destination 12-15, container 24-37, qualifier 38-40, reference 41-70",
    "B04": "qualifier 4-6, value 7-36",
    "R03": "remark 4-80",
    "R05": "container 4-17",
    "R06": "code 4-6, date 7-12, time 13-16",
}
"""First and last place of each field, counted from 1 as CBP does."""

_PLACE: Final = re.compile(r"(\w+) (\d+)-(\d+)")
_SLICES: Final = {
    record: {name: slice(int(first) - 1, int(last)) for name, first, last in _PLACE.findall(places)}
    for record, places in _LAYOUT.items()
}

_NAME: Final = r"(?:ACR|ZCR|[A-Z][0-9]{2})"
_RECORD: Final = re.compile(_NAME)
_SEPARATED: Final = re.compile(rf"[^\r\n]{{3,{RECORD_LENGTH}}}?([*~#])[\r\n]{{0,4}}{_NAME}")
_TRANSMISSION: Final = re.compile(r"ACR[A-Z0-9 ]{10}[A-Z]{2}")
_TRANSMISSION_LENGTH: Final = 15
_LOOK_AHEAD: Final = 8
"""Characters that decide if a separator precedes a record: itself, line breaks and a name."""


def field(record: str, kind: str, name: str) -> str:
    """One field in upper case, stripped. The part cut off a short record is blank."""
    return upper(record[_SLICES[kind][name]].strip())


def fields(record: str, kind: str) -> dict[str, str]:
    record = upper(record)
    return {name: record[place].strip() for name, place in _SLICES[kind].items()}


def read_records(chunks: Iterable[bytes]) -> Iterator[str | UnreadableInput]:
    """Records in order, each of at most 80 places, and what lies between them."""
    reader = _RecordReader()
    for block in blocks(chunks):
        yield from reader.read(block.decode(ENCODING), final=False)
    yield from reader.read("", final=True)


class _RecordReader:
    def __init__(self) -> None:
        self._raw = ""
        """Input not yet read."""
        self._line = ""
        """Rest of the current line."""
        self._separator: re.Pattern[str] | None = None
        self._begun = False
        self._unreadable: UnreadableInput | None = None

    def read(self, text: str, final: bool) -> Iterator[str | UnreadableInput]:
        self._raw += text
        if not self._begun:
            self._raw = self._raw.lstrip(BLANKS)
            if len(self._raw) < 2 * RECORD_LENGTH and not final:
                return
            self._begun = True
            # The first two records decide, since one file comes from one sender. A separator stands only before a
            # record or at the end: in free text the same character is text.
            if match := _SEPARATED.match(self._raw):
                self._separator = re.compile(rf"{re.escape(match[1])}(?=[\r\n]{{0,4}}(?:{_NAME}|\Z))")
        end = len(self._raw) if final else max(0, len(self._raw) - _LOOK_AHEAD)
        text = self._separator.sub("\n", self._raw) if self._separator is not None else self._raw
        self._raw = self._raw[end:]
        *lines, rest = (self._line + text[:end].replace("\r", "\n")).split("\n")
        for line in [*lines, rest] if final else lines:
            yield from self._records(line, whole=True)
        if not final:
            yield from self._records(rest, whole=False)

    def _records(self, line: str, whole: bool) -> Iterator[str | UnreadableInput]:
        """Cut a line into records. Unreadable input ends at the next transmission or with the line."""
        place = 0
        while place < len(line) and (whole or len(line) - place >= RECORD_LENGTH):
            text = line[place : place + RECORD_LENGTH]
            if self._unreadable is None and _RECORD.match(text):
                yield text
                place += RECORD_LENGTH
            elif self._unreadable is None and not text.strip(BLANKS):
                place += RECORD_LENGTH
            else:
                next_one = _TRANSMISSION.search(line, place)
                end = next_one.start() if next_one else len(line) - (0 if whole else _TRANSMISSION_LENGTH - 1)
                self._unreadable = (self._unreadable or UnreadableInput()).add(line[place:end].encode(ENCODING))
                place = end
                if next_one:
                    yield self._unreadable
                    self._unreadable = None
        self._line = "" if whole else line[place:]
        if whole and self._unreadable is not None:
            yield self._unreadable
            self._unreadable = None
