"""`snp-router contacts`: the 24-hour list that a port asks for."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from router.cli.printing import HtmlOption, write_page
from router.cli.session import Format, FormatOption, Session, console, emit, run, session_of
from router.cli.show import grid
from router.desk.registered_parties import CALLS_THERE, NO_SAILING, PORT_NOT_KNOWN, Contact, contacts
from router.engine.administration import read_registry
from router.errors import UsageError
from router.model.registry_values import Sailing

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
