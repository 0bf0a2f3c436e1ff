"""`snp-router console`: the operations desk's pages, and who may see them.

`snp-router webhooks`: notices by HTTPS to parties without Kafka.

`snp-router registry`: the schemas that parties need, for their deserializers.

`snp-router asyncapi`: what parties read and write, for their tools.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from router.asyncapi import Brokers, asyncapi_document
from router.cli.invocation import (
    ExitCode,
    Format,
    FormatOption,
    ScacArgument,
    Session,
    configure_log_lines,
    console,
    emit,
    greet,
    level_of,
    run,
    say,
    session_of,
)
from router.cli.printing import grid
from router.clock import now_milliseconds
from router.desk.receipts import Receipt
from router.desk.views import find_party
from router.desk.webhooks import WebhookOrder, WebhookState, order_output, read_webhooks
from router.engine.administration import AuditEntry, audit_output, machine_user, read_registry
from router.errors import UsageError
from router.feeds.by_hand import moment_of
from router.log.interface import Log
from router.log.url import KAFKA
from router.model.registry_values import Party
from router.plain import plain
from router.schema_registry.external import ExternalRegistry, Standing
from router.settings import Settings
from router.webhooks.secrets import add_secret, finish_rotation

if TYPE_CHECKING:
    from router.console.access import Users

console_app = typer.Typer()
user_app = typer.Typer(no_args_is_help=True, help="Who may log in.")
console_app.add_typer(user_app, name="user")

NO_USERS = "nobody may log in yet: `snp-router console user add NAME --role operator`"

Name = Annotated[str, typer.Argument(metavar="NAME")]


@console_app.callback(invoke_without_command=True)
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
    from router.console.serve import serve_console

    settings = session.settings.console
    if not settings.access.proxy_addresses and not _users(session).names():
        raise UsageError(NO_USERS)
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
    from router.console.access import SHORTEST_PASSWORD

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
    users = _users(session_of(context)).names()
    if not users:
        say(NO_USERS)
    for name, role in sorted(users.items()):
        console().print(f"{name}  {role}")


def _users(session: Session) -> Users:
    from router.console.access import Users

    return Users(session.settings.console.access.users_file)


webhooks_app = typer.Typer(no_args_is_help=True, help="Post notices to parties without Kafka, and see how far each is.")

NO_WEBHOOKS: Final = (
    "no party has a webhook_url: give it one in the parties' table, then `snp-router import parties FILE`"
)


@webhooks_app.command("run")
def run_webhooks(context: typer.Context) -> None:
    """Post notices to each party that has a webhook_url, until stopped.

    Example:  [bold]snp-router webhooks run[/bold]

    Stop it whenever you like. What was posted in the last half second may be posted again, under the same webhook-id.
    """
    session = session_of(context)
    configure_log_lines(level_of(session, talks=True))
    run(_run(session))


async def _run(session: Session) -> None:
    from router.webhooks.worker import Webhooks, wants_webhook

    settings = session.settings.webhook_settings()
    async with session.writing() as log:
        parties = (await read_registry(log)).parties.values()
        wanted = sorted(party.scac for party in parties if wants_webhook(party))
        greet(f"posting to {', '.join(wanted)}" if wanted else f"posting to nobody yet ({NO_WEBHOOKS})")
        await Webhooks(log, settings).run()


@webhooks_app.command("status")
def status(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """How far each party is: delivered up to, waiting, failing since, the last error. Ends with 1 if one is given up.

    Example:  [bold]snp-router webhooks status[/bold]
    """
    found = run(_status(session_of(context)))
    if form is Format.JSON:
        for state, waiting, party in found:
            emit(_fields(state, waiting, party))
    else:
        _print(found)
    if any(state.disabled is not None for state, _, _ in found):
        raise typer.Exit(ExitCode.PROBLEMS)


async def _status(session: Session) -> list[tuple[WebhookState, int, Party]]:
    async with session.reading() as log:
        parties = (await read_registry(log)).parties
        states = (await read_webhooks(log)).states
        wanted = [parties[scac] for scac in sorted(parties) if parties[scac].webhook_url is not None]
        found = [(states.get(party.scac) or WebhookState(party.scac), party) for party in wanted]
        return [(state, await _waiting(log, state, party), party) for state, party in found]


async def _waiting(log: Log, state: WebhookState, party: Party) -> int:
    receipt = Receipt(state.taken_to, frozenset(state.open))
    reading = log.read([party.topic], until_end=True, begin={(party.topic, 0): receipt.begin})
    return sum([sum(not receipt.has_read(record.offset) for record in batch) async for batch in reading])


def _fields(state: WebhookState, waiting: int, party: Party) -> dict[str, Any]:
    shown = plain("webhook-state", state._asdict() | {"refused": [one._asdict() for one in state.refused]})
    return {"party": party.scac, "waiting": waiting, "state": _word(state, party)} | shown


def _word(state: WebhookState, party: Party) -> str:
    if party.status not in ("live", "certifying"):
        return party.status
    if state.disabled is not None:
        return "given up"
    if state.paused:
        return "paused"
    if state.failing_since is not None:
        return "failing"
    return "works" if state.delivered_notice is not None else "nothing posted yet"


def _print(found: Sequence[tuple[WebhookState, int, Party]]) -> None:
    if not found:
        say(NO_WEBHOOKS)
        return
    headings = ("party", "state", "delivered up to", "waiting", "refused", "failing since", "last error")
    console().print(grid(headings, (_cells(*one) for one in found)))


def _cells(state: WebhookState, waiting: int, party: Party) -> tuple[str, ...]:
    shown = _fields(state, waiting, party)
    last = "" if state.delivered_notice is None else f"{shown['delivered_at']} {state.delivered_notice}"
    error = state.disabled or (state.last_error if state.failing_since or state.refused else "") or ""
    counts = (str(waiting), str(len(state.refused) or ""))
    return party.scac, shown["state"], last, *counts, shown["failing_since"] or "", error


@webhooks_app.command("pause")
def pause(context: typer.Context, scac: ScacArgument) -> None:
    """Post nothing more to a party; what comes waits.

    Example:  [bold]snp-router webhooks pause NVXA[/bold]
    """
    _order(context, scac, "is paused", paused=True)


@webhooks_app.command("resume")
def resume(context: typer.Context, scac: ScacArgument) -> None:
    """Go on posting, at once; also takes up an endpoint that was given up or said 410 Gone.

    Example:  [bold]snp-router webhooks resume NVXA[/bold]
    """
    _order(context, scac, "goes on")


@webhooks_app.command("replay")
def replay(
    context: typer.Context,
    scac: ScacArgument,
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="ISO 8601, Eastern where it has no offset.")],
) -> None:
    """Post again all that was written for a party since a moment, under the same ids. Nothing is ever skipped by it.

    Example:  [bold]snp-router webhooks replay NVXA --from 2026-07-14T08:00[/bold]
    """
    _order(context, scac, f"begins again with {since}", replay_from=moment_of("from", since))


@webhooks_app.command("secret")
def secret(
    context: typer.Context,
    scac: ScacArgument,
    finish: Annotated[
        bool, typer.Option("--finish", help="The party has changed over: only the newest secret signs from now on.")
    ] = False,
) -> None:
    """Make a secret for a party and show it, once. Those before go on signing beside it until --finish.

    Example:  [bold]snp-router webhooks secret NVXA[/bold]
    """
    session = session_of(context)
    settings = session.settings.webhook_settings()
    if settings.secret_command:
        raise UsageError("secrets come from webhooks.secret_command: rotate them there")
    party = run(_find(session, scac))
    if finish:
        dropped = finish_rotation(settings.secrets_directory, party.scac)
        console().print(f"{party.scac}: {dropped} older secrets dropped")
    else:
        typer.echo(add_secret(settings.secrets_directory, party.scac))
        say(f"{party.scac}: give it to the party on a safe way; it is not shown again")


async def _find(session: Session, scac: str) -> Party:
    async with session.reading() as log:
        return await find_party(log, scac)


def _order(
    context: typer.Context, scac: str, words: str, *, paused: bool = False, replay_from: int | None = None
) -> None:
    party = run(_append_order(session_of(context), scac, words, paused, replay_from))
    console().print(f"the webhook of {party.scac} {words}")


async def _append_order(session: Session, scac: str, words: str, paused: bool, replay_from: int | None) -> Party:
    async with session.writing() as log:
        party = await find_party(log, scac)
        if party.webhook_url is None:
            raise UsageError(
                f"{party.scac} has no webhook_url: give it one in the parties' table and import that again"
            )
        now = now_milliseconds()
        deed = AuditEntry(now, machine_user(), "webhooks order", party.scac, words)
        await log.append_atomic([order_output(WebhookOrder(party.scac, paused, replay_from, now)), audit_output(deed)])
        return party


DEFAULT_LISTEN = "127.0.0.1:8081"

registry_app = typer.Typer(help="The schemas that parties need, for their deserializers.", no_args_is_help=True)


@registry_app.command("serve")
def serve_registry(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where; port 0: any free one.")] = DEFAULT_LISTEN,
) -> None:
    """Serve the read-only part of the Confluent Schema Registry API, until stopped by Ctrl-C.

    Example:  [bold]snp-router registry serve --listen 10.0.0.5:8081[/bold]

    It needs no log and holds nothing secret. It speaks plain HTTP: to parties put it behind what ends TLS for you.
    """
    run(_serve_registry(listen))


async def _serve_registry(listen: str) -> None:
    from router.http import serving
    from router.schema_registry.server import schema_registry_app

    async with serving(schema_registry_app(), listen) as address:
        say(f"schemas are served at http://{address}")
        await asyncio.Event().wait()


@registry_app.command()
def check(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Say whether the external registry (setting `registry.url`) has our schemas. Ends with 1 if it lacks one.

    Example:  [bold]snp-router registry check[/bold]
    """
    _show(ExternalRegistry(session_of(context).settings.registry).standings(), form)


