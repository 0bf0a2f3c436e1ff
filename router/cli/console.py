"""`snp-router console`: the operations desk's pages, and who may see them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.session import Session, console, run, say, session_of
from router.errors import UsageError

if TYPE_CHECKING:
    from router.console.sessions import Users

app = typer.Typer()
user_app = typer.Typer(no_args_is_help=True, help="Who may log in.")
app.add_typer(user_app, name="user")

NOBODY = "nobody may log in yet: `snp-router console user add NAME --role operator`"

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Setting console.listen; by default 127.0.0.1:8080.")
    ] = None,
    status_listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Answer /metrics, /live and /ready there, without log-in.")
    ] = None,
) -> None:
    """The operations desk in a browser: what is held, what waits, who was told.

    Example:  [bold]snp-router console user add alice --role operator && snp-router console[/bold]

    Serves the pages until stopped; whoever may log in has to be added first.
    """
    if context.invoked_subcommand is None:
        run(_serve(session_of(context), listen, status_listen))


async def _serve(session: Session, listen: str | None, status_listen: str | None) -> None:
    from router.console.application import serve_console

    settings = session.settings.console
    if not settings.access.proxy_addresses and not _users(session).roles():
        raise UsageError(NOBODY)
    async with (
        session.reading() as log,
        serve_console(
            log, session.settings.decision_rules(), settings, listen or settings.listen, status_listen
        ) as address,
    ):
        say(f"the console is at http://{address}/ ; Ctrl-C stops")
        await asyncio.Event().wait()


@user_app.command("add")
def add(
    context: typer.Context,
    name: Name,
    role: Annotated[str, typer.Option(help="viewer (reads) or operator (also acts).")] = "viewer",
) -> None:
    """Add a user, or give one a new role and password. The password is asked for, or read from standard input.

    Example:  [bold]snp-router console user add alice --role operator[/bold]
    """
    from router.console.sessions import SHORTEST_PASSWORD

    users = _users(session_of(context))
    if sys.stdin.isatty():
        words = f"password, at least {SHORTEST_PASSWORD} characters"
        password = typer.prompt(words, hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    users.put(name, role, password)
    say(f"{name} may log in as {role}")


@user_app.command("remove")
def remove(context: typer.Context, name: Name) -> None:
    """Take a user out; an open session of theirs ends with the next page.

    Example:  [bold]snp-router console user remove alice[/bold]
    """
    _users(session_of(context)).remove(name)
    say(f"{name} may not log in any more")


@user_app.command("list")
def names(context: typer.Context) -> None:
    """Who may log in, and as what.

    Example:  [bold]snp-router console user list[/bold]
    """
    users = _users(session_of(context)).roles()
    if not users:
        say(NOBODY)
    for name, role in sorted(users.items()):
        console().print(f"{name}  {role}")


def _users(session: Session) -> Users:
    from router.console.sessions import Users

    return Users(session.settings.console.access.users_file)
