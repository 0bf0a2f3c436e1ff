"""Dispositions in the router's own form (schemas/disposition.avsc): JSON Lines and Avro object container files.

An Avro file may have any writer's schema, so the costs of its records are bounded before they are read. Without that, a
hundred bytes can name a record without end, and two megabytes can unpack to gigabytes.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from io import BytesIO
from typing import IO, Any, Final, NamedTuple, cast

import fastavro
from fastavro.schema import SchemaParseException, UnknownType
from pydantic import ValidationError

from router.errors import InputError
from router.feeds.bounded_input import (
    DEFAULT_OPTIONS,
    ENCODING,
    NOT_JSON,
    PIECE_LIMIT,
    SHOWN,
    InputNotes,
    ReadableBill,
    ReadOptions,
    ReadResult,
    UnreadableInput,
    blocks,
    json_object,
    lines,
)
from router.feeds.cbp_messages import readable_bill, upper
from router.feeds.form_fields import reasons_of
from router.feeds.forms import DispositionForm, filled_in
from router.model.inputs import DeadLetter, Disposition

JSONL: Final = "jsonl"
AVRO: Final = "avro"

_GLUED: Final = re.compile(rb"(?<=\})\s*(?=\{)")
KNOWN_LINE: Final = 1_000
MOST_KNOWN_LINES: Final = 8_192
"""Bytes and number of the unreadable lines that are known again. Deflate repeats within 32 kB."""
_BILL_FIELDS: Final = ("scac", "bill_of_lading", "disposition_code")
_BILL_TEXTS: Final = re.compile(rf'"({"|".join(_BILL_FIELDS)})"\s*:\s*(?:"([^"\\]*)"|([0-9]+)(?=\s*[,}}]))'.encode())
"""Text or digits that are not cut."""


def read_jsonl(
    chunks: Iterable[bytes], source: str, received_at: int, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[ReadResult]:
    """One event a line, or the dead letter of an unreadable line. Skips blank lines."""
    reader = _LineReader(received_at, InputNotes(options.note, source))
    for number, line in enumerate(lines(chunks), 1):
        place = f"{source}:record {number}"
        if isinstance(line, UnreadableInput):
            yield line.dead_letter(f"the line has more than {PIECE_LIMIT:,} bytes", place, JSONL, received_at)
        elif line.strip():
            result = reader.read(line, place)
            if isinstance(result, DeadLetter) and result.bill_of_lading is None:
                yield from _glued_results(line, place, reader, result, options.accepted)
            else:
                yield result


def _glued_results(
    line: bytes, place: str, reader: _LineReader, letter: DeadLetter, accepted: bool
) -> Iterator[Disposition | DeadLetter]:
    """The results of the objects in a line that lost its line breaks, in doubt unless accepted; otherwise its
    letter."""
    parts = _GLUED.split(line)
    if len(parts) < 2:
        yield letter
        return
    has_events = False
    for part in parts:
        result = reader.read(part, place)
        if isinstance(result, Disposition) and not accepted:
            has_events = True
            result = result._replace(uncertain=result.uncertain or "MESSAGE")
        yield result
    if has_events:
        reason = f"{len(parts)} events are on one line: a line break is missing. They stop, and free nothing"
        yield letter._replace(reason=reason, in_doubt=True)


class _LineReader:
    """Reads the lines of one file. Knows short unreadable ones again, of which a hostile file may have millions."""

    def __init__(self, received_at: int, notes: InputNotes) -> None:
        self._received_at, self._notes = received_at, notes
        self._unreadable: dict[bytes, DeadLetter] = {}

    def read(self, line: bytes, place: str) -> Disposition | DeadLetter:
        """The event of a line, or its dead letter, which has the place of the first equal line."""
        if self._unreadable and (known := self._unreadable.get(line)) is not None:
            return known
        result = self._read(line, place)
        if isinstance(result, DeadLetter) and len(line) <= KNOWN_LINE and len(self._unreadable) < MOST_KNOWN_LINES:
            self._unreadable[line] = result
        return result

    def _read(self, line: bytes, place: str) -> Disposition | DeadLetter:
        try:
            values = json_object(line)
            form = DispositionForm.model_validate(filled_in(values))
        except ValidationError as error:
            bill = readable_bill(*(upper(str(values.get(name) or "").strip()) for name in _BILL_FIELDS))
            return UnreadableInput(line).dead_letter(reasons_of(error), place, JSONL, self._received_at, bill)
        except ValueError as error:
            reason = f"{NOT_JSON}: {error}"
            return UnreadableInput(line).dead_letter(reason, place, JSONL, self._received_at, _bill_in(line))
        event = form.disposition(self._received_at, place)
        if form.model_extra:
            self._notes.unknown("fields", form.model_extra)
            for name in form.model_extra:
                if known := _misspelt(name[:SHOWN]):
                    self._notes.add(f"{name[:SHOWN]!r} may be {known!r} misspelt, so its event frees nothing")
                    event = event._replace(uncertain=event.uncertain or "MESSAGE")
        return event


def _bill_in(line: bytes) -> ReadableBill:
    """The bill and code in a line that is no JSON, as far as they are whole and the only ones."""
    found: dict[str, set[str]] = {name: set() for name in _BILL_FIELDS}
    for match in _BILL_TEXTS.finditer(line):
        found[match[1].decode()].add(upper((match[2] or match[3]).decode(ENCODING).strip()))
    bill = readable_bill(*(next(iter(texts)) if len(texts) == 1 else "" for texts in found.values()))
    return bill._replace(is_certain=False)


@lru_cache(1000)
def _misspelt(name: str) -> str | None:
    """The field that an unknown one may be: without it, a release of one container would be one of the bill."""
    return next(iter(get_close_matches(name.lower(), DispositionForm.model_fields, 1, cutoff=0.8)), None)


BLOCK_LIMIT: Final = 1 << 24
"""Bytes of a block, packed and unpacked. Common writers make blocks of about 16 kB; damage makes any number."""
JSON_LIMIT: Final = 1 << 26
"""Bytes of a block's records as JSON, which repeats the names of fields."""
DEPTH_LIMIT: Final = 16
"""Types within types."""
PACKING_LIMIT: Final = 100
"""Unpacked bytes of a block for each packed one. Blocks of like events have about 20."""
LEAST_EVENT: Final = 8
"""Average bytes of a block's records. An event with a code, a time and a bill or vessel has more."""
STEPS_LIMIT: Final = 10_000
"""Values of one record that need no byte. Records of dispositions have far fewer."""

