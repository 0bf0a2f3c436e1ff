"""`snp-router topics create|check`: the log's topics as the router needs them.

`snp-router provision plan|apply|revoke|password`: who may do what on the brokers.

`snp-router move`: from a file to Kafka.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from router.cli.invocation import (
    ExitCode,
    Format,
    FormatOption,
    ScacArgument,
    Session,
    console,
    emit,
    must_exist,
    run,
    say,
    session_of,
)
from router.clock import now_milliseconds
from router.engine.administration import wanted_topics
from router.errors import UsageError
from router.log.interface import Finding
from router.log.url import KAFKA, SQLITE, open_log
from router.provision.passwords import Handover, to_command, to_file

topics_app = typer.Typer(
    help="Make the log's topics, or look whether they are as they have to be.", no_args_is_help=True
)


@topics_app.command()
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


@topics_app.command()
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


if TYPE_CHECKING:
    from router.provision.provisioning import Provisioning

provision_app = typer.Typer(
    help="Users, rights and limits on the brokers, from the parties registered. Kafka only.", no_args_is_help=True
)

PasswordFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="New passwords go to this file (JSON Lines, made with mode 600); - shows them."),
]
PasswordCommand = Annotated[
    str | None,
    typer.Option(metavar="COMMAND", help="Run for each new password, which it reads from its standard input; {user}."),
]
T = TypeVar("T")


@provision_app.command()
def plan(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Show how brokers differ from what is declared, in both directions. Ends with 1 if they do.

    Example:  [bold]snp-router provision plan[/bold]

    + will be made, - taken away, ~ changed by `provision apply`; ! is for people to settle.
    """
    drift = run(_with(session_of(context), lambda provisioning: provisioning.plan()))
    _show(drift.lines, form)
    if drift.lines:
        raise typer.Exit(ExitCode.PROBLEMS)
    if form is Format.TABLE:
        console().print("access is as declared")


@provision_app.command()
def apply(
    context: typer.Context,
    password_file: PasswordFile = None,
    password_command: PasswordCommand = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Mend what `plan` shows: topics, users, rights and limits. Done again, it changes nothing. No topic is deleted.

    Example:  [bold]snp-router provision apply --password-file passwords.jsonl[/bold]

    With a vault:  [bold]--password-command 'vault kv put secret/kafka/{user} password=-'[/bold]
    """
    hand_over = _handover(password_file, password_command)
    drift = run(_with(session_of(context), lambda provisioning: provisioning.apply(hand_over)))
    _show(drift.lines, form)
    if drift.access.by_hand:
        raise typer.Exit(ExitCode.PROBLEMS)
    if form is Format.TABLE and not drift.lines:
        console().print("access is as declared")


@provision_app.command()
def revoke(
    context: typer.Context,
    scac: ScacArgument,
    form: FormatOption = Format.TABLE,
) -> None:
    """Cut a party off at once: its rights, its user; it is registered as suspended. Its topic stays.

    Example:  [bold]snp-router provision revoke SLTC[/bold]
    """
    taken = run(_with(session_of(context), lambda provisioning: provisioning.revoke(scac)))
    _show(list(taken.lines()), form)
    say(f"{scac} is cut off and suspended; what it should be told waits until it is live again")


@provision_app.command()
def password(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SCAC", help="A party, or one of our own users.")],
    password_file: PasswordFile = None,
    password_command: PasswordCommand = None,
) -> None:
    """Give a party a new password. The old one is refused from now on; sessions that are open go on.

    Example:  [bold]snp-router provision password SLTC --password-file -[/bold]
    """
    hand_over = _handover(password_file, password_command)
    if hand_over is None:
        raise UsageError("say where the password goes to: --password-file or --password-command")
    user = run(_with(session_of(context), lambda provisioning: provisioning.new_password(name, hand_over)))
    say(f"{user} has a new password")


def _handover(file: Path | None, command: str | None) -> Handover | None:
    if file is not None and command is not None:
        raise UsageError("--password-file or --password-command, not both")
    if file is not None:
        return to_file(file)
    return to_command(command) if command is not None else None


def _show(lines: list[str], form: Format) -> None:
    for line in lines:
        if form is Format.JSON:
            sign, _, text = line.partition(" ")
            emit({"change": sign, "what": text})
        else:
            console().print(line, soft_wrap=True)


async def _with(session: Session, work: Callable[[Provisioning], Awaitable[T]]) -> T:
    from router.provision.provisioning import Provisioning

    settings = session.settings
    opened = Provisioning.opened(settings.log, settings.log_settings(), settings.partitions, settings.provision)
    async with opened as provisioning:
        return await work(provisioning)


FROM_HELP = "The file: sqlite:///snp.db"
TO_HELP = "Where to: kafka://host:port[,host:port]. Its topics are made, or must be empty."


def move(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help=FROM_HELP)],
    target: Annotated[str, typer.Argument(metavar="TO", help=TO_HELP)],
) -> None:
    """Take a log along from SQLite to Kafka: every record, with its time, and every bill's state.

    Example:  [bold]snp-router move sqlite:///snp.db kafka://broker:9092[/bold]

    Stop the router first, after `run --until-idle`, and start none on Kafka until this is done. If it is cut, run it
    again: it goes on where it was. At the end the file is marked and takes no records any more; until then nothing of
    it is changed.
    """
    if not source.startswith(SQLITE) or not target.startswith(KAFKA):
        raise UsageError(f"move goes from {SQLITE}file.db to {KAFKA}host:port, not from {source} to {target}")
    run(_move(session_of(context), source, target))


async def _move(session: Session, source: str, target: str) -> None:
    from router.engine.migration import move as move_log
    from router.log.kafka import KafkaLog
    from router.log.sqlite.handover import open_handover

    path = source.removeprefix(SQLITE)
    must_exist(source)
    async with open_handover(path, session.settings.sqlite) as file, open_log(target, session.settings.kafka) as log:
        assert isinstance(log, KafkaLog)
        moved = await move_log(file, log, now_milliseconds(), lambda name, count: say(f"{name}: {count:,} records"))
    if moved.already:
        console().print(f"{path} was moved to {target} before; nothing was left to do")
        return
    console().print(
        f"moved {moved.records:,} records to {target}, read back and found the same. {path} takes no records any more: "
        f"run on with --log {target}",
    )
    if session.settings.partitions != moved.partitions:
        say(f"set partitions = {moved.partitions} in the settings: the log has so many, for good")
