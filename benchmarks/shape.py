"""What an event costs as the trade grows in one direction: `python -m benchmarks.shape [--plot FILE.svg]`.

Fan-out, parties, bills known, history of a bill, bills in one container: each grows alone, all else stays as in
`benchmarks/cargo.py`. The costs are CPU of deciding and encoding, with all that an event causes in other bills;
`parties` also on a SQLite file, where what is written counts too. Rounds are interleaved, figures their medians.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.cargo import LIFE, TRADE, Bench, Trade, container_number, history
from benchmarks.kafka.scene import Feeder
from benchmarks.options import Options
from benchmarks.points import Point
from benchmarks.state import OPEN, batches, states
from router import topics
from router.decide.rules import Rules
from router.engine.worker import Worker
from router.log.url import open_log
from router.model.inputs import Disposition

STOP: Final = "6H"
"""A do-not-load."""
SEED: Final = 5


class Sizes(NamedTuple):
    events: int
    fan_out: tuple[int, ...]
    parties: tuple[int, ...]
    bills: tuple[int, ...]
    touched: int
    history: tuple[int, ...]
    long_history: int
    containers: tuple[int, ...]


FULL: Final = Sizes(
    events=4_000,
    fan_out=(1, 4, 10, 40),
    parties=(100, 1_000, 5_000),
    bills=(10_000, 100_000, 1_000_000, 3_162_278),
    touched=5_000,
    history=(1, 2, 5, 10, 20, 50, 100, 150, 200, 300, 400, 500),
    long_history=5_000,
    containers=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
TOY: Final = Sizes(200, (1, 4), (100, 400), (100, 200), 50, (1, 5, 10), 250, (1, 5))


def main() -> None:
    options = Options(__doc__, rounds=(3, 1))
    options.add_argument("--only", action="append", choices=list(DIRECTIONS), help="again for one more; else all")
    options.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw what was measured (needs matplotlib)")
    asked = options.asked()
    sizes = TOY if asked.toy else FULL
    names = asked.only or list(DIRECTIONS)
    points = [point for _ in range(asked.rounds) for name in names for point in DIRECTIONS[name](sizes)]
    found = medians(points)
    for name in names:
        Console().print(table(name, found, asked.rounds))
    if asked.plot:
        from benchmarks.plots import draw_shape

        draw_shape(found, asked.plot)


def medians(points: Iterable[Point]) -> list[Point]:
    runs: dict[tuple[str, str, int], list[float]] = {}
    for point in points:
        runs.setdefault(point[:3], []).append(point.microseconds)
    return [Point(*place, median(of_place)) for place, of_place in runs.items()]


def table(direction: str, points: list[Point], rounds: int) -> Table:
    ours = [point for point in points if point.direction == direction]
    series = list(dict.fromkeys(point.series for point in ours))
    made = Table(direction, *series, title=f"CPU µs by {direction}; medians of {rounds} rounds")
    cells = {(point.series, point.size): f"{point.microseconds:,.0f}" for point in ours}
    for size in sorted({point.size for point in ours}):
        made.add_row(f"{size:,}", *(cells.get((name, size), "") for name in series))
    return made


def fan_out(sizes: Sizes) -> Iterator[Point]:
    for recipients in sizes.fan_out:
        trade = Trade(120, recipients)
        bench = Bench(trade)
        records = bench.records(trade.feed(sizes.events))
        cost = bench.route(records) / len(records) * 1e6
        yield Point("recipients", "an event", recipients, cost)
        yield Point("recipients", "of it, a recipient", recipients, cost / recipients)


def parties(sizes: Sizes) -> Iterator[Point]:
    for count in sizes.parties:
        trade = Trade(count)
        bench = Bench(trade)
        records = bench.records(trade.feed(sizes.events))
        yield Point("parties", "deciding and encoding", count, bench.route(records) / len(records) * 1e6)
        yield Point("parties", "`run` on a SQLite file", count, asyncio.run(on_sqlite(trade, sizes.events)))


async def on_sqlite(trade: Trade, events: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        async with open_log(f"sqlite:///{folder}/shape.db") as log:
            await trade.register(log)
            await Feeder(log).append_all(trade.feed(events))
            started = time.process_time()
            totals = await Worker(log, Rules(), until_idle=True).run()
            return (time.process_time() - started) / totals.counts["events"] * 1e6


def bills(sizes: Sizes) -> Iterator[Point]:
    """Of a ledger with so many open bills: the next event of some, here and there, and events of new bills."""
    for known in sizes.bills:
        bench = Bench(TRADE)
        for topic in topics.STATE:
            for batch in batches(states(known, topic)):
                for record in batch:
                    bench.shard.load(record)
        chosen = random.Random(SEED).sample(range(known), min(sizes.touched, known))
        events = [TRADE.event(bill, LIFE[-1], len(OPEN)) for bill in chosen]
        yield Point("bills known", "of a bill not at hand", known, cost_of(bench, events))
        new = TRADE.lives(range(known, known + sizes.touched // len(LIFE)))
        yield Point("bills known", "of new bills", known, cost_of(bench, new))


def histories(sizes: Sizes) -> Iterator[Point]:
    """Many bills side by side, each growing from one event to many; then one bill with thousands."""
    side_by_side = max(sizes.events // max(sizes.history), 1)
    bench = Bench(TRADE)
    codes = history(max(sizes.history) + 1)
    before = 0
    for length in sizes.history:
        rounds = [
            [TRADE.event(bill, codes[minute], minute) for bill in range(side_by_side)]
            for minute in range(before, length)
        ]
        earlier, last = rounds[:-1], rounds[-1]
        cost_of(bench, (event for one in earlier for event in one))
        yield Point("events of a bill", "the last event, of many bills", length, cost_of(bench, last))
        before = length
    bench = Bench(TRADE)
    endless = [TRADE.event(0, code, minute) for minute, code in enumerate(history(sizes.long_history))]
    yield Point("events of a bill", "all events, of one bill", sizes.long_history, cost_of(bench, endless))


def containers(sizes: Sizes) -> Iterator[Point]:
    """Bills in one container: each comes in, one is stopped, and then all the others are, too."""
    for count in sizes.containers:
        bench = Bench(TRADE)
        box = container_number(0)
        ships = range(0, count * TRADE.groups, TRADE.groups)  # of one group, so on one ship
        cost = cost_of(bench, [TRADE.event(bill, "55", 0, box) for bill in ships])
        yield Point("bills in a container", "each comes in", count, cost)
        bench.most_outputs = 0
        cost = cost_of(bench, [TRADE.event(0, STOP, 1, box)])
        yield Point("bills in a container", "one is stopped: a bill told", count, cost / count)
        yield Point("bills in a container", "records in its largest transaction", count, float(bench.most_outputs))
        if count > 1:
            cost = cost_of(bench, [TRADE.event(bill, STOP, 2, box) for bill in ships[1:]])
            yield Point("bills in a container", "each of the others is stopped", count, cost)


def cost_of(bench: Bench, events: Iterable[Disposition]) -> float:
    """CPU µs of each."""
    records = bench.records(events)
    return bench.route(records) / max(len(records), 1) * 1e6


DIRECTIONS: Final[dict[str, Callable[[Sizes], Iterator[Point]]]] = {
    "recipients": fan_out,
    "parties": parties,
    "bills known": bills,
    "events of a bill": histories,
    "bills in a container": containers,
}

if __name__ == "__main__":
    main()
