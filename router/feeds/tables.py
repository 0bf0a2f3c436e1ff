"""Tables of parties, sailings, filings, paper bills and the state of bills: CSV or JSON Lines.

Each row is checked against a form. A row with a fault is an InputError with file, row and column; the others are read.
"""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, pairwise
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from router.errors import InputError, UsageError
from router.feeds import formats, forms
from router.feeds.bounded_input import NOT_JSON, PIECE_LIMIT, InputNotes, Note, UnreadableInput, json_object, lines
from router.feeds.disposition_files import JSONL
from router.feeds.form_fields import reasons_of
from router.model.eastern import CLOCKS_DIFFER, days_between
from router.model.identifiers import container_clean, is_valid_imo_number
from router.model.inputs import Filing, PaperBill, Snapshot, SnapshotHold
from router.model.party_ids import named_party
from router.model.registry_values import (
    MOST_CALLS,
    MOST_LINES,
    SAME_ROTATION_DAYS,
    Line,
    LineRole,
    Party,
    PortCall,
    PortProcedure,
    Sailing,
    Scope,
    merged_calls,
)

DEFAULT_SCOPE: Final[Mapping[LineRole, Scope]] = {"operator": "holds", "charterer": "own"}
_NumberedLines = Iterator[tuple[int, bytes | UnreadableInput]]
_FORMULA: Final = re.compile(r"[=@]|[+-](?![0-9().\s/-]*$)")
"""Text that a spreadsheet would compute, but not telephone numbers and signed numbers."""

MESSAGES: Final = "these are messages, for `snp-router ingest`; of manifests (309, MI) it takes filings"

TableValue = TypeVar("TableValue")


class TableResult(NamedTuple, Generic[TableValue]):
    """The valid values of a registry table, its problems, and notes on oddities that stop nothing."""

    values: list[TableValue]
    problems: list[InputError]
    notes: list[str]
    places: dict[str, str]
    """File and row of each party or port."""


class TableRow(NamedTuple):
    number: int
    """Its line in the file."""
    values: dict[str, Any]


def read_parties(chunks: Iterable[bytes], source: str) -> TableResult[Party]:
    """One party a row. Refuses a row with an id or alias of another party. An external party gives up its own id."""
    result: TableResult[Party] = TableResult([], [], [], {})
    owners: dict[str, str] = {}
    seen: set[str] = set()
    for row, form in read_rows(chunks, source, forms.PartyForm, result.notes.append):
        if isinstance(form, InputError):
            result.problems.append(form)
            continue
        aliases = tuple(named_party(alias).id for alias in form.aliases)
        codes = aliases if form.status == "external" else (form.id, *aliases)
        taken = [code for code in codes if owners.get(code, form.id) != form.id]
        if taken:
            column = "id" if taken[0] == form.id else "aliases"
            reason = f"{taken[0]} already stands for the party {owners[taken[0]]}"
            result.problems.append(_problem(reason, source, row.number, column))
        elif form.id in seen:
            result.problems.append(_problem(f"{form.id} has a row already", source, row.number, "id"))
        else:
            seen.add(form.id)
            owners.update(dict.fromkeys(codes, form.id))
            result.values.append(form.party())
            result.places[form.id] = f"{source}: row {row.number}"
    return result


def read_procedures(chunks: Iterable[bytes], source: str) -> TableResult[PortProcedure]:
    """One port a row."""
    result: TableResult[PortProcedure] = TableResult([], [], [], {})
    for row, form in read_rows(chunks, source, forms.ProcedureForm, result.notes.append):
        if isinstance(form, InputError):
            result.problems.append(form)
        elif form.port in result.places:
            result.problems.append(_problem(f"{form.port} has a row already", source, row.number, "port"))
        else:
            result.values.append(PortProcedure(**form.model_dump()))
            result.places[form.port] = f"{source}: row {row.number}"
    return result


