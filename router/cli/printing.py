"""Results on a terminal, as JSON and as pages to print: how each record looks, and where it goes.

Results go to standard output, remarks for the person at the keyboard to standard error."""

from __future__ import annotations

import csv
import io
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from router.clock import now_milliseconds
from router.errors import InputError, UsageError
from router.feeds.input_files import STANDARD_INPUT, InputFile
from router.harmless_text import csv_cell, harmless, json_line
from router.model.eastern import MILLISECONDS, iso

if TYPE_CHECKING:
    from jinja2 import Environment

PLAIN_WIDTH: Final = 120
"""Columns of output that goes to no terminal."""
NARROWEST_CELL: Final = 30
"""Columns. A last cell with less room is left to the terminal's own wrapping."""
ID_SHOWN: Final = 12
"""Characters shown of a dead letter's id; enough to name it by."""
LONG_BYTES: Final = 5_000_000
"""Input from this size on gets a progress bar."""
STYLE: Final = {
    "DO_NOT_LOAD": "bold white on red", "HELD": "bold red", "RELEASED": "bold green",
    "RELEASE_UNCONFIRMED": "yellow", "PARTIALLY_RELEASED": "yellow", "MOVEMENT_AUTHORISED": "cyan",
    "NOT_RELEASED": "yellow", "CLOSED": "dim", "DELETED": "dim",
    "HOLD": "bold red", "CHANGE": "yellow", "RELEASE": "bold green",
}  # fmt: skip
"""By status of a bill, and by kind of a notice."""


RecordFields = dict[str, Any]
"""A record as JSON has it."""


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    """Only of commands that print a table: all of its rows."""


TABLE: Final = OutputFormat.TABLE
JSON: Final = OutputFormat.JSON
CSV: Final = OutputFormat.CSV


class PlainConsole(Console):
    """Shows names, remarks and paths literally: without markup and without control characters."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def console(*, stderr: bool = False) -> Console:
    """A new console on today's standard output, which tests redirect."""
    made = PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PLAIN_WIDTH
    return made


def emit(fields: dict[str, Any]) -> None:
    """Print one JSON object on one line of standard output."""
    typer.echo(json_line(fields))


class CsvPrinter:
    """Prints records as CSV on standard output: a heading, then a line each. Values are those of JSON; a list is joined
    by semicolons, records within a record are JSON."""

    def __init__(self, names: Iterable[str] | None = None) -> None:
        """`names` are the columns; default: the fields of the first record."""
        self._names = None if names is None else list(names)
        if self._names is not None:
            self._line(self._names)

    def row(self, fields: RecordFields) -> None:
        if self._names is None:
            self._names = list(fields)
            self._line(self._names)
        self._line([csv_cell(fields.get(name)) for name in self._names])

    def _line(self, cells: Sequence[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(cells)
        typer.echo(line.getvalue())


def emit_rows(rows: Sequence[RecordFields], form: OutputFormat) -> None:
    """Print records as JSON, one object a line, or as CSV."""
    if form is JSON:
        for fields in rows:
            emit(fields)
    elif rows:
        printer = CsvPrinter(dict.fromkeys(name for fields in rows for name in fields))
        for fields in rows:
            printer.row(fields)


def say(text: str) -> None:
    """Print a remark on standard error."""
    console(stderr=True).print(text, soft_wrap=True)


def announce(text: str) -> None:
    """Say what a service does, on a terminal only: elsewhere each line of standard error is JSON."""
    if sys.stderr.isatty():
        say(f"{text}; Ctrl-C stops")


@contextmanager
def until_stopped(text: str, out: Console | None = None) -> Iterator[None]:
    """Say what a command does until it is stopped. If `out` is a terminal, a moving line below the output shows that a
    quiet command is alive; otherwise it is said once, on standard error."""
    if out is not None and out.is_terminal:
        with out.status(Text(f"{text}; Ctrl-C stops", "dim"), spinner="line"):
            yield
    else:
        say(f"{text}; Ctrl-C stops")
        yield


@contextmanager
def progress_bar(files: Sequence[InputFile]) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error, called with the number of bytes read since the last call. None for short input, and if
    standard error is no terminal."""
    total = sum(file.path.lstat().st_size for file in files if file.path != STANDARD_INPUT)
    err = console(stderr=True)
    if not err.is_terminal or total < LONG_BYTES:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def record_progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar on standard error for each step of a work. Called with the step, the number of records done in it and that
    of all. It shows these, and the time that is left; before the first call nothing. None if standard error is no
    terminal."""
    err = console(stderr=True)
    if not err.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    counted = TextColumn("{task.completed:,.0f} of {task.total:,.0f} records")
    columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeRemainingColumn(elapsed_when_finished=True))
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=err) as progress:

        def report(step: str, done: int, total: int) -> None:
            if step not in bars:
                bars[step] = progress.add_task(step, total=total)
            progress.update(bars[step], completed=done, total=total)

        yield report


