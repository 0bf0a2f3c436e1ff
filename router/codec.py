"""Avro in and out: every value on every topic is a Confluent-framed record of one schema in `schemas/`.

Framing: one zero byte, the schema's id as four bytes big-endian, then the Avro binary. Ids are fixed in
`schemas/ids.json`, so they are the same on both logs and after every restart.

Inside, times stay UTC milliseconds: a logical type changes no byte on the wire, so ours are read and written as the
plain numbers they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, get_args

from router import avro
from router.errors import InputError
from router.model.inputs import (
    Confirmation,
    DeadLetter,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    PaperMatch,
    Snapshot,
    SnapshotHold,
)
from router.model.links import IndexFact, LinkFact, Refiling, RefilingAnswer
from router.model.registry_values import (
    FeedActivity,
    LateTally,
    Line,
    Outage,
    Party,
    RegistryNote,
    RegistryValue,
    Request,
    RequestDone,
    Sailing,
)
from router.model.vocabulary import Kind

MAGIC: Final = b"\x00"
HEADER_SIZE: Final = 5
FIRST_ID: Final = 1_000_000_000

Datum = dict[str, Any]


def schema_directory() -> Path:
    """Where the `.avsc` files are: inside the installed package, or at the top of a checkout."""
    packaged = Path(__file__).parent / "schemas"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "schemas"


@cache
def schema_ids() -> dict[str, int]:
    """Schema name (the file's) to id, our own. At least FIRST_ID, so that no external registry's is the same."""
    ids: dict[str, int] = json.loads((schema_directory() / "ids.json").read_text())
    return ids


_published: dict[str, int] = {}


def publish_under(ids: Mapping[str, int]) -> None:
    """From now on, in this process, what parties read is written with these ids, those of an external registry (schema
    name to id). All else keeps ours, and both are read: ours begin where no registry gets to by counting."""
    _published.clear()
    _published.update(ids)
    header.cache_clear()
    schema_names.cache_clear()


@cache
def schema_names() -> dict[int, str]:
    return {number: name for ids in (schema_ids(), _published) for name, number in ids.items()}


@cache
def raw_schema(name: str) -> Datum:
    """The schema as published, logical types and docs included."""
    schema: Datum = json.loads((schema_directory() / f"{name}.avsc").read_text())
    return schema


@cache
def header(name: str) -> bytes:
    return MAGIC + (_published.get(name) or schema_ids()[name]).to_bytes(4, "big")


def encode(name: str, datum: Mapping[str, Any] | tuple[Any, ...]) -> bytes:
    """A framed record; it and the records in it are given as mappings, or as tuples in the schema's order."""
    return header(name) + _encoder(name)(datum)


def decode(value: bytes) -> tuple[str, Datum]:
    """Schema name and fields, nested records as dicts. Raises InputError if the value isn't one of ours."""
    name = schema_name_of(value)
    return name, unframe(name, value, _plain_decoder(name))


def unframe(name: str, value: bytes, read: avro.Decode) -> Any:
    """What `read` makes of a framed record, all of it. Raises InputError."""
    try:
        datum, end = read(value, HEADER_SIZE)
    except (IndexError, ValueError, OverflowError, MemoryError) as error:
        # not its repr, which may hold all of the value
        raise InputError(f"the value is not a whole {name} record ({type(error).__name__}: {error})") from error
    if end != len(value):
        raise InputError(f"the value is not a whole {name} record (it has {len(value)} bytes, the record {end})")
    return datum


def schema_name_of(value: bytes) -> str:
    name = schema_names().get(int.from_bytes(value[1:HEADER_SIZE], "big")) if value[:1] == MAGIC else None
    if name is None or len(value) < HEADER_SIZE:
        raise InputError("the value does not begin with the header of a schema we know")
    return name


VARIED: Final = frozenset(
    {
        "bill",
        "bill_of_lading",
        "confirmed",
        "container",
        "container_number",
        "container_numbers",
        "containers",
        "covers",
        "entry_number",
        "event_id",
        "holds",
        "id",
        "key",
        "notice_id",
        "other_bill",
        "other_container_numbers",
        "reason",
        "remarks",
        "retry_of",
        "settled",
        "source",
        "stale_by",
    }
)
"""Fields that hardly ever have the same value twice: remembering how they are written would be in vain."""

ALIKE: Final = frozenset({"Telling"})
"""Records that do all the time: who was told what, in which roles."""


@cache
def _encoder(name: str) -> avro.Encode:
    return avro.encoder(raw_schema(name), VARIED, ALIKE)


@cache
def _plain_decoder(name: str) -> avro.Decode:
    return avro.decoder(raw_schema(name), {}, VARIED)


@cache
def _typed_decoder(name: str) -> avro.Decode:
    return avro.decoder(raw_schema(name), BUILDS, VARIED)


# Values to and from records. A NamedTuple's fields are the record's fields, in the same order (a test says so).

FedValue = Disposition | Filing | Snapshot | Confirmation | DeadLetter | ManualEvent | PaperBill | PaperMatch
Value = FedValue | RegistryValue | IndexFact | LinkFact | Refiling | RefilingAnswer

NAME_OF: Final[dict[type[Value], str]] = {
    Disposition: "disposition",
    Filing: "filing",
    Snapshot: "snapshot",
    Confirmation: "confirmation",
    DeadLetter: "dead-letter",
    Party: "party",
    Sailing: "sailing",
    RegistryNote: "registry-note",
    IndexFact: "index-fact",
    LinkFact: "link-fact",
    ManualEvent: "manual-event",
    PaperBill: "paper-bill",
    PaperMatch: "paper-match",
    Refiling: "handover",
    RefilingAnswer: "taken-over",
    Outage: "outage",
    FeedActivity: "heard",
    LateTally: "late-tally",
    Request: "request",
    RequestDone: "request-done",
}

BUILDS: Final[dict[str, avro.Builder]] = {
    **{raw_schema(name)["name"]: kind for kind, name in NAME_OF.items()},
    "SnapshotHold": SnapshotHold,
    "Line": Line,
}

_VALUE_NAMES: Final = frozenset(NAME_OF.values())


def encode_value(value: Value) -> bytes:
    """Any of our typed values, framed."""
    name = NAME_OF[type(value)]
    return header(name) + _encoder(name)(value)


def decode_value(value: bytes) -> Value:
    """The typed value behind the bytes. Raises InputError."""
    name = schema_name_of(value)
    if name not in _VALUE_NAMES:
        raise InputError(f"a {name} record does not belong here")
    typed: Value = unframe(name, value, _typed_decoder(name))
    return typed


# A notice is written in three parts: what all recipients share, encoded once; what is this notice's own; and who the
# recipient is, the same for thousands of bills. An Avro record is its fields one after the other, so the parts joined
# are the whole record.

NOTICE_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
FIRST_OWN_FIELD: Final = "notice_id"
FIRST_RECIPIENT_FIELD: Final = "recipient"
_NULL: Final = b"\x00"


@cache
def _shared_encoder() -> avro.EncodeFields:
    return avro.fields_encoder(_part("hold", None, FIRST_OWN_FIELD), VARIED)


@cache
def _own_encoder() -> avro.Encode:
    return avro.encoder(_part("hold", FIRST_OWN_FIELD, FIRST_RECIPIENT_FIELD), VARIED)


@cache
def _recipient_encoder() -> avro.Encode:
    return avro.encoder(_part("hold", FIRST_RECIPIENT_FIELD, None), VARIED)


@cache
def shared_names() -> tuple[str, ...]:
    """The fields that come first in a notice."""
    return tuple(field["name"] for field in _part("hold", None, FIRST_OWN_FIELD)["fields"])


def _part(name: str, first: str | None, end: str | None) -> Datum:
    """A schema with the fields from `first` on and before `end` only."""
    fields = raw_schema(name)["fields"]
    names = [field["name"] for field in fields]
    return raw_schema(name) | {"fields": fields[first and names.index(first) : end and names.index(end)]}


def encode_shared(fields: Mapping[str, Any] | tuple[Any, ...]) -> list[bytes]:
    """The part of a notice that comes first and is the same for all recipients, field by field."""
    return _shared_encoder()(fields)


def join_shared(parts: list[bytes], withheld: Iterable[int] = ()) -> bytes:
    """The same in one piece, with nulls in the places that are withheld."""
    if withheld:
        parts = parts.copy()
        for place in withheld:
            parts[place] = _NULL
    return b"".join(parts)


def encode_notice(
    kind: str,
    shared: bytes,
    notice_id: str,
    event_id: str | None,
    cause: str,
    covers: tuple[str, ...],
    recipient: bytes,
) -> bytes:
    """A whole notice: framing, the shared part as `join_shared` gave it, what is its own, and the recipient as
    `encode_recipient` gave it."""
    return header(kind) + shared + _own_encoder()((notice_id, event_id, cause, covers)) + recipient


@lru_cache(maxsize=65536)
def encode_recipient(scac: str, roles: tuple[str, ...], voyage_number: str | None) -> bytes:
    """The part of a notice that comes last."""
    return _recipient_encoder()((scac, roles, voyage_number))
