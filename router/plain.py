"""Records as plain JSON: the schema's own field names, moments as ISO 8601 in UTC.

What a field is, the published schema says: every `timestamp-millis` becomes text, none is listed here by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from router import codec
from router.errors import InputError
from router.harmless import harmless
from router.model.eastern import iso

Convert = Callable[[Any], Any]


def plain(name: str, datum: codec.Datum) -> dict[str, Any]:
    """Fields of a record of the schema `name`, or some of them, as JSON can hold them."""
    converted: dict[str, Any] = _converter(name)(datum)
    return converted


def plain_value(value: bytes) -> dict[str, Any]:
    """A value as it lies on a topic. A notice also says its `kind`. Raises InputError."""
    name, datum = codec.decode(value)
    kind = {"kind": name} if name in codec.NOTICE_KINDS else {}
    return kind | plain(name, datum)


def json_line(fields: dict[str, Any]) -> str:
    """One line, in every script; what would steer a terminal is escaped, which in JSON is the same text."""
    return harmless(json.dumps(fields, ensure_ascii=False))


@cache
def _converter(name: str) -> Convert:
    return _convert(codec.raw_schema(name), {})


def _convert(schema: Any, named: dict[str, Convert]) -> Convert:
    if isinstance(schema, list):
        return _optional(schema, named)
    if isinstance(schema, str):
        return named.get(schema.rpartition(".")[2]) or (_bytes if schema == "bytes" else _same)
    if schema.get("logicalType") == "timestamp-millis":
        return iso
    kind = schema["type"]
    if kind == "record":
        fields = {field["name"]: _convert(field["type"], named) for field in schema["fields"]}
        named[schema["name"]] = lambda datum: {
            field: convert(datum[field]) for field, convert in fields.items() if field in datum
        }
        return named[schema["name"]]
    if kind == "array":
        items = _convert(schema["items"], named)
        return lambda datum: [items(item) for item in datum]
    return _same if kind == "map" else _convert(kind, named)


def _optional(schemas: list[Any], named: dict[str, Convert]) -> Convert:
    """Our unions are all of null and one other."""
    (other,) = (schema for schema in schemas if schema != "null")
    convert = _convert(other, named)
    return lambda datum: None if datum is None else convert(datum)


def _same(datum: Any) -> Any:
    return datum


def _bytes(datum: bytes) -> Any:
    """A record within a record (a timeline entry's input) as its fields; other bytes as text, byte for character."""
    if datum[:1] == codec.MAGIC:
        try:
            name, fields = codec.decode(datum)
        except InputError:
            return datum.decode("latin-1")
        return {"record": name} | plain(name, fields)
    return readable(datum)


def readable(content: bytes) -> str:
    """Content of a dead letter as text; what isn't UTF-8 byte for character."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")