def read_sailings(chunks: Iterable[bytes], source: str) -> TableResult[Sailing]:
    """One row a line aboard, or a line and a port call, in any order.

    An import replaces a sailing whole. So a sailing with a wrong row is left out whole, and nobody loses notices.
    """
    result: TableResult[Sailing] = TableResult([], [], [], {})
    sailings: dict[str, list[tuple[int, forms.LineForm]]] = {}
    broken: set[str] = set()
    for row, form in read_rows(chunks, source, forms.LineForm, result.notes.append):
        if isinstance(form, InputError):
            result.problems.append(form)
            broken.add(str(row.values.get("sailing_id") or "").strip())
        else:
            sailings.setdefault(form.sailing_id, []).append((row.number, form))
    for sailing_id, rows in sailings.items():
        problem = _sailing_problem(rows, source)
        if problem is None and sailing_id in broken:
            reason = f"sailing {sailing_id} is left out whole: another of its rows has a fault"
            problem = _problem(reason, source, rows[0][0])
        if problem is not None:
            result.problems.append(problem)
            continue
        first = rows[0][1]
        result.values.append(_sailing_of([form for _, form in rows]))
        if not is_valid_imo_number(first.imo_number):
            result.notes.append(f"{source}: sailing {sailing_id}: IMO number {first.imo_number} fails its check digit")
    return result


def _sailing_of(forms_: list[forms.LineForm]) -> Sailing:
    first = forms_[0]
    lines_aboard = tuple(
        Line(form.scac, form.role, form.voyage_number, form.scope or DEFAULT_SCOPE[form.role])
        for form in {form.scac: form for form in forms_}.values()
    )
    calls = merged_calls(call for form in forms_ for call in form.calls)
    return Sailing(first.sailing_id, first.imo_number, first.vessel_name, calls, lines_aboard, first.first_lading_date)


def _sailing_problem(rows: list[tuple[int, forms.LineForm]], source: str) -> InputError | None:
    """The first contradiction between the rows of one sailing."""
    first_number, first = rows[0]
    where = f"sailing {first.sailing_id}"
    lines_aboard: dict[str, forms.LineForm] = {}
    calls: set[PortCall] = set()
    for number, form in rows:
        for column in ("imo_number", "vessel_name", "first_lading_date"):
            value, before = getattr(form, column), getattr(first, column)
            if value != before:
                reason = f"{where} has {value!r} here, but {before!r} in row {first_number}"
                return _problem(reason, source, number, column)
        if _line_of(lines_aboard.setdefault(form.scac, form)) != _line_of(form):
            return _problem(f"{where} has {form.scac} twice, with different entries", source, number, "scac")
        if len(lines_aboard) > MOST_LINES:
            return _problem(f"{where} has more than {MOST_LINES} lines aboard", source, number, "scac")
        if sum(line.role == "operator" for line in lines_aboard.values()) > 1:
            return _problem(f"{where} has two operators", source, number, "role")
        calls.update(form.calls)
        if len(calls) > MOST_CALLS:
            return _problem(f"{where} has more than {MOST_CALLS} port calls", source, number, "ports")
    return _gap_problem(rows, source)


def _line_of(form: forms.LineForm) -> tuple[object, ...]:
    return form.role, form.voyage_number, form.scope


def _gap_problem(rows: list[tuple[int, forms.LineForm]], source: str) -> InputError | None:
    """A call too long after the one before it to be of the same rotation."""
    dated = sorted((form.arrival_date, number) for number, form in rows if form.arrival_date is not None)
    for (before, first), (after, second) in pairwise(dated):
        if days_between(before, after) > SAME_ROTATION_DAYS:
            reason = (
                f"{before} and {after} are more than {SAME_ROTATION_DAYS} days apart: give each rotation its own id"
            )
            return _problem(reason, source, max(first, second), "arrival_date")
    return None


