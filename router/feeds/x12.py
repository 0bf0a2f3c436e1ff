"""X12 350 ocean, "Customs Status Information": the events of every interchange.

An interchange is judged whole before its events leave the reader. Damage stops, but frees nothing: an event of a
message or a loop at fault is uncertain, and a dead letter holds the message. An event is a loop: an X4 (a bill's) or V9
(a vessel's) segment, followed by K1, N9, N7 and VID segments in any order.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Final

from router.errors import InputError
from router.feeds import manifest_309
from router.feeds.bounded_input import (
    BLANKS,
    DEFAULT_OPTIONS,
    ENCODING,
    OtherMessage,
    ReadOptions,
    ReadResult,
    UnreadableInput,
)
from router.feeds.cbp_messages import (
    MESSAGE_FAULTS,
    moment_or_none,
    upper,
    with_century,
)
from router.feeds.manifests import DamagedBill
from router.feeds.x12_envelopes import (
    OTHER_SETS,
    STATUS_SET,
    VERSION_WIDTH,
    Envelopes,
    Group,
    TransactionSet,
    envelopes_of,
    has_segment,
)
from router.feeds.x12_interchanges import Interchange, UnreadableStretch, read_interchanges
from router.feeds.x12_loops import LoopReader, NamedBill
from router.feeds.x12_segments import REFERENCES_LEAD, CheckedSet, checked_set, is_whole_set, segments_in
from router.model.vocabulary import Usage

X12: Final = "x12"
USAGE_OF_ISA15: Final[dict[str, Usage]] = {"P": "production", "T": "test"}
TURN: Final = 2_000
"""Segments read before their events are handed on."""


def read_x12(
    chunks: Iterable[bytes], source: str, received_at: int, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[ReadResult]:
    """The events in the order of the file, an interchange at a time. Never raises because of the bytes."""
    return _X12Reader(source, received_at, options).results(read_interchanges(chunks))


class _X12Reader(LoopReader):
    format_name = X12

    def __init__(self, source: str, received_at: int, options: ReadOptions) -> None:
        super().__init__(source, received_at, options)
        self._text = self._joint = ""
        self._interchange_place = source

    def results(self, parts: Iterable[Interchange | UnreadableStretch]) -> Iterator[ReadResult]:
        for part in parts:
            for _ in self._turns(part):
                yield from self._results
                self._results.clear()

    def _turns(self, part: Interchange | UnreadableStretch) -> Iterator[None]:
        if isinstance(part, UnreadableStretch):
            self._reject(part.content, part.reason, place=self._source)
        else:
            yield from self._read_interchange(part)
        yield

    def _read_interchange(self, interchange: Interchange) -> Iterator[None]:
        self._delimiters, self._isa, self._joint = interchange.delimiters, interchange.isa, interchange.joint
        self._text = interchange.text
        self._gs = self._st = ""
        isa = [upper(part).strip() for part in self._isa.split(self._delimiters.element)] if self._isa else []
        isa.extend([""] * (17 - len(isa)))
        self._transmitted_at, self._is_test = moment_or_none(with_century(isa[9]), isa[10]), isa[15] == "T"
        control = isa[13] if isa[13].isdigit() else ""
        self._interchange_place = f"{self._source}:interchange {control}" if self._isa else self._source
        envelopes = envelopes_of(interchange, self._rules)
        statuses = [group for group in envelopes.groups if any(map(self._is_read, group.sets))]
        usage = USAGE_OF_ISA15.get(isa[15], self._rules.usage)
        if statuses and self._isa and usage != self._rules.usage:
            self._put_aside_interchange(isa[15], usage)
            return
        if statuses and self._isa and isa[15] not in USAGE_OF_ISA15:
            envelopes.faults.append(f"ISA15 is {isa[15][:20]!r}, neither P (production) nor T (test)")
        self._results.extend(OtherMessage("TA1", self._interchange_place) for _ in range(envelopes.acknowledgements))
        faults = self._counted(envelopes.faults)
        reasons = list(faults)
        for group in envelopes.groups:
            yield from self._read_group(group, envelopes, faults, reasons)
        if faults:
            self._reject_in_doubt(reasons, self._content(0, len(self._text)), self._interchange_place)

    def _counted(self, faults: list[str]) -> list[str]:
        """The faults of an envelope that count: none in a fragment, which has no trailers, or if it was accepted."""
        return [] if self._fragment or self._accepted else faults

    def _is_read(self, one: TransactionSet) -> bool:
        return one.kind not in OTHER_SETS or self._has_event(one)

    def _has_event(self, one: TransactionSet) -> bool:
        return self._has(one, "X4")

    def _has(self, one: TransactionSet, name: str) -> bool:
        return has_segment(self._text, one, name, self._delimiters)

    def _put_aside_interchange(self, isa15: str, usage: Usage) -> None:
        """Put aside and count an interchange that is not for this installation."""
        reason = (
            f"put aside whole: ISA15 {isa15} makes it a {usage} interchange, and this installation is for"
            f" {self._rules.usage} (rules.usage). It concerns no bill here; feed it into a {usage} installation, or"
            " dismiss it"
        )
        self._reject(self._content(0, len(self._text)), reason, place=self._interchange_place)
        self._results.append(OtherMessage(f"{usage} interchange (put aside)", self._interchange_place))

    def _read_group(
        self, group: Group, envelopes: Envelopes, outer: list[str], outer_reasons: list[str]
    ) -> Iterator[None]:
        self._gs, self._references_lead = group.header, group.version[:VERSION_WIDTH] in REFERENCES_LEAD
        faults = self._counted(group.faults)
        reasons = list(faults)
        outer_reasons.extend(faults if outer else ())
        for one in group.sets:
            found = yield from self._read_set(one, envelopes, bool(outer or faults))
            (outer_reasons if outer else reasons).extend(f"{one.place or 'a set'}: {fault}" for fault in found)
            if found and not outer and not faults:
                self._reject_in_doubt(found, self._content(one.start, one.end, self._gs), self._set_place(one))
        self._st = ""
        if faults and not outer:
            self._reject_in_doubt(reasons, self._content(group.start, group.end), self._interchange_place)

    def _set_place(self, one: TransactionSet) -> str:
        return ":".join(filter(None, (self._interchange_place, one.place)))

    def _read_set(
        self, one: TransactionSet, envelopes: Envelopes, is_uncertain: bool
    ) -> Generator[None, None, list[str]]:
        """Read a set's events. Returns the set's faults."""
        self._st, self._position = one.header, 1
        self._place_prefix = f"{self._set_place(one)}:segment "
        if one.kind != STATUS_SET and one.header and not self._has_event(one):
            if one.kind == manifest_309.SET:
                return self._read_manifest(one, is_uncertain)
            self._pass_over(one)
            return []
        place = (self._text, one.body_start, one.body_end)
        if is_whole_set(*place, self._delimiters, self._references_lead):
            faults = self._begin_set(one, envelopes, is_uncertain, CheckedSet([], {}, []), {})
            for texts in segments_in(*place, self._delimiters.terminator):
                self._read_segments(texts)
                yield
        else:
            faults = yield from self._read_checked(one, envelopes, is_uncertain)
        self._end_port()
        if one.cut:
            self._position += 1
            reason = "the file ends within this segment and may have been cut; feed in the whole file"
            content = UnreadableInput(self._encoded(self._headers())).add(one.cut.encode(ENCODING))
            self._reject(content, reason, self._bill_of(one.cut, whole=False))
        return faults

    def _begin_set(
        self,
        one: TransactionSet,
        envelopes: Envelopes,
        is_uncertain: bool,
        checked: CheckedSet,
        bills: dict[int, list[NamedBill]],
    ) -> list[str]:
        """Decide what is taken of a set. Returns its faults."""
        faults = self._counted([*one.faults, *_set_faults(one, checked, bills)])
        self._uncertain = "MESSAGE" if is_uncertain or faults else None
        is_whole = one.is_counted and not checked.disorder and all(bills.values())
        has_numbers = envelopes.wrong_numbers < 2
        forgiven = self._fragment or self._accepted
        self._takes_headers = forgiven or has_numbers
        takes_details = forgiven or (is_whole and has_numbers)
        names = ("K1", "N7") if self._references_lead else ("K1", "N9", "N7")
        self._detail_tags = frozenset(name + self._delimiters.element for name in names if takes_details)
        self._m10 = self._p4 = ""
        self._begin_port()
        return faults

    def _read_checked(
        self, one: TransactionSet, envelopes: Envelopes, is_uncertain: bool
    ) -> Generator[None, None, list[str]]:
        """Read a set of which segments may be damaged. Returns its faults."""
        if self._has(one, "BA1") and not self._has(one, "P4"):
            self._put_aside_set(one, "BA1 makes it an export set, and only imports are routed")
            return []
        body = self._text[one.body_start : one.body_end]
        checked = checked_set(body, self._delimiters, self._references_lead, self._rules.extra_segments)
        bills = {index: self._bills_within(checked.texts[index]) for index in checked.damage}
        faults = self._begin_set(one, envelopes, is_uncertain, checked, bills)
        index = 0
        for damaged in (*checked.damage, len(checked.texts)):
            for start in range(index, damaged, TURN):
                self._read_segments(checked.texts[start : min(start + TURN, damaged)])
                yield
            if damaged < len(checked.texts):
                self._read_damaged(checked.texts[damaged], checked.damage[damaged], bills[damaged])
            index = damaged + 1
        return faults

    def _pass_over(self, one: TransactionSet) -> None:
        """Count a set that is not for the router; put aside one that nobody knows."""
        if one.kind in OTHER_SETS:
            self._results.append(OtherMessage(one.kind, self._set_place(one)))
        else:
            self._put_aside_set(one, f"ST01 is {one.kind[:20]!r}, and only 350 (customs status information) is read")

    def _read_manifest(self, one: TransactionSet, is_uncertain: bool) -> list[str]:
        """Read a manifest's filings. Returns the set's faults: one at fault declares nothing."""
        faults = self._counted([*one.faults, *manifest_309.version_faults(self._gs, self._delimiters.element)])
        if is_uncertain or faults:
            return ["nothing was taken from this manifest", *faults]
        text = self._text[one.start : one.end]
        try:
            if one.cut:
                raise InputError("the file ends within its last segment")
            for found in manifest_309.read_set(
                [piece for piece in text.split(self._delimiters.terminator) if piece.strip(BLANKS)],
                self._delimiters.element,
                self._place_prefix,
                self._received_at,
                self._rules.extra_segments,
            ):
                if isinstance(found, DamagedBill):
                    content = UnreadableInput(self._encoded([self._isa, self._gs, self._st, *found.texts]))
                    self._reject(content, found.reason, place=f"{self._place_prefix}{found.position}")
                else:
                    self._results.append(found)
        except InputError as error:
            reason = f"nothing was taken from this manifest: {error.reason}"
            self._reject(self._content(one.start, one.end, self._gs), reason, place=self._set_place(one))
        return []

    def _put_aside_set(self, one: TransactionSet, reason: str) -> None:
        reason = f"put aside whole: {reason}. Dismiss it if it is for another system"
        self._reject(self._content(one.start, one.end, self._gs), reason)

    def _content(self, start: int, end: int, *headers: str) -> UnreadableInput:
        """A whole message of the interchange, between two terminators, below its headers."""
        terminator = self._delimiters.terminator
        text = self._text[start : end + len(terminator)].rstrip(BLANKS).removeprefix(terminator)
        segments = terminator.join(filter(None, (*headers, text)))
        return UnreadableInput((self._isa + self._joint + segments).encode(ENCODING))


def _set_faults(one: TransactionSet, checked: CheckedSet, bills: dict[int, list[NamedBill]]) -> list[str]:
    nameless = (index for index, named in bills.items() if not named)
    is_named = not one.header or one.kind == STATUS_SET
    return [
        *([] if is_named else [f"ST01 is {one.kind[:20]!r}, but the set has the X4 of a 350"]),
        *checked.disorder,
        *(f"segment {index + 2} is damaged and names no bill: {checked.damage[index]}" for index in nameless),
        *(["the file ends within its last segment"] if one.cut else []),
    ][:MESSAGE_FAULTS]
