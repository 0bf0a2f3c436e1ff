"""CAMIR below the meaning of records: from bytes to the records of each transmission, and the fields of a record.

Records have 80 places. They come unseparated, or separated by line breaks or by `*`, `~` or `#`, and depend only on the
bytes, not on the chunks they come in. Memory is bounded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from operator import itemgetter
from typing import Final, NamedTuple

from router.feeds.bounded_input import BLANKS, ENCODING, UnreadableInput, blocks
from router.feeds.cbp_messages import upper

RECORD_LENGTH: Final = 80
MOST_RECORDS: Final = 99_999
"""Records of one transmission that ZCR 35-39 can count. A longer one is damaged."""
MOST_TEXT: Final = 1 << 25
"""Characters of one transmission. CBP's limit is 12 MiB."""
CONTINUATION: Final = "continuation"
"""Kind of an R02 that continues the R02 before it."""

_CLASSES: Final = {
    "any": ".{{{0}}}",
    "blank": " {{{0}}}",
    "letters": "[A-Z ]{{{0}}}",
    "application": "[A-Z]{2}",
    "code": "[A-Z0-9]{{{0}}}",
    "key": "[A-Z0-9 ./-]{{{0}}}",
    "qualifier": "[A-Z0-9]{2}[A-Z0-9 ]",
    "value": "(?! {{{0}}})[A-Z0-9 ./-]{{{0}}}",
    "text": "[ -~]{{{0}}}",
    "SCAC": "(?:[A-Z]{4}|[A-Z]{3} |[A-Z]{2}  )",
    "SCAC?": "(?:[A-Z]{4}|[A-Z]{3} |[A-Z]{2}  |    )",
    "date": "[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])",
    "date?": "(?:[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])|0{6}| {6})",
    "time": "(?:[01][0-9]|2[0-3])[0-5][0-9]",
    "time?": "(?:(?:[01][0-9]|2[0-3])[0-5][0-9]{3}| {6})",
    "N": "[N ]",
    "1": "[01 ]",
    "Y": "[YN ]",
}
"""Pattern of each class of values; `{0}` is the field's length. `?` marks those that may be absent."""

LAYOUT: Final = {
    "ACR": "participant 4-7 key, access_code 8-13 any, application 14-15 application, date 16-21 date?, "
    "time 22-27 time?, batch 28-32 digits",
    "ZCR": "records 35-39 digits",
    "M01": "carrier 4-7 SCAC?, mode 8-9 digits, flag 10-11 letters, vessel 12-34 text, voyage 35-39 key, "
    "sequence 45-50 digits, imo 52-58 key",
    "M02": "",
    "R01": "carrier 4-7 SCAC?, port 8-11 digits, vessel 12-34 text, voyage 35-39 key, sequence 40-45 digits, "
    "arrival 46-51 date?",
    "J01": "issuer 4-7 SCAC",
    "R02": "bill 4-15 key, code 16-17 code, quantity 18-27 digits, entry_type 28-29 key, entry_number 30-44 key, "
    "date 45-50 date, time 51-54 time, reversal 67-67 N, continued 68-68 1, resent 69-69 Y",
    CONTINUATION: "port 4-7 digits, firms 8-11 key, destination 12-15 digits, foreign_port 16-20 digits, "
    "filler 21-23 blank, container 24-37 key, qualifier 38-40 key, reference 41-70 text",
    "B04": "qualifier 4-6 qualifier, value 7-36 value",
    "R03": "remark 4-80 any",
    "R04": "",
    "R05": "container 4-17 key",
    "R06": "code 4-6 code, date 7-12 date, time 13-16 time",
    "C01": "",
    "C02": "",
}
"""First and last place of each field, counted from 1 as CBP does, and its class.

Fields between these are not read. Sources and their certainty: CBP's record formats as restated by a third party.
"""

_FIELD: Final = re.compile(r"(\w+) (\d+)-(\d+) (\S+?)(?:,|$)")


