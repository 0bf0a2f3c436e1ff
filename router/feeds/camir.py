"""CAMIR status notifications (ACR application RC): every event of every frame, as a stream.

The same event gives the same reading as in X12. What can be read is delivered, whatever is wrong around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from router.errors import InputError
from router.feeds.camir_event import Frame, bill_event, readable_bill, surroundings, vessel_event
from router.feeds.camir_layout import RECORD_LENGTH, STATUS_NOTIFICATION, field
from router.feeds.camir_records import ENCODING, read_records
from router.feeds.evidence import LOOP_SIZE, NO_BILL, Evidence
from router.feeds.fields import moment_or_none, with_century
from router.model.inputs import DeadLetter, Disposition

FORMAT: Final = "camir"
LOOP_LIMIT: Final = LOOP_SIZE // RECORD_LENGTH
"""Most records of one event that are kept; an event without end must not grow in memory."""

_CONTEXT: Final = ("ACR", "M01", "R01", "J01")
"""Records that others stand under, from the outside in."""

Event = Disposition | DeadLetter


def read_camir(chunks: Iterable[bytes], source: str, received_at: int, *, fragment: bool = False) -> Iterator[Event]:
    """The events in the order of the file. Never raises for what the bytes are; memory doesn't grow with
    the file.

    A `fragment` is what a dead letter holds: events with the records they stood under, but without a ZCR.
    """
    reader = _Reader(source, received_at, fragment)
    for record in read_records(chunks):
        reader.take_in(record)
        yield from reader.events()
    reader.end_frame(whole=False)
    yield from reader.events()


class _Reader:
    """Where the reading stands: in which frame, manifest, port, issuer and event."""

    def __init__(self, source: str, received_at: int, fragment: bool) -> None:
        self._source, self._received_at, self._fragment = source, received_at, fragment
        self._out: list[Event] = []
        self._context: dict[str, str] = {}
        self._around = surroundings("", "")
        self._loop: list[str] = []
        self._loop_number = self._number = self._in_frame = 0
        self._overflow: Evidence | None = None
        """Of an event with too many records, all of them."""
        self._aside: Evidence | None = None
        self._aside_place = ""
        self._frame = Frame(received_at, None)
        self._begins: dict[str, Callable[[str], None]] = {
            "ACR": self._begin_frame,
            "ZCR": self._end_frame_as_declared,
            **dict.fromkeys(("M01", "R01", "J01"), self._stand_under),
            **dict.fromkeys(("R02", "R06"), self._begin_event),
        }

    def events(self) -> list[Event]:
        """What has been read since the last call."""
        taken, self._out = self._out, []
        return taken

    def take_in(self, record: str | Evidence) -> None:
        if isinstance(record, Evidence):
            place = self._place(self._number + 1)
            reason = "this is no CAMIR record: it doesn't begin with a record's name"
            self._out.append(record.letter(reason, place, FORMAT, self._received_at))
            return
        self._number += 1
        self._in_frame += 1
        name = record[:3]
        if self._aside is not None and name not in ("ACR", "ZCR"):
            self._aside.add(_encoded([record]))
        elif name == "R02" and self._awaits_continuation():
            self._loop.append(record)
        elif name in self._begins:
            self._begins[name](record)
        elif self._overflow is not None:
            self._overflow.add(_encoded([record]))
        elif self._loop:
            self._loop.append(record)
            if len(self._loop) > LOOP_LIMIT:
                self._overflow = Evidence(_encoded([*self._surrounding(), *self._loop]))

    def _awaits_continuation(self) -> bool:
        """A continuation has the same name as a bill's record: only the record before tells them apart."""
        return (
            len(self._loop) == 1 and self._loop[0].startswith("R02") and field(self._loop[0], "R02", "continued") == "1"
        )

    # Frames

    def _begin_frame(self, record: str) -> None:
        self.end_frame(whole=False)
        self._context = {"ACR": record}
        self._in_frame = 0
        date, time = field(record, "ACR", "date"), field(record, "ACR", "time")
        self._frame = Frame(self._received_at, moment_or_none(with_century(date), time))
        if field(record, "ACR", "application") != STATUS_NOTIFICATION:
            self._aside, self._aside_place = Evidence(_encoded([record])), self._place(self._number)

    def _end_frame_as_declared(self, record: str) -> None:
        self._end_event()
        declared, found = field(record, "ZCR", "records"), self._in_frame - 1
        if "ACR" not in self._context:
            self._fault("ZCR ends a transmission that never began", [record])
        elif self._aside is None and not (declared.isdecimal() and int(declared) == found):
            self._fault(f"ZCR says {declared!r} records, there are {found}", [self._context["ACR"], record])
        if self._aside is not None:
            self._aside.add(_encoded([record]))
        self.end_frame(whole=True)

    def end_frame(self, whole: bool) -> None:
        """Deliver what is still open; a frame that ends without a ZCR isn't whole."""
        self._end_event()
        if self._aside is not None:
            application = field(self._context["ACR"], "ACR", "application")
            reason = f"the application is {application!r}, not RC (status notification): no dispositions"
            self._out.append(self._aside.letter(reason, self._aside_place, FORMAT, self._received_at))
            self._aside = None
        if not whole and "ACR" in self._context:
            self._fault("the transmission has no ZCR: it is not whole", [self._context["ACR"]])
        self._context = {}
        self._around = surroundings("", "")

    def _fault(self, reason: str, records: list[str]) -> None:
        if not self._fragment:
            reason = f"{reason}. What could be read was delivered"
            letter = Evidence(_encoded(records)).letter(reason, self._place(self._number), FORMAT, self._received_at)
            self._out.append(letter)

    # Events

    def _stand_under(self, record: str) -> None:
        self._end_event()
        name = record[:3]
        for inner in _CONTEXT[_CONTEXT.index(name) :]:
            self._context.pop(inner, None)
        self._context[name] = record
        self._around = surroundings(self._context.get("M01", ""), self._context.get("R01", ""))

    def _begin_event(self, record: str) -> None:
        self._end_event()
        self._loop, self._loop_number = [record], self._number

    def _end_event(self) -> None:
        if not self._loop:
            return
        loop, self._loop = self._loop, []
        overflow, self._overflow = self._overflow, None
        issuer = field(self._context.get("J01", ""), "J01", "issuer")
        source, of_bill = self._place(self._loop_number), loop[0].startswith("R02")
        try:
            if overflow is not None:
                raise InputError(f"the event has more than {LOOP_LIMIT} records")
            if of_bill:
                self._out.append(bill_event(loop, issuer, self._around, self._frame, source))
            else:
                self._out.append(vessel_event(loop, self._around, self._frame, source))
        except InputError as error:
            bill = readable_bill(loop[0], issuer) if of_bill else NO_BILL
            evidence = overflow or Evidence(_encoded([*self._surrounding(), *loop]))
            self._out.append(evidence.letter(error.reason, source, FORMAT, self._received_at, bill))

    def _surrounding(self) -> list[str]:
        """The records that an event stands under, so that it can be read again by itself."""
        return [self._context[name] for name in _CONTEXT if name in self._context]

    def _place(self, number: int) -> str:
        return f"{self._source}:record {number}"


def _encoded(records: list[str]) -> bytes:
    return "".join(record.rstrip() + "\n" for record in records).encode(ENCODING)
