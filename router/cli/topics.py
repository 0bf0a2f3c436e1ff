"""`snp-router topics create|check`: the log's topics as the router needs them."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.exit_codes import ExitCode
from router.cli.session import Format, FormatOption, Session, console, emit, must_exist, run, session_of
from router.engine.administration import wanted_topics
from router.log.interface import Finding
from router.log.url import open_log

app = typer.Typer(help="Make the log's topics, or look whether they are as they have to be.", no_args_is_help=True)


@app.command()
def create(context: typer.Context) -> None:
    """Make the topics that are missing, each as it has to be; those that are there stay as they are.

    Example:  [bold]snp-router --log kafka://broker:9092 topics create[/bold]

    How many partitions: setting `partitions`, for good. Replication: setting `kafka.replication_factor`.
    """
    made = run(_create(session_of(context)))
    console().print(f"made {len(made)} topics" + (f": {', '.join(made)}" if made else ""))


async def _create(session: Session) -> list[str]:
    async with open_log(session.settings.log, session.settings.log_settings()) as log:
        before = await log.topics()
        specs = await wanted_topics(log, session.settings.partitions)
        await log.create_topics(specs)
        return [spec.name for spec in specs if spec.name not in before]


@app.command()
def check(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Mend what can be mended without touching a record.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Say all that is wrong with the brokers, the topics and our rights. Ends with 1 if anything is.

    Example:  [bold]snp-router --log kafka://broker:9092 topics check --apply[/bold]
    """
    findings = run(_check(session_of(context), apply=apply))
    for finding in findings:
        if form is Format.JSON:
            emit(finding._asdict())
        else:
            console().print(f"{finding}{' (--apply mends it)' if finding.mendable else ''}")
    if findings:
        raise typer.Exit(ExitCode.PROBLEMS)
    if form is Format.TABLE:
        console().print("the log is as it has to be")


async def _check(session: Session, *, apply: bool) -> list[Finding]:
    must_exist(session.settings.log)
    async with open_log(session.settings.log, session.settings.log_settings()) as log:
        specs = await wanted_topics(log, session.settings.partitions)
        if apply:
            await log.mend(specs)
        return await log.check(specs)
