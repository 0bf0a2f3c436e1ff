"""What state costs: `python -m benchmarks.state`.

* memory of an open bill with a million of them in one process, bills and index apart, each in a process of its own;
* restore: how fast a task takes its state in, from records at hand and from a SQLite file;
* walks: what it costs to look at every bill, on a new day and after a change of the registry;
* traffic: what an event makes the log carry, in records and bytes, by topic;
* year: a year of a steady trade, day by day: what is still known at its end, and how large the compacted topics are.

An open bill has had four events (55, 69, 1H, 1I), has four recipients, one container and a master bill. Its state was
really decided; bills beyond the first few are the same states under other numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.cargo import LIFE, POSTED, TRADE, Bench, container_number, resident
from benchmarks.options import Options
from router import topics
from router.decide.rules import Rules
from router.engine.administration import prepare
from router.engine.intake import event_outputs
from router.log.interface import Output, Record, Task
from router.log.url import open_log
from router.model.eastern import DAY, MINUTE
from router.model.inputs import Disposition
from router.task.shard import Shard

OPEN: Final = LIFE[:-1]
BATCH: Final = 5_000
DAYS: Final = 365
MONTH: Final = 30
DAY_MINUTES: Final = DAY // MINUTE
LIFE_DAYS: Final = (0, 1, 20, 22, 25)
"""Of the bill's life, from its filing before loading to its release."""
NEVER_RELEASED: Final = 50
"""One bill of so many: it is forgotten only when it was silent for a year."""


def main() -> None:
    options = Options(
        __doc__, bills=(1_000_000, 2_000), restored=(200_000, 2_000), traffic=(4_000, 50), daily=(100, 1), rounds=(3, 1)
    )
    options.add_argument("--only", action="append", choices=TABLES, help="again for one more; else all")
    options.add_argument("--one", help=argparse.SUPPRESS)
    arguments = options.asked()
    if arguments.one:
        print(json.dumps(ONE[arguments.one](arguments)))
        return
    for part in arguments.only or TABLES:
        Console().print(TABLES[part](arguments))


def states(bills: int, topic: str, codes: Sequence[str] = OPEN) -> Iterator[Output]:
    """The records of `snp.bills` or `snp.index-state` for so many bills, each after those events."""
    latest: dict[bytes, Output] = {}

    def keep(outputs: list[Output]) -> None:
        latest.update((output.key, output) for output in outputs if output.topic == topic)

    bench = Bench(TRADE, keep)
    bench.route(bench.records(TRADE.lives(range(TRADE.groups), codes)))
    of_bill: dict[int, list[Output]] = {}
    for output in latest.values():
        if (place := output.key.find(b"HBL") + 3) > 3:  # neither the position nor a master bill
            of_bill.setdefault(int(output.key[place : place + 9]), []).append(output)
    for number in range(bills):
        for output in of_bill[number % TRADE.groups]:
            yield output._replace(key=renumbered(output.key, number), value=renumbered(output.value or b"", number))


def renumbered(data: bytes, number: int) -> bytes:
    """As long as before, so that the record stays whole."""
    old = number % TRADE.groups
    for before, after in (
        (f"HBL{old:09d}", f"HBL{number:09d}"),
        (container_number(old), container_number(number)),
        (f"MB{old // TRADE.groups // 9:07d}", f"MB{number // TRADE.groups // 9:07d}"),
    ):
        data = data.replace(before.encode(), after.encode())
    return data


def batches(outputs: Iterable[Output]) -> Iterator[list[Record]]:
    numbered = enumerate(outputs)
    while batch := [Record(o.topic, 0, number, o.key, o.value, (), 0) for number, o in islice(numbered, BATCH)]:
        yield batch


# In a process of its own


def one_memory(arguments: argparse.Namespace) -> dict[str, float]:
    bench, found = Bench(TRADE), {}
    for topic in (topics.BILLS, topics.INDEX_STATE):
        before, cpu, records, size = resident(), 0.0, 0, 0
        for batch in batches(states(arguments.bills, topic)):
            started = time.process_time()
            for record in batch:
                bench.shard.load(record)
            cpu += time.process_time() - started
            records += len(batch)
            size += sum(len(record.value or b"") for record in batch)
        found[topic] = (resident() - before) / arguments.bills
        found[f"{topic} bytes"] = size / arguments.bills
        found[f"{topic} rate"] = records / cpu
    assert bench.shard.bill_count == arguments.bills
    return found


def one_restore(arguments: argparse.Namespace) -> dict[str, float]:
    return asyncio.run(restore(arguments.restored))


async def restore(bills: int) -> dict[str, float]:
    done: dict[str, float] = {}

    async def run(task: Task) -> None:
        shard = Shard(Rules(), 0, 1)
        wall, cpu, records = time.perf_counter(), time.process_time(), 0
        async for batch in task.restore(topics.STATE):
            records += len(batch)
            for record in batch:
                shard.load(record)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert shard.bill_count == bills
        done.update(records=records, bills_a_second=bills / wall, cpu=cpu / bills * 1e6)

    with tempfile.TemporaryDirectory() as folder:
        async with open_log(f"sqlite:///{folder}/state.db") as log:
            await prepare(log, 1)
            for topic in topics.STATE:
                outputs = states(bills, topic)
                while batch := list(islice(outputs, BATCH)):
                    await log.append(batch)
            await log.work(topics.INPUTS, run)
    return done


