"""How far routing is behind what was fed in."""

from __future__ import annotations

from typing import Final

from router import codec, topics
from router.log.interface import Log

FED_IN: Final = (topics.URGENT, topics.FILINGS, topics.DISPOSITIONS)


async def unrouted(log: Log) -> int:
    """How many records that were fed in no run has routed yet. Looks at positions only, so it costs little."""
    waiting = 0
    ends = {topic: await log.end_offsets(topic) for topic in FED_IN}
    for partition in ends[topics.DISPOSITIONS]:
        position = await _position(log, partition)
        for topic in FED_IN:
            waiting += max(0, ends[topic].get(partition, 0) - position.get(topic, 0))
    return waiting


async def _position(log: Log, partition: int) -> dict[str, int]:
    key = topics.POSITION_KEY + str(partition).encode()
    offsets: dict[str, int] = {}
    async for batch in log.read([topics.BILLS], until_end=True, key=key):
        for record in batch:
            if record.value is not None:
                offsets = codec.decode(record.value)[1]["offsets"]
    return offsets


class Idle:
    """Whether all tasks have looked and found nothing since any of them last did something."""

    def __init__(self) -> None:
        self.everywhere = False
        """It is known that nothing is left in other routers' tasks either."""
        self._waiting: set[int] = set()
        self._tasks: set[int] = set()

    @property
    def tasks(self) -> int:
        """How many are ours."""
        return len(self._tasks)

    def enter(self, task: int) -> None:
        self._tasks.add(task)
        self._waiting.clear()

    def leave(self, task: int) -> None:
        self._tasks.discard(task)
        self._waiting.discard(task)

    def is_over(self, task: int, *, busy: bool) -> bool:
        if busy:
            self._waiting.clear()
        else:
            self._waiting.add(task)
        return self._waiting == self._tasks
