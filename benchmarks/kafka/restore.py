"""How fast a task takes its state in from the log, and what a bill weighs in memory."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from rich.table import Table

from benchmarks.decisions import LIFE, as_record
from benchmarks.kafka.scene import FLEET, LOG_SETTINGS, SCACS, Scene, disposition, quiet
from router import codec, topics
from router.decide.ledger.rules import Rules
from router.decide.task.shard import Shard
from router.log.interface import Output, Record, Task
from router.log.url import open_log
from router.model.registry import Party, RegistryNote

APPEND_RECORDS: Final = 5_000
STATUS_FILE: Final = Path("/proc/self/statm")


async def measure(scene: Scene, bills: int, rounds: int) -> Table:
    """Each round in a process of its own, so that its memory is that of one restore."""
    async with scene.log() as log:
        await scene.begin(log, partitions=1)
        waiting: list[Output] = []
        size = 0
        for output in states(bills):
            waiting.append(output)
            size += len(output.value or b"")
            if len(waiting) == APPEND_RECORDS:
                await log.append(waiting)
                waiting = []
        await log.append(waiting)
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


def states(bills: int) -> Iterator[Output]:
    """Lives of five events, decided once for each fleet; then the same states under other bills' keys."""
    shard = Shard(Rules(), 0, 1)
    registered = [
        RegistryNote("installation", "secret", 0, "00" * 32),
        RegistryNote("tick", "tick", disposition(0, LIFE[0], 0).action_at),
        *(Party(scac) for scac in SCACS),
        *(one.sailing for one in FLEET),
    ]
    for offset, value in enumerate(registered):
        shard.load_registry(Record(topics.REGISTRY, 0, offset, b"", codec.encode_value(value), (), 0))
    for bill in range(len(FLEET)):
        for minute, code in enumerate(LIFE):
            shard.process(as_record(bill * len(LIFE) + minute, disposition(bill, code, minute)))
    decided = [
        output
        for output in shard.take_outputs()
        if output.topic == topics.BILLS and not output.key.startswith(topics.POSITION_KEY)
    ]
    for number in range(bills):
        output = decided[number % len(decided)]
        assert output.value is not None
        new = f"{number:09d}".encode()  # as long as the old one, so that the record stays whole
        old = output.key[-len(new) :]
        yield Output(output.topic, output.key[: -len(new)] + new, output.value.replace(old, new))


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
    gc.collect()
    done["memory"] = (resident() - before) / shard.bill_count
    print(json.dumps(done))


def resident() -> int:
    """Bytes of memory that this process has, by Linux."""
    return int(STATUS_FILE.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    quiet()
    asyncio.run(restore_once(sys.argv[1], int(sys.argv[2])))
