"""`snp-router import`: parties, sailings, filings, and snapshots of bills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from router.cli.exit_codes import ExitCode
from router.cli.progress import reading
from router.cli.session import Format, FormatOption, Session, console, emit, problem_fields, run, say, session_of
from router.clock import now_milliseconds
from router.engine.administration import Changes, import_parties, import_sailings, read_registry, scac_conflicts
from router.engine.intake import ImportCount, Progress, append_filings, chunks_of, files_in, name_of
from router.errors import InputError
from router.feeds.tables import TableResult, read_bills, read_filings, read_parties, read_sailings
from router.log.interface import Log
from router.model.inputs import Filing, Snapshot
from router.model.registry_values import Party

app = typer.Typer(no_args_is_help=True, help="Register parties, sailings, filings, or the state of bills.")

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="CSV or JSON Lines; - is standard input.")]

Value = TypeVar("Value")

PARTY_FIELDS: Final = ("name", "roles", "contact_name", "contact_phone", "contact_email", "aliases",
                       "production_group", "webhook_url")  # fmt: skip


@app.command("parties")
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
        for scac, problems in scac_conflicts(wanted, registered).items():
            result.problems.extend(map(InputError, problems))
            del wanted[scac]
        for scac, party in wanted.items():
            if (before := registered.get(scac)) is not None:
                result.notes.extend(_taken_away(before, party))
        return await import_parties(log, list(wanted.values()))

    _finish("parties", run(_with_log(session_of(context), work, begins=True)), result.problems, result.notes, form)


@app.command("sailings")
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


@app.command("filings")
def filings(context: typer.Context, files: Files, form: FormatOption = Format.TABLE) -> None:
    """What is known of bills from their filers: second notify parties, vessel, containers, pieces.

    Example:  [bold]snp-router import filings filings.csv[/bold]

    Columns: scac, bill_of_lading, bill_type, snps, master_bill, original_bill, carrier_scac, imo_number, vessel_name,
    voyage_number, manifest_sequence_number, port_of_unlading, arrival_date, manifested_quantity, container_numbers.
    """
    _filings(context, files, form, "filings", read_filings)


@app.command("bills")
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
            return await append_filings(log, values(told))

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