@registry_app.command()
def register(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Register what the external registry lacks. What is not compatible is refused, and ends with 1.

    Example:  [bold]snp-router registry register[/bold]

    Nothing else ever registers: a router whose schemas are not there says so and does not start.
    """
    _show(ExternalRegistry(session_of(context).settings.registry).register(), form)


def _show(standings: list[Standing], form: Format) -> None:
    for schema, number, problem in standings:
        if form is Format.JSON:
            emit({"subject": schema.subject, "version": schema.version, "id": number, "problem": problem})
        else:
            words = f"id {number}" if number is not None else problem or "not registered"
            console().print(f"{schema.subject}, our version {schema.version}: {words}", soft_wrap=True)
    if any(standing.id is None for standing in standings):
        raise typer.Exit(ExitCode.PROBLEMS)


SECURITY: Final = {"SCRAM-SHA-512": "scramSha512", "SCRAM-SHA-256": "scramSha256", "PLAIN": "plain"}
"""Kafka's names of ways to log in, and AsyncAPI's."""


def asyncapi(context: typer.Context) -> None:
    """Print an AsyncAPI 3 document, as JSON, of the topics that parties use, with every field of what is on them.

    Example:  [bold]snp-router asyncapi > asyncapi.json[/bold]

    Made from the schemas and the settings: brokers (--log), how parties log in, where they find schemas
    (`registry.public_url`).
    """
    typer.echo(json.dumps(asyncapi_document(_brokers(session_of(context).settings)), indent=2, ensure_ascii=False))


def _brokers(settings: Settings) -> Brokers | None:
    if not settings.log.startswith(KAFKA):
        return None
    from router.log.kafka.settings import bootstrap_of, kafka_settings

    kafka = kafka_settings(settings.kafka)
    security = SECURITY[kafka.sasl_mechanism] if kafka.sasl_username else "X509" if kafka.ssl_certfile else None
    registry = settings.registry
    addresses = tuple(bootstrap_of(settings.log).split(","))
    return Brokers(addresses, kafka.ssl_cafile is not None, security, registry.public_url or registry.url)
