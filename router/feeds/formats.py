"""Formats of input, recognised by content: those that the router reads, and files for another command or for none."""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple

from router.decide.rules import Rules
from router.feeds.bounded_input import BLANKS, DEFAULT_OPTIONS, ENCODING, REASON_LIMIT, ReadOptions, ReadResult
from router.feeds.bounded_letters import bounded_letters
from router.feeds.camir import CAMIR, read_camir
from router.feeds.credentials import EBCDIC
from router.feeds.disposition_files import AVRO, JSONL, read_avro, read_jsonl
from router.feeds.x12 import X12, read_x12
from router.model.inputs import DeadLetter, Disposition

UNKNOWN: Final = "unknown"
HEAD: Final = 4096
"""Bytes that decide the format, without leading blanks."""

_BLANK_BYTES: Final = BLANKS.encode(ENCODING)
_STEP: Final = 1 << 16
_UTF_16_MARKS: Final = ((BOM_UTF16_LE, "utf-16-le"), (BOM_UTF16_BE, "utf-16-be"))
_BLANK: Final = rb"(?:\xef\xbb\xbf)?[\s\x00]*"
_FURTHER_ON: Final = re.compile(
    rb"ISA([^A-Za-z0-9 \t\r\n\x00])[0-9A-Z]{2}\1"
    rb"|(?i:(?<![^\r\n])ACR[A-Z0-9 ]{10}RC|R02[A-Z0-9 -]{12}[A-Z0-9]{2}[0-9 ]{10})"
)
"""An interchange, a transmission or a CAMIR bill after a damaged beginning."""


FormatReader = Callable[[Iterable[bytes], str, int, ReadOptions], Iterator[ReadResult]]
"""Arguments as of `read_x12`."""


class InputFormat(NamedTuple):
    title: str
    begins: re.Pattern[bytes]
    read: FormatReader


FORMATS: Final[Mapping[str, InputFormat]] = {
    AVRO: InputFormat("Avro", re.compile(rb"Obj\x01"), read_avro),
    X12: InputFormat("X12", re.compile(_BLANK + rb"(?:ISA[^A-Za-z0-9 \t\r\n\x00]|(?:GS|ST)\*)"), read_x12),
    CAMIR: InputFormat("CAMIR", re.compile(_BLANK + rb"(?i:ACR|M0[12][A-Z]|R0[1-6][A-Z0-9 ]|J01[A-Z])"), read_camir),
    JSONL: InputFormat("JSON Lines", re.compile(_BLANK + rb"\{"), read_jsonl),
}
"""By the name in dead letters. The first format that the bytes begin like applies."""

_FOREIGN_FORMATS: Final = (
    (re.compile(rb"PK\x03\x04"), "an Excel workbook or a zip archive: save the sheet as CSV, or unpack the archive"),
    (re.compile(rb"\x1f\x8b"), "a compressed file: unpack it first"),
    (re.compile(rb"%PDF"), "a PDF"),
    (re.compile(rb"\s*\["), "a JSON array: write one object a line without brackets (`jq -c '.[]'` does that)"),
    (re.compile(rb"\s*<"), "XML or a web page"),
    (re.compile(rb"(?i:From |(?:From|To|Date|Subject|Return-Path|Received|[A-Z]+(?:-[A-Z]+)+):)"), "an e-mail"),
    (re.compile(re.escape(BOM_UTF16_LE) + b"|" + re.escape(BOM_UTF16_BE)), "text in UTF-16: save it as UTF-8"),
    (re.compile(rb"[\x40\xc1-\xc9\xd1-\xd9\xe2-\xe9\xf0-\xf9]{8}"), "text in EBCDIC: transfer it as ASCII"),
)
_DISTINCTIVE_COLUMNS: Final = {
    "disposition_code": "events, for `snp-router ingest` as JSON Lines, not as a table",
    "status_at": "the state of bills, for `snp-router import bills`",
    "bill_of_lading": "filings, for `snp-router import filings`",
    "sailing_id": "sailings, for `snp-router import sailings`",
    "production_group": "parties, for `snp-router import parties`",
    "contact_phone": "parties, for `snp-router import parties`",
    "procedure": "ports' procedures, for `snp-router import procedures`",
    "roles": "parties, for `snp-router import parties`",
}
"""Columns of one kind of file only, or of those above it too."""


