"""The command `snp-router`: its options, its commands, and how errors end it."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from router.cli import (
    asyncapi,
    bill,
    check,
    console,
    contacts,
    dead_letters,
    demo,
    hold,
    imports,
    ingest,
    move,
    outage,
    paper,
    party,
    provision,
    registered,
    registry,
    resync,
    routing,
    tail,
    topics,
    unread,
    waiting,
    webhooks,
)
from router.cli.exit_codes import EPILOG, ExitCode, exit_code_of
from router.cli.layout import HELP_OPTIONS, Layout
from router.cli.session import Session, configure_log_lines, level_of, say
from router.errors import RouterError

OF_THE_MACHINE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Not a fault of ours: a full disk under what is written to a file, a limit on open files."""

app = typer.Typer(
    name="snp-router",
    cls=Layout,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP_OPTIONS},
)


@app.callback()
def options(
    context: typer.Context,
    log: Annotated[
        str | None,
        typer.Option(
            envvar="SNP_LOG",
            metavar="URL",
            help="The log: sqlite:///file.db (four slashes: an absolute path) or kafka://host:port. "
            "Default: sqlite:///snp.db",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="SNP_CONFIG", metavar="FILE", help="Settings, TOML. Default: snp-router.toml if it is there."
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what goes on, on standard error.")] = False,
) -> None:
    """Routes CBP's disposition messages to everyone on the ship who must know.

    Begin with:  [bold]snp-router demo[/bold]
    """
    context.obj = Session(log, config, verbose)
    configure_log_lines(level_of(context.obj, talks=context.invoked_subcommand == "run"))


PANELS: Final[dict[str, dict[str, Any]]] = {
    "See it work": {"demo": demo.demo},
    "Say who there is": {
        "import": imports.app,
        "parties": registered.parties,
        "sailings": registered.sailings,
        "check": check.check,
    },
    "Feed in and route": {"ingest": ingest.ingest, "run": routing.run_router, "dead-letters": dead_letters.app},
    "Look": {
        "tail": tail.tail,
        "bill": bill.app,
        "explain": bill.explain_bill,
        "waiting": waiting.app,
        "unread": unread.unread,
        "console": console.app,
    },
    "Act by hand": {
        "hold": hold.app,
        "release": hold.release,
        "outage": outage.app,
        "paper": paper.app,
        "resync": resync.resync,
        "contacts": contacts.list_contacts,
    },
    "Bring a party in": {
        "certify": party.certify,
        "party": party.app,
        "webhooks": webhooks.app,
        "registry": registry.app,
        "asyncapi": asyncapi.asyncapi,
    },
    "Run on Kafka": {"topics": topics.app, "provision": provision.app, "move": move.move},
}
"""The commands by what one wants, in the order in which one needs them."""

for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(_command)


def main() -> None:
    """The entry point. Our own errors are one line and an exit code; anything else is a fault of ours and shows."""
    try:
        app(prog_name="snp-router")
    except RouterError as error:
        say(f"error: {error}")
        sys.exit(exit_code_of(error))
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        say(f"error: {error.filename or 'what is said'} can't be written or read: {error.strerror}")
        os._exit(ExitCode.TRY_AGAIN)  # Python itself would try once more to write what is left, and say so