class _Field(NamedTuple):
    name: str
    first: int
    last: int
    kind: str

    @property
    def place(self) -> slice:
        return slice(self.first - 1, self.last)

    @property
    def pattern(self) -> str:
        length = self.last - self.first + 1
        if self.kind != "digits":
            pattern = _CLASSES[self.kind]
            return pattern.format(length) if "{0}" in pattern else pattern
        aligned = (f" {{{blanks}}}[0-9]{{{length - blanks}}}" for blanks in range(1, length))
        return "(?:" + "|".join((f"[0-9]{{{length}}}", f" {{{length}}}", *aligned)) + ")"


_FIELDS: Final = {
    kind: tuple(_Field(name, int(first), int(last), value) for name, first, last, value in _FIELD.findall(layout))
    for kind, layout in LAYOUT.items()
}
PLACES: Final = {kind: {one.name: one.place for one in found} for kind, found in _FIELDS.items()}
_BILL_EVENT: Final = (
    rf"(?=.{{44}}[0-9]{{10}}).{{3}}[A-Z0-9][A-Z0-9 -]{{11}}[A-Z0-9]{{2}}.{{27}}{_CLASSES['date']}{_CLASSES['time']}"
)
"""Bill, code, date and time at the places of an R02, whatever its id."""
_BILL_EVENT_FITS: Final = re.compile(_BILL_EVENT, re.DOTALL).match


_WIDE: Final = frozenset({"B04", "R03", "R04", "R05", "M02", "C01", "C02"})
"""Records whose layout a bill's event fits too."""


def _record_pattern(kind: str) -> re.Pattern[str]:
    """All fields of a record in order, as far as they have a class; but no bill's event under another id."""
    pattern, place = f"(?!{_BILL_EVENT})" if kind in _WIDE else "", 1
    for one in _FIELDS[kind]:
        if one.kind != "any":
            pattern += f".{{{one.first - place}}}{one.pattern}"
            place = one.last + 1
    return re.compile(pattern, re.DOTALL)


QUICK_FITS: Final = {kind: _record_pattern(kind).match for kind in LAYOUT}
"""Tests of records of 80 places in capitals, by kind."""

_ID: Final = r"(?:[Aa][Cc][Rr]|[Zz][Cc][Rr]|[A-Za-z][0-9]{2})"
_RECORD: Final = re.compile(_ID)
_INNER: Final = frozenset(LAYOUT) - {"ACR", "ZCR"}
"""Ids of records within a transmission."""
_SEPARATOR: Final = re.compile(rf"([*~#])[\r\n]{{0,4}}(?={_ID})")
_FIRST_SEPARATOR: Final = re.compile(rf"[^\r\n]{{3,{RECORD_LENGTH}}}?([*~#])[\r\n]{{0,4}}{_ID}")
_HEAD: Final = 8 * RECORD_LENGTH
"""Characters that tell the separator."""
_TRANSMISSION: Final = "[Aa][Cc][Rr][A-Za-z0-9 ]{10}[A-Za-z]{2}"
_FOLLOWED: Final = rf"{_ID}(?=[^\n]{{{RECORD_LENGTH - 3}}}[*~#]?{_ID})"
_NEXT: Final = re.compile(rf"{_TRANSMISSION}|{_FOLLOWED}")
"""Place at which records go on after unreadable text: a transmission, or a record that another follows."""
_NEXT_OR_LAST: Final = re.compile(
    rf"{_NEXT.pattern}|{_ID}[^\n]{{{RECORD_LENGTH - 3}}}[*~#]?\Z|[Zz][Cc][Rr][^\n]{{0,{RECORD_LENGTH - 3}}}\Z"
)
"""The same in a whole line, which may end with the record."""
_NEXT_LENGTH: Final = RECORD_LENGTH + 4
_REACH: Final = RECORD_LENGTH - 1
"""Places that a record may have lost."""
_LOOK_AHEAD: Final = 8
"""Characters that decide if a separator precedes a record: itself, line breaks and a record id."""
_ZCR: Final = rf"[Zz][Cc][Rr](?:[^\r\n]{{{RECORD_LENGTH - 3}}}[*~#]?|[^\r\n]{{0,{RECORD_LENGTH - 3}}}[\r\n]+)"
_ENDED: Final = re.compile(rf"{_ZCR}\Z")
"""The end of a transmission, after which nothing more may come for a while."""
_FIRST_END: Final = re.compile(_ZCR)


