"""Commands that run the router: `run`, `check` before it, and `demo`."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from router import topics
from router.background import background
from router.cli import printing
from router.cli.command import (
    READ_REQUESTS,
    FormatOption,
    argument,
    exit_if,
    flag,
    global_options_of,
    log_as_service,
    option,
    read_log,
    run,
    settings_of,
    write_log,
)
from router.cli.feed_commands import read_table
from router.cli.printing import JSON, NOTICE, TABLE, Column, RecordFields, console, emit, moment, number_of, say, table
from router.clock import now_milliseconds
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.decide.sailing_reasons import roster_notes
from router.demo.outage_days import OUTAGE_DAYS, DemoRouter, OutageDay
from router.demo.story import PARTIES, STEPS, play, replace_demo_file, set_up
from router.desk.bill_views import NotFoundError, bill_fields, read_bill
from router.desk.checked_bills import CheckedBills, read_bills
from router.desk.rules_in_force import differing, release_after_hold_text, rule_texts
from router.engine.administration import (
    append_tick,
    id_conflicts,
    read_registry,
    read_rules,
    registry_problems,
    write_first_rules,
)
from router.engine.backlog import read_position
from router.engine.request_process import RequestProcess, answer, confine
from router.engine.supervisor import SLOT, Supervisor, leave_with_supervisor
from router.engine.worker import Totals, Worker
from router.errors import UsageError
from router.feeds.tables import read_parties, read_sailings
from router.log.interface import AdministeredLog
from router.log.url import SQLITE, open_log
from router.model.vocabulary import Counted, Tally
from router.schema_registry.schema_publication import publish_under_external_ids
from router.settings import Settings, unknown_variables

COUNTED: Final[Mapping[Counted, str]] = {
    "events": "new event", "duplicates": "duplicate", "hold": "hold", "change": "change", "release": "release",
    "dead letters": "dead letter",
}  # fmt: skip
"""Names in the summary for what the worker counts."""
SUMMARY_SECONDS: Final = 1.0
RULES_SHOWN: Final = 10
"""Differing rules that a refusal names: a code table may have hundreds."""
STATUS_HELP: Final = "Serve /metrics, /live and /ready here; workers use the ports from there on."


def run_router(
    context: typer.Context,
    until_idle: Annotated[bool, flag("--until-idle", "Stop when nothing is left to route.")] = False,
    workers: Annotated[int, option("N", "Processes, each replaced if it dies. Kafka only.", min=1)] = 1,
    status_listen: Annotated[str | None, option("[HOST:]PORT", STATUS_HELP)] = None,
    form: FormatOption = TABLE,
) -> None:
    """Route what was ingested and imported to the parties' topics, until stopped.

    Example:  [bold]snp-router run --until-idle[/bold]

    It may be stopped at any time. It continues where it was when started again: nothing is lost or sent twice."""
    log_as_service(context)
    leave_with_supervisor()
    settings = settings_of(context)
    if workers > 1:
        if settings.log.startswith(SQLITE):
            raise UsageError("SQLite allows one router at a time: leave out --workers, or use a kafka:// log")
        if "group_instance_id" in settings.kafka:
            raise UsageError(
                "kafka.group_instance_id is that of one router. Leave it out with --workers: each worker gets its own"
            )
        raise typer.Exit(run(Supervisor(_worker_command(), workers, settings.log).run()))
    totals = Totals()
    try:
        _route(context, totals, status_listen or settings.status_listen, until_idle=until_idle)
    except BaseException:
        if totals.counts:
            _report_totals(totals, form)
        raise
    _report_totals(totals, form)


def _worker_command() -> list[str]:
    """This same command without `--workers`."""
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--workers=")]
    while "--workers" in arguments:
        place = arguments.index("--workers")
        del arguments[place : place + 2]
    return [sys.executable, "-m", "router.cli", *arguments]


def _route(context: typer.Context, totals: Totals, listen: str | None, *, until_idle: bool) -> None:
    settings = settings_of(context)
    first, work_settings = settings.rules_after(None), settings.work_settings()
    run(publish_under_external_ids(settings.registry))

    async def work(log: AdministeredLog) -> None:
        await append_tick(log)
        await write_first_rules(log, first, now_milliseconds())
        _refuse_other_rules(settings, await read_rules(log, first))
        find = RequestProcess(_request_command(context))
        worker = Worker(log, first, work_settings, until_idle=until_idle, find_requests=find)
        worker.totals = totals
        async with _serving_status(worker, log, listen), _progress(worker, log) if until_idle else _summarising(totals):
            if not until_idle:
                printing.announce(f"routing {settings.log}")
            await worker.run()

    write_log(context, work, is_service=True)


def _request_command(context: typer.Context) -> list[str]:
    given = global_options_of(context)
    named = {"--log": given.log_url, "--config": given.config}
    options = [word for name, value in named.items() if value for word in (name, str(value))]
    return [sys.executable, "-m", "router.cli", *options, READ_REQUESTS]


def read_requests(context: typer.Context) -> None:
    """Read what parties wrote to their request topics, for the router that started it."""
    confine()
    settings = settings_of(context)

    async def work() -> None:
        async with open_log(settings.log, settings.log_settings()) as log:
            await answer(log)

    run(work())


def _refuse_other_rules(settings: Settings, current: Rules) -> None:
    """Two routers whose files differ would decide differently. Raises UsageError."""
    if changes := differing(current, settings.rules_after(current), settings.given_rules):
        rows = [f"{one.name}: in force is {one.old}, the settings say {one.new}" for one in changes[:RULES_SHOWN]]
        rows += [f"and {len(changes) - RULES_SHOWN} more"] if len(changes) > RULES_SHOWN else []
        raise UsageError(
            "\n  ".join([f"the settings differ from the rules in force (number {current.number}):", *rows])
            + "\nput them in force with `snp-router rules apply`, or take these lines out of the settings"
        )


@asynccontextmanager
async def _serving_status(worker: Worker, log: AdministeredLog, listen: str | None) -> AsyncIterator[None]:
    """Serve metrics and health at `listen` while the block runs."""
    if listen is None:
        yield
        return
    from router.http import address_of
    from router.observe import watch_lag
    from router.status import status_served

    host, port = address_of(listen)
    address = f"{host}:{port + int(os.environ.get(SLOT, 0)) if port else 0}"
    async with (
        status_served(worker.metrics.registry, worker.health, address),
        background("watching the lag", partial(watch_lag, log, worker.passed, worker.metrics)),
    ):
        yield


PROGRESS_SECONDS: Final = 0.5


@asynccontextmanager
async def _progress(worker: Worker, log: AdministeredLog) -> AsyncIterator[None]:
    """Show on a terminal, while the block runs, how much of the input that was there at its begin is routed."""
    with printing.record_progress() as report:
        if report is None:
            yield
            return
        ends = {topic: await log.end_offsets(topic) for topic in topics.FED}

        def left_of(task: int, position: Mapping[str, int]) -> int:
            return sum(max(0, ends[topic].get(task, 0) - position.get(topic, 0)) for topic in topics.FED)

        positions = {task: await read_position(log, task) for task in ends[topics.DISPOSITIONS]}
        left = {task: left_of(task, found.offsets if found else {}) for task, found in positions.items()}
        total = sum(left.values())

        async def keep_showing() -> None:
            while total:
                left.update((task, left_of(task, shard.position)) for task, shard in worker.shards.items())
                report("routing", total - sum(left.values()), total)
                await asyncio.sleep(PROGRESS_SECONDS)

        async with background("showing the progress", keep_showing):
            yield
        if total:
            report("routing", total, total)


@asynccontextmanager
async def _summarising(totals: Totals) -> AsyncIterator[None]:
    """Say on a terminal, while the block runs, what was routed; programs use /metrics."""
    if not sys.stderr.isatty():
        yield
        return

    async def summarise() -> None:
        before = Tally()
        while True:
            await asyncio.sleep(SUMMARY_SECONDS)
            new, before = totals.counts - before, totals.counts.copy()
            if new:
                say(f"{datetime.now():%H:%M:%S} routed: {_tally_text(new)}")

    async with background("summarising what is routed", summarise):
        yield


def _tally_text(counts: Tally) -> str:
    parts = [number_of(counts[name], noun) for name, noun in COUNTED.items() if counts[name]]
    return ", ".join(parts) or "nothing new"


def _report_totals(totals: Totals, form: printing.OutputFormat) -> None:
    bills = sum(totals.bills.values())
    if form is JSON:
        emit({name.replace(" ", "_"): totals.counts[name] for name in COUNTED} | {"bills": bills})
    else:
        console().print(f"routed: {_tally_text(totals.counts)}; {number_of(bills, 'bill')} on the ledger")


def check(
    context: typer.Context,
    parties: Annotated[list[Path] | None, option("FILE", "Also check this table of parties.")] = None,
    sailings: Annotated[list[Path] | None, option("FILE", "Also check this table of sailings.")] = None,
    form: FormatOption = TABLE,
) -> None:
    """Check the settings, the registered parties and sailings, and tables that are not imported yet.

    Example:  [bold]snp-router check --parties parties.csv --sailings sailings.csv[/bold]

    It counts the bills that the rule release_after_hold holds, now and last month, and how often CBP filled X420,
    and lists the bills of which CBP has another quantity than their filing: 2 s for 100,000 bills.

    It changes nothing. Ends with 1 if there is any problem, with 2 if the settings cannot be used."""
    settings = settings_of(context)
    rules = settings.rules_after(None)
    bills: CheckedBills | None = None
    problems = [f"environment: there is no setting {name}" for name in unknown_variables()]
    try:
        registry, bills = read_log(context, _registry_and_bills)
    except NotFoundError as error:
        say(f"nothing is registered yet: {error}")
        registry = Registry()
    if registry.rules is not None:
        rules = registry.rules
        if rules.codes.bundled != (first := settings.rules_after(None)).codes.bundled:
            say(f"the code table of this version, {first.codes.version}, is not in force: `snp-router rules apply`")
        changes = differing(rules, settings.rules_after(rules), settings.given_rules)
        problems += [
            f"settings: {one.name} is {one.new}, in force is {one.old}: no router starts until `snp-router rules "
            "apply`, or until the line is taken out"
            for one in changes
        ]
    new_parties, new_sailings = read_table(parties, read_parties), read_table(sailings, read_sailings)
    problems += [*map(str, new_parties.problems), *new_parties.notes]
    conflicts = id_conflicts({party.id: party for party in new_parties.values}, registry.parties)
    problems += [f"{new_parties.places[id]}: {problem}" for id, found in conflicts.items() for problem in found]
    problems += [*map(str, new_sailings.problems), *new_sailings.notes]
    for party in new_parties.values:
        registry.apply(party)
    for sailing in new_sailings.values:
        registry.apply(sailing)
    problems = list(dict.fromkeys([*problems, *registry_problems(registry)]))
    if form is JSON:
        counts = {"parties": len(registry.parties), "sailings": len(registry.roster.sailings())}
        waiting = {
            "unconfirmed_releases": bills.unconfirmed._asdict() if bills is not None else None,
            "differing_quantities": [one._asdict() for one in bills.differing] if bills is not None else None,
            "x420": [one._asdict() for one in bills.indicators] if bills is not None else None,
        }
        in_force = {"number": rules.number} | rule_texts(rules)
        found = {"problems": problems, "notes": list(roster_notes(registry))}
        emit(counts | waiting | {"codes": rules.codes.version, "rules": in_force} | found)
    else:
        for problem in problems:
            console().print(f"problem: {problem}", soft_wrap=True)
        of_bills = (*bills.quantity_notes(), *bills.indicator_notes(rules)) if bills is not None else ()
        for note in (*roster_notes(registry), *of_bills):
            console().print(f"note: {note}", soft_wrap=True)
        registered = (
            f"{number_of(len(registry.parties), 'party')}, {number_of(len(registry.roster.sailings()), 'sailing')}"
        )
        result = number_of(len(problems), "problem") if problems else "no problems"
        console().print(f"{registered}, disposition codes of {rules.codes.version}: {result}")
        held = "" if bills is None else f". {bills.unconfirmed.sentence()}"
        console().print(f"rules {rules.number}: {release_after_hold_text(rules)}{held}", soft_wrap=True)
    exit_if(problems)


async def _registry_and_bills(log: AdministeredLog) -> tuple[Registry, CheckedBills]:
    registry = await read_registry(log)
    return registry, await read_bills(log, registry)


COMMAND: Final = "snp-router"
DEMO_FILE: Final = Path("snp-demo.db")
SHOWN_BILL: Final = "NVXAHBL000012345"
DEMO_NOTICE: Final = (
    Column("to", 4, lambda one: Text(one["recipient"], "bold")),
    *(column for column in NOTICE if column.name != "posted"),
)


def demo(
    file: Annotated[Path, argument("FILE", "Log to create. Only an earlier demo's file is replaced.")] = DEMO_FILE,
    scenario: Annotated[
        str | None, option("NAME", f"Play an outage instead: {', '.join(OUTAGE_DAYS)}.", "--scenario")
    ] = None,
) -> None:
    """Play a story: three lines share a ship, two NVOCCs a container. It shows each party's notices for each message.

    Example:  [bold]snp-router demo[/bold]

    It creates a log of its own, whatever --log says. Try the other commands on that log."""
    if scenario is None:
        run(_play_story(file, console()))
    elif scenario in OUTAGE_DAYS:
        run(_play_outage(OUTAGE_DAYS[scenario], file, console()))
    else:
        raise UsageError(f"there is no scenario {scenario!r}: choose one of {', '.join(OUTAGE_DAYS)}")


async def _play_story(file: Path, out: Console) -> None:
    await replace_demo_file(file)
    out.print(Text("One ship, three lines, two NVOCCs", "bold"))
    out.print(
        "OCNX operates OCEAN EXEMPLAR; SLTC and HARX charter slots on her. NVXA and NVXB are NVOCCs that named only "
        "SLTC as second notify party. CBP's messages come in; each party gets its own notices.\n"
    )
    async with open_log(SQLITE + str(file)) as log:
        await set_up(log)
        number = 0
        async for step, notices in play(log):
            number += 1
            out.print(Text.assemble((f"{number}/{len(STEPS)} ", "dim"), (step.happens, "bold")))
            _print_notices(notices, out)
            out.print(Padding(Text(step.look, "italic"), (0, 0, 1, 4)))
        bill = bill_fields(await read_bill(log, Rules(), SHOWN_BILL))
        out.print(Text(f"The history of {SHOWN_BILL}, as operators see it", "bold"))
        out.print(Padding(printing.timeline_table(bill["timeline"]), (0, 0, 1, 4)))
    out.print(Text(f"All this is in {file}. Try next:", "bold"))
    for command in (
        f"bill show {SHOWN_BILL}",
        "explain NVXBHBL000067890",
        f"tail --party {PARTIES[0]} --until-end",
        f"tail --party {PARTIES[-1]} --until-end --kind hold --format json",
        "tail --waiting --until-end",
    ):
        out.print(f"    {_as_typed()} --log {SQLITE}{file} {command}", soft_wrap=True, style="cyan")


async def _play_outage(day: OutageDay, file: Path, out: Console) -> None:
    await replace_demo_file(file)
    out.print(Text(day.title, "bold"))
    async with open_log(SQLITE + str(file)) as log:
        router = DemoRouter(log, day.begins)
        await router.set_up()
        async for episode in day.play(router):
            out.print(Text(f"\n{episode.happens}", "bold"))
            for status in episode.feed_status:
                out.print(Text(f"    everyone: {feed_status_text(status)}", "cyan"))
            if episode.notices:
                _print_notices(episode.notices, out)
    out.print(Text(f"\nAll this is in {file}: {_as_typed()} --log {SQLITE}{file} outage list --all", "cyan"))


def _print_notices(notices: list[RecordFields], out: Console) -> None:
    out.print(Padding(table(DEMO_NOTICE, notices), (0, 0, 0, 4)))


def feed_status_text(status: RecordFields) -> str:
    """`DOWN since 07-14 12:00Z, port 2704: ACE is down (ticket 4711)`: a record of `snp.feed-status`."""
    text = f"{status['state']} since {moment(status['since'])}"
    text += f", port {status['port']}" if status["port"] else ""
    text += f": {status['reason']}" if status["reason"] else ""
    text += f" (ticket {status['ticket']})" if status["ticket"] else ""
    if status["late_events"] is not None:
        counts = printing.late_counts(status["late_do_not_loads"], status["late_holds"], status["late_events"])
        text += f"; late: {counts}"
    return text


def _as_typed() -> str:
    """This command as the user has to type it: by name, or by path if the shell does not find the name."""
    typed = Path(sys.argv[0])
    if typed.name != COMMAND or shutil.which(COMMAND):
        return COMMAND
    return str(typed.relative_to(Path.cwd()) if typed.is_relative_to(Path.cwd()) else typed)
