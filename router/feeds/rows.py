"""Tables as people have them: CSV or JSON Lines, row by row, each row checked against a form.

A row that can't be taken comes as an InputError that names file, row and column; the rest goes on.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from router.errors import InputError
from router.feeds.camir import FORMAT as CAMIR
from router.feeds.canonical import AVRO, MOST_FAULTS, and_more, lines
from router.feeds.evidence import PIECE_LIMIT, Evidence
from router.feeds.forms import reason_of
from router.feeds.recognise import recognise
from router.feeds.strays import column_name, other_format, other_table, separator
from router.feeds.x12 import FORMAT as X12

Note = Callable[[str], None]
"""Told about what is odd but stops nothing: columns we don't know, cells that look like formulas."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_FORMULA: Final = re.compile(r"[=@]|[+-](?![0-9().\s/-]*$)")
"""What a spreadsheet would compute. A telephone number or a signed number is none."""

SHOWN: Final = 80
"""Characters of a value in a message."""

AnyForm = TypeVar("AnyForm", bound=BaseModel)


class Row(NamedTuple):
    number: int
    """Its line in the file."""
    values: dict[str, Any]


def read_rows(
    chunks: Iterable[bytes], source: str, form: type[AnyForm], note: Note | None = None
) -> Iterator[tuple[Row, AnyForm] | tuple[Row, InputError] | InputError]:
    """Each row with its form, or with what is wrong in it; alone, what is wrong with the file or an
    unreadable line.

    CSV needs a header; its lists are separated by `;`. A file whose first character is `{` is JSON Lines. What is for
    another command is refused.
    """
    told = _Told(note, source)
    columns = tuple(form.model_fields)
    for row in _rows(lines(chunks), source, form, told):
        if isinstance(row, InputError):
            yield row
            continue
        if stray := other_table(row.values, columns):
            yield InputError(f"these are {stray}; nothing more of it is taken in", place=f"{source}: row {row.number}")
            return
        told.row(row, columns)
        try:
            yield row, form.model_validate({name: row.values[name] for name in columns if name in row.values})
        except ValidationError as error:
            yield row, _problem(error, source, row.number)


def _rows(
    physical: Iterator[bytes | Evidence], source: str, form: type[BaseModel], told: _Told
) -> Iterator[Row | InputError]:
    for number, line in enumerate(physical, 1):
        if isinstance(line, bytes) and line.removeprefix(_BYTE_ORDER_MARK).strip():
            first = line.removeprefix(_BYTE_ORDER_MARK)
            rest = _numbered(first, number, physical)
            if recognise(first) in (X12, CAMIR, AVRO):
                yield InputError("these are CBP's messages, for `snp-router ingest`", place=source)
            elif stray := other_format(first):
                yield InputError(f"this is {stray}", place=source)
            elif first.lstrip().startswith(b"{"):
                yield from _json_rows(rest, source)
            else:
                yield from _csv_rows(rest, separator(first), source, form, told)
            return


def _numbered(first: bytes, number: int, rest: Iterator[bytes | Evidence]) -> Iterator[tuple[int, bytes | Evidence]]:
    yield number, first
    yield from enumerate(rest, number + 1)


def _json_rows(numbered: Iterator[tuple[int, bytes | Evidence]], source: str) -> Iterator[Row | InputError]:
    for number, line in numbered:
        place = f"{source}: row {number}"
        if isinstance(line, Evidence):
            yield InputError(f"the line is longer than {PIECE_LIMIT} bytes", place=place)
        elif line.strip():
            try:
                values = from_json(line)
            except ValueError as error:
                yield InputError(f"this is no JSON: {error}", place=place)
                continue
            fine = isinstance(values, dict)
            yield Row(number, values) if fine else InputError("this is no JSON object", place=place)


