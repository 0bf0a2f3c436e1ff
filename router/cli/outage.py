"""`snp-router outage`: what is down is declared, changed and ended; its history, and what to do meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from router.cli import show
from router.cli.contacts import port_code
from router.cli.printing import HtmlOption, write_page
from router.cli.session import Format, FormatOption, Session, console, emit, run, say, session_of
from router.clock import now_milliseconds
from router.desk.checklist import SOURCE, Step, checklist
from router.desk.outages import OutageView, change, declare, end, outage_fields, read_outages
from router.desk.paper import read_paper_bills
from router.engine.administration import machine_user, read_registry
from router.feeds.forms import OutageForm, checked, moment_of

app = typer.Typer(no_args_is_help=True, help="Declare that a system is down, end it, print the history.")

By = Annotated[str, typer.Option(help="Who says so.")]
OutageId = Annotated[str, typer.Argument(metavar="ID", help="Its beginning will do.")]
MOMENT: Final = "ISO 8601; Eastern without an offset."


@app.command("declare")
def declare_outage(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="What is down, in the words the parties are told.")],
    by: By,
    mode: Annotated[str, typer.Option(help="Mode of transport: ocean.")] = "ocean",
    port: Annotated[str | None, typer.Option(metavar="PORT", help="Schedule D; without it all ports.")] = None,
    carrier: Annotated[
        str | None, typer.Option(metavar="SCAC", help="A line's own outage: only the parties of its sailings are told.")
    ] = None,
    feed: Annotated[str | None, typer.Option(metavar="NAME", help="Only this feed.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help=f"Since when (now). {MOMENT}")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help=f"Expected return. {MOMENT}")] = None,
    ticket: Annotated[str | None, typer.Option(help="CBP's ticket number.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Declare an outage: the parties are told, and every notice meanwhile says that no news is not clearance.

    Example:  [bold]snp-router outage declare --port 2704 --reason "ACE is down" --by "J. Doe"[/bold]
    """
    now = now_milliseconds()
    fields = {
        "mode": mode, "reason": reason, "by": by, "port": port, "carrier": carrier, "feed": feed,
        "since": since if since is not None else now, "until": until, "ticket": ticket,
    }  # fmt: skip
    declared = checked(OutageForm, fields)

    async def work(session: Session) -> OutageView:
        async with session.writing() as log:
            return OutageView(await declare(log, declared, now), None)

    _done("declared", run(work(session_of(context))), form)


