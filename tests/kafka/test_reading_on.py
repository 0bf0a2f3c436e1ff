"""A reader gives up on brokers that answer nothing, not on a caller that takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import TopicPartition

from router.errors import TaskRetry
from router.log.interface import Record
from router.log.kafka.reader import CommittedReader
from tests.kafka.fixtures import QUICK

AT, SILENT = TopicPartition("snp.bills", 0), TopicPartition("snp.bills", 1)
DEADLINE_SECONDS = 0.2


class Reader(CommittedReader):
    """Reads one record at a time of the first partition, and nothing of the other."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1", QUICK.model_copy(update={"start_deadline_seconds": DEADLINE_SECONDS}), "test")
        self._at = 0
        self.assign = self.pause = lambda *_: None  # type: ignore[method-assign,assignment]

    async def fetch(self, timeout: float) -> dict[TopicPartition, list[Record]]:
        await asyncio.sleep(timeout)
        self._at += 1
        return {AT: [Record(*AT, self._at - 1, b"", b"", (), 0)]} if self._at <= 4 else {}

    async def position(self, partition: TopicPartition) -> int:
        return self._at if partition == AT else 0


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    reader = Reader()
    yield reader
    await reader._consumer.stop()


async def test_a_slow_caller_gets_everything(reader: Reader) -> None:
    offsets = []
    async for batch in reader.read_to({AT: 0}, {AT: 4}):
        await asyncio.sleep(1.5 * DEADLINE_SECONDS)
        offsets += [record.offset for record in batch]
    assert offsets == [0, 1, 2, 3]


async def test_what_can_be_read_comes_before_it_gives_up(reader: Reader) -> None:
    unread: list[str] = []
    ends = {AT: 4, SILENT: 1}
    batches = [batch async for batch in reader.read_to(dict.fromkeys(ends, 0), ends, unread)]
    assert [record.offset for batch in batches for record in batch] == [0, 1, 2, 3]
    assert unread == ["snp.bills, partition 1: no broker is known to lead it"]


async def test_without_a_list_to_name_it_in_what_is_missing_is_an_error(reader: Reader) -> None:
    with pytest.raises(TaskRetry, match="partition 1: no broker is known to lead it"):
        async for _ in reader.read_to({SILENT: 0}, {SILENT: 1}):
            pass
