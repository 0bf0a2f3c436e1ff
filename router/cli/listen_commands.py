"""The command `listen`: the feed's HTTP listener, and the tokens of its senders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from router.cli import command
from router.cli.command import RowsFormatOption, option, settings_of, with_rules, write_log
from router.cli.printing import TABLE, Column, print_rows, say
from router.decide.rules import Rules
from router.engine.feed_activity import DEFAULT_FEED
from router.log.interface import AdministeredLog

if TYPE_CHECKING:
    from router.listener.tokens import Tokens

listen_app = typer.Typer()
token_app = typer.Typer(no_args_is_help=True, help="Add, list or remove the tokens of senders.")
listen_app.add_typer(token_app, name="token")

NO_TOKENS: Final = "the listener has no tokens: add one with `snp-router listen token add NAME`"
TokenName = Annotated[str, command.argument("NAME", "Name of the sender, shown with everything it posts.")]
TOKEN: Final = (
    Column("name", None, lambda one: one["name"]),
    Column("feed", None, lambda one: one["feed"]),
    Column("kinds", None, lambda one: ", ".join(one["kinds"])),
    Column("issuers", None, lambda one: ", ".join(one["issuers"])),
)


@listen_app.callback(invoke_without_command=True)
def listen(
    context: typer.Context,
    address: Annotated[str | None, option("HOST:PORT", "Default: setting listen.address, or 127.0.0.1:8082.")] = None,
    status_listen: Annotated[str | None, option("[HOST:]PORT", "Serve /metrics, /live, /ready; no token.")] = None,
) -> None:
    """Take CBP's messages and filings over HTTP: POST /messages, from gateways for MQ, AS2, SFTP or e-mail.

    Example:  [bold]snp-router listen token add as2-gateway && snp-router listen[/bold]

    It runs until it is stopped. A body is answered with 200 once it is stored; its sender may repeat any request."""
    if context.invoked_subcommand is not None:
        return
    command.log_as_service(context)
    settings = settings_of(context).listen
    if not _tokens(context).scopes():
        say(f"{NO_TOKENS}; until then every request is refused")

    async def work(log: AdministeredLog, rules: Rules) -> None:
        from router.listener.message_server import serve_listener

        async with serve_listener(log, rules, settings, address or settings.address, status_listen) as listener:
            await listener.failure

    write_log(context, with_rules(context, work), is_service=True)


@token_app.command("add")
def add_token(
    context: typer.Context,
    name: TokenName,
    feed: Annotated[str, option("NAME", "Feed to which its messages belong.")] = DEFAULT_FEED,
    kinds: Annotated[str, option("LIST", "dispositions, filings or both, separated by commas.")] = "dispositions",
    issuers: Annotated[str, option("LIST", "SCACs of the issuers that it may file for.")] = "",
) -> None:
    """Add a token for a sender and show it once.

    Example:  [bold]snp-router listen token add nvxa-edi --kinds dispositions,filings --issuers NVXA,NVXB[/bold]

    Give a token for dispositions to systems that relay CBP's own messages only: they may stop and release any bill."""
    token = _tokens(context).add(name, feed, _listed(kinds), _listed(issuers))
    typer.echo(token)
    say(f"{name}: pass this token to the sender over a safe channel; it is not shown again")


@token_app.command("list")
def list_tokens(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """List the tokens by name, with what each may post. The tokens themselves are not kept.

    Example:  [bold]snp-router listen token list[/bold]"""
    rows = [
        {
            "name": name,
            "feed": scope.feed,
            "kinds": sorted(scope.kinds),
            "issuers": sorted(scope.issuers),
        }
        for name, scope in sorted(_tokens(context).scopes().items())
    ]
    print_rows(TOKEN, rows, form, empty=NO_TOKENS)


@token_app.command("remove")
def remove_token(context: typer.Context, name: TokenName) -> None:
    """Remove a token. Requests with it are refused at once.

    Example:  [bold]snp-router listen token remove nvxa-edi[/bold]"""
    _tokens(context).remove(name)
    say(f"requests with the token {name} are refused from now on")


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _tokens(context: typer.Context) -> Tokens:
    from router.listener.tokens import Tokens

    return Tokens(settings_of(context).listen.tokens_file)
