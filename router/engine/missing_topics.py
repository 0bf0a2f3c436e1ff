"""Parties' topics that were missing or refused us: once they take our records again, what waited for them is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from router.background import background
from router.errors import LogError
from router.log.interface import AdministeredLog
from router.model.registry_values import RegistryNote
from router.task.outputs import registry_output
from router.task.shard import Shard

LOOK_SECONDS: Final = 15.0
"""Between two looks. Notices wait at most this long after their topic is there, besides the walk over all bills."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def missing_topics_sought(log: AdministeredLog, shard: Shard, clock: Callable[[], int]) -> AsyncIterator[None]:
    """Look for missing topics while the block runs. The owner of task 0 does it for all tasks."""
    if shard.partition != 0:
        yield
        return

    async def keep_looking() -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await note_those_back(log, shard.registry.missing_topics, clock())
            except LogError as error:
                _log.warning("missing_topics_not_sought", reason=str(error))

    async with background("looking for missing topics", keep_looking):
        yield


async def note_those_back(log: AdministeredLog, missing: set[str], now: int) -> None:
    """Note in the registry which missing topics take our records again, whoever made them. Every task then walks its
    bills. A note too many does no harm. Raises LogError."""
    back = sorted(await log.accepting(missing)) if missing else []
    if back:
        await log.append([registry_output(RegistryNote("back", topic, now)) for topic in back], atomic=True)
        _log.info("destination_back", topics=back)