def number_of(count: int, noun: str) -> str:
    """`1 sailing`, `2 sailings`, `5 parties`, `1,200 dead letters`."""
    if count != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"
    return f"{count:,} {noun}"


def late_counts(do_not_loads: int, holds: int, events: int) -> str:
    """`2 do-not-loads, 1 other hold, 312 in all`: events that arrived late after an outage."""
    return f"{number_of(do_not_loads, 'do-not-load')}, {number_of(holds, 'other hold')}, {events:,} in all"


def moment(text: str | None) -> str:
    """`07-14 12:12Z`. The year is left out, the zone is not."""
    return f"{text[5:10]} {text[11:16]}Z" if text else ""


def styled(word: str | None) -> Text:
    """A status or a kind of notice in its colour."""
    word = (word or "-").upper()
    return Text(word, STYLE.get(word, ""))


def problem_fields(problems: Iterable[InputError]) -> list[RecordFields]:
    return [{"place": problem.place, "reason": problem.reason} for problem in problems]


def bill_text(fields: RecordFields) -> str:
    """The bill's key, or the vessel's name if the event is about a vessel."""
    if fields["bill_of_lading"] is None:
        return str(fields.get("vessel_name") or "")
    return f"{fields['scac']:<4}{fields['bill_of_lading']}"


def times_text(letter: RecordFields) -> str:
    return f" ({letter['times']:,} times)" if letter["times"] > 1 else ""


def hold_text(hold: RecordFields) -> str:
    """`1H`, `6H on CSQU3054383`, `BOX on CSQU305438 because of NVXBHBL000067890`, `UNREADABLE`."""
    what = hold["code"] if hold["kind"] == "CBP" else " ".join(filter(None, (hold["kind"], hold["code"])))
    where = f" on {hold['container_number']}" if hold["container_number"] else ""
    return f"{what}{where}" + (f" because of {hold['because_of']}" if hold["because_of"] else "")


def notice_details(notice: RecordFields) -> str:
    """`SNP, CHARTERER; cause: LINK; holds: BOX on CSQU305438; flags: LATE; remarks: DOCUMENTS REQUIRED`."""
    parts = [", ".join(notice["roles"])]
    if notice["cause"] != "DISPOSITION":
        parts.append(f"cause: {notice['cause']}")
    if notice["holds"]:
        parts.append("holds: " + ", ".join(map(hold_text, notice["holds"])))
    parts += [f"{name}: {', '.join(notice[name])}" for name in ("authorises", "doubts", "flags") if notice[name]]
    if notice.get("remarks"):
        parts.append(f"remarks: {notice['remarks']}")
    return "; ".join(parts)


def decision_notices(entry: RecordFields) -> str:
    """`HOLD to NVXA, OCNX; CHANGE to SLTC; waits: NO_SNP`."""
    by_kind: dict[str, list[str]] = {}
    for notice in entry["notified"]:
        by_kind.setdefault(notice["kind"].upper(), []).append(notice["recipient"])
    parts = [f"{kind} to {', '.join(recipients)}" for kind, recipients in by_kind.items()]
    return "; ".join([*parts, *(f"waits: {reason}" for reason in entry["waiting"])])


class Column(NamedTuple):
    name: str
    width: int | None
    """None for what is left of the line."""
    cell: Callable[[RecordFields], str | Text]


