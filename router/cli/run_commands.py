"""`snp-router run`: the router itself.

`snp-router check`: settings, parties and sailings, and what is wrong with them and where.

`snp-router demo`: the bundled story, told notice by notice.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, TypeVar

import structlog
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router.cli import printing
from router.cli.invocation import ExitCode, Format, FormatOption, Session, console, emit, greet, run, say, session_of
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.demo.outage_days import SCENARIOS
from router.demo.scenario import PARTIES, STEPS, Scenario, Stage, play, replace_demo_file, set_up
from router.desk.views import NotFoundError, bill_fields, read_bill
from router.engine.administration import claims, read_registry, registry_problems, tell_time
from router.engine.intake import chunks_of, files_in, name_of
from router.engine.supervisor import SLOT, Supervisor
from router.engine.worker import Totals, Worker
from router.errors import UsageError
from router.feeds.tables import TableResult, read_parties, read_sailings
from router.log.interface import Log
from router.log.url import SQLITE, open_log
from router.model.registry_values import Party, Sailing
from router.model.vocabulary import Counted, Tally
from router.schema_registry.external import publish_under_external_ids
from router.settings import unknown_variables

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
        await tell_time(log)
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
    from router.observe.server import status_app
    from router.observe.watching import keep_watching

    host, port = address_of(listen)
    slot = int(os.environ.get(SLOT, 0))
    async with serving(
        status_app(worker.metrics.registry, worker.health), f"{host}:{port + slot if port else 0}"
    ) as address:
        _log.info("status_served", address=address)
        watching = asyncio.create_task(keep_watching(log, worker.shards, worker.metrics), name="watching lag")
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


Value = TypeVar("Value", Party, Sailing)


def check(
    context: typer.Context,
    parties: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Check this file of parties too.")] = None,
    sailings: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Check this file of sailings too.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Check the settings and what is registered, together with files that are not imported yet.

    Example:  [bold]snp-router check --parties parties.csv --sailings sailings.csv[/bold]

    Nothing is changed. Ends with 1 if there is any problem, with 2 if the settings can't be used.
    """
    session = session_of(context)
    codes = session.settings.decision_rules().codes
    problems = [f"environment: {name} sets nothing, there is no such setting" for name in unknown_variables()]
    registry = run(_registered(session))
    new_parties = list(_values(parties, read_parties, problems))
    problems += [problem for problem in claims(new_parties, registry.parties.values()) if problem not in problems]
    for party in new_parties:
        registry.apply(party)
    for sailing in _values(sailings, read_sailings, problems):
        registry.apply(sailing)
    problems += [problem for problem in registry_problems(registry) if problem not in problems]
    _report_check(problems, registry, codes.version, form)


def _values(
    files: Iterable[Path] | None, read: Callable[[Iterator[bytes], str], TableResult[Value]], problems: list[str]
) -> Iterator[Value]:
    """What is fine in the files; what isn't goes to `problems`."""
    for path in files_in(files or ()):
        result: TableResult[Value] = read(chunks_of(path), name_of(path))
        problems += [*map(str, result.problems), *result.notes]
        yield from result.values


async def _registered(session: Session) -> Registry:
    try:
        async with session.reading() as log:
            return await read_registry(log)
    except NotFoundError as error:
        say(f"nothing is registered yet: {error}")
        return Registry()


def _report_check(problems: list[str], registry: Registry, codes: str, form: Format) -> None:
    counts = {"parties": len(registry.parties), "sailings": len(registry.sailings)}
    if form is Format.JSON:
        emit(counts | {"codes": codes, "problems": problems})
    else:
        for problem in problems:
            console().print(f"problem: {problem}", soft_wrap=True)
        words = f"{counts['parties']} parties, {counts['sailings']} sailings, disposition codes of {codes}: "
        words += f"{len(problems)} problems" if problems else "nothing wrong"
        console().print(words)
    if problems:
        raise typer.Exit(ExitCode.PROBLEMS)


COMMAND = "snp-router"
SHOWN_BILL = "NVXAHBL000012345"
CO_LOADED_BILL = "NVXBHBL000067890"

NOTICE = (
    printing.Column("to", 4, lambda one: Text(one["recipient"], "bold")),
    printing.Column("notice", 7, lambda one: printing.kind_text(one["kind"])),
    printing.Column("about", 17, printing.bill_text),
    printing.Column("code", 4, lambda one: one["disposition_code"] or ""),
    printing.Column("status now", 19, lambda one: printing.status_text(one["status"])),
    printing.Column("told as, and what it says", None, printing.notice_words),
)


