"""Commands about those who receive notices: `parties`, `sailings`, `contacts`, `party`, `certify`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from router.cli import command, printing
from router.cli.command import (
    FormatOption,
    HtmlOption,
    PartyArgument,
    RowsFormatOption,
    exit_if,
    port_code,
    read_log,
    with_rules,
    write_log,
)
from router.cli.printing import CSV, JSON, TABLE, Column, console, emit, emit_rows, grid, print_rows, say, write_page
from router.codec import encode_value
from router.decide.rules import Rules
from router.desk.registered_parties import (
    CALLS_THERE,
    NO_SAILING,
    PORT_NOT_KNOWN,
    CertificationProgress,
    Contact,
    change_status,
    contacts,
    find_party,
    read_certification,
)
from router.engine.administration import read_registry
from router.log.interface import AdministeredLog
from router.model.registry_values import Party, Sailing
from router.presentation import plain_value

CONTACT_FIELDS: Final = ("contact_name", "contact_phone", "contact_email")
PARTY: Final = (
    Column("id", None, lambda one: one["id"]),
    Column("name", None, lambda one: one["name"] or ""),
    Column("status", None, lambda one: one["status"]),
    Column("roles", None, lambda one: ", ".join(one["roles"])),
    Column("aliases", None, lambda one: ", ".join(one["aliases"])),
    Column("contact", None, lambda one: " ".join(filter(None, map(one.get, CONTACT_FIELDS)))),
)


def list_parties(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """List the registered parties.

    Example:  [bold]snp-router parties[/bold]"""
    registry = read_log(context, read_registry)

    def topic(fields: printing.RecordFields) -> Text:
        name = registry.parties[fields["id"]].topic
        return Text.assemble(name, (" (missing)" if name in registry.missing_topics else "", "red"))

    rows = [plain_value(encode_value(registry.parties[party_id])) for party_id in sorted(registry.parties)]
    columns = (*PARTY, Column("topic", None, topic))
    print_rows(columns, rows, form, empty="no parties are registered: `snp-router import parties FILE`")


def list_sailings(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """List the registered sailings with the lines aboard.

    Example:  [bold]snp-router sailings[/bold]"""
    sailings = read_log(context, read_registry).roster.sailings().values()
    rows = sorted(sailings, key=lambda sailing: (sailing.arrival_date or "", sailing.sailing_id))
    if form is JSON:
        for sailing in rows:
            emit(plain_value(encode_value(sailing)))
    elif form is CSV:
        emit_rows([fields for sailing in rows for fields in _line_fields(sailing)], form)
    elif rows:
        headings = ("sailing", "vessel", "IMO", "first lading", "calls", "line", "role", "voyage", "scope")
        console().print(grid(headings, (cells for sailing in rows for cells in _sailing_cells(sailing))))
    else:
        say("no sailings are registered: `snp-router import sailings FILE`")


def _line_fields(sailing: Sailing) -> Iterator[printing.RecordFields]:
    """One record a line aboard, with what all lines of the sailing share."""
    shared = plain_value(encode_value(sailing))
    for line in shared.pop("lines"):
        yield shared | line


def _sailing_cells(sailing: Sailing) -> Iterator[Sequence[str]]:
    calls = ", ".join(" ".join(filter(None, call)) for call in sailing.calls)
    vessel, lading = sailing.vessel_name or "", sailing.first_lading_date or ""
    head: tuple[str, ...] = (sailing.sailing_id, vessel, sailing.imo_number, lading, calls)
    for line in sailing.lines:
        yield *head, line.scac, line.role, line.voyage_number or "", line.scope
        head = ("",) * len(head)


SHIPS_SHOWN: Final = 3
CONTACT_GROUPS: Final = {
    CALLS_THERE: "aboard ships that call at {port}",
    PORT_NOT_KNOWN: "aboard ships whose ports are unknown",
    NO_SAILING: "registered, aboard no ship that calls at {port}",
}
CONTACT_HEADINGS: Final = ("party", "carrier", "name", "telephone, 24 hours", "e-mail", "ships")


def list_contacts(
    context: typer.Context, port: command.PortOption, html: HtmlOption = None, form: RowsFormatOption = TABLE
) -> None:
    """List whom a port can call at any hour about do-not-loads and holds: carrier, name, telephone.

    Example:  [bold]snp-router contacts --port 2704 --html contacts.html[/bold]

    Contacts come from the parties, ports of call from the sailings. CBP asks carriers for this list during an outage
    (24-hour / Trade Act FAQ, vessel mode, section 27)."""
    port = port_code(port)

    async def work(log: AdministeredLog, rules: Rules) -> list[Contact]:
        return contacts(await read_registry(log), port, rules.port_areas)

    found = read_log(context, with_rules(context, work))
    groups = [
        (heading.format(port=port), [one for one in found if one.ground == ground])
        for ground, heading in CONTACT_GROUPS.items()
    ]
    if html is not None:
        pages = [(heading, [one._asdict() | {"ships": _ships(one)} for one in group]) for heading, group in groups]
        write_page(html, "contacts", port=port, groups=pages)
    elif form is not TABLE:
        rows = [one._asdict() | {"sailings": [sailing.sailing_id for sailing in one.sailings]} for one in found]
        emit_rows(rows, form)
    else:
        parts: list[RenderableType] = [Text(f"24-hour contacts for do-not-loads and holds, port {port}", "bold")]
        for heading, group in groups:
            if group:
                parts += [Text(), grid(CONTACT_HEADINGS, map(_contact_cells, group), heading)]
        console().print(Group(*parts))


def _contact_cells(one: Contact) -> tuple[str | Text, ...]:
    missing = Text("none registered", "bold red")
    name = one.name or Text("not registered", "bold red")
    return one.id, name, one.contact_name or "", one.contact_phone or missing, one.contact_email or "", _ships(one)


def _ships(one: Contact) -> str:
    """The latest arrivals only: a line has hundreds a year."""
    shown = [
        " ".join(filter(None, (sailing.vessel_name or sailing.imo_number, sailing.arrival_date)))
        for sailing in one.sailings[:SHIPS_SHOWN]
    ]
    more = len(one.sailings) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more else [])])


party_app = typer.Typer(no_args_is_help=True, help="Show a party, or start and stop its notices.")


@party_app.command("show")
def show_party(context: typer.Context, name: PartyArgument, form: FormatOption = TABLE) -> None:
    """Show a party as registered, and how many of its samples it has read.

    Example:  [bold]snp-router party show SLTC[/bold]"""
    standing = _standing(context, name)
    fields = plain_value(encode_value(standing.party)) | {"topic": standing.party.topic}
    fields |= {"samples": len(standing.samples), "samples_read": standing.read}
    if form is JSON:
        emit(fields | {"unknown": standing.receipt.unknown})
        return
    if standing.receipt.unknown:
        fields["samples_read"] = f"unknown: {standing.receipt.unknown}"
    for name, value in fields.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        if shown not in (None, ""):
            console().print(f"{name.replace('_', ' ')}: {shown}", soft_wrap=True)


@party_app.command("live")
def start_party(context: typer.Context, name: PartyArgument) -> None:
    """Start a party's notices: the status now of its open bills first, then every notice.

    Example:  [bold]snp-router party live SLTC[/bold]"""
    party, changed = _change_status(context, name, "live")
    text = "is live: `snp-router run` sends it the status now of its open bills" if changed else "is already live"
    console().print(f"{party.id} {text}")
    standing = _standing(context, name)
    if standing.samples and not standing.is_complete:
        say(f"it is not known to have read all of its samples: `snp-router certify {party.id}`")


@party_app.command("suspend")
def suspend_party(context: typer.Context, name: PartyArgument) -> None:
    """Stop a party's notices. Its bills wait (`snp-router waiting list`) until it is live again.

    Example:  [bold]snp-router party suspend SLTC[/bold]

    To end its right to read as well:  snp-router provision revoke SLTC"""
    party, changed = _change_status(context, name, "suspended")
    console().print(f"{party.id} is {'' if changed else 'already '}suspended")


def certify(context: typer.Context, name: PartyArgument, form: RowsFormatOption = TABLE) -> None:
    """Check that a party has read all of its samples. Ends with 1 if it has not.

    Example:  [bold]snp-router certify SLTC[/bold]

    The router sends the samples, once, to a party with status certifying. Then: snp-router party live ID"""
    standing = _standing(context, name)
    party, samples = standing.party, standing.samples
    rows = [{"party": party.id} | sample._asdict() for sample in samples]
    hint = "`snp-router run` sends them" if party.status == "certifying" else f"its status is {party.status}"
    print_rows(SAMPLE, rows, form, empty=f"{party.id} has no samples: {hint}")
    if rows and form is TABLE:
        if standing.receipt.unknown:
            console().print(f"what {party.id} has read is unknown: {standing.receipt.unknown}", soft_wrap=True)
        else:
            console().print(f"{party.id} has read {standing.read} of {len(samples)}")
        if standing.is_complete and party.status == "certifying":
            console().print(f"next: snp-router party live {party.id}")
    exit_if(not standing.is_complete)


READ_TEXT: Final = {True: Text("yes"), False: Text("no", "red"), None: Text("unknown", "red")}
SAMPLE: Final = (
    Column("sample", None, lambda one: one["name"]),
    Column("kind", None, lambda one: one["kind"]),
    Column("status", None, lambda one: one["status"] or ""),
    Column("read", None, lambda one: READ_TEXT[one["read"]]),
    Column("an example of", None, lambda one: one["shows"]),
)


def _standing(context: typer.Context, name: str) -> CertificationProgress:
    async def work(log: AdministeredLog) -> CertificationProgress:
        return await read_certification(log, await find_party(log, name))

    return read_log(context, work)


def _change_status(context: typer.Context, name: str, status: str) -> tuple[Party, bool]:
    async def work(log: AdministeredLog) -> tuple[Party, bool]:
        party = await find_party(log, name)
        return party, await change_status(log, party, status)

    return write_log(context, work)
