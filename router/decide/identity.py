"""Keys and identities of records, and the ids that stand for them in notices.

An event's identity is made of normalised content, never of control numbers: X12 interchanges are sent again under new
ones. Ids are keyed hashes, so nobody can find withheld fields by trying values.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from typing import Final

from router.model.eastern import HOUR, posted_minute
from router.model.identifiers import bill_key, container_key, entry_clean, vessel_key
from router.model.inputs import Disposition, FedRecord, ManualEvent, PaperBill, PaperMatch, Snapshot
from router.model.links import LinkFact, RefilingRecord

ID_BYTES: Final = 12
FREE_FORM: Final = "1M"
"""Free-form message: its text is part of its identity."""

BillRecord = FedRecord | LinkFact | RefilingRecord
"""Every record that concerns one bill, or one vessel's voyage."""


def key_of(record: BillRecord) -> str:
    """Key of the bill, or of the vessel's voyage, that a record concerns."""
    if isinstance(record, Disposition):
        return event_key(record)
    if isinstance(record, LinkFact | RefilingRecord):
        return record.bill
    if isinstance(record, PaperMatch):
        return record.electronic_bill
    if isinstance(record, Snapshot | PaperBill):
        record = record.filing
    return bill_key(record.scac or "", record.bill_of_lading or "")


def event_key(event: Disposition) -> str:
    if event.scac is not None and event.bill_of_lading is not None:
        return bill_key(event.scac, event.bill_of_lading)
    return vessel_key(event.shipment)


def level_containers(event: Disposition) -> tuple[str, ...]:
    """The containers that a container-level event concerns, without check digits; empty: the whole bill."""
    if not event.container_numbers:
        return ()
    return tuple(sorted({container_key(number) for number in event.container_numbers}))


def identity(event: Disposition, key: str) -> str:
    """Normalised content that makes two messages the same event. An unknown pass of autumn's repeated hour counts as
    the first: see `second_pass_identity`."""
    parts = (
        key,
        event.disposition_code,
        f"{posted_minute(event.action_at)}{event.unknown_zone or ''}",
        ",".join(level_containers(event)),
        entry_clean(event.entry_number or "") or "",
        str(event.quantity or ""),
        event.transaction_port or "",
        "R" if event.reversal else "",
        (event.remarks or "") if event.disposition_code == FREE_FORM else "",
    )
    return "\x1f".join(parts)


def second_pass_identity(event: Disposition, key: str) -> str | None:
    """Identity of its copies that tell the second pass of autumn's repeated hour; None if its own pass is known."""
    return identity(event._replace(action_at=event.action_at + HOUR), key) if event.pass_unknown else None


def keyed_id(secret: bytes, text: str) -> str:
    """24 hex digits of an HMAC-SHA-256 under the installation's secret."""
    mac = _keyed(secret).copy()
    mac.update(text.encode())
    return mac.digest()[:ID_BYTES].hex()


@cache
def _keyed(secret: bytes) -> hmac.HMAC:
    """Keyed once and copied: the one-shot call releases the interpreter's lock, which costs more than the hash."""
    return hmac.new(secret, digestmod="sha256")


def manual_id(secret: bytes, event: ManualEvent) -> str:
    """Event id of a manual event, the same under whatever bill it comes to stand."""
    return keyed_id(secret, f"manual\x1f{event.id}")


def snapshot_id(secret: bytes, bill: str, snapshot: Snapshot) -> str:
    """Event id of what a snapshot states, the same for all its holds and its release."""
    return keyed_id(secret, f"snapshot\x1f{bill}\x1f{snapshot.status_at}")


def decision_id(secret: bytes, bill: str, sequence: int) -> str:
    """Id of a decision, the same when it is made again after a crash. It begins its notices' ids."""
    return keyed_id(secret, f"decision\x1f{bill}\x1f{sequence}")


def notice_id(decision: str, recipient: str) -> str:
    return f"{decision}-{recipient}"


def content_hash(text: str) -> str:
    """Id of a dead letter. Not keyed, since only operators see it: the same bytes have the same id everywhere."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