def field(record: str, kind: str, name: str) -> str:
    """One field in upper case, stripped. The part cut off a short record is blank."""
    return upper(record[PLACES[kind][name]].strip())


def fields(record: str, kind: str) -> dict[str, str]:
    record = upper(record)
    return {name: record[place].strip() for name, place in PLACES[kind].items()}


@cache
def _cutter(kind: str) -> Callable[[str], tuple[str, ...]]:
    return itemgetter(*PLACES[kind].values())


def values(record: str, kind: str) -> Iterator[str]:
    """The fields of a record that fits, in the layout's order, stripped."""
    return map(str.strip, _cutter(kind)(record))


def fits(record: str, kind: str) -> bool:
    """True if every field is of its class; blanks may be trimmed."""
    return QUICK_FITS[kind](upper(record).ljust(RECORD_LENGTH)) is not None


def is_bill_event(record: str) -> bool:
    """True if a record reads as an R02 at its places, whatever its id."""
    return _BILL_EVENT_FITS(upper(record)) is not None


def layout_fault(record: str, kind: str) -> str | None:
    """The first field that is not of its class, in words; None if all are."""
    text, name = upper(record).ljust(RECORD_LENGTH), "R02 continuation" if kind == CONTINUATION else kind
    for one in _FIELDS[kind]:
        if re.fullmatch(one.pattern, text[one.place], re.DOTALL) is None:
            value = record[one.place].strip()
            return f"{name} {one.first}-{one.last} {value!r} is no {one.name.replace('_', ' ')}"
    return None


class Gap(NamedTuple):
    """Text between records that is none."""

    content: UnreadableInput
    records: int
    """Records that it may have been, by its length: 0 for a few characters after a record."""
    begins_line: bool
    ends_line: bool


class Transmission(NamedTuple):
    """The records from ACR to ZCR, as far as they are there, and the gaps between them.

    One with more records than a ZCR can count, or with more text than CBP sends, comes in several parts.
    """

    parts: list[str | Gap]
    begins: bool = True
    """False if the beginning came before."""
    ends: bool = True


def read_transmissions(chunks: Iterable[bytes]) -> Iterator[Transmission]:
    """Transmissions in order, each when it is complete. Records have at most 80 places."""
    reader = _TransmissionReader()
    for block in blocks(chunks):
        yield from reader.read(block.decode(ENCODING), final=False)
    yield from reader.read("", final=True)