def _csv_rows(
    numbered: Iterator[tuple[int, bytes | Evidence]], comma: str, source: str, form: type[BaseModel], told: _Told
) -> Iterator[Row | InputError]:
    text = _Text(numbered, told)
    reader = csv.reader(text, delimiter=comma)
    header: list[str] | None = None
    while True:
        start = text.begin_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield InputError(f"the row can't be read: {error}", place=f"{source}: row {start}")
            continue
        if cells is None:
            return
        start = max(start, text.first)
        if header is None:
            header = [column_name(cell) for cell in cells]
            if problem := _header_problem(header, form, source):
                yield problem
                return
        elif len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            reason = f"{len(cells)} cells under {len(header)} columns: a {comma!r} too many, or quotes missing"
            yield InputError(reason, place=f"{source}: row {start}")
        elif any(cell.strip() for cell in cells):
            yield Row(start, {name: cell.strip() or None for name, cell in zip(header, cells, strict=False)})


def _header_problem(header: list[str], form: type[BaseModel], source: str) -> InputError | None:
    for name, times in Counter(header).items():
        if name and times > 1:
            return InputError("the column is there more than once", place=f"{source}: column {name!r}")
    if stray := other_table(header, form.model_fields):
        return InputError(f"these are {stray}", place=source)
    for name, field in form.model_fields.items():
        if field.is_required() and name not in header:
            known = ", ".join(form.model_fields)
            reason = f"the column is missing. The first row has to name the columns; there are: {known}"
            return InputError(reason, place=f"{source}: column {name!r}")
    return None


class _Text:
    """Lines of text for the CSV reader. What isn't UTF-8 is read as Latin-1, and said."""

    def __init__(self, numbered: Iterator[tuple[int, bytes | Evidence]], told: _Told) -> None:
        self._numbered, self._told = numbered, told
        self.number = self.first = self._size = 0

    def begin_row(self) -> int:
        """Its line in the file."""
        self._size = 0
        return self.number + 1

    def __iter__(self) -> _Text:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._numbered)
        self.first = self.first or self.number
        if isinstance(line, Evidence):
            self._told.note(f"row {self.number}: longer than {PIECE_LIMIT} bytes, left out")
            return "\n"
        self._size += len(line) + 1
        if self._size > PIECE_LIMIT:  # a row goes on from line to line as long as quotes are open
            raise csv.Error(f"it is longer than {PIECE_LIMIT} bytes: a quote may be missing before row {self.number}")
        try:
            return line.decode("utf-8") + "\n"
        except UnicodeDecodeError:
            self._told.note(f"row {self.number}: not UTF-8, read as Latin-1")
            return line.decode("latin-1") + "\n"


class _Told:
    """Says each thing once, and not without end."""

    LIMIT: Final = 1000
    NAMED: Final = 20

    def __init__(self, note: Note | None, source: str) -> None:
        self._note, self._source = note, source
        self._said: set[str] = set()
        self._unknown: set[str] = set()

    def note(self, text: str) -> None:
        if text not in self._said and len(self._said) < self.LIMIT:
            self._said.add(text)
            if self._note is not None:
                self._note(f"{self._source}: {text}")

    def row(self, row: Row, columns: tuple[str, ...]) -> None:
        for name in columns:
            if isinstance(value := row.values.get(name), str) and _FORMULA.match(value):
                self.note(f"row {row.number}, column {name!r}: looks like a formula, kept as text")
        unknown = [repr(name[:SHOWN]) for name in row.values if name not in columns]
        new = [name for name in unknown if name not in self._unknown][: self.NAMED]
        if new and len(self._unknown) < self.LIMIT:
            self._unknown.update(unknown[: self.LIMIT])
            self.note(f"not read, since they are none of our columns: {', '.join(new)}")


def _problem(error: ValidationError, source: str, number: int) -> InputError:
    faults = error.errors(include_url=False, include_input=True)
    column = str(faults[0]["loc"][0]) if faults[0]["loc"] else ""
    reasons = (f"{fault['loc'][0] if fault['loc'] else ''}: {_said(fault)}" for fault in faults[:MOST_FAULTS])
    place = f"{source}: row {number}" + (f", column {column!r}" if column else "")
    return InputError("; ".join(reasons).removeprefix(f"{column}: ") + and_more(error), place=place)


def _said(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "missing" or fault["input"] is None:
        return "it is missing"
    reason, value = reason_of(fault), str(fault["input"])[:SHOWN]
    return reason if repr(value) in reason else f"{reason} (it says {value!r})"
