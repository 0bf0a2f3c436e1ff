"""`snp-router registry`: the schemas that parties need, for their deserializers."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from router.cli.exit_codes import ExitCode
from router.cli.session import Format, FormatOption, console, emit, run, say, session_of
from router.schema_registry.schema_publication import ExternalRegistry, Registration

DEFAULT_LISTEN = "127.0.0.1:8081"

app = typer.Typer(help="The schemas that parties need, for their deserializers.", no_args_is_help=True)


@app.command()
def serve(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where; port 0: any free one.")] = DEFAULT_LISTEN,
) -> None:
    """Serve the read-only part of the Confluent Schema Registry API, until stopped by Ctrl-C.

    Example:  [bold]snp-router registry serve --listen 10.0.0.5:8081[/bold]

    It needs no log and holds nothing secret. It speaks plain HTTP: to parties put it behind what ends TLS for you.
    """
    run(_serve(listen))


async def _serve(listen: str) -> None:
    from router.http import serving
    from router.schema_registry.schema_server import schema_registry_app

    async with serving(schema_registry_app(), listen) as address:
        say(f"schemas are served at http://{address}")
        await asyncio.Event().wait()


@app.command()
def check(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Say whether the external registry (setting `registry.url`) has our schemas. Ends with 1 if it lacks one.

    Example:  [bold]snp-router registry check[/bold]
    """
    _show(ExternalRegistry(session_of(context).settings.registry).registrations(), form)


@app.command()
def register(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Register what the external registry lacks. What is not compatible is refused, and ends with 1.

    Example:  [bold]snp-router registry register[/bold]

    Nothing else ever registers: a router whose schemas are not there says so and does not start.
    """
    _show(ExternalRegistry(session_of(context).settings.registry).register(), form)


def _show(standings: list[Registration], form: Format) -> None:
    for schema, number, problem in standings:
        if form is Format.JSON:
            emit({"subject": schema.subject, "version": schema.version, "id": number, "problem": problem})
        else:
            words = f"id {number}" if number is not None else problem or "not registered"
            console().print(f"{schema.subject}, our version {schema.version}: {words}", soft_wrap=True)
    if any(standing.id is None for standing in standings):
        raise typer.Exit(ExitCode.PROBLEMS)
