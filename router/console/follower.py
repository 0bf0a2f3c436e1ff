"""From the log into the index, and from there to everyone who watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final

import structlog

from router import topics
from router.clock import growing_pauses
from router.console.index import FOLLOWED, Index
from router.console.live import Hub
from router.decide.registry import Registry
from router.errors import LogError
from router.log.interface import Log, Record
from router.model.registry_values import Outage

BATCH: Final = 2000
"""Records entered at once: readers of the index wait for no more than that."""

_log = structlog.get_logger(__name__)


class Follower:
    """Runs until it is cancelled. A log that can't be reached for a while is tried again; the pages stay."""

    def __init__(self, log: Log, index: Index, hub: Hub) -> None:
        self.registry = Registry()
        self.outages: dict[str, Outage] = {}
        """All there were, by id: the registry itself keeps those that last."""
        self.caught_up = asyncio.Event()
        """Set once all that was on the log at the start is in the index."""
        self.trouble: str | None = None
        """Why nothing comes in at the moment."""
        self._log, self._index, self._hub = log, index, hub

    def hanging(self) -> list[str]:
        """The console hangs nowhere: what fails is tried again."""
        return []

    def unready(self) -> list[str]:
        reasons = [] if self.caught_up.is_set() else ["the index is still being made"]
        return reasons if self.trouble is None else [*reasons, self.trouble]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(self._follow_registry), name="console: registry")
            group.create_task(self._keep(self._follow_bills), name="console: bills")

    async def _keep(self, follow: Callable[[], Awaitable[None]]) -> None:
        pauses = growing_pauses(0.5, 30)
        while True:
            try:
                await follow()
            except LogError as error:
                self.trouble = str(error)
                pause = next(pauses)
                _log.warning("console_cut_off", reason=str(error), again_in_seconds=pause)
                await asyncio.sleep(pause)

    async def _follow_registry(self) -> None:
        registry, outages = Registry(), dict[str, Outage]()
        async for batch in self._log.read([topics.REGISTRY]):
            for record in batch:
                value = registry.take(record)
                if isinstance(value, Outage):
                    outages[value.id] = value
            self.registry, self.outages = registry, outages

    async def _follow_bills(self) -> None:
        await self._index.mend()
        progress = await self._index.progress()
        ends = {
            (topic, partition): end
            for topic in FOLLOWED
            for partition, end in (await self._log.end_offsets(topic)).items()
        }
        if any(offset > ends.get(place, 0) for place, offset in progress.items()):
            _log.warning("console_index_begun_anew", reason="the log is another one than before")
            await self._index.begin_anew()
            progress = {}
        if not progress:
            self.caught_up.clear()
        await self._take(self._log.read(FOLLOWED, begin=progress, until_end=True))
        self.caught_up.set()
        await self._take(self._log.read(FOLLOWED, begin=await self._index.progress()))

    async def _take(self, batches: AsyncIterator[list[Record]]) -> None:
        async for batch in batches:
            self.trouble = None
            for records in _parts(batch):
                entries = await self._index.take(records)
                if self.caught_up.is_set():
                    self._hub.tell(entries)


def _parts(records: list[Record]) -> Iterable[list[Record]]:
    return (records[start : start + BATCH] for start in range(0, len(records), BATCH))
