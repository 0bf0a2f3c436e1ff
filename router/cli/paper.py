"""`snp-router paper`: bills that CBP has only on paper, and what they were filed as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from router.cli import matching, show
from router.cli.exit_codes import ExitCode
from router.cli.printing import HtmlOption, write_page
from router.cli.session import (
    Format,
    FormatOption,
    Session,
    console,
    emit,
    hint_if_behind,
    problem_fields,
    run,
    say,
    session_of,
)
from router.clock import now_milliseconds
from router.desk.paper import FILED_AS, ON_PAPER, PaperView, permission_words, read_paper_bills
from router.desk.views import key_from
from router.engine.administration import AuditEntry, audit_output
from router.engine.intake import ImportCount, chunks_of, files_in, name_of, take_in_filings
from router.errors import InputError, UsageError
from router.feeds.forms import PaperForm, check_moment, checked, paper_bill
from router.feeds.tables import read_paper
from router.model.eastern import iso
from router.model.identifiers import split_bill_key
from router.model.inputs import PaperBill

app = typer.Typer(no_args_is_help=True, help="Bills that CBP has only on paper: add, list, match with what was filed.")

PROCEDURE: Final = (
    "No do-not-load 24 hours after delivery permits lading only under CBP's outage procedure (FAQ section 27); at any "
    "other time silence permits nothing."
)
STATE_WORDS: Final = {"ON_PAPER": "on paper", "FILED": "filed", "FILED_AS": "filed as "}


@app.command("add")
def add(
    context: typer.Context,
    by: matching.By,
    bill: Annotated[
        list[str] | None, typer.Argument(metavar="BILL", help="As NVXAHBL000012345, or in two words.")
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option("--csv", metavar="FILE", help="A whole sailing: a filing's columns, delivered_at, form, ticket."),
    ] = None,
    delivered_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Time stamp of delivery to CBP. ISO 8601; Eastern without offset."),
    ] = None,
    paper_form: Annotated[str, typer.Option("--form", metavar="FORM", help="CBPF1302 or EMAIL.")] = "CBPF1302",
    carrier: Annotated[str | None, typer.Option(metavar="SCAC", help="Whose manifest it is on.")] = None,
    imo: Annotated[str | None, typer.Option(metavar="NUMBER", help="The ship's IMO number.")] = None,
    voyage: Annotated[str | None, typer.Option(metavar="NUMBER", help="The carrier's voyage number.")] = None,
    arrival: Annotated[str | None, typer.Option(metavar="DATE", help="First U.S. arrival.")] = None,
    port: Annotated[str | None, typer.Option(metavar="PORT", help="Of unlading, Schedule D.")] = None,
    quantity: Annotated[int | None, typer.Option(metavar="PIECES", help="Manifested.")] = None,
    container: Annotated[list[str] | None, typer.Option(metavar="NUMBER", help="May be repeated.")] = None,
    snp: Annotated[list[str] | None, typer.Option(metavar="SCAC", help="Second notify party; may be repeated.")] = None,
    ticket: Annotated[str | None, typer.Option(help="CBP's ticket number.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Register a bill that CBP has only on paper or by e-mail, or those of a whole sailing from a table.

    Example:  [bold]snp-router paper add --csv sailing.csv --by "J. Doe"[/bold]

    It counts as filed until the electronic filing comes; 24 hours run from its delivery (`paper list`).
    """
    now = now_milliseconds()
    if bool(table) == bool(bill):
        raise UsageError("name one bill, or a table of them with --csv")
    if table:
        values = _rows(table, by, now)
    else:
        scac, number = split_bill_key(key_from(bill or []))
        fields = {
            "scac": scac, "bill_of_lading": number, "delivered_at": delivered_at, "form": paper_form,
            "carrier_scac": carrier, "imo_number": imo, "voyage_number": voyage, "arrival_date": arrival,
            "port_of_unlading": port, "manifested_quantity": quantity, "container_numbers": container, "snps": snp,
            "ticket": ticket,
        }  # fmt: skip
        entered = checked(PaperForm, fields)
        check_moment("delivered-at", entered.delivered_at, now)
        values = iter([paper_bill(entered, "paper add", by, now)])
    _added(run(_add(session_of(context), values, by, now)), form)


def _rows(files: list[Path], by: str, now: int) -> Iterator[PaperBill | InputError]:
    for path in files_in(files):
        yield from read_paper(chunks_of(path), name_of(path), by, now, note=lambda note: say(f"note: {note}"))


async def _add(session: Session, values: Iterator[PaperBill | InputError], by: str, now: int) -> ImportCount:
    async with session.writing() as log:
        taken = await take_in_filings(log, values)
        if taken.count:
            await log.append([audit_output(AuditEntry(now, by, "paper add", f"{taken.count} bills"))])
        return taken


def _added(taken: ImportCount, form: Format) -> None:
    if form is Format.JSON:
        emit({"added": taken.count, "problems": problem_fields(taken.problems)})
    else:
        console().print(f"paper bills: {taken.count} taken in")
        for problem in taken.problems:
            say(f"problem: {problem}")
    if taken.problems:
        raise typer.Exit(ExitCode.PROBLEMS)


@app.command("list")
def list_paper(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that were filed since, too.")] = False,
    html: HtmlOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """What is still on paper, the earliest delivery first, with the 24 hours since then.

    Example:  [bold]snp-router paper list --html paper.html[/bold]
    """
    now = now_milliseconds()
    views = [view for view in run(_list(session_of(context))) if everything or view.state == ON_PAPER]
    rows = [paper_fields(view, now) for view in views]
    if html is not None:
        write_page(html, "table", title="Bills on paper", note=PROCEDURE, rows=show.plain_rows(COLUMNS, rows))
    elif form is Format.JSON:
        for row in rows:
            emit(row)
    elif rows:
        console().print(show.table(COLUMNS, rows))
        say(PROCEDURE)
    else:
        say("nothing is on paper")


async def _list(session: Session) -> list[PaperView]:
    async with session.reading() as log:
        await hint_if_behind(log)
        return await read_paper_bills(log, session.settings.decision_rules())


def paper_fields(view: PaperView, now: int) -> dict[str, Any]:
    known = view.known
    return {
        "bill": view.bill,
        "state": view.state,
        "filed_as": view.filed_as,
        "delivered_at": iso(view.delivered_at),
        "clock": permission_words(view, now) if view.state == ON_PAPER else None,
        "form": view.form,
        "ticket": view.ticket,
        "status": view.status,
        "do_not_load": view.do_not_load,
        "carrier_scac": known.carrier_scac,
        "imo_number": known.imo_number,
        "voyage_number": known.voyage_number,
        "container_numbers": list(known.container_numbers),
        "manifested_quantity": view.quantity,
    }


def _state_words(row: show.Fields) -> str:
    return STATE_WORDS[row["state"]] + (row["filed_as"] if row["state"] == FILED_AS else "")


COLUMNS: Final = (
    show.Column("bill", 17, lambda one: one["bill"]),
    show.Column("delivered", 12, lambda one: show.moment(one["delivered_at"])),
    show.Column("24 hours", 16, lambda one: one["clock"] or ""),
    show.Column("status", 19, lambda one: show.status_text(one["status"])),
    show.Column("voyage", None, lambda one: " ".join(filter(None, (one["carrier_scac"], one["voyage_number"])))),
    show.Column("containers", None, lambda one: ", ".join(one["container_numbers"])),
    show.Column("is", None, _state_words),
)


app.command("matches")(matching.matches)
app.command("match")(matching.match_bills)
