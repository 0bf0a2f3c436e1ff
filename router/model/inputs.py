"""Inputs of the router: dispositions, filings, snapshots, what operators enter by hand or on paper, and dead letters.

Common to all: text is upper case and stripped, an unknown value is None and an unknown list is empty, times are UTC
milliseconds since 1970 (`*_at`), dates are `CCYY-MM-DD` text, a SCAC is 2 to 4 letters without padding, an SNP is a
SCAC or `type:id`. People and other programs write the flat forms of docs/your-files.md and `schemas/*.avsc`;
`disposition_fields` and `filing_fields` convert to them, `disposition_of` and `filing_of` from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple

from router.model.vocabulary import Confirmable, DeclaredIn, HoldKind, Uncertainty


class Shipment(NamedTuple):
    """The voyage, the manifest and the cargo that a message places a bill on. None: the message does not say."""

    carrier_scac: str | None = None
    """Line on whose manifest the bill is (X12 M1001, CAMIR M01/R01)."""
    imo_number: str | None = None
    vessel_name: str | None = None
    voyage_number: str | None = None
    """The manifest carrier's own; CAMIR cuts it to five places."""
    manifest_sequence_number: str | None = None
    port_of_unlading: str | None = None
    """Schedule D."""
    arrival_date: str | None = None
    in_bond_destination: str | None = None
    """Schedule D, as declared. It frees nothing: only an arrival that CBP recorded there makes it a place of the
    bill."""
    master_bill: str | None = None
    """Bill key of the master that this house bill is under."""
    original_bill: str | None = None
    """Bill key of the bill that this one was split from (reference OL)."""
    container_numbers: tuple[str, ...] = ()
    """Containers named for information; those that an event concerns stand in the event."""

    def with_containers(self, container_numbers: tuple[str, ...]) -> Shipment:
        """The same shipment with these containers instead."""
        return self.of_bill(self.master_bill, self.original_bill, container_numbers, self.in_bond_destination)

    def of_bill(
        self,
        master_bill: str | None,
        original_bill: str | None,
        container_numbers: tuple[str, ...],
        in_bond_destination: str | None,
    ) -> Shipment:
        """The same voyage and manifest with the cargo of one bill. Twice as fast as `_replace`."""
        return Shipment(
            self.carrier_scac,
            self.imo_number,
            self.vessel_name,
            self.voyage_number,
            self.manifest_sequence_number,
            self.port_of_unlading,
            self.arrival_date,
            in_bond_destination,
            master_bill,
            original_bill,
            container_numbers,
        )


NOWHERE: Final = Shipment()


class Disposition(NamedTuple):
    """One CBP event on a bill, or, if `bill_of_lading` is None, on a vessel (X12 V9, CAMIR R06)."""

    scac: str | None
    """Issuer of the bill. None only for a vessel event."""
    bill_of_lading: str | None
    """Number without the issuer's SCAC."""
    disposition_code: str
    """Two or three characters, upper case, as CBP sent them; possibly unknown."""
    action_at: int
    """Time at which CBP posted it. UTC milliseconds."""
    quantity: int | None = None
    """Pieces this event affects; the bill's own quantity only for codes 55, 56 and 69."""
    entry_type: str | None = None
    entry_number: str | None = None
    container_numbers: tuple[str, ...] = ()
    """Containers that a container-level event concerns. Empty: the event concerns the whole bill."""
    transaction_port: str | None = None
    """Schedule D port of the transaction; not the port of unlading."""
    firms: str | None = None
    reversal: bool = False
    """CBP takes the quantity back (CAMIR R02 position 67 = N; a negative X402)."""
    resent: bool = False
    """A hold sent again because port or vessel changed (CAMIR R02 position 69 = Y): not a new hold."""
    remarks: str | None = None
    snps: tuple[str, ...] = ()
    shipment: Shipment = NOWHERE
    received_at: int = 0
    """Time at which the feed read it. UTC milliseconds, stamped by the feed."""
    source: str | None = None
    """Origin: file, interchange, transaction, segment or record number."""
    transmitted_at: int | None = None
    """The transmission's own date (X12 ISA, CAMIR ACR), if it has one. UTC milliseconds."""
    test: bool = False
    """Sent as a test (X12 ISA15 = T)."""
    retry_of: str | None = None
    """Id of the dead letter that this reading replaces."""
    action_second: int | None = None
    """Second of `action_at` within its minute, if the message gives seconds: they only order events."""
    unknown_zone: str | None = None
    """Zone of the posted time as written, if it tells no moment (X12 element 623: LT). `action_at` then reads the clock
    as Eastern, only to recognise duplicates."""
    pass_unknown: bool = False
    """True if the message does not tell which pass of autumn's repeated hour it means. `action_at` is then in the
    first."""
    uncertain: Uncertainty | None = None
    """None if it was read from whole input. The same event read whole ends the doubt."""
    indicator: str | None = None
    """X420, a yes/no condition of unknown meaning. An event with one frees nothing until a rule gives its meaning."""

    @property
    def container_level(self) -> bool:
        return bool(self.container_numbers)


