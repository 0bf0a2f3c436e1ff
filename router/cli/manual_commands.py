"""`snp-router hold` and `release`: what CBP said by phone, by e-mail or on paper.

`snp-router resync`: for a party that was down itself.

`snp-router outage`: what is down is declared, changed and ended; its history, and what to do meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from router.cli import printing
from router.cli.invocation import (
    BillArgument,
    Format,
    FormatOption,
    ScacArgument,
    Session,
    console,
    emit,
    hint_if_behind,
    run,
    say,
    session_of,
)
from router.cli.party_commands import port_code
from router.cli.printing import HtmlOption, write_page
from router.clock import now_milliseconds
from router.codec import encode_value
from router.desk.checklist import SOURCE, Step, checklist
from router.desk.manual import Relayed, relay
from router.desk.outages import OutageView, change, declare, end, outage_fields, read_outages
from router.desk.paper import read_paper_bills
from router.desk.requests import ask_resync
from router.desk.views import key_from
from router.engine.administration import machine_user, read_registry
from router.feeds.by_hand import ManualForm, OutageForm, checked, moment_of
from router.model.identifiers import split_bill_key
from router.model.inputs import LIFT, PLACE, RELEASE
from router.model.registry_values import Request
from router.plain import plain_value

hold_app = typer.Typer(no_args_is_help=True, help="Place or lift a hold that CBP relayed by phone, e-mail or on paper.")

ACTIONS: Final = {"place": PLACE, "lift": LIFT, "release": RELEASE}
"""By the command's name."""

PLACE_HELP: Final = """Place a hold or do-not-load that CBP relayed by hand. Its parties are told at once.

Example:  [bold]snp-router hold place NVXAHBL000012345 --code 6H --by "J. Doe" --source "CBP Los Angeles"[/bold]

CBP's own message, when it comes, confirms it and is not told twice.
"""
LIFT_HELP: Final = """Lift what was placed by hand. A hold that CBP sent electronically stands until CBP lifts it there.

Example:  [bold]snp-router hold lift NVXAHBL000012345 --code 6H --by "J. Doe" --source "CBP Los Angeles"[/bold]
"""


