"""The nesting of an X12 interchange: groups and transaction sets, their counts, control numbers and versions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from router.decide.rules import Rules
from router.feeds.bounded_input import BLANKS, SHOWN
from router.feeds.cbp_messages import upper
from router.feeds.x12_interchanges import Delimiters, Interchange
from router.feeds.x12_segments import fault_of

STATUS_SET: Final = "350"
STATUS_GROUPS: Final = ("SO", "AU")
"""GS01 of groups with a 350: SO up to 004020 and in CBP's ocean guide, AU later (ASC X12)."""
OTHER_SETS: Final = frozenset({"353", "355", "997", "999"})
"""Sets to carriers that are not for the router. None has an X4 (ASC X12)."""
HEADER_LIMIT: Final = 500
"""Characters of a header that dead letters below it repeat. Of the longest one, 100 are allowed."""
VERSION_WIDTH: Final = 6
"""Places of GS08 that name the version; an industry's identifier may follow."""


@dataclass
class TransactionSet:
    start: int
    """Place in the interchange's text of the terminator before it."""
    body_start: int
    """Place of the terminator before the first segment after ST."""
    body_end: int = 0
    """Place of the terminator before SE."""
    end: int = 0
    header: str = ""
    """Its ST; empty if it has none."""
    kind: str = ""
    control: str = ""
    is_counted: bool = False
    """True if SE01 is the number of its segments."""
    cut: str = ""
    """The last segment of the input, if no terminator follows it."""
    faults: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"transaction {self.control}" if self.header else ""


@dataclass
class Group:
    start: int
    header: str = ""
    version: str = ""
    sets: list[TransactionSet] = field(default_factory=list)
    end: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Envelopes:
    """All groups of an interchange, and what is wrong with it."""

    groups: list[Group] = field(default_factory=list)
    acknowledgements: int = 0
    """TA1 segments."""
    faults: list[str] = field(default_factory=list)
    wrong_numbers: int = 0
    """Counts and control numbers of its trailers that are wrong. More than one: segments between may be lost."""


def has_segment(text: str, one: TransactionSet, name: str, delimiters: Delimiters) -> bool:
    """True if a set has a segment of that name, in capitals or not."""
    return _segment_pattern(name, delimiters).search(text, one.body_start, one.body_end) is not None


@cache
def _segment_pattern(name: str, delimiters: Delimiters) -> re.Pattern[str]:
    element, terminator = map(re.escape, delimiters)
    return re.compile(rf"{terminator}[{re.escape(BLANKS)}]*{name}{element}", re.IGNORECASE)


def envelopes_of(interchange: Interchange, rules: Rules) -> Envelopes:
    return _EnvelopeReader(interchange, rules).read()


