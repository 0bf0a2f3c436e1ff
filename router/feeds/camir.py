"""CAMIR status notifications (ACR application RC): a stream of the events of every transmission.

One event reads the same as in X12. An event is a loop: an R02 with its continuation, B04, R03 and R05 records, or an
R06 with R03 records. A transmission is judged whole before its events are read: damage stops cargo and frees none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from router.errors import InputError
from router.feeds import manifest_mi
from router.feeds.bounded_input import (
    DEFAULT_OPTIONS,
    ENCODING,
    NO_BILL,
    OtherMessage,
    ReadableBill,
    ReadOptions,
    ReadResult,
    UnreadableInput,
)
from router.feeds.camir_records import (
    CONTINUATION,
    LAYOUT,
    PLACES,
    RECORD_LENGTH,
    Gap,
    Transmission,
    field,
    fields,
    layout_fault,
    read_transmissions,
    values,
)
from router.feeds.camir_structure import DAMAGED, DAMAGED_BILL, Judge, bill_and_code
from router.feeds.cbp_messages import (
    MOST_RECORDS,
    VALUE_CACHE,
    EventDetails,
    MessageReader,
    iso_date,
    moment_or_none,
    plain,
    posted_time,
    readable_bill,
    with_century,
)
from router.feeds.manifests import DamagedBill, InDoubtError
from router.model.identifiers import container_clean
from router.model.inputs import NOWHERE, Disposition, Shipment
from router.model.vocabulary import Uncertainty

CAMIR: Final = "camir"
STATUS: Final = "RC"
"""Application of status notifications (ACR 14-15)."""
OTHER_APPLICATIONS: Final = frozenset({"MR", "AR", "HR", "TR", "KR", "BR", "SN"})
"""Applications of messages for others on the same line: responses to manifests and amendments, ISF. Source: a second
witness; CBP's list was not read."""

_HEADERS: Final = ("ACR", "M01", "R01", "J01")
"""Records that apply to the events below them, outermost first."""
_REMARK: Final = PLACES["R03"]["remark"]
_CONTAINER: Final = PLACES["R05"]["container"]
_LONGEST_J01: Final = 8
"""Characters of a J01 without its blanks, one too many included."""
_DETAILS: Final = frozenset({"B04", "R03", "R05"})
_WAY_OUT: Final = "have the sender send it again, or see `snp-router dead-letters accept`"
_END: Final = "end of the transmission"

_Part = tuple[str, str | Gap]
"""Kind, as judged, and text."""


