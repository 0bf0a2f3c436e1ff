"""Judgement of a CAMIR transmission before any of its events counts: its frame, its grammar and its records' layouts.

Grammar: `ACR ( M01 M02? ( R01 ( R06 ( R03 | C01 | C02 )* | J01 ( R02 R02c? ( B04 | R03 | R05 )* )+ )* )* )* ZCR`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from router.feeds.bounded_input import ENCODING
from router.feeds.camir_records import (
    CONTINUATION,
    LAYOUT,
    QUICK_FITS,
    RECORD_LENGTH,
    Gap,
    Transmission,
    fits,
    is_bill_event,
    layout_fault,
)
from router.feeds.cbp_messages import upper
from router.model.vocabulary import Uncertainty

FAULT_LIMIT: Final = 20
"""Faults of one transmission that its dead letter names."""

DAMAGED: Final = "damaged"
"""A record that is not what it should be, or not where. It ends the event before it and the headers it may replace."""
DAMAGED_BILL: Final = "damaged R02"

_PORTS: Final = {"R01": "port", "M01": "manifest", "ZCR": "end"}
_EVENTS: Final = {"R06": "vessel", "J01": "issuer", "R04": "other bill", **_PORTS}
_DETAILS: Final = dict.fromkeys(("B04", "R03", "R05"), "details")
_GRAMMAR: Final[Mapping[str, Mapping[str, str]]] = {
    "start": {"ACR": "frame"},
    "frame": {"M01": "manifest", "ZCR": "end"},
    "manifest": {"M02": "manifest", **_PORTS},
    "port": _EVENTS,
    "vessel": {**dict.fromkeys(("R03", "C01", "C02"), "vessel"), **_EVENTS},
    "issuer": {"R02": "bill"},
    "bill": {CONTINUATION: "details", **_DETAILS, "R02": "bill", **_EVENTS},
    "details": {**_DETAILS, "R02": "bill", **_EVENTS},
    "other bill": {**dict.fromkeys(("B04", "R03", "R05"), "other bill"), "R02": "bill", **_EVENTS},
    "lost": {
        **dict.fromkeys((CONTINUATION, "B04", "R03", "R05", "R04", "C01", "C02", "M02"), "lost"),
        "ACR": "frame",
        "R02": "bill",
        "R06": "vessel",
        "J01": "issuer",
        **_PORTS,
    },
    "end": {},
}
"""The state after each kind of record, by the state before it. `lost`: after damage, where any header may follow."""
_BELOW_EVENTS: Final = frozenset({CONTINUATION, *_DETAILS, "C01", "C02", "M02"})
_FRAME: Final = frozenset({"ACR", "ZCR"})
_ENDING_ISSUERS: Final = frozenset({*_FRAME, "M01", "R01", "J01", "R06", DAMAGED})
_BILL: Final = slice(3, 15)
_CODE: Final = slice(15, 17)
_CONTINUED: Final = slice(67, 68)
_TRAILER_COUNT: Final = slice(34, 39)
_COUNT: Final = re.compile(" *[0-9]{1,5}")
_NUMBER: Final = re.compile("[A-Z0-9][A-Z0-9 -]{11}")
_POSTED: Final = re.compile("[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9]")
_POSTED_PLACE: Final = 44
_REACH: Final = 12
"""Places around its own in which a shifted date and time is looked for."""


class Judgement(NamedTuple):
    kinds: list[str]
    """Reading of each part: a kind of record, `DAMAGED` or `DAMAGED_BILL`."""
    faults: list[str]
    """The first faults of the transmission, in words; none if all is in order but for bills that their records name."""
    uncertain: Uncertainty | None
    """`BILL` if records are missing: a J01 may be among them."""


class Judge:
    """The judge of one transmission, whose parts come in order."""

    def __init__(self, fragment: bool, position: int, *, is_status: bool = True) -> None:
        """A `fragment` is a part of a transmission: it has no frame, and may begin anywhere.

        `position` is the number of records before it in the file. Of other applications than `is_status`, only the
        frame is judged: their records are not known.
        """
        self._fragment, self._position, self._is_status = fragment, position, is_status
        self._state = "lost" if fragment else "start"
        self._records = 0
        """Between ACR and ZCR, including those that cannot be read."""
        self._awaits_continuation = self._has_issuer = False
        self._width = 0
        """Places of every record, unless their blanks are trimmed."""
        self._trailer: str | None = None
        self._faults: list[str] = []

    def judge(self, transmission: Transmission) -> Judgement:
        """Judge the next parts. A transmission that is too long is in doubt before its end is seen."""
        kinds = self._kinds(transmission.parts)
        if not (transmission.begins and transmission.ends):
            self._fault("it is longer than any of CBP's")
        is_short = transmission.ends and not self._fragment and self._end(kinds)
        uncertain: Uncertainty | None = "BILL" if is_short else "MESSAGE" if self._faults else None
        return Judgement(kinds, self._faults, uncertain)

    def _kinds(self, parts: list[str | Gap]) -> list[str]:
        """The hot path: nearly every record is in order. Puts others into capitals, but for remarks."""
        kinds: list[str] = []
        state, following = self._state, _GRAMMAR[self._state]
        for part in parts:
            if isinstance(part, Gap) and (event := _bill_event_in(part)):
                part = parts[len(kinds)] = event
            if isinstance(part, Gap):
                kind, state = DAMAGED, "lost"
                self._read_gap(part, kinds)
            else:
                self._position += 1
                kind = part[:3]
                if self._awaits_continuation and kind == "R02" and fits(part, CONTINUATION):
                    kind = CONTINUATION
                known = following.get(kind)
                if known is None or len(part) < self._width or not QUICK_FITS[kind](part):
                    part = parts[len(kinds)] = part if kind == "R03" else upper(part)
                    kind, state = self._examined(part, kind, state, is_last=len(kinds) == len(parts) - 1)
                else:
                    state = known
                if kind not in _DETAILS:
                    self._note(kind, part)
            kinds.append(kind)
            following = _GRAMMAR[state]
        self._state = state
        self._records += sum(part.records if isinstance(part, Gap) else 1 for part in parts)
        return kinds

    def _note(self, kind: str, record: str) -> None:
        """Keep what the next records depend on."""
        self._awaits_continuation = kind == DAMAGED_BILL or (kind == "R02" and record[_CONTINUED] == "1")
        if kind in _ENDING_ISSUERS:
            self._has_issuer = kind == "J01"
        if kind == "ZCR":
            self._trailer = record
            self._records -= 1
        elif kind == "ACR":
            self._width = RECORD_LENGTH if len(record) == RECORD_LENGTH and record.endswith(" ") else 0
            self._records -= 1

    def _read_gap(self, gap: Gap, kinds: list[str]) -> None:
        """A record beside it is too long, so it is damaged. If the gap may be a record, it may have been a J01."""
        size = f"{gap.content.size:,} bytes" if gap.content.size > 1 else "1 byte"
        self._fault(f"text of {size} after record {self._position} is no record")
        waits = False
        if kinds and not gap.begins_line and kinds[-1] not in _FRAME:
            self._has_issuer = self._has_issuer and kinds[-1] != "J01"
            waits = kinds[-1] in ("R02", DAMAGED_BILL)
            kinds[-1] = DAMAGED_BILL if waits else DAMAGED
        if gap.records:
            self._has_issuer = waits = False
        self._awaits_continuation = waits

    def _examined(self, record: str, kind: str, state: str, *, is_last: bool) -> tuple[str, str]:
        """Kind and next state of a record that may not be in order. An R02 may be a continuation, and another a bill's
        event whose id is damaged."""
        if not self._is_status:
            return kind, "lost"
        if kind not in ("R02", CONTINUATION) and is_bill_event(record):
            if not self._has_issuer:
                self._fault(f"record {self._position} names no bill: it begins with {record[:3]!r}")
            return DAMAGED_BILL, "bill"
        if kind not in LAYOUT:
            self._fault(f"record {self._position} begins with {record[:3]!r}, which is no record of CBP's")
            return DAMAGED, "lost"
        fault = layout_fault(record, kind)
        if fault is None and len(record) < self._width and kind != "ZCR" and not is_last:
            fault = f"the {kind} has {len(record)} places, and the others have {self._width}"
        is_continuation = len(record) >= self._width and fits(record, CONTINUATION)
        if fault is not None and kind == "R02" and not (self._awaits_continuation or is_continuation):
            if not (self._has_issuer and bill_and_code(record)[0]):
                self._fault(f"record {self._position} names no bill: {fault}")
            return DAMAGED_BILL, "bill"
        following = _GRAMMAR[state].get(kind)
        if fault is not None:
            self._fault(f"record {self._position}: {fault}")
        elif following is None:
            self._fault(f"record {self._position}: {kind} does not come here")
        if state == "start" and kind != "ACR":
            self._fault("it has no ACR")
        if kind not in _FRAME and (fault is not None or (following is None and kind in _BELOW_EVENTS)):
            return DAMAGED, "lost"
        return kind, following or _GRAMMAR["lost"].get(kind, "lost")

    def _end(self, kinds: list[str]) -> bool:
        """Judge the trailer. Returns True if records are missing, by its count."""
        if self._trailer is None:
            self._fault("it has no ZCR and may have been cut")
            if kinds and kinds[-1] == CONTINUATION:
                kinds[-1] = DAMAGED  # its reference or container may be cut
            return False
        count = self._trailer[_TRAILER_COUNT]
        declared = int(count) if len(count) == 5 and _COUNT.fullmatch(count) else None
        if declared != self._records:
            self._fault(f"ZCR counts {count.strip()!r} records, but {self._records} came")
        return declared is not None and declared > self._records

    def _fault(self, text: str) -> None:
        if len(self._faults) < FAULT_LIMIT and text not in self._faults:
            self._faults.append(text)


def _bill_event_in(gap: Gap) -> str:
    """The text of a gap that is one record long, if it reads as a bill's event; else nothing."""
    text = gap.content.head.decode(ENCODING)
    is_record = gap.content.size <= RECORD_LENGTH and (gap.begins_line or gap.content.size == RECORD_LENGTH)
    return text if is_record and is_bill_event(text) else ""


def bill_and_code(record: str) -> tuple[str, str]:
    """Bill number and code of a damaged R02, each empty unless it is whole at its own place.

    A record of full length with neither code nor time was another, such as an R05.
    """
    text = upper(record)
    if len(text) == RECORD_LENGTH and not text[_CODE].strip() and not _POSTED.match(text, _POSTED_PLACE):
        return "", ""
    if _NUMBER.fullmatch(text[_BILL]) is None or _is_shifted(text):
        return "", ""
    return text[_BILL].rstrip(), text[_CODE] if len(text) >= _CODE.stop else ""


def _is_shifted(record: str) -> bool:
    """True if places are missing or doubled up to the code. Date and time show the shift, and the quantity its place:
    it begins with a zero or a blank."""
    if _POSTED.match(record, _POSTED_PLACE):
        return False
    for distance in range(1, _REACH):
        if _POSTED.match(record, _POSTED_PLACE + distance):
            return record[_CODE.stop] not in "0 "
        if _POSTED.match(record, _POSTED_PLACE - distance):
            return record[_CODE.stop - 1] in "0 "
    return False
