"""The command `snp-router`: its options, its commands by panel, and how an error ends it."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_group

from router.cli.command import (
    EPILOG,
    READ_REQUESTS,
    ExitCode,
    GlobalOptions,
    configure_log_lines,
    exit_code_of,
    flag,
    option,
)
from router.cli.loading import loading
from router.cli.printing import say
from router.errors import RouterError

MACHINE_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Limits of the machine, such as a full disk below redirected output. Any other OSError is a bug and shows."""


class Listed(NamedTuple):
    """A command, or a group of them, as the help lists it. Its module is loaded when it is used, not before."""

    place: str
    """Module in `router.cli`, and name in it."""
    summary: str
    """The first paragraph of its help."""
    commands: Mapping[str, Listed] | None = None
    """The commands of a group that spans several modules, which has no `place`."""


PANELS: Final[dict[str, dict[str, Listed]]] = {
    "See it work": {
        "demo": Listed(
            "run_commands:demo",
            "Play a story: three lines share a ship, two NVOCCs a container. It shows each party's notices for each "
            "message.",
        ),
    },
    "Feed": {
        "import": Listed(
            "feed_commands:import_app", "Import tables of parties, sailings, procedures, filings or bills."
        ),
        "ingest": Listed(
            "feed_commands:ingest",
            "Ingest CBP's messages: X12 350, CAMIR, JSON Lines or Avro, recognised by their content. Of manifests "
            "(X12 309, CAMIR MI) it takes filings.",
        ),
        "listen": Listed(
            "listen_commands:listen_app",
            "Take CBP's messages and filings over HTTP: POST /messages, from gateways for MQ, AS2, SFTP or e-mail.",
        ),
        "dead-letters": Listed(
            "dead_letter_commands:dead_letters_app",
            "Content that could not be read: list it, read it again, accept it, or put it away.",
        ),
    },
    "Run": {
        "check": Listed(
            "run_commands:check",
            "Check the settings, the registered parties and sailings, and tables that are not imported yet.",
        ),
        "run": Listed(
            "run_commands:run_router", "Route what was ingested and imported to the parties' topics, until stopped."
        ),
        "rules": Listed("rules_commands:rules_app", "Show the rules that decide over cargo, or change them."),
        "lost-input": Listed(
            "lost_input_commands:lost_input_app", "Show input that was deleted before it was read, or go on without it."
        ),
    },
    "Look": {
        "find": Listed(
            "find_commands:find",
            "Find bills, containers, entries, master bills, vessels and voyages, sailings, parties and ports by what "
            "is typed.",
        ),
        "bills": Listed(
            "find_commands:list_bills",
            "List bills by status, vessel, arrival, port, party, hold and more, as the console's page Bills does.",
        ),
        "box": Listed(
            "find_commands:show_box",
            "Show a container: every known bill with cargo in it, and what CBP allows of each.",
        ),
        "tail": Listed(
            "tail_command:tail",
            "Follow a party's notices, or the router's own records, as they are written; Ctrl-C stops.",
        ),
        "bill": Listed(
            "",
            "Show a bill, or confirm what is in doubt about it.",
            {
                "show": Listed(
                    "look_commands:show_bill",
                    "Show a bill: its status, holds and releases, what is known of it, its recipients and its history.",
                ),
                "confirm": Listed(
                    "confirm_commands:confirm_bill",
                    "End a bill's doubts, contradictions and holds for unreadable or unknown events, in an operator's "
                    "name.",
                ),
            },
        ),
        "explain": Listed(
            "look_commands:explain_bill",
            "Explain who is notified of a bill and by which rule, who is not and why, and what the bill waits for.",
        ),
        "waiting": Listed("look_commands:waiting_app", "Bills with recipients that could not be notified yet."),
        "unread": Listed(
            "look_commands:unread",
            "Show how many do-not-loads and holds each party has not read, and how old they are.",
        ),
        "handover": Listed(
            "handover_command:handover",
            "Show everything since a time, for the next shift: do-not-loads and who has read them, holds placed and "
            "ended, releases, outages, waiting bills, dead letters, deeds by hand, calls.",
        ),
        "audit": Listed(
            "audit_commands:audit_app", "Verify the audit and the bills' history, export what proves them."
        ),
    },
    "Act by hand": {
        "hold": Listed("confirm_commands:hold_app", "Place or lift a hold that CBP announced by phone or on paper."),
        "release": Listed(
            "manual_commands:enter_by_hand",
            "Enter a release that CBP gave by phone, by e-mail or on paper. It never ends a hold that CBP sent.",
        ),
        "outage": Listed("manual_commands:outage_app", "Declare an outage, change or end it, print its history."),
        "paper": Listed(
            "paper_commands:paper_app", "Register bills on paper, list them, match them with their filings."
        ),
        "resync": Listed(
            "manual_commands:resync",
            "Send a party that was down the status now of each of its open bills. Live notices continue.",
        ),
    },
    "Parties": {
        "parties": Listed("party_commands:list_parties", "List the registered parties."),
        "sailings": Listed("party_commands:list_sailings", "List the registered sailings with the lines aboard."),
        "contacts": Listed(
            "party_commands:list_contacts",
            "List whom a port can call at any hour about do-not-loads and holds: carrier, name, telephone.",
        ),
        "certify": Listed(
            "party_commands:certify", "Check that a party has read all of its samples. Ends with 1 if it has not."
        ),
        "party": Listed("party_commands:party_app", "Show a party, or start and stop its notices."),
    },
    "Serve": {
        "console": Listed(
            "serve_commands:console_app",
            "Serve the operations desk to browsers: holds, waiting bills, notices and outages.",
        ),
        "webhooks": Listed(
            "serve_commands:webhooks_app", "Post notices to parties without Kafka; pause, replay, secrets."
        ),
        "registry": Listed(
            "serve_commands:registry_app", "Schemas for parties: serve them, or use an external registry."
        ),
        "asyncapi": Listed(
            "serve_commands:print_asyncapi",
            "Print an AsyncAPI 3 document (JSON) of the topics for parties and for feeds, with every field on them.",
        ),
    },
    "Run on Kafka": {
        "topics": Listed("kafka_commands:topics_app", "Create the log's topics, or check them."),
        "provision": Listed(
            "kafka_commands:provision_app",
            "Users, rights and quotas on the brokers, from the registered parties. Kafka only.",
        ),
        "move": Listed(
            "kafka_commands:move",
            "Move a log from SQLite to Kafka: every record with its time, and every bill's state.",
        ),
    },
}
"""The commands by what the user is doing. One module has the commands of a panel, except `paper`, `demo`, `tail`,
`rules`, `listen` and those by which an operator ends holds and doubts."""

