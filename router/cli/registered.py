"""`snp-router parties` and `sailings`: what is registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import typer
from rich.text import Text

from router.cli.session import Format, FormatOption, Session, console, emit, run, say, session_of
from router.cli.show import grid
from router.codec import encode_value
from router.decide.registry import Registry
from router.engine.administration import read_registry
from router.model.registry_values import Party, Sailing
from router.presentation import plain_value


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
