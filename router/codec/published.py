"""Published records: Avro by the schemas in `schemas/`, in Confluent's framing.

Framing: one zero byte, the schema's id as four bytes big-endian, then the Avro binary. Ids are fixed in
`schemas/ids.json`, so they are the same on both logs and after every restart. Within the router times stay UTC
milliseconds: a logical type changes no byte, so records are read and written as plain numbers.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, get_args

import fastavro

from router.decide.audience import Disclosure
from router.decide.notices import SHOWN, stop_fields
from router.errors import InputError
from router.model.inputs import (
    DeadLetter,
    Disposition,
    Filing,
    disposition_fields,
    disposition_of,
    filing_fields,
    filing_of,
)
from router.model.registry_values import Request
from router.model.vocabulary import Kind

MAGIC: Final = b"\x00"
HEADER_SIZE: Final = 5
FIRST_ID: Final = 1_000_000_000
"""Lowest id of the router's own. No external registry counts that far, so both kinds of id can be read."""

NOTICE_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PublishedValue = Disposition | Filing | DeadLetter | Request

_INVALID: Final = (
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    StopIteration,
    TypeError,
    ValueError,
)
"""Errors of fastavro, and of the types made of its values, on bytes that are no such record."""


# Schemas


def schema_directory() -> Path:
    """Folder of the schema files: inside the installed package, or at the top of a checkout."""
    packaged = Path(__file__).parent.parent / "schemas"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent.parent / "schemas"


@cache
def schema_ids() -> dict[str, int]:
    """Schema names with the router's own ids."""
    ids: dict[str, int] = json.loads((schema_directory() / "ids.json").read_text())
    return ids


@cache
def raw_schema(name: str) -> dict[str, Any]:
    """A schema as published, with logical types and docs."""
    schema: dict[str, Any] = json.loads((schema_directory() / f"{name}.avsc").read_text())
    return schema


_external_ids: dict[str, int] = {}


def publish_under(ids: Mapping[str, int]) -> None:
    """Write the schemas named with the ids of an external registry, from now on and in this process.

    All others keep the router's own ids; records with either are read.
    """
    _external_ids.clear()
    _external_ids.update(ids)
    header.cache_clear()
    schema_names.cache_clear()


@cache
def schema_names() -> dict[int, str]:
    return {number: name for ids in (schema_ids(), _external_ids) for name, number in ids.items()}


@cache
def header(name: str) -> bytes:
    return MAGIC + (_external_ids.get(name) or schema_ids()[name]).to_bytes(4, "big")


def schema_name_of(data: bytes) -> str:
    """Raises InputError if the data does not begin with the header of a known schema."""
    name = schema_names().get(int.from_bytes(data[1:HEADER_SIZE], "big")) if data[:1] == MAGIC else None
    if name is None or len(data) < HEADER_SIZE:
        raise InputError("the value does not begin with the header of a known schema")
    return name


# Records


def encode(name: str, fields: Mapping[str, Any]) -> bytes:
    """A framed record. Missing fields have the schema's defaults."""
    return header(name) + _write(_parsed(name), fields)


def decode(data: bytes) -> tuple[str, dict[str, Any]]:
    """Schema name and fields, lists as tuples.

    Raises InputError if the data is not exactly one record of a known schema.
    """
    name, fields = _read(data)
    return name, {key: tuple(part) if isinstance(part, list) else part for key, part in fields.items()}


def _read(data: bytes) -> tuple[str, dict[str, Any]]:
    name = schema_name_of(data)
    stream = io.BytesIO(data)
    stream.seek(HEADER_SIZE)
    try:
        fields: Any = fastavro.schemaless_reader(stream, _parsed(name), None)
    except _INVALID as error:
        # without the error's own text, which may contain the whole value
        raise InputError(f"the value is not a whole {name} record ({type(error).__name__})") from error
    if stream.tell() != len(data):
        raise InputError(f"the value has {len(data)} bytes, its {name} record {stream.tell()}")
    return name, fields


def _write(schema: Any, datum: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, datum)
    return stream.getvalue()