class _TransmissionReader:
    def __init__(self) -> None:
        self._raw = ""
        """Input not yet read."""
        self._line = ""
        """Rest of the current line."""
        self._begins_line = True
        self._separator: re.Pattern[str] | None = None
        self._begun = False
        self._gap: UnreadableInput | None = None
        self._is_blank = True
        """True while the gap has only blanks."""
        self._gap_begins_line = False
        self._margin: int | None = None
        """Blanks after the first line's record of 80 places: some systems have longer lines."""
        self._parts: list[str | Gap] = []
        self._begins = True
        self._text = 0
        """Characters of the unreadable parts."""
        self._done: list[Transmission] = []

    def read(self, text: str, final: bool) -> list[Transmission]:
        """The transmissions that the text completes; with `final`, all."""
        self._raw += text
        if not self._begun:
            self._raw = self._raw.lstrip(BLANKS)
            first = _FIRST_END.search(self._raw, 0, _HEAD)
            if len(self._raw) < _HEAD and first is None and not final:
                return []
            self._begun, self._separator = True, _separator_of(self._raw[: first.end() if first else _HEAD])
        has_ended = final or _ENDED.search(self._raw, max(0, len(self._raw) - _NEXT_LENGTH))
        end = len(self._raw) if has_ended else max(0, len(self._raw) - _LOOK_AHEAD)
        text = self._separator.sub("\n", self._raw) if self._separator is not None else self._raw
        self._raw = self._raw[end:]
        *lines, rest = (self._line + text[:end].replace("\r", "\n")).split("\n")
        for line in [*lines, rest] if final else lines:
            self._read_line(line, whole=True)
        if not final:
            self._read_line(rest, whole=False)
        elif self._parts or not self._begins:
            self._hand_on(ends=True)
        if len(self._parts) > MOST_RECORDS + len(("ACR", "ZCR")) or self._text > MOST_TEXT:
            self._hand_on(ends=False)
        done, self._done = self._done, []
        return done

    def _hand_on(self, ends: bool) -> None:
        self._done.append(Transmission(self._parts, self._begins, ends))
        self._parts, self._begins, self._text = [], ends, 0

    def _read_line(self, line: str, whole: bool) -> None:
        """Cut a line into records. A gap ends where records go on, or with the line."""
        place, length, begins_line = 0, len(line), self._begins_line
        while place < length and (whole or length - place >= RECORD_LENGTH):
            text = line[place : place + RECORD_LENGTH]
            if self._gap is None and text[:3] in _INNER:
                self._parts.append(text)
                place += RECORD_LENGTH
            elif self._gap is None and _RECORD.match(text):
                self._add_record(text)
                place += RECORD_LENGTH
            elif not whole and length - place < _NEXT_LENGTH:
                break
            elif self._gap is None and not begins_line and (taken := self._taken_by_last(line[place:], whole)):
                line, place = taken + line[place:], 0
                length = len(line)
            else:
                found = (_NEXT_OR_LAST if whole else _NEXT).search(line, place)
                decided = length if whole else length - _NEXT_LENGTH
                is_found = found is not None and found.start() <= decided
                end = found.start() if found is not None and is_found else decided
                self._add_gap(line[place:end], begins_line)
                place, begins_line = end, False
                if is_found:
                    self._end_gap(ends_line=False)
                elif not whole:
                    break
            begins_line = False
        self._line, self._begins_line = ("", True) if whole else (line[place:], begins_line)
        if whole and not begins_line:
            self._end_gap(ends_line=True)

    def _taken_by_last(self, text: str, whole: bool) -> str:
        """The beginning of the next record, if the last one has lost places and was cut too late; else nothing."""
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, str) or len(last) < RECORD_LENGTH:
            return ""
        end = last[-_REACH:]
        found = (_NEXT_OR_LAST if whole else _NEXT).search(end + text[:_NEXT_LENGTH])
        if found is None or found.start() >= len(end):
            return ""
        taken = end[found.start() :]
        self._parts[-1] = last[: -len(taken)]
        return taken

    def _add_record(self, record: str) -> None:
        """Add a record, its id in capitals. An ACR ends the transmission before it, and a ZCR its own."""
        kind = upper(record[:3])
        if kind == "ACR" and (self._parts or not self._begins):
            self._hand_on(ends=True)
        self._parts.append(kind + record[3:])
        if kind == "ZCR":
            self._hand_on(ends=True)

    def _add_gap(self, text: str, begins_line: bool) -> None:
        if self._gap is None:
            self._gap, self._gap_begins_line, self._is_blank = UnreadableInput(), begins_line, True
        self._gap.add(text.encode(ENCODING))
        self._is_blank = self._is_blank and not text.strip(BLANKS)

    def _end_gap(self, *, ends_line: bool) -> None:
        """Add the gap, but for blanks before a line's records and for a margin as wide as the first line's."""
        gap, self._gap = self._gap, None
        if gap is None or self._is_blank:
            margin = gap.size if gap is not None else 0
            if ends_line and self._margin is None:
                self._margin = margin
            if gap is None or self._gap_begins_line or not self._parts or (ends_line and margin == self._margin):
                return
        records = max(int(self._gap_begins_line), round(gap.size / RECORD_LENGTH))
        self._parts.append(Gap(gap, records, self._gap_begins_line, ends_line))
        self._text += gap.size


def _separator_of(head: str) -> re.Pattern[str] | None:
    """The separator of a file, which comes from one sender. It stands only before a record or at the end: in free text
    the same character is text."""
    first = _FIRST_SEPARATOR.match(head)
    found = first[1] if first else None
    if found is None:
        counts = Counter(_SEPARATOR.findall(head))
        found = next((text for text, count in counts.most_common(1) if count > 1), None)
    return re.compile(rf"{re.escape(found)}(?=[\r\n]{{0,4}}(?:{_ID}|\Z))") if found else None
