"""Commands that feed the router: `import` for tables, `ingest` for CBP's messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from router.background import background
from router.cli import printing
from router.cli.command import (
    FormatOption,
    argument,
    exit_if,
    log_as_service,
    option,
    with_rules,
    write_log,
)
from router.cli.printing import JSON, TABLE, OutputFormat, RecordFields, console, emit, number_of, say
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine import administration
from router.engine.administration import Changes
from router.engine.feed_activity import DEFAULT_FEED, FeedMonitor
from router.engine.folder_intake import FolderFigures, ingest_folder
from router.engine.intake import ImportCount, Intake, append_filings, ingest_chunks
from router.errors import InputError, UsageError
from router.feeds.forms import feed_name
from router.feeds.input_files import InputFile, Progress, files_in
from router.feeds.tables import TableResult, read_bills, read_filings, read_parties, read_procedures, read_sailings
from router.feeds.watched_folder import FAILED, REPORT_SUFFIX, SETTLE_SECONDS, WatchedFolder
from router.log.interface import AdministeredLog, Log
from router.model.inputs import Filing, Snapshot
from router.model.registry_values import Party, PortProcedure, Sailing

RegistryRow = TypeVar("RegistryRow", Party, PortProcedure, Sailing)
PARTY_FIELDS: Final = (
    "name", "roles", "contact_name", "contact_phone", "contact_email", "aliases", "production_group", "webhook_url",
)  # fmt: skip
NAMES_SHOWN: Final = 8
PROBLEMS_SHOWN: Final = 10
DOUBTED: Final = "whose releases free nothing until it comes whole or `dead-letters accept` takes it as right"
TableFiles = Annotated[list[Path], argument("FILE…", "CSV or JSON Lines; - is standard input.")]
import_app = typer.Typer(no_args_is_help=True, help="Import tables of parties, sailings, procedures, filings or bills.")


@import_app.command("parties")
def import_parties(context: typer.Context, files: TableFiles, form: FormatOption = TABLE) -> None:
    """Register who receives notices, one party a row. A party that is already registered is replaced.

    Example:  [bold]snp-router import parties parties.csv[/bold]

    Columns: id (required: a SCAC, FIRMS code or ABI routing code), id_type (SCAC, FIRMS, ABI; default: by the id's
    shape, four letters are a SCAC), name, roles, status (certifying, live, suspended, external), contact_name,
    contact_phone, contact_email, aliases (ids, or type:id, separated by ;), production_group, webhook_url."""
    result = read_table(files, read_parties)

    async def work(log: AdministeredLog) -> Changes:
        registered = (await administration.read_registry(log)).parties
        wanted = {party.id: party for party in result.values}
        for party_id, problems in administration.id_conflicts(wanted, registered).items():
            result.problems.extend(InputError(problem, place=result.places[party_id]) for problem in problems)
            del wanted[party_id]
        for party_id, party in wanted.items():
            if (before := registered.get(party_id)) is not None:
                result.notes.extend(_losses(before, party))
        return await administration.import_parties(log, list(wanted.values()))

    changes = write_log(context, work, creates=True)
    _report_import("parties", changes, _changes_text("parties", changes), result.problems, result.notes, form)


@import_app.command("sailings")
def import_sailings(context: typer.Context, files: TableFiles, form: FormatOption = TABLE) -> None:
    """Register which lines are aboard which ship, one line a row. A record that is already registered is replaced.

    Example:  [bold]snp-router import sailings sailings.csv[/bold]

    Columns: sailing_id, imo_number, vessel_name, arrival_date, scac, role (operator, charterer), voyage_number (the
    line's own, by which its bills find the sailing), scope (own, do-not-load, holds, all: bills of other lines that
    the agreement lets it see), ports (Schedule D ports of call, separated by ;), first_lading_date.

    Several port calls are several rows of each line, under one sailing_id or under one for each call: records of one
    ship, operator and voyage number with arrivals up to 14 days apart are one sailing."""
    result = read_table(files, read_sailings)

    async def work(log: AdministeredLog) -> Changes:
        sailings = {sailing.sailing_id: sailing for sailing in result.values}
        return await administration.import_sailings(log, list(sailings.values()))

    changes = write_log(context, work)
    _report_import("sailings", changes, _changes_text("sailings", changes), result.problems, result.notes, form)


@import_app.command("procedures")
def import_procedures(context: typer.Context, files: TableFiles, form: FormatOption = TABLE) -> None:
    """Register what each port asks for during an outage, one port a row. A port that is already registered is replaced.

    Example:  [bold]snp-router import procedures procedures.csv[/bold]

    Columns: port (Schedule D), procedure (in words, up to 400 characters), telephone. They stand in the announcements
    of outages and in `outage checklist`."""
    result = read_table(files, read_procedures)
    changes = write_log(context, lambda log: administration.import_procedures(log, result.values))
    _report_import("procedures", changes, _changes_text("procedures", changes), result.problems, result.notes, form)


@import_app.command("filings")
def import_filings(context: typer.Context, files: TableFiles, form: FormatOption = TABLE) -> None:
    """Import what filers declared about bills: second notify parties, vessel, containers, quantity.

    Example:  [bold]snp-router import filings filings.csv[/bold]

    Columns: scac, bill_of_lading, bill_type, snps, master_bill, original_bill, carrier_scac, imo_number, vessel_name,
    voyage_number, manifest_sequence_number, port_of_unlading, arrival_date, in_bond_destination, manifested_quantity,
    container_numbers."""
    _import_bill_table(context, files, form, "filings", read_filings)


@import_app.command("bills")
def import_bills(context: typer.Context, files: TableFiles, form: FormatOption = TABLE) -> None:
    """Import the status of bills at a given time, to start with bills that are already under way.

    Example:  [bold]snp-router import bills snapshot.csv[/bold]

    Columns: those of filings, and status_at (required), released_quantity, release_posted_at, holds
    (code/container/quantity/placed_at, separated by ;). To a bill that has events the import only adds: it ends no hold
    (see `hold clear`)."""
    _import_bill_table(context, files, form, "bills", read_bills)


def read_table(
    files: list[Path] | None, read: Callable[[Iterator[bytes], str], TableResult[RegistryRow]]
) -> TableResult[RegistryRow]:
    """All files as one table."""
    whole: TableResult[RegistryRow] = TableResult([], [], [], {})
    to_read = files_in(files or ())
    with printing.progress_bar(to_read) as progress:
        for file in to_read:
            result = read(file.chunks(progress), file.name)
            whole.values.extend(result.values)
            whole.problems.extend(result.problems)
            whole.notes.extend(result.notes)
            whole.places.update(result.places)
    return whole


def _losses(before: Party, now: Party) -> Iterator[str]:
    """Values that a party loses because the new table leaves them empty."""
    if lost := [name for name in PARTY_FIELDS if getattr(before, name) and not getattr(now, name)]:
        yield f"{now.id} loses {', '.join(lost)}: this file leaves that empty"
    if before.status != now.status:
        yield f"{now.id}: its status was {before.status} and is now {now.status}"


def _import_bill_table(
    context: typer.Context, files: list[Path], form: OutputFormat, kind: str, read: Callable[..., Any]
) -> None:
    notes: list[str] = []
    to_read = files_in(files)

    def values(progress: Progress | None) -> Iterator[Filing | Snapshot | InputError]:
        for file in to_read:
            yield from read(file.chunks(progress), file.name, now_milliseconds(), note=notes.append)

    async def work(log: AdministeredLog) -> ImportCount:
        with printing.progress_bar(to_read) as progress:
            return await append_filings(log, values(progress))

    imported = write_log(context, work)
    text = f"{number_of(imported.count, kind.removesuffix('s'))} imported"
    _report_import(kind, imported.count, text, imported.problems, notes, form)


def _report_import(
    kind: str, done: Changes | int, text: str, problems: list[InputError], notes: list[str], form: OutputFormat
) -> None:
    if form is JSON:
        changes = done._asdict() if isinstance(done, Changes) else {"taken_in": done}
        emit({"imported": kind, **changes, "problems": printing.problem_fields(problems), "notes": notes})
    else:
        console().print(text)
        for note in notes:
            say(f"note: {note}")
        for problem in problems:
            say(f"problem: {problem}")
        if problems:
            say("rows with a problem were skipped: correct them and import the file again; the other rows are imported")
    exit_if(problems)


def _changes_text(kind: str, changes: Changes) -> str:
    """`parties: 1 added (NVXC), 1 changed (NVXA), 0 unchanged`."""
    parts = []
    for name, ids in changes._asdict().items():
        shown = ", ".join(ids[:NAMES_SHOWN]) + (" …" if len(ids) > NAMES_SHOWN else "")
        parts.append(f"{len(ids)} {name}" + (f" ({shown})" if ids else ""))
    return f"{kind}: {', '.join(parts)}"


STATUS_HELP: Final = "With --watch: serve /metrics, /live and /ready here."
REREAD_SECONDS: Final = 1.0
"""Between two looks at the registry while a folder is watched. On Kafka a look takes longer than a small file."""
WATCH_HELP: Final = """Ingest each file that is completed in this folder, until stopped. It moves to done/, or to
failed/ with a report if anything in it cannot be read."""


def ingest(
    context: typer.Context,
    files: Annotated[list[Path] | None, argument("FILE…", "Files and folders; - is standard input.")] = None,
    watch: Annotated[Path | None, option("DIR", WATCH_HELP)] = None,
    feed: Annotated[str, option("NAME", "Name of the feed; the settings `feeds` limit its silence.")] = DEFAULT_FEED,
    settle_seconds: Annotated[
        float, option("SECONDS", "With --watch: a file unchanged this long is complete.", min=0.0)
    ] = SETTLE_SECONDS,
    status_listen: Annotated[str | None, option("[HOST:]PORT", STATUS_HELP)] = None,
    form: FormatOption = TABLE,
) -> None:
    """Ingest CBP's messages: X12 350, CAMIR, JSON Lines or Avro, recognised by their content. Of manifests (X12 309,
    CAMIR MI) it takes filings.

    Example:  [bold]snp-router ingest inbox/ cbp350.x12[/bold]

    Content that cannot be read becomes a dead letter (`snp-router dead-letters list`); the rest is ingested. Ingesting
    a file again changes nothing."""
    if (watch is None) == (not files):
        raise UsageError("name either files and folders to ingest, or one folder with --watch")
    if watch is not None:
        _watch(context, watch, settle_seconds, feed_name(feed), status_listen, form)
        return
    if status_listen is not None:
        raise UsageError("--status-listen needs --watch: without it, the command ends by itself")
    _ingest(context, files_in(files or []), feed_name(feed), form)


def _ingest(context: typer.Context, files: list[InputFile], feed: str, form: OutputFormat) -> None:
    intake = Intake()

    async def work(log: AdministeredLog, rules: Rules) -> None:
        monitor = FeedMonitor(log, feed, rules)
        with printing.progress_bar(files) as progress:
            for file in files:
                intake.add(await _ingest_one(log, file, monitor, progress))

    write_log(context, with_rules(context, work), is_service=True)
    if form is JSON:
        emit({"files": intake.files} | _intake_fields(intake))
    else:
        _show_intake(intake)
    exit_if(intake.refused)


async def _ingest_one(log: Log, file: InputFile, monitor: FeedMonitor, progress: Progress | None) -> Intake:
    """Raises UsageError if a file can't be read that was named. One found in a folder is left out, and it is said."""
    try:
        return await ingest_chunks(log, file.chunks(progress), file.name, monitor.rules, monitor=monitor)
    except UsageError as error:
        if file.folder is None:
            raise
        return Intake(refused=[str(error)])


