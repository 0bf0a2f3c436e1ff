"""What has to be asked for rather than counted: how far each task is behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from router import topics
from router.errors import LogError
from router.log.interface import Log
from router.observe.metrics import Metrics
from router.task.shard import Shard

EVERY_SECONDS: Final = 15.0


async def keep_watching(log: Log, shards: Mapping[int, Shard], metrics: Metrics) -> None:
    """Until cancelled. While the log can't be asked, the figures stay as they were."""
    while True:
        with suppress(LogError):
            await look(log, shards, metrics)
        await asyncio.sleep(EVERY_SECONDS)


async def look(log: Log, shards: Mapping[int, Shard], metrics: Metrics) -> None:
    """Once. Raises LogError."""
    for topic in topics.INPUTS:
        ends = await log.end_offsets(topic)
        for task, shard in list(shards.items()):
            end = ends.get(0 if topic == topics.REGISTRY else task, 0)
            metrics.lag(task, topic, max(0, end - shard.position.get(topic, 0)))
