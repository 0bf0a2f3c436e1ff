"""Dead letters made by decisions: events that are too old or of the future, tests, unknown codes, failed decisions.

Each holds its event whole, in a form that can be fed in again. Unreadable input becomes a dead letter in the feeds, and
a foreign record in router/task/input_records.py.
"""

from __future__ import annotations

import json
from typing import Any

from router.decide.identity import BillRecord, content_hash, key_of
from router.errors import InputError
from router.model.eastern import MINUTE, iso, iso_minute
from router.model.identifiers import split_bill_key
from router.model.inputs import CONTENT_LIMIT, DeadLetter, Disposition, disposition_fields


def old_event_letter(record: Disposition) -> DeadLetter:
    reason = (
        f"the event was posted at {iso(record.action_at)}, long before it was sent, and its bill is not known here: it "
        "may belong to an earlier life of the number. If it counts, import the bill, then retry"
    )
    return _letter(record, content_hash(disposition_json(record)), reason)


def test_event_letter(record: Disposition) -> DeadLetter:
    """Names no bill, since it stops none."""
    reason = (
        "the event was sent as a test, and this installation is for production: no bill was touched. Dismiss it, or "
        "feed it to a test installation (rule usage)"
    )
    letter = _letter(record, content_hash(disposition_json(record)), reason)
    return letter._replace(scac=None, bill_of_lading=None)


def future_event_id(identity_text: str) -> str:
    """Id of a future event's dead letter, the same for every copy of the event."""
    return content_hash(f"still to come\x1f{identity_text}")


def future_event_letter(record: Disposition, identity_text: str) -> DeadLetter:
    reason = (
        f"the event is posted at {iso(record.action_at)}, but was received at {iso(record.received_at)}: its date or "
        "the feed's clock is wrong. The bill is stopped. Retry it with the date corrected, or as it is once the clock "
        "is right; or confirm the bill"
    )
    return _letter_to_receive_anew(record, future_event_id(identity_text), reason)


def unknown_zone_letter(record: Disposition, identity_text: str) -> DeadLetter:
    """For an event that would free; its time might have it outlive a hold."""
    reason = (
        f"its posted time is in zone {record.unknown_zone}, which tells no moment, so it frees nothing. The bill is "
        "stopped. Retry it with action_at in UTC and without unknown_zone once CBP has said which moment it was; or "
        "confirm the bill"
    )
    return _letter_to_receive_anew(record, content_hash(identity_text), reason)


def unknown_code_letter(record: Disposition, identity_text: str) -> DeadLetter:
    reason = (
        f"disposition code {record.disposition_code} is not in the code table. It may be a hold, so the bill is "
        "stopped. Add the code (setting rules.disposition_codes, then `rules apply`) and retry, or confirm the bill"
    )
    return _letter(record, content_hash(identity_text), reason)


def failed_decision_letter(record: BillRecord, error: Exception) -> DeadLetter:
    """For a record whose decision raised: refused input, or an error of the router's. Neither may stop other records or
    clear the way for cargo."""
    reason = f"the decision on this record failed ({error!r}): an error in the router. Retry after an update"
    if isinstance(error, InputError):
        reason = error.reason
    if isinstance(record, Disposition):
        return _letter(record, content_hash(disposition_json(record)), reason)
    content = json.dumps(_named(record), default=_text)
    kept = content.encode()[:CONTENT_LIMIT]
    return DeadLetter(content_hash(content), reason, "", "unknown", kept, len(content), *split_bill_key(key_of(record)))


def _named(value: Any) -> Any:
    """A record for people to read: its known fields by name."""
    if not isinstance(value, tuple):
        return value
    if (names := getattr(value, "_fields", None)) is None:
        return [_named(part) for part in value]
    return {name: _named(part) for name, part in zip(names, value, strict=True) if part not in (None, (), False)}


def _text(content: bytes) -> str:
    return content.decode("latin-1")


def failed_walk_letter(key: str, error: Exception) -> DeadLetter:
    """For a bill whose review failed after a change of the registry, on a new day or on a request."""
    reason = (
        f"the review of bill {key} failed ({error!r}), so new recipients have no notice. See `snp-router bill show`"
    )
    content = f"{key}: {error!r}"
    return DeadLetter(content_hash(content), reason, f"the bill {key}", "unknown", content.encode(), len(content))


def _letter_to_receive_anew(record: Disposition, letter_id: str, reason: str) -> DeadLetter:
    """Without the time of receipt in its content: a retry of it as it is receives it anew."""
    letter = _letter(record._replace(received_at=0, transmitted_at=None), letter_id, reason)
    return letter._replace(received_at=record.received_at)


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
        bill_in_doubt=record.uncertain == "BILL",
    )


def disposition_json(record: Disposition) -> str:
    """The event as a line of the JSON form, which can be fed in again."""
    fields = {name: value for name, value in disposition_fields(record).items() if value not in (None, (), False)}
    fields.pop("retry_of", None)
    fields.pop("action_second", None)  # the text of `action_at` has it
    for name in ("action_at", "received_at", "transmitted_at"):
        if name in fields:
            fields[name] = iso(fields[name])
    if record.action_second is None and record.action_at % MINUTE == 0:
        fields["action_at"] = iso_minute(record.action_at)
    return json.dumps(fields)
