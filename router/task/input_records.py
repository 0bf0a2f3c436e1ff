"""Input records of a task: the value of each, if it belongs on its topic, or a dead letter."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, get_args

from router import codec, topics
from router.decide.registry import Registry
from router.errors import InputError
from router.log.interface import Headers, Record
from router.model.eastern import DAY, is_within_years
from router.model.identifiers import is_bill_key, split_bill_key
from router.model.inputs import CONTENT_LIMIT, HEAD_SIZE, DeadLetter, Disposition, FedRecord
from router.model.links import IndexFact, LinkFact, RefilingRecord
from router.model.registry_values import RegistryValue, registry_faults

_FED: Final = frozenset(get_args(FedRecord))

VALUES_OF_TOPIC: Final = {
    topics.INDEX: frozenset({IndexFact}),
    topics.LINKS: frozenset({LinkFact, *get_args(RefilingRecord)}) | _FED,
    **dict.fromkeys(topics.FED, _FED),
}
"""Types that belong on each input but the registry; another program wrote any other. Fed records reach `snp.links` from
a task that does not own their bill."""

KEYED_BY_BILL: Final = frozenset({topics.URGENT, topics.LINKS, topics.FILINGS, topics.DISPOSITIONS})

LARGEST_REGISTRY_RECORD: Final = 250_000
"""Bytes; every task holds all of them. A sailing with all its lines needs half of it at most."""
LARGEST_FED: Final = 500_000
LARGEST_LETTER: Final = CONTENT_LIMIT + 100_000
"""Bytes of a record. No feed of the router makes a larger one. Its history and dead letters may be several times as
large and must stay below a log's limit."""

URGENT_HEADERS: Final[Headers] = (("urgent", b"1"),)
"""Marks both copies of an urgent event, so that the second is not counted as a duplicate of CBP's."""

_REMEDIES: Final = {"party": "`snp-router import parties`", "sailing": "`snp-router import sailings`"}


def value_of(record: Record) -> codec.Value | None:
    """The value of an input record; None if it deletes its key. Raises InputError."""
    if record.topic == topics.REGISTRY:
        return registry_value(record)
    if record.fault is not None:
        raise InputError(record.fault)
    if record.value is None:
        return None
    value = codec.decode_value(record.value)
    limit = LARGEST_LETTER if isinstance(value, DeadLetter) else LARGEST_FED
    if record.topic in topics.FED and len(record.value) > limit:
        raise InputError(f"the record has {len(record.value):,} bytes, more than {limit:,}")
    if type(value) not in VALUES_OF_TOPIC[record.topic]:
        raise InputError(f"a {codec.name_of_type(type(value))} record does not belong on {record.topic}")
    if type(value) is Disposition and (value.scac is None) != (value.bill_of_lading is None):
        raise InputError("scac and bill_of_lading go together: an event names a bill, or a vessel alone")
    if type(value) is Disposition and value.scac is None and is_bill_key(record.key.decode(errors="replace")):
        raise InputError("its key names a bill, and its value none: scac and bill_of_lading are missing")
    known: codec.Value = value
    return known


def is_second_copy(record: Record) -> bool:
    """True for the copy on `cbp.dispositions` of an event that was written to `cbp.urgent`, too."""
    return record.topic == topics.DISPOSITIONS and bool(record.headers) and _is_marked(record)


def is_first_copy(record: Record) -> bool:
    """True for the copy on `cbp.urgent` of an event that was written to `cbp.dispositions`, too."""
    return record.topic == topics.URGENT and _is_marked(record)


def _is_marked(record: Record) -> bool:
    return any(header in record.headers for header in URGENT_HEADERS)


def registry_value(record: Record) -> RegistryValue | None:
    """The value of a registry record; None if it deletes its key. Raises InputError with place and remedy."""
    if record.fault is not None:
        raise _skipped(record, record.fault)
    if record.value is None:
        return None
    try:
        value: Any = codec.decode_value(record.value)
    except InputError as error:
        raise _skipped(record, error.reason) from error
    if not isinstance(value, RegistryValue):
        raise _skipped(record, f"a {codec.name_of_type(type(value))} record does not belong on {record.topic}")
    for fault in registry_faults(value):
        raise _skipped(record, fault)
    if len(record.value) > LARGEST_REGISTRY_RECORD:
        raise _skipped(record, f"the record has {len(record.value):,} bytes, more than {LARGEST_REGISTRY_RECORD:,}")
    return value


def _skipped(record: Record, fault: str) -> InputError:
    key = record.key.decode(errors="replace")
    remedy = _REMEDIES.get(key.partition(":")[0], "the program that wrote it")
    return InputError(
        f"{fault}. The record is skipped; its key's earlier value counts only until a restart. Write it again with "
        f"{remedy} (key {key[:100]})",
        place=record.place,
    )


def apply_registry_record(registry: Registry, record: Record) -> RegistryValue | None:
    """Apply a registry record and return its value. An invalid one is skipped and listed in `registry.damaged`."""
    registry.damaged.pop(record.key, None)
    try:
        value = registry_value(record)
    except InputError as error:
        registry.damaged[record.key] = str(error)
        return None
    if value is not None:
        registry.apply(value, record.offset)
    return value


def dated_at_tick(record: Record, now: int) -> Record:
    """The record itself, or the same as written at the latest tick if its time is absurd. Any program with a right to
    write sets any time, and a time that is far off would misdate a hold or the span of a loss."""
    if not now or (is_within_years(record.timestamp) and record.timestamp <= now + DAY):
        return record
    return record._replace(timestamp=now)


def foreign_letter(record: Record, reason: str) -> DeadLetter:
    """A dead letter for a record that is not as the router writes it. If its key names a bill, it stops that bill: it
    may have been a hold."""
    value = record.value or b""
    key = record.key.decode(errors="replace") if record.topic in KEYED_BY_BILL else ""
    scac, number = split_bill_key(key) if is_bill_key(key) else (None, None)
    content = value if len(value) <= CONTENT_LIMIT else value[:HEAD_SIZE]
    return DeadLetter(
        sha256(value or record.place.encode()).hexdigest()[:32],
        reason,
        record.place,
        "unknown",
        content,
        len(value),
        scac,
        number,
        received_at=record.timestamp,
    )
