"""CAMIR status notifications (ACR application RC): a stream of the events of every transmission.

One event reads the same as in X12. Readable events are delivered even if input around them is wrong. An event is a
loop: an R02 with its continuation, or an R06, followed by B04, R03 and R05 records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from router.decide.rules import Rules
from router.errors import InputError
from router.feeds.bounded_input import ENCODING, NO_BILL, BillAndCode, Note, ReadResult, UnreadableInput
from router.feeds.camir_records import field, fields, read_records
from router.feeds.cbp_messages import (
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
from router.model.identifiers import container_clean
from router.model.inputs import NOWHERE, Disposition, Shipment

CAMIR: Final = "camir"
_HEADERS: Final = ("ACR", "M01", "R01", "J01")
"""Records that apply to the events below them, outermost first."""


def read_camir(
    chunks: Iterable[bytes],
    source: str,
    received_at: int,
    *,
    rules: Rules | None = None,
    note: Note | None = None,
    fragment: bool = False,
    accepted: bool = False,
) -> Iterator[ReadResult]:
    """The events in the order of the file, in constant memory, as `read_x12`. A `fragment` has no ZCR."""
    return _CamirReader(source, received_at, rules, fragment, accepted).results(read_records(chunks))


class _CamirReader(MessageReader[str | UnreadableInput]):
    format_name = CAMIR
    scac_place, number_place = "J01 4-7", "R02 4-15"

    def __init__(self, source: str, received_at: int, rules: Rules | None, fragment: bool, accepted: bool) -> None:
        super().__init__(source, received_at, rules, fragment, accepted)
        self._place_prefix = f"{source}:record "
        self._open_headers: dict[str, str] = {}
        self._transmission_position = 0
        self._readers: dict[str, Callable[[str], None]] = {
            "ACR": self._begin_transmission,
            "ZCR": self._read_trailer,
            **dict.fromkeys(("M01", "R01", "J01"), self._read_header),
            **dict.fromkeys(("R02", "R06"), self._begin_loop),
        }

    def _read(self, part: str | UnreadableInput) -> None:
        self._position += 1
        if isinstance(part, UnreadableInput):
            self._reject(part, "this is not a CAMIR record: it does not begin with a record name such as R02")
            self._position -= 1
            return
        name = part[:3]
        if self._set_aside is not None and name not in ("ACR", "ZCR"):
            self._set_aside.add(self._encoded([part]))
        elif name in self._readers and not (name == "R02" and self._awaits_continuation()):
            self._readers[name](part)
        elif self._loop:
            self._add_to_loop(part)

    def _awaits_continuation(self) -> bool:
        """True if the next R02 continues this one; it has the same name as the next bill's record."""
        is_first = len(self._loop) == 1 and self._long_loop is None and self._loop[0].startswith("R02")
        return is_first and field(self._loop[0], "R02", "continued") == "1"

    def _begin_transmission(self, record: str) -> None:
        self._end_message()
        self._open_headers = {"ACR": record}
        self._transmission_position = self._position
        acr = fields(record, "ACR")
        self._transmitted_at = moment_or_none(with_century(acr["date"]), acr["time"])
        if acr["application"] != "RC":
            reason = f"the application is {acr['application']!r}, and only RC (status notification) is read"
            self._put_aside(reason, [record])

    def _read_trailer(self, record: str) -> None:
        self._end_loop()
        declared, found = field(record, "ZCR", "records"), self._position - self._transmission_position - 1
        if "ACR" not in self._open_headers:
            self._reject_message("ZCR without its ACR", [record])
        elif self._set_aside is not None:
            self._set_aside.add(self._encoded([record]))
        elif not (declared.isdecimal() and int(declared) == found):
            fault = f"ZCR counts {declared!r} records, but {found} came"
            self._reject_message(fault, [self._open_headers["ACR"], record])
        self._open_headers = {}
        self._end_message()

    def _end_message(self) -> None:
        """End the transmission, which may have lost its trailer."""
        self._end_loop()
        self._end_aside()
        if "ACR" in self._open_headers:
            self._reject_message("the transmission has no ZCR and may have been cut", [self._open_headers["ACR"]])
        self._open_headers, self._voyage = {}, NOWHERE

    def _read_header(self, record: str) -> None:
        """Read a header of events, which ends the headers below it: another port takes its issuer with it."""
        self._end_loop()
        name = record[:3]
        outer = _HEADERS[: _HEADERS.index(name)]
        self._open_headers = {key: text for key, text in self._open_headers.items() if key in outer} | {name: record}
        self._voyage = _voyage_of(self._open_headers.get("M01", ""), self._open_headers.get("R01", ""))

    def _event_of(self, loop: list[str], source: str) -> Disposition:
        """Needs a continuation that the R02 announces: it says if the event concerns one container only."""
        if loop[0].startswith("R06"):
            r06 = fields(loop[0], "R06")
            remarks, _, _, _ = _details(loop[1:])
            posted = posted_time(with_century(r06["date"]), r06["time"])
            return self._event(r06["code"], posted, (remarks, [], [], {}), source)
        r02 = fields(loop[0], "R02")
        continued = r02["continued"] == "1"
        if continued and not (len(loop) > 1 and loop[1].startswith("R02")):
            raise InputError("the R02 announces a continuation record (position 68), but none follows")
        more = fields(loop[1] if continued else "", "continuation")
        remarks, containers, snps, references = _details(loop[2:] if continued else loop[1:])
        if more["reference"]:
            references[more["qualifier"]] = more["reference"]
        return self._event(
            r02["code"],
            posted_time(with_century(r02["date"]), r02["time"]),
            (remarks, containers, snps, references),
            source,
            scac=self._issuer(),
            number=r02["bill"],
            quantity=r02["quantity"],
            entry_type=r02["entry_type"],
            entry_number=r02["entry_number"],
            container=container_clean(more["container"]),
            port=_number(more["port"]),
            firms=more["firms"] or None,
            destination=_number(more["destination"]),
            is_reversal=r02["reversal"] == "N",
            is_resent=r02["resent"] == "Y",
        )

    def _bill_of(self, text: str) -> BillAndCode:
        r02 = fields(text, "R02")
        return readable_bill(self._issuer(), r02["bill"], r02["code"]) if text.startswith("R02") else NO_BILL

    def _issuer(self) -> str:
        return field(self._open_headers.get("J01", ""), "J01", "issuer")

    def _headers(self) -> list[str]:
        return list(self._open_headers.values())

    def _encoded(self, texts: Iterable[str]) -> bytes:
        return "".join(text.rstrip() + "\n" for text in texts).encode(ENCODING)


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
            if remark := plain(field(record, "R03", "remark")):
                remarks.append(remark)
        elif name == "R05" and (container := container_clean(field(record, "R05", "container"))):
            containers.append(container)
    return remarks, containers, snps, references


@lru_cache(VALUE_CACHE)
def _reference(record: str) -> tuple[str, str]:
    """Qualifier and value of a B04."""
    return plain(field(record, "B04", "qualifier")) or "", plain(field(record, "B04", "value")) or ""
