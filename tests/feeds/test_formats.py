"""Formats are recognised by content."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable

import pytest

from router.codec.published import raw_schema
from router.feeds.formats import FORMATS, UNKNOWN, read_dead_letter, read_events, recognise
from router.model.inputs import HEAD_SIZE, DeadLetter, Disposition
from tests.feeds import samples
from tests.feeds.samples import RECEIVED_AT
from tests.feeds.test_disposition_files import avro, line

BOM = b"\xef\xbb\xbf"


ONE_OF_EACH = {
    "x12": samples.X12_DO_NOT_LOAD,
    "camir": samples.CAMIR_DO_NOT_LOAD,
    "jsonl": line(),
    "avro": avro("1H"),
}


def read(content: bytes) -> list[Disposition | DeadLetter]:
    return list(read_events([content], "FILE", RECEIVED_AT))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (samples.X12_DO_NOT_LOAD, "x12"),
        (BOM + b"\r\n" + samples.X12_DO_NOT_LOAD, "x12"),
        (b"ST*350*0001~", "x12"),
        (samples.CAMIR_ARRIVAL, "camir"),
        (samples.CAMIR_ARRIVAL.partition(b"\n")[2], "camir"),
        (b"junk before\n" + samples.CAMIR_ARRIVAL, "camir"),
        (b"junk before" + samples.X12_DO_NOT_LOAD, "x12"),
        (BOM + line(), "jsonl"),
        (avro("1H"), "avro"),
        (gzip.compress(samples.X12_DO_NOT_LOAD), "unknown"),
        (b"%PDF-1.7", "unknown"),
        (b"ISABELLA", "unknown"),
    ],
)
def test_a_format_is_recognised_by_content(content: bytes, name: str):
    assert recognise(content) == name


def test_every_format_has_a_sample_here_and_a_name_in_the_schema_of_dead_letters():
    assert ONE_OF_EACH.keys() == FORMATS.keys()
    (doc,) = (field["doc"] for field in raw_schema("dead-letter")["fields"] if field["name"] == "format")
    assert set(re.findall(r"[a-z0-9]+", doc)) - {"or"} == {*FORMATS, UNKNOWN}


@pytest.mark.parametrize("content", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_every_format_is_read_after_a_byte_order_mark(content: bytes):
    start = b"" if content.startswith(b"Obj") else BOM
    (event,) = read(start + content)
    assert isinstance(event, Disposition)


ENCODINGS = {
    "UTF-16 with its mark": lambda text: text.encode("utf-16"),
    "UTF-16, little end first": lambda text: text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "UTF-16, big end first, with its mark": lambda text: ("\ufeff" + text).encode("utf-16-be"),
    "EBCDIC": lambda text: text.encode("cp037"),
    "EBCDIC of Switzerland": lambda text: text.encode("cp500"),
    "EBCDIC with its own line breaks": lambda text: text.replace("\n", "\x85").encode("cp037"),
}


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("sample", [samples.X12_DO_NOT_LOAD, samples.CAMIR_DO_NOT_LOAD], ids=["X12", "CAMIR"])
def test_messages_in_other_encodings_are_read(sample: bytes, encode: Callable[[str], bytes], size: int):
    content = encode(sample.decode())
    chunks = [content[place : place + size] for place in range(0, len(content), size)]
    assert list(read_events(chunks, "FILE", RECEIVED_AT)) == read(sample)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (b'{"payload": "', b'"}', "JSON"),
        (b"<message>", b"</message>", "XML or a web page"),
        (b"From: a@example\r\nContent-Type: text/plain\r\n\r\n", b"", "an e-mail"),
        (b"Return-Path: <a@example>\r\nSubject: status\r\n\r\n", b"", "an e-mail"),
    ],
)
@pytest.mark.parametrize("sample", [samples.X12_DO_NOT_LOAD, samples.CAMIR_DO_NOT_LOAD], ids=["X12", "CAMIR"])
def test_the_dead_letter_names_the_format_around_a_message(sample: bytes, before: bytes, after: bytes, kind: str):
    content = sample if kind != "JSON" else sample.replace(b"\n", b"\\n")
    letters = [event for event in read(before + content + after) if isinstance(event, DeadLetter)]
    assert f"it holds a message of CBP's within {kind}" in letters[0].reason


@pytest.mark.parametrize("content", [b"", b"\n\n", BOM, b"\x00 \x1a"])
def test_empty_input_has_no_events(content: bytes):
    assert read(content) == []


def test_content_in_no_known_format_is_one_dead_letter_with_its_head_and_size():
    content = b"%PDF-1.7 " + bytes(range(256)) * 8000
    (letter,) = read(content)
    assert isinstance(letter, DeadLetter)
    assert (letter.format, letter.content_size, len(letter.content)) == ("unknown", len(content), HEAD_SIZE)
    assert "in no known format" in letter.reason


@pytest.mark.parametrize(
    ("content", "likely"),
    [
        (b'[\n {"scac": "NVXA"}]', "a JSON array: write one object a line"),
        (b"PK\x03\x04\x14\x00", "an Excel workbook or a zip archive"),
        ("ISO MESSAGE 12".encode("cp037"), "text in EBCDIC"),
        ("bill;remark".encode("utf-16"), "text in UTF-16"),
        (b"id,name,contact_phone\nNVXA,,\n", "a table of parties, for `snp-router import parties`"),
        (BOM + b"SCAC;Bill of Lading\nNVXA;HBL1\n", "a table of filings, for `snp-router import filings`"),
    ],
)
def test_the_dead_letter_names_a_format_that_no_command_reads(content: bytes, likely: str):
    (letter,) = read(content)
    assert isinstance(letter, DeadLetter)
    assert f"; it looks like {likely}" in letter.reason


def test_an_interchange_after_much_garbage_is_read():
    found = read(b"\x81" * 50_000 + samples.X12_DO_NOT_LOAD)
    assert [type(event) for event in found] == [DeadLetter, Disposition]


def test_a_dead_letter_with_only_its_head_asks_for_its_source():
    (letter,) = read(b"%PDF-1.7 " + bytes(range(256)) * 8000)
    assert isinstance(letter, DeadLetter)
    (again,) = read_dead_letter(letter, RECEIVED_AT)
    assert isinstance(again, DeadLetter)
    assert again.id == letter.id
    assert "feed in FILE again" in again.reason


def test_any_number_of_blanks_before_a_file_is_skipped() -> None:
    """Padding of whole disk blocks before a file does not make it empty."""
    padded = [b" " * 70_000, b"\n" * 70_000, samples.X12_DO_NOT_LOAD]
    events = list(read_events(padded, "FILE", RECEIVED_AT))
    assert [type(event) for event in events] == [Disposition]


def test_blanks_before_a_file_change_nothing_in_any_chunks() -> None:
    line = b'\x00 \r\n\x00{"scac":"NVXA"}\n'
    whole = list(read_events([line], "FILE", 5))
    assert list(read_events([bytes([byte]) for byte in line], "FILE", 5)) == whole
