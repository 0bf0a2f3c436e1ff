"""How much a task does at a time. Of tasks with a backlog one decides while others commit: did all decide at once, all
would commit late. What is urgent waits for no turn, and for no large transaction."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from router import topics
from router.log.interface import Record

FIRST: Final = (topics.REGISTRY, topics.URGENT)
"""Read before all others."""

LOOK_SECONDS: Final = 0.25
"""So long a task that waits for its turn, or decides in it, goes on before it looks for something urgent: what is found
costs a transaction of its own."""


class Portion(NamedTuple):
    """What a task may do now, in one transaction."""

    records: int
    bills: int
    """Of a walk."""
    seconds: float
    """To wait for something to do."""


class PolledBatch(NamedTuple):
    """What a poll gave of a portion."""

    records: list[Record]
    portion: Portion
    at: float
    """By `time.perf_counter`."""

    def brings(self, name: str) -> bool:
        return any(record.topic == name for record in self.records)

    def ends_within(self, *names: str) -> bool:
        """Whether the last record is of one of these inputs, and there may be more."""
        return len(self.records) >= self.portion.records and self.records[-1].topic in names

    def holds_up(self, following: int, urgent_waits: Callable[[], bool]) -> bool:
        """Whether to commit before the `following` record is decided, because of something urgent in the transaction
        or not yet; what is left is polled again."""
        if self.records[following].topic in FIRST or time.perf_counter() - self.at < LOOK_SECONDS:
            return False
        return self.records[0].topic in FIRST or urgent_waits()


NOTHING: Final = PolledBatch([], Portion(1, 0, 0.0), 0.0)


class Turns:
    """Each task that waits gets its turn: who had the fewest is next."""

    def __init__(self) -> None:
        self._deciding: int | None = None
        self._waiting: dict[int, asyncio.Event] = {}
        self._had = Counter[int]()

    @asynccontextmanager
    async def of(self, task: int, hurries: Callable[[], bool]) -> AsyncIterator[bool]:
        """Wait for the task's turn and have it, or go without as soon as it `hurries`. Whether it has it."""
        turn = self._waiting[task] = asyncio.Event()
        self._pass_on()
        try:
            while not await _comes(turn) and not hurries():
                pass
            self._waiting.pop(task, None)
            yield turn.is_set()
        finally:
            self._waiting.pop(task, None)
            if self._deciding == task:
                self._deciding = None
                self._pass_on()

    def _pass_on(self) -> None:
        if self._deciding is None and self._waiting:
            self._deciding = min(self._waiting, key=lambda task: self._had[task])
            self._had[self._deciding] += 1
            self._waiting.pop(self._deciding).set()


async def _comes(turn: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            await turn.wait()
    return turn.is_set()
