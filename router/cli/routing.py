"""`snp-router run`: the router itself."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Final

import structlog
import typer

from router.cli.session import Format, FormatOption, Session, console, emit, greet, run, say, session_of
from router.engine.administration import append_tick
from router.engine.supervisor import SLOT, Supervisor
from router.engine.worker import Totals, Worker
from router.errors import UsageError
from router.log.interface import Log
from router.log.url import SQLITE
from router.model.vocabulary import Counted, Tally
from router.schema_registry.external import publish_under_external_ids

_log = structlog.get_logger(__name__)

COUNTED: Final[Mapping[Counted, str]] = {
    "events": "new events",
    "repeated": "repeated",
    "hold": "holds",
    "change": "changes",
    "release": "releases",
    "dead letters": "dead letters",
}
"""What the worker counts, and how its summary calls it."""
TELL_SECONDS: Final = 1.0


def run_router(
    context: typer.Context,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Stop when nothing is left to route.")] = False,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, metavar="N", help="So many processes, each replaced if it dies. Kafka only."),
    ] = 1,
    status_listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Answer /metrics, /live, /ready there; workers from that port on."),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Route what is fed in to the parties' topics, until stopped.

    Example:  [bold]snp-router run --until-idle[/bold]

    Stop it whenever you like: it goes on where it was, nothing is lost and nothing sent twice.
    """
    session = session_of(context)
    if workers > 1:
        raise typer.Exit(run(_supervise(session, workers)))
    totals = Totals()
    try:
        run(_route(session, totals, status_listen, until_idle=until_idle))
    except BaseException:
        if totals.counts:
            _report(totals, form)
        raise
    _report(totals, form)


async def _supervise(session: Session, workers: int) -> int:
    """Each worker is this same command without `--workers`, in a process of its own."""
    if session.settings.log.startswith(SQLITE):
        raise UsageError("SQLite has room for one router at a time: leave out --workers, or use a kafka:// log")
    words = [argument for argument in sys.argv[1:] if not argument.startswith("--workers=")]
    while "--workers" in words:
        place = words.index("--workers")
        del words[place : place + 2]
    return await Supervisor([sys.executable, "-m", "router.cli", *words], workers).run()


async def _route(session: Session, totals: Totals, listen: str | None, *, until_idle: bool) -> None:
    rules, work = session.settings.decision_rules(), session.settings.work_settings()
    await publish_under_external_ids(session.settings.registry)
    async with session.writing() as log:
        await append_tick(log)
        worker = Worker(log, rules, work, until_idle=until_idle)
        worker.totals = totals
        async with _showing(worker, log, listen or session.settings.status_listen), _telling(totals):
            if not until_idle:
                greet(f"routing {session.settings.log}")
            await worker.run()


@asynccontextmanager
async def _showing(worker: Worker, log: Log, listen: str | None) -> AsyncIterator[None]:
    """Figures and health, while the worker runs, where they are asked for."""
    if listen is None:
        yield
        return
    from router.http import address_of, serving
    from router.observe import status_app, watch_lag

    host, port = address_of(listen)
    slot = int(os.environ.get(SLOT, 0))
    async with serving(
        status_app(worker.metrics.registry, worker.health), f"{host}:{port + slot if port else 0}"
    ) as address:
        _log.info("status_served", address=address)
        watching = asyncio.create_task(watch_lag(log, worker.shards, worker.metrics), name="watching lag")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])


@asynccontextmanager
async def _telling(totals: Totals) -> AsyncIterator[None]:
    """A sign of life for a person at a terminal; programs have /metrics."""
    if not sys.stderr.isatty():
        yield
        return
    telling = asyncio.create_task(_tell(totals), name="telling what is routed")
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait([telling])


async def _tell(totals: Totals) -> None:
    """What was routed since it was last said, while it goes on."""
    told = Tally()
    while True:
        await asyncio.sleep(TELL_SECONDS)
        new, told = totals.counts - told, totals.counts.copy()
        if new:
            say(f"{datetime.now():%H:%M:%S} routed: {_words(new)}")


def _words(counts: Tally) -> str:
    said = ((counts[name], words) for name, words in COUNTED.items() if counts[name])
    return ", ".join(f"{n} {words if n > 1 else words.removesuffix('s')}" for n, words in said) or "nothing new"


def _report(totals: Totals, form: Format) -> None:
    if form is Format.JSON:
        counts = {name.replace(" ", "_"): totals.counts[name] for name in COUNTED}
        emit(counts | {"bills": sum(totals.bills.values())})
    else:
        console().print(f"routed: {_words(totals.counts)}; bills on the ledger: {sum(totals.bills.values())}")
