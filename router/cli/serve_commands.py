"""Commands that serve people and parties: `console`, `webhooks`, `registry`, `asyncapi`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from router.asyncapi_document import BrokerConnection, asyncapi_document
from router.cli import command, printing
from router.cli.command import (
    PartyArgument,
    RowsFormatOption,
    exit_if,
    flag,
    option,
    read_log,
    run,
    settings_of,
    with_rules,
    write_log,
)
from router.cli.printing import (
    TABLE,
    Column,
    RecordFields,
    announce,
    console,
    emit_rows,
    number_of,
    print_rows,
    say,
)
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.desk.receipts import WebhookOrder, WebhookState, order_output, read_receipts, read_webhooks
from router.desk.registered_parties import find_party
from router.engine.administration import AuditEntry, audit_output, os_user, read_registry
from router.errors import UsageError
from router.feeds.typed_times import typed_time
from router.log.interface import AdministeredLog
from router.log.url import KAFKA
from router.model.eastern import iso
from router.model.registry_values import Party
from router.presentation import plain
from router.schema_registry.schema_publication import ExternalRegistry, Registration
from router.settings import Settings
from router.webhooks.signing import add_secret, finish_rotation

if TYPE_CHECKING:
    from router.console.sessions import Users

console_app = typer.Typer()
user_app = typer.Typer(no_args_is_help=True, help="Add, remove or list the users of the console.")
console_app.add_typer(user_app, name="user")
NO_USERS: Final = "the console has no users: add one with `snp-router console user add NAME --role operator`"
UserName = Annotated[str, command.argument("NAME", "Name by which the user logs in.")]


@console_app.callback(invoke_without_command=True)
def serve_console_pages(
    context: typer.Context,
    listen: Annotated[str | None, option("HOST:PORT", "Default: setting console.listen, or 127.0.0.1:8080.")] = None,
    status_listen: Annotated[str | None, option("[HOST:]PORT", "Serve /metrics, /live, /ready; no log-in.")] = None,
) -> None:
    """Serve the operations desk to browsers: holds, waiting bills, notices and outages.

    Example:  [bold]snp-router console user add alice --role operator && snp-router console[/bold]

    It runs until it is stopped. Add its users first."""
    if context.invoked_subcommand is not None:
        return
    command.log_as_service(context)
    limits = tuple(feed.limit() for feed in settings_of(context).feeds)
    settings = settings_of(context).console
    if not settings.access.proxy_addresses and not _users(context).roles():
        raise UsageError(NO_USERS)

    async def work(log: AdministeredLog, rules: Rules) -> None:
        from router.console.application import serve_console

        async with serve_console(log, rules, settings, listen or settings.listen, status_listen, limits) as address:
            say(f"the console is at http://{address}/ ; Ctrl-C stops")
            await asyncio.Event().wait()

    read_log(context, with_rules(context, work), is_service=True)


@user_app.command("add")
def add_user(
    context: typer.Context,
    name: UserName,
    role: Annotated[
        str, option("ROLE", "viewer (may look), operator (may also act), admin (and manage users).")
    ] = "viewer",
) -> None:
    """Add a user, or change a user's role and password. Asks for the password, or reads it from standard input.

    Example:  [bold]snp-router console user add alice --role operator[/bold]"""
    from router.console.sessions import SHORTEST_PASSWORD

    users = _users(context)
    if sys.stdin.isatty():
        prompt = f"password, at least {SHORTEST_PASSWORD} characters"
        password = typer.prompt(prompt, hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    users.put(name, role, password)
    say(f"{name} may log in as {role}")


@user_app.command("remove")
def remove_user(context: typer.Context, name: UserName) -> None:
    """Remove a user. The user's open sessions end with their next page.

    Example:  [bold]snp-router console user remove alice[/bold]"""
    _users(context).remove(name)
    say(f"{name} may not log in any more")


@user_app.command("list")
def list_users(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """List the users and their roles.

    Example:  [bold]snp-router console user list[/bold]"""
    rows = [{"name": name, "role": role} for name, role in sorted(_users(context).roles().items())]
    print_rows(USER, rows, form, empty=NO_USERS)


USER: Final = (Column("name", None, lambda one: one["name"]), Column("role", None, lambda one: one["role"]))


def _users(context: typer.Context) -> Users:
    from router.console.sessions import Users

    return Users(settings_of(context).console.access.users_file)


webhooks_app = typer.Typer(no_args_is_help=True, help="Post notices to parties without Kafka; pause, replay, secrets.")
NO_WEBHOOKS: Final = "no party has a webhook_url: add one to the parties' table, then `snp-router import parties FILE`"


@webhooks_app.command("run")
def run_webhooks(
    context: typer.Context,
    status_listen: Annotated[str | None, option("[HOST:]PORT", "Serve /metrics, /live and /ready here.")] = None,
) -> None:
    """Post notices to every party that has a webhook_url, until stopped.

    Example:  [bold]snp-router webhooks run[/bold]

    It may be stopped at any time. Notices posted in the last half second may be posted again, with the same ids."""
    command.log_as_service(context)
    settings = settings_of(context).webhook_settings()

    async def work(log: AdministeredLog) -> None:
        from router.status import status_served
        from router.webhooks.delivery import DeliveryStatus, deliver_notices, wants_webhook

        parties = (await read_registry(log)).parties.values()
        wanted = sorted(party.id for party in parties if wants_webhook(party))
        announce(f"posting to {', '.join(wanted)}" if wanted else f"waiting for a webhook ({NO_WEBHOOKS})")
        status = DeliveryStatus(log)
        async with status_served(status.registry, status, status_listen):
            await deliver_notices(log, settings, status)

    write_log(context, work, is_service=True)


@webhooks_app.command("status")
def show_webhooks(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """Show each webhook: last delivery, waiting notices, failures. Ends with 1 if posting to one was given up.

    Example:  [bold]snp-router webhooks status[/bold]"""

    async def work(log: AdministeredLog) -> list[tuple[WebhookState, int | str, Party]]:
        parties = (await read_registry(log)).parties
        states = (await read_webhooks(log)).states
        wanted = [parties[party_id] for party_id in sorted(parties) if parties[party_id].webhook_url is not None]
        found = [(states.get(party.id) or WebhookState(party.id), party) for party in wanted]
        return [(state, await _undelivered(log, party), party) for state, party in found]

    found = read_log(context, work)
    print_rows(WEBHOOK, [_webhook_fields(*one) for one in found], form, empty=NO_WEBHOOKS)
    exit_if(any(state.disabled is not None or isinstance(waiting, str) for state, waiting, _ in found))


async def _undelivered(log: AdministeredLog, party: Party) -> int | str:
    """Number of notices that its endpoint has not taken, or why that is unknown."""
    receipt = (await read_receipts(log, [party]))[party.id]
    if receipt.unknown is not None:
        return receipt.unknown
    reading = log.read([party.topic], until_end=True, begin={(party.topic, 0): receipt.begin})
    return sum([sum(not receipt.has_read(record.offset) for record in batch) async for batch in reading])


def _webhook_fields(state: WebhookState, waiting: int | str, party: Party) -> RecordFields:
    shown = plain("webhook-state", state._asdict() | {"refused": [one._asdict() for one in state.refused]})
    number, unknown = (waiting, None) if isinstance(waiting, int) else (None, waiting)
    told = {"party": party.id, "waiting": number, "unknown": unknown, "state": _webhook_condition(state, party)}
    return told | shown


def _webhook_condition(state: WebhookState, party: Party) -> str:
    if party.status not in ("live", "certifying"):
        return party.status
    if state.disabled is not None:
        return "given up"
    if state.paused:
        return "paused"
    if state.failing_since is not None:
        return "failing"
    return "works" if state.delivered_notice is not None else "nothing posted yet"


def _last_error(fields: RecordFields) -> str:
    current = fields["last_error"] if fields["failing_since"] or fields["refused"] else None
    return str(fields["disabled"] or current or "")


WEBHOOK: Final = (
    Column("party", None, lambda one: one["party"]),
    Column("state", None, lambda one: one["state"]),
    Column("last delivery", None, lambda one: " ".join(filter(None, (one["delivered_at"], one["delivered_notice"])))),
    Column("waiting", None, lambda one: f"unknown: {one['unknown']}" if one["unknown"] else str(one["waiting"])),
    Column("refused", None, lambda one: str(len(one["refused"]) or "")),
    Column("failing since", None, lambda one: one["failing_since"] or ""),
    Column("last error", None, _last_error),
)


@webhooks_app.command("pause")
def pause_webhook(context: typer.Context, name: PartyArgument) -> None:
    """Stop posting to a party; its notices wait.

    Example:  [bold]snp-router webhooks pause NVXA[/bold]"""
    _order(context, name, "is paused", paused=True)


@webhooks_app.command("resume")
def resume_webhook(context: typer.Context, name: PartyArgument) -> None:
    """Resume posting at once, also to an endpoint that was given up or answered 410 Gone.

    Example:  [bold]snp-router webhooks resume NVXA[/bold]"""
    _order(context, name, "resumes")


@webhooks_app.command("replay")
def replay_webhook(
    context: typer.Context,
    name: PartyArgument,
    since: Annotated[str, option("TIME", command.MOMENT, "--from")],
) -> None:
    """Post all notices written for a party since a given time again, with the same ids. No notice is skipped.

    Example:  [bold]snp-router webhooks replay NVXA --from 2026-07-14T08:00[/bold]"""
    moment = typed_time("from", since, now_milliseconds())
    _order(context, name, f"posts again from {iso(moment)}", replay_from=moment)


def _order(
    context: typer.Context, name: str, text: str, *, paused: bool = False, replay_from: int | None = None
) -> None:
    async def work(log: AdministeredLog) -> Party:
        party = await find_party(log, name)
        if party.webhook_url is None:
            raise UsageError(f"{party.id} has no webhook_url: add it to the parties' table and import that again")
        now = now_milliseconds()
        entry = AuditEntry(now, os_user(), "webhooks order", party.id, text)
        order = WebhookOrder(party.id, paused, replay_from, now)
        await log.append([order_output(order), audit_output(entry)], atomic=True)
        return party

    console().print(f"the webhook of {write_log(context, work).id} {text}")


@webhooks_app.command("secret")
def make_webhook_secret(
    context: typer.Context,
    name: PartyArgument,
    finish: Annotated[bool, flag("--finish", "The party uses the newest secret: drop the older ones.")] = False,
) -> None:
    """Make a new secret for a party and show it once. Older secrets also sign until --finish.

    Example:  [bold]snp-router webhooks secret NVXA[/bold]"""
    settings = settings_of(context).webhook_settings()
    if settings.secret_command:
        raise UsageError("webhooks.secret_command supplies the secrets: change them there")
    party = read_log(context, lambda log: find_party(log, name))
    if finish:
        dropped = finish_rotation(settings.secrets_directory, party.id)
        console().print(f"{party.id}: {number_of(dropped, 'older secret')} dropped")
    else:
        typer.echo(add_secret(settings.secrets_directory, party.id))
        say(f"{party.id}: pass this secret to the party over a safe channel; it is not shown again")


REGISTRY_LISTEN: Final = "127.0.0.1:8081"
registry_app = typer.Typer(no_args_is_help=True, help="Schemas for parties: serve them, or use an external registry.")


@registry_app.command("serve")
def serve_registry(
    context: typer.Context,
    listen: Annotated[str, option("HOST:PORT", "Address to listen on; port 0 picks a free port.")] = REGISTRY_LISTEN,
) -> None:
    """Serve the schemas by the read-only part of the Confluent Schema Registry API, until stopped.

    Example:  [bold]snp-router registry serve --listen 10.0.0.5:8081[/bold]

    It needs no log and holds no secrets. It serves plain HTTP: put a TLS proxy between it and the parties."""

    command.log_as_service(context)

    async def serve() -> None:
        from router.http import serving
        from router.schema_registry.schema_server import schema_registry_app

        async with serving(schema_registry_app(), listen) as address:
            say(f"schemas are served at http://{address} ; Ctrl-C stops")
            await asyncio.Event().wait()

    run(serve())


@registry_app.command("check")
def check_registry(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """Check that the external registry (setting `registry.url`) has the router's schemas. Ends with 1 if not.

    Example:  [bold]snp-router registry check[/bold]"""
    _print_schemas(ExternalRegistry(settings_of(context).registry).registrations(), form)


@registry_app.command("register")
def register_schemas(context: typer.Context, form: RowsFormatOption = TABLE) -> None:
    """Register the schemas that the external registry lacks. Ends with 1 if it refuses one as incompatible.

    Example:  [bold]snp-router registry register[/bold]

    Only this command registers schemas. A router whose schemas are missing does not start."""
    _print_schemas(ExternalRegistry(settings_of(context).registry).register(), form)


def _print_schemas(registrations: list[Registration], form: printing.OutputFormat) -> None:
    if form is not TABLE:
        rows = [
            {"subject": schema.subject, "version": schema.version, "id": number, "problem": problem}
            for schema, number, problem in registrations
        ]
        emit_rows(rows, form)
    else:
        for schema, number, problem in registrations:
            result = f"id {number}" if number is not None else problem or "not registered"
            console().print(f"{schema.subject}, our version {schema.version}: {result}", soft_wrap=True)
    exit_if(any(one.id is None for one in registrations))


SECURITY: Final = {"SCRAM-SHA-512": "scramSha512", "SCRAM-SHA-256": "scramSha256", "PLAIN": "plain"}
"""AsyncAPI's names of Kafka's SASL mechanisms."""


def print_asyncapi(context: typer.Context) -> None:
    """Print an AsyncAPI 3 document (JSON) of the topics for parties and for feeds, with every field on them.

    Example:  [bold]snp-router asyncapi > asyncapi.json[/bold]

    It is made from the schemas and the settings: brokers (--log), log-in, address of the schemas
    (`registry.public_url`)."""
    document = asyncapi_document(_brokers(settings_of(context)))
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _brokers(settings: Settings) -> BrokerConnection | None:
    if not settings.log.startswith(KAFKA):
        return None
    from router.log.kafka.connection import bootstrap_of, kafka_settings

    kafka = kafka_settings(settings.kafka)
    security = SECURITY[kafka.sasl_mechanism] if kafka.sasl_username else "X509" if kafka.ssl_certfile else None
    registry = settings.registry
    addresses = tuple(bootstrap_of(settings.log).split(","))
    return BrokerConnection(addresses, kafka.ssl_cafile is not None, security, registry.public_url or registry.url)
