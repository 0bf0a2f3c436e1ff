"""`snp-router import`: parties, sailings, filings, and snapshots of bills.

`snp-router ingest`: CBP's messages in.

`snp-router dead-letters`: what could not be read, where and why; reading it again, or putting it away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from router.cli import printing
from router.cli.invocation import (
    ExitCode,
    Format,
    FormatOption,
    Session,
    console,
    emit,
    hint_if_behind,
    interruptible,
    problem_fields,
    run,
    say,
    session_of,
    waiting,
)
from router.cli.printing import reading
from router.clock import now_milliseconds
from router.desk.settling import Retried, dismiss, retry
from router.desk.views import read_dead_letter, read_dead_letters
from router.engine.administration import (
    Changes,
    import_parties,
    import_sailings,
    machine_user,
    read_registry,
    refused_claims,
)
from router.engine.feed_activity import DEFAULT_FEED, FeedActivityLog
from router.engine.intake import (
    STANDARD_INPUT,
    ImportCount,
    Intake,
    Progress,
    chunks_of,
    files_in,
    name_of,
    take_in,
    take_in_filings,
    take_in_watched,
)
from router.errors import InputError, UsageError
from router.feeds.by_hand import feed_name
from router.feeds.tables import TableResult, read_bills, read_filings, read_parties, read_sailings
from router.feeds.watch import REPORT_SUFFIX, SETTLE_SECONDS, WatchedFolder
from router.log.interface import Log
from router.model.inputs import DeadLetter, Filing, Snapshot
from router.model.registry_values import Party
from router.plain import plain, readable

import_app = typer.Typer(no_args_is_help=True, help="Register parties, sailings, filings, or the state of bills.")

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="CSV or JSON Lines; - is standard input.")]

Value = TypeVar("Value")

PARTY_FIELDS: Final = ("name", "roles", "contact_name", "contact_phone", "contact_email", "aliases",
                       "production_group", "webhook_url")  # fmt: skip


@import_app.command("parties")
def parties(context: typer.Context, files: Files, form: FormatOption = Format.TABLE) -> None:
    """Who can be told: one party a row. A party that is there already is replaced.

    Example:  [bold]snp-router import parties parties.csv[/bold]

    Columns: scac, name, roles, status (certifying, live, suspended, external), contact_name, contact_phone,
    contact_email, aliases (separated by ;), production_group, webhook_url. Only scac is needed.
    """
    result = _table(files, read_parties)

    async def work(log: Log) -> Changes:
        registered = (await read_registry(log)).parties
        wanted = {party.scac: party for party in result.values}
        for scac, problems in refused_claims(wanted, registered).items():
            result.problems.extend(map(InputError, problems))
            del wanted[scac]
        for scac, party in wanted.items():
            if (before := registered.get(scac)) is not None:
                result.notes.extend(_taken_away(before, party))
        return await import_parties(log, list(wanted.values()))

    _finish("parties", run(_with_log(session_of(context), work, begins=True)), result.problems, result.notes, form)


@import_app.command("sailings")
def sailings(context: typer.Context, files: Files, form: FormatOption = Format.TABLE) -> None:
    """Who is on which ship: one row a line aboard. A sailing that is there already is replaced whole.

    Example:  [bold]snp-router import sailings sailings.csv[/bold]

    Columns: sailing_id, imo_number, vessel_name, arrival_date, scac, role (operator, charterer), voyage_number (that
    line's own: its bills find the sailing by it), scope (own, do-not-load, holds, all: what the agreement lets that
    line see beyond its own bills), ports (Schedule D, separated by ;: where the ship calls, for `contacts`).
    """
    result = _table(files, read_sailings)

    async def work(log: Log) -> Changes:
        return await import_sailings(log, list({sailing.sailing_id: sailing for sailing in result.values}.values()))

    _finish("sailings", run(_with_log(session_of(context), work)), result.problems, result.notes, form)


@import_app.command("filings")
def filings(context: typer.Context, files: Files, form: FormatOption = Format.TABLE) -> None:
    """What is known of bills from their filers: second notify parties, vessel, containers, pieces.

    Example:  [bold]snp-router import filings filings.csv[/bold]

    Columns: scac, bill_of_lading, bill_type, snps, master_bill, original_bill, carrier_scac, imo_number, vessel_name,
    voyage_number, manifest_sequence_number, port_of_unlading, arrival_date, manifested_quantity, container_numbers.
    """
    _filings(context, files, form, "filings", read_filings)


@import_app.command("bills")
def bills(context: typer.Context, files: Files, form: FormatOption = Format.TABLE) -> None:
    """What stands on bills as of a moment, for going live in the middle of things.

    Example:  [bold]snp-router import bills snapshot.csv[/bold]

    Columns: those of filings, and status_at (needed), released_quantity, release_posted_at, holds
    (code/container/quantity/placed_at, separated by ;).
    """
    _filings(context, files, form, "bills", read_bills)


def _taken_away(before: Party, now: Party) -> Iterator[str]:
    """What a party loses by a table that has fewer columns, or fewer entries, than the one before."""
    if lost := [name for name in PARTY_FIELDS if getattr(before, name) and not getattr(now, name)]:
        yield f"{now.scac}: empty in this file, so taken away: {', '.join(lost)}"
    if before.status != now.status:
        yield f"{now.scac}: was {before.status}, is {now.status} now"


async def _with_log(session: Session, work: Callable[[Log], Any], *, begins: bool = False) -> Any:
    async with session.writing(begins=begins) as log:
        return await work(log)


def _table(files: list[Path], read: Callable[[Iterator[bytes], str], TableResult[Value]]) -> TableResult[Value]:
    """All files as one table."""
    whole: TableResult[Value] = TableResult([], [], [])
    for path in files_in(files):
        result = read(chunks_of(path), name_of(path))
        whole.values.extend(result.values)
        whole.problems.extend(result.problems)
        whole.notes.extend(result.notes)
    return whole


def _filings(context: typer.Context, files: list[Path], form: Format, kind: str, read: Callable[..., Any]) -> None:
    notes: list[str] = []
    paths = files_in(files)

    def values(told: Progress | None) -> Iterator[Filing | Snapshot | InputError]:
        for path in paths:
            yield from read(chunks_of(path, told), name_of(path), now_milliseconds(), note=notes.append)

    async def work(log: Log) -> ImportCount:
        with reading(paths) as told:
            return await take_in_filings(log, values(told))

    taken: ImportCount = run(_with_log(session_of(context), work))
    _finish(kind, taken.count, taken.problems, notes, form)


def _finish(kind: str, done: Changes | int, problems: list[InputError], notes: list[str], form: Format) -> None:
    """Say what changed and what was wrong; end with the code for problems if there were any."""
    if form is Format.JSON:
        changes = done._asdict() if isinstance(done, Changes) else {"taken_in": done}
        emit({"imported": kind, **changes, "problems": problem_fields(problems), "notes": notes})
    else:
        console().print(f"{kind}: {_words(done)}")
        for note in notes:
            say(f"note: {note}")
        for problem in problems:
            say(f"problem: {problem}")
        if problems:
            say("what has a problem is left out; correct it and import the file again: what went in stays")
    if problems:
        raise typer.Exit(ExitCode.PROBLEMS)


def _words(done: Changes | int) -> str:
    if isinstance(done, int):
        return f"{done} taken in"
    parts = []
    for name, values in done._asdict().items():
        shown = ", ".join(values[:8]) + (" …" if len(values) > 8 else "")
        parts.append(f"{len(values)} {name}" + (f" ({shown})" if values else ""))
    return ", ".join(parts)


SHOWN_PROBLEMS = 10


def ingest(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Files and folders; - is standard input, read to its end."),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Take in each file that is completed in this folder, until stopped. It is moved to done/, or, if "
            "anything in it can't be read, to failed/ with a report beside it.",
        ),
    ] = None,
    feed: Annotated[
        str, typer.Option(metavar="NAME", help="Which feed this is; settings `feeds` say when it is missed.")
    ] = DEFAULT_FEED,
    settle_seconds: Annotated[
        float, typer.Option(min=0.0, help="With --watch: a file unchanged for so long is complete.")
    ] = SETTLE_SECONDS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Feed in X12 350, CAMIR, JSON Lines or Avro; the format is recognised from the content.

    Example:  [bold]snp-router ingest inbox/ cbp350.x12[/bold]

    What can't be read goes to the dead letters (`snp-router dead-letters list`), the readable rest goes through.
    Feeding a file in again changes nothing.
    """
    session = session_of(context)
    if (watch is None) == (not files):
        raise UsageError("name files or folders to ingest, or a folder with --watch")
    if watch is not None:
        run(_watch(session, watch, settle_seconds, feed_name(feed), form))
        return
    paths = files_in(files or [])
    with interruptible() if STANDARD_INPUT in paths else nullcontext():
        _report(run(_ingest(session, paths, feed_name(feed))), form)


