"""Commands by which people act: `hold place`, `hold lift`, `release`, `resync`, `outage`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from router.cli import command, printing
from router.cli.command import (
    MOMENT,
    ByOption,
    FormatOption,
    RowsFormatOption,
    TicketOption,
    option,
    read_log,
    with_rules,
    write_log,
)
from router.cli.printing import JSON, TABLE, Column, RecordFields, console, emit, moment, say
from router.clock import now_milliseconds
from router.codec import encode_value
from router.decide.rules import Rules
from router.desk.bill_views import key_from
from router.desk.downtime import (
    Checklist,
    OutageView,
    change,
    checklist,
    declare,
    end,
    outage_fields,
    read_outages,
)
from router.desk.operator_deeds import Relayed, relay
from router.desk.paper_bills import read_paper_bills
from router.desk.registered_parties import ask_resync
from router.engine.administration import read_registry
from router.feeds.forms import ManualForm, OutageForm, checked
from router.feeds.typed_times import typed_time
from router.log.interface import AdministeredLog
from router.model.identifiers import split_bill_key
from router.model.inputs import LIFT, PLACE, RELEASE
from router.model.registry_values import Outage
from router.presentation import plain_value

hold_app = typer.Typer(no_args_is_help=True, help="Place or lift a hold that CBP announced by phone or on paper.")
ACTIONS: Final = {"place": PLACE, "lift": LIFT, "release": RELEASE}
"""By the command's name."""
PLACE_HELP: Final = """Place a hold or do-not-load that CBP announced by phone, by e-mail or on paper.

Example:  [bold]snp-router hold place NVXAHBL000012345 --code 6H --by "J. Doe" --source "CBP Los Angeles"[/bold]

The parties are notified at once. CBP's own message confirms the hold when it arrives, and is not sent again.

The bill need not be known yet: its filer is notified, and whom you name by carrier, ship, master and SNPs. What CBP's
messages and filings say of the bill comes before what you name."""
CODE_HELP: Final = """Disposition code, such as 6H for a do-not-load. `hold place` requires it. `hold lift` also takes
the removal's code, and without a code lifts every hold by hand in its scope. `release` defaults to 1C."""
LIFT_HELP: Final = """Lift a hold that was placed by hand. A hold that CBP sent stands until CBP's own message lifts it.

Example:  [bold]snp-router hold lift NVXAHBL000012345 --code 6H --by "J. Doe" --source "CBP Los Angeles"[/bold]"""


# One function for three commands with the same options; the docstring is that of `release`.
@hold_app.command("lift", help=LIFT_HELP)
@hold_app.command("place", help=PLACE_HELP)
def enter_by_hand(
    context: typer.Context,
    bill: command.BillArgument,
    by: ByOption,
    code: Annotated[str | None, option("CODE", CODE_HELP)] = None,
    container: Annotated[str | None, option("NUMBER", "One container; default: the whole bill.")] = None,
    quantity: Annotated[int | None, option("PIECES", "Number of pieces; default: all.")] = None,
    said_at: Annotated[str | None, option("TIME", f"When CBP said so; default: now. {MOMENT}")] = None,
    channel: Annotated[str, option("CHANNEL", "phone, e-mail or paper.")] = "phone",
    source: Annotated[str | None, option("NAME", "Who at CBP said so.")] = None,
    ticket: TicketOption = None,
    carrier: command.CarrierOption = None,
    imo: command.ImoOption = None,
    voyage: command.VoyageOption = None,
    arrival: command.ArrivalOption = None,
    port: command.UnladingOption = None,
    master: Annotated[str | None, option("BILL", "Master bill.")] = None,
    snp: command.SnpOption = None,
    form: FormatOption = TABLE,
) -> None:
    """Enter a release that CBP gave by phone, by e-mail or on paper. It never ends a hold that CBP sent.

    Example:  [bold]snp-router release NVXAHBL000012345 --by "J. Doe" --source "CBP Los Angeles"[/bold]"""
    now = now_milliseconds()
    scac, number = split_bill_key(key_from(bill))
    said = typed_time("said-at", said_at, now) if said_at is not None else now
    fields = {
        "scac": scac, "bill_of_lading": number, "action": ACTIONS[context.info_name or ""], "code": code, "by": by,
        "container": container, "quantity": quantity, "said_at": said,
        "channel": channel, "source": source, "ticket": ticket,
        "carrier_scac": carrier, "imo_number": imo, "voyage_number": voyage, "arrival_date": arrival,
        "port_of_unlading": port, "master_bill": master, "snps": snp,
    }  # fmt: skip
    entered = checked(ManualForm, fields)

    async def work(log: AdministeredLog, rules: Rules) -> Relayed:
        await command.warn_if_behind(log)
        return await relay(log, rules, entered, now)

    relayed = write_log(context, with_rules(context, work))
    if form is JSON:
        notices = [one._asdict() for one in relayed.notices]
        emit(
            plain_value(encode_value(relayed.event))
            | {"status": relayed.status, "notices": notices, "waiting": relayed.waiting}
        )
        return
    out = console()
    out.print(f"{relayed.bill}: {relayed.status} from now on")
    for one in relayed.notices:
        out.print(f"  {one.kind.upper()} to {one.recipient}")
    if not relayed.is_known:
        say("this bill was unknown until now: check its number; its other parties are notified once it is known")
    if relayed.lifts_nothing:
        say("no hold by hand ended: see `snp-router bill show`; a hold that CBP sent is ended by `hold clear`")
    printing.say_what_is_missing(relayed.waiting)
    say("`snp-router run` sends the notices; start it if it is not running")


