"""Commands that ask the desk's index, as the console's pages do: `find`, `bills`, `box`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from router.cli.command import (
    RowsFormatOption,
    argument,
    flag,
    option,
    read_log,
    settings_of,
    with_rules,
)
from router.cli.printing import (
    CSV,
    JSON,
    TABLE,
    Column,
    CsvPrinter,
    RecordFields,
    console,
    emit,
    emit_rows,
    moment,
    number_of,
    say,
    styled,
    table,
)
from router.clock import now_milliseconds
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.desk.bill_index import BillIndex, IndexedBill
from router.desk.bill_query import ARRIVING, BillQuery, query_of
from router.desk.bill_search import SearchResult, search
from router.desk.box_views import BoxBill, BoxView, box_number, box_view
from router.desk.index_following import IndexProgress, current_index
from router.desk.ports import port_names
from router.desk.unread_notices import read_unread
from router.engine.administration import read_registry
from router.log.interface import AdministeredLog
from router.model.eastern import iso

T = TypeVar("T")

SHOWN: Final = 50
"""Rows of a table, unless `--limit` says otherwise."""
LONG_BUILD: Final = 20_000
"""Records from which on a build of the index is announced where no terminal shows its progress."""


@dataclass(frozen=True)
class Desk:
    """Everything that a question needs, as of now."""

    log: AdministeredLog
    index: BillIndex
    registry: Registry
    rules: Rules
    now: int


def ask_desk(context: typer.Context, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Result of `work` on the index, which is first brought up to the log's end."""
    path = settings_of(context).console.index_file

    async def asked(log: AdministeredLog, rules: Rules) -> T:
        with _progress() as show:
            async with current_index(path, log, rules, show) as index:
                return await work(Desk(log, index, await read_registry(log), rules, now_milliseconds()))

    return read_log(context, with_rules(context, asked), warns_if_behind=True)


@contextmanager
def _progress() -> Iterator[Callable[[IndexProgress], None]]:
    """A bar on standard error with the records indexed, of all, and the time left; elsewhere one remark before a long
    build."""
    err = console(stderr=True)
    if not err.is_terminal:
        yield _announce
        return
    columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda progress: bar.update(task, total=progress.total, completed=progress.done)


def _announce(progress: IndexProgress) -> None:
    if progress.done == 0 and progress.total >= LONG_BUILD:
        say(f"the index is being built: {number_of(progress.total, 'record')} to read")


# Bills


