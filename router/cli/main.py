"""The command `snp-router`: its options, its commands, and how errors end it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

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
from router.cli.exit_codes import EPILOG, exit_code_of
from router.cli.session import Session, configure_log_lines, level_of, say
from router.errors import RouterError

GLOBAL_OPTIONS = ("--log", "--config")
GLOBAL_FLAGS = ("--verbose",)


class AnywhereGroup(TyperGroup):
    """Lets the global options stand after the command too: people add them at the end of the line."""

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


app = typer.Typer(
    name="snp-router",
    cls=AnywhereGroup,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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


app.command("demo")(demo.demo)
app.add_typer(imports.app, name="import")
app.command("ingest")(ingest.ingest)
app.command("run")(routing.run_router)
app.command("tail")(tail.tail)
app.add_typer(bill.app, name="bill")
app.command("explain")(bill.explain_bill)
app.add_typer(dead_letters.app, name="dead-letters")
app.command("move")(move.move)
app.command("parties")(registered.parties)
app.command("sailings")(registered.sailings)
app.add_typer(party.app, name="party")
app.command("certify")(party.certify)
app.add_typer(webhooks.app, name="webhooks")
app.command("unread")(unread.unread)
app.add_typer(outage.app, name="outage")
app.add_typer(hold.app, name="hold")
app.command("release")(hold.release)
app.add_typer(paper.app, name="paper")
app.command("resync")(resync.resync)
app.add_typer(waiting.app, name="waiting")
app.command("contacts")(contacts.list_contacts)
app.command("check")(check.check)
app.add_typer(topics.app, name="topics")
app.add_typer(registry.app, name="registry")
app.command("asyncapi")(asyncapi.asyncapi)
app.add_typer(console.app, name="console")
app.add_typer(provision.app, name="provision")


def main() -> None:
    """The entry point. Our own errors are one line and an exit code; anything else is a fault of ours and shows."""
    try:
        app(prog_name="snp-router")
    except RouterError as error:
        say(f"error: {error}")
        sys.exit(exit_code_of(error))
