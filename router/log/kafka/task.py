"""One task: its producer, which fences; then, and only then, its readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog
from aiokafka import TopicPartition

from router.errors import TaskMoved
from router.log.interface import Output, Position, Record
from router.log.kafka.inputs import OrderedInputs
from router.log.kafka.producer import TransactionalProducer
from router.log.kafka.reader import CommittedReader
from router.log.kafka.refused import RefusedTopics
from router.log.kafka.scan import scan
from router.log.kafka.settings import KafkaSettings

_PROGRESS_RECORDS = 1_000_000
"""Restoring says how far it is each time it has read so many."""

_log = structlog.get_logger(__name__)


class KafkaTask:
    """Opened by `async with`: it starts the producer, which ends whatever a former owner left open. What is read
    before that may be out of date, so nothing is."""

    def __init__(
        self,
        group: str,
        partition: int,
        inputs: Sequence[TopicPartition],
        asker: CommittedReader,
        bootstrap: str,
        settings: KafkaSettings,
        refused: RefusedTopics,
    ) -> None:
        self.partition = partition
        self.position: Position = {}
        """Where the caller was when it polled last; it is in the state by then. For lag displays."""
        self._name = f"{group}-{partition}"
        self._inputs = inputs
        self._asker = asker
        self._bootstrap = bootstrap
        self._settings = settings
        self._producer = TransactionalProducer(self._name, bootstrap, settings, refused)
        self._let_go = asyncio.Event()
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._producer.start()
        self._resources.push_async_callback(self._producer.close)
        try:
            reader = await self._resources.enter_async_context(self._reader("inputs"))
        except BaseException:
            await self._resources.aclose()
            raise
        self._ordered = OrderedInputs(reader, self._asker, self._inputs, self._settings.max_poll_buffer_records)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    def let_go(self) -> None:
        """The task is no longer ours: the next `poll` or `commit` raises TaskMoved, one under way may end."""
        self._let_go.set()

    async def restore(self, topics: Sequence[str]) -> AsyncIterator[list[Record]]:
        async with self._reader("restore") as reader:
            for topic in topics:
                partition = TopicPartition(topic, self.partition)
                if partition not in await reader.existing([topic]):
                    continue
                restored = 0
                async for records in scan(reader, await reader.beginnings([partition]), await reader.ends([partition])):
                    self._check_ours()
                    restored = self._progress(topic, restored, len(records))
                    yield records

    async def poll(self, position: Position, max_records: int, timeout: float) -> list[Record]:
        self._check_ours()
        self.position = position
        polling = asyncio.ensure_future(self._ordered.poll(position, max_records, timeout))
        leaving = asyncio.ensure_future(self._let_go.wait())
        try:
            await asyncio.wait({polling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if polling.done():
                return polling.result()
            raise TaskMoved(f"task {self._name} belongs to another worker now")
        finally:
            leaving.cancel()
            polling.cancel()
            await asyncio.wait({polling, leaving})

    def has_waiting(self, topic: str, position: Position) -> bool:
        return self._ordered.has_waiting(topic)

    async def commit(self, outputs: Sequence[Output]) -> None:
        self._check_ours()
        await self._producer.commit(outputs)

    def _check_ours(self) -> None:
        if self._let_go.is_set():
            raise TaskMoved(f"task {self._name} belongs to another worker now")

    def _reader(self, purpose: str) -> CommittedReader:
        return CommittedReader(self._bootstrap, self._settings, f"{self._name}-{purpose}")

    def _progress(self, topic: str, before: int, more: int) -> int:
        if before // _PROGRESS_RECORDS != (before + more) // _PROGRESS_RECORDS:
            _log.info("task_restoring", task=self._name, topic=topic, records=before + more)
        return before + more