NOTICE: Final = (
    Column("posted", 12, lambda one: moment(one["action_at"])),
    Column("notice", 7, lambda one: styled(one["kind"])),
    Column("bill", 17, bill_text),
    Column("code", 4, lambda one: one["disposition_code"] or ""),
    Column("status now", 19, lambda one: styled(one["status"])),
    Column("roles and details", None, notice_details),
)
TIMELINE: Final = (
    Column("at", 12, lambda one: moment(one["at"])),
    Column("posted", 12, lambda one: moment(one["action_at"])),
    Column("bill", 17, lambda one: one["bill"]),
    Column("event", 12, lambda one: one["disposition_code"] or one["cause"]),
    Column("status", 19, lambda one: styled(one["status"])),
    Column("notices", None, decision_notices),
)
DEAD_LETTER: Final = (
    Column("received", 12, lambda one: moment(one["received_at"])),
    Column("id", ID_SHOWN, lambda one: one["id"][:ID_SHOWN]),
    Column("bill", 17, lambda one: bill_text(one) if one["bill_of_lading"] else ""),
    Column("resolved", 9, lambda one: one["resolution"] or ""),
    Column("source and reason", None, lambda one: f"{one['source']}: {one['reason']}{times_text(one)}"),
)
WAITING: Final = (
    Column("since", 12, lambda one: moment(one["since"])),
    Column("bill", 17, bill_text),
    Column("status", 19, lambda one: styled(one["status"])),
    Column("missing", 30, lambda one: ", ".join(one["reasons"]) or "nothing any more"),
    Column("not notified", None, lambda one: ", ".join(one["parties"])),
)


def line(columns: Sequence[Column], fields: RecordFields, width: int | None = None) -> Text:
    """One record on one line, for output that is followed. The last cell wraps below itself on a terminal of `width`
    columns; without `width` it may be longer than its column."""
    text = Text()
    for column in columns:
        cell = column.cell(fields)
        if column.width is None and width is not None and width - len(text) >= NARROWEST_CELL:
            cell = ("\n" + " " * len(text)).join(textwrap.wrap(str(cell), width - len(text)))
        text.append_text(cell if isinstance(cell, Text) else Text(cell))
        if column.width is not None:
            text.append(" " * (max(0, column.width - len(cell)) + 2))
    text.rstrip()
    return text


