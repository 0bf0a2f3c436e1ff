"""`snp-router demo`: the bundled story, told notice by notice."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router.cli import show
from router.cli.session import console, run
from router.decide.rules import Rules
from router.demo.outage_days import SCENARIOS
from router.demo.scenario import STEPS, play, replace_demo_file, set_up
from router.demo.stage import PARTIES, Scenario, Stage
from router.desk.bill_views import bill_fields, read_bill
from router.errors import UsageError
from router.log.interface import Log
from router.log.url import SQLITE, open_log

COMMAND = "snp-router"
SHOWN_BILL = "NVXAHBL000012345"
CO_LOADED_BILL = "NVXBHBL000067890"

NOTICE = (
    show.Column("to", 4, lambda one: Text(one["recipient"], "bold")),
    show.Column("notice", 7, lambda one: show.kind_text(one["kind"])),
    show.Column("about", 17, show.bill_text),
    show.Column("code", 4, lambda one: one["disposition_code"] or ""),
    show.Column("status now", 19, lambda one: show.status_text(one["status"])),
    show.Column("told as, and what it says", None, show.notice_words),
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


def feed_status_words(status: show.Fields) -> str:
    """As it stands on `snp.feed-status`: `DOWN since 07-14 12:00Z, port 2704: ACE is down (ticket 4711)`."""
    words = f"{status['state']} since {show.moment(status['since'])}"
    words += f", port {status['port']}" if status["port"] else ""
    words += f": {status['reason']}" if status["reason"] else ""
    words += f" (ticket {status['ticket']})" if status["ticket"] else ""
    if status["late_events"] is not None:
        words += f"; came late: {status['late_do_not_loads']} do-not-loads, {status['late_holds']} other holds, "
        words += f"{status['late_events']} in all"
    return words


def _table(notices: Iterable[show.Fields]) -> Table:
    return show.table(NOTICE, notices)


async def _history(log: Log, out: Console) -> None:
    bill = bill_fields(await read_bill(log, Rules(), SHOWN_BILL))
    out.print(Text(f"The life of {SHOWN_BILL}, as kept for operators", "bold"))
    out.print(Padding(show.timeline_table(bill["timeline"]), (0, 0, 1, 4)))


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
