"""`ingest` and `run` on SQLite, four recipients an event: `python -m benchmarks.end_to_end`.

Real X12 bytes in, notices in the parties' topics out, in one process on one file; beside it, in interleaved rounds, a
bare loop that only copies: it decodes each event with fastavro and writes four notices and a status to a table, in
transactions of a thousand events. Events a second are of wall-clock time; CPU is this process's. The files lie in a
temporary folder: slow fsync shows everywhere.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.cargo import LIFE, PARTITIONS, TRADE, TRANSACTION
from benchmarks.kafka.contender import Copier
from benchmarks.options import Options
from router import codec
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, import_sailings, prepare
from router.engine.intake import ingest_file
from router.engine.worker import Worker
from router.log.url import open_log
from router.model.registry_values import Line, Party, PortCall, Sailing

T = TypeVar("T")


class Step(NamedTuple):
    events_a_second: float
    cpu_microseconds: float
    """An event's."""


def main() -> None:
    arguments = Options(__doc__, events=(20_000, 500), rounds=(3, 1)).asked()
    runs: dict[str, list[Step]] = {"ingest": [], "run": [], "bare copy loop": []}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, step in asyncio.run(routed(arguments.events, folder)).items():
                runs[name].append(step)
            runs["bare copy loop"].append(copied(arguments.events, folder))
    Console().print(table(runs, arguments.events))


async def routed(count: int, folder: str) -> dict[str, Step]:
    path = Path(folder) / "feed.x12"
    path.write_bytes("".join(interchange(count // len(LIFE))).encode())
    async with open_log(f"sqlite:///{folder}/bench.db") as log:
        await prepare(log, PARTITIONS)
        await append_tick(log)
        await import_parties(log, [Party(scac) for scac in ("OCNX", "SLTC", "HARX", "NVXA")])
        await import_sailings(log, [sailing()])
        rules = Rules()
        fed, ingest = await timed(count, ingest_file(log, path, rules))
        totals, run = await timed(count, Worker(log, rules, until_idle=True).run())
    if (fed.events, totals.counts["events"]) != (count, count):
        raise SystemExit(f"fed in {fed.events}, routed {totals.counts['events']} of {count} events")
    return {"ingest": ingest, "run": run}


async def timed(count: int, doing: Awaitable[T]) -> tuple[T, Step]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = await doing
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return result, Step(count / wall, cpu / count * 1e6)


def copied(count: int, folder: str) -> Step:
    events = [codec.encode_value(event) for event in TRADE.feed(count)]
    connection = sqlite3.connect(f"{folder}/bare.db", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE records (id INTEGER PRIMARY KEY, topic TEXT, value BLOB)",
    ):
        connection.execute(statement)
    copier = Copier(TRADE)
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(events), TRANSACTION):
        rows: list[tuple[str, bytes]] = []
        for value in events[start : start + TRANSACTION]:
            notices, status = copier.copies(value)
            rows += [*notices, ("status", status)]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO records (topic, value) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    connection.close()
    return Step(count / wall, cpu / count * 1e6)


def table(runs: dict[str, list[Step]], count: int) -> Table:
    rounds = len(runs["run"])
    made = Table(
        *("step", "events/s", "range", "CPU µs/event"),
        title=f"SQLite, {count:,} events, four recipients; medians of {rounds} rounds",
    )
    for name, steps in runs.items():
        speeds = sorted(step.events_a_second for step in steps)
        cpu = median(step.cpu_microseconds for step in steps)
        made.add_row(name, f"{median(speeds):,.0f}", f"{speeds[0]:,.0f}–{speeds[-1]:,.0f}", f"{cpu:.0f}")
    return made


def sailing() -> Sailing:
    lines = (
        Line("OCNX", "operator", "026E", "holds"),
        Line("SLTC", "charterer", "SL26", "own"),
        Line("HARX", "charterer", "H26", "all"),
    )
    return Sailing("EXEMPLAR-026E", "9074729", "OCEAN EXEMPLAR", (PortCall(None, "2026-07-28"),), lines)


def interchange(bills: int) -> Iterator[str]:
    """Each bill's events in order, the bills side by side; one interchange, a transaction for each code."""
    yield "ISA*00*          *00*          *ZZ*CBPTEST        *02*OCNX           *260714*1412*U*00605*000000101*0*P*>~\n"
    yield "GS*SO*CBPTEST*OCNX*20260714*141205*101*X*006050~\n"
    for number, code in enumerate(LIFE, 1):
        yield f"ST*350*{number:04d}~\nM10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~\nP4*2704*20260728~\n"
        entry = "01*AB100045215" if code == "1C" else "*"
        for bill in range(bills):
            yield (
                f"X4*HBL{bill:09d}*120*{entry}*20260714*08{number:02d}*{code}**NVXA****2704**OB*OCNXMB7781234*ET~\n"
                f"N9*SNP*OCNX~\nN9*SNP*SLTC~\nN7*CSQU*{bill % 1_000_000:06d}~\n"
            )
        yield f"SE*{4 + 4 * bills}*{number:04d}~\n"
    yield f"GE*{len(LIFE)}*101~\nIEA*1*000000101~\n"


if __name__ == "__main__":
    main()
