"""Values as bytes on the log, and back.

Two formats lie on the topics. Everything that somebody outside the router reads or writes is Avro with a published
schema (router/codec/published.py). Everything that only the router and its commands read is MessagePack of its own
types (router/codec/packed.py). The first byte tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.codec import packed, published
from router.codec.packed import PACKED
from router.codec.published import FIRST_ID, HEADER_SIZE, MAGIC, NOTICE_KINDS, PublishedValue
from router.model.inputs import FedRecord
from router.model.links import IndexFact, LinkFact, RefilingRecord
from router.model.registry_values import RegistryValue

__all__ = [
    "FIRST_ID",
    "HEADER_SIZE",
    "MAGIC",
    "NOTICE_KINDS",
    "Fields",
    "Value",
    "decode",
    "decode_value",
    "encode_value",
]

Fields = dict[str, Any]
"""A record's fields by name, nested records as dicts; times are UTC milliseconds."""

Value = FedRecord | RegistryValue | IndexFact | LinkFact | RefilingRecord
"""Every typed value of the input topics."""


def encode_value(value: Value) -> bytes:
    """Any value of the input topics, in its type's format."""
    if isinstance(value, PublishedValue):
        return published.encode_value(value)
    return PACKED[type(value)].encode(value)


def decode_value(data: bytes) -> Any:
    """The typed value of any record of the router, the published ones without a type of their own excepted.

    Raises InputError.
    """
    if data[:1] == MAGIC:
        return published.decode_value(data)
    return packed.decode(data)


def decode(data: bytes) -> tuple[str, Fields]:
    """Name and fields of any record. Raises InputError."""
    if data[:1] == MAGIC:
        return published.decode(data)
    kind = packed.kind_of(data)
    return kind.name, packed.fields_of(kind.decode(data))


def name_of_type(kind: type[Any]) -> str:
    """Name of the schema or packed kind of a type's records."""
    return published.name_of(kind) or PACKED[kind].name


def encode(name: str, fields: Mapping[str, Any]) -> bytes:
    """A published record without a type of its own, from its fields."""
    return published.encode(name, fields)
