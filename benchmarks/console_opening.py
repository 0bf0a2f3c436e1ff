"""How soon the console of a large installation opens: `python -m benchmarks.console_opening`.

A log with many bills is written; the console makes its index of it once and is then started several
times. Shown: bills a second while the index is made, also a second of its CPU; its size; and the seconds from the
start of the process to its first page and for pages after that; medians of the rounds.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import requests
from msgspec import structs
from rich.console import Console
from rich.table import Table

from benchmarks.cargo import TRADE, Bench
from benchmarks.console import console
from benchmarks.options import Options
from router import topics
from router.codec.packed import BILL_STATE
from router.decide.rules import Rules
from router.desk.bill_index import BillIndex
from router.log.interface import Output
from router.log.url import open_log

BATCH: Final = 20_000
PAGES: Final = {
    "first page, from the start of the process": None,
    "notices": "/",
    "a bill": "/bills/{bill}",
    "search by container": "/search?q=CSAU0012",
    "search by a part of a number": "/search?q=L00012",
    "bills, do-not-loads first": "/bills",
    "bills held on a vessel, by arrival": "/bills?status=HELD&vessel={vessel}&sort=arrival",
    "bills with a doubt, the oldest first": "/bills?doubt=HISTORY_INCOMPLETE&sort=age",
    "a sailing": "/sailings/{sailing}",
}


def main() -> None:
    arguments = Options(__doc__, bills=(1_000_000, 1_000), rounds=(3, 1)).asked()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(write_log(folder, arguments.bills))
        rate, of_cpu, size = asyncio.run(make_index(folder, arguments.bills))
        seconds = opened(folder, arguments.rounds)
    built = f"{rate:,.0f} bills/s, {of_cpu:,.0f} a second of CPU, {size:,.0f} MB"
    made = Table("page", "seconds", title=f"{arguments.bills:,} bills; the index: {built}")
    for page, taken in seconds.items():
        made.add_row(page, f"{median(taken):.3f}")
    Console().print(made)


async def write_log(folder: Path, bills: int) -> None:
    """Real states of bills that went through a life, each written many times under other numbers."""
    written: list[Output] = []
    bench = Bench(TRADE, written.extend)
    bench.route(bench.records(TRADE.lives(range(1000))))
    latest = {
        output.key: output.value for output in written if output.topic == topics.BILLS and output.key[:1] != b"\0"
    }
    states = [BILL_STATE.decode(value) for value in latest.values() if value is not None]
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        await TRADE.register(log)
        for start in range(0, bills, BATCH):
            outputs = []
            for number in range(start, min(start + BATCH, bills)):
                state = states[number % len(states)]
                state = structs.replace(state, key=f"{state.key[:4]}HBL{number:09d}")
                outputs.append(Output(topics.BILLS, state.key.encode(), BILL_STATE.encode(state)))
            await log.append(outputs)


async def make_index(folder: Path, bills: int) -> tuple[float, float, float]:
    """Bills a second, bills a second of CPU, and megabytes."""
    index = BillIndex(folder / "snp-console.db")
    await index.open()
    started, began = time.perf_counter(), time.process_time()
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        async for batch in log.read([topics.BILLS], until_end=True):
            await index.write_records(batch, Rules())
    taken, used = time.perf_counter() - started, time.process_time() - began
    await index.close()
    return bills / taken, bills / used, (folder / "snp-console.db").stat().st_size / 1e6


def opened(folder: Path, rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in PAGES}
    places = {
        "bill": "AAAAHBL000000000",
        "sailing": TRADE.sailings[0].sailing_id,
        "vessel": TRADE.sailings[0].imo_number,
    }
    for _ in range(rounds):
        started = time.perf_counter()
        with console(folder) as watched:
            session = requests.Session()
            session.headers["cookie"] = watched.log_in()
            for name, path in PAGES.items():
                page = f"http://{watched.address}" + (path or "/").format(**places)
                asked = time.perf_counter()
                session.get(page, timeout=60).raise_for_status()
                seconds[name].append(time.perf_counter() - (started if path is None else asked))
    return seconds


if __name__ == "__main__":
    main()
