"""`snp-router webhooks`: notices by HTTPS to parties without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from router.cli.exit_codes import ExitCode
from router.cli.session import (
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
from router.cli.show import grid
from router.clock import now_milliseconds
from router.desk.receipts import Receipt
from router.desk.views import find_party
from router.desk.webhooks import WebhookOrder, WebhookState, order_output, read_webhooks
from router.engine.administration import AuditEntry, audit_output, machine_user, read_registry
from router.errors import UsageError
from router.feeds.forms import moment_of
from router.log.interface import Log
from router.model.registry_values import Party
from router.plain import plain
from router.webhooks.secrets import add_secret, finish_rotation

app = typer.Typer(no_args_is_help=True, help="Post notices to parties without Kafka, and see how far each is.")

NOBODY: Final = "no party has a webhook_url: give it one in the parties' table, then `snp-router import parties FILE`"


@app.command("run")
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
        greet(f"posting to {', '.join(wanted)}" if wanted else f"posting to nobody yet ({NOBODY})")
        await Webhooks(log, settings).run()


@app.command("status")
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
        say(NOBODY)
        return
    headings = ("party", "state", "delivered up to", "waiting", "refused", "failing since", "last error")
    console().print(grid(headings, (_cells(*one) for one in found)))


def _cells(state: WebhookState, waiting: int, party: Party) -> tuple[str, ...]:
    shown = _fields(state, waiting, party)
    last = "" if state.delivered_notice is None else f"{shown['delivered_at']} {state.delivered_notice}"
    error = state.disabled or (state.last_error if state.failing_since or state.refused else "") or ""
    counts = (str(waiting), str(len(state.refused) or ""))
    return party.scac, shown["state"], last, *counts, shown["failing_since"] or "", error


@app.command("pause")
def pause(context: typer.Context, scac: ScacArgument) -> None:
    """Post nothing more to a party; what comes waits.

    Example:  [bold]snp-router webhooks pause NVXA[/bold]
    """
    _order(context, scac, "is paused", paused=True)


@app.command("resume")
def resume(context: typer.Context, scac: ScacArgument) -> None:
    """Go on posting, at once; also takes up an endpoint that was given up or said 410 Gone.

    Example:  [bold]snp-router webhooks resume NVXA[/bold]
    """
    _order(context, scac, "goes on")


@app.command("replay")
def replay(
    context: typer.Context,
    scac: ScacArgument,
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="ISO 8601, Eastern where it has no offset.")],
) -> None:
    """Post again all that was written for a party since a moment, under the same ids. Nothing is ever skipped by it.

    Example:  [bold]snp-router webhooks replay NVXA --from 2026-07-14T08:00[/bold]
    """
    _order(context, scac, f"begins again with {since}", replay_from=moment_of("from", since))


@app.command("secret")
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
