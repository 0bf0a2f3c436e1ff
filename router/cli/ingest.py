"""`snp-router ingest`: CBP's messages in."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from router.cli.progress import reading
from router.cli.session import (
    Format,
    FormatOption,
    Session,
    console,
    emit,
    interruptible,
    run,
    say,
    session_of,
    waiting,
)
from router.engine.feed_activity import DEFAULT_FEED, FeedActivityLog
from router.engine.intake import STANDARD_INPUT, Intake, files_in, take_in, take_in_watched
from router.errors import UsageError
from router.feeds.forms import feed_name
from router.feeds.watched_folder import REPORT_SUFFIX, SETTLE_SECONDS, WatchedFolder

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
