"""From CBP's event written to its notice readable, at a steady load, with the router as a process."""

from __future__ import annotations

from rich.table import Table

from benchmarks.kafka.load import Load
from benchmarks.kafka.routers import RouterProcess
from benchmarks.kafka.scene import PARTITIONS, RECIPIENTS, Scene

PERCENTILES = (50.0, 99.0, 99.9)
WARM_SECONDS = 2.0
"""Load before the measured load: the broker's compiler and caches, the first record of each topic."""


async def measure(scene: Scene, rate: int, seconds: int, rounds: int) -> Table:
    made = Table(
        *("round", *(f"p{percentile:g}" for percentile in PERCENTILES), "longest", "notices", "not seen"),
        title=f"{rate} events a second for {seconds} s: ms from an event handed to the feed's producer until a "
        "read_committed reader has its notice",
    )
    async with scene.log() as log:
        await scene.begin(log)
        for number in range(rounds):
            async with RouterProcess(scene, f"latency-{number}") as router:
                await router.assigned(PARTITIONS)
                async with Load(scene, log, rate) as load:
                    await load.run(WARM_SECONDS)
                    await load.all_seen(RECIPIENTS)
                    measured_from = load.now()
                    await load.run(seconds)
                    await load.all_seen(RECIPIENTS)
                    made.add_row(str(number + 1), *cells(load, measured_from))
    return made


def cells(load: Load, measured_from: float) -> list[str]:
    waits = sorted(notice.waited * 1000 for notice in load.notices() if notice.sent >= measured_from)
    missing = load.expected(measured_from, RECIPIENTS) - len(waits)
    percentiles = [f"{at(waits, percentile):.1f}" for percentile in PERCENTILES]
    return [*percentiles, f"{waits[-1]:.1f}", f"{len(waits):,}", str(missing)]


def at(ordered: list[float], percentile: float) -> float:
    return ordered[min(int(len(ordered) * percentile / 100), len(ordered) - 1)]