def read_filings(
    chunks: Iterable[bytes], source: str, received_at: int, *, note: Note | None = None
) -> Iterator[Filing | InputError]:
    for row, form in read_rows(chunks, source, forms.FilingForm, note):
        yield form if isinstance(form, InputError) else form.filing(f"{source}:row {row.number}", received_at)


def read_paper(
    chunks: Iterable[bytes], source: str, by: str, received_at: int, *, note: Note | None = None
) -> Iterator[PaperBill | InputError]:
    """Paper bills: the columns of a filing, and delivered_at, form and ticket."""
    for row, form in read_rows(chunks, source, forms.PaperForm, note):
        if isinstance(form, InputError):
            yield form
            continue
        try:
            forms.check_moment("delivered_at", form.delivered_at, received_at)
            yield forms.paper_bill(form, f"{source}:row {row.number}", by, received_at)
        except UsageError as error:
            yield _problem(str(error), source, row.number)


def read_bills(
    chunks: Iterable[bytes], source: str, received_at: int, *, note: Note | None = None
) -> Iterator[Snapshot | InputError]:
    """The state of bills at a moment that is not in the future: no hold that CBP posts until then would count."""
    for row, form in read_rows(chunks, source, forms.SnapshotForm, note):
        if isinstance(form, InputError):
            yield form
        elif form.status_at > received_at + CLOCKS_DIFFER:
            yield _problem("the time is still to come", source, row.number, "status_at")
        elif (form.release_posted_at or 0) > form.status_at:
            yield _problem("the time is later than status_at", source, row.number, "release_posted_at")
        elif any((hold.placed_at or 0) > form.status_at for hold in form.holds):
            yield _problem("a time in it is later than status_at", source, row.number, "holds")
        else:
            holds = tuple(
                SnapshotHold(hold.code, container_clean(hold.container or ""), hold.quantity, hold.placed_at)
                for hold in form.holds
            )
            filing = form.filing(f"{source}:row {row.number}", received_at)
            yield Snapshot(filing, form.status_at, form.released_quantity, form.release_posted_at, holds)


def read_rows(
    chunks: Iterable[bytes], source: str, form: type[forms.AnyForm], note: Note | None = None
) -> Iterator[tuple[TableRow, forms.AnyForm | InputError]]:
    """Each row with its form or its fault. A fault of the file, or of an unreadable row, comes with an empty row.

    CSV has a header, and `;` in lists. A file that begins with `{` is JSON Lines. Refuses another command's table.
    """
    notes, columns = InputNotes(note, source), tuple(form.model_fields)
    for row in _rows(lines(chunks), source, form, notes):
        if isinstance(row, InputError):
            yield TableRow(0, {}), row
            continue
        if table := formats.foreign_table(row.values, columns):
            yield row, _problem(f"these are {table}; no row from here on was read", source, row.number)
            return
        for name in columns:
            if isinstance(value := row.values.get(name), str) and _FORMULA.match(value):
                notes.add(f"row {row.number}, column {name!r}: kept as text, though it looks like a formula")
        notes.unknown("columns", (name for name in row.values if name not in columns))
        try:
            filled = form.model_validate(forms.filled_in({name: row.values.get(name) for name in columns}))
            if isinstance(filled, forms.FilingForm) and filled.bill_of_lading.startswith(filled.scac):
                notes.add(
                    f"row {row.number}: the number {filled.bill_of_lading} begins with its SCAC: is it part of it?"
                )
            yield row, filled
        except ValidationError as error:
            column, _, reasons = reasons_of(error).partition(": ")
            yield row, _problem(reasons, source, row.number, column.partition(".")[0])