def one_walks(arguments: argparse.Namespace) -> dict[str, float]:
    """Each bill is read anew: on a large installation few are at hand."""
    bench = Bench(TRADE)
    for topic in (topics.BILLS, topics.INDEX_STATE):
        for batch in batches(states(arguments.restored, topic)):
            for record in batch:
                bench.shard.load(record)
    bench.shard.registry_duties.sweep.goal = POSTED // DAY
    day = bench.pass_time(POSTED + DAY)
    import_seconds = bench.change_registry()
    return {"day": day / arguments.restored * 1e6, "registry": import_seconds / arguments.restored * 1e6}


# Tables


def repeated(part: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Medians of so many processes."""
    sizes = [f"--{name}={getattr(arguments, name)}" for name in ("bills", "restored")]
    command = [sys.executable, "-m", "benchmarks.state", "--one", part, *sizes]
    runs = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) for _ in range(arguments.rounds)
    ]
    return {name: median(run[name] for run in runs) for name in runs[0]}


def memory_table(arguments: argparse.Namespace) -> Table:
    found = repeated("memory", arguments)
    made = Table(
        *("state", "bytes written", "memory", "loaded a second of CPU"),
        title=f"an open bill, {arguments.bills:,} of them in one process; medians of {arguments.rounds}",
        caption="memory: growth of the process (RSS)",
    )
    for topic in (topics.BILLS, topics.INDEX_STATE):
        rate = f"{found[f'{topic} rate']:,.0f} records"
        made.add_row(topic, f"{found[f'{topic} bytes']:.0f}", f"{found[topic]:.0f}", rate)
    made.add_row("[bold]both[/]", "", f"[bold]{found[topics.BILLS] + found[topics.INDEX_STATE]:.0f}[/]", "")
    return made


def restore_table(arguments: argparse.Namespace) -> Table:
    found = repeated("restore", arguments)
    made = Table(
        *("bills", "records", "bills/s", "CPU µs a bill"),
        title=f"restoring one task from a SQLite file, bills and index; medians of {arguments.rounds}",
    )
    cells = (f"{arguments.restored:,}", f"{found['records']:,.0f}", f"{found['bills_a_second']:,.0f}")
    made.add_row(*cells, f"{found['cpu']:.1f}")
    return made


def walks_table(arguments: argparse.Namespace) -> Table:
    found = repeated("walks", arguments)
    made = Table(
        *("walk", "CPU µs a bill"),
        title=f"looking at all of {arguments.restored:,} bills; medians of {arguments.rounds}",
    )
    made.add_row("on a new day: what is to be forgotten", f"{found['day']:.1f}")
    made.add_row("parties or sailings changed: who is to be told", f"{found['registry']:.1f}")
    return made


def traffic_table(arguments: argparse.Namespace) -> Table:
    made = Table(
        *("topic", "records an event", "bytes an event"),
        title=f"written for an event, of lives of {len(LIFE)} events with {TRADE.fan_out} recipients; keys and values",
        caption="events as `ingest` writes them, urgent ones twice; a bill's state once a transaction of a thousand",
    )
    records, size = Counter[str](), Counter[str]()

    def count(outputs: Iterable[Output]) -> None:
        for output in outputs:
            name = f"{topics.PARTY_PREFIX}…" if output.topic.startswith(topics.PARTY_PREFIX) else output.topic
            records[name] += 1
            size[name] += len(output.key) + len(output.value or b"")

    bench = Bench(TRADE, count)
    events = list(TRADE.lives(range(arguments.traffic)))
    codes = bench.shard.rules.codes
    count(output for event in events for output in event_outputs(event, codes.is_urgent))
    bench.route(bench.records(events))
    for name in (*sorted(records), "all"):
        of_name = (records.total(), size.total()) if name == "all" else (records[name], size[name])
        made.add_row(name, f"{of_name[0] / len(events):.2f}", f"{of_name[1] / len(events):,.0f}")
    return made


def year_table(arguments: argparse.Namespace) -> Table:
    made = Table(
        *("day", "bills ever", "known", "records live", "bytes live", "a bill"),
        title=f"a year of {arguments.daily} new bills a day, {len(LIFE)} events each; bills and index, compacted",
        caption="forgotten 90 days after the last word on a bill that is over; one of fifty is never released",
    )
    for row in year(arguments.daily):
        made.add_row(*row)
    return made


def year(daily: int) -> Iterator[list[str]]:
    live: dict[tuple[str, bytes], int] = {}

    def compact(outputs: list[Output]) -> None:
        for output in outputs:
            if output.topic in topics.STATE and output.value is None:
                live.pop((output.topic, output.key), None)
            elif output.topic in topics.STATE and output.value is not None:
                live[output.topic, output.key] = len(output.key) + len(output.value)

    bench = Bench(TRADE, compact)
    for day in range(DAYS + 1):
        bench.pass_time(POSTED + day * DAY)
        bench.route(bench.records(events_of(day, daily)))
        if day % MONTH == 0 or day == DAYS:
            known, size = bench.shard.bill_count, sum(live.values())
            counts = ((day + 1) * daily, known, len(live), size)
            yield [str(day), *(f"{count:,}" for count in counts), f"{size / known:.0f}"]


def events_of(day: int, daily: int) -> Iterator[Disposition]:
    for code, after in zip(LIFE, LIFE_DAYS, strict=True):
        filed = day - after
        for bill in range(max(filed, 0) * daily, (filed + 1) * daily):
            if code != LIFE[-1] or bill % NEVER_RELEASED:
                yield TRADE.event(bill, code, day * DAY_MINUTES)


ONE: Final = {"memory": one_memory, "restore": one_restore, "walks": one_walks}
TABLES: Final = {
    "memory": memory_table,
    "restore": restore_table,
    "walks": walks_table,
    "traffic": traffic_table,
    "year": year_table,
}

if __name__ == "__main__":
    main()
