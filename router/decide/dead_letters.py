"""Dead letters that deciding makes: what is no record of ours, what is too old, whose code is unknown, whose decision
raised. (What a feed can't read becomes one there: `router/feeds`.)

Each holds its event whole, in a form that can be fed in again.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Final

from router import topics
from router.decide.identity import BillRecord, content_hash, key_of
from router.errors import InputError
from router.log.interface import Record
from router.model.eastern import iso
from router.model.identifiers import is_vessel_key, split_bill_key
from router.model.inputs import CONTENT_LIMIT, HEAD_SIZE, DeadLetter, Disposition

KEYED_BY_BILL: Final = frozenset({topics.URGENT, topics.LINKS, topics.FILINGS, topics.DISPOSITIONS})

LONGEST_KEY: Final = 100
"""Bytes of a bill's key: a SCAC and a number, which has at most 50 places."""


def foreign_letter(record: Record, reason: str) -> DeadLetter:
    """For what is no record of ours. Its key may still name a bill: that bill it stops, for it may have been a hold."""
    value = record.value or b""
    letter_id = sha256(value).hexdigest()[:32]
    may_name_a_bill = record.topic in KEYED_BY_BILL and len(record.key) <= LONGEST_KEY
    key = record.key.decode(errors="replace") if may_name_a_bill else ""
    scac, number = (None, None) if is_vessel_key(key) else split_bill_key(key)
    content = value if len(value) <= CONTENT_LIMIT else value[:HEAD_SIZE]
    whole = (letter_id, reason, record.place, "unknown", content, len(value))
    return DeadLetter(*whole, scac or None, number or None, received_at=record.timestamp)


def names_a_bill(letter: DeadLetter) -> bool:
    return letter.scac is not None and letter.bill_of_lading is not None


def too_old_letter(record: Disposition) -> DeadLetter:
    reason = (
        f"the event was posted at {iso(record.action_at)}, long before it was sent, and its bill is not known here "
        "(any more): it may belong to a life that is over. If it counts, import the bill and retry"
    )
    return _letter(record, content_hash(disposition_json(record)), reason)


def still_to_come_id(identity_text: str) -> str:
    """The same for every copy of the event, whenever it came."""
    return content_hash(f"still to come\x1f{identity_text}")


def still_to_come_letter(record: Disposition, identity_text: str) -> DeadLetter:
    """Without the moment it came: retried as it is, it comes anew."""
    reason = (
        f"it says that it was posted at {iso(record.action_at)}, but it came at {iso(record.received_at)} already: the "
        "date is wrong, or the clock of the feed. The bill is stopped. Retry it with the date corrected, or as it is "
        "once the clock is right; or confirm the bill"
    )
    letter = _letter(record._replace(received_at=0, transmitted_at=None), still_to_come_id(identity_text), reason)
    return letter._replace(received_at=record.received_at)


def unknown_code_letter(record: Disposition, identity_text: str) -> DeadLetter:
    reason = (
        f"disposition code {record.disposition_code} is not in the code table: it may be a hold, so the bill is "
        "stopped. Add the code (setting `disposition_codes`) and retry, or confirm the bill"
    )
    return _letter(record, content_hash(identity_text), reason)


def undecidable_letter(record: BillRecord, error: Exception) -> DeadLetter:
    """For an event whose decision raised: an error of ours, which must not stop or clear the way for anything."""
    reason = f"deciding on this record failed ({error!r}): an error in the router. Retry after an update"
    if isinstance(error, InputError):
        reason = error.reason
    if isinstance(record, Disposition):
        return _letter(record, content_hash(disposition_json(record)), reason)
    content = repr(record)
    kept = content.encode()[:CONTENT_LIMIT]
    return DeadLetter(content_hash(content), reason, "", "unknown", kept, len(content), *split_bill_key(key_of(record)))


def overlooked_letter(key: str, error: Exception) -> DeadLetter:
    """For a bill that could not be looked at upon a change of the registry, a new day or a request."""
    reason = f"looking at the bill {key} failed ({error!r}): who is new to it was not told. `snp-router bill show` it"
    content = f"{key}: {error!r}"
    return DeadLetter(content_hash(content), reason, f"the bill {key}", "unknown", content.encode(), len(content))


def _letter(record: Disposition, letter_id: str, reason: str) -> DeadLetter:
    content = disposition_json(record).encode()
    return DeadLetter(
        letter_id,
        reason,
        record.source or "",
        "jsonl",
        content,
        len(content),
        record.scac,
        record.bill_of_lading,
        record.disposition_code,
        record.received_at,
    )


def disposition_json(record: Disposition) -> str:
    """The event as a line of our own input form, so that it can be fed in again."""
    fields = {name: value for name, value in record._asdict().items() if value not in (None, (), False)}
    fields.pop("retry_of", None)
    for name in ("action_at", "received_at", "transmitted_at"):
        if name in fields:
            fields[name] = iso(fields[name])
    return json.dumps(fields)