def list_bills(
    context: typer.Context,
    status: Annotated[str | None, option("STATUS", "One or several with commas, such as held,do-not-load.")] = None,
    do_not_load: Annotated[bool, flag("--do-not-load", "Only those with a do-not-load.")] = False,
    vessel: Annotated[str | None, option("NAME", "Name or IMO number.")] = None,
    voyage: Annotated[str | None, option("NUMBER", "The manifest carrier's voyage number.")] = None,
    sailing: Annotated[str | None, option("ID", "Positively found on this sailing.")] = None,
    arriving: Annotated[str | None, option("DAYS", f"{', '.join(ARRIVING)}, a date, or DATE..DATE.")] = None,
    port: Annotated[str | None, option("PORT", "Port of unlading, Schedule D.")] = None,
    party: Annotated[str | None, option("ID", "The bill names it, or it was notified of the bill.")] = None,
    hold: Annotated[str | None, option("CODE", "A hold of this code or kind stands.")] = None,
    doubt: Annotated[str | None, option("DOUBT", "In doubt for this reason.")] = None,
    with_flag: Annotated[str | None, option("FLAG", "The latest decision has this flag.", "--flag")] = None,
    unread: Annotated[
        str | None, option("STOP", "A party has not read its stop: any, do-not-load, hold, not-deliverable.")
    ] = None,
    age: Annotated[str | None, option("AGE", "Of its oldest hold or latest event: over-24h, under-1h, ….")] = None,
    bill: Annotated[str | None, option("NUMBER", "With * at the end: begins so; at both ends: contains it.")] = None,
    container: Annotated[str | None, option("NUMBER", "The same for a container.")] = None,
    entry: Annotated[str | None, option("NUMBER", "The same for an entry.")] = None,
    master: Annotated[str | None, option("BILL", "The same for a master bill.")] = None,
    sort: Annotated[str, option("ORDER", "status, bill, arrival, vessel, port or age.")] = "status",
    descending: Annotated[bool, flag("--descending", "The other way round.")] = False,
    limit: Annotated[int, option("ROWS", "Rows of the table; all are counted. JSON and CSV have all.", min=1)] = SHOWN,
    form: RowsFormatOption = TABLE,
) -> None:
    """List bills by status, vessel, arrival, port, party, hold and more, as the console's page Bills does.

    Example:  [bold]snp-router bills --status held --vessel "OCEAN EXEMPLAR" --arriving tomorrow[/bold]

    Days are CBP's, Eastern. A bill arrives on its own date, and also when its sailing calls at its port."""
    fields = {
        "status": status, "do_not_load": "yes" if do_not_load else None, "vessel": vessel, "voyage": voyage,
        "sailing": sailing, "arriving": arriving, "port": port, "party": party, "hold": hold, "doubt": doubt,
        "flag": with_flag, "unread": unread, "age": age, "bill": bill, "container": container, "entry": entry,
        "master": master, "sort": sort, "order": "desc" if descending else None,
    }  # fmt: skip
    query = query_of({name: value for name, value in fields.items() if value is not None})

    async def work(desk: Desk) -> int | None:
        found = await read_unread(desk.log, desk.registry)
        await desk.index.write_unread(found)
        if unread:
            for one in found:
                if not one.is_known:
                    say(f"what {one.party.id} has read is unknown: {one.receipt.unknown}")
        if form is not TABLE:
            await _emit_all(desk, query, form is JSON)
            return None
        page = await desk.index.bills(query, desk.registry, desk.now, size=limit)
        if page.rows:
            console().print(table(BILLS, map(bill_row_fields, page.rows)))
        return page.total - len(page.rows) if page.rows else -1

    more = ask_desk(context, work)
    if more == -1:
        say("no bill fits")
    elif more:
        say(f"{more:,} more: --limit {limit + more}, or --format csv")


async def _emit_all(desk: Desk, query: BillQuery, as_json: bool) -> None:
    """Print all bills of the query while they are read."""
    printer = None if as_json else CsvPrinter(BILL_FIELDS)
    rows: AsyncIterator[IndexedBill] = desk.index.every_bill(query, desk.registry, desk.now)
    async for row in rows:
        fields = bill_row_fields(row)
        emit(fields) if printer is None else printer.row(fields)


BILL_FIELDS: Final = IndexedBill._fields


def bill_row_fields(row: IndexedBill) -> RecordFields:
    """A bill of a list as JSON has it."""
    fields: RecordFields = {
        name: list(value) if isinstance(value, tuple) else value for name, value in row._asdict().items()
    }
    return fields | {"since": iso(row.since)}


def _port_text(port: str | None) -> str:
    name = port_names().get(port or "")
    return f"{port} {name}" if name else port or ""


BILLS: Final = (
    Column("bill", 17, lambda one: one["bill"]),
    Column("status", 19, lambda one: styled(one["status"])),
    Column("holds, doubts", None, lambda one: ", ".join([*one["holds"], *one["doubts"]])),
    Column("since", 12, lambda one: moment(one["since"])),
    Column("vessel", None, lambda one: one["vessel_name"] or one["imo_number"] or ""),
    Column("voyage", None, lambda one: one["voyage_number"] or ""),
    Column("port", None, lambda one: _port_text(one["port"])),
    Column("arrival", 10, lambda one: one["arrival_date"] or ""),
    Column("unread by", None, lambda one: ", ".join(one["unread_by"])),
)


# Search


def find(
    context: typer.Context,
    text: Annotated[list[str], argument("TEXT", "A number or a part of it, or a name; several words are one text.")],
    form: RowsFormatOption = TABLE,
) -> None:
    """Find bills, containers, entries, master bills, vessels and voyages, sailings, parties and ports by what is
    typed.

    Example:  [bold]snp-router find CSQU 305438-3[/bold]

    Blanks, dashes and a container's check digit don't matter. The first bills of each kind are shown, and all are
    counted; `snp-router bills` lists all."""
    typed = " ".join(text)

    async def work(desk: Desk) -> SearchResult:
        return await search(desk.index, desk.registry, typed, desk.now)

    found = ask_desk(context, work)
    if form is not TABLE:
        emit_rows(list(found_fields(found)), form)
        return
    if found.remark:
        say(found.remark)
    out = console()
    for group in found.bills:
        shown = map(bill_row_fields, group.page.rows)
        out.print(table(BILLS, shown, f"{group.title}: {group.page.total:,}"))
        if group.page.total > len(group.page.rows):
            say(f"all {group.page.total:,}: snp-router bills --{group.kind} '{getattr(group.query, group.kind)}'")
    if rows := [one for one in found_fields(found) if one["found"] not in ("bill", "container", "entry", "master")]:
        out.print(table(FOUND, rows))
    if found.is_empty:
        say("nothing has this number or name")


