"""What is fed in: dispositions, filings, snapshots, what people relay by hand or take on paper, and what could not be
read.

Field names are those of the public input forms (docs/your-files.md) and of `schemas/*.avsc`. Common to all:
text is upper case and stripped, an unknown value is None and an unknown list is empty, times are UTC milliseconds since
1970 (`*_at`), dates are `CCYY-MM-DD` text, a SCAC is 2 to 4 letters without padding, an SNP is a SCAC or `type:id`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Disposition(NamedTuple):
    """One CBP event on a bill, or, where `bill_of_lading` is None, on a vessel (X12 V9, CAMIR R06)."""

    scac: str | None
    """Issuer of the bill. None only for a vessel event."""
    bill_of_lading: str | None
    """Number without the issuer's SCAC."""
    disposition_code: str
    """Two or three characters, upper case, as CBP sent them; not necessarily one we know."""
    action_at: int
    """When CBP posted it. UTC milliseconds."""
    quantity: int | None = None
    """Pieces this event affects; never the bill's own quantity (but for codes 55, 56 and 69)."""
    entry_type: str | None = None
    entry_number: str | None = None
    container_numbers: tuple[str, ...] = ()
    """Of a container-level event: those it concerns. Else: those named, for information."""
    container_level: bool = False
    other_container_numbers: tuple[str, ...] = ()
    """Of a container-level event: containers named beside it, for information."""
    transaction_port: str | None = None
    """Schedule D port where the transaction happened; not the port of unlading."""
    firms: str | None = None
    reversal: bool = False
    """CBP takes the quantity back (CAMIR R02 position 67 = N; a negative X402)."""
    resent: bool = False
    """A hold sent again because port or vessel changed (CAMIR R02 position 69 = Y): not a new hold."""
    remarks: str | None = None
    snps: tuple[str, ...] = ()
    master_bill: str | None = None
    """Bill key (padded SCAC and number) of the master this house bill is under."""
    original_bill: str | None = None
    """Bill key of the bill this one was split from (reference OL)."""
    carrier_scac: str | None = None
    """Whose manifest the bill is on (X12 M1001, CAMIR M01/R01)."""
    imo_number: str | None = None
    vessel_name: str | None = None
    voyage_number: str | None = None
    """The manifest carrier's own; CAMIR cuts it to five places."""
    manifest_sequence_number: str | None = None
    port_of_unlading: str | None = None
    arrival_date: str | None = None
    received_at: int = 0
    """When the feed took it in. UTC milliseconds, stamped by the feed."""
    source: str | None = None
    """Where it came from: file, interchange, transaction, segment or record number."""
    transmitted_at: int | None = None
    """The transmission's own date (X12 ISA, CAMIR ACR), where it has one. UTC milliseconds."""
    test: bool = False
    """Sent as a test (X12 ISA15 = T)."""
    retry_of: str | None = None
    """Id of the dead letter that this is the mended reading of."""


class Filing(NamedTuple):
    """What is known of a bill from its filer. A later filing of the same bill replaces the earlier one whole."""

    scac: str
    bill_of_lading: str
    bill_type: str | None = None
    """CBP's code (00 regular, 28/29 master, 30 house, 12 empty; CAMIR M, N, 2) or regular, master, house, empty."""
    snps: tuple[str, ...] = ()
    master_bill: str | None = None
    original_bill: str | None = None
    carrier_scac: str | None = None
    imo_number: str | None = None
    vessel_name: str | None = None
    voyage_number: str | None = None
    manifest_sequence_number: str | None = None
    port_of_unlading: str | None = None
    arrival_date: str | None = None
    manifested_quantity: int | None = None
    container_numbers: tuple[str, ...] = ()
    received_at: int = 0
    source: str | None = None


class SnapshotHold(NamedTuple):
    code: str
    container_number: str | None
    quantity: int | None
    placed_at: int | None


