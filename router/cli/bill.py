"""`snp-router bill` and `explain`: one bill, and who is told of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from router.cli import show
from router.cli.session import (
    BillArgument,
    Format,
    FormatOption,
    Session,
    console,
    emit,
    hint_if_behind,
    run,
    say,
    session_of,
)
from router.desk.bill_views import BillView, ExplainedParty, bill_fields, explain, key_from, read_bill
from router.desk.operator_deeds import Confirmed, confirm

app = typer.Typer(no_args_is_help=True, help="Show a bill, or settle what is in doubt about it.")


@app.command("show")
def show_bill(context: typer.Context, bill: BillArgument, form: FormatOption = Format.TABLE) -> None:
    """A bill's status now, its holds and releases, what is known of it, who was told, and its history.

    Example:  [bold]snp-router bill show NVXAHBL000012345[/bold]
    """
    fields = bill_fields(run(_read(session_of(context), key_from(bill))))
    if form is Format.JSON:
        emit(fields)
    else:
        console().print(show.bill_panel(fields))
        for note in show.missing_notes(fields["waiting"]):
            say(note)


@app.command("confirm")
def confirm_bill(
    context: typer.Context,
    bill: BillArgument,
    by: Annotated[str, typer.Option(help="Who says so.")],
    reason: Annotated[str, typer.Option(help="On what ground.")],
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Cover this event only; may be repeated. Without it: all the bill has now."),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Settle a bill's doubts, and end holds that stand for events nobody could read, by an operator's word.

    Example:  [bold]snp-router bill confirm NVXAHBL000012345 --by "J. Doe" --reason "CBP port office, by phone"[/bold]

    What comes later, and every hold of CBP's, still blocks.
    """
    confirmed = run(_confirm(session_of(context), key_from(bill), by, reason, event or []))
    if form is Format.JSON:
        emit({key: list(value) for key, value in confirmed._asdict().items()})
        return
    contradictions = ("what contradicts CBP",) if confirmed.contradictions else ()
    settled = ", ".join((*confirmed.doubts, *(f"{kind} hold" for kind in confirmed.holds), *contradictions))
    console().print(f"confirmed: {settled}; {len(confirmed.covers)} events covered")
    if confirmed.letters:
        console().print(f"dead letters settled: {', '.join(confirmed.letters)}")
    say("`snp-router run` applies it and tells the parties")


def explain_bill(context: typer.Context, bill: BillArgument, form: FormatOption = Format.TABLE) -> None:
    """Who is told of a bill and by which rule, who is not and why, and what it waits for.

    Example:  [bold]snp-router explain NVXAHBL000012345[/bold]
    """
    view = run(_read(session_of(context), key_from(bill)))
    explained = explain(view)
    if form is Format.JSON:
        emit(_explained_fields(view, explained))
        return
    console().print(explained_table(view.key, explained))
    if view.state.waiting:
        console().print(f"\nwaiting: {', '.join(view.state.waiting)}", style="yellow")
        for note in show.missing_notes(view.state.waiting):
            say(note)


async def _read(session: Session, key: str) -> BillView:
    async with session.reading() as log:
        view = await read_bill(log, session.settings.decision_rules(), key)
        await hint_if_behind(log)
        return view


async def _confirm(session: Session, key: str, by: str, reason: str, events: list[str]) -> Confirmed:
    async with session.reading() as log:
        return await confirm(log, session.settings.decision_rules(), key, by=by, reason=reason, events=events)


def _explained_fields(view: BillView, explained: list[ExplainedParty]) -> dict[str, Any]:
    told = [
        {"recipient": one.recipient, "roles": list(one.roles), "rules": list(one.rules), "last_notice": one.last_notice}
        for one in explained
        if one.told
    ]
    not_told = [
        {"recipient": one.recipient, "roles": list(one.roles), "rules": list(one.rules), "reason": one.reason}
        for one in explained
        if not one.told
    ]
    sailing = view.audience.sailing
    return {
        "bill": view.key,
        "sailing_id": sailing.sailing_id if sailing else None,
        "told": told,
        "not_told": not_told,
        "waiting": list(view.state.waiting),
    }


def explained_table(key: str, explained: list[ExplainedParty]) -> Table:
    headings = ("party", "told", "as", "by rule", "last notice, or why not")
    return show.grid(headings, map(_explained_cells, explained), f"who is told of {key}")


def _explained_cells(one: ExplainedParty) -> tuple[str | Text, ...]:
    why = show.kind_text(one.last_notice["kind"]) if one.last_notice else one.reason or ""
    mark = Text("yes", "green") if one.told else Text("no", "red")
    return one.recipient, mark, "\n".join(one.roles), "\n".join(one.rules), why
