"""A steady load, and who sees what of it when: events fed at a rate, notices read as a stock consumer reads them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Consumer, TopicPartition

from benchmarks.cargo import PARTITIONS
from benchmarks.kafka.scene import Feeder, Scene
from router import codec
from router.decide.identity import event_key
from router.log.interface import Log, partition_of
from router.model.inputs import Disposition

POLL_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 30.0


class Notice(NamedTuple):
    topic: str
    task: int
    sent: float
    """When its event was handed to the feed's producer."""
    arrived: float

    @property
    def waited(self) -> float:
        return self.arrived - self.sent


class Load:
    """Opened by `async with`: reading has begun then."""

    _bills = 0
    """Used up by all loads: each event must be new to the router."""

    def __init__(self, scene: Scene, log: Log, rate: int) -> None:
        self._trade = scene.trade
        self._feeder = Feeder(log)
        self._rate = rate
        self._reader = Reader(scene)
        self._sent: dict[tuple[bytes, str], float] = {}
        self._notices: list[Notice] = []
        self._looked = 0

    async def __aenter__(self) -> Self:
        self._reader.start()
        await asyncio.to_thread(self._reader.ready.wait)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.stop()
        await asyncio.to_thread(self._reader.join)

    @staticmethod
    def now() -> float:
        return time.monotonic()

    async def run(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Feed for so long, or until it is enough, at the given rate whatever becomes of it."""
        events = list(self._trade.feed(int(seconds * self._rate), Load._bills))
        Load._bills += len(events)
        began, fed = self.now(), 0
        while fed < len(events) and not enough():
            due = min(int((self.now() - began) * self._rate) + 1, len(events))
            if due > fed:
                await self._append(events[fed:due])
                fed = due
            await asyncio.sleep(max(0.0, began + fed / self._rate - self.now()))

    async def _append(self, events: list[Disposition]) -> None:
        now = self.now()
        for one in events:
            self._sent[event_key(one).encode(), one.disposition_code] = now
        await self._feeder.append(events)

    async def all_seen(self) -> None:
        """Until every event's notices have come, or patience ends."""
        ends = self.now() + PATIENCE_SECONDS
        while self.now() < ends and len(self.notices()) < len(self._sent) * self._trade.fan_out:  # noqa: ASYNC110 - no one tells
            await asyncio.sleep(POLL_SECONDS)

    def expected(self, since: float) -> int:
        return sum(sent >= since for sent in self._sent.values()) * self._trade.fan_out

    def notices(self) -> list[Notice]:
        """All that have come until now."""
        read = self._reader.read
        while self._looked < len(read):
            arrived, topic, key, value = read[self._looked]
            self._looked += 1
            sent = self._sent.get((key, codec.decode(value)[1]["disposition_code"]))
            if sent is not None:
                self._notices.append(Notice(topic, partition_of(key, PARTITIONS), sent, arrived))
        return self._notices


class Reader(threading.Thread):
    """Reads every party's topic from its present end, and notes when each record came."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(daemon=True)
        self.ready = threading.Event()
        self.read: list[tuple[float, str, bytes, bytes]] = []
        self._scene = scene
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._scene.address,
                "group.id": "benchmark-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
            }
        )
        partitions = [TopicPartition(name, 0) for name in self._scene.party_topics]
        for partition in partitions:
            partition.offset = consumer.get_watermark_offsets(partition)[1]
        consumer.assign(partitions)
        self.ready.set()
        while not self._stopped.is_set():
            message = consumer.poll(POLL_SECONDS)
            if message is not None and message.error() is None:
                place = message.topic() or "", message.key() or b""
                self.read.append((time.monotonic(), *place, message.value() or b""))
        consumer.close()
