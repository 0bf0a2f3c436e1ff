"""One party's notices on their way to its lanes: a bounded number in memory, the rest stays on the log."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, cast

from router.log.interface import Log, Record

MOST: Final = 100


class Inbox:
    """Filled from two sides: `offer` with what is new while there is room, and from the log where that was too much."""

    def __init__(self, log: Log, topic: str, begin: int, wake: Callable[[], None]) -> None:
        self._log = log
        self._topic = topic
        self._next = begin
        self._waiting: deque[Record] = deque()
        self._wake = wake
        self._is_behind = True
        self._was_offered = False

    def offer(self, record: Record) -> None:
        """What is new on the topic. Never waits."""
        self._was_offered = True
        if not self._is_behind and record.offset >= self._next:
            if len(self._waiting) < MOST:
                self._waiting.append(record)
                self._next = record.offset + 1
            else:
                self._is_behind = True
        self._wake()

    def look_again(self) -> None:
        """Something may have been missed: read on from where we are."""
        self._is_behind = self._was_offered = True
        self._wake()

    async def take(self) -> Record | None:
        """The next one, or None if there is nothing more for now. Raises LogError."""
        if not self._waiting and self._is_behind:
            await self._fill()
        return self._waiting.popleft() if self._waiting else None

    async def _fill(self) -> None:
        """Read a portion. What is offered meanwhile is not taken; there is another portion then."""
        self._was_offered = False
        begin = {(self._topic, 0): self._next}
        reading = cast(AsyncGenerator[list[Record]], self._log.read([self._topic], until_end=True, begin=begin))
        async with aclosing(reading):
            async for batch in reading:
                for record in batch[: MOST - len(self._waiting)]:
                    self._waiting.append(record)
                    self._next = record.offset + 1
                if len(self._waiting) == MOST:
                    return
        self._is_behind = self._was_offered
