"""From values to bytes: an expression for each field, joined."""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any

from router.avro.compiled import Encode, Remembered, Schema, Source, kind_of

EncodeFields = Callable[[Any], list[bytes]]


class _Encoders(Source):
    def __init__(self, varied: Collection[str], alike: Collection[str] = ()) -> None:
        super().__init__(varied)
        self._alike = alike

    def record(self, schema: Schema) -> str:
        return self.named(schema, self._record)

    def _record(self, schema: Schema) -> str:
        unpack, parts = self.fields(schema)
        return self.function("value", (unpack, f"return join(({parts},))"))

    def fields(self, schema: Schema) -> tuple[str, str]:
        """Source that takes a value apart (a mapping, or a tuple in the schema's order), and its fields' bytes."""
        names = [field["name"] for field in schema["fields"]]
        pick = self.word(lambda value, get=itemgetter(*names): (get(value),) if len(names) == 1 else get(value))
        places = [f"value_{place}" for place in range(len(names))]
        parts = [
            self.value(field["type"], place, varied=field["name"] in self._varied)
            for place, field in zip(places, schema["fields"], strict=True)
        ]
        return f"{', '.join(places)}, = value if isinstance(value, tuple) else {pick}(value)", ", ".join(parts)

    def value(self, schema: Schema, value: str, *, varied: bool) -> str:
        """An expression for the bytes of `value`, which is the name of a variable."""
        if isinstance(schema, list):
            inner = self.value(schema[1], value, varied=varied)
            if inner in (f"STRING[{value}]", f"LONG[{value}]"):
                return f"SOME_{inner}"
            return f"(ABSENT if {value} is None else PRESENT + {inner})"
        kind = kind_of(schema)
        if kind == "string":
            return f"LONG[len(data := {value}.encode())] + data" if varied else f"STRING[{value}]"
        if kind in ("int", "long"):
            return f"LONG[{value}]"
        if kind == "boolean":
            return f"(YES if {value} else NO)"
        if kind == "bytes":
            return f"LONG[len({value})] + {value}"
        if kind == "array":
            item = self.value(schema["items"], "item", varied=varied)
            return self._block(value, f"[{item} for item in values]")
        if kind == "map":
            key = self.value("string", "key", varied=varied)
            item = self.value(schema["values"], "item", varied=varied)
            return self._block(value, f"[{key} + {item} for key, item in values.items()]")
        name = self.record(schema)
        if isinstance(schema, dict) and schema["name"] in self._alike:
            return f"({self.word(Remembered(self[name]))}[{value}] if isinstance({value}, tuple) else {name}({value}))"
        return f"{name}({value})"

    def _block(self, value: str, items: str) -> str:
        name = self.function("values", (f"return join((LONG[len(values)], *{items}, ABSENT))",))
        return f"({name}({value}) if {value} else ABSENT)"


def encoder(schema: Schema, varied: Collection[str] = (), alike: Collection[str] = ()) -> Encode:
    """A function from a record's value to its bytes: a mapping, or a tuple with the fields in order. Fields in `varied`
    hardly ever have the same value twice: what they make isn't remembered. Records within it that are in `alike`, by
    name, nearly always have: given as tuples, of what can't change, they are remembered whole."""
    source = _Encoders(varied, alike)
    encode: Encode = source[source.record(schema)]
    return encode


def fields_encoder(schema: Schema, varied: Collection[str] = ()) -> EncodeFields:
    """As `encoder`, but the bytes of each field by themselves."""
    source = _Encoders(varied)
    unpack, parts = source.fields(schema)
    encode: EncodeFields = source[source.function("value", (unpack, f"return [{parts}]"))]
    return encode
