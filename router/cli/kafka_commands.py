"""Commands that prepare Kafka: `topics` on either log, `provision` for access, `move` from SQLite."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from router.cli import printing
from router.cli.command import (
    READ_SECONDS,
    FormatOption,
    PartyArgument,
    RowsFormatOption,
    argument,
    exit_if,
    flag,
    must_exist,
    option,
    run,
    settings_of,
)
from router.cli.printing import TABLE, OutputFormat, console, emit_rows, number_of, say
from router.clock import now_milliseconds
from router.engine.administration import wanted_topics
from router.errors import UsageError
from router.log.interface import Finding
from router.log.url import KAFKA, SQLITE, open_log
from router.provision.passwords import PasswordRotation, to_command, to_file

if TYPE_CHECKING:
    from router.provision.provisioning import Provisioning

T = TypeVar("T")
topics_app = typer.Typer(no_args_is_help=True, help="Create the log's topics, or check them.")


@topics_app.command("create")
def create_topics(context: typer.Context) -> None:
    """Create the topics that are missing. Existing topics are not changed.

    Example:  [bold]snp-router --log kafka://broker:9092 topics create[/bold]

    The number of partitions is the setting `partitions` and can never be changed; replication is
    `kafka.replication_factor`."""
    settings = settings_of(context)

    async def work() -> list[str]:
        async with open_log(settings.log, settings.log_settings()) as log:
            before = await log.topics()
            specs = await wanted_topics(log, settings.partitions)
            await log.create_topics(specs)
            return [spec.name for spec in specs if spec.name not in before]

    created = run(work())
    console().print(f"{number_of(len(created), 'topic')} created" + (f": {', '.join(created)}" if created else ""))


@topics_app.command("check")
def check_topics(
    context: typer.Context,
    apply: Annotated[bool, flag("--apply", "Fix what can be fixed without touching a record.")] = False,
    form: RowsFormatOption = TABLE,
) -> None:
    """Check the brokers or the file, the topics and the router's rights. Ends with 1 if there is any problem.

    Settings of the brokers that would protect them from floods are recommended only.

    Example:  [bold]snp-router --log kafka://broker:9092 topics check --apply[/bold]"""
    settings = settings_of(context)
    must_exist(settings.log)

    async def work() -> tuple[list[Finding], list[str]]:
        async with open_log(settings.log, settings.log_settings(), deadline_seconds=READ_SECONDS) as log:
            specs = await wanted_topics(log, settings.partitions)
            if apply:
                await log.mend(specs)
            return await log.check(specs), await log.advice()

    findings, advice = run(work())
    if form is not TABLE:
        emit_rows([finding._asdict() for finding in findings], form)
    else:
        for finding in findings:
            console().print(f"{finding}{' (--apply fixes it)' if finding.mendable else ''}")
    for text in advice:
        say(f"recommended, {text}")
    exit_if(findings)
    if form is TABLE:
        console().print("the log has no problems")


provision_app = typer.Typer(
    no_args_is_help=True, help="Users, rights and quotas on the brokers, from the registered parties. Kafka only."
)
PasswordFile = Annotated[Path | None, option("FILE", "Append new passwords (JSON Lines, mode 600); - prints them.")]
PasswordCommand = Annotated[str | None, option("COMMAND", "Pass each new password to its standard input; {user}.")]
NO_DIFFERENCE = "the brokers' access is as declared"


