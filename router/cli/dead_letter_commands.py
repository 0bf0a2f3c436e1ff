"""The command `dead-letters`: content that could not be read, or whose message is in doubt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from router.cli import printing
from router.cli.command import (
    ByOption,
    FormatOption,
    RowsFormatOption,
    argument,
    exit_if,
    exit_if_unread,
    flag,
    option,
    read_log,
    with_rules,
)
from router.cli.printing import ID_SHOWN, JSON, TABLE, RecordFields, console, emit, number_of, say
from router.decide.rules import Rules
from router.desk.operator_deeds import Accepted, Retried, accept, dismiss, read_dead_letter, read_dead_letters, retry
from router.errors import UsageError
from router.feeds.input_files import InputFile
from router.harmless_text import readable
from router.log.interface import AdministeredLog
from router.model.inputs import DeadLetter
from router.presentation import plain

BILLS_SHOWN: Final = 20
LetterId = Annotated[str, argument("ID", "Id, or its first characters.")]
dead_letters_app = typer.Typer(
    no_args_is_help=True, help="Content that could not be read: list it, read it again, accept it, or put it away."
)


@dead_letters_app.command("list")
def list_dead_letters(
    context: typer.Context,
    everything: Annotated[bool, flag("--all", "Resolved ones too.")] = False,
    form: RowsFormatOption = TABLE,
) -> None:
    """List the dead letters that are not resolved.

    Example:  [bold]snp-router dead-letters list[/bold]"""
    unread: list[str] = []
    letters = read_log(context, lambda log: read_dead_letters(log, unread), warns_if_behind=True, unread=unread)
    rows = [_letter_fields(letter) for letter in letters if everything or letter.resolution is None]
    note = (
        "`dead-letters show ID` shows one whole, `retry ID --with FILE` reads it again, `accept ID` takes a message in "
        "doubt as right, `dismiss ID` puts it away"
    )
    printing.print_rows(printing.DEAD_LETTER, rows, form, empty="no dead letters", note=note)
    exit_if_unread(unread)


@dead_letters_app.command("show")
def show_dead_letter(context: typer.Context, letter_id: LetterId, form: FormatOption = TABLE) -> None:
    """Show one dead letter with its content.

    Example:  [bold]snp-router dead-letters show 3f9c12[/bold]"""
    letter = read_log(context, lambda log: read_dead_letter(log, letter_id))
    if form is JSON:
        emit(plain("dead-letter", letter._asdict()))
        return
    out = console()
    for name, value in _letter_fields(letter).items():
        if value is not None:
            out.print(f"{name:<17} {value}", soft_wrap=True)
    out.print()
    out.print(readable(letter.content), soft_wrap=True)


@dead_letters_app.command("retry")
def retry_dead_letters(
    context: typer.Context,
    by: ByOption,
    letter_ids: Annotated[list[str] | None, argument("ID…", "Ids, or their first characters.")] = None,
    everything: Annotated[bool, flag("--all", "All that are not resolved, but messages in doubt.")] = False,
    replacement: Annotated[
        Path | None, option("FILE", "Read this corrected content instead (for one ID).", "--with")
    ] = None,
    form: FormatOption = TABLE,
) -> None:
    """Read dead letters again: after a code was added, the router was updated, or their content was corrected.

    Example:  [bold]snp-router dead-letters retry 3f9c12 --with corrected.x12[/bold]

    What can be read is ingested, and `snp-router run` ends the hold that stands for it. The others stay as they are."""
    ids = letter_ids or []
    if everything == bool(ids):
        raise UsageError("name the dead letters to read again, or give --all")
    if replacement is not None and len(ids) != 1:
        raise UsageError("--with FILE corrects one dead letter: name exactly one")
    corrected = b"".join(InputFile(replacement).chunks()) if replacement else None

    async def work(log: AdministeredLog, rules: Rules) -> list[Retried]:
        waiting = [one for one in await read_dead_letters(log) if one.resolution is None and not one.in_doubt]
        chosen = ids or [letter.id for letter in waiting]
        results = []
        for letter_id in chosen:
            letter = await read_dead_letter(log, letter_id)
            results.append(await retry(log, rules, letter, corrected, by=by))
        return results

    results = read_log(context, with_rules(context, work))
    for letter, events, problem, _ in results:
        if form is JSON:
            emit({"id": letter.id, "events": events, "retried": problem is None, "problem": problem})
        elif problem:
            say(f"{letter.id[:ID_SHOWN]}: not resolved: {problem}")
        else:
            console().print(f"{letter.id[:ID_SHOWN]}: {number_of(events, 'event')} ingested")
    exit_if(any(result.problem for result in results))


@dead_letters_app.command("accept")
def accept_dead_letter(
    context: typer.Context,
    letter_id: LetterId,
    by: ByOption,
    reason: Annotated[str, option("TEXT", "How you know that CBP meant it so; kept in the audit trail.")],
    file: Annotated[Path | None, option("FILE", "The file it came in, if only its head was kept.", "--with")] = None,
    form: FormatOption = TABLE,
) -> None:
    """Take a message in doubt as right: its counts, control numbers and version no longer keep it from freeing.

    Example:  [bold]snp-router dead-letters accept 3f9c12 --by "J. Doe" --reason "CBP sent it so, ticket 4711"[/bold]

    Its events count as certain from now on. Parts of it that can't be read stay dead letters. Better: ask for the
    message again, and ingest that."""
    whole = b"".join(InputFile(file).chunks()) if file else None

    async def work(log: AdministeredLog, rules: Rules) -> Accepted:
        return await accept(log, rules, await read_dead_letter(log, letter_id), whole, by=by, reason=reason)

    accepted = read_log(context, with_rules(context, work))
    if form is JSON:
        emit(
            {
                "id": accepted.letter.id,
                "events": accepted.events,
                "frees": accepted.frees,
                "unreadable": accepted.unreadable,
            }
        )
        return
    console().print(f"{accepted.letter.id[:ID_SHOWN]}: {number_of(accepted.events, 'event')} accepted")
    if frees := accepted.frees:
        more = f" and {len(frees) - BILLS_SHOWN} more" if len(frees) > BILLS_SHOWN else ""
        say(f"they may free {number_of(len(frees), 'bill')}: {', '.join(frees[:BILLS_SHOWN])}{more}")
    for problem in accepted.unreadable:
        say(f"still unreadable: {problem}")
    say("`snp-router run` sends the notices; start it if it is not running")


@dead_letters_app.command("dismiss")
def dismiss_dead_letters(
    context: typer.Context,
    letter_ids: Annotated[list[str], argument("ID…", "Ids, or their first characters.")],
    by: ByOption,
    reason: Annotated[str, option("TEXT", "Why nothing is lost; kept in the audit trail.")],
) -> None:
    """Put away content that is not a message of CBP's, such as a file ingested by mistake.

    Example:  [bold]snp-router dead-letters dismiss 3f9c12 --reason "our own price list"[/bold]

    A dead letter that stops a bill is resolved with the bill, by `snp-router bill confirm`."""

    async def work(log: AdministeredLog) -> list[DeadLetter]:
        letters = [await read_dead_letter(log, letter_id) for letter_id in letter_ids]
        for letter in letters:
            await dismiss(log, letter, by=by, reason=reason)
        return letters

    for letter in read_log(context, work):
        console().print(f"{letter.id[:ID_SHOWN]}: dismissed")


def _letter_fields(letter: DeadLetter) -> RecordFields:
    """All fields but the content."""
    fields = plain("dead-letter", letter._asdict())
    del fields["content"]
    return fields
