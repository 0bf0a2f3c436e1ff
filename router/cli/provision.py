"""`snp-router provision plan|apply|revoke|password`: who may do what on the brokers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from router.cli.exit_codes import ExitCode
from router.cli.session import Format, FormatOption, ScacArgument, Session, console, emit, run, say, session_of
from router.errors import UsageError
from router.provision.passwords import PasswordRotation, to_command, to_file

if TYPE_CHECKING:
    from router.provision.provisioning import Provisioning

app = typer.Typer(
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


@app.command()
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


@app.command()
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
    if drift.by_hand:
        raise typer.Exit(ExitCode.PROBLEMS)
    if form is Format.TABLE and not drift.lines:
        console().print("access is as declared")


@app.command()
def revoke(
    context: typer.Context,
    scac: ScacArgument,
    form: FormatOption = Format.TABLE,
) -> None:
    """Cut a party off at once: its rights, its user; it is registered as suspended. Its topic stays.

    Example:  [bold]snp-router provision revoke SLTC[/bold]
    """
    taken = run(_with(session_of(context), lambda provisioning: provisioning.revoke(scac)))
    _show(taken.lines, form)
    say(f"{scac} is cut off and suspended; what it should be told waits until it is live again")


@app.command()
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


def _handover(file: Path | None, command: str | None) -> PasswordRotation | None:
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
