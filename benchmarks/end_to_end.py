"""`ingest` and `run` on SQLite, four recipients an event: `python benchmarks/end_to_end.py`.

Real X12 bytes in, notices in the parties' topics out, in one process on one file. Events a second are of
wall-clock time; CPU is this process's. The file lies in a temporary folder: slow fsync
shows in `ingest` and `run` alike.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog
from rich.console import Console
from rich.table import Table

from router.decide.rules import Rules
from router.engine.ingesting import take_in
from router.engine.registrar import import_parties, import_sailings, prepare, tell_time
from router.engine.worker import Worker
from router.log.url import open_log
from router.model.registry import Line, Party, Sailing

LIFE: Final = ("55", "69", "1H", "1I", "1C")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    asyncio.run(measure(arguments.events, arguments.partitions))


async def measure(count: int, partitions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feed.x12"
        path.write_bytes("".join(interchange(count // len(LIFE))).encode())
        async with open_log(f"sqlite:///{folder}/bench.db") as log:
            await prepare(log, partitions)
            await tell_time(log)
            await import_parties(log, [Party(scac) for scac in ("OCNX", "SLTC", "HARX", "NVXA")])
            await import_sailings(log, [sailing()])
            rules = Rules()
            table = Table("step", "events/s", "CPU µs/event", title=f"{count:,} events, {path.stat().st_size:,} bytes")
            fed = await timed(table, "ingest", count, take_in(log, path, rules.codes))
            worker = Worker(log, rules, until_idle=True)
            totals = await timed(table, "run", count, worker.run())
            Console().print(table)
            Console().print(f"fed in {fed.events:,}, routed {totals.counts['events']:,}: {dict(totals.counts)}")


async def timed(table: Table, name: str, count: int, step):  # type: ignore[no-untyped-def]
    wall, cpu = time.perf_counter(), time.process_time()
    result = await step
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    table.add_row(name, f"{count / wall:,.0f}", f"{cpu / count * 1e6:.0f}")
    return result


def sailing() -> Sailing:
    lines = (
        Line("OCNX", "operator", "026E", "holds"),
        Line("SLTC", "charterer", "SL26", "own"),
        Line("HARX", "charterer", "H26", "all"),
    )
    return Sailing("EXEMPLAR-026E", "9074729", "OCEAN EXEMPLAR", "2026-07-28", lines)


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