def _show_intake(intake: Intake) -> None:
    for refused in intake.refused:
        say(f"not read: {refused}")
    for note in intake.notes[:PROBLEMS_SHOWN]:
        say(f"note: {note}")
    for problem in intake.problems[:PROBLEMS_SHOWN]:
        say(f"dead letter: {problem}")
    console().print(f"{number_of(intake.files, 'file')}: {_intake_text(intake)}")
    if intake.dead_letters:
        say("dead letters are kept whole: `snp-router run`, then `snp-router dead-letters list`")


def _watch(
    context: typer.Context, path: Path, settle_seconds: float, feed: str, listen: str | None, form: OutputFormat
) -> None:
    log_as_service(context)
    folder = WatchedFolder(path, settle_seconds=settle_seconds)
    figures = FolderFigures(folder)
    out = console()

    def report(place: Path, intake: Intake) -> None:
        figures.count(place, intake)
        if form is JSON:
            emit({"file": str(place)} | _intake_fields(intake))
            return
        told = [*intake.refused, *intake.notes[:PROBLEMS_SHOWN]]
        if place.parent.name == FAILED:
            told.append(f"report: {place}{REPORT_SUFFIX}")
        out.print("; ".join([f"{place}: {_intake_text(intake)}", *told]), soft_wrap=True)

    async def work(log: AdministeredLog, rules: Rules) -> None:
        from router.status import LogProbe, status_served

        probe = LogProbe(log)
        async with background("asking the log", probe.keep_looking), status_served(figures.registry, probe, listen):
            with printing.until_stopped(f"watching {path}", out if form is TABLE else None):
                await ingest_folder(log, folder, report, FeedMonitor(log, feed, rules, reread_seconds=REREAD_SECONDS))

    write_log(context, with_rules(context, work), is_service=True)


def _intake_fields(intake: Intake) -> RecordFields:
    names = ("events", "urgent", "filings", "dead_letters", "in_doubt", "others", "refused", "problems", "notes")
    return {name: getattr(intake, name) for name in names}


def _intake_text(intake: Intake) -> str:
    """`3 events, 1 urgent, 1 dead letter; 3 messages for others: 2 × 997, 1 × CAMIR MR`."""
    counts = [number_of(intake.events, "event"), f"{intake.urgent:,} urgent"]
    if intake.filings:
        counts.append(number_of(intake.filings, "filing"))
    counts.append(number_of(intake.dead_letters, "dead letter"))
    parts = [", ".join(counts)]
    if intake.in_doubt:
        parts.append(f"{number_of(intake.in_doubt, 'message')} in doubt, {DOUBTED}")
    if intake.others:
        kinds = ", ".join(f"{count:,} × {name}" for name, count in intake.others.most_common())
        parts.append(f"{number_of(intake.others.total(), 'message')} for others: {kinds}")
    return "; ".join(parts)
