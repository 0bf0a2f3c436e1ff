"""Avro binary, compiled from a schema once: straight-line Python is written for each record, as `dataclasses` does.

For our records (many nullable strings, mostly the same ones) this is many times as fast as a general writer, which
looks for the right branch of each union anew: a vessel's name or a code is looked up with the bytes it makes. Covers
what `schemas/` uses: records, arrays, maps, `["null", X]`, strings, bytes, booleans, ints and longs. Tests hold it
against fastavro, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import itemgetter
from typing import Any, Final

Schema = Any
Encode = Callable[[Any], bytes]
EncodeFields = Callable[[Any], list[bytes]]
Decode = Callable[[bytes, int], tuple[Any, int]]
"""From a buffer and a place in it to the value there and the place after it. Raises IndexError beyond the end and
ValueError for what can't be; a caller must check that the last place is the buffer's end."""

Builder = type[tuple[Any, ...]] | Callable[[tuple[Any, ...]], Any]
"""What a record becomes: a NamedTuple with its fields, or what a function makes of them, in the schema's order."""

_VARINT_END: Final = 0x80
_LONG_BITS: Final = 64
_MOST_REMEMBERED: Final = 65_536
_LONGEST_REMEMBERED: Final = 100
"""Entries of each table below, and bytes of an entry; with one more it is begun anew: no input can make it grow."""