def _rows(
    physical: Iterator[bytes | UnreadableInput], source: str, form: type[BaseModel], notes: InputNotes
) -> Iterator[TableRow | InputError]:
    for number, line in enumerate(physical, 1):
        first = b"" if isinstance(line, UnreadableInput) else line.removeprefix(BOM_UTF8)
        if first.strip():
            numbered = chain([(number, first)], enumerate(physical, number + 1))
            if formats.recognise(first) not in (JSONL, formats.UNKNOWN):
                yield InputError(MESSAGES, place=source)
            elif text := formats.foreign_format(first):
                yield InputError(f"this is {text}", place=source)
            elif first.lstrip().startswith(b"{"):
                yield from _json_rows(numbered, source)
            else:
                yield from _csv_rows(numbered, number, formats.column_separator(first), source, form, notes)
            return


def _json_rows(numbered: _NumberedLines, source: str) -> Iterator[TableRow | InputError]:
    for number, line in numbered:
        if isinstance(line, UnreadableInput):
            yield _problem(f"the line has more than {PIECE_LIMIT:,} bytes", source, number)
        elif line.strip():
            try:
                yield TableRow(number, json_object(line))
            except ValueError as error:
                yield _problem(f"{NOT_JSON}: {error}", source, number)


def _csv_rows(
    numbered: _NumberedLines, number: int, comma: str, source: str, form: type[BaseModel], notes: InputNotes
) -> Iterator[TableRow | InputError]:
    text = _CsvText(numbered, number, notes)
    reader = csv.reader(text, delimiter=comma)
    header: list[str] | None = None
    while True:
        start = text.begin_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield _problem(f"the row cannot be read: {error}", source, start)
            continue
        if cells is None:
            return
        if header is None:
            header = [formats.column_name(cell) for cell in cells]
            if problem := _header_problem(header, form, source):
                yield problem
                return
        elif any(cell.strip() for cell in cells[len(header) :]):
            fix = f"remove a {comma!r}, or put quotes around its cell"
            yield _problem(f"{len(cells)} cells under {len(header)} columns: {fix}", source, start)
        elif any(cell.strip() for cell in cells):
            yield TableRow(start, dict(zip(header, map(str.strip, cells), strict=False)))


def _header_problem(header: list[str], form: type[BaseModel], source: str) -> InputError | None:
    for name, times in Counter(header).items():
        if name and times > 1:
            return InputError("the header has this column more than once", place=f"{source}: column {name!r}")
    if table := formats.foreign_table(header, form.model_fields):
        return InputError(f"these are {table}", place=source)
    required = [name for name, field in form.model_fields.items() if field.is_required()]
    for name in required:
        if name not in header:
            columns = ", ".join(dict.fromkeys((*required, *form.model_fields)))
            reason = f"the column is missing. The first row must name the columns, of which there are: {columns}"
            return InputError(reason, place=f"{source}: column {name!r}")
    return None


class _CsvText:
    """Lines of text for the CSV reader. Reads a line that is not UTF-8 as Latin-1, with a note."""

    def __init__(self, numbered: _NumberedLines, first: int, notes: InputNotes) -> None:
        self._numbered, self._notes = numbered, notes
        self.number, self._size = first - 1, 0

    def begin_row(self) -> int:
        """The line on which the next row begins."""
        self._size = 0
        return self.number + 1

    def __iter__(self) -> _CsvText:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._numbered)
        if isinstance(line, UnreadableInput):
            self._notes.add(f"row {self.number}: left out, since it has more than {PIECE_LIMIT:,} bytes")
            return "\n"
        self._size += len(line) + 1
        if self._size > PIECE_LIMIT:  # a row continues from line to line while quotes are open
            limit = f"it has more than {PIECE_LIMIT:,} bytes"
            raise csv.Error(f"{limit}; a quote may be missing before row {self.number}")
        try:
            return line.decode("utf-8") + "\n"
        except UnicodeDecodeError:
            self._notes.add(f"row {self.number}: not UTF-8, read as Latin-1")
            return line.decode("latin-1") + "\n"


def _problem(reason: str, source: str, row: int, column: str = "") -> InputError:
    return InputError(reason, place=f"{source}: row {row}" + (f", column {column!r}" if column else ""))