# One function for the three: they ask the same, and the command's name says which it is. Its own words are `release`'s.
@hold_app.command("place", help=PLACE_HELP)
@hold_app.command("lift", help=LIFT_HELP)
def release(
    context: typer.Context,
    bill: BillArgument,
    by: Annotated[str, typer.Option(help="Who of us enters it.")],
    code: Annotated[
        str | None,
        typer.Option(
            help="Such as 6H for a do-not-load. `place` needs it; `lift` takes a removal's too, and without it lifts "
            "every hold by hand in its scope; a release is 1C without it."
        ),
    ] = None,
    container: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Of this container only; else of the bill.")
    ] = None,
    quantity: Annotated[int | None, typer.Option(metavar="PIECES", help="Of so many pieces; else of all.")] = None,
    said_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When CBP said so (now). ISO 8601; Eastern without an offset.")
    ] = None,
    channel: Annotated[str, typer.Option(metavar="WAY", help="phone, e-mail or paper.")] = "phone",
    source: Annotated[str | None, typer.Option(help="Who at CBP said so.")] = None,
    ticket: Annotated[str | None, typer.Option(help="CBP's ticket number.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Enter a release that CBP relayed by phone, e-mail or on paper. It never beats a hold that CBP sent.

    Example:  [bold]snp-router release NVXAHBL000012345 --by "J. Doe" --channel e-mail --ticket 4711[/bold]
    """
    now = now_milliseconds()
    scac, number = split_bill_key(key_from(bill))
    fields = {
        "scac": scac, "bill_of_lading": number, "action": ACTIONS[context.info_name or ""], "code": code, "by": by,
        "container": container, "quantity": quantity, "said_at": said_at if said_at is not None else now,
        "channel": channel, "source": source, "ticket": ticket,
    }  # fmt: skip
    _report(run(_enter(session_of(context), checked(ManualForm, fields), now)), form)


async def _enter(session: Session, entered: ManualForm, now: int) -> Relayed:
    async with session.writing() as log:
        await hint_if_behind(log)
        return await relay(log, session.settings.decision_rules(), entered, now)


def _report(relayed: Relayed, form: Format) -> None:
    if form is Format.JSON:
        told = [told._asdict() for told in relayed.told]
        emit(plain_value(encode_value(relayed.event)) | {"status": relayed.status, "told": told})
        return
    out = console()
    out.print(f"{relayed.bill}: {relayed.status} from now on")
    for one in relayed.told:
        out.print(f"  {one.kind.upper()} to {one.recipient}")
    if not relayed.known:
        say("nothing was known of this bill: is the number right? Whoever it names will be told when it is known")
    say("they are told by `snp-router run`: at once if it is running, else when it is started")


def resync(
    context: typer.Context,
    party: ScacArgument,
    by: Annotated[str, typer.Option(help="Who asks.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """Send a party that was down the status now of all its open bills, once, while live notices go on.

    Example:  [bold]snp-router resync SLTC --by "J. Doe"[/bold]

    A party may ask for it itself, by a record on its topic snp.request.SCAC. While one runs, another does nothing.
    """
    request = run(_ask(session_of(context), party, by))
    if form is Format.JSON:
        emit(plain_value(encode_value(request)))
    else:
        console().print(f"asked: resync of {request.scac}")
        say("`snp-router run` sends it")


async def _ask(session: Session, party: str, by: str) -> Request:
    async with session.writing() as log:
        return await ask_resync(log, party, by, now_milliseconds())


outage_app = typer.Typer(no_args_is_help=True, help="Declare that a system is down, end it, print the history.")

By = Annotated[str, typer.Option(help="Who says so.")]
OutageId = Annotated[str, typer.Argument(metavar="ID", help="Its beginning will do.")]
MOMENT: Final = "ISO 8601; Eastern without an offset."


@outage_app.command("declare")
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


@outage_app.command("change")
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


@outage_app.command("end")
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


@outage_app.command("list")
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
        write_page(html, "table", title=title, note=None, rows=printing.plain_rows(COLUMNS, rows))
    elif form is Format.JSON:
        for row in rows:
            emit(row)
    elif rows:
        console().print(printing.table(COLUMNS, rows))
    else:
        say("nothing is down" if not everything else "there was no outage")


@outage_app.command("checklist")
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


def scope_words(fields: printing.Fields) -> str:
    """What is down: `ocean, port 2704`."""
    named = (("feed", "feed "), ("port", "port "), ("carrier", "systems of "))
    parts = [words + fields[name] for name, words in named if fields[name]]
    return ", ".join(filter(None, (fields["mode"], *parts))) or "everything"


def late_words(fields: printing.Fields) -> str:
    """`2 do-not-loads, 5 other holds, 312 in all; the oldest of 07-14 12:12Z`."""
    late = fields["late"]
    if late is None:
        return ""
    counts = f"{late['do_not_loads']} do-not-loads, {late['holds']} other holds, {late['events']} in all"
    return f"{counts}; the oldest of {printing.moment(late['oldest_posted'])}" if late["oldest_posted"] else counts


def said_words(fields: printing.Fields) -> str:
    """`J. Doe; ended by A. Roe`."""
    by = fields["declared_by"] or "the router: the feed was silent"
    return by + (f"; ended by {fields['ended_by']}" if fields["ended_by"] else "")


def _minutes(text: str | None) -> str:
    return f"{text[:10]} {text[11:16]}Z" if text else ""


COLUMNS: Final[Sequence[printing.Column]] = (
    printing.Column("id", 8, lambda one: one["id"][:8]),
    printing.Column("began", 17, lambda one: _minutes(one["began_at"])),
    printing.Column("ended", 17, lambda one: _minutes(one["ended_at"]) or _expected(one)),
    printing.Column("what", None, scope_words),
    printing.Column("why", None, lambda one: one["reason"] or ""),
    printing.Column("ticket", None, lambda one: one["ticket"] or ""),
    printing.Column("who said so", None, said_words),
    printing.Column("came late", None, late_words),
)


def _expected(fields: printing.Fields) -> str:
    return f"till {printing.moment(fields['until'])}" if fields["until"] else "still down"