def grid(headings: Sequence[str], rows: Iterable[Sequence[str | Text]], title: str | None = None) -> Table:
    """Cells below their headings; long cells wrap."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for cells in rows:
        made.add_row(*cells)
    return made


def table(columns: Sequence[Column], rows: Iterable[RecordFields], title: str | None = None) -> Table:
    cells = ([column.cell(fields) for column in columns] for fields in rows)
    made = grid([column.name for column in columns], cells, title)
    for shown, column in zip(made.columns, columns, strict=True):
        shown.no_wrap = column.width is not None
    return made


def print_rows(
    columns: Sequence[Column],
    rows: Sequence[RecordFields],
    form: OutputFormat,
    *,
    empty: str,
    note: str | None = None,
    html: Path | None = None,
    title: str = "",
) -> None:
    """Print records in the chosen format, with a note below a table, or write them as a page with that title."""
    if html is not None:
        cells = [{column.name: str(column.cell(fields)) for column in columns} for fields in rows]
        write_page(html, "table", title=title, note=note, rows=cells)
    elif form is not TABLE:
        emit_rows(rows, form)
    elif rows:
        console().print(table(columns, rows))
        if note is not None:
            say(note)
    else:
        say(empty)


def say_what_is_missing(reasons: Iterable[str]) -> None:
    """A remark for each kind of reason, once."""
    from router.desk.remedies import MISSING  # every start loads this module, and `desk` is not needed for most

    for kind in dict.fromkeys(reason.partition(":")[0] for reason in reasons):
        if kind in MISSING:
            say(f"{kind}: {MISSING[kind]}")


IDENTIFIERS: Final = (
    "bill_type", "snps", "carrier_scac", "vessel_name", "imo_number", "voyage_number", "sailing_id",
    "manifest_sequence_number", "port_of_unlading", "arrival_date", "in_bond_destination", "container_numbers",
    "master_bill", "original_bill", "splits", "paper_bills",
)  # fmt: skip


def bill_panel(bill: RecordFields) -> RenderableType:
    """All of a bill, from the fields of `bill show --format json`."""
    title = Text.assemble((f" {bill_text(bill)} ", "bold"), styled(bill["status"]))
    identifiers = Table.grid(padding=(0, 2))
    for name in IDENTIFIERS:
        if value := bill[name]:
            identifiers.add_row(Text(name, "dim"), ", ".join(value) if isinstance(value, list) else str(value))
    for arrival in bill["arrivals"]:
        what = f"container {arrival['container_number']}, " if arrival["container_number"] else ""
        identifiers.add_row(
            Text("arrived in bond", "dim"), f"{what}port {arrival['port']}, {moment(arrival['posted_at'])}"
        )
    parts: list[RenderableType] = [_status_lines(bill), Text(), identifiers]
    if bill["notified"]:
        headings = ("recipient", "roles", "last notice", "at", "notice id")
        parts += [Text(), grid(headings, map(_recipient_cells, bill["notified"]))]
    if bill["waiting"]:
        parts += [Text(), Text(f"waiting: {', '.join(bill['waiting'])}", "yellow")]
    parts += [Text(), timeline_table(bill["timeline"])]
    return Panel(Group(*parts), title=title, title_align="left", border_style="dim", padding=(1, 2))


MOST_EVENTS_SHOWN: Final = 3
REMOVAL_UNMATCHED: Final = "its removal named another scope: ask CBP; if this hold has ended, `snp-router hold clear`"


def _status_lines(bill: RecordFields) -> Text:
    place = f" at {bill['deliverable_at']}" if bill["deliverable_at"] else ""
    lines = [f"may be delivered{place}" if bill["deliverable"] else "must not be delivered"]
    for hold in bill["holds"]:
        pieces = f", {number_of(hold['quantity'], 'piece')}" if hold["quantity"] is not None else ""
        events = ", ".join(event[:ID_SHOWN] for event in hold["events"][-MOST_EVENTS_SHOWN:])
        since = moment(hold["placed_at"])
        lines.append(f"hold  {hold_text(hold)}, since {since}{pieces}: {hold['meaning'] or ''}  (--event {events})")
        if "removal_unmatched" in hold:
            lines.append(f"  {REMOVAL_UNMATCHED}")
    for hold in bill["cleared"]:
        scope = f" on {hold['container_number']}" if hold["container_number"] else ""
        lines.append(f"cleared  {hold['code']}{scope}, by {', '.join(hold['users'])}; another person has to confirm it")
    manifested = bill["manifested_quantity"]
    pieces = "an unknown number of pieces" if manifested is None else number_of(manifested, "piece")
    if bill["release_posted_at"]:
        released = "unknown" if bill["released_quantity"] is None else f"{bill['released_quantity']:,}"
        lines.append(f"released  {released} of {pieces}, posted {moment(bill['release_posted_at'])}")
    else:
        lines.append(f"manifested  {pieces}")
    lines += [f"{name}  {', '.join(bill[name])}" for name in ("authorises", "doubts", "flags") if bill[name]]
    lines += map(_container_line, bill["containers"])
    return Text("\n".join(lines))


def _container_line(container: RecordFields) -> str:
    """`container  CSQU3054383: stopped, must not be loaded`, `container  CSQU3054383: released; PERMIT_TO_TRANSFER`."""
    words = ["stopped" if container["stopped"] else "released" if container["released"] else "not released"]
    if container["do_not_load"]:
        words.append("must not be loaded")
    allowed = f"; {', '.join(container['authorises'])}" if container["authorises"] else ""
    return f"container  {container['number']}: {', '.join(words)}{allowed}"


def _recipient_cells(recipient: RecordFields) -> tuple[str | Text, ...]:
    last = recipient["last_notice"]
    roles = ", ".join(recipient["roles"])
    return recipient["recipient"], roles, styled(last["kind"]), moment(last["at"]), last["notice_id"] or ""


def timeline_table(entries: Iterable[RecordFields]) -> Table:
    columns = [column for column in TIMELINE if column.name != "bill"]
    return table(columns, entries, "timeline")


def write_page(path: Path, template: str, **fields: Any) -> None:
    """Write the page that `template` makes of the fields, dated now. Raises UsageError if the file is not writable."""
    printed_at = iso(now_milliseconds() // MILLISECONDS * MILLISECONDS)
    page = _environment().get_template(f"{template}.html.j2").render(printed_at=printed_at, **fields)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    say(f"wrote {path}: open it in a browser to print it")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # Loaded only if a page is printed.

    return Environment(
        loader=PackageLoader("router.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: harmless(value) if type(value) is str else value,
    )
