"""One worker and two on the same backlog, by `snp-router run --workers N --until-idle`, as people run it.

CPU is that of all its processes, starting Python included; events a second are by the notices' own times. The broker
needs a core of its own: on a machine with two, a second worker finds little left.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from statistics import median
from typing import Final

from rich.table import Table

from benchmarks.kafka.backlog import Run, rate, timestamps
from benchmarks.kafka.scene import Feeder, Scene

WORKERS: Final = (1, 2)


async def measure(scene: Scene, events: int, rounds: int) -> Table:
    runs: dict[int, list[Run]] = {workers: [] for workers in WORKERS}
    async with scene.log() as log:
        await scene.begin(log)
        count = await Feeder(log).append_all(scene.trade.feed(events))
        for _ in range(rounds):
            for workers, of_number in runs.items():
                await scene.begin_outputs(log)
                of_number.append(await one_run(scene, workers, count))
    made = Table(
        *("workers", "events/s", "range", "CPU µs/event, all processes"),
        title=f"backlog of {count:,} events on Kafka, {scene.trade.fan_out} recipients; medians of {rounds} rounds",
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
    written = await asyncio.to_thread(timestamps, scene)
    if len(written) != events * scene.trade.fan_out:
        raise SystemExit(f"{workers} workers wrote {len(written)} notices for {events} events")
    return Run(rate(written, scene.trade.fan_out), (cpu_of_children() - before) / events * 1e6)


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