def resync(context: typer.Context, party: command.PartyArgument, by: ByOption, form: FormatOption = TABLE) -> None:
    """Send a party that was down the status now of each of its open bills. Live notices continue.

    Example:  [bold]snp-router resync SLTC --by "J. Doe"[/bold]

    A party may also ask by a record on its topic snp.request.ID. A request during a resync has no effect."""
    request = write_log(context, lambda log: ask_resync(log, party, by, now_milliseconds()))
    if form is JSON:
        emit(plain_value(encode_value(request)))
    else:
        console().print(f"resync of {request.scac} requested")
        say("`snp-router run` sends it; start it if it is not running")


outage_app = typer.Typer(no_args_is_help=True, help="Declare an outage, change or end it, print its history.")
OutageId = Annotated[str, command.argument("ID", "Id, or its first characters.")]
UntilOption = Annotated[str | None, option("TIME", f"Expected return. {MOMENT}")]


@outage_app.command("declare")
def declare_outage(
    context: typer.Context,
    reason: Annotated[str, option("TEXT", "The outage in words that the parties will read.")],
    by: ByOption,
    mode: Annotated[str, option("MODE", "ocean, rail, truck, air or all.")] = "ocean",
    port: Annotated[str | None, option("PORT", "Schedule D port; default: all ports.")] = None,
    carrier: Annotated[str | None, option("SCAC", "The line that is down; notifies parties of its sailings.")] = None,
    feed: Annotated[str | None, option("NAME", "One feed; default: all feeds.")] = None,
    since: Annotated[str | None, option("TIME", f"When it began; default: now. {MOMENT}")] = None,
    until: UntilOption = None,
    ticket: TicketOption = None,
    form: FormatOption = TABLE,
) -> None:
    """Declare an outage and notify the parties: until its end, no news is not clearance.

    Example:  [bold]snp-router outage declare --port 2704 --reason "ACE is down" --by "J. Doe"[/bold]"""
    now = now_milliseconds()
    fields = {
        "mode": mode, "reason": reason, "by": by, "port": port, "carrier": carrier, "feed": feed,
        "since": typed_time("since", since, now) if since is not None else now, "ticket": ticket,
        "until": typed_time("until", until, now, ahead=True) if until is not None else None,
    }  # fmt: skip
    declared = checked(OutageForm, fields)
    _report_outage("declared", write_log(context, lambda log: declare(log, declared, now)), form)


@outage_app.command("change")
def change_outage(
    context: typer.Context,
    outage_id: OutageId,
    by: ByOption,
    reason: Annotated[str | None, option("TEXT", "The outage in new words.")] = None,
    until: UntilOption = None,
    ticket: TicketOption = None,
    form: FormatOption = TABLE,
) -> None:
    """Add what became known later, such as the ticket number, and notify the parties.

    Example:  [bold]snp-router outage change 3f9c12aa --ticket 4711 --until 2026-07-14T20:00[/bold]"""
    now = now_milliseconds()
    expected = typed_time("until", until, now, ahead=True) if until is not None else None
    changed = write_log(
        context, lambda log: change(log, outage_id, by, now, reason=reason, ticket=ticket, until=expected)
    )
    _report_outage("changed", changed, form)


@outage_app.command("end")
def end_outage(
    context: typer.Context,
    outage_id: OutageId,
    by: ByOption,
    at: Annotated[str | None, option("TIME", f"When it ended; default: now. {MOMENT}")] = None,
    form: FormatOption = TABLE,
) -> None:
    """End an outage. The parties are notified now, and again, with counts, when late events have stopped arriving.

    Example:  [bold]snp-router outage end 3f9c12aa --by "J. Doe"[/bold]"""
    now = now_milliseconds()
    ended_at = typed_time("at", at, now) if at is not None else now
    _report_outage("ended", write_log(context, lambda log: end(log, outage_id, by, ended_at, now)), form)


