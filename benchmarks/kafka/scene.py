"""What all measurements on Kafka share: a trade, its topics made anew, and a feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.cargo import PARTITIONS, Trade
from router import topics
from router.decide.rules import Rules
from router.engine.intake import event_outputs
from router.log.interface import AdministeredLog, Log
from router.log.url import open_log
from router.model.inputs import Disposition

APPEND_EVENTS: Final = 1000
LOG_SETTINGS: Final = {"replication_factor": 1}


@dataclass(frozen=True)
class Scene:
    address: str
    folder: Path
    """For what processes log."""
    trade: Trade

    @property
    def url(self) -> str:
        return f"kafka://{self.address}"

    @property
    def party_topics(self) -> list[str]:
        return [party.topic for party in self.trade.registered]

    @asynccontextmanager
    async def log(self) -> AsyncIterator[AdministeredLog]:
        async with open_log(self.url, LOG_SETTINGS) as log:
            yield log

    async def begin(self, log: AdministeredLog, partitions: int = PARTITIONS) -> None:
        """Everything anew: empty topics, all parties and sailings registered."""
        await self._delete(log, [name for name in await log.topics() if name.startswith(("cbp.", "snp."))])
        await log.create_topics(topics.topic_specs(partitions))
        await self.trade.register(log, partitions)

    async def begin_outputs(self, log: AdministeredLog) -> None:
        """What is fed in stays, and all that came of it goes."""
        kept = (topics.DISPOSITIONS, topics.URGENT, topics.FILINGS, topics.REGISTRY)
        specs = [spec for spec in topics.topic_specs(PARTITIONS) if spec.name not in kept]
        specs += [topics.party_topic_spec(name) for name in self.party_topics]
        await self._delete(log, [spec.name for spec in specs])
        await log.create_topics(specs)

    async def _delete(self, log: AdministeredLog, names: list[str]) -> None:
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

    async def append(self, events: Iterable[Disposition]) -> None:
        await self._log.append([output for one in events for output in event_outputs(one, self._codes.is_urgent)])

    async def append_all(self, events: Iterator[Disposition]) -> int:
        """How many they were."""
        count = 0
        while batch := list(islice(events, APPEND_EVENTS)):
            await self.append(batch)
            count += len(batch)
        return count
