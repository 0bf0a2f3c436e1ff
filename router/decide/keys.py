"""What a record is about: the bill, or the vessel's voyage, whose task decides on it."""

from __future__ import annotations

from router import codec
from router.decide.ledger.identity import event_key
from router.model.bill import bill_key
from router.model.facts import Handover, LinkFact, TakenOver
from router.model.inputs import Disposition, PaperBill, Snapshot

BillRecord = codec.FedValue | LinkFact | Handover | TakenOver


def key_of(record: BillRecord) -> str:
    """The bill (or vessel's voyage) that a record is about."""
    if isinstance(record, Disposition):
        return event_key(record)
    if isinstance(record, LinkFact | Handover | TakenOver):
        return record.bill
    if isinstance(record, Snapshot | PaperBill):
        record = record.filing
    return bill_key(record.scac or "", record.bill_of_lading or "")
