"""From CBP's event appended to its notice read, from 50 to 20,000 events a second: `python -m benchmarks.latency`.

The router is a process of its own with default settings. This process appends events at a steady rate and reads the
topics of twenty of a hundred parties as `tail` does; a notice's time is from the call that appended its event until it
was read. `--log kafka` starts a broker, or uses the one at SNP_TEST_KAFKA, whose `cbp.` and `snp.` topics are DELETED.
Feed, router, reader and broker share the machine: the highest rates say what all of them together can do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.cargo import LIFE, Trade
from benchmarks.kafka.brokers import log_of
from benchmarks.kafka.scene import LOG_SETTINGS, Scene
from benchmarks.options import Options
from benchmarks.points import Waits
from router import codec
from router.decide.identity import event_key
from router.decide.rules import Rules
from router.engine.intake import event_outputs
from router.log.interface import Log, Output, Record
from router.log.url import KAFKA, open_log
from router.model.registry_values import Party

WATCHED: Final = 5
"""The topics of every fifth group are read."""
RATES: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
WARM_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 20.0
LATE_SECONDS: Final = 2.0
"""A rate at which half of the notices come later is more than the machine can do; higher ones are left out."""
PULSE_SECONDS: Final = 0.002


def main() -> None:
    options = Options(__doc__, parties=(100, 20), rates=(list(RATES), [50, 200]), seconds=(5.0, 0.5), rounds=(3, 1))
    options.add_argument("--log", choices=("sqlite", "kafka"), default="sqlite")
    options.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the curve (needs matplotlib)")
    asked = options.asked()
    with tempfile.TemporaryDirectory() as folder, log_of(asked.log, Path(folder)) as url:
        found = asyncio.run(measure(url, Path(folder), asked))
    Console().print(table(asked, found))
    if asked.plot:
        from benchmarks.plots import draw_latency

        draw_latency({asked.log: found}, asked.plot)


async def measure(url: str, folder: Path, asked: argparse.Namespace) -> list[Waits]:
    trade = Trade(asked.parties)
    bills = count()
    runs: dict[int, list[Waits]] = {}
    rates = list(asked.rates)
    async with open_log(url, LOG_SETTINGS if url.startswith(KAFKA) else None) as log:
        if url.startswith(KAFKA):
            await Scene(url.removeprefix(KAFKA), folder, trade).begin(log)
        else:
            await trade.register(log)
        with router(url, folder):
            async with Watch(log, trade) as watch:
                await at_rate(watch, log, 50, PATIENCE_SECONDS, bills, until_seen=True)
                for _ in range(asked.rounds):
                    for rate in rates:
                        waits = await at_rate(watch, log, rate, asked.seconds, bills)
                        runs.setdefault(rate, []).append(waits)
                        if waits.p50 > LATE_SECONDS * 1000:
                            rates = [one for one in rates if one <= rate]
                            break
    return [middle(of_rate) for of_rate in runs.values()]


def middle(of_rate: list[Waits]) -> Waits:
    return Waits(*(median(column) for column in zip(*of_rate, strict=True)))


@contextmanager
def router(url: str, folder: Path) -> Iterator[None]:
    environment = os.environ | {"SNP_KAFKA__REPLICATION_FACTOR": "1"}
    with (folder / "router.log").open("wb") as said:
        command = [sys.executable, "-m", "router.cli", "--log", url, "run"]
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS * 2)


class Watch:
    """Reads the watched parties' topics. Opened by `async with`."""

    def __init__(self, log: Log, trade: Trade) -> None:
        self.trade = trade
        self.seen: list[tuple[float, Record]] = []
        self._log = log

    async def __aenter__(self) -> Watch:
        self._reading = asyncio.create_task(self._read())
        await asyncio.sleep(WARM_SECONDS)  # until it has begun: nothing is routed yet
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        names = [
            Party(scac).topic for number in range(0, self.trade.groups, WATCHED) for scac in self.trade.group(number)
        ]
        async for records in self._log.read(names, from_start=False):
            now = time.monotonic()
            self.seen += [(now, record) for record in records]


async def at_rate(
    watch: Watch, log: Log, rate: int, seconds: float, bills: Iterator[int], *, until_seen: bool = False
) -> Waits:
    """With `until_seen`: only until the first notice comes, which shows that the router is there."""
    portions = list(prepared(watch.trade, int(seconds * rate), bills))
    sent: dict[tuple[bytes, str], float] = {}
    watch.seen.clear()
    began, fed = time.monotonic(), 0
    while fed < len(portions) and not (until_seen and watch.seen):
        due = min(int((time.monotonic() - began) * rate) + 1, len(portions))
        if due > fed:
            now = time.monotonic()
            sent.update((watched, now) for watched, _ in portions[fed:due] if watched is not None)
            await log.append([output for _, outputs in portions[fed:due] for output in outputs])
            fed = due
        await asyncio.sleep(max(PULSE_SECONDS, began + fed / rate - time.monotonic()))
    took = time.monotonic() - began
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends and len(watch.seen) < len(sent) * watch.trade.fan_out:  # noqa: ASYNC110 - no one tells
        await asyncio.sleep(0.02)
    return waits_of(rate, fed / took, sent, watch)


def prepared(
    trade: Trade, events: int, bills: Iterator[int]
) -> Iterator[tuple[tuple[bytes, str] | None, list[Output]]]:
    """Each event's records, encoded beforehand; and what to know its notices by, if its group is watched."""
    codes = Rules().codes
    lives = trade.lives(next(bills) for _ in range(-(-events // len(LIFE))))
    for event, _ in zip(lives, range(events), strict=False):
        key = event_key(event).encode()
        group = int(key[-9:]) % trade.groups
        outputs = event_outputs(event, codes.is_urgent)
        yield ((key, event.disposition_code) if group % WATCHED == 0 else None), outputs


def waits_of(rate: int, fed: float, sent: dict[tuple[bytes, str], float], watch: Watch) -> Waits:
    seen = watch.seen
    came = [(at, sent.get((record.key, code_of(record)))) for at, record in seen]
    waits = sorted((at - began) * 1000 for at, began in came if began is not None)
    waits += [PATIENCE_SECONDS * 1000] * (len(sent) * watch.trade.fan_out - len(waits))
    events = len(sent) * WATCHED
    routed = events / max(seen[-1][0] - min(sent.values()), 1e-9) if seen and sent else 0.0
    return Waits(rate, fed, at_share(waits, 0.5), at_share(waits, 0.99), min(routed, fed))


def code_of(record: Record) -> str:
    code: str = codec.decode(record.value or b"")[1]["disposition_code"]
    return code


def at_share(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def table(asked: argparse.Namespace, found: list[Waits]) -> Table:
    made = Table(
        *("events/s wanted", "fed in", "routed", "p50 ms", "p99 ms"),
        title=f"event appended to notice read on {asked.log}, {asked.seconds:g} s each; medians of "
        f"{asked.rounds} rounds",
    )
    for waits in found:
        rates = [f"{number:,.0f}" for number in (waits.rate, waits.fed, waits.routed)]
        made.add_row(*rates, f"{waits.p50:.0f}", f"{waits.p99:.0f}")
    return made


if __name__ == "__main__":
    main()
