"""How fast a task takes its state in from the log, and what a bill weighs in memory."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import islice
from statistics import median
from typing import Final

from rich.table import Table

from benchmarks.cargo import LIFE, resident
from benchmarks.kafka.scene import LOG_SETTINGS, Scene
from benchmarks.options import quiet
from benchmarks.state import states
from router import topics
from router.decide.rules import Rules
from router.log.interface import Task
from router.log.url import open_log
from router.task.shard import Shard

APPEND_RECORDS: Final = 5_000


async def measure(scene: Scene, bills: int, rounds: int) -> Table:
    """Each round in a process of its own, so that its memory is that of one restore."""
    async with scene.log() as log:
        await scene.begin(log, partitions=1)
        size = 0
        outputs = states(bills, topics.BILLS, LIFE)
        while batch := list(islice(outputs, APPEND_RECORDS)):
            await log.append(batch)
            size += sum(len(output.value or b"") for output in batch)
    made = Table(
        *("bills", "bytes a state", "records/s", "CPU µs/record", "memory a bill"),
        title=f"restoring one task from {topics.BILLS}; medians of {rounds} rounds",
        caption="memory: growth of the process (RSS), with each bill's state as bytes, as restored",
    )
    runs = [await one_run(scene, number) for number in range(rounds)]
    speed, cpu, memory = (median(run[name] for run in runs) for name in ("rate", "cpu", "memory"))
    made.add_row(f"{bills:,}", f"{size / bills:.0f}", f"{speed:,.0f}", f"{cpu:.1f}", f"{memory:,.0f} bytes")
    return made


async def one_run(scene: Scene, number: int) -> dict[str, float]:
    command = ["-m", "benchmarks.kafka.restore", scene.address, str(number)]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        raise SystemExit("restoring failed")
    found: dict[str, float] = json.loads(printed)
    return found


async def restore_once(address: str, number: int) -> None:
    shard = Shard(Rules(), 0, 1)
    done: dict[str, float] = {}

    async def run(task: Task) -> None:
        started, cpu = time.perf_counter(), time.process_time()
        records = 0
        async for batch in task.restore(topics.STATE):
            records += len(batch)
            for record in batch:
                shard.load(record)
        done["rate"] = records / (time.perf_counter() - started)
        done["cpu"] = (time.process_time() - cpu) / records * 1e6

    async with open_log(f"kafka://{address}", LOG_SETTINGS) as log:
        before = resident()
        await log.work(topics.INPUTS, run, group=f"benchmark-restore-{number}")
    done["memory"] = (resident() - before) / shard.bill_count
    print(json.dumps(done))


if __name__ == "__main__":
    quiet()
    asyncio.run(restore_once(sys.argv[1], int(sys.argv[2])))