class _EnvelopeReader:
    def __init__(self, interchange: Interchange, rules: Rules) -> None:
        self._delimiters = interchange.delimiters
        self._element, self._terminator = interchange.delimiters
        self._isa, self._text, self._marks = interchange.isa, interchange.text, interchange.marks
        self._rules = rules
        self._found = Envelopes(faults=list(interchange.faults))
        self._group: Group | None = None
        self._set: TransactionSet | None = None
        self._ended = False

    def read(self) -> Envelopes:
        place, cut = 0, self._cut()
        for name, start in self._marks:
            before = self._text.rfind(self._terminator, 0, start)
            self._find_stray(place, before)
            end = self._text.find(self._terminator, start)
            place = len(self._text) if end < 0 else end
            segment = self._text[start:place].strip(BLANKS)
            parts = [upper(part).strip() for part in segment.split(self._element)]
            self._read_mark(name, segment, parts, before, place)
        last = len(self._text) - len(cut)
        self._find_stray(place, last)
        if cut.strip(BLANKS):
            (self._set or self._stray(last)).cut = cut.strip(BLANKS)
        self._end_group(last, len(self._text))
        if self._isa and not self._ended:
            self._found.faults.append("the interchange has no IEA and may have been cut")
        return self._found

    def _cut(self) -> str:
        last = self._text.rfind(self._terminator) + len(self._terminator)
        return "" if self._marks and self._marks[-1].start >= last else self._text[last:]

    def _read_mark(self, name: str, segment: str, parts: list[str], before: int, end: int) -> None:
        if name == "TA1":
            self._found.acknowledgements += 1
        elif name == "GS":
            self._end_group(before, before)
            self._group = Group(before, segment[:HEADER_LIMIT], "".join(parts[8:9])[:SHOWN])
            if fault := fault_of(parts):
                self._group.faults.append(fault)
        elif name == "ST":
            self._end_set(before, before)
            begun = self._begin_set(before, end)
            kind, control = [*parts[1:3], "", ""][:2]
            begun.header, begun.kind, begun.control = segment[:HEADER_LIMIT], kind[:SHOWN], control[:SHOWN]
            if fault := fault_of(parts):
                begun.faults.append(fault)
        elif name == "SE":
            if self._set is None:
                self._group_at(before).faults.append("SE without its ST")
            self._end_set(before, end, parts)
        elif name == "GE":
            self._end_group(before, end, parts)
        elif name == "IEA":
            self._end_group(before, before)
            self._end_interchange(parts)

    def _find_stray(self, start: int, end: int) -> None:
        """Make a set without header of segments that are in none."""
        if self._set is None and self._text[start:end].strip(BLANKS + self._terminator):
            self._stray(start)

    def _stray(self, start: int) -> TransactionSet:
        stray = self._begin_set(start, start)
        stray.faults.append("segments come without an ST before them")
        return stray

    def _begin_set(self, start: int, body_start: int) -> TransactionSet:
        self._set = TransactionSet(start, body_start)
        self._group_at(start).sets.append(self._set)
        return self._set

    def _group_at(self, start: int) -> Group:
        if self._group is None:
            self._group = Group(start)
            if self._isa:
                self._found.faults.append("a transaction comes without a GS before it")
        return self._group

    def _end_set(self, body_end: int, end: int, trailer: list[str] | None = None) -> None:
        ended, self._set = self._set, None
        if ended is None:
            return
        ended.body_end, ended.end = body_end, end
        if trailer is None:
            if ended.header:
                ended.faults.append(f"transaction {ended.control} has no SE and may have been cut")
            return
        count, control = [*trailer[1:3], "", ""][:2]
        found = self._text.count(self._terminator, ended.body_start, body_end) + 2
        if not _is_count(count, found):
            pieces = self._text[ended.body_start : body_end].split(self._terminator)
            found = sum(bool(piece.strip(BLANKS)) for piece in pieces) + 2
        ended.is_counted = _is_count(count, found)
        self._compare(ended.faults, "SE", count, found, control, ended.control, exactly=True)
        if fault := fault_of(trailer):
            ended.faults.append(fault)

    def _end_group(self, body_end: int, end: int, trailer: list[str] | None = None) -> None:
        self._end_set(body_end, body_end if trailer is not None else end)
        ended, self._group = self._group, None
        if ended is None:
            if trailer is not None:
                self._found.faults.append("GE without its GS")
            return
        ended.end = end
        self._found.groups.append(ended)
        header = [upper(part).strip() for part in ended.header.split(self._element)]
        if any(self._is_status(one) for one in ended.sets):
            self._check_version(ended, header)
        else:
            ended.faults.clear()
        if trailer is not None and not ended.header:
            self._found.faults.append("GE without its GS")
        elif trailer is not None:
            count, control = [*trailer[1:3], "", ""][:2]
            found = sum(bool(one.header) for one in ended.sets)
            self._compare(ended.faults, "GE", count, found, control, "".join(header[6:7]))
            if fault := fault_of(trailer):
                ended.faults.append(fault)
        elif ended.header:
            ended.faults.append("the group has no GE and may have been cut")

    def _check_version(self, group: Group, header: list[str]) -> None:
        if not group.header:
            return
        kind = "".join(header[1:2])
        if kind not in STATUS_GROUPS:
            group.faults.append(f"GS01 is {kind[:SHOWN]!r}, neither SO nor AU")
        if group.version[:VERSION_WIDTH] not in self._rules.accepted_versions:
            instead = "if its segments are those of an accepted one, name it in rules.accepted_versions"
            group.faults.append(f"GS08 is {group.version[:SHOWN]!r}, an unknown version; {instead}")

    def _is_status(self, one: TransactionSet) -> bool:
        """True for a 350, and for any other set with a bill's event in it: its name may be damaged."""
        return one.kind == STATUS_SET or not one.header or has_segment(self._text, one, "X4", self._delimiters)

    def _end_interchange(self, trailer: list[str]) -> None:
        self._ended = True
        if not self._isa:
            self._found.faults.append("IEA without its ISA")
            return
        isa = self._isa.split(self._element)
        count, control = [*trailer[1:3], "", ""][:2]
        found = sum(bool(one.header) for one in self._found.groups)
        self._compare(self._found.faults, "IEA", count, found, control, "".join(isa[13:14]))
        if fault := fault_of(trailer):
            self._found.faults.append(fault)

    def _compare(
        self,
        faults: list[str],
        name: str,
        count: str,
        found: int,
        control: str,
        expected: str,
        *,
        exactly: bool = False,
    ) -> None:
        """Compare a trailer's count and control number with what came. Leading zeros of numbers are no difference."""
        if not _is_count(count, found):
            faults.append(f"{name}01 is {count[:SHOWN]!r}, but the count is {found}")
            self._found.wrong_numbers += 1
        if control != expected and (exactly or control.lstrip("0") != expected.lstrip("0")):
            faults.append(f"{name}02 is {control[:SHOWN]!r} instead of {expected[:SHOWN]!r}")
            self._found.wrong_numbers += 1


def _is_count(text: str, count: int) -> bool:
    return text.isascii() and text.isdigit() and int(text[:18]) == count