def found_fields(found: SearchResult) -> Iterator[RecordFields]:
    """Each thing found, with its kind (`found`), its id and name, and its number of bills, if that is counted."""

    def fields(kind: str, id: str, name: str | None, bills: int | None, **more: Any) -> RecordFields:
        return {"found": kind, "id": id, "name": name, "bills": bills} | more

    for group in found.bills:
        for row in group.page.rows:
            yield fields(group.kind, row.bill, row.status, group.page.total)
    for vessel in found.vessels:
        name = " ".join(filter(None, (vessel.vessel_name, vessel.voyage_number)))
        yield fields("vessel", vessel.imo_number or "", name, vessel.bills)
    for sailing in found.sailings:
        yield fields("sailing", sailing.sailing_id, sailing.vessel_name, None)
    for party in found.parties:
        yield fields("party", party.id, party.name, None)
    for port in found.ports:
        yield fields("port", port.port, port.name, port.bills)


FOUND: Final = (
    Column("found", 9, lambda one: one["found"]),
    Column("id", None, lambda one: one["id"]),
    Column("name", None, lambda one: one["name"] or ""),
    Column("bills", None, lambda one: "" if one["bills"] is None else f"{one['bills']:,}"),
)


# A box


def show_box(
    context: typer.Context,
    number: Annotated[list[str], argument("NUMBER", "As on the door: CSQU 305438-3, or without the check digit.")],
    form: RowsFormatOption = TABLE,
) -> None:
    """Show a container: every known bill with cargo in it, and what CBP allows of each.

    Example:  [bold]snp-router box CSQU 305438-3[/bold]

    Other cargo may be in it of which no message came. A box with cargo of several bills leaves the terminal on its
    master bill's permit only."""
    wanted = box_number(" ".join(number))

    async def work(desk: Desk) -> BoxView:
        return await box_view(desk.index, desk.registry, desk.rules, wanted, desk.now)

    box = ask_desk(context, work)
    rows = [box_bill_fields(one) for one in box.bills]
    if form is JSON:
        emit({"container_number": box.number, "verdict": box.verdict, "stopped": box.is_stopped, "bills": rows})
        return
    if form is CSV:
        emit_rows([{"container_number": box.number} | row for row in rows], form)
        return
    style = "bold red" if box.is_stopped else "bold"
    console().print(Text(f"{box.number[:4]} {box.number[4:10]}-{box.number[10:]}: {box.verdict}", style))
    if rows:
        console().print(table(BOX_BILLS, rows))


def box_bill_fields(one: BoxBill) -> RecordFields:
    """A bill of a box as JSON has it."""
    holds = [{"kind": hold.kind, "code": hold.code, "meaning": hold.meaning} for hold in one.holds]
    authorises = list(one.container.authorises) if one.container is not None else []
    return bill_row_fields(one.row) | {"allows": one.allows, "authorises": authorises, "holds": holds}


BOX_BILLS: Final = (
    Column("bill", 17, lambda one: one["bill"]),
    Column("this box by it", 18, lambda one: one["allows"]),
    Column("bill's status", 19, lambda one: styled(one["status"])),
    Column("holds on it", None, lambda one: "; ".join(_hold_text(hold) for hold in one["holds"])),
    Column("since", 12, lambda one: moment(one["since"])),
    Column("vessel", None, lambda one: one["vessel_name"] or ""),
    Column("port", None, lambda one: _port_text(one["port"])),
)


def _hold_text(hold: dict[str, str | None]) -> str:
    name = hold["code"] or hold["kind"] or ""
    return f"{name} {hold['meaning']}" if hold["meaning"] else name
