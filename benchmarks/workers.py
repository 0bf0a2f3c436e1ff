"""One worker and two on the same backlog on Kafka: `python -m benchmarks.workers`.

`snp-router run --workers N --until-idle` as people run it; CPU is that of all its processes, starting Python included,
events a second are by the notices' own times. Starts a broker, or uses the one at SNP_TEST_KAFKA, whose `cbp.` and
`snp.` topics are DELETED. The broker needs a core of its own: on a machine with two, a second worker finds little left.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.kafka.backlog import Run, rate, timestamps
from benchmarks.kafka.brokers import broker
from benchmarks.kafka.scene import RECIPIENTS, Feeder, Scene, feed, quiet

WORKERS: Final = (1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--toy", action="store_true", help="tiny sizes, to see that it works")
    arguments = parser.parse_args()
    if arguments.toy:
        arguments.events, arguments.rounds = 500, 1
    quiet()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # or the broker would outlive us
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as address:
        table = asyncio.run(measure(Scene(address, Path(folder)), arguments.events, arguments.rounds))
    Console().print(table)


async def measure(scene: Scene, events: int, rounds: int) -> Table:
    runs: dict[int, list[Run]] = {workers: [] for workers in WORKERS}
    async with scene.log() as log:
        await scene.begin(log)
        count = await Feeder(log).append_all(feed(events))
        for _ in range(rounds):
            for workers, of_number in runs.items():
                await scene.begin_outputs(log)
                of_number.append(await one_run(scene, workers, count))
    made = Table(
        *("workers", "events/s", "range", "CPU µs/event, all processes"),
        title=f"backlog of {count:,} events on Kafka, {RECIPIENTS} recipients; medians of {rounds} rounds",
    )
    for workers, of_number in runs.items():
        speeds = sorted(run.events_a_second for run in of_number)
        cpu = median(run.cpu_microseconds for run in of_number)
        made.add_row(str(workers), f"{median(speeds):,.0f}", f"{speeds[0]:,.0f}–{speeds[-1]:,.0f}", f"{cpu:.0f}")
    return made


async def one_run(scene: Scene, workers: int, events: int) -> Run:
    before = cpu_of_children()
    command = ("-m", "router.cli", "--log", scene.url, "run", "--until-idle", "--workers", str(workers))
    with (scene.folder / "workers.log").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=os.environ | {"SNP_KAFKA__REPLICATION_FACTOR": "1"}, stdout=said, stderr=said
        )
        if await process.wait():
            raise SystemExit((scene.folder / "workers.log").read_text()[-3000:])
    written = await asyncio.to_thread(timestamps, scene.address)
    if len(written) != events * RECIPIENTS:
        raise SystemExit(f"{workers} workers wrote {len(written)} notices for {events} events")
    return Run(rate(written), (cpu_of_children() - before) / events * 1e6)


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
