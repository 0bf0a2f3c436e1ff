"""What all measurements share: a hundred parties in fours, their sailings, and a feed whose every event concerns four.

Four parties are a filer, an operator who also carries and is an SNP, a charterer who is an SNP, and a charterer who
may see all: as in `benchmarks/decisions.py`, twenty-five times over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.decisions import LIFE, event
from router import topics
from router.decide.ledger.rules import Rules
from router.engine.registrar import import_parties, import_sailings, prepare, tell_time
from router.feeds.ingest import outputs_of
from router.log.interface import Log, Output
from router.log.url import open_log
from router.model.inputs import Disposition
from router.model.registry import Line, Party, Sailing

PARTITIONS: Final = 4
RECIPIENTS: Final = 4
FLEETS: Final = 25
SIDE_BY_SIDE: Final = 50
"""Bills whose lives go on at the same time."""
APPEND_EVENTS: Final = 1000

LOG_SETTINGS: Final = {"replication_factor": 1}


def quiet() -> None:
    """A benchmark prints its table; what a client says while a new broker wakes up is no news."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class Fleet(NamedTuple):
    """Four parties who hear of the same bills, and their ship."""

    filer: str
    operator: str
    charterer: str
    watcher: str
    imo_number: str
    vessel_name: str

    @property
    def sailing(self) -> Sailing:
        lines = (
            Line(self.operator, "operator", "026E", "holds"),
            Line(self.charterer, "charterer", "C26", "own"),
            Line(self.watcher, "charterer", "W26", "all"),
        )
        return Sailing(f"{self.operator}-026E", self.imo_number, self.vessel_name, "2026-07-28", lines)


def fleet(number: int) -> Fleet:
    first, second = divmod(number, 26)
    letters = chr(ord("A") + first) + chr(ord("A") + second)
    scacs = (f"{kind}{letters}X" for kind in "FOCW")
    return Fleet(*scacs, str(9_000_000 + number), f"OCEAN {letters}")


FLEET: Final = tuple(fleet(number) for number in range(FLEETS))
SCACS: Final = tuple(scac for one in FLEET for scac in one[:RECIPIENTS])
PARTY_TOPICS: Final = tuple(Party(scac).topic for scac in SCACS)


def disposition(bill: int, code: str, minute: int) -> Disposition:
    of = FLEET[bill % FLEETS]
    return event(bill, code, minute)._replace(
        scac=of.filer,
        snps=(of.operator, of.charterer),
        master_bill=f"{of.operator}MB{bill // FLEETS // 9:07d}",
        carrier_scac=of.operator,
        imo_number=of.imo_number,
        vessel_name=of.vessel_name,
    )


def feed(count: int, first_bill: int = 0) -> Iterator[Disposition]:
    """Whole lives of five events, fifty bills side by side; at least `count` events."""
    bills = -(-count // len(LIFE))
    for start in range(first_bill, first_bill + bills, SIDE_BY_SIDE):
        for minute, code in enumerate(LIFE):
            for bill in range(start, min(start + SIDE_BY_SIDE, first_bill + bills)):
                yield disposition(bill, code, minute)


@dataclass(frozen=True)
class Scene:
    address: str
    folder: Path
    """For what processes log."""

    @property
    def url(self) -> str:
        return f"kafka://{self.address}"

    @asynccontextmanager
    async def log(self) -> AsyncIterator[Log]:
        async with open_log(self.url, LOG_SETTINGS) as log:
            yield log

    async def begin(self, log: Log, partitions: int = PARTITIONS) -> None:
        """Everything anew: empty topics, all parties and sailings registered."""
        await self.delete(log, [name for name in await log.topics() if name.startswith(("cbp.", "snp."))])
        await log.create_topics(topics.topic_specs(partitions))
        await prepare(log, partitions)
        await tell_time(log)
        await import_parties(log, [Party(scac) for scac in SCACS])
        await import_sailings(log, [one.sailing for one in FLEET])

    async def begin_outputs(self, log: Log) -> None:
        """What is fed in stays, and all that came of it goes."""
        kept = (topics.DISPOSITIONS, topics.URGENT, topics.FILINGS, topics.REGISTRY)
        specs = [spec for spec in topics.topic_specs(PARTITIONS) if spec.name not in kept]
        specs += [topics.party_topic_spec(name) for name in PARTY_TOPICS]
        await self.delete(log, [spec.name for spec in specs])
        await log.create_topics(specs)

    async def delete(self, log: Log, names: list[str]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            while left := sorted(set(names) & (await log.topics()).keys()):
                await admin.delete_topics(left)
                await asyncio.sleep(0.1)
        finally:
            await admin.close()


class Feeder:
    """Appends events as `ingest` does: the urgent ones also to the topic that goes past a backlog."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._codes = Rules().codes

    async def append(self, events: list[Disposition]) -> None:
        await self._log.append([output for one in events for output in self._outputs(one)])

    async def append_all(self, events: Iterator[Disposition]) -> int:
        """How many they were."""
        waiting: list[Disposition] = []
        count = 0
        for one in events:
            waiting.append(one)
            count += 1
            if len(waiting) == APPEND_EVENTS:
                await self.append(waiting)
                waiting = []
        if waiting:
            await self.append(waiting)
        return count

    def _outputs(self, one: Disposition) -> list[Output]:
        return outputs_of(one, lambda event: self._codes.is_urgent(event.disposition_code))