_MAGIC: Final = b"Obj\x01"
_LONGEST_LONG: Final = 10
_RAW_DEFLATE: Final = -15
_LEAST: Final = {
    "null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1, "enum": 1,
}  # fmt: skip
"""Smallest number of bytes of a value."""
_LOGICAL_TYPES: Final = (
    "timestamp-micros", "local-timestamp-millis", "local-timestamp-micros", "date",
)  # fmt: skip
"""Logical types that are read. The plain value of any other counts."""

_AVRO_FAULTS: Final = (
    ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError,
    RecursionError, UnicodeDecodeError, StopIteration, struct.error, zlib.error, SchemaParseException, UnknownType,
)  # fmt: skip
"""Errors of fastavro for files that are damaged or beyond it."""


def read_avro(
    chunks: Iterable[bytes], source: str, received_at: int, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[ReadResult]:
    """One event a record of an object container file, by the names of its fields.

    The dead letter of an unreadable record holds it as JSON, which can be corrected and read again. A damaged file is
    one dead letter whole, beside the events before the damage.
    """
    reader, file = _LineReader(received_at, InputNotes(options.note, source)), _ChunkedFile(chunks)
    number = 0
    try:
        for number, line in enumerate(_records_as_json(file), 1):
            place = f"{source}:record {number}"
            if len(line) > PIECE_LIMIT:
                reason = f"the record has more than {PIECE_LIMIT:,} bytes as JSON"
                yield UnreadableInput(line).dead_letter(reason, place, JSONL, received_at)
            else:
                yield reader.read(line, place)
    except InputError as error:
        while file.read(BLOCK_LIMIT):
            pass
        reason = (
            f"nothing can be read after record {number}: {error.reason}. The records before it were delivered; "
            "get the file again"
        )
        yield file.content.dead_letter(reason, source, AVRO, received_at)


def _records_as_json(file: _ChunkedFile) -> Iterator[bytes]:
    """Each record as JSON. Raises InputError where the file is damaged or beyond the limits."""
    try:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise InputError("the file does not begin as an Avro file")
        meta_type = {"type": "map", "values": "bytes"}
        meta = cast("dict[str, bytes]", fastavro.schemaless_reader(cast("IO[bytes]", file), meta_type, None))
        sync_marker = file.read(16)
        if len(sync_marker) < 16:
            raise InputError("the file ends within its header")
        writer_schema = json.loads(meta["avro.schema"])
        if _cost(writer_schema, {}).least == 0:
            raise InputError("its schema has records without content")
        schema = fastavro.parse_schema(writer_schema)
        while (count := _read_long(file)) is not None:
            block = _unpacked(file.read(_read_long(file) or 0), meta.get("avro.codec", b"null"))
            records = _records_of_block(block, count, schema)
            if file.read(16) != sync_marker:
                raise InputError("a block does not end with the file's sync marker")
            yield from records
    except _AVRO_FAULTS as error:
        raise InputError(f"the Avro file is damaged ({type(error).__name__}: {error})") from error


def _records_of_block(block: bytes, count: int, schema: Any) -> list[bytes]:
    """All records of a block that is whole: a lost byte may leave records that look right."""
    if not 0 <= count * LEAST_EVENT <= len(block):
        raise InputError(f"a block of {len(block):,} bytes declares {count:,} records, which can't all be events")
    reading, records, size = BytesIO(block), [], 0
    for _ in range(count):
        record = fastavro.schemaless_reader(reading, schema, None)
        records.append(json.dumps(record, default=_text).encode())
        size += len(records[-1])
        if size > JSON_LIMIT:
            raise InputError(f"the records of a block have more than {JSON_LIMIT:,} bytes as JSON")
    if reading.tell() != len(block):
        raise InputError(f"a block continues after its {count} records")
    return records


def _text(value: Any) -> str:
    """A value that JSON lacks. A timestamp of a whole minute tells no seconds, so none are written."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="auto" if value.second or value.microsecond else "minutes")
    return value.hex() if isinstance(value, bytes) else str(value)


def _unpacked(block: bytes, codec: bytes) -> bytes:
    if codec == b"null":
        return block
    if codec != b"deflate":
        raise InputError(f"its codec is {codec[:20]!r}: write it with deflate or null")
    unpacking, limit = zlib.decompressobj(_RAW_DEFLATE), min(BLOCK_LIMIT, PACKING_LIMIT * len(block))
    unpacked = unpacking.decompress(block, limit)
    if not unpacking.eof:
        raise InputError(f"a block is cut, or unpacks to more than {limit:,} bytes")
    return unpacked


def _read_long(file: _ChunkedFile) -> int | None:
    """None at the end of the file."""
    number = 0
    for place in range(_LONGEST_LONG):
        byte = file.read(1)
        if not byte:
            if place:
                raise InputError("the file ends within a number")
            return None
        number |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < 0x80:
            return (number >> 1) ^ -(number & 1)
    raise InputError("a number has more than 64 bits")


class _ValueCost(NamedTuple):
    least: int
    """Smallest number of bytes of a value."""
    steps: int
    """Values within it that are read even if it has no more than these bytes."""


def _cost(schema: Any, named: dict[str, _ValueCost | None], depth: int = 0) -> _ValueCost:
    """The cost of a type. Raises InputError for a type in which a record could be endless.

    `named` has costs by the last part of a name: fastavro would take the second of two such types for the first. The
    cost of a type is None within itself.
    """
    if depth > DEPTH_LIMIT:
        raise InputError("its schema is nested too deeply")
    if isinstance(schema, list):
        return _sum([_ValueCost(1, max((_cost(branch, named, depth + 1).steps for branch in schema), default=0))])
    if isinstance(schema, str) and schema in _LEAST:
        return _ValueCost(_LEAST[schema], 1)
    if isinstance(schema, str):
        known = named[schema.rpartition(".")[2]]
        if known is None:
            raise InputError(f"its schema has a type within itself ({schema[:SHOWN]!r})")
        return known
    kind = schema["type"]
    if schema.get("logicalType") not in _LOGICAL_TYPES:
        schema.pop("logicalType", None)
    if kind in ("array", "map"):
        inner = _cost(schema["items" if kind == "array" else "values"], named, depth + 1)
        if kind == "array" and inner.least == 0:
            raise InputError("its schema has a list of values without content")
        return _ValueCost(1, 1)
    if kind not in ("record", "error", "fixed", "enum"):
        return _cost(kind, named, depth + 1)
    name = schema["name"].rpartition(".")[2]
    if name in named:
        raise InputError(f"its schema has more than one type {name[:SHOWN]!r}")
    named[name] = None
    if kind in ("fixed", "enum"):
        cost = _ValueCost(max(0, int(schema["size"])) if kind == "fixed" else _LEAST["enum"], 1)
    else:
        cost = _sum([_cost(field["type"], named, depth + 1) for field in schema["fields"]])
    named[name] = cost
    return cost


def _sum(costs: list[_ValueCost]) -> _ValueCost:
    """The cost of a record or union of these."""
    steps = 1 + sum(cost.steps for cost in costs)
    if steps > STEPS_LIMIT:
        raise InputError("its schema is too large")
    return _ValueCost(sum(cost.least for cost in costs), steps)


class _ChunkedFile:
    """Chunks as a file for reading. Keeps the bytes read for a dead letter."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._blocks = blocks(chunks)
        self._rest = memoryview(b"")
        self.content = UnreadableInput()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= BLOCK_LIMIT:
            raise ValueError(f"it asks for {size} bytes at once")
        parts: list[bytes] = []
        while size > 0:
            if not self._rest:
                block = next(self._blocks, b"")
                self.content.add(block)
                if not block:
                    break
                self._rest = memoryview(block)
            parts.append(bytes(self._rest[:size]))
            self._rest = self._rest[size:]
            size -= len(parts[-1])
        return b"".join(parts)
