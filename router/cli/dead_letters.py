"""`snp-router dead-letters`: what could not be read, where and why; reading it again, or putting it away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router.cli import show
from router.cli.exit_codes import ExitCode
from router.cli.session import Format, FormatOption, Session, console, emit, hint_if_behind, run, say, session_of
from router.desk.operator_deeds import Retried, dismiss, read_dead_letter, read_dead_letters, retry
from router.engine.administration import machine_user
from router.engine.intake import chunks_of
from router.errors import UsageError
from router.model.inputs import DeadLetter
from router.presentation import plain, readable

app = typer.Typer(no_args_is_help=True, help="What could not be read: list it, look at it, read it again.")


@app.command("list")
def list_letters(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that are settled too.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """What could not be read and still waits.

    Example:  [bold]snp-router dead-letters list[/bold]
    """
    letters = run(_list(session_of(context)))
    rows = [_fields(letter) for letter in letters if everything or letter.settled is None]
    if form is Format.JSON:
        for row in rows:
            emit(row)
    elif rows:
        console().print(show.table(show.DEAD_LETTER, rows))
        say("`dead-letters show ID` shows one whole; `retry ID --with FILE` reads it again; `dismiss ID` puts it away")
    else:
        say("no dead letters")


@app.command("show")
def show_letter(
    context: typer.Context,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Its beginning will do.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """One dead letter whole, with its content.

    Example:  [bold]snp-router dead-letters show 3f9c12[/bold]
    """
    letter = run(_show(session_of(context), letter_id))
    if form is Format.JSON:
        emit(plain("dead-letter", letter._asdict()))
        return
    out = console()
    for name, value in _fields(letter).items():
        if value is not None:
            out.print(f"{name:<17} {value}", soft_wrap=True)
    out.print()
    out.print(readable(letter.content), soft_wrap=True)


@app.command("retry")
def retry_letters(
    context: typer.Context,
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Their beginnings will do.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    replacement: Annotated[
        Path | None, typer.Option("--with", metavar="FILE", help="Read this corrected content in its place (one ID).")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Read dead letters again, after a code was added, the router updated, or their content corrected.

    Example:  [bold]snp-router dead-letters retry 3f9c12 --with corrected.x12[/bold]

    What can be read now is fed in, and `run` ends the hold that stood for it. What can't is left as it is.
    """
    ids = letter_ids or []
    if everything == bool(ids):
        raise UsageError("name the dead letters to read again, or --all")
    if replacement is not None and len(ids) != 1:
        raise UsageError("--with FILE corrects one dead letter: name exactly one")
    corrected = b"".join(chunks_of(replacement)) if replacement else None
    results = run(_retry(session_of(context), ids, corrected))
    for result in results:
        _report(result, form)
    if any(result.problem for result in results):
        raise typer.Exit(ExitCode.PROBLEMS)


@app.command("dismiss")
def dismiss_letters(
    context: typer.Context,
    letter_ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Their beginnings will do.")],
    reason: Annotated[str, typer.Option("--reason", help="Why nothing is lost with it. Kept in the audit.")],
) -> None:
    """Put away what is no message of CBP's, such as a file fed in by mistake.

    Example:  [bold]snp-router dead-letters dismiss 3f9c12 --reason "our own price list"[/bold]

    One that stops a bill is settled with the bill, by `bill confirm`.
    """
    for letter_id in run(_dismiss(session_of(context), letter_ids, reason)):
        console().print(f"{letter_id[: show.ID_SHOWN]}: put away")


def _report(result: Retried, form: Format) -> None:
    letter_id = result.letter.id
    if form is Format.JSON:
        emit({"id": letter_id, "events": result.events, "retried": result.problem is None, "problem": result.problem})
    elif result.problem:
        say(f"{letter_id[: show.ID_SHOWN]}: left as it is: {result.problem}")
    else:
        console().print(f"{letter_id[: show.ID_SHOWN]}: {result.events} events fed in")


async def _list(session: Session) -> list[DeadLetter]:
    async with session.reading() as log:
        letters = await read_dead_letters(log)
        await hint_if_behind(log)
        return letters


async def _show(session: Session, letter_id: str) -> DeadLetter:
    async with session.reading() as log:
        return await read_dead_letter(log, letter_id)


async def _retry(session: Session, ids: list[str], corrected: bytes | None) -> list[Retried]:
    rules = session.settings.decision_rules()
    async with session.reading() as log:
        chosen = ids or [letter.id for letter in await read_dead_letters(log) if letter.settled is None]
        results = []
        for letter_id in chosen:
            letter = await read_dead_letter(log, letter_id)
            if letter.settled is not None:
                results.append(Retried(letter, 0, f"it is settled already ({letter.settled})"))
            else:
                results.append(await retry(log, rules, letter, corrected, by=machine_user()))
        return results


async def _dismiss(session: Session, ids: list[str], reason: str) -> list[str]:
    async with session.reading() as log:
        letters = [await read_dead_letter(log, letter_id) for letter_id in ids]
        for letter in letters:
            await dismiss(log, letter, by=machine_user(), reason=reason)
        return [letter.id for letter in letters]


def _fields(letter: DeadLetter) -> show.Fields:
    """All but the content."""
    fields = plain("dead-letter", letter._asdict())
    del fields["content"]
    return fields
