"""`snp-router registry`: the schemas that parties need, for their deserializers."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from router.cli.session import run, say
from router.http import serving
from router.schema_registry.server import schema_registry_app

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
    async with serving(schema_registry_app(), listen) as address:
        say(f"schemas are served at http://{address}")
        await asyncio.Event().wait()
