"""How records look to people: cells for lines and tables, the panel of a bill, its timeline.

How far a long file is read, for whoever waits at a terminal.

Pages to print: HTML from the templates beside this, everything in them escaped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from router.cli.invocation import console, say
from router.clock import now_milliseconds
from router.engine.intake import STANDARD_INPUT
from router.errors import UsageError
from router.harmless import harmless
from router.model.eastern import MILLISECONDS, iso

STATUS_STYLE: Final = {
    "DO_NOT_LOAD": "bold white on red",
    "HELD": "bold red",
    "RELEASED": "bold green",
    "RELEASE_UNCONFIRMED": "yellow",
    "PARTIALLY_RELEASED": "yellow",
    "MOVEMENT_AUTHORISED": "cyan",
    "NOT_RELEASED": "yellow",
    "CLOSED": "dim",
    "DELETED": "dim",
}
KIND_STYLE: Final = {"hold": "bold red", "change": "yellow", "release": "bold green"}
LEAST_ROOM: Final = 30
"""Columns; in fewer, words are better left to the terminal."""
ID_SHOWN: Final = 12
"""Characters of a dead letter's id that are shown; enough to name it by."""

Fields = dict[str, Any]


class Column(NamedTuple):
    name: str
    width: int | None
    """None: what is left of the line."""
    cell: Callable[[Fields], str | Text]


def moment(text: str | None) -> str:
    """`07-14 12:12Z`: a year is of no use on a line, and the zone must be seen."""
    return f"{text[5:10]} {text[11:16]}Z" if text else ""


def status_text(status: str | None) -> Text:
    return Text(status or "-", STATUS_STYLE.get(status or "", ""))


def kind_text(kind: str) -> Text:
    return Text(kind.upper(), KIND_STYLE[kind])


def bill_text(fields: Fields) -> str:
    """As it is written everywhere; a vessel event has none, so its vessel stands there."""
    if fields["bill_of_lading"] is None:
        return str(fields.get("vessel_name") or "")
    return f"{fields['scac']:<4}{fields['bill_of_lading']}"


def hold_words(hold: Fields) -> str:
    """`1H`, `6H on CSQU3054383`, `BOX on CSQU305438`, `UNREADABLE`."""
    what = hold["code"] if hold["kind"] == "CBP" else " ".join(filter(None, (hold["kind"], hold["code"])))
    return f"{what} on {hold['container_number']}" if hold["container_number"] else str(what)


def notice_words(notice: Fields) -> str:
    """What a reader should know besides the status: as whom it was told, why if not of an event, what stands, what is
    allowed, what is doubted."""
    parts = [", ".join(notice["roles"])]
    if notice["cause"] != "DISPOSITION":
        parts.append("cause: " + notice["cause"])
    if notice["holds"]:
        parts.append("stands: " + ", ".join(map(hold_words, notice["holds"])))
    for name, words in (("authorises", "may: "), ("doubts", "doubt: "), ("flags", "flag: ")):
        if notice[name]:
            parts.append(words + ", ".join(notice[name]))
    return "; ".join(parts)


NOTICE: Final = (
    Column("posted", 12, lambda one: moment(one["action_at"])),
    Column("notice", 7, lambda one: kind_text(one["kind"])),
    Column("bill", 17, bill_text),
    Column("code", 4, lambda one: one["disposition_code"] or ""),
    Column("status now", 19, lambda one: status_text(one["status"])),
    Column("told as, and what it says", None, notice_words),
)

TIMELINE: Final = (
    Column("at", 12, lambda one: moment(one["at"])),
    Column("posted", 12, lambda one: moment(one["action_at"])),
    Column("bill", 17, lambda one: one["bill"]),
    Column("what", 12, lambda one: one["disposition_code"] or one["cause"]),
    Column("status", 19, lambda one: status_text(one["status"])),
    Column("told", None, lambda one: told_words(one)),
)

