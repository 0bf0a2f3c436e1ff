"""Measures how soon the console of a large installation opens, and its pages: `python -m benchmarks.console_opening`.

A log with many bills is written, the latest of them with their history and notices. A process makes the console's
index of it once; the console is then started several times. Shown: bills a second while the index is made, also a
second of its CPU; its size and the memory that took; and for each page the seconds until it is there and the CPU of the
console's process, medians of the rounds.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import requests
from rich.console import Console
from rich.table import Table

from benchmarks.cargo import LIFE, Bench, Trade, container_number
from benchmarks.console import console
from benchmarks.options import Options
from router import topics
from router.decide.rules import Rules
from router.desk.bill_index import FOLLOWED, BillIndex
from router.desk.bill_query import STATUSES, Cursor
from router.desk.box_views import door_number
from router.log.interface import Output
from router.log.url import open_log

TRADE: Final = Trade(parties=400)
"""A hundred sailings: each has a hundredth of all bills, so ten thousand of a million."""
KINDS: Final = 97
"""Bills take turns in so many lives; prime, so that each sailing has all of them."""
LIVES: Final = (
    (1, ("55", "69", "2R")), (8, ("55", "69", "1H")), (20, ("55",)), (35, ("69", "1C")), (KINDS, LIFE),
)  # fmt: skip
"""Codes by the turns up to which they are a bill's: a do-not-load, an exam, on file, released without a history,
released."""
SAMPLES: Final = 1000
"""Bills that are really routed. All others are copies of them with other numbers."""
ENTRY: Final = "AB1{:08}"
SAMPLE_ENTRY: Final = "AB100045215"
DAY: Final = "2026-{:02}-{:02}"
SAMPLE_DAY: Final = "2026-07-28"

BATCH: Final = 20_000
TRIES: Final = 3
"""Requests of each page in a round."""

OPENING: Final = "first page, from the start of the process"
PAGES: Final = {
    "Now": "/",
    "a bill": "/bills/{bill}",
    "bills, do-not-loads first": "/bills",
    "… a page in the middle": "/bills?after={middle}",
    "… by arrival, a page in the middle": "/bills?sort=arrival&after={day}",
    "… held": "/bills?status=HELD",
    "… released": "/bills?status=RELEASED",
    "… with a do-not-load": "/bills?do_not_load=yes",
    "… held on a vessel, by arrival": "/bills?status=HELD&vessel={vessel}&sort=arrival",
    "… of a vessel's name and voyage": "/bills?vessel={name}&voyage=26E",
    "… of a voyage": "/bills?voyage=26E",
    "… of a sailing": "/bills?sailing={sailing}",
    "… arriving on a day": "/bills?arriving=2026-07-14",
    "… arrived": "/bills?arriving=past",
    "… of a port": "/bills?port=2704",
    "… of a party": "/bills?party={party}",
    "… with a hold": "/bills?hold=1H",
    "… with a doubt, the oldest first": "/bills?doubt=HISTORY_INCOMPLETE&sort=age",
    "… with a flag": "/bills?flag=NO_SNP",
    "… unread": "/bills?unread=any",
    "… older than a week": "/bills?age=over-7d",
    "… of a box": "/bills?container={box}",
    "… by the beginning of a number": "/bills?bill=HBL00012*",
    "… by a part of a number": "/bills?bill=*L00012*",
    "search: a container": "/search?q={box}",
    "search: a part of a number": "/search?q=L00012",
    "search: a vessel and voyage": "/search?q={name}+026E",
    "search: a party": "/search?q={party}",
    "search: nothing": "/search?q=QQQQ999",
    "a box": "/boxes/{box}",
    "sailings": "/sailings",
    "a sailing": "/sailings/{sailing}",
    "a sailing's do-not-loads to print": "/sailings/{sailing}/do-not-loads",
    "parties": "/parties",
    "a party": "/parties/{party}",
    "feeds": "/feeds",
    "waiting": "/waiting",
    "handover of an hour": "/handover?since=1h",
    "audit": "/audit",
}


class Cost(NamedTuple):
    seconds: float
    cpu: float
    """Seconds of the console's process, in hundredths."""


class Build(NamedTuple):
    bills: int
    seconds: float
    cpu: float
    megabytes: float
    """Size of the file."""
    memory: float
    """Megabytes that the process had at most."""

    def sentence(self) -> str:
        return (
            f"{self.bills:,} bills; the index: {self.bills / self.seconds:,.0f} bills/s, "
            f"{self.bills / self.cpu:,.0f} a second of CPU, {self.megabytes:,.0f} MB, {self.memory:,.0f} MB of memory"
        )