def _report_outage(done: str, outage: Outage, form: printing.OutputFormat) -> None:
    fields = outage_fields(OutageView(outage, None))
    if form is JSON:
        emit(fields)
        return
    console().print(f"{done}: outage {fields['id']}, {outage_scope(fields)}: {fields['reason']}")
    say("`snp-router run` notifies the parties; start it if it is not running")


@outage_app.command("list")
def list_outages(
    context: typer.Context,
    everything: Annotated[bool, command.flag("--all", "Ended outages too.")] = False,
    html: command.HtmlOption = None,
    form: RowsFormatOption = TABLE,
) -> None:
    """List the outages of now, or all of them: times, scope, reason, ticket number, who declared them, late events.

    Example:  [bold]snp-router outage list --all --html history.html[/bold]"""
    views = read_log(context, read_outages)
    rows = [outage_fields(view) for view in views if everything or view.outage.ended_at is None]
    title, empty = ("Outages", "there was no outage") if everything else ("Outages now", "nothing is down")
    printing.print_rows(OUTAGE, rows, form, empty=empty, html=html, title=title)


@outage_app.command("checklist")
def print_checklist(
    context: typer.Context,
    port: command.PortOption,
    carrier: Annotated[str | None, option("SCAC", "The line that is down; default: CBP.")] = None,
    html: command.HtmlOption = None,
    form: FormatOption = TABLE,
) -> None:
    """Print what to do while a system is down, step by step, with what is known filled in.

    Example:  [bold]snp-router outage checklist --port 2704 --html checklist.html[/bold]"""
    now, line = now_milliseconds(), carrier.upper() if carrier else None
    port = command.port_code(port)

    async def work(log: AdministeredLog, rules: Rules) -> Checklist:
        registry, views, paper = await read_registry(log), await read_outages(log), await read_paper_bills(log, rules)
        return checklist(registry, views, paper, port, line, now, rules.port_areas)

    printed = read_log(context, with_rules(context, work))
    if html is not None:
        printing.write_page(html, "checklist", port=port, carrier=line, source=printed.source, steps=printed.steps)
    elif form is JSON:
        for step in printed.steps:
            emit({"who": step.who, "what": step.what, "fields": {field.name: field.value for field in step.fields}})
    else:
        out = console()
        out.print(f"Outage checklist, port {port}{f', {line}' if line else ''}. {printed.source}.")
        for number, step in enumerate(printed.steps, 1):
            out.print(f"\n[ ] {number}. {step.who}: {step.what}")
            for field in step.fields:
                out.print(f"       {field.name}: {field.value or '____________________'}")


def outage_scope(fields: RecordFields) -> str:
    """`ocean, port 2704`; `all modes`."""
    mode = "all modes" if fields["mode"] == "all" else fields["mode"]
    named = (("feed", "feed "), ("port", "port "), ("carrier", "systems of "))
    parts = [label + fields[name] for name, label in named if fields[name]]
    return ", ".join((mode, *parts))


def _late_events(fields: RecordFields) -> str:
    late = fields["late"]
    if late is None:
        return ""
    counts = printing.late_counts(late["do_not_loads"], late["holds"], late["events"])
    return f"{counts}; the oldest posted {moment(late['oldest_posted'])}" if late["oldest_posted"] else counts


def _declared_by(fields: RecordFields) -> str:
    """`J. Doe; ended by A. Roe`."""
    by = fields["declared_by"] or "the router (silent feed)"
    return by + (f"; ended by {fields['ended_by']}" if fields["ended_by"] else "")


def _ended(fields: RecordFields) -> str:
    if fields["ended_at"]:
        return _minutes(fields["ended_at"])
    return f"till {moment(fields['until'])}" if fields["until"] else "still down"


def _minutes(text: str) -> str:
    return f"{text[:10]} {text[11:16]}Z"


OUTAGE: Final = (
    Column("id", 8, lambda one: one["id"][:8]),
    Column("began", 17, lambda one: _minutes(one["began_at"])),
    Column("ended", 17, _ended),
    Column("scope", None, outage_scope),
    Column("reason", None, lambda one: one["reason"] or ""),
    Column("ticket", None, lambda one: one["ticket"] or ""),
    Column("declared by", None, _declared_by),
    Column("late events", None, _late_events),
)
