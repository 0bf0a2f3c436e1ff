"""The router with one safeguard taken out, to show that the checker would tell: `python broken_router.py WHICH …`.

What is patched here is what each safeguard is for; nothing else of the router knows of it.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Sequence
from typing import Any

from quick_router import main  # in this folder: with short pauses and small transactions

from router.errors import TaskRetry
from router.log.interface import Output
from router.log.kafka.producer import TransactionalProducer
from router.log.kafka.task import KafkaTask

SLOW_RESTORE_SECONDS = 4


def without_fence() -> None:
    """Each producer under an id of its own: nobody fences anybody."""
    original = TransactionalProducer.__init__

    def initialise(self: TransactionalProducer, transactional_id: str, *rest: Any) -> None:
        original(self, f"{transactional_id}-{uuid.uuid4().hex}", *rest)

    TransactionalProducer.__init__ = initialise  # type: ignore[method-assign]


def without_gate() -> None:
    """State and position are read first, and the producer is started when there is something to write: some seconds
    later, as after the restore of a large task. A former owner that wakes up meanwhile can still commit."""
    start, commit = TransactionalProducer.start, TransactionalProducer.commit

    async def later(self: TransactionalProducer) -> None:
        self.started = False  # type: ignore[attr-defined]

    async def start_and_commit(self: TransactionalProducer, outputs: Sequence[Output]) -> None:
        if not self.started:  # type: ignore[attr-defined]
            await asyncio.sleep(SLOW_RESTORE_SECONDS)
            await start(self)
            self.started = True  # type: ignore[attr-defined]
        await commit(self, outputs)

    TransactionalProducer.start = later  # type: ignore[method-assign]
    TransactionalProducer.commit = start_and_commit  # type: ignore[method-assign]


def without_awaiting() -> None:
    """A commit looks at no record's fate."""

    async def believe(self: TransactionalProducer, futures: Sequence[asyncio.Future[Any]], doing: str) -> None:
        await asyncio.gather(*futures, return_exceptions=True)

    assert hasattr(TransactionalProducer, "_all_written"), "else nothing is taken out"
    TransactionalProducer._all_written = believe  # type: ignore[method-assign]


def without_asking_anew() -> None:
    """After doubt the same outputs are simply written again, with a new producer, without reading what happened."""
    commit = KafkaTask.commit

    async def insist(self: KafkaTask, outputs: Sequence[Output]) -> None:
        while True:
            try:
                await commit(self, outputs)
                return
            except TaskRetry:
                await self._producer.close()
                old = self._producer
                self._producer = TransactionalProducer(
                    old.transactional_id, self._bootstrap, self._settings, old._refused
                )
                await self._producer.start()

    KafkaTask.commit = insist  # type: ignore[method-assign]


SAFEGUARDS = {
    "fence": without_fence,
    "gate": without_gate,
    "awaiting": without_awaiting,
    "asking": without_asking_anew,
}

if __name__ == "__main__":
    SAFEGUARDS[sys.argv.pop(1)]()
    main()
