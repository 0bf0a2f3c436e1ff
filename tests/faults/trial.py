"""One trial, in Jepsen's manner: events with unique ids are fed in while faults happen; then everything heals, what is
left is routed, and every party's topic is compared with a replay of the timeline, and the timeline with what was fed.

The history (what was done when, and what was found) is written to a file, which is kept where a trial fails.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from router import codec, topics
from router.decide.identity import event_key
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, import_sailings, prepare
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.errors import LogError
from router.log.interface import AdministeredLog, Record
from router.model.inputs import Disposition, Shipment
from router.model.registry_values import Line, Party, PortCall, Sailing
from router.task.outputs import timeline_fields
from tests.checking.replay import check

PARTITIONS = 4
BILLS = 60
CODES = ("55", "56", "69", "1H", "1I", "1C", "6H", "6I", "1A", "1B", "4A", "7H", "7I", "1J", "ZZ", "1M")
POSTED = 1_784_031_120_000
MINUTE = 60_000

Fault = Callable[[random.Random], Awaitable[str]]
"""Does something bad, or mends it; says what it did."""


class History:
    """What happened, in order, with the seconds since the beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began = time.monotonic()
        self._path.write_text("")

    def note(self, what: str, **more: Any) -> None:
        line = {"seconds": round(time.monotonic() - self._began, 3), "what": what} | more
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def keep(self, name: str, records: list[Record]) -> None:
        """What was judged, for whoever looks into it."""
        with self._path.with_name(f"{name}.jsonl").open("w") as file:
            for record in records:
                place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
                file.write(json.dumps(place | fields_of(record), default=bytes.hex) + "\n")


def fields_of(record: Record) -> dict[str, Any]:
    """A notice's fields, or those of an entry of the timeline."""
    value = record.value or b""
    return timeline_fields(value) if record.topic == topics.TIMELINE else codec.decode(value)[1]


class Trial:
    def __init__(self, log: AdministeredLog, history: History, seed: int) -> None:
        self.log = log
        self.history = history
        self.chance = random.Random(seed)
        self.rules = Rules()
        self.fed: list[Disposition] = []

    async def prepare(self) -> None:
        await self.log.create_topics(topics.topic_specs(PARTITIONS))
        await prepare(self.log, PARTITIONS)
        await append_tick(self.log)
        await import_parties(self.log, [Party(scac) for scac in ("OCNX", "SLTC", "HARX", "NVXA")])
        lines = (
            Line("OCNX", "operator", "026E", "holds"),
            Line("SLTC", "charterer", "SL26", "own"),
            Line("HARX", "charterer", "H26", "do-not-load"),
        )
        await import_sailings(
            self.log, [Sailing("EX-026E", "9074729", "OCEAN EXEMPLAR", (PortCall(None, "2026-07-28"),), lines)]
        )

    async def suffer(self, faults: list[Fault], seconds: float, pause: tuple[float, float]) -> None:
        """Feed all the time, and do one fault after another."""
        feeding = asyncio.create_task(self._feed_for(seconds))
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await asyncio.sleep(self.chance.uniform(*pause))
            fault = self.chance.choice(faults)
            self.history.note(await fault(self.chance))
        await feeding

    async def _feed_for(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await self.feed(20)
            await asyncio.sleep(0.05)

    async def feed(self, count: int) -> None:
        events = [self._event(len(self.fed) + number) for number in range(count)]
        outputs = [output for event in events for output in event_outputs(event, self.rules.codes.is_urgent)]
        while True:
            try:
                await self.log.append(outputs)
                break
            except LogError as error:  # fed again: identity absorbs what did get through
                self.history.note("append failed", error=str(error))
                await asyncio.sleep(0.2)
        self.fed.extend(events)

    def _event(self, number: int) -> Disposition:
        """Each in a minute of its own, so that each is another event; bills share boxes and masters."""
        bill, code = self.chance.randrange(BILLS), self.chance.choice(CODES)
        posted = POSTED + number * MINUTE + self.chance.randrange(20) * 50_000 * MINUTE
        return Disposition(
            "NVXA",
            f"HBL{bill:06d}",
            code,
            posted,
            120,
            container_numbers=(f"CSQU{bill % 20:06d}",),
            transaction_port="2704",
            remarks=f"event {number}",
            snps=("OCNX", "SLTC"),
            shipment=Shipment(
                carrier_scac="OCNX",
                imo_number="9074729",
                vessel_name="OCEAN EXEMPLAR",
                voyage_number="026E",
                port_of_unlading="2704",
                arrival_date="2026-07-28",
                master_bill=f"OCNXMB{bill % 5}",
            ),
            received_at=posted,
        )

    async def finish(self, group: str) -> list[str]:
        """Route what is left, in this process, and judge. Every violation, in words."""
        worker = Worker(self.log, self.rules, until_idle=True)
        totals = await worker.run(group)
        self.history.note("routed the rest", **dict(totals.counts))
        names = [name for name in await self.log.topics() if name.startswith(topics.PARTY_PREFIX)]
        timeline = await self.read([topics.TIMELINE])
        notices = await self.read(names)
        faults = [*check(timeline, notices, self.rules), *self.unrouted(timeline)]
        if faults:
            self.history.keep("timeline", timeline)
            self.history.keep("notices", notices)
        self.history.note("judged", fed=len(self.fed), decisions=len(timeline), notices=len(notices), faults=faults)
        return faults

    async def read(self, names: list[str]) -> list[Record]:
        return [record async for batch in self.log.read(names, until_end=True) for record in batch]

    def unrouted(self, timeline: list[Record]) -> list[str]:
        """What was fed and isn't in the timeline, or is there as new more than once."""
        decided: Counter[tuple[str, str, int]] = Counter()
        for record in timeline:
            entry = fields_of(record)
            if entry["cause"] == "DISPOSITION" and not entry["duplicate"]:
                decided[entry["bill"], entry["disposition_code"], entry["action_at"]] += 1
        wanted = Counter((event_key(event), event.disposition_code, event.action_at) for event in self.fed)
        lost = [f"lost: {event}" for event in wanted if not decided[event]]
        doubled = [f"decided {count} times: {event}" for event, count in decided.items() if count > 1]
        foreign = [f"never fed: {event}" for event in decided if event not in wanted]
        return lost + doubled + foreign