async def _ingest(session: Session, paths: list[Path], feed: str) -> Intake:
    rules = session.settings.decision_rules()
    whole = Intake()
    async with session.writing() as log:
        hearing = FeedActivityLog(log, feed, rules)
        with reading(paths) as told:
            for path in paths:
                whole.add(await take_in(log, path, rules.codes, told, hearing=hearing))
    return whole


async def _watch(session: Session, path: Path, settle_seconds: float, feed: str, form: Format) -> None:
    rules = session.settings.decision_rules()
    folder = WatchedFolder(path, settle_seconds=settle_seconds)

    out = console()

    def told(moved: Path, intake: Intake) -> None:
        if form is Format.JSON:
            emit({"file": str(moved)} | summary_fields(intake))
        else:
            report = f"; why: {moved}{REPORT_SUFFIX}" if intake.problems else ""
            out.print(f"{moved}: {summary_words(intake)}{report}", soft_wrap=True)

    async with session.writing() as log:
        with waiting(f"watching {path}", out if form is Format.TABLE else None):
            await take_in_watched(log, folder, rules.codes, told, FeedActivityLog(log, feed, rules))


def _report(intake: Intake, form: Format) -> None:
    if form is Format.JSON:
        emit({"files": intake.files} | summary_fields(intake))
        return
    for note in intake.notes[:SHOWN_PROBLEMS]:
        say(f"note: {note}")
    for problem in intake.problems[:SHOWN_PROBLEMS]:
        say(f"not read: {problem}")
    console().print(f"{_count(intake.files, 'file')}: {summary_words(intake)}")
    if intake.dead_letters:
        say("what could not be read is kept whole: `snp-router dead-letters list` (after `snp-router run`)")