class Snapshot(NamedTuple):
    """What stood on a bill at `status_at`, for going live in the middle of things. Events posted before are in it."""

    filing: Filing
    status_at: int
    released_quantity: int | None = None
    release_posted_at: int | None = None
    holds: tuple[SnapshotHold, ...] = ()


class Confirmation(NamedTuple):
    """An operator's word on a bill: its doubts are settled, or the unread and unknown events named no longer block."""

    scac: str
    bill_of_lading: str
    covers: tuple[str, ...]
    """Event ids it covers, as the operator saw them. Anything else still blocks."""
    by: str
    reason: str
    received_at: int


PLACE, LIFT, RELEASE = "PLACE", "LIFT", "RELEASE"
PHONE, EMAIL, PAPER = "phone", "e-mail", "paper"
MANUAL_RELEASE_CODE = "1C"
"""What a release relayed by hand is, where no code is given."""


class ManualEvent(NamedTuple):
    """What CBP said by phone, by e-mail or on paper, entered by an operator. Topic cbp.dispositions, under the bill's
    key; a PLACE goes to cbp.urgent as well.

    It ends and releases only what was placed by hand: no word of it ever beats a hold that CBP sent electronically.
    """

    scac: str
    bill_of_lading: str
    id: str
    """Made once, at entry: the same id again is the same word."""
    action: str
    """`PLACE`, `LIFT` or `RELEASE`."""
    said_at: int
    """When CBP said so; what is said at the same moment: lifts and releases first, placements last."""
    by: str
    """Our operator."""
    channel: str
    """`phone`, `e-mail` or `paper`."""
    disposition_code: str | None = None
    """PLACE: the hold's. LIFT: the hold's or its removal's; None: every manual hold in its scope. RELEASE: None
    is 1C."""
    container_number: str | None = None
    """Its scope, exactly: that container, or (None) the whole bill."""
    quantity: int | None = None
    """Pieces; None: all."""
    source: str | None = None
    """Who at CBP said so."""
    ticket: str | None = None
    received_at: int = 0


class PaperBill(NamedTuple):
    """A bill that CBP has only on paper. Topic cbp.filings. It counts as a filing until the electronic one comes."""

    filing: Filing
    delivered_at: int
    """Time stamp of delivery to CBP: the 24 hours run from here."""
    form: str
    """`CBPF1302` or `EMAIL`."""
    by: str
    """Our operator."""
    ticket: str | None = None
    received_at: int = 0


class PaperMatch(NamedTuple):
    """An operator's word that a paper bill is the one filed under another number. Topic cbp.filings, under the paper
    bill's key. The first one on a bill counts."""

    scac: str
    bill_of_lading: str
    """Number of the paper bill, without its issuer's SCAC."""
    electronic_bill: str
    """Bill key (padded SCAC and number) under which it was filed."""
    by: str
    received_at: int = 0


CONTENT_LIMIT: Final = 1_000_000
"""Bytes of a dead letter's content; above, only its head is kept: a record on the log has to stay below a broker's
usual limit of 1 MB."""
HEAD_SIZE: Final = 65_536


class DeadLetter(NamedTuple):
    """What could not be read, whole, with the reason. With a bill it also stops that bill until it is settled."""

    id: str
    """Hash of the bytes: the same bytes again are the same dead letter."""
    reason: str
    source: str
    """Where it came from: file, interchange, transaction, segment or record number, as exact as is known."""
    format: str
    """`x12`, `camir`, `jsonl`, `avro` or `unknown`: how to read `content` again."""
    content: bytes
    """All bytes (credentials masked), readable by itself: the envelope and port it stood in come first. Above 1 MB:
    its head."""
    content_size: int
    scac: str | None = None
    bill_of_lading: str | None = None
    disposition_code: str | None = None
    received_at: int = 0
    settled: str | None = None
    """None while it waits; `RETRIED`, `CONFIRMED` or `DISMISSED` once it is settled."""
