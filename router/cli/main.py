"""The command `snp-router`: its options, its commands, and how errors end it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup, TyperOption

from router.cli import (
    feed_commands,
    kafka_commands,
    look_commands,
    manual_commands,
    paper_commands,
    party_commands,
    run_commands,
    serve_commands,
)
from router.cli.invocation import EPILOG, ExitCode, Session, configure_log_lines, exit_code_of, level_of, say
from router.errors import RouterError

OF_THE_MACHINE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Not a fault of ours: a full disk under what is written to a file, a limit on open files."""

GLOBAL_OPTIONS = ("--log", "--config")
GLOBAL_FLAGS = ("--verbose",)
HELP_OPTIONS = ["-h", "--help"]


class Layout(TyperGroup):
    """Lets the global options stand after the command too: people add them at the end of the line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for command in _commands(self):
            _hide_types_of_flags(command)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, global_options_first(args))


def global_options_first(arguments: list[str]) -> list[str]:
    """The same arguments, the global options before all others. What follows a `--` stays."""
    first: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            others += [argument, *rest]
        elif argument in GLOBAL_OPTIONS:
            first += [argument, *(value for value in [next(rest, None)] if value is not None)]
        elif argument in GLOBAL_FLAGS or argument.partition("=")[0] in GLOBAL_OPTIONS:
            first.append(argument)
        else:
            others.append(argument)
    return first + others


def _commands(group: Any) -> Iterator[Any]:
    yield group
    for command in getattr(group, "commands", {}).values():
        yield from _commands(command)


def _hide_types_of_flags(command: Any) -> None:
    """`--from-start <bool>` makes people write `--from-start true`."""
    help_option = command.get_help_option(typer.Context(command, help_option_names=HELP_OPTIONS))
    for option in (*command.params, help_option):
        if isinstance(option, TyperOption) and option.is_flag and option.metavar is None:
            option.metavar = ""


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
    "See it work": {"demo": run_commands.demo},
    "Say who there is": {
        "import": feed_commands.import_app,
        "parties": party_commands.parties,
        "sailings": party_commands.sailings,
        "check": run_commands.check,
    },
    "Feed in and route": {
        "ingest": feed_commands.ingest,
        "run": run_commands.run_router,
        "dead-letters": feed_commands.dead_letters_app,
    },
    "Look": {
        "tail": look_commands.tail,
        "bill": look_commands.bill_app,
        "explain": look_commands.explain_bill,
        "waiting": look_commands.waiting_app,
        "unread": look_commands.unread,
        "console": serve_commands.console_app,
    },
    "Act by hand": {
        "hold": manual_commands.hold_app,
        "release": manual_commands.release,
        "outage": manual_commands.outage_app,
        "paper": paper_commands.paper_app,
        "resync": manual_commands.resync,
        "contacts": party_commands.list_contacts,
    },
    "Bring a party in": {
        "certify": party_commands.certify,
        "party": party_commands.party_app,
        "webhooks": serve_commands.webhooks_app,
        "registry": serve_commands.registry_app,
        "asyncapi": serve_commands.asyncapi,
    },
    "Run on Kafka": {
        "topics": kafka_commands.topics_app,
        "provision": kafka_commands.provision_app,
        "move": kafka_commands.move,
    },
}
"""The commands by what one wants, in the order in which one needs them."""

for _panel, _named in PANELS.items():
    for _name, _command in _named.items():
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