def read_camir(
    chunks: Iterable[bytes], source: str, received_at: int, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[ReadResult]:
    """The events in the order of the file, each transmission's when it is complete, as `read_x12`."""
    reader = _CamirReader(source, received_at, options)
    return reader.results(reader.parts(read_transmissions(chunks)))


class _CamirReader(MessageReader):
    format_name = CAMIR
    scac_place, number_place = "J01 4-7", "R02 4-15"

    def __init__(self, source: str, received_at: int, options: ReadOptions) -> None:
        super().__init__(source, received_at, options)
        self._place_prefix = f"{source}:record "
        self._open_headers: dict[str, str] = {}
        self._judge = Judge(options.fragment, 0)
        self._message: UnreadableInput | None = None
        """The transmission so far, if it is in doubt or not read."""
        self._is_line_over = True
        """False if the message ends with text within a line."""
        self._message_place = self._application = ""
        self._faults: list[str] = []
        self._doubt: Uncertainty | None = None
        """Doubt about all events of the transmission."""
        self._takes_details = self._issuer_in_doubt = self._issuer_is_used = self._loop_is_damaged = False
        self._is_silent = True
        """True while the transmission has no event, readable or not."""

    def results(self, parts: Iterable[_Part]) -> Iterator[ReadResult]:
        for part in parts:
            self._read(part)
            if self._results:
                yield from self._results
                self._results.clear()
        self._end_message()
        yield from self._results

    def parts(self, transmissions: Iterable[Transmission]) -> Iterator[_Part]:
        """The parts of each transmission with their kinds, and its end."""
        for transmission in transmissions:
            if transmission.begins:
                self._begin_message(transmission)
            if self._application in manifest_mi.DECLARED_IN:
                self._read_manifest(transmission)
                yield _END, ""
                continue
            judgement = self._judge.judge(transmission)
            self._faults = judgement.faults
            self._doubt = None if self._accepted or self._fragment else judgement.uncertain
            self._takes_details = self._doubt is None
            if self._faults or self._application != STATUS:
                self._keep(transmission.parts)
            if self._application == STATUS:
                yield from zip(judgement.kinds, transmission.parts, strict=True)
            else:
                self._position += sum(isinstance(part, str) for part in transmission.parts)
            if transmission.ends:
                yield _END, ""

    def _begin_message(self, transmission: Transmission) -> None:
        """Begin a transmission. One whose ACR is missing or damaged may be a status notification."""
        acr = next((part for part in transmission.parts if isinstance(part, str) and part[:3] == "ACR"), "")
        head = fields(acr, "ACR")
        self._transmitted_at = moment_or_none(with_century(head["date"]), head["time"])
        self._application = head["application"] if layout_fault(acr, "ACR") is None else STATUS
        if self._application in manifest_mi.DECLARED_IN and _has_events(transmission):
            self._application = STATUS  # its end, and the beginning of a status notification, are lost
        self._judge = Judge(self._fragment, self._position, is_status=self._application == STATUS)
        self._message, self._is_silent = None, True
        self._message_place = f"{self._place_prefix}{self._position + 1}"

    def _read_manifest(self, transmission: Transmission) -> None:
        """Read a manifest's filings, or keep it for one dead letter: a damaged one declares nothing."""
        self._keep(transmission.parts)
        first = self._position + 1
        self._position += sum(isinstance(part, str) for part in transmission.parts)
        if not transmission.ends:
            return
        content, self._message = self._message, None
        try:
            if not transmission.begins:
                raise InputError("it is longer than any of CBP's")
            for one in manifest_mi.read_transmission(
                transmission,
                self._place_prefix,
                first,
                self._received_at,
                is_part=self._fragment,
                accepted=self._accepted,
            ):
                if isinstance(one, DamagedBill):
                    place = f"{self._place_prefix}{one.position}"
                    self._reject(UnreadableInput(self._encoded(one.texts)), one.reason, place=place)
                else:
                    self._results.append(one)
        except InputError as error:
            assert content is not None
            in_doubt = isinstance(error, InDoubtError)
            reason = f"nothing was taken from this manifest: {error.reason}{f'; {_WAY_OUT}' if in_doubt else ''}"
            letter = content.dead_letter(reason, self._message_place, CAMIR, self._received_at)
            self._results.append(letter._replace(in_doubt=in_doubt))

    def _keep(self, parts: Iterable[str | Gap]) -> None:
        """Add to the content of the transmission's dead letter, in lines and at full length: a wrong length may be the
        fault."""
        for part in parts:
            if self._message is None:
                self._message = UnreadableInput()
            elif self._is_line_over and not (isinstance(part, Gap) and not part.begins_line):
                self._message.add(b"\n")
            self._is_line_over = not isinstance(part, Gap) or part.ends_line
            self._message.join(part.content if isinstance(part, Gap) else UnreadableInput(part.encode(ENCODING)))

    def _read(self, part: _Part) -> None:
        """Most parts are details of an event."""
        kind, text = part
        if isinstance(text, Gap):
            if text.records:
                self._end_damaged_loop()
                self._leave_all(text.content.head.decode(ENCODING))
            return
        self._position += 1
        if kind in _DETAILS:
            if self._takes_details and self._loop:
                self._loop.append(text)
                if len(self._loop) > MOST_RECORDS:
                    self._shorten_loop()
        elif kind == "R02":
            self._begin_bill(text, is_damaged=False)
        elif kind == CONTINUATION:
            if self._loop and self._doubt != "BILL":
                self._loop.append(text)
        else:
            self._read_other(kind, text)

    def _read_other(self, kind: str, record: str) -> None:
        if kind == _END:
            self._position -= 1
            self._end_message()
        elif kind in _HEADERS:
            self._read_header(kind, record)
        elif kind == DAMAGED_BILL:
            self._begin_bill(record, is_damaged=True)
        elif kind == "R06":
            self._begin_loop(record)
            self._uncertain, self._issuer_in_doubt = self._doubt, True
            self._loop_is_damaged = self._is_silent = False
        elif kind == "R04":  # a bill that is not in AMS, to which the next details belong
            self._end_loop()
        elif kind == DAMAGED:
            self._end_damaged_loop()
            if record[:3] in LAYOUT:
                self._leave(record[:3])
                self._issuer_in_doubt |= len(record.rstrip()) <= _LONGEST_J01  # no other record is as short
            else:
                self._leave_all(record)

    def _end_damaged_loop(self) -> None:
        """End an event by damage. It may have lost what narrows it, so it frees nothing."""
        if not self._accepted:
            self._uncertain = self._uncertain or "MESSAGE"
        self._end_loop()

    def _begin_bill(self, record: str, *, is_damaged: bool) -> None:
        if is_damaged:
            self._end_damaged_loop()
        self._begin_loop(record)
        self._loop_is_damaged, self._issuer_is_used, self._is_silent = is_damaged, True, False
        self._uncertain = "BILL" if self._issuer_in_doubt else self._doubt

    def _read_header(self, kind: str, record: str) -> None:
        """Read a header of events, which ends the headers below it: another port takes its issuer with it.

        A J01 without bills is not where it should be, and may be the issuer of those that come next.
        """
        self._end_loop()
        issuer = self._open_headers.get("J01")
        self._leave(kind)
        self._open_headers[kind] = record
        if kind == "J01":
            self._issuer_in_doubt = self._issuer_is_used = False
        elif issuer is not None and not self._issuer_is_used:
            self._open_headers["J01"], self._issuer_in_doubt = issuer, True
        self._voyage = _voyage_of(self._open_headers.get("M01", ""), self._open_headers.get("R01", ""))

    def _leave(self, kind: str) -> None:
        """End a header and those below it; for any other record, none."""
        if kind in _HEADERS:
            ended = _HEADERS[_HEADERS.index(kind) :]
            self._open_headers = {name: text for name, text in self._open_headers.items() if name not in ended}
            self._voyage = _voyage_of(self._open_headers.get("M01", ""), self._open_headers.get("R01", ""))

    def _leave_all(self, text: str) -> None:
        """End every header, by text that may have been one. No other record is as short as a J01; behind a longer one
        the issuer is in doubt."""
        issuer = self._open_headers.get("J01")
        self._leave("M01")
        if issuer is not None and _LONGEST_J01 < len(text.strip()) <= RECORD_LENGTH:
            self._open_headers["J01"], self._issuer_in_doubt = issuer, True

    def _end_message(self) -> None:
        """End the transmission. One that is not in order, or not a status notification, has a dead letter."""
        self._end_loop()
        content, self._message = self._message, None
        self._open_headers, self._voyage = {}, NOWHERE
        if content is None:
            return
        faults = "; ".join(self._faults)
        if self._application != STATUS:
            self._end_other(content, faults)
        elif self._fragment:
            if self._is_silent:
                self._reject(content, faults, place=self._message_place)
        elif not self._accepted:
            self._reject_in_doubt([f"the transmission is damaged: {faults}"], content, self._message_place)

    def _end_other(self, content: UnreadableInput, faults: str) -> None:
        """End a transmission of another application. A cut one may have swallowed a status notification."""
        if self._application in OTHER_APPLICATIONS and not faults:
            self._results.append(OtherMessage(f"CAMIR {self._application}", self._message_place))
            return
        reason = f"the application is {self._application!r}, and only {STATUS} (status notification) is read"
        if self._application in OTHER_APPLICATIONS:
            reason = f"the message is for others (application {self._application}), but damaged: {faults}"
        self._reject(
            content, f"put aside whole: {reason}. Dismiss it if it is for another system", place=self._message_place
        )

    def _event_of(self, loop: list[str], source: str) -> Disposition:
        """Needs a continuation that the R02 announces: it says if the event concerns one container only."""
        kind = loop[0][:3]
        if self._loop_is_damaged:
            is_named = kind == "R02"
            reason = layout_fault(loop[0], kind) if is_named else f"{kind!r} is no R02, but the record reads as one"
            raise InputError(reason or f"the {kind} has not the places of the other records")
        if kind == "R06":
            code, date, time = values(loop[0], kind)
            remarks, _, _, _ = _details(loop[1:])
            return self._event(code, posted_time(with_century(date), time), (remarks, [], [], {}), source)
        number, code, quantity, entry_type, entry_number, date, time, reversal, continued, resent = values(
            loop[0], kind
        )
        is_continued = len(loop) > 1 and loop[1][:3] == "R02"
        if continued == "1" and not is_continued and self._doubt != "BILL":
            raise InputError("the R02 announces a continuation record (position 68), but none follows")
        more = loop[1] if is_continued else ""
        port, firms, destination, _, _, container, qualifier, reference = values(more, CONTINUATION)
        remarks, containers, snps, references = _details(loop[1 + is_continued :])
        if reference:
            references[qualifier] = reference
        return self._event(
            code,
            posted_time(with_century(date), time),
            (remarks, containers, snps, references),
            source,
            scac=self._issuer(),
            number=number,
            quantity=quantity,
            entry_type=entry_type,
            entry_number=entry_number,
            container=container_clean(container),
            port=_number(port),
            firms=firms or None,
            destination=_number(destination),
            is_reversal=reversal == "N",
            is_resent=resent == "Y",
        )

    def _bill_of(self, text: str) -> ReadableBill:
        if text[:3] == "R06" and not self._loop_is_damaged:
            return NO_BILL
        number, code = bill_and_code(text)
        return readable_bill(self._issuer(), number, code)

    def _issuer(self) -> str:
        return field(self._open_headers.get("J01", ""), "J01", "issuer")

    def _headers(self) -> list[str]:
        return list(self._open_headers.values())

    def _encoded(self, texts: Iterable[str]) -> bytes:
        return "".join(text.rstrip() + "\n" for text in texts).encode(ENCODING)


def _has_events(transmission: Transmission) -> bool:
    return any(isinstance(part, str) and part[:3] in ("R02", "R06") for part in transmission.parts)


def _voyage_of(m01: str, r01: str) -> Shipment:
    """Vessel, manifest and port of the events below an M01 and an R01; either may be empty. R01 prevails."""
    both = fields(m01, "M01") | {name: value for name, value in fields(r01, "R01").items() if value}
    return Shipment(
        carrier_scac=plain(both["carrier"]),
        imo_number=_number(both["imo"]),
        vessel_name=plain(both["vessel"]),
        voyage_number=plain(both["voyage"]),
        manifest_sequence_number=plain(both["sequence"]),
        port_of_unlading=_number(plain(both.get("port", "")) or ""),
        arrival_date=iso_date(with_century(both.get("arrival", ""))),
    )


def _number(text: str) -> str | None:
    """The text of a numeric field. None for nothing and for zeros, which CBP sends too for nothing."""
    return text if text.strip("0") else None


def _details(records: Sequence[str]) -> EventDetails:
    remarks: list[str] = []
    containers: list[str] = []
    snps: list[str] = []
    references: dict[str, str] = {}
    for record in records:
        name = record[:3]
        if name == "B04":
            qualifier, value = _reference(record)
            if qualifier == "SNP" and value:
                snps.append(value)
            elif value:
                references.setdefault(qualifier, value)
        elif name == "R03":
            if remark := plain(record[_REMARK]):
                remarks.append(remark)
        elif name == "R05" and (container := container_clean(record[_CONTAINER].rstrip())):
            containers.append(container)
    return remarks, containers, snps, references


@lru_cache(VALUE_CACHE)
def _reference(record: str) -> tuple[str, str]:
    """Qualifier and value of a B04."""
    return plain(field(record, "B04", "qualifier")) or "", plain(field(record, "B04", "value")) or ""