def main() -> None:
    arguments = Options(__doc__, bills=(1_000_000, 1_000), recent=(20_000, 100), rounds=(3, 1)).asked()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(write_log(folder, arguments.bills, arguments.recent))
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as another:
            build = another.submit(made_index, folder, arguments.bills).result()
        costs = opened(folder, arguments.bills, arguments.rounds)
    made = Table("page", "seconds", "CPU seconds", title=build.sentence())
    for page, taken in costs.items():
        made.add_row(page, f"{median(one.seconds for one in taken):.3f}", f"{median(one.cpu for one in taken):.2f}")
    Console().print(made)


# The log


class Sample(NamedTuple):
    """A bill's records."""

    state: Output
    recent: list[Output]
    """Its history and its notices."""

    def copied(self, sample: int, bill: int, *, is_recent: bool) -> Iterator[Output]:
        """The records under the numbers of another bill. All numbers have the same length as the sample's."""
        names = list(zip(_numbers(sample, SAMPLE_ENTRY, SAMPLE_DAY), _numbers(bill), strict=True))
        for output in (self.state, *self.recent) if is_recent else (self.state,):
            value = output.value or b""
            for old, new in names:
                value = value.replace(old, new)
            yield output._replace(key=TRADE.key(bill).encode(), value=value)


def _numbers(bill: int, entry: str = "", day: str = "") -> list[bytes]:
    """Everything by which bills differ."""
    texts = (
        f"HBL{bill:09}",
        container_number(bill),
        f"MB{bill // TRADE.groups // 9:07}",
        entry or ENTRY.format(bill),
        day or DAY.format(1 + bill // 28 % 12, 1 + bill % 28),
    )
    return [text.encode() for text in texts]


async def write_log(folder: Path, bills: int, recent: int) -> None:
    """Real records of bills that went through a life, each written many times under other numbers."""
    samples = _samples()
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        await TRADE.register(log)
        for start in range(0, bills, BATCH):
            outputs: list[Output] = []
            for bill in range(start, min(start + BATCH, bills)):
                sample = bill % SAMPLES
                outputs += samples[sample].copied(sample, bill, is_recent=bill >= bills - recent)
            await log.append(outputs)


def _samples() -> list[Sample]:
    written: list[Output] = []
    bench = Bench(TRADE, written.extend)
    for bill in range(SAMPLES):
        codes = next(codes for end, codes in LIVES if bill % KINDS < end)
        bench.route(bench.records(TRADE.lives([bill], codes)))
    by_key: dict[bytes, list[Output]] = {}
    for output in written:
        by_key.setdefault(output.key, []).append(output)
    made = []
    for bill in range(SAMPLES):
        outputs = by_key[TRADE.key(bill).encode()]
        state = [output for output in outputs if output.topic == topics.BILLS][-1]
        recent = [one for one in outputs if one.topic == topics.TIMELINE or one.topic.startswith(topics.PARTY_PREFIX)]
        made.append(Sample(state, recent))
    return made


# The index


def made_index(folder: Path, bills: int) -> Build:
    """Run in a process of its own, whose memory is measured."""
    seconds, cpu = asyncio.run(_make_index(folder))
    megabytes = (folder / "snp-console.db").stat().st_size / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return Build(bills, seconds, cpu, megabytes, memory)


async def _make_index(folder: Path) -> tuple[float, float]:
    """Seconds, and seconds of CPU."""
    index = BillIndex(folder / "snp-console.db")
    await index.open()
    started, began = time.perf_counter(), time.process_time()
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        async for batch in log.read(FOLLOWED, until_end=True):
            await index.write_records(batch, Rules())
    taken, used = time.perf_counter() - started, time.process_time() - began
    await index.close()
    return taken, used


# The pages


def opened(folder: Path, bills: int, rounds: int) -> dict[str, list[Cost]]:
    """The costs of each page."""
    costs: dict[str, list[Cost]] = {name: [] for name in (OPENING, *PAGES)}
    middle, sailing = bills // 2, TRADE.sailings[7]
    places = {
        "bill": TRADE.key(middle),
        "middle": Cursor(STATUSES.index("RELEASED"), TRADE.key(middle)).token(),
        "day": Cursor("2026-06-14", TRADE.key(middle)).token(),
        "box": door_number(container_number(middle)),
        "sailing": sailing.sailing_id,
        "vessel": sailing.imo_number,
        "name": (sailing.vessel_name or "").replace(" ", "+"),
        "party": TRADE.group(7)[0],
    }
    for _ in range(rounds):
        started = time.perf_counter()
        with console(folder) as watched, requests.Session() as session:
            session.headers["cookie"] = watched.log_in()

            def ask(path: str) -> None:
                address = f"http://{watched.address}" + path.format(**places)
                session.get(address, timeout=120).raise_for_status()

            ask("/")
            costs[OPENING].append(Cost(time.perf_counter() - started, watched.cpu_seconds()))
            for name, path in PAGES.items():
                for _ in range(TRIES):
                    asked, before = time.perf_counter(), watched.cpu_seconds()
                    ask(path)
                    costs[name].append(Cost(time.perf_counter() - asked, watched.cpu_seconds() - before))
    return costs


if __name__ == "__main__":
    main()
