"""Values as people and their programs read them: records as JSON fields.

Field names are the record's own. Times become ISO 8601 in UTC: fields of published records whose schema has the logical
type `timestamp-millis`, and fields of packed records with a name such as `at`, `received_at` or `until`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import cache
from typing import Any, TypeVar

from router import codec
from router.codec.packed import MAGIC as PACKED_MAGIC
from router.codec.published import MAGIC, raw_schema, schema_ids
from router.errors import InputError
from router.harmless_text import readable
from router.model.eastern import iso

T = TypeVar("T")

Convert = Callable[[Any], Any]


def by_cause(notices: Iterable[T], cause: Callable[[T], str | None], bill: Callable[[T], Hashable]) -> list[list[T]]:
    """The notices in groups of one cause, each at the place of its first notice; one without a cause is alone.

    The cause is an event's id: a stopped box of ten bills makes ten notices for a party. A group ends before a bill's
    notice that would come to stand above an earlier one of that bill.
    """
    groups: list[list[T]] = []
    of_cause: dict[str, int] = {}
    of_bill: dict[Hashable, int] = {}
    for notice in notices:
        name, about = cause(notice), bill(notice)
        place = of_cause.get(name, -1) if name is not None else -1
        if place < of_bill.get(about, 0):
            place = len(groups)
            groups.append([])
        groups[place].append(notice)
        of_bill[about] = place
        if name is not None:
            of_cause[name] = place
    return groups


def plain_value(value: bytes) -> dict[str, Any]:
    """The JSON fields of a framed record; a notice also has its `kind`. Raises InputError."""
    name, datum = codec.decode(value)
    kind = {"kind": name} if name in codec.NOTICE_KINDS else {}
    return kind | plain(name, datum)


def plain(name: str, datum: codec.Fields) -> dict[str, Any]:
    """The JSON fields of a record of schema `name`; fields that `datum` lacks are left out."""
    converted: dict[str, Any] = _converter(name)(datum)
    return converted


@cache
def _converter(name: str) -> Convert:
    return _convert(raw_schema(name), {}) if name in schema_ids() else _packed


def _packed(value: Any, name: str = "") -> Any:
    """Fields of a packed record as JSON; `name` is the field that has the value."""
    if isinstance(value, dict):
        return {key: _packed(part, key) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(part) for part in value]
    if isinstance(value, bytes):
        return _bytes(value)
    is_time = name in ("at", "until", "oldest_posted") or name.endswith("_at")
    return iso(value) if is_time and isinstance(value, int) else value


def _convert(schema: Any, named: dict[str, Convert]) -> Convert:
    if isinstance(schema, list):  # all our unions are of null and one other type
        (other,) = (one for one in schema if one != "null")
        convert = _convert(other, named)
        return lambda datum: None if datum is None else convert(datum)
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


def _same(datum: Any) -> Any:
    return datum


def _bytes(datum: bytes) -> Any:
    """A framed record within a record (a timeline entry's input) as its fields; other bytes as text."""
    if datum[:1] in (MAGIC, PACKED_MAGIC):
        try:
            name, fields = codec.decode(datum)
        except InputError:
            return datum.decode("latin-1")
        return {"record": name} | plain(name, fields)
    return readable(datum)
