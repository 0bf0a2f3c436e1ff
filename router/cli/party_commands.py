"""`snp-router parties` and `sailings`: what is registered.

`snp-router contacts`: the 24-hour list that a port asks for.

`snp-router party show|live|suspend` and `certify`: one party, from its first sample to live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from router.cli.invocation import (
    ExitCode,
    Format,
    FormatOption,
    ScacArgument,
    Session,
    console,
    emit,
    run,
    say,
    session_of,
)
from router.cli.printing import HtmlOption, grid, write_page
from router.codec import encode_value
from router.decide.registry import Registry
from router.desk.certification import Standing, change_status, read_standing
from router.desk.contacts import CALLS_THERE, NO_SAILING, PORT_NOT_KNOWN, Contact, contacts
from router.desk.views import find_party
from router.engine.administration import read_registry
from router.errors import UsageError
from router.model.registry_values import Party, Sailing
from router.plain import plain_value


def parties(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """The parties that are registered.

    Example:  [bold]snp-router parties[/bold]
    """
    registry = run(_registry(session_of(context)))
    rows = [registry.parties[scac] for scac in sorted(registry.parties)]
    columns = ("scac", "name", "status", "roles", "aliases", "contact", "topic")
    _print("parties", rows, columns, (_party_cells(party, registry) for party in rows), form)


def sailings(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """The sailings that are registered, with the lines aboard.

    Example:  [bold]snp-router sailings[/bold]
    """
    registry = run(_registry(session_of(context)))
    rows = sorted(registry.sailings.values(), key=lambda sailing: (sailing.arrival_date or "", sailing.sailing_id))
    columns = ("sailing", "vessel", "IMO", "arrives", "ports", "line", "role", "voyage", "sees")
    _print("sailings", rows, columns, (cells for sailing in rows for cells in _sailing_cells(sailing)), form)


def _print(
    what: str,
    values: Sequence[Party | Sailing],
    columns: tuple[str, ...],
    rows: Iterable[Sequence[str | Text]],
    form: Format,
) -> None:
    if form is Format.JSON:
        for value in values:
            emit(plain_value(encode_value(value)))
        return
    if not values:
        say(f"no {what} are registered yet: `snp-router import {what} FILE`")
        return
    console().print(grid(columns, rows))


def _party_cells(party: Party, registry: Registry) -> Sequence[str | Text]:
    contact = " ".join(filter(None, (party.contact_name, party.contact_phone, party.contact_email)))
    topic = Text.assemble(party.topic, (" (missing)" if party.topic in registry.missing_topics else "", "red"))
    return party.scac, party.name or "", party.status, ", ".join(party.roles), ", ".join(party.aliases), contact, topic


def _sailing_cells(sailing: Sailing) -> Iterator[Sequence[str]]:
    head: tuple[str, ...] = (
        sailing.sailing_id,
        sailing.vessel_name or "",
        sailing.imo_number,
        sailing.arrival_date or "",
        ", ".join(sailing.ports),
    )
    for line in sailing.lines:
        yield *head, line.scac, line.role, line.voyage_number or "", line.scope
        head = ("",) * len(head)


async def _registry(session: Session) -> Registry:
    async with session.reading() as log:
        return await read_registry(log)


SHOWN_SHIPS: Final = 3
HEADINGS: Final = {
    CALLS_THERE: "aboard ships that call at {port}",
    PORT_NOT_KNOWN: "aboard ships of which the port is not known",
    NO_SAILING: "registered, aboard no ship here",
}
COLUMNS: Final = ("SCAC", "carrier", "name", "telephone, 24 hours", "e-mail", "ships")


def port_code(value: str) -> str:
    """Raises UsageError for what is no Schedule D port."""
    if len(value) != 4 or not value.isascii() or not value.isdigit():
        raise UsageError(f"{value!r} is no port: four digits of Schedule D, such as 2704 for Los Angeles")
    return value


def list_contacts(
    context: typer.Context,
    port: Annotated[str, typer.Option(metavar="PORT", help="Schedule D, such as 2704.")],
    html: HtmlOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Whom a port can call around the clock about do-not-loads and holds: carrier, name, telephone.

    Example:  [bold]snp-router contacts --port 2704 --html contacts.html[/bold]

    From the parties (their contact) and the sailings (column ports). CBP asks carriers for this list when systems are
    down (24-hour / Trade Act FAQ, vessel mode, section 27).
    """
    rows = run(_read(session_of(context), port_code(port)))
    if html is not None:
        groups = [(heading, [_fields(row) for row in found]) for heading, found in _groups(rows, port)]
        write_page(html, "contacts", port=port, groups=groups)
    elif form is Format.JSON:
        for row in rows:
            sailings = [sailing.sailing_id for sailing in row.sailings]
            emit(row._asdict() | {"sailings": sailings})
    else:
        console().print(contacts_text(rows, port))


async def _read(session: Session, port: str) -> list[Contact]:
    async with session.reading() as log:
        return contacts(await read_registry(log), port)