@app.command("change")
def change_outage(
    context: typer.Context,
    outage_id: OutageId,
    reason: Annotated[str | None, typer.Option(help="In other words.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help=f"Expected return. {MOMENT}")] = None,
    ticket: Annotated[str | None, typer.Option(help="CBP's ticket number.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Add what became known later, such as the ticket's number; the parties are told.

    Example:  [bold]snp-router outage change 3f9c12aa --ticket 4711 --until 2026-07-14T20:00[/bold]
    """
    moment = moment_of("until", until) if until is not None else None

    async def work(session: Session) -> OutageView:
        async with session.writing() as log:
            by, now = machine_user(), now_milliseconds()
            return OutageView(await change(log, outage_id, by, now, reason=reason, ticket=ticket, until=moment), None)

    _done("changed", run(work(session_of(context))), form)


@app.command("end")
def end_outage(
    context: typer.Context,
    outage_id: OutageId,
    by: By,
    at: Annotated[str | None, typer.Option(metavar="TIME", help=f"When it was over (now). {MOMENT}")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """End an outage. The parties are told at once, and again, with counts, when nothing comes late any more.

    Example:  [bold]snp-router outage end 3f9c12aa --by "J. Doe"[/bold]
    """
    now = now_milliseconds()
    moment = moment_of("at", at) if at is not None else now

    async def work(session: Session) -> OutageView:
        async with session.writing() as log:
            return OutageView(await end(log, outage_id, by, moment, now), None)

    _done("ended", run(work(session_of(context))), form)


@app.command("list")
def list_outages(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="The history: those that are over too.")] = False,
    html: HtmlOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """What is down now, or, with --all, all outages: when, what, ticket number, who said so, what came late.

    Example:  [bold]snp-router outage list --all --html history.html[/bold]
    """
    views = run(_read(session_of(context)))
    rows = [outage_fields(view) for view in views if everything or view.outage.ended_at is None]
    if html is not None:
        title = "Outages" if everything else "Outages now"
        write_page(html, "table", title=title, note=None, rows=show.plain_rows(COLUMNS, rows))
    elif form is Format.JSON:
        for row in rows:
            emit(row)
    elif rows:
        console().print(show.table(COLUMNS, rows))
    else:
        say("nothing is down" if not everything else "there was no outage")


@app.command("checklist")
def print_checklist(
    context: typer.Context,
    port: Annotated[str, typer.Option(metavar="PORT", help="Schedule D, such as 2704.")],
    carrier: Annotated[str | None, typer.Option(metavar="SCAC", help="The line that is down; else CBP is.")] = None,
    html: HtmlOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """What to do while a system is down, step by step, with what is known filled in.

    Example:  [bold]snp-router outage checklist --port 2704 --html checklist.html[/bold]
    """
    now = now_milliseconds()
    steps = run(_checklist(session_of(context), port_code(port), carrier.upper() if carrier else None, now))
    if html is not None:
        write_page(html, "checklist", port=port, carrier=carrier, source=SOURCE, steps=steps)
    elif form is Format.JSON:
        for step in steps:
            emit({"who": step.who, "what": step.what, "fields": {field.name: field.value for field in step.fields}})
    else:
        out = console()
        out.print(f"Outage checklist, port {port}. {SOURCE}.")
        for number, step in enumerate(steps, 1):
            out.print(f"\n[ ] {number}. {step.who}: {step.what}")
            for field in step.fields:
                out.print(f"       {field.name}: {field.value or '____________________'}")


async def _checklist(session: Session, port: str, carrier: str | None, now: int) -> list[Step]:
    async with session.reading() as log:
        registry, views = await read_registry(log), await read_outages(log)
        paper = await read_paper_bills(log, session.settings.decision_rules())
        return checklist(registry, views, paper, port, carrier, now)


async def _read(session: Session) -> list[OutageView]:
    async with session.reading() as log:
        return await read_outages(log)


def _done(what: str, view: OutageView, form: Format) -> None:
    fields = outage_fields(view)
    if form is Format.JSON:
        emit(fields)
        return
    console().print(f"{what}: outage {fields['id']}, {scope_words(fields)}: {fields['reason']}")
    say("`snp-router run` tells the parties")


def scope_words(fields: show.Fields) -> str:
    """What is down: `ocean, port 2704`."""
    named = (("feed", "feed "), ("port", "port "), ("carrier", "systems of "))
    parts = [words + fields[name] for name, words in named if fields[name]]
    return ", ".join(filter(None, (fields["mode"], *parts))) or "everything"


def late_words(fields: show.Fields) -> str:
    """`2 do-not-loads, 5 other holds, 312 in all; the oldest of 07-14 12:12Z`."""
    late = fields["late"]
    if late is None:
        return ""
    counts = f"{late['do_not_loads']} do-not-loads, {late['holds']} other holds, {late['events']} in all"
    return f"{counts}; the oldest of {show.moment(late['oldest_posted'])}" if late["oldest_posted"] else counts


def said_words(fields: show.Fields) -> str:
    """`J. Doe; ended by A. Roe`."""
    by = fields["declared_by"] or "the router: the feed was silent"
    return by + (f"; ended by {fields['ended_by']}" if fields["ended_by"] else "")


def _minutes(text: str | None) -> str:
    return f"{text[:10]} {text[11:16]}Z" if text else ""


COLUMNS: Final[Sequence[show.Column]] = (
    show.Column("id", 8, lambda one: one["id"][:8]),
    show.Column("began", 17, lambda one: _minutes(one["began_at"])),
    show.Column("ended", 17, lambda one: _minutes(one["ended_at"]) or _expected(one)),
    show.Column("what", None, scope_words),
    show.Column("why", None, lambda one: one["reason"] or ""),
    show.Column("ticket", None, lambda one: one["ticket"] or ""),
    show.Column("who said so", None, said_words),
    show.Column("came late", None, late_words),
)


def _expected(fields: show.Fields) -> str:
    return f"till {show.moment(fields['until'])}" if fields["until"] else "still down"
