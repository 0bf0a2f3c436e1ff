"""Avro object container files, whoever wrote them: what their records may ask for in memory, time and depth is bounded
before they are read. A library that reads any schema follows a file wherever it leads: a hundred bytes can name a
record that has no end, and two megabytes unpack to gigabytes.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import IO, Any, Final, NamedTuple, cast

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from router.errors import InputError
from router.feeds.evidence import Evidence, blocks

BLOCK_LIMIT: Final = 1 << 24
"""Longest block, packed and unpacked: common writers make blocks of some 16 kB, and damage makes any number."""
DEPTH_LIMIT: Final = 16
STEPS_LIMIT: Final = 10_000
"""Types within types, and values of one record that need no byte: far beyond any record of dispositions."""

_MAGIC: Final = b"Obj\x01"
_MARK_SIZE: Final = 16
_LONGEST_LONG: Final = 10
_RAW_DEFLATE: Final = -15
_META: Final = {"type": "map", "values": "bytes"}
_LEAST: Final = {
    "null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1, "enum": 1,
}  # fmt: skip
"""Bytes that a value takes at least."""
_READ: Final = ("timestamp-millis", "timestamp-micros", "local-timestamp-millis", "local-timestamp-micros", "date")
"""Logical types that mean something here. Of any other the plain value counts."""

AVRO_FAULTS: Final = (
    ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError,
    RecursionError, UnicodeDecodeError, StopIteration, struct.error, zlib.error, SchemaParseException, UnknownType,
)  # fmt: skip
"""All that fastavro raises for files that are damaged or that it can't read."""


def avro_lines(stream: Stream) -> Iterator[bytes]:
    """Each record as a line of JSON. Raises InputError where the file is damaged, or beyond what is read."""
    try:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise InputError("the file doesn't begin as an Avro file")
        meta = cast("dict[str, bytes]", fastavro.schemaless_reader(cast("IO[bytes]", stream), _META, None))
        mark = stream.read(_MARK_SIZE)
        written = json.loads(meta["avro.schema"])
        _check(written)
        schema = fastavro.parse_schema(written)
        while (count := _long(stream)) is not None:
            block = _unpacked(stream.read(_long(stream) or 0), meta.get("avro.codec", b"null"))
            yield from _records(block, count, schema)
            if stream.read(_MARK_SIZE) != mark:
                raise InputError("a block doesn't end with the file's mark")
    except AVRO_FAULTS as error:
        raise InputError(f"the Avro file is damaged ({type(error).__name__}: {error})") from error


def _records(block: bytes, count: int, schema: Any) -> Iterator[bytes]:
    if not 0 <= count <= len(block):
        raise InputError(f"a block of {len(block)} bytes says that it has {count} records")
    records = BytesIO(block)
    for _ in range(count):
        yield json.dumps(fastavro.schemaless_reader(records, schema, None), default=_jsonable).encode()
    if records.tell() != len(block):
        raise InputError(f"a block goes on behind its {count} records")


def _unpacked(block: bytes, codec: bytes) -> bytes:
    if codec == b"null":
        return block
    if codec != b"deflate":
        raise InputError(f"its codec is {codec[:20]!r}: write it with deflate, or null")
    unpacking = zlib.decompressobj(_RAW_DEFLATE)
    unpacked = unpacking.decompress(block, BLOCK_LIMIT)
    if not unpacking.eof:
        raise InputError(f"a block is cut, or unpacks to more than {BLOCK_LIMIT} bytes")
    return unpacked


def _long(stream: Stream) -> int | None:
    """None at the end of the file."""
    number = 0
    for place in range(_LONGEST_LONG):
        byte = stream.read(1)
        if not byte:
            if place:
                raise InputError("the file ends within a number")
            return None
        number |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < 0x80:
            return (number >> 1) ^ -(number & 1)
    raise InputError("a number has more than 64 bits")


def _jsonable(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


# A schema, before anything is read by it


class _Cost(NamedTuple):
    least: int
    """Bytes that a value takes at least."""
    steps: int
    """Values within it that are read even if it has no more than these bytes."""


def _check(schema: Any) -> None:
    """Raises InputError where a record could be endless, or be there without a byte."""
    if _Schema().cost(schema, 0).least == 0:
        raise InputError("its schema has records without content")


class _Schema:
    """Names are told apart by their last part: of two with the same one, the second would be taken for the first."""

    def __init__(self) -> None:
        self._named: dict[str, _Cost | None] = {}
        """None: within it, so naming it would be endless."""

    def cost(self, schema: Any, depth: int) -> _Cost:
        if depth > DEPTH_LIMIT:
            raise InputError("its schema is nested too deeply")
        if isinstance(schema, list):
            branches = [self.cost(branch, depth + 1) for branch in schema]
            return self._bounded(1, 1 + max((branch.steps for branch in branches), default=0))
        if isinstance(schema, str):
            return _Cost(_LEAST[schema], 1) if schema in _LEAST else self._known(schema)
        kind = schema["type"]
        if schema.get("logicalType") not in _READ:
            schema.pop("logicalType", None)
        if not isinstance(kind, str):
            return self.cost(kind, depth + 1)
        if kind in ("record", "error", "fixed", "enum"):
            return self._define(schema, kind, depth)
        if kind in ("array", "map"):
            inner = self.cost(schema["items" if kind == "array" else "values"], depth + 1)
            if kind == "array" and inner.least == 0:
                raise InputError("its schema has a list of values without content")
            return _Cost(1, 1)
        return self.cost(kind, depth + 1)

    def _define(self, schema: Any, kind: str, depth: int) -> _Cost:
        name = schema["name"].rpartition(".")[2]
        if name in self._named:
            raise InputError(f"its schema has more than one type {name[:80]!r}")
        self._named[name] = None
        least, steps = _LEAST.get(kind, 0), 1
        if kind == "fixed":
            least = max(0, int(schema["size"]))
        elif kind != "enum":
            for field in schema["fields"]:
                cost = self.cost(field["type"], depth + 1)
                least, steps = least + cost.least, steps + cost.steps
        self._named[name] = self._bounded(least, steps)
        return self._bounded(least, steps)

    def _known(self, name: str) -> _Cost:
        known = self._named[name.rpartition(".")[2]]
        if known is None:
            raise InputError(f"its schema has a type within itself ({name[:80]!r})")
        return known

    def _bounded(self, least: int, steps: int) -> _Cost:
        if steps > STEPS_LIMIT:
            raise InputError("its schema is too large")
        return _Cost(least, steps)


class Stream:
    """Chunks as a file that can only be read; what has been read is kept as evidence."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._blocks = blocks(chunks)
        self._rest = memoryview(b"")
        self.evidence = Evidence()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= BLOCK_LIMIT:
            raise ValueError(f"it asks for {size} bytes at once")
        parts: list[bytes] = []
        while size > 0:
            if not self._rest:
                block = next(self._blocks, b"")
                self.evidence.add(block)
                if not block:
                    break
                self._rest = memoryview(block)
            parts.append(bytes(self._rest[:size]))
            self._rest = self._rest[size:]
            size -= len(parts[-1])
        return b"".join(parts)

    def drain(self) -> None:
        for block in self._blocks:
            self.evidence.add(block)
