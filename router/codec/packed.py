"""Records that only the router reads: MessagePack of its own types, by msgspec.

Framing: one byte with the version of the format, one byte with the kind of record, then the MessagePack value. A named
tuple is an array of its fields; a field added at the end with a default can be read from older records.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import msgspec

from router.decide.bill_state import BillState
from router.decide.boxes import IndexEntry
from router.errors import InputError
from router.model.inputs import (
    Clearance,
    Confirmation,
    Filing,
    ManualEvent,
    PaperBill,
    PaperMatch,
    Snapshot,
    filing_fields,
)
from router.model.links import IndexFact, LinkFact, Refiling, RefilingAnswer, RefilingRefusal, RefilingRequest
from router.model.registry_values import (
    FeedActivity,
    LateTally,
    LostInput,
    Outage,
    OutageFilers,
    Party,
    PortProcedure,
    RegistryNote,
    RequestDone,
    RulesRecord,
    Sailing,
)

FORMAT_VERSION: Final = 1
MAGIC: Final = bytes((FORMAT_VERSION,))
"""First byte of every packed record."""
HEADER_SIZE: Final = 2

T = TypeVar("T")

_encoder: Final = msgspec.msgpack.Encoder()
_by_number: Final[dict[int, Packed[Any]]] = {}
PACKED: Final[dict[type[Any], Packed[Any]]] = {}
"""Packed kinds by type."""


class Packed(Generic[T]):
    """One kind of packed record. Its number is part of the format: it never changes and is never used again."""

    def __init__(self, number: int, name: str, kind: type[T]) -> None:
        self.name = name
        self.header = bytes((FORMAT_VERSION, number))
        self._decoder = msgspec.msgpack.Decoder(kind)
        assert number not in _by_number
        _by_number[number] = PACKED[kind] = self

    def encode(self, value: T) -> bytes:
        return self.header + _encoder.encode(value)

    def is_of(self, data: bytes) -> bool:
        """True if the data has this kind's header."""
        return data[:HEADER_SIZE] == self.header

    def decode(self, data: bytes) -> T:
        """Raises InputError if the data is not exactly one record of this kind and version."""
        if not self.is_of(data):
            raise InputError(f"the value is not a {self.name} record{_of_another_version(data)}")
        try:
            return self._decoder.decode(memoryview(data)[HEADER_SIZE:])
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise InputError(f"the value is not a whole {self.name} record ({type(error).__name__})") from error


def kind_of(data: bytes) -> Packed[Any]:
    """The kind of a packed record. Raises InputError."""
    kind = _by_number.get(data[1]) if len(data) >= HEADER_SIZE and data[0] == FORMAT_VERSION else None
    if kind is None:
        raise InputError(f"the value is not a record of this router{_of_another_version(data)}")
    return kind


def decode(data: bytes) -> Any:
    """The value of a packed record of any kind. Raises InputError."""
    return kind_of(data).decode(data)


def _of_another_version(data: bytes) -> str:
    if data[:1] in (b"", MAGIC):
        return ""
    return f": its first byte is {data[0]}, this router's format has version {FORMAT_VERSION}"


def fields_of(value: Any) -> Any:
    """A value's fields by name, records within it as dicts, a filing in its flat form."""
    if isinstance(value, msgspec.Struct):
        return {name: fields_of(part) for name, part in msgspec.structs.asdict(value).items()}
    if isinstance(value, Filing):
        return fields_of(filing_fields(value))
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        if names is not None:
            return {name: fields_of(part) for name, part in zip(names, value, strict=True)}
        return [fields_of(part) for part in value]
    if isinstance(value, dict):
        return {key: fields_of(part) for key, part in value.items()}
    return sorted(value) if isinstance(value, frozenset) else value


PARTY: Final = Packed(1, "party", Party)
SAILING: Final = Packed(2, "sailing", Sailing)
REGISTRY_NOTE: Final = Packed(3, "registry-note", RegistryNote)
OUTAGE: Final = Packed(4, "outage", Outage)
FEED_ACTIVITY: Final = Packed(5, "feed-activity", FeedActivity)
LATE_TALLY: Final = Packed(6, "late-tally", LateTally)
OUTAGE_FILERS: Final = Packed(30, "outage-filers", OutageFilers)
REQUEST_DONE: Final = Packed(7, "request-done", RequestDone)
SNAPSHOT: Final = Packed(8, "snapshot", Snapshot)
CONFIRMATION: Final = Packed(9, "confirmation", Confirmation)
MANUAL_EVENT: Final = Packed(10, "manual-event", ManualEvent)
PAPER_BILL: Final = Packed(11, "paper-bill", PaperBill)
PAPER_MATCH: Final = Packed(12, "paper-match", PaperMatch)
INDEX_FACT: Final = Packed(13, "index-fact", IndexFact)
LINK_FACT: Final = Packed(14, "link-fact", LinkFact)
REFILING: Final = Packed(15, "refiling", Refiling)
REFILING_ANSWER: Final = Packed(16, "refiling-answer", RefilingAnswer)
REFILING_REQUEST: Final = Packed(34, "refiling-request", RefilingRequest)
REFILING_REFUSAL: Final = Packed(35, "refiling-refusal", RefilingRefusal)
BILL_STATE: Final = Packed(17, "bill-state", BillState)
INDEX_ENTRY: Final = Packed(18, "index-entry", IndexEntry)
CLEARANCE: Final = Packed(23, "clearance", Clearance)
PORT_PROCEDURE: Final = Packed(31, "port-procedure", PortProcedure)
LOST_INPUT: Final = Packed(37, "lost-input", LostInput)
RULES_RECORD: Final = Packed(24, "rules", RulesRecord)