class Filing(NamedTuple):
    """The filer's declaration of a bill.

    A later one from a table replaces the earlier one whole. One from a manifest message only adds: it is no proof of
    CBP's, so it must not narrow a bill.
    """

    scac: str
    bill_of_lading: str
    bill_type: str | None = None
    """CBP's code (00 regular, 28/29 master, 30 house, 12 empty; CAMIR M, N, 2) or regular, master, house, empty."""
    snps: tuple[str, ...] = ()
    shipment: Shipment = NOWHERE
    manifested_quantity: int | None = None
    received_at: int = 0
    source: str | None = None
    declared_in: DeclaredIn = "TABLE"


class SnapshotHold(NamedTuple):
    code: str
    container_number: str | None
    quantity: int | None
    placed_at: int | None


class Snapshot(NamedTuple):
    """A bill's holds and releases at `status_at`, for going live midway. It includes all events posted before."""

    filing: Filing
    status_at: int
    released_quantity: int | None = None
    release_posted_at: int | None = None
    holds: tuple[SnapshotHold, ...] = ()


class Confirmation(NamedTuple):
    """An operator's confirmation of a bill: the named doubts, on the events that it covers, no longer block."""

    scac: str
    bill_of_lading: str
    covers: tuple[str, ...]
    """Ids of the events that the operator saw. All others still block."""
    by: str
    reason: str
    received_at: int
    doubts: tuple[Confirmable, ...] = ()
    """Everything that it ends. A doubt that arises later stands again."""
    user: str = ""
    """The account it was entered from: `os:<name>` or `console:<name>`."""


class Clearance(NamedTuple):
    """An operator's statement that CBP ended holds outside the feed.

    Topic cbp.dispositions, under the bill's key. It ends what the named events stop on this bill; what is placed or
    sent again later counts again.
    """

    scac: str
    bill_of_lading: str
    kind: HoldKind
    events: tuple[str, ...]
    """Ids of the events that placed the holds; of a hold that CBP sent, one."""
    source: str
    """The person at CBP."""
    reason: str
    by: str
    """The router's operator."""
    user: str
    """The account it was entered from: `os:<name>` or `console:<name>`."""
    received_at: int
    ticket: str | None = None
    disposition_code: str | None = None
    """Kind `CBP`: the hold's code."""
    container_number: str | None = None
    """Kind `CBP`: the hold's container, without check digit; None: the whole bill."""


PLACE, LIFT, RELEASE = "PLACE", "LIFT", "RELEASE"
PHONE, EMAIL, PAPER = "phone", "e-mail", "paper"
MANUAL_RELEASE_CODE: Final = "1C"
"""Code of a manual release that names none."""


class ManualEvent(NamedTuple):
    """An event that CBP relayed by phone, e-mail or paper, entered by an operator.

    Topic cbp.dispositions, under the bill's key; a PLACE goes to cbp.urgent as well. A manual lift or release ends and
    releases only what was placed by hand, never a hold that CBP sent electronically.
    """

    scac: str
    bill_of_lading: str
    id: str
    """Made once, at entry; the same id again is a duplicate."""
    action: str
    """`PLACE`, `LIFT` or `RELEASE`."""
    said_at: int
    """Time of CBP's statement. At equal times lifts and releases apply first, placements last."""
    by: str
    """The router's operator."""
    channel: str
    """`phone`, `e-mail` or `paper`."""
    disposition_code: str | None = None
    """PLACE: the hold's. LIFT: the hold's or its removal's; None: every manual hold in scope. RELEASE: None is 1C."""
    container_number: str | None = None
    """Exact scope: that container, or (None) the whole bill."""
    quantity: int | None = None
    """Pieces; None: all."""
    source: str | None = None
    """The person at CBP."""
    ticket: str | None = None
    received_at: int = 0
    snps: tuple[str, ...] = ()
    """Second notify parties that the operator knows, for a bill of which CBP sent nothing yet."""
    shipment: Shipment = NOWHERE
    """Shipment that the operator knows. Every message and filing comes before it."""


