"""Which of our formats a stream of bytes is in, told from its content, and the events in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

from router.feeds.camir import FORMAT as CAMIR
from router.feeds.camir import read_camir
from router.feeds.canonical import AVRO, JSONL, Note, read_avro, read_jsonl
from router.feeds.strays import column_name, other_format, other_table, separator
from router.feeds.x12 import FORMAT as X12
from router.feeds.x12 import read_x12
from router.model.inputs import DeadLetter, Disposition

UNKNOWN: Final = "unknown"
HEAD: Final = 4096
"""How many bytes to look at, blanks at the beginning included."""

BLANKS: Final = b"\xef\xbb\xbf\x00 \t\r\n\v\f\x1a"
_STEP: Final = 1 << 16
_BLANK: Final = rb"(?:\xef\xbb\xbf)?[\s\x00]*"
_FURTHER: Final = re.compile(rb"(?:ISA([^A-Za-z0-9 \t\r\n\x00])[0-9A-Z]{2}\1|(?<![^\r\n])ACR[A-Z0-9 ]{10}RC)")
"""An interchange or a frame further on: a damaged beginning must not cost the rest."""

Event = Disposition | DeadLetter


Reader = Callable[[Iterable[bytes], str, int], Iterator[Event]]


class Format(NamedTuple):
    title: str
    """As people call it."""
    begins: re.Pattern[bytes]
    reader: Callable[[Note | None, bool], Reader]
    """With what tells of columns nobody knows, and whether it reads a fragment: what a dead letter holds."""


FORMATS: Final[Mapping[str, Format]] = {
    AVRO: Format("Avro", re.compile(rb"Obj\x01"), lambda note, _: partial(read_avro, note=note)),
    X12: Format(
        "X12",
        re.compile(_BLANK + rb"(?:ISA[^A-Za-z0-9 \t\r\n\x00]|(?:GS|ST)\*)"),
        lambda _, fragment: partial(read_x12, fragment=fragment),
    ),
    CAMIR: Format(
        "CAMIR",
        re.compile(_BLANK + rb"(?:ACR|M0[12][A-Z]|R0[1-6][A-Z0-9 ]|J01[A-Z])"),
        lambda _, fragment: partial(read_camir, fragment=fragment),
    ),
    JSONL: Format("JSON Lines", re.compile(_BLANK + rb"\{"), lambda note, _: partial(read_jsonl, note=note)),
}
"""By the name that dead letters keep of them; the first that the bytes begin like is theirs."""


def read_events(chunks: Iterable[bytes], source: str, received_at: int, *, note: Note | None = None) -> Iterator[Event]:
    """The events of a file in any of our formats, as they come. Never raises for what the bytes are; what
    is in none of the formats is one dead letter. Empty input has no events."""
    head, rest = _beginning(iter(chunks))
    if not head:
        return iter(())
    return _reader(recognise(head), note)(_steps(chain((head,), rest)), source, received_at)


def recognise(head: bytes) -> str:
    """The name of a format, or `unknown`, from the first bytes of a file."""
    head = head[:HEAD]
    for name, known in FORMATS.items():
        if known.begins.match(head):
            return name
    further = _FURTHER.search(head)
    if further is None:
        return UNKNOWN
    return X12 if further[0].startswith(b"ISA") else CAMIR


def read_dead_letter(letter: DeadLetter, received_at: int) -> Iterator[Event]:
    """Its content once more, after a fix. Each event says whose mended reading it is (`retry_of`).

    A dead letter of which only the head was kept gives that dead letter again: its source has to be fed in
    anew.
    """
    if len(letter.content) < letter.content_size:
        reason = f"only the head of its {letter.content_size} bytes was kept: feed in {letter.source} again"
        yield letter._replace(reason=reason, received_at=received_at)
        return
    kind = letter.format if letter.format != UNKNOWN else recognise(letter.content)
    for event in _reader(kind, None, fragment=True)((letter.content,), letter.source, received_at):
        yield event._replace(retry_of=letter.id) if isinstance(event, Disposition) else event


def _reader(kind: str, note: Note | None, *, fragment: bool = False) -> Reader:
    known = FORMATS.get(kind)
    return known.reader(note, fragment) if known is not None else _read_unknown


def _read_unknown(chunks: Iterable[bytes], source: str, received_at: int) -> Iterator[Event]:
    """One dead letter, unless an X12 interchange comes further on: what could be read must not be lost."""
    for event in read_x12(chunks, source, received_at):
        if isinstance(event, DeadLetter) and event.source == source:
            titles = ", ".join(known.title for known in FORMATS.values())
            reason = f"the content is in none of our formats ({titles})"
            yield event._replace(format=UNKNOWN, reason=reason + _likely(event.content))
        else:
            yield event


def _likely(content: bytes) -> str:
    """What it may be instead, as the end of a sentence."""
    head = content[:HEAD].lstrip(BLANKS)
    if what := other_format(head):
        return f"; it looks like {what}"
    header, _, _ = head.partition(b"\n")
    names = header.decode("latin-1").split(separator(header))
    what = other_table(map(column_name, names))
    return f"; it looks like a table of {what}" if what else ""


def _beginning(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Enough of the first bytes. Blanks before them are skipped, however many they are and in whatever chunks."""
    head = b""
    while len(head) < HEAD and (chunk := next(chunks, None)) is not None:
        head = head + chunk if head else chunk.lstrip(BLANKS)
    return head, chunks


def _steps(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in larger steps: readers have a cost per step."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= _STEP:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)