def _groups(rows: list[Contact], port: str) -> list[tuple[str, list[Contact]]]:
    return [
        (heading.format(port=port), [row for row in rows if row.ground == ground])
        for ground, heading in HEADINGS.items()
    ]


def contacts_text(rows: list[Contact], port: str) -> RenderableType:
    parts: list[RenderableType] = [Text(f"24-hour contacts for do-not-loads and holds, port {port}", "bold")]
    for heading, found in _groups(rows, port):
        if found:
            parts += [Text(), grid(COLUMNS, map(_cells, found), heading)]
    return Group(*parts)


def _cells(row: Contact) -> tuple[str | Text, ...]:
    missing = Text("none registered", "bold red")
    name = row.name or Text("not registered", "bold red")
    return row.scac, name, row.contact_name or "", row.contact_phone or missing, row.contact_email or "", ships(row)


def ships(row: Contact) -> str:
    """The latest arrivals; a line has hundreds in a year."""
    shown = [ship_words(sailing) for sailing in row.sailings[:SHOWN_SHIPS]]
    more = len(row.sailings) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more else [])])


def ship_words(sailing: Sailing) -> str:
    return " ".join(filter(None, (sailing.vessel_name or sailing.imo_number, sailing.arrival_date)))


def _fields(row: Contact) -> dict[str, Any]:
    return row._asdict() | {"ships": ships(row)}


party_app = typer.Typer(no_args_is_help=True, help="Open or close a party's tap, or say where it stands.")


@party_app.command("show")
def show(context: typer.Context, scac: ScacArgument, form: FormatOption = Format.TABLE) -> None:
    """A party as registered, and how many of its samples it has read.

    Example:  [bold]snp-router party show SLTC[/bold]
    """
    standing = run(_standing(session_of(context), scac))
    fields = plain_value(encode_value(standing.party)) | {"topic": standing.party.topic} | _counts(standing)
    if form is Format.JSON:
        emit(fields)
        return
    for name, value in fields.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        if shown not in (None, ""):
            console().print(f"{name.replace('_', ' ')}: {shown}", soft_wrap=True)


@party_app.command("live")
def live(context: typer.Context, scac: ScacArgument) -> None:
    """Open the tap: the status now of its open bills, then everything.

    Example:  [bold]snp-router party live SLTC[/bold]
    """
    party, changed = run(_change(session_of(context), scac, "live"))
    words = "is live: `snp-router run` sends it the status now of its open bills" if changed else "is live already"
    console().print(f"{party.scac} {words}")
    standing = run(_standing(session_of(context), scac))
    if standing.samples and not standing.is_complete:
        say(f"it has not read all of its samples, as far as anybody can tell: `snp-router certify {party.scac}`")


@party_app.command("suspend")
def suspend(context: typer.Context, scac: ScacArgument) -> None:
    """Close the tap: nothing is written for it, its bills wait (`snp-router waiting`) until it is live again.

    Example:  [bold]snp-router party suspend SLTC[/bold]

    To cut off what it may read as well:  snp-router provision revoke SLTC
    """
    party, changed = run(_change(session_of(context), scac, "suspended"))
    console().print(f"{party.scac} is suspended{'' if changed else ' already'}")


def certify(context: typer.Context, scac: ScacArgument, form: FormatOption = Format.TABLE) -> None:
    """Whether a party has read all of its samples. Ends with 1 if not.

    Example:  [bold]snp-router certify SLTC[/bold]

    A party imported with status certifying gets them from the router, once. Then: snp-router party live SCAC
    """
    standing = run(_standing(session_of(context), scac))
    if form is Format.JSON:
        for sample in standing.samples:
            emit({"party": standing.party.scac} | sample._asdict())
    else:
        _print_party(standing)
    if not standing.is_complete:
        raise typer.Exit(ExitCode.PROBLEMS)


def _print_party(standing: Standing) -> None:
    party = standing.party
    if not standing.samples:
        hint = "`snp-router run` writes them" if party.status == "certifying" else f"it is {party.status}"
        say(f"{party.scac} has no samples: {hint}")
        return
    rows = (
        (sample.name, sample.kind, sample.status or "", "yes" if sample.read else Text("no", "red"), sample.says)
        for sample in standing.samples
    )
    console().print(grid(("sample", "kind", "status", "read", "an example of"), rows))
    read = sum(sample.read for sample in standing.samples)
    console().print(f"{party.scac} has read {read} of {len(standing.samples)}")
    if standing.receipt.unknown:
        say(f"nobody can tell what {party.scac} has read: {standing.receipt.unknown}")
    elif standing.is_complete and party.status == "certifying":
        console().print(f"next: snp-router party live {party.scac}")


def _counts(standing: Standing) -> dict[str, Any]:
    read = None if standing.receipt.unknown else sum(sample.read for sample in standing.samples)
    return {"samples": len(standing.samples), "samples_read": read}


async def _standing(session: Session, scac: str) -> Standing:
    async with session.reading() as log:
        return await read_standing(log, await find_party(log, scac))


async def _change(session: Session, scac: str, status: str) -> tuple[Party, bool]:
    async with session.writing() as log:
        party = await find_party(log, scac)
        return party, await change_status(log, party, status)