@provision_app.command("plan")
def plan_access(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """Show how access on the brokers differs from what is declared. Ends with 1 if it does.

    Example:  [bold]snp-router provision plan[/bold]

    `provision apply` will add (+), remove (-) or change (~) it; what is marked ! people must decide."""
    drift = _provision(context, lambda provisioning: provisioning.plan())
    _print_drift(drift.lines, form)
    exit_if(drift.lines)
    if form is TABLE:
        console().print(NO_DIFFERENCE)


@provision_app.command("apply")
def apply_access(
    context: typer.Context,
    password_file: PasswordFile = None,
    password_command: PasswordCommand = None,
    form: FormatOption = TABLE,
) -> None:
    """Make the changes that `plan` shows: topics, users, rights and quotas. It deletes no topic; it may be repeated.

    Example:  [bold]snp-router provision apply --password-file passwords.jsonl[/bold]

    With a vault:  [bold]--password-command 'vault kv put secret/kafka/{user} password=-'[/bold]"""
    hand_over = _password_target(password_file, password_command)
    drift = _provision(context, lambda provisioning: provisioning.apply(hand_over))
    _print_drift(drift.lines, form)
    exit_if(drift.by_hand)
    if form is TABLE and not drift.lines:
        console().print(NO_DIFFERENCE)


@provision_app.command("revoke")
def revoke_access(context: typer.Context, party: PartyArgument, form: FormatOption = TABLE) -> None:
    """Remove a party's rights and user at once, and suspend the party. Its topic is kept.

    Example:  [bold]snp-router provision revoke SLTC[/bold]"""
    removed = _provision(context, lambda provisioning: provisioning.revoke(party))
    _print_drift(removed.lines, form)
    say(f"{party} has no access any more and is suspended: its notices wait until it is live again")


@provision_app.command("password")
def change_password(
    context: typer.Context,
    name: Annotated[str, argument("ID", "A party, or one of the router's own users.")],
    password_file: PasswordFile = None,
    password_command: PasswordCommand = None,
) -> None:
    """Give a user a new password. The old one is refused from then on; open sessions continue.

    Example:  [bold]snp-router provision password SLTC --password-file -[/bold]"""
    hand_over = _password_target(password_file, password_command)
    if hand_over is None:
        raise UsageError("choose where the password goes: --password-file or --password-command")
    user = _provision(context, lambda provisioning: provisioning.new_password(name, hand_over))
    say(f"{user} has a new password")


def _password_target(file: Path | None, command: str | None) -> PasswordRotation | None:
    if file is not None and command is not None:
        raise UsageError("give either --password-file or --password-command, not both")
    if file is not None:
        return to_file(file)
    return to_command(command) if command is not None else None


def _print_drift(lines: list[str], form: OutputFormat) -> None:
    if form is not TABLE:
        changes = [line.partition(" ") for line in lines]
        emit_rows([{"change": sign, "what": text} for sign, _, text in changes], form)
        return
    for line in lines:
        console().print(line, soft_wrap=True)


def _provision(context: typer.Context, work: Callable[[Provisioning], Awaitable[T]]) -> T:
    from router.provision.provisioning import Provisioning

    settings = settings_of(context)

    async def opened() -> T:
        async with Provisioning.opened(
            settings.log, settings.log_settings(), settings.partitions, settings.provision
        ) as provisioning:
            return await work(provisioning)

    return run(opened())


def move(
    context: typer.Context,
    source: Annotated[str, argument("FROM", "The file: sqlite:///snp.db")],
    target: Annotated[str, argument("TO", "kafka://host:port[,host:port]; topics are created or must be empty.")],
) -> None:
    """Move a log from SQLite to Kafka: every record with its time, and every bill's state.

    Example:  [bold]snp-router move sqlite:///snp.db kafka://broker:9092[/bold]

    First `snp-router run --until-idle`, then stop the router; start none on Kafka until the move is complete. An
    interrupted move continues when it is run again. At its end the file is closed to new records; until then it is
    not changed."""
    if not source.startswith(SQLITE) or not target.startswith(KAFKA):
        raise UsageError(f"move goes from {SQLITE}file.db to {KAFKA}host:port, not from {source} to {target}")
    must_exist(source)
    settings, path = settings_of(context), source.removeprefix(SQLITE)

    async def work() -> None:
        from router.engine.migration import move as move_log
        from router.engine.migration import no_report
        from router.log.kafka import KafkaLog
        from router.log.sqlite.file import open_migration_source

        async with open_migration_source(path, settings.sqlite) as file, open_log(target, settings.kafka) as log:
            assert isinstance(log, KafkaLog)
            with printing.record_progress() as report:
                moved = await move_log(file, log, now_milliseconds(), report or no_report)
        if moved.already:
            console().print(f"{path} was already moved to {target}: nothing to do")
            return
        console().print(
            f"{number_of(moved.records, 'record')} moved to {target}, read back and compared. {path} takes no new "
            f"records: continue with --log {target}"
        )
        if settings.partitions != moved.partitions:
            say(f"set partitions = {moved.partitions} in the settings: the log has that number for good")

    run(work())