class PaperBill(NamedTuple):
    """A bill that CBP has only on paper. Topic cbp.filings. It counts as a filing until the electronic one comes."""

    filing: Filing
    delivered_at: int
    """Time stamp of the delivery to CBP, from which the 24 hours run."""
    form: str
    """`CBPF1302` or `EMAIL`."""
    by: str
    """The router's operator."""
    ticket: str | None = None
    received_at: int = 0


class PaperMatch(NamedTuple):
    """An operator's statement that a paper bill was filed under another number.

    Topic cbp.filings, under the electronic bill's key: nothing frees that bill until it knows what the paper bill knew.
    The first one on a paper bill counts.
    """

    scac: str
    bill_of_lading: str
    """Number of the paper bill, without its issuer's SCAC."""
    electronic_bill: str
    """Bill key under which it was filed."""
    by: str
    received_at: int = 0


CONTENT_LIMIT: Final = 1_000_000
"""Bytes of a dead letter's content. Of a longer one the head is kept: a broker's usual record limit is 1 MB."""
HEAD_SIZE: Final = 65_536


class DeadLetter(NamedTuple):
    """Input that could not be read, whole, with the reason. If it names a bill, it stops that bill until resolved."""

    id: str
    """Hash of the bytes; the same bytes again are the same dead letter."""
    reason: str
    source: str
    """Origin as exact as known: file, interchange, transaction, segment or record number."""
    format: str
    """`x12`, `camir`, `jsonl`, `avro` or `unknown`: the reader for `content`."""
    content: bytes
    """All bytes (credentials masked), readable alone: its envelope and port come first. Above 1 MB: the head."""
    content_size: int
    scac: str | None = None
    bill_of_lading: str | None = None
    disposition_code: str | None = None
    received_at: int = 0
    resolution: str | None = None
    """None while it waits; then `RETRIED`, `ACCEPTED`, `CONFIRMED` or `DISMISSED`."""
    in_doubt: bool = False
    """True for a message with wrong counts, control numbers or version, whose events were taken as uncertain. Its
    content is the whole message; only `dead-letters accept` has it read as certain."""
    bill_in_doubt: bool = False
    """True if its bill number had to be repaired, or found in text that could not be parsed: only parties that the bill
    has already are told."""
    times: int = 1
    """Number of equal parts of its input. A letter with more than one was written with one before: it stops nothing
    anew."""


FedRecord = (
    Disposition | Filing | Snapshot | Confirmation | Clearance | DeadLetter | ManualEvent | PaperBill | PaperMatch
)
"""Everything that feeds and operators append about bills."""


def disposition_fields(event: Disposition) -> dict[str, Any]:
    """The flat form of a disposition. The bill-level form names its containers in `container_numbers`; the
    container-level form names those concerned there and the others in `other_container_numbers`."""
    fields = event._asdict()
    shipment: Shipment = fields.pop("shipment")
    fields |= shipment._asdict()
    named = fields["container_numbers"]
    if event.container_numbers:
        concerned = {"container_numbers": event.container_numbers, "container_level": True}
        return fields | concerned | {"other_container_numbers": named}
    return fields | {"container_level": False, "other_container_numbers": ()}


def disposition_of(fields: Mapping[str, Any]) -> Disposition:
    """The inverse of `disposition_fields`. Missing fields have their defaults, other fields are ignored."""
    whole = {**_FLAT_DISPOSITION, **fields}
    concerned, others = tuple(whole["container_numbers"]), tuple(whole["other_container_numbers"])
    is_level = whole["container_level"]
    whole["container_numbers"] = others if is_level else (*concerned, *others)
    whole["shipment"] = Shipment(*_shipment_values(whole))
    whole["container_numbers"] = concerned if is_level else ()
    whole["snps"] = tuple(whole["snps"])
    return Disposition(*_disposition_values(whole))


def filing_fields(filing: Filing) -> dict[str, Any]:
    """The flat form of a filing."""
    fields = filing._asdict()
    shipment: Shipment = fields.pop("shipment")
    return fields | shipment._asdict()


def filing_of(fields: Mapping[str, Any]) -> Filing:
    """The inverse of `filing_fields`. Missing fields have their defaults, other fields are ignored."""
    whole = {**_FLAT_FILING, **fields}
    whole["container_numbers"] = tuple(whole["container_numbers"])
    whole["shipment"] = Shipment(*_shipment_values(whole))
    whole["snps"] = tuple(whole["snps"])
    return Filing(*_filing_values(whole))


_shipment_values: Final = itemgetter(*Shipment._fields)
_disposition_values: Final = itemgetter(*Disposition._fields)
_filing_values: Final = itemgetter(*Filing._fields)
_FLAT_DISPOSITION: Final = disposition_fields(Disposition(None, None, "", 0))
_FLAT_FILING: Final = filing_fields(Filing("", ""))
