"""Input in bounded memory: its blocks and lines, notes on it, and what is kept of input that cannot be read."""

from __future__ import annotations

import hashlib
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from router.decide.rules import Rules
from router.feeds.credentials import masked, without
from router.model.inputs import CONTENT_LIMIT, HEAD_SIZE, DeadLetter, Disposition, Filing

ENCODING: Final = "latin-1"
"""Encoding of CBP's messages. CBP's text is ASCII; in latin-1 any other byte is a character too and stops no reader."""
BLANKS: Final = " \t\r\n\v\f\x00\x1a\xef\xbb\xbf\xc2\xa0"
"""Skipped between messages: blanks, line breaks, fillers, an end-of-file mark, a byte order mark, no-break spaces."""

PIECE_LIMIT: Final = 1 << 20
"""Bytes of the longest X12 segment, JSON line or table row that is read. CBP's longest segment is below 1 kB."""
BLOCK_SIZE: Final = 1 << 17
"""Bytes read at a time, however large the chunks handed in."""
EVENT_LIMIT: Final = 200_000
"""Characters of one event with its details, about 2,000 segments. Its history and notices must fit in a record too."""
REASON_LIMIT: Final = 2_000
"""Characters of a dead letter's reason, which may quote the input."""
SHOWN: Final = 80
"""Characters of a value or name quoted in a message."""

_NAME_ENDS: Final = re.compile(rb'"\s*:')
NOT_JSON: Final = "the line is not one whole JSON object in UTF-8"
ID_WIDTH: Final = 32


class OtherMessage(NamedTuple):
    """A message of a known kind that is not for the router, such as an acknowledgement: counted, not kept."""

    name: str
    """Its transaction set or application, such as `997` or `CAMIR MR`."""
    source: str


ReadResult = Disposition | Filing | DeadLetter | OtherMessage
"""One result of a reader. Input that could not be read is a dead letter."""


class ReadableBill(NamedTuple):
    """Issuer, bill number and disposition code, as far as they could be read."""

    scac: str | None = None
    number: str | None = None
    code: str | None = None
    is_certain: bool = True
    """False if the number had to be repaired, or found in text that could not be parsed."""


NO_BILL: Final = ReadableBill()
Note = Callable[[str], None]
"""Receives each oddity that stops nothing, such as an unknown column."""


class ReadOptions(NamedTuple):
    """Options of reading one input."""

    rules: Rules | None = None
    """None: the default ones."""
    note: Note | None = None
    fragment: bool = False
    """True for the content of a dead letter: events below their headers, without trailers."""
    accepted: bool = False
    """True if an operator has accepted the message, so its counts, control numbers and version are right."""


DEFAULT_OPTIONS: Final = ReadOptions()


class UnreadableInput:
    """A stretch of input that no event can be made of, in bounded memory, and the one source of dead letters.

    A dead letter holds no credentials. Its id depends on the other bytes only.
    """

    def __init__(self, first: bytes = b"") -> None:
        self.size = 0
        self._kept = bytearray()
        self._beyond = hashlib.sha256()
        """Hash of the bytes that are not kept."""
        self.add(first)

    def add(self, data: bytes) -> UnreadableInput:
        self.size += len(data)
        space = CONTENT_LIMIT - len(self._kept)
        self._kept += data[:space]
        if len(data) > space:
            self._beyond.update(data[space:])
        return self

    def join(self, other: UnreadableInput) -> UnreadableInput:
        """Add another stretch that follows this one."""
        self.add(bytes(other._kept))
        if other.size > len(other._kept):
            self.size += other.size - len(other._kept)
            self._beyond.update(other._beyond.digest())
        return self

    @property
    def head(self) -> bytes:
        return bytes(self._kept[:HEAD_SIZE])

    def dead_letter(
        self, reason: str, source: str, format_name: str, received_at: int, bill: ReadableBill = NO_BILL
    ) -> DeadLetter:
        """The dead letter for all bytes added. Its content is the whole input, or its head above `CONTENT_LIMIT`."""
        content, secrets = masked(bytes(self._kept))
        reason = without(secrets, reason[:REASON_LIMIT])
        whole = hashlib.sha256(content)
        if self.size > CONTENT_LIMIT:
            whole.update(self._beyond.digest())
            content = content[:HEAD_SIZE]
        letter_id = whole.hexdigest()[:ID_WIDTH]
        named = (bill.scac, bill.number, bill.code)
        place = (source, format_name, content, self.size)
        return DeadLetter(letter_id, reason, *place, *named, received_at, bill_in_doubt=not bill.is_certain)


class InputNotes:
    """Notes on one input, each passed on once. Their number is bounded."""

    LIMIT: Final = 1000

    def __init__(self, note: Note | None, source: str) -> None:
        self._note, self._source = note, source
        self._noted: set[str] = set()
        self._unknown: set[str] = set()

    def add(self, text: str) -> None:
        if self._note is not None and text not in self._noted and len(self._noted) < self.LIMIT:
            self._noted.add(text)
            self._note(f"{self._source}: {text}")

    def unknown(self, kind: str, names: Iterable[str]) -> None:
        """Note unknown columns or fields (`kind`, in the plural), at most 20 of one row or record."""
        new = [name[:SHOWN] for name in names if name[:SHOWN] not in self._unknown]
        if new and len(self._unknown) < self.LIMIT:
            self._unknown.update(new[: self.LIMIT])
            self.add(f"unknown {kind} are ignored: {', '.join(map(repr, new[:20]))}")


def json_object(line: bytes) -> dict[str, Any]:
    """Raises ValueError for anything else, and for a name with two values, of which either may be meant."""
    values = from_json(line.removeprefix(BOM_UTF8))
    if not isinstance(values, dict):
        raise ValueError("it is another JSON value")
    may_have_blanks = b" :" in line or b"\t" in line or b"\r" in line or b"\n" in line
    names = len(_NAME_ENDS.findall(line)) if may_have_blanks else line.count(b'":')
    if names > len(values):
        json.loads(line.removeprefix(BOM_UTF8), object_pairs_hook=_without_contradiction)
    return values


def _without_contradiction(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if values.setdefault(name, value) != value:
            raise ValueError(f"{name[:SHOWN]!r} has two values")
    return values


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of at most `BLOCK_SIZE`, none of them empty."""
    for chunk in chunks:
        yield from (chunk[start : start + BLOCK_SIZE] for start in range(0, len(chunk), BLOCK_SIZE))


def lines(chunks: Iterable[bytes]) -> Iterator[bytes | UnreadableInput]:
    """Lines without their line breaks. A line longer than `PIECE_LIMIT` is unreadable input."""
    rest: list[bytes] = []
    size, too_long = 0, None
    for block in blocks(chunks):
        *whole, tail = block.split(b"\n")
        for part in whole:
            if too_long is None and size + len(part) <= PIECE_LIMIT:
                yield b"".join([*rest, part]).removesuffix(b"\r")
            else:
                yield (too_long or UnreadableInput()).add(b"".join([*rest, part]))
            rest, size, too_long = [], 0, None
        size += len(tail)
        rest.append(tail)
        if size > PIECE_LIMIT:
            too_long, rest = (too_long or UnreadableInput()).add(b"".join(rest)), []
    if size:
        yield b"".join(rest) if too_long is None else too_long