DEAD_LETTER: Final = (
    Column("received", 12, lambda one: moment(one["received_at"])),
    Column("id", ID_SHOWN, lambda one: one["id"][:ID_SHOWN]),
    Column("bill", 17, lambda one: bill_text(one) if one["bill_of_lading"] else ""),
    Column("settled", 9, lambda one: one["settled"] or ""),
    Column("where and why", None, lambda one: f"{one['source']}: {one['reason']}"),
)

WAITING: Final = (
    Column("since", 12, lambda one: moment(one["since"])),
    Column("bill", 17, bill_text),
    Column("status", 19, lambda one: status_text(one["status"])),
    Column("missing", 30, lambda one: ", ".join(one["reasons"]) or "nothing any more"),
    Column("not told", None, lambda one: ", ".join(one["parties"])),
)


def told_words(entry: Fields) -> str:
    """`HOLD to NVXA, OCNX; CHANGE to SLTC`."""
    by_kind: dict[str, list[str]] = {}
    for telling in entry["told"]:
        by_kind.setdefault(telling["kind"].upper(), []).append(telling["recipient"])
    words = [f"{kind} to {', '.join(recipients)}" for kind, recipients in by_kind.items()]
    return "; ".join([*words, *(f"waits: {reason}" for reason in entry["waiting"])])


def header_line(columns: Sequence[Column]) -> Text:
    return Text("  ".join(column.name.ljust(column.width or 0) for column in columns), "dim")


def line(columns: Sequence[Column], fields: Fields, width: int | None = None) -> Text:
    """One record on one line, for output that goes on and on; only its last cell may be longer than its column. On a
    terminal of so many columns it goes on under itself, where there is room."""
    text = Text()
    for column in columns:
        cell = column.cell(fields)
        if column.width is None and width is not None and width - len(text) >= LEAST_ROOM:
            cell = ("\n" + " " * len(text)).join(textwrap.wrap(str(cell), width - len(text)))
        text.append_text(cell if isinstance(cell, Text) else Text(cell))
        if column.width is not None:
            text.append(" " * (max(0, column.width - len(cell)) + 2))
    text.rstrip()
    return text