LISTED: Final = {name: listed for commands in PANELS.values() for name, listed in commands.items()}

GLOBAL_OPTIONS: Final = ("--log", "--config")
HELP_OPTIONS: Final = ["-h", "--help"]


def load_command(name: str, listed: Listed) -> Any:
    """The command with its options and subcommands."""
    if listed.commands is not None:
        return ListedGroup(
            listed.commands, name=name, help=listed.summary, no_args_is_help=True, rich_markup_mode="rich"
        )
    module, _, attribute = listed.place.partition(":")
    with loading():
        found = getattr(import_module(f"router.cli.{module}"), attribute)
    holder = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    command = get_group(holder).commands[name]
    _hide_types(command)
    return command


class ListedGroup(TyperGroup):
    """Lists its commands without loading them; the one that is used is loaded."""

    def __init__(self, listed: Mapping[str, Listed], **settings: Any) -> None:
        super().__init__(**settings)
        self.listed = listed
        for name, one in listed.items():
            self.add_command(TyperCommand(name, help=one.summary))
        _hide_types(self)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and self.load(name or ""), rest

    def load(self, name: str) -> Any:
        return load_command(name, self.listed[name])


class CommandGroup(ListedGroup):
    """Accepts the global options anywhere on the line. It lists the commands in the order of `PANELS`."""

    def __init__(self, **settings: Any) -> None:
        hidden = Listed("run_commands:read_requests", "")
        super().__init__(LISTED | {READ_REQUESTS: hidden}, **settings)
        for panel, commands in PANELS.items():
            for name in commands:
                self.commands[name].rich_help_panel = panel  # type: ignore[attr-defined]
        self.commands[READ_REQUESTS].hidden = True

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

LOG_LEVELS: Final = {"demo": logging.ERROR}
"""Levels of the commands that do not begin at warnings. The demo tells its story itself."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"snp-router {version('snp-router')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    log: Annotated[str | None, option("URL", LOG_HELP, envvar="SNP_LOG")] = None,
    config: Annotated[Path | None, option("FILE", CONFIG_HELP, envvar="SNP_CONFIG")] = None,
    verbose: Annotated[bool, flag("--verbose", "Show debug log lines on standard error.")] = False,
    version: Annotated[
        bool, option(None, "Show the version and exit.", "--version", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Routes CBP's disposition messages to every party aboard that must know.

    Begin with:  [bold]snp-router demo[/bold]"""
    context.obj = GlobalOptions(log, config, verbose)
    configure_log_lines(context.obj, LOG_LEVELS.get(context.invoked_subcommand or "", logging.WARNING))


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
