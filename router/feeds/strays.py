"""Files given to the wrong command, or in none of our formats: what such a file is, and what to do with it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Final

_FORMATS: Final = (
    (re.compile(rb"PK\x03\x04"), "an Excel workbook or a zip archive: save the sheet as CSV, or unpack the archive"),
    (re.compile(rb"\x1f\x8b"), "a compressed file: unpack it first"),
    (re.compile(rb"%PDF"), "a PDF"),
    (re.compile(rb"\s*\["), "a JSON array: it has to be one object a line, without brackets (`jq -c '.[]'` does that)"),
    (re.compile(rb"\s*<"), "XML or a web page"),
)
_TELLING: Final = {
    "disposition_code": "events, for `snp-router ingest` as JSON Lines, not as a table",
    "status_at": "the state of bills, for `snp-router import bills`",
    "bill_of_lading": "filings, for `snp-router import filings`",
    "sailing_id": "sailings, for `snp-router import sailings`",
    "production_group": "parties, for `snp-router import parties`",
    "contact_phone": "parties, for `snp-router import parties`",
    "roles": "parties, for `snp-router import parties`",
}
"""Columns that only one kind of file has, or only those above it too."""


def other_format(head: bytes) -> str | None:
    """What the first bytes of a file say, if it is something that none of our commands reads."""
    return next((what for shape, what in _FORMATS if shape.match(head)), None)


def other_table(columns: Iterable[str], known: Container[str] = ()) -> str | None:
    """What the columns say, if one that is not known here tells of another kind of file. Were it taken all the same,
    each filer of a filing would become a party, and each hold a mere filing."""
    there = {name for name in columns if name not in known}
    return next((what for name, what in _TELLING.items() if name in there), None)


def column_name(cell: str) -> str:
    """As people write it in a header: `Contact Phone` is `contact_phone`."""
    return re.sub(r"[\s-]+", "_", cell.strip().lower())


def separator(header: bytes) -> str:
    """A comma, or what spreadsheets of other countries put in its place."""
    return "," if b"," in header else next((one for one in ";\t|" if one.encode() in header), ",")