def demo(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to make it. Only an earlier demo's file is replaced.")
    ] = Path("snp-demo.db"),
    scenario: Annotated[
        str | None,
        typer.Option("--scenario", metavar="NAME", help=f"A day on which systems are down: {', '.join(SCENARIOS)}."),
    ] = None,
) -> None:
    """A ship shared by three lines, with two NVOCCs' cargo in one box: who is told what, message by message.

    Example:  [bold]snp-router demo[/bold]

    Makes a log of its own, whatever --log says, and leaves it for you to try the other commands on.
    """
    if scenario is None:
        run(_demo(file, console()))
    elif scenario in SCENARIOS:
        run(_play(SCENARIOS[scenario], file, console()))
    else:
        raise UsageError(f"there is no scenario {scenario!r}: {', '.join(SCENARIOS)}")


async def _demo(file: Path, out: Console) -> None:
    await replace_demo_file(file)
    out.print(Text("One ship, three lines, two NVOCCs", "bold"))
    out.print(
        "OCEAN EXEMPLAR is operated by OCNX; SLTC and HARX charter slots on her. NVXA and NVXB are NVOCCs who named "
        "only SLTC as second notify party. CBP's messages come in; each party gets its own notices.\n"
    )
    async with open_log(SQLITE + str(file)) as log:
        await set_up(log)
        number = 0
        async for step, notices in play(log):
            number += 1
            out.print(Text.assemble((f"{number}/{len(STEPS)} ", "dim"), (step.happens, "bold")))
            out.print(Padding(_table(notices), (0, 0, 0, 4)))
            out.print(Padding(Text(step.look, "italic"), (0, 0, 1, 4)))
        await _history(log, out)
    _next(file, out)


async def _play(scenario: Scenario, file: Path, out: Console) -> None:
    await replace_demo_file(file)
    out.print(Text(scenario.title, "bold"))
    async with open_log(SQLITE + str(file)) as log:
        stage = Stage(log, scenario.begins)
        await stage.set_up()
        async for act in scenario.play(stage):
            out.print(Text(f"\n{act.happens}", "bold"))
            for status in act.feed_status:
                out.print(Text(f"    everyone: {feed_status_words(status)}", "cyan"))
            if act.notices:
                out.print(Padding(_table(act.notices), (0, 0, 0, 4)))
    out.print(Text(f"\nAll this is in {file}: {_as_typed()} --log {SQLITE}{file} outage list --all", "cyan"))


def feed_status_words(status: printing.Fields) -> str:
    """As it stands on `snp.feed-status`: `DOWN since 07-14 12:00Z, port 2704: ACE is down (ticket 4711)`."""
    words = f"{status['state']} since {printing.moment(status['since'])}"
    words += f", port {status['port']}" if status["port"] else ""
    words += f": {status['reason']}" if status["reason"] else ""
    words += f" (ticket {status['ticket']})" if status["ticket"] else ""
    if status["late_events"] is not None:
        words += f"; came late: {status['late_do_not_loads']} do-not-loads, {status['late_holds']} other holds, "
        words += f"{status['late_events']} in all"
    return words


def _table(notices: Iterable[printing.Fields]) -> Table:
    return printing.table(NOTICE, notices)


async def _history(log: Log, out: Console) -> None:
    bill = bill_fields(await read_bill(log, Rules(), SHOWN_BILL))
    out.print(Text(f"The life of {SHOWN_BILL}, as kept for operators", "bold"))
    out.print(Padding(printing.timeline_table(bill["timeline"]), (0, 0, 1, 4)))


def _as_typed() -> str:
    """What to type to get this command again: its name, or its path where it is not on the shell's."""
    typed = Path(sys.argv[0])
    if typed.name != COMMAND or shutil.which(COMMAND):
        return COMMAND
    return str(typed.relative_to(Path.cwd()) if typed.is_relative_to(Path.cwd()) else typed)


def _next(file: Path, out: Console) -> None:
    url = SQLITE + str(file)
    out.print(Text(f"All this is in {file}. Try next:", "bold"))
    for command in (
        f"bill show {SHOWN_BILL}",
        f"explain {CO_LOADED_BILL}",
        f"tail --party {PARTIES[0]} --until-end",
        f"tail --party {PARTIES[-1]} --until-end --kind hold --format json",
        "tail --waiting --until-end",
    ):
        out.print(f"    {_as_typed()} --log {url} {command}", soft_wrap=True, style="cyan")
