"""Fifty browsers' worth of live pages: `python -m benchmarks.console`.

A router works on SQLite at a set pace of notices a second while a console, its own process, shows them to that many
browsers, each with its stream and the first page fetched anew whenever it changed. The same pace without a console is
routed in turn, interleaved. Shown: the CPU of the router for an event with and without, and what memory and CPU the
console has.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import aiohttp
import requests
from rich.console import Console
from rich.table import Table

from benchmarks.cargo import Trade
from benchmarks.options import Options
from router import topics
from router.codec import encode_value
from router.console import ConsoleSettings
from router.console.sessions import OPERATOR, Users
from router.decide.identity import event_key
from router.decide.rules import Rules
from router.engine.worker import Worker
from router.log.interface import Log, Output
from router.log.url import open_log

FAN_OUT: Final = 4
TICKS_A_SECOND: Final = 10
TRADE: Final = Trade(parties=FAN_OUT, fan_out=FAN_OUT)
PASSWORD: Final = "for a benchmark only"
PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")
CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    router_microseconds: float
    """Of CPU, for each event."""
    first_megabytes: float
    """Of the console, after a fifth of the time."""
    last_megabytes: float
    console_cpu: float
    """Share of one core."""
    beats: int
    """That all streams got together."""
    pages: int
    """Fetched by all of them together."""


def main() -> None:
    arguments = Options(__doc__, streams=(50, 3), notices=(1000, 100), seconds=(60, 3), rounds=(3, 1)).asked()
    runs: dict[str, list[Run]] = {f"{arguments.streams} streams": [], "no console": []}
    for _ in range(arguments.rounds):
        for name, streams in zip(runs, (arguments.streams, 0), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                measuring = measured(Path(folder), streams, arguments.notices, arguments.seconds)
                runs[name].append(asyncio.run(measuring))
    Console().print(table(runs, arguments.notices, arguments.seconds))


class Stream:
    """One browser's: it fetches its page as the console's script does, and counts."""

    def __init__(self) -> None:
        self.beats = 0
        self.pages = 0

    async def read(self, address: str, cookie: str) -> None:
        limits = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(f"http://{address}", headers={"cookie": cookie}, timeout=limits) as session,
            session.get("/live") as stream,
        ):
            shown, earliest = None, 0.0
            async for line in stream.content:
                if not line.startswith(b"data: "):
                    continue
                self.beats += 1
                beat = json.loads(line[6:])
                revision = beat["revision"]
                if revision != shown and time.monotonic() >= earliest:
                    began = time.monotonic()
                    async with session.get("/") as page:
                        assert page.status == HTTPStatus.OK
                        await page.read()
                    self.pages += 1
                    shown, earliest = revision, max(beat["pause"], 10 * (time.monotonic() - began)) + time.monotonic()


class Watched:
    """The console's process; its figures are Linux's own."""

    def __init__(self, folder: Path) -> None:
        settings = ConsoleSettings()
        Users(folder / settings.access.users_file).put("bench", OPERATOR, PASSWORD)
        command = [sys.executable, "-m", "router.cli", "console", "--listen", "127.0.0.1:0"]
        environment = os.environ | {
            "SNP_LOG": f"sqlite:///{folder}/snp.db",
            "SNP_CONSOLE__ACCESS__SECURE_COOKIE": "false",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        found = re.search(r"http://([0-9.:]+)/", self.process.stderr.readline())
        if found is None:
            raise SystemExit("the console did not start")
        self.address = found[1]

    def log_in(self) -> str:
        answer = requests.post(
            f"http://{self.address}/login",
            data={"name": "bench", "password": PASSWORD},
            allow_redirects=False,
            timeout=30,
        )
        return answer.headers["set-cookie"].partition(";")[0]

    def megabytes(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * PAGE_SIZE / 1e6

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


@contextmanager
def console(folder: Path) -> Iterator[Watched]:
    watched = Watched(folder)
    try:
        yield watched
    finally:
        watched.process.terminate()
        watched.process.wait()


async def measured(folder: Path, streams: int, notices: int, seconds: int) -> Run:
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        await TRADE.register(log)
        with ExitStack() as stack:
            watched = stack.enter_context(console(folder)) if streams else None
            cookie = watched.log_in() if watched else ""
            opened = [Stream() for _ in range(streams)]
            reading = [asyncio.create_task(one.read(watched.address, cookie)) for one in opened if watched]
            routing = asyncio.create_task(Worker(log, Rules()).run())
            await asyncio.sleep(1)
            began = watched.megabytes() if watched else 0.0
            cpu, console_cpu = time.process_time(), watched.cpu_seconds() if watched else 0.0
            await feed(log, notices // FAN_OUT, seconds)
            cpu = time.process_time() - cpu
            ended = watched.megabytes() if watched else 0.0
            console_cpu = (watched.cpu_seconds() if watched else 0.0) - console_cpu
            for task in (routing, *reading):
                task.cancel()
            await asyncio.wait([routing, *reading])
    events = notices // FAN_OUT * seconds
    beats, pages = sum(one.beats for one in opened), sum(one.pages for one in opened)
    return Run(cpu / events * 1e6, began, ended, console_cpu / seconds, beats, pages)


async def feed(log: Log, events_a_second: int, seconds: int) -> None:
    """At an even pace, on the clock's time."""
    events = TRADE.lives(range(events_a_second * seconds))
    started = time.perf_counter()
    for tick in range(seconds * TICKS_A_SECOND):
        part = islice(events, events_a_second // TICKS_A_SECOND)
        await log.append(
            [Output(topics.DISPOSITIONS, event_key(event).encode(), encode_value(event)) for event in part]
        )
        await asyncio.sleep(max(0.0, started + (tick + 1) / TICKS_A_SECOND - time.perf_counter()))


def table(runs: dict[str, list[Run]], notices: int, seconds: int) -> Table:
    rounds = max(map(len, runs.values()))
    made = Table(
        *("", "router µs/event", "console MB at first", "at the end", "cores", "beats", "pages"),
        title=f"{notices:,} notices a second for {seconds} s; medians of {rounds} rounds",
        caption="the streams are read in the router's process",
    )
    for name, done in runs.items():
        middle = [median(column) for column in zip(*done, strict=True)]
        made.add_row(
            name, f"{middle[0]:,.0f}", f"{middle[1]:,.0f}", f"{middle[2]:,.0f}", f"{middle[3]:.2f}",
            f"{middle[4]:,.0f}", f"{middle[5]:,.0f}",
        )  # fmt: skip
    return made


if __name__ == "__main__":
    main()
