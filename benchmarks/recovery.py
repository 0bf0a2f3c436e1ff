"""A backlog after an outage, with live traffic among it, on SQLite: `python -m benchmarks.recovery --events 1000000`.

The backlog lies on the log when the router starts; while it drains, live events are fed in, one for twenty of the
backlog that were routed. Every fifth of them is a do-not-load on a bill of its own. Measured: how long the backlog
takes to drain (wall clock, and this process's CPU, feeding included), and how long each live do-not-load takes from
being fed in until a reader of its party's topic has it, which no backlog may hide (`cbp.urgent`). A quarter of the
backlog are holds, which lie in that topic too: what is fed in before these are routed is counted apart.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from statistics import quantiles
from typing import Final, NamedTuple

from rich.console import Console

from benchmarks.cargo import PARTITIONS
from benchmarks.options import Options
from router import topics
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, import_sailings, prepare
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.log.interface import Log
from router.log.url import open_log
from router.model.eastern import MINUTE
from router.model.inputs import Disposition, Shipment
from router.model.registry_values import Line, Party, PortCall, Sailing, party_topic

LIVE_SHARE: Final = 20
"""One live event for so many of the backlog."""
STOPS: Final = 5
"""One live event in so many is a do-not-load."""
CODES: Final = ("55", "1A", "1B", "1C")
BATCH: Final = 2000
WATCHED: Final = "NVXA"
SHIPMENT: Final = Shipment(
    carrier_scac="OCNX", imo_number="9074729", vessel_name="OCEAN EXEMPLAR", voyage_number="026E",
    port_of_unlading="2704", arrival_date="2026-07-28",
)  # fmt: skip


class Measured(NamedTuple):
    events: int
    live: int
    seconds: float
    cpu_seconds: float
    behind_holds: list[float]
    """Of live do-not-loads fed in while holds of the backlog waited, milliseconds."""
    latencies: list[float]
    """Of the others."""


def main() -> None:
    arguments = Options(__doc__, events=(1_000_000, 2_000)).asked()
    with tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(recovered(arguments.events, folder))
    Console().print(words(measured), markup=False)


def words(measured: Measured) -> str:
    whole = measured.events + measured.live
    return (
        f"backlog {measured.events:,} events, {measured.live:,} live ones among it: drained in "
        f"{measured.seconds:.1f} s ({measured.cpu_seconds:.1f} s CPU; {whole / measured.seconds:,.0f} events/s)\n"
        f"live do-not-loads, fed in to read: {waits(measured.latencies)}\n"
        f"those behind the backlog's own holds: {waits(measured.behind_holds)}"
    )


def waits(latencies: list[float]) -> str:
    if len(latencies) < 2:
        return "too few"
    cuts = quantiles(latencies, n=100)
    return f"{len(latencies)}, p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms"


async def recovered(count: int, folder: str) -> Measured:
    rules = Rules()
    async with open_log(f"sqlite:///{folder}/recovery.db") as log:
        await prepare(log, PARTITIONS)
        await append_tick(log)
        await import_parties(log, [Party(scac) for scac in ("OCNX", "SLTC", "HARX", WATCHED)])
        await import_sailings(log, [sailing()])
        for batch in batches(backlog(count, now_milliseconds()), BATCH):
            await feed(log, rules, batch)
        worker = Worker(log, rules)
        seen: dict[bytes, float] = {}
        watching = asyncio.create_task(watch(log, seen))
        started, cpu = time.perf_counter(), time.process_time()
        routing = asyncio.create_task(worker.run())
        holds = await log.end_offsets(topics.URGENT)
        fed = await live(log, rules, worker, count, holds)
        while worker.totals.counts["events"] < count + len(fed):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        await asyncio.sleep(0.2)
        for task in (routing, watching):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    waited = [((seen[key] - at) * 1000, behind) for key, (at, behind) in fed.items() if key in seen]
    latencies = [[wait for wait, behind in waited if behind is one] for one in (True, False)]
    return Measured(count, len(fed), seconds, cpu, *latencies)


async def watch(log: Log, seen: dict[bytes, float]) -> None:
    """As a party would read its topic, from now on: when each do-not-load was there."""
    async for batch in log.read([party_topic(WATCHED)], from_start=False):
        now = time.perf_counter()
        for record in batch:
            if record.key.startswith(b"NVXASTOP"):
                seen.setdefault(record.key, now)


async def live(
    log: Log, rules: Rules, worker: Worker, count: int, holds: dict[int, int]
) -> dict[bytes, tuple[float, bool]]:
    """Feed live events in step with the backlog's draining; when each was, and whether holds of the backlog, which end
    at the offsets given, waited then."""
    fed: dict[bytes, tuple[float, bool]] = {}
    while worker.totals.counts["events"] < count:
        due = min(count, worker.totals.counts["events"]) // LIVE_SHARE - len(fed)
        events = [live_event(len(fed) + number) for number in range(due)]
        behind = any(shard.position.get(topics.URGENT, 0) < holds[task] for task, shard in worker.shards.items())
        now = time.perf_counter()
        fed |= {f"NVXA{event.bill_of_lading}".encode(): (now, behind) for event in events}
        if events:
            await feed(log, rules, events)
        await asyncio.sleep(0.005)
    return fed


def live_event(number: int) -> Disposition:
    now = now_milliseconds()
    if number % STOPS:
        return cargo(f"LIVE{number:08d}", "1A", now, now)
    return cargo(f"STOP{number:08d}", "6H", now, now)


async def feed(log: Log, rules: Rules, events: list[Disposition]) -> None:
    await log.append([output for event in events for output in event_outputs(event, rules.codes.is_urgent)])


def backlog(count: int, now: int) -> Iterator[Disposition]:
    """Nine hours of messages, four a bill."""
    for number in range(count):
        bill, step = divmod(number, len(CODES))
        posted = now - 540 * MINUTE + (number * 540 // count) * MINUTE
        yield cargo(f"HBL{bill:09d}", CODES[step], posted, now)


def cargo(number: str, code: str, posted: int, received_at: int) -> Disposition:
    return Disposition(
        "NVXA", number, code, posted, 100, transaction_port="2704", snps=("SLTC",), shipment=SHIPMENT,
        received_at=received_at, source="backlog",
    )  # fmt: skip


def batches(events: Iterator[Disposition], size: int) -> Iterator[list[Disposition]]:
    batch: list[Disposition] = []
    for event in events:
        batch.append(event)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def sailing() -> Sailing:
    lines = (
        Line("OCNX", "operator", "026E", "holds"),
        Line("SLTC", "charterer", "SL26", "own"),
        Line("HARX", "charterer", "H26", "do-not-load"),
    )
    return Sailing("EXEMPLAR-026E", "9074729", "OCEAN EXEMPLAR", (PortCall(None, "2026-07-28"),), lines)


if __name__ == "__main__":
    main()
