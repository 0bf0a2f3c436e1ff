"""Avro in and out: every value on every topic is a Confluent-framed record of one schema in `schemas/`.

Framing: one zero byte, the schema's id as four bytes big-endian, then the Avro binary. Ids are fixed in
`schemas/ids.json`, so they are the same on both logs and after every restart.

Inside, times stay UTC milliseconds: the schemas are parsed without their logical types, which changes no byte on the wire.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import fastavro

from router.errors import InputError
from router.model.facts import IndexFact, LinkFact
from router.model.inputs import Confirmation, DeadLetter, Disposition, Filing, Snapshot, SnapshotHold
from router.model.registry import Line, Party, RegistryNote, Sailing

MAGIC: Final = b"\x00"
HEADER_SIZE: Final = 5

Datum = dict[str, Any]


def schema_directory() -> Path:
    """Where the `.avsc` files are: inside the installed package, or at the top of a checkout."""
    packaged = Path(__file__).parent / "schemas"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "schemas"


@cache
def schema_ids() -> dict[str, int]:
    """Schema name (the file's) to id."""
    ids: dict[str, int] = json.loads((schema_directory() / "ids.json").read_text())
    return ids


@cache
def schema_names() -> dict[int, str]:
    return {number: name for name, number in schema_ids().items()}


@cache
def raw_schema(name: str) -> Datum:
    """The schema as published, logical types and docs included."""
    schema: Datum = json.loads((schema_directory() / f"{name}.avsc").read_text())
    return schema


@cache
def parsed_schema(name: str) -> Any:
    """The schema as used inside: no logical types."""
    return fastavro.parse_schema(_without_logical_types(raw_schema(name)))


@cache
def header(name: str) -> bytes:
    return MAGIC + schema_ids()[name].to_bytes(4, "big")


def encode(name: str, datum: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    out.write(header(name))
    fastavro.schemaless_writer(out, parsed_schema(name), datum)
    return out.getvalue()


def decode(value: bytes) -> tuple[str, Datum]:
    """Schema name and fields. Raises InputError if the value isn't one of ours."""
    name = schema_name_of(value)
    try:
        datum = fastavro.schemaless_reader(io.BytesIO(value[HEADER_SIZE:]), parsed_schema(name), None)
    except (EOFError, IndexError, ValueError, UnicodeDecodeError, OverflowError, TypeError) as error:
        raise InputError(f"the value is not a whole {name} record ({error!r})") from error
    return name, datum  # type: ignore[return-value]


def schema_name_of(value: bytes) -> str:
    name = schema_names().get(int.from_bytes(value[1:HEADER_SIZE], "big")) if value[:1] == MAGIC else None
    if name is None or len(value) < HEADER_SIZE:
        raise InputError("the value does not begin with the header of a schema we know")
    return name


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = {key: _without_logical_types(part) for key, part in schema.items() if key not in ("logicalType", "doc")}
        return kept["type"] if set(kept) == {"type"} else kept
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    return schema


# Values to and from records. A NamedTuple's fields are the record's fields, so most need nothing but the names.

Value = (
    Disposition | Filing | Snapshot | Confirmation | DeadLetter | Party | Sailing | RegistryNote | IndexFact | LinkFact
)


def encode_value(value: Value) -> bytes:
    """Any of our typed values, framed."""
    if isinstance(value, Snapshot):
        datum = value._asdict() | {
            "filing": value.filing._asdict(),
            "holds": [hold._asdict() for hold in value.holds],
        }
        return encode("snapshot", datum)
    if isinstance(value, Sailing):
        return encode("sailing", value._asdict() | {"lines": [line._asdict() for line in value.lines]})
    return encode(_NAME_OF[type(value)], value._asdict())


def decode_value(value: bytes) -> Value:
    """The typed value behind the bytes. Raises InputError."""
    name, datum = decode(value)
    build = _BUILD.get(name)
    if build is None:
        raise InputError(f"a {name} record does not belong here")
    return build(datum)


def _disposition(datum: Datum) -> Disposition:
    datum["container_numbers"] = tuple(datum["container_numbers"])
    datum["other_container_numbers"] = tuple(datum["other_container_numbers"])
    datum["snps"] = tuple(datum["snps"])
    return Disposition(**datum)


def _filing(datum: Datum) -> Filing:
    datum["container_numbers"] = tuple(datum["container_numbers"])
    datum["snps"] = tuple(datum["snps"])
    return Filing(**datum)


def _snapshot(datum: Datum) -> Snapshot:
    datum["filing"] = _filing(datum["filing"])
    datum["holds"] = tuple(SnapshotHold(**hold) for hold in datum["holds"])
    return Snapshot(**datum)


def _confirmation(datum: Datum) -> Confirmation:
    return Confirmation(**datum | {"covers": tuple(datum["covers"])})


def _party(datum: Datum) -> Party:
    return Party(**datum | {"roles": tuple(datum["roles"]), "aliases": tuple(datum["aliases"])})


def _sailing(datum: Datum) -> Sailing:
    return Sailing(**datum | {"lines": tuple(Line(**line) for line in datum["lines"])})


_BUILD: Final[dict[str, Callable[[Datum], Value]]] = {
    "disposition": _disposition,
    "filing": _filing,
    "snapshot": _snapshot,
    "confirmation": _confirmation,
    "dead-letter": lambda datum: DeadLetter(**datum),
    "party": _party,
    "sailing": _sailing,
    "registry-note": lambda datum: RegistryNote(**datum),
    "index-fact": lambda datum: IndexFact(**datum),
    "link-fact": lambda datum: LinkFact(**datum),
}

_NAME_OF: Final[dict[type, str]] = {
    Disposition: "disposition",
    Filing: "filing",
    Confirmation: "confirmation",
    DeadLetter: "dead-letter",
    Party: "party",
    RegistryNote: "registry-note",
    IndexFact: "index-fact",
    LinkFact: "link-fact",
}


# A notice is written in two parts: what all recipients share, encoded once, and what is the recipient's own. An Avro
# record is its fields one after the other, so the two parts joined are the whole record.

NOTICE_KINDS: Final = ("hold", "change", "release")
FIRST_OWN_FIELD: Final = "notice_id"


@cache
def _notice_parts() -> tuple[Any, Any]:
    schema = _without_logical_types(raw_schema("hold"))
    names = [field["name"] for field in schema["fields"]]
    split = names.index(FIRST_OWN_FIELD)
    shared = schema | {"name": "NoticeShared", "fields": schema["fields"][:split]}
    own = schema | {"name": "NoticeOwn", "fields": schema["fields"][split:]}
    return fastavro.parse_schema(shared), fastavro.parse_schema(own)


def encode_shared(fields: Mapping[str, Any]) -> bytes:
    """The part of a notice that comes first and is the same for all who may see the same."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _notice_parts()[0], fields)
    return out.getvalue()


def encode_notice(kind: str, shared: bytes, own: Mapping[str, Any]) -> bytes:
    """A whole notice: framing, the shared part as `encode_shared` gave it, the recipient's own part."""
    out = io.BytesIO()
    out.write(header(kind))
    out.write(shared)
    fastavro.schemaless_writer(out, _notice_parts()[1], own)
    return out.getvalue()
