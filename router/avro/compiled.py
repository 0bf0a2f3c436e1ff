"""What both ways share: numbers as Avro writes them, and functions that are written as text and compiled once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

Schema = Any
Encode = Callable[[Any], bytes]

_VARINT_END: Final = 0x80
_LONG_BITS: Final = 64
_MOST_REMEMBERED: Final = 65_536
_LONGEST_REMEMBERED: Final = 100
"""Entries of each table below, and bytes of an entry; with one more it is begun anew: no input can make it grow."""


class Remembered(dict[Any, Any]):
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
    "LONG": Remembered(encode_long),
    "SOME_LONG": Remembered(_optional(encode_long)),
    "STRING": Remembered(_encode_string),
    "SOME_STRING": Remembered(_optional(_encode_string)),
    "TEXT": Remembered(bytes.decode),
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


class Source:
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


def kind_of(schema: Schema) -> str:
    """What a schema is, once the names of logical types are looked through."""
    kind: str = schema if isinstance(schema, str) else schema["type"]
    return kind
