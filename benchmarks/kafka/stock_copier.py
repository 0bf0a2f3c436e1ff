"""A stock client: `python -m benchmarks.kafka.stock_copier ADDRESS INPUT OUTPUT GROUP TRANSACTIONAL_ID`.

A transactional copy loop as aiokafka's documentation writes it, with its default settings. It imports nothing of the
router, whose package changes aiokafka's connections. After a failure it starts anew, as under a service manager.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

AGAIN_SECONDS: Final = 1.0


async def copy(address: str, source: str, target: str, group: str, transactional_id: str) -> None:
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=address,
        group_id=group,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id=transactional_id)
    async with consumer, producer:
        while True:
            fetched = await consumer.getmany(timeout_ms=100)
            if fetched:
                async with producer.transaction():
                    for records in fetched.values():
                        for record in records:
                            await producer.send(target, record.value, record.key)
                    positions = {partition: records[-1].offset + 1 for partition, records in fetched.items()}
                    await producer.send_offsets_to_transaction(positions, group)


async def main() -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    while True:
        with contextlib.suppress(Exception):  # whatever it was
            await copy(*sys.argv[1:])
        await asyncio.sleep(AGAIN_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())
