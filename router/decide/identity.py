"""What makes an event itself, whatever transmission brings it; and the ids that go out in its place.

Identity is made of normalised content, never of control numbers (X12 interchanges are sent again under new ones).
Ids are keyed hashes: who sees an id can't find withheld fields by trying values.

What a record is about: the bill, or the vessel's voyage, whose task decides on it.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from typing import Final

from router import codec
from router.model.eastern import posted_minute
from router.model.identifiers import bill_key, container_key, vessel_key
from router.model.inputs import Disposition, ManualEvent, PaperBill, Snapshot
from router.model.links import LinkFact, Refiling, RefilingAnswer

ID_BYTES: Final = 12
FREE_FORM: Final = "1M"


def event_key(disposition: Disposition) -> str:
    """The key of what the event is about: a bill, or a vessel's voyage."""
    if disposition.scac is not None and disposition.bill_of_lading is not None:
        return bill_key(disposition.scac, disposition.bill_of_lading)
    return vessel_key(
        disposition.imo_number, disposition.vessel_name, disposition.carrier_scac, disposition.voyage_number
    )


def level_containers(disposition: Disposition) -> tuple[str, ...]:
    """The containers that a container-level event concerns, without check digits; empty: the whole bill."""
    if not disposition.container_level:
        return ()
    return tuple(sorted({container_key(number) for number in disposition.container_numbers}))


def identity(disposition: Disposition, key: str) -> str:
    parts = (
        key,
        disposition.disposition_code,
        str(posted_minute(disposition.action_at)),
        ",".join(level_containers(disposition)),
        (disposition.entry_number or "").strip("0") and (disposition.entry_number or ""),
        str(disposition.quantity or ""),
        disposition.transaction_port or "",
        "R" if disposition.reversal else "",
        (disposition.remarks or "") if disposition.disposition_code == FREE_FORM else "",
    )
    return "\x1f".join(parts)


def keyed_id(secret: bytes, text: str) -> str:
    """24 hex digits of an HMAC-SHA-256 under the installation's secret."""
    mac = _keyed(secret).copy()
    mac.update(text.encode())
    return mac.digest()[:ID_BYTES].hex()


@cache
def _keyed(secret: bytes) -> hmac.HMAC:
    """Keyed once and copied: the one-shot call lets go of the interpreter's lock each time, which costs more than the
    hash."""
    return hmac.new(secret, digestmod="sha256")


def manual_id(secret: bytes, said: ManualEvent) -> str:
    """The same under whatever bill the word comes to stand."""
    return keyed_id(secret, f"manual\x1f{said.id}")


def decision_id(secret: bytes, bill: str, sequence: int) -> str:
    """One for each decision on a bill: deciding again after a crash gives the same. With `-` and a recipient's SCAC it
    is the id of that recipient's notice."""
    return keyed_id(secret, f"decision\x1f{bill}\x1f{sequence}")


def notice_id(decision: str, recipient: str) -> str:
    return f"{decision}-{recipient}"


def content_hash(text: str) -> str:
    """For dead letters, which only operators see: not keyed, so that the same bytes are the same everywhere."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


BillRecord = codec.FedValue | LinkFact | Refiling | RefilingAnswer


def key_of(record: BillRecord) -> str:
    """The bill (or vessel's voyage) that a record is about."""
    if isinstance(record, Disposition):
        return event_key(record)
    if isinstance(record, LinkFact | Refiling | RefilingAnswer):
        return record.bill
    if isinstance(record, Snapshot | PaperBill):
        record = record.filing
    return bill_key(record.scac or "", record.bill_of_lading or "")
