"""The command `snp-router`: its options, its commands by panel, and how an error ends it."""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

from router.cli import (
    audit_commands,
    confirm_commands,
    dead_letter_commands,
    feed_commands,
    kafka_commands,
    listen_commands,
    look_commands,
    lost_input_commands,
    manual_commands,
    paper_commands,
    party_commands,
    rules_commands,
    run_commands,
    serve_commands,
    tail_command,
)
from router.cli.command import EPILOG, ExitCode, GlobalOptions, configure_log_lines, exit_code_of, flag, option
from router.cli.printing import say
from router.errors import RouterError

MACHINE_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Limits of the machine, such as a full disk below redirected output. Any other OSError is a bug and shows."""

PANELS: Final[dict[str, dict[str, Any]]] = {
    "See it work": {"demo": run_commands.demo},
    "Feed": {
        "import": feed_commands.import_app, "ingest": feed_commands.ingest, "listen": listen_commands.listen_app,
        "dead-letters": dead_letter_commands.dead_letters_app,
    },
    "Run": {"check": run_commands.check, "run": run_commands.run_router, "rules": rules_commands.rules_app,
        "lost-input": lost_input_commands.lost_input_app},
    "Look": {
        "tail": tail_command.tail, "bill": look_commands.bill_app, "explain": look_commands.explain_bill,
        "waiting": look_commands.waiting_app, "unread": look_commands.unread, "audit": audit_commands.audit_app,
    },
    "Act by hand": {
        "hold": confirm_commands.hold_app, "release": manual_commands.enter_by_hand,
        "outage": manual_commands.outage_app, "paper": paper_commands.paper_app, "resync": manual_commands.resync,
    },
    "Parties": {
        "parties": party_commands.list_parties, "sailings": party_commands.list_sailings,
        "contacts": party_commands.list_contacts, "certify": party_commands.certify,
        "party": party_commands.party_app,
    },
    "Serve": {
        "console": serve_commands.console_app, "webhooks": serve_commands.webhooks_app,
        "registry": serve_commands.registry_app, "asyncapi": serve_commands.print_asyncapi,
    },
    "Run on Kafka": {
        "topics": kafka_commands.topics_app, "provision": kafka_commands.provision_app, "move": kafka_commands.move,
    },
}  # fmt: skip
"""The commands by what the user is doing. One module has the commands of a panel, except `paper`, `demo`, `tail`,
`rules`, `listen` and those by which an operator ends holds and doubts."""

GLOBAL_OPTIONS: Final = ("--log", "--config")
HELP_OPTIONS: Final = ["-h", "--help"]


class CommandGroup(TyperGroup):
    """Accepts the global options anywhere on the line, and shows the commands in the order of `PANELS`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _hide_types(self)

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for panel in PANELS.values() for name in panel]

    def get_params(self, ctx: Any) -> Any:
        parameters = super().get_params(ctx)
        for parameter in parameters:  # the options for completion are added after the group is made
            _hide_type(parameter)
        return parameters

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, global_options_first(args))


def global_options_first(arguments: list[str]) -> list[str]:
    """The same arguments with the global options in front. What follows a `--` stays in place."""
    first: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            others += [argument, *rest]
        elif argument in GLOBAL_OPTIONS:
            first += [argument, *(value for value in [next(rest, None)] if value is not None)]
        elif argument == "--verbose" or argument.partition("=")[0] in GLOBAL_OPTIONS:
            first.append(argument)
        else:
            others.append(argument)
    return first + others


def _hide_types(command: Any) -> None:
    """Leave Python's types out of the help of a command and its subcommands."""
    help_option = command.get_help_option(typer.Context(command, help_option_names=HELP_OPTIONS))
    for parameter in (*command.params, help_option):
        _hide_type(parameter)
    for subcommand in getattr(command, "commands", {}).values():
        _hide_types(subcommand)


def _hide_type(parameter: Any) -> None:
    """Prevent `--from-start <bool>`, which makes people type `--from-start true`, and `BILL <list[str]>`."""
    if isinstance(parameter, TyperArgument):
        parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
    elif isinstance(parameter, TyperOption) and parameter.is_flag and parameter.metavar is None:
        parameter.metavar = ""


app = typer.Typer(
    name="snp-router",
    cls=CommandGroup,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP_OPTIONS},
)


LOG_HELP: Final = """Log to use: sqlite:///file.db (a fourth slash for an absolute path) or kafka://host:port.
Default: sqlite:///snp.db"""
CONFIG_HELP: Final = "Settings file (TOML). Default: snp-router.toml, if it exists."

LOG_LEVELS: Final = {"run": logging.INFO, "demo": logging.ERROR}
"""Levels of the commands that do not begin at warnings. The demo tells its story itself."""


@app.callback()
def options(
    context: typer.Context,
    log: Annotated[str | None, option("URL", LOG_HELP, envvar="SNP_LOG")] = None,
    config: Annotated[Path | None, option("FILE", CONFIG_HELP, envvar="SNP_CONFIG")] = None,
    verbose: Annotated[bool, flag("--verbose", "Show debug log lines on standard error.")] = False,
) -> None:
    """Routes CBP's disposition messages to every party aboard that must know.

    Begin with:  [bold]snp-router demo[/bold]"""
    context.obj = GlobalOptions(log, config, verbose)
    configure_log_lines(context.obj, LOG_LEVELS.get(context.invoked_subcommand or "", logging.WARNING))


for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(_command)


app.command(run_commands.READ_REQUESTS, hidden=True)(run_commands.read_requests)


def main() -> None:
    """Run the command. Errors of the router print one line and set the exit code; any other is a bug and shows."""
    try:
        app(prog_name="snp-router")
    except RouterError as error:
        say(f"error: {error}")
        sys.exit(exit_code_of(error))
    except OSError as error:
        if error.errno not in MACHINE_ERRORS:
            raise
        say(f"error: cannot read or write {error.filename or 'the output'}: {error.strerror}")
        os._exit(ExitCode.TRY_AGAIN)  # A normal exit would flush the output again and print a second error.