def summary_fields(intake: Intake) -> dict[str, object]:
    return {
        "events": intake.events,
        "urgent": intake.urgent,
        "dead_letters": intake.dead_letters,
        "problems": intake.problems,
        "notes": intake.notes,
    }


def summary_words(intake: Intake) -> str:
    letters = f"{_count(intake.dead_letters, 'dead letter')}" + (" (!)" if intake.dead_letters else "")
    return f"{_count(intake.events, 'event')}, {intake.urgent} urgent, {letters}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


dead_letters_app = typer.Typer(no_args_is_help=True, help="What could not be read: list it, look at it, read it again.")


@dead_letters_app.command("list")
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
        console().print(printing.table(printing.DEAD_LETTER, rows))
        say("`dead-letters show ID` shows one whole; `retry ID --with FILE` reads it again; `dismiss ID` puts it away")
    else:
        say("no dead letters")


@dead_letters_app.command("show")
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


@dead_letters_app.command("retry")
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
        _report_dead_letters(result, form)
    if any(result.problem for result in results):
        raise typer.Exit(ExitCode.PROBLEMS)


@dead_letters_app.command("dismiss")
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
        console().print(f"{letter_id[: printing.ID_SHOWN]}: put away")


def _report_dead_letters(result: Retried, form: Format) -> None:
    letter_id = result.letter.id
    if form is Format.JSON:
        emit({"id": letter_id, "events": result.events, "retried": result.problem is None, "problem": result.problem})
    elif result.problem:
        say(f"{letter_id[: printing.ID_SHOWN]}: left as it is: {result.problem}")
    else:
        console().print(f"{letter_id[: printing.ID_SHOWN]}: {result.events} events fed in")


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


def _fields(letter: DeadLetter) -> printing.Fields:
    """All but the content."""
    fields = plain("dead-letter", letter._asdict())
    del fields["content"]
    return fields
