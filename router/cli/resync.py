"""`snp-router resync`: for a party that was down itself."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.session import Format, FormatOption, ScacArgument, Session, console, emit, run, say, session_of
from router.clock import now_milliseconds
from router.codec import encode_value
from router.desk.registered_parties import ask_resync
from router.model.registry_values import Request
from router.presentation import plain_value


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