@cache
def _parsed(name: str) -> Any:
    return fastavro.parse_schema(_without_logical_types(raw_schema(name)))


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = (item for item in schema.items() if item[0] not in ("logicalType", "doc"))
        return {key: _without_logical_types(part) for key, part in kept}
    return [_without_logical_types(part) for part in schema] if isinstance(schema, list) else schema


# Records that have a type of their own


def _dead_letter_of(fields: Mapping[str, Any]) -> DeadLetter:
    return DeadLetter(**fields)


def _request_of(fields: Mapping[str, Any]) -> Request:
    return Request(**fields)


def _plain_fields(value: Any) -> dict[str, Any]:
    fields: dict[str, Any] = value._asdict()
    return fields


_FIELDS_OF: Final[Mapping[type[Any], tuple[str, Callable[[Any], dict[str, Any]]]]] = {
    Disposition: ("disposition", disposition_fields),
    Filing: ("filing", filing_fields),
    DeadLetter: ("dead-letter", _plain_fields),
    Request: ("request", _plain_fields),
}

_VALUE_OF: Final[Mapping[str, Callable[[Mapping[str, Any]], PublishedValue]]] = {
    "disposition": disposition_of,
    "filing": filing_of,
    "dead-letter": _dead_letter_of,
    "request": _request_of,
}


def name_of(kind: type[Any]) -> str | None:
    """Name of the schema of a type's records; None if the type is not published."""
    found = _FIELDS_OF.get(kind)
    return found[0] if found is not None else None


def encode_value(value: PublishedValue) -> bytes:
    name, fields_of = _FIELDS_OF[type(value)]
    return encode(name, fields_of(value))


def decode_value(data: bytes) -> PublishedValue:
    """The typed value of a record. Raises InputError."""
    name, fields = _read(data)
    make = _VALUE_OF.get(name)
    if make is None:
        raise InputError(f"a {name} record does not belong here")
    return make(fields)


# Notices. Their fields are ordered by disclosure: first those that every recipient sees, then those of each wider step,
# last the recipient's own. An Avro record is its fields in order, so a decision's notices share encoded parts: the
# common part is encoded once, each step once, and a recipient below a step gets nulls in its place. The few recipients
# of a stop alone have a common part of their own, with defaults for what they may not see.

_WIDER_STEPS: Final = (Disclosure.CARRIER, Disclosure.FULL)
_OWN_FIELDS: Final = ("recipient", "roles", "recipient_voyage_number")


class NoticeParts:
    """The encoded fields of one decision's notices, put together for each recipient."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self._common = _write(_common_schema(), fields)
        self._bodies: dict[Disclosure, bytes] = {}

    def notice(self, kind: Kind, disclosure: Disclosure, notice_id: str, recipient: bytes) -> bytes:
        """A whole notice, framed. `recipient` is the result of `encode_recipient`."""
        body = self._bodies.get(disclosure)
        if body is None:
            body = self._bodies[disclosure] = self._body(disclosure)
        return header(kind) + body + _write("string", notice_id) + recipient

    def _body(self, disclosure: Disclosure) -> bytes:
        body = self._common
        if disclosure is Disclosure.STOP:
            body = _write(_common_schema(), stop_fields(self._fields))
        for step in _WIDER_STEPS:
            body += _write(_part(step), self._fields) if disclosure <= step else bytes(len(SHOWN[step]))
        return body


@cache
def _common_schema() -> Any:
    return _part_schema(SHOWN[Disclosure.STOP] + SHOWN[Disclosure.AGREEMENT])


@cache
def _part(step: Disclosure) -> Any:
    return _part_schema(SHOWN[step])


def _part_schema(names: tuple[str, ...]) -> Any:
    schema = _without_logical_types(raw_schema(NOTICE_KINDS[0]))
    return fastavro.parse_schema(schema | {"fields": [one for one in schema["fields"] if one["name"] in names]})


@lru_cache(maxsize=65536)
def encode_recipient(party_id: str, roles: tuple[str, ...], voyage_number: str | None) -> bytes:
    """The part of a notice that is the same for thousands of bills."""
    return _write(_recipient_schema(), dict(zip(_OWN_FIELDS, (party_id, roles, voyage_number), strict=True)))


@cache
def _recipient_schema() -> Any:
    return _part_schema(_OWN_FIELDS)
