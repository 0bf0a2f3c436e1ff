"""`snp-router waiting`: bills that not everyone who should be told could be told about."""

from __future__ import annotations

import typer

from router.cli import show
from router.cli.session import Format, FormatOption, Session, console, emit, hint_if_behind, run, say, session_of
from router.desk.bill_views import read_waiting

app = typer.Typer(no_args_is_help=True, help="Bills that could not be told to everyone yet.")


@app.command("list")
def list_waiting(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """What waits for a party, a topic, a sailing or a second notify party: do-not-loads on top, then the oldest.

    Example:  [bold]snp-router waiting list[/bold]

    Nothing of it is lost: it is sent when the missing piece comes (`snp-router import`). Until then somebody should
    telephone, above all about a do-not-load.
    """
    rows = run(_read(session_of(context)))
    if form is Format.JSON:
        for row in rows:
            emit(row)
        return
    if not rows:
        say("nothing waits")
        return
    console().print(show.table(show.WAITING, rows))
    for note in show.missing_notes(reason for row in rows for reason in row["reasons"]):
        say(note)
    if alarms := sum(row["do_not_load"] for row in rows):
        say(f"{alarms} of {len(rows)} must not be loaded: telephone whoever was not told")


async def _read(session: Session) -> list[show.Fields]:
    async with session.reading() as log:
        rows = await read_waiting(log)
        await hint_if_behind(log)
        return rows
