"""Commands for bills that CBP has only on paper: `paper add`, `list`, `matches`, `match`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import BaseModel

from router.cli import command, printing
from router.cli.command import (
    ByOption,
    FormatOption,
    RowsFormatOption,
    argument,
    exit_if,
    flag,
    option,
    read_log,
    with_rules,
    write_log,
)
from router.cli.printing import JSON, TABLE, Column, RecordFields, console, emit, number_of, print_rows, say
from router.clock import now_milliseconds
from router.codec import encode_value
from router.decide.rules import Rules
from router.desk.bill_views import key_from
from router.desk.paper_bills import (
    FILED_AS,
    ON_PAPER,
    PaperView,
    lading_clock,
    match,
    propose_matches,
    read_paper_bills,
    register,
)
from router.engine.intake import ImportCount
from router.errors import InputError, UsageError
from router.feeds import form_fields
from router.feeds.forms import PaperForm, check_moment, checked, paper_bill
from router.feeds.input_files import files_in
from router.feeds.tables import read_paper, read_rows
from router.feeds.typed_times import typed_time
from router.log.interface import AdministeredLog
from router.model.eastern import iso
from router.model.identifiers import split_bill_key
from router.model.inputs import PaperBill, PaperMatch
from router.presentation import plain_value

paper_app = typer.Typer(no_args_is_help=True, help="Register bills on paper, list them, match them with their filings.")
PROCEDURE: Final = (
    "No do-not-load 24 hours after delivery permits lading only under CBP's outage procedure (FAQ section 27); at any "
    "other time silence permits nothing."
)
STATE_TEXT: Final = {"ON_PAPER": "on paper", "FILED": "filed", "FILED_AS": "filed as "}


@paper_app.command("add")
def add_paper_bills(
    context: typer.Context,
    by: ByOption,
    bill: Annotated[list[str] | None, argument("BILL", "NVXAHBL000012345, or SCAC and number as two words.")] = None,
    table: Annotated[
        list[Path] | None, option("FILE", "Table: columns of `import filings`, delivered_at, form, ticket.", "--csv")
    ] = None,
    delivered_at: Annotated[str | None, option("TIME", f"When it was delivered to CBP. {command.MOMENT}")] = None,
    paper_form: Annotated[str, option("FORM", "CBPF1302 or EMAIL.", "--form")] = "CBPF1302",
    carrier: command.CarrierOption = None,
    imo: command.ImoOption = None,
    voyage: command.VoyageOption = None,
    arrival: command.ArrivalOption = None,
    port: command.UnladingOption = None,
    quantity: Annotated[int | None, option("PIECES", "Manifested quantity.")] = None,
    container: Annotated[list[str] | None, option("NUMBER", "Container; may be repeated.")] = None,
    snp: command.SnpOption = None,
    ticket: command.TicketOption = None,
    form: FormatOption = TABLE,
) -> None:
    """Register a bill that CBP has only on paper or by e-mail, or a whole sailing of them from a table.

    Example:  [bold]snp-router paper add --csv sailing.csv --by "J. Doe"[/bold]

    It counts as filed until its electronic filing arrives. `paper list` shows the 24 hours since its delivery."""
    now = now_milliseconds()
    if bool(table) == bool(bill):
        raise UsageError("name one bill, or a table of bills with --csv")
    if table:
        values = _paper_rows(table, by, now)
    else:
        scac, number = split_bill_key(key_from(bill or []))
        fields = {
            "scac": scac, "bill_of_lading": number, "form": paper_form,
            "delivered_at": typed_time("delivered-at", delivered_at, now) if delivered_at is not None else None,
            "carrier_scac": carrier, "imo_number": imo, "voyage_number": voyage, "arrival_date": arrival,
            "port_of_unlading": port, "manifested_quantity": quantity, "container_numbers": container, "snps": snp,
            "ticket": ticket,
        }  # fmt: skip
        entered = checked(PaperForm, fields)
        check_moment("delivered-at", entered.delivered_at, now)
        values = iter([paper_bill(entered, "paper add", by, now)])

    async def work(log: AdministeredLog) -> ImportCount:
        return await register(log, values, by, now)

    added = write_log(context, work)
    if form is JSON:
        emit({"added": added.count, "problems": printing.problem_fields(added.problems)})
    else:
        console().print(f"{number_of(added.count, 'paper bill')} registered")
        for problem in added.problems:
            say(f"problem: {problem}")
    exit_if(added.problems)


def _paper_rows(files: list[Path], by: str, now: int) -> Iterator[PaperBill | InputError]:
    for file in files_in(files):
        yield from read_paper(file.chunks(), file.name, by, now, note=lambda note: say(f"note: {note}"))


@paper_app.command("list")
def list_paper_bills(
    context: typer.Context,
    everything: Annotated[bool, flag("--all", "Bills filed electronically since then, too.")] = False,
    html: command.HtmlOption = None,
    form: RowsFormatOption = TABLE,
) -> None:
    """List the bills that are still on paper, earliest delivery first, with the 24 hours since then.

    Example:  [bold]snp-router paper list --html paper.html[/bold]"""
    now = now_milliseconds()
    views = read_log(context, with_rules(context, read_paper_bills), warns_if_behind=True)
    rows = [_paper_fields(view, now) for view in views if everything or view.state == ON_PAPER]
    empty, title = "no bill is on paper", "Bills on paper"
    print_rows(PAPER_BILL, rows, form, empty=empty, note=PROCEDURE, html=html, title=title)


def _paper_fields(view: PaperView, now: int) -> RecordFields:
    shipment, clock = view.cargo.shipment, lading_clock(view, now) if view.state == ON_PAPER else None
    return {
        "bill": view.bill, "state": view.state, "filed_as": view.filed_as, "delivered_at": iso(view.delivered_at),
        "clock": clock, "form": view.form, "ticket": view.ticket, "status": view.status,
        "do_not_load": view.do_not_load, "carrier_scac": shipment.carrier_scac, "imo_number": shipment.imo_number,
        "voyage_number": shipment.voyage_number, "container_numbers": list(shipment.container_numbers),
        "manifested_quantity": view.quantity,
    }  # fmt: skip


def _state_text(row: RecordFields) -> str:
    return STATE_TEXT[row["state"]] + (row["filed_as"] if row["state"] == FILED_AS else "")


PAPER_BILL: Final = (
    Column("bill", 17, lambda one: one["bill"]),
    Column("delivered", 12, lambda one: printing.moment(one["delivered_at"])),
    Column("24 hours", 16, lambda one: one["clock"] or ""),
    Column("status", 19, lambda one: printing.styled(one["status"])),
    Column("voyage", None, lambda one: " ".join(filter(None, (one["carrier_scac"], one["voyage_number"])))),
    Column("containers", None, lambda one: ", ".join(one["container_numbers"])),
    Column("state", None, _state_text),
)


@paper_app.command("matches")
def propose_paper_matches(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """Propose which filing each bill on paper became, by containers, carrier, sailing and quantity; best first.

    Example:  [bold]snp-router paper matches --format json > matches.jsonl[/bold]

    Delete the wrong lines and give the file to `snp-router paper match --csv`."""
    proposals = read_log(context, with_rules(context, propose_matches), warns_if_behind=True)
    rows = [
        proposal._asdict() | {"agrees": list(proposal.agrees), "differs": list(proposal.differs)}
        for proposal in proposals
    ]
    print_rows(PROPOSAL, rows, form, empty="no bill on paper resembles one filed under another number")


PROPOSAL: Final = (
    Column("on paper", 17, lambda one: one["paper"]),
    Column("filed as?", 17, lambda one: one["electronic"]),
    Column("the same", None, lambda one: ", ".join(one["agrees"])),
    Column("different", None, lambda one: ", ".join(one["differs"])),
)


class MatchForm(BaseModel):
    """A row of a table of matches. Other columns are for people and ignored."""

    paper: form_fields.BillReference
    electronic: form_fields.BillReference


@paper_app.command("match")
def match_paper_bills(
    context: typer.Context,
    by: ByOption,
    paper: Annotated[str | None, argument("PAPER", "The bill on paper, such as SLTCPAPER0001.")] = None,
    electronic: Annotated[str | None, argument("ELECTRONIC", "The bill that it was filed as, written alike.")] = None,
    table: Annotated[
        list[Path] | None, option("FILE", "CSV or JSON Lines with the columns paper and electronic.", "--csv")
    ] = None,
    form: FormatOption = TABLE,
) -> None:
    """Record that a bill on paper was filed under another number. Its notices are sent again with the new one, once.

    Example:  [bold]snp-router paper match SLTCPAPER0001 SLTC700012345 --by "J. Doe"[/bold]"""
    if bool(table) == bool(paper and electronic):
        raise UsageError("name the bill on paper and the one that it was filed as, or a table of both with --csv")
    pairs = list(_pairs(table)) if table else [(key_from([paper or ""]), key_from([electronic or ""]))]
    now = now_milliseconds()
    matched: list[PaperMatch] = []
    problems: list[Exception] = []

    async def work(log: AdministeredLog, rules: Rules) -> None:
        await command.warn_if_behind(log)
        for pair in pairs:
            if isinstance(pair, InputError):
                problems.append(pair)
                continue
            try:
                matched.append(await match(log, rules, *pair, by, now))
            except UsageError as error:
                if len(pairs) == 1:
                    raise
                problems.append(error)

    write_log(context, with_rules(context, work))
    if form is JSON:
        for one in matched:
            emit(plain_value(encode_value(one)))
    else:
        console().print(f"{number_of(len(matched), 'paper bill')} matched")
        if matched:
            say("`snp-router run` sends their notices again, with the electronic number; start it if it is not running")
    for problem in problems:
        say(f"problem: {problem}")
    exit_if(problems)


def _pairs(files: list[Path]) -> Iterator[tuple[str, str] | InputError]:
    for file in files_in(files):
        for read in read_rows(file.chunks(), file.name, MatchForm):
            if isinstance(read, InputError):
                yield read
            elif isinstance(read[1], InputError):
                yield read[1]
            else:
                yield read[1].paper, read[1].electronic