class _Remembered(dict[Any, Any]):
    """What a function made of the values it was last asked for."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __missing__(self, key: Any) -> Any:
        made = self._make(key)
        if len(made) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[key] = made
        return made


def encode_long(number: int) -> bytes:
    number = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while number >= _VARINT_END:
        out.append(number & 0x7F | _VARINT_END)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode_long(data: bytes, place: int) -> tuple[int, int]:
    byte = data[place]
    place += 1
    number = byte & 0x7F
    shift = 7
    while byte >= _VARINT_END:
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if number >> _LONG_BITS:  # before it grows: adding to a number of a million digits takes its time each time
            raise ValueError("a number of more than 64 bits")
    return (number >> 1) ^ -(number & 1), place


def _encode_string(text: str) -> bytes:
    data = text.encode()
    return encode_long(len(data)) + data


_ABSENT: Final = b"\x00"
_PRESENT: Final = b"\x02"


def _optional(encode: Encode) -> Encode:
    return lambda value: _ABSENT if value is None else _PRESENT + encode(value)


def _decode_size(data: bytes, place: int) -> tuple[int, int]:
    size, place = decode_long(data, place)
    if size < 0:
        raise ValueError("a length that can't be")
    return size, place


def _decode_block(data: bytes, place: int) -> tuple[int, int]:
    """Number of items in the next block; a negative one is followed by the block's size in bytes. An item takes a byte
    at least, so a count beyond what is left is refused before anything is made for it."""
    count, place = decode_long(data, place)
    if count < 0:
        _, place = decode_long(data, place)
        count = -count
    if count > len(data) - place:
        raise ValueError("more items than there are bytes")
    return count, place


def _no_branch() -> None:
    raise ValueError("a union's branch that isn't there")


_WORDS: Final[Mapping[str, Any]] = {
    "LONG": _Remembered(encode_long),
    "SOME_LONG": _Remembered(_optional(encode_long)),
    "STRING": _Remembered(_encode_string),
    "SOME_STRING": _Remembered(_optional(_encode_string)),
    "TEXT": _Remembered(bytes.decode),
    "SIZES": tuple(-1 if byte & 1 or byte >= _VARINT_END else byte >> 1 for byte in range(256)),
    "NUMBERS": tuple(None if byte >= _VARINT_END else (byte >> 1) ^ -(byte & 1) for byte in range(256)),
    "ABSENT": _ABSENT,
    "PRESENT": _PRESENT,
    "NO": b"\x00",
    "YES": b"\x01",
    "join": b"".join,
    "new": tuple.__new__,
    "decode_long": decode_long,
    "decode_size": _decode_size,
    "decode_block": _decode_block,
    "no_branch": _no_branch,
}
"""What the source below may name. SIZES and NUMBERS are lengths and numbers that take one byte; -1, or None, means to
look closer."""


class _Source:
    """Functions that are written as text and compiled one after the other; a later one may call an earlier."""

    def __init__(self, varied: Collection[str]) -> None:
        self._varied = varied
        self._words: dict[str, Any] = dict(_WORDS)
        self._records: dict[str, str] = {}
        """A record's names to its function's."""

    def word(self, value: Any) -> str:
        """A name for a value in the source."""
        name = f"word_{len(self._words)}"
        self._words[name] = value
        return name

    def function(self, head: str, lines: Iterable[str]) -> str:
        """Compiles it; its name."""
        name = f"function_{len(self._words)}"
        text = "\n    ".join((f"def {name}({head}):", *lines))
        exec(compile(text, f"<avro {name}>", "exec"), self._words)  # noqa: S102 - our own schemas, at start
        return name

    def __getitem__(self, name: str) -> Any:
        return self._words[name]

    def named(self, schema: Schema, write: Callable[[Schema], str]) -> str:
        """The function of a record, which is written at its first mention and named later."""
        if isinstance(schema, str):
            return self._records[schema]
        name = write(schema)
        self._records[schema["name"]] = self._records[f"{schema.get('namespace', 'snp')}.{schema['name']}"] = name
        return name


def _kind(schema: Schema) -> str:
    """What a schema is, once the names of logical types are looked through."""
    kind: str = schema if isinstance(schema, str) else schema["type"]
    return kind


class _Encoders(_Source):
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
        kind = _kind(schema)
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
            return f"({self.word(_Remembered(self[name]))}[{value}] if isinstance({value}, tuple) else {name}({value}))"
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


class _Decoders(_Source):
    def __init__(self, varied: Collection[str], builds: Mapping[str, Builder]) -> None:
        super().__init__(varied)
        self._builds = builds

    def record(self, schema: Schema) -> str:
        return self.named(schema, self._record)

    def _record(self, schema: Schema) -> str:
        names = [field["name"] for field in schema["fields"]]
        places = [f"value_{place}" for place in range(len(names))]
        lines = [
            line
            for place, field in zip(places, schema["fields"], strict=True)
            for line in self.value(field["type"], place, varied=field["name"] in self._varied)
        ]
        build = self._builds.get(schema["name"])
        values = f"({', '.join(places)},)"
        if build is None:
            made = "{" + ", ".join(f"{name!r}: {place}" for name, place in zip(names, places, strict=True)) + "}"
        elif isinstance(build, type):
            made = f"new({self.word(build)}, {values})"
        else:
            made = f"{self.word(build)}({values})"
        return self.function("data, place", (*lines, f"return {made}, place"))

    def value(self, schema: Schema, value: str, *, varied: bool) -> list[str]:
        """Lines that set the variable `value` and move `place` on. A string may seem to end beyond the buffer's end:
        then whatever is read next raises, or else the last place isn't the end."""
        if isinstance(schema, list):
            inner = self.value(schema[1], value, varied=varied)
            return [
                "branch = data[place]; place += 1",
                f"if branch == 0: {value} = None",
                "else:",
                "    if branch != 2: no_branch()",
                *(f"    {line}" for line in inner),
            ]
        kind = _kind(schema)
        if kind in ("string", "bytes"):
            part = "data[start:place]"
            text = part if kind == "bytes" else f"{part}.decode()" if varied else f"TEXT[{part}]"
            return [
                "size = SIZES[data[place]]; start = place + 1",
                "if size < 0: size, start = decode_size(data, place)",
                f"place = start + size; {value} = {text}",
            ]
        if kind in ("int", "long"):
            return [
                f"{value} = NUMBERS[data[place]]",
                f"if {value} is None: {value}, place = decode_long(data, place)",
                "else: place += 1",
            ]
        if kind == "boolean":
            return [f"{value} = data[place] == 1; place += 1"]
        if kind == "array":
            item = [*self.value(schema["items"], "item", varied=varied), "add(item)"]
            words = ("values = []; add = values.append", "return tuple(values), place + 1", "()")
            return self._blocks(value, words, item)
        if kind == "map":
            key, item = (
                self.value(part, name, varied=varied) for part, name in (("string", "key"), (schema["values"], "item"))
            )
            entry = [*key, *item, "values[key] = item"]
            return self._blocks(value, ("values = {}", "return values, place + 1", "{}"), entry)
        return [f"{value}, place = {self.record(schema)}(data, place)"]

    def _blocks(self, value: str, words: tuple[str, str, str], item: list[str]) -> list[str]:
        """`words`: how it begins, how it ends, and what it is when empty."""
        first, last, empty = words
        name = self.function(
            "data, place",
            (
                first,
                "while data[place]:",
                "    count = SIZES[data[place]]",
                "    if count < 0: count, place = decode_block(data, place)",
                "    else: place += 1",
                "    for _ in range(count):",
                *(f"        {line}" for line in item),
                last,
            ),
        )
        return [f"if data[place]: {value}, place = {name}(data, place)", f"else: {value} = {empty}; place += 1"]


def decoder(schema: Schema, builds: Mapping[str, Builder], varied: Collection[str] = ()) -> Decode:
    """A function from bytes to a record's value: what `builds` makes of it, by its name, or else a dict; an array
    becomes a tuple. `varied` as for `encoder`."""
    source = _Decoders(varied, builds)
    decode: Decode = source[source.record(schema)]
    return decode