def grid(headings: Sequence[str], rows: Iterable[Sequence[str | Text]], title: str | None = None) -> Table:
    """Cells under their headings; a cell that is too long goes on below."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for cells in rows:
        made.add_row(*cells)
    return made


def table(columns: Sequence[Column], rows: Iterable[Fields], title: str | None = None) -> Table:
    cells = ([column.cell(fields) for column in columns] for fields in rows)
    made = grid([column.name for column in columns], cells, title)
    for shown, column in zip(made.columns, columns, strict=True):
        shown.no_wrap = column.width is not None
    return made


def plain_rows(columns: Sequence[Column], rows: Iterable[Fields]) -> list[dict[str, str]]:
    """The same for a page to print."""
    return [{column.name: str(column.cell(fields)) for column in columns} for fields in rows]


MISSING: Final = {
    "NO_SAILING": "no sailing has its ship's IMO number, carrier and voyage number: `snp-router import sailings FILE`",
    "NO_SNP": "whom else to notify is not known: `snp-router import filings FILE`, or ask the filer",
    "PARTY_UNKNOWN": "a party that it names is not registered: `snp-router import parties FILE`",
    "PARTY_NOT_LIVE": "a party is suspended or still certifying: `snp-router party live SCAC`",
    "NO_TOPIC": "a party's topic is missing or refuses us: `snp-router topics check`",
    "CONTRADICTION": "what was entered by hand contradicts CBP: ask CBP, then `snp-router bill confirm`",
}
"""What a bill waits for, and what ends that."""


def missing_notes(reasons: Iterable[str]) -> list[str]:
    """What to do about each kind of reason, once."""
    kinds = dict.fromkeys(reason.partition(":")[0] for reason in reasons)
    return [f"{kind}: {MISSING[kind]}" for kind in kinds if kind in MISSING]


# A bill

IDENTIFIERS: Final = (
    "bill_type", "snps", "carrier_scac", "vessel_name", "imo_number", "voyage_number", "sailing_id",
    "manifest_sequence_number", "port_of_unlading", "arrival_date", "container_numbers", "master_bill",
    "original_bill", "splits",
)  # fmt: skip


def bill_panel(bill: Fields) -> RenderableType:
    """All of a bill, from `views.bill_fields`."""
    title = Text.assemble((f" {bill_text(bill)} ", "bold"), status_text(bill["status"]), " ")
    parts: list[RenderableType] = [_status_lines(bill), Text(), _identifiers(bill)]
    if bill["told"]:
        parts += [Text(), _told_table(bill)]
    if bill["waiting"]:
        parts += [Text(), Text(f"waiting: {', '.join(bill['waiting'])}", "yellow")]
    parts += [Text(), timeline_table(bill["timeline"])]
    return Panel(Group(*parts), title=title, title_align="left", border_style="dim", padding=(1, 2))


def _status_lines(bill: Fields) -> Text:
    lines = ["may be delivered" if bill["deliverable"] else "must not be delivered"]
    for hold in bill["holds"]:
        pieces = f", {hold['quantity']} pieces" if hold["quantity"] is not None else ""
        confirm = f"  (confirm with --event {hold['id']})" if "id" in hold else ""
        since = moment(hold["placed_at"])
        lines.append(f"hold   {hold_words(hold)}, since {since}{pieces}: {hold['meaning'] or ''}{confirm}")
    if bill["release_posted_at"]:
        of, posted = bill["manifested_quantity"], moment(bill["release_posted_at"])
        lines.append(f"release  {_known(bill['released_quantity'])} of {_known(of)} pieces, posted {posted}")
    else:
        lines.append(f"manifested  {_known(bill['manifested_quantity'])} pieces")
    lines += [f"{name}  {', '.join(bill[name])}" for name in ("authorises", "doubts", "flags") if bill[name]]
    return Text("\n".join(lines))


def _known(quantity: int | None) -> str:
    return "unknown" if quantity is None else str(quantity)


def _identifiers(bill: Fields) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name in IDENTIFIERS:
        value = bill[name]
        if value:
            grid.add_row(Text(name, "dim"), ", ".join(value) if isinstance(value, list) else str(value))
    return grid


def _told_table(bill: Fields) -> Table:
    rows = (
        (told["recipient"], ", ".join(told["roles"]), kind_text(last["kind"]), moment(last["at"]), last["notice_id"])
        for told in bill["told"]
        for last in [told["last_notice"]]
    )
    return grid(("told", "as", "last notice", "at", "notice id"), rows)


def timeline_table(entries: Iterable[Fields]) -> Table:
    columns = [column for column in TIMELINE if column.name != "bill"]
    return table(columns, entries, "timeline")


LONG_BYTES: Final = 5_000_000
"""From here on a progress bar is worth its lines."""


@contextmanager
def reading(paths: Sequence[Path]) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error, to be told how many bytes were read since; None if that is no terminal, or if there is
    not much to read."""
    total = sum(path.stat().st_size for path in paths if path != STANDARD_INPUT)
    err = console(stderr=True)
    if not err.is_terminal or total < LONG_BYTES:
        yield None
        return
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


if TYPE_CHECKING:
    from jinja2 import Environment

HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page to print, to this file.")
]


def write_page(path: Path, template: str, **fields: Any) -> None:
    """The page that `template` makes of the fields, dated now. Raises UsageError where the file can't be written."""
    printed_at = iso(now_milliseconds() // MILLISECONDS * MILLISECONDS)
    page = _environment().get_template(f"{template}.html.j2").render(printed_at=printed_at, **fields)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error
    say(f"{path} written: open it in a browser and print it")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # Only who prints pays for templates.

    return Environment(
        loader=PackageLoader("router.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: harmless(value) if type(value) is str else value,
    )
