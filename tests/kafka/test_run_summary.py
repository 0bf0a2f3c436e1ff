"""The summary of `run` counts what this router did: others have their own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from router import codec, topics
from router.log.interface import Output, partition_of
from router.log.kafka import open_kafka_log
from router.model.inputs import Disposition
from tests.kafka.fixtures import QUICK
from tests.kafka.routers import Start, routers, until

pytestmark = pytest.mark.kafka

PARTITIONS = 4
BILLS = [f"NVXAHBL{number}" for number in range(60)]
BILLS_OF_TASK = Counter(partition_of(bill.encode(), PARTITIONS) for bill in BILLS)


@pytest.fixture
def start(kafka: str, tmp_path: Path) -> Iterator[Start]:
    with routers(kafka, tmp_path, PARTITIONS) as start:
        yield start


async def feed(bootstrap: str, code: str) -> None:
    """An event for each bill."""
    async with open_kafka_log(f"kafka://{bootstrap}", QUICK) as log:
        await log.append(
            [
                Output(
                    topics.DISPOSITIONS,
                    bill.encode(),
                    codec.encode_value(Disposition("NVXA", bill[4:], code, 1_784_031_120_000, 1)),
                )
                for bill in BILLS
            ]
        )


def bills_of(tasks: set[int]) -> int:
    return sum(BILLS_OF_TASK[task] for task in tasks)


async def routed(bootstrap: str, events: int) -> bool:
    async with open_kafka_log(f"kafka://{bootstrap}", QUICK) as log:
        reading = log.read([topics.TIMELINE], until_end=True)
        return sum([len(batch) async for batch in reading]) == events


def test_it_counts_bills_of_its_own_tasks_only_when_some_have_moved(kafka: str, start: Start) -> None:
    first = start()
    until(lambda: first.restored() == set(range(PARTITIONS)))
    asyncio.run(feed(kafka, "1H"))
    until(lambda: asyncio.run(routed(kafka, len(BILLS))))

    second = start()
    until(lambda: len(first.assigned()) == len(second.assigned()) == PARTITIONS // 2)
    until(lambda: second.restored() >= second.assigned())
    asyncio.run(feed(kafka, "1I"))
    until(lambda: asyncio.run(routed(kafka, 2 * len(BILLS))))
    kept = first.assigned()
    first.stop()
    until(lambda: second.restored() == set(range(PARTITIONS)))
    second.stop()

    assert first.summary()["bills"] == bills_of(kept) < len(BILLS)
    assert second.summary()["bills"] == len(BILLS)
    assert first.summary()["events"] + second.summary()["events"] == 2 * len(BILLS)