def read_events(
    chunks: Iterable[bytes], source: str, received_at: int, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[ReadResult]:
    """The events of a file in any format, as a stream. Never raises because of the bytes.

    A file in no known format is one dead letter. Empty input has no events. Equal dead letters are one, with a count.
    """
    steps = _steps(chunks)
    head = next(steps, b"")
    if not head:
        return iter(())
    steps, encoding = chain((head,), steps), _encoding_of(head)
    if encoding is not None:
        steps, head = _decoded(steps, encoding), next(_decoded((head[:HEAD],), encoding))
    results = _reader(recognise(head))(steps, source, received_at, options)
    return bounded_letters(_named_within(results, head), source)


def recognise(head: bytes | bytearray) -> str:
    """The name of the format that the first bytes of a file are in, or `unknown`."""
    head = head[:HEAD]
    for name, known in FORMATS.items():
        if known.begins.match(head):
            return name
    further_on = _FURTHER_ON.search(head)
    if further_on is None:
        return UNKNOWN
    return X12 if further_on[0].startswith(b"ISA") else CAMIR


def read_dead_letter(
    letter: DeadLetter, received_at: int, rules: Rules | None = None, *, accepted: bool = False
) -> Iterator[ReadResult]:
    """Read the content of a dead letter again. Each event names the dead letter in `retry_of`.

    The events of a message in doubt are still uncertain, unless an operator has `accepted` it.

    A dead letter that holds only the head of its input is returned again, with that as its reason.
    """
    if len(letter.content) < letter.content_size:
        reason = f"only the head of its {letter.content_size:,} bytes was kept: feed in {letter.source} again"
        yield letter._replace(reason=reason, received_at=received_at)
        return
    name = letter.format if letter.format != UNKNOWN else recognise(letter.content)
    options = ReadOptions(rules, fragment=not letter.in_doubt, accepted=accepted)
    for event in _reader(name)((letter.content,), letter.source, received_at, options):
        yield event._replace(retry_of=letter.id) if isinstance(event, Disposition) else event


def _encoding_of(head: bytes) -> str | None:
    """The encoding of CBP's messages that are not in ASCII, such as UTF-16 or EBCDIC; None for all other content.

    The code pages of EBCDIC write letters, digits and most separators the same.
    """
    head = head[:HEAD]
    encodings = [name for mark, name in _UTF_16_MARKS if head.startswith(mark)] or (
        ["utf-16-le"] if head[1:8:2] == bytes(4) else [EBCDIC] if recognise(head) == UNKNOWN else []
    )
    return next((name for name in encodings if recognise(next(_decoded((head,), name))) in (X12, CAMIR)), None)


def _decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The chunks in the encoding of CBP's messages, with a question mark for a character that it does not have."""
    decoder = getincrementaldecoder(encoding)("replace")
    for chunk in chunks:
        yield _encoded(decoder.decode(chunk))
    if decoder.getstate()[0]:  # the last character of UTF-16 whose first byte went with the blanks before it
        yield _encoded(decoder.decode(b"\x00"))


def _encoded(text: str) -> bytes:
    return text.replace("\x85", "\n").removeprefix("\ufeff").encode(ENCODING, "replace")


def _named_within(results: Iterable[ReadResult], head: bytes) -> Iterator[ReadResult]:
    """The results. The reason of a dead letter says in what format a message of CBP's is wrapped."""
    around = foreign_format(head)
    for result in results:
        if isinstance(result, DeadLetter):
            wrapping = "JSON" if result.format == JSONL else around
            if wrapping and _FURTHER_ON.search(result.content if result.format == JSONL else head[:HEAD]):
                reason = f"{result.reason}; it holds a message of CBP's within {wrapping}: send that alone"
                result = result._replace(reason=reason[:REASON_LIMIT])
            around = None
        yield result


def foreign_format(head: bytes) -> str | None:
    """A description of the format, and what to do, if the first bytes are in one that no command reads."""
    return next((text for begins, text in _FOREIGN_FORMATS if begins.match(head)), None)


def foreign_table(columns: Iterable[str], known: Container[str] = ()) -> str | None:
    """A description of another command's table. Imported, filings would become parties, and holds mere filings."""
    names = {name for name in columns if name not in known}
    return next((text for name, text in _DISTINCTIVE_COLUMNS.items() if name in names), None)


def column_name(cell: str) -> str:
    """`contact_phone` from a header such as `Contact Phone`."""
    return re.sub(r"[\s-]+", "_", cell.strip().lower())


def column_separator(header: bytes) -> str:
    """A comma, or its replacement in other countries' spreadsheets."""
    return "," if b"," in header else next((one for one in ";\t|" if one.encode() in header), ",")


def _reader(name: str) -> FormatReader:
    return FORMATS[name].read if name in FORMATS else _read_unknown


def _read_unknown(
    chunks: Iterable[bytes], source: str, received_at: int, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[ReadResult]:
    """One dead letter, and the events of any X12 interchange that comes later."""
    for event in read_x12(chunks, source, received_at, ReadOptions(options.rules)):
        if isinstance(event, DeadLetter) and event.source == source:
            titles = ", ".join(known.title for known in FORMATS.values())
            reason = f"the content is in no known format ({titles}){_likely(event.content)}"
            yield event._replace(format=UNKNOWN, reason=reason)
        else:
            yield event


def _likely(content: bytes) -> str:
    """The likely format, as the end of a sentence."""
    head = content[:HEAD].lstrip(_BLANK_BYTES)
    if text := foreign_format(head):
        return f"; it looks like {text}"
    header, _, _ = head.partition(b"\n")
    names = header.decode(ENCODING).split(column_separator(header))
    table = foreign_table(map(column_name, names))
    return f"; it looks like a table of {table}" if table else ""


def _steps(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes without leading blanks, in larger chunks: readers have a cost per chunk.

    An empty chunk means that nothing more has come yet, so what has come is passed on; the first of it only once its
    format can be told.
    """
    step, begun = bytearray(), False
    for chunk in chunks:
        step += chunk if begun or step else chunk.lstrip(_BLANK_BYTES)
        is_waiting = not chunk and step and (begun or recognise(step) != UNKNOWN)
        if len(step) >= _STEP or is_waiting:
            yield bytes(step)
            step, begun = bytearray(), True
    if step:
        yield bytes(step)
