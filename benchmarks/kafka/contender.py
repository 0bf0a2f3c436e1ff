"""One contender of the backlog, in a process of its own.

`python -m benchmarks.kafka.contender NAME ADDRESS EVENTS ROUND PARTIES`.
Prints the CPU seconds that it took, without those of starting Python. The bare loops do what any copying router must:
decode an event, look its four parties up, write four notices and a record of its status, a thousand events a
transaction, exactly once. They keep no ledger, decide nothing and write the event itself as the notice, encoded once.
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from typing import Any, Final

import fastavro
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.producer import sender
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from benchmarks.cargo import TRANSACTION, Trade
from benchmarks.kafka.scene import LOG_SETTINGS
from benchmarks.options import quiet
from router import codec, topics
from router.codec import published
from router.decide.rules import Rules
from router.engine.worker import Worker
from router.log.url import open_log

FETCH_BYTES: Final = 2_000_000
BATCH_BYTES: Final = 900_000
REQUEST_BYTES: Final = 4_000_000
TIMEOUT_SECONDS: Final = 30


def without_logical_types(schema: Any) -> Any:
    """Times stay numbers, as in the router's own codec: the loops shall not lose time over them."""
    if isinstance(schema, dict):
        return {name: without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    return [without_logical_types(part) for part in schema] if isinstance(schema, list) else schema


EVENT: Final = fastavro.parse_schema(without_logical_types(published.raw_schema("disposition")))
STATUS: Final = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Status",
        "fields": [{"name": name, "type": "string"} for name in ("bill", "disposition_code")],
    }
)


class Copier:
    """What both bare loops do with an event."""

    def __init__(self, trade: Trade) -> None:
        self._topics = {one.id: (one.topic, bytes([len(one.id) * 2]) + one.id.encode()) for one in trade.registered}
        self._watchers = {sailing.imo_number: sailing.lines[-1].scac for sailing in trade.sailings}

    def copies(self, value: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
        """For each recipient the topic and the notice; and the status."""
        event: Any = fastavro.schemaless_reader(io.BytesIO(value[codec.HEADER_SIZE :]), EVENT, None)
        shared = encoded(EVENT, event)
        recipients = (event["scac"], *event["snps"], self._watchers[event["imo_number"]])
        found = [self._topics[scac] for scac in recipients]
        bill = event["scac"] + event["bill_of_lading"]
        status = encoded(STATUS, {"bill": bill, "disposition_code": event["disposition_code"]})
        return [(topic, shared + recipient) for topic, recipient in found], status


def encoded(schema: Any, datum: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, datum)
    return out.getvalue()


async def route(address: str, events: int, name: str) -> None:
    async with open_log(f"kafka://{address}", LOG_SETTINGS) as log:
        totals = await Worker(log, Rules(), until_idle=True).run(name)
    if totals.counts["events"] != events:
        raise SystemExit(f"the router routed {totals.counts['events']} of {events} events")


async def copy_with_aiokafka(copier: Copier, address: str, events: int, name: str) -> None:
    sender.BACKOFF_OVERRIDE = 0.002  # as the router has it
    consumer = AIOKafkaConsumer(
        topics.DISPOSITIONS,
        bootstrap_servers=address,
        group_id=name,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=address,
        transactional_id=name,
        max_batch_size=BATCH_BYTES,
        max_request_size=REQUEST_BYTES,
        retry_backoff_ms=20,
    )
    async with consumer, producer:
        while events > 0:
            fetched = await consumer.getmany(timeout_ms=100, max_records=TRANSACTION)
            if fetched:
                async with producer.transaction():
                    await send_copies(producer, copier, fetched)
                    positions = {partition: records[-1].offset + 1 for partition, records in fetched.items()}
                    await producer.send_offsets_to_transaction(positions, name)
                events -= sum(map(len, fetched.values()))


async def send_copies(producer: Any, copier: Copier, fetched: dict[Any, list[Any]]) -> None:
    waiting: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {}
    for partition, records in fetched.items():
        for record in records:
            notices, status = copier.copies(record.value)
            for topic, notice in notices:
                waiting.setdefault((topic, 0), []).append((record.key, notice))
            waiting.setdefault((topics.TIMELINE, partition.partition), []).append((record.key, status))
    futures = []
    for (topic, number), records in waiting.items():
        batch = producer.create_batch()
        for key, value in records:
            if batch.append(key=key, value=value, timestamp=None) is None:
                futures.append(await producer.send_batch(batch, topic, partition=number))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        futures.append(await producer.send_batch(batch, topic, partition=number))
    await asyncio.gather(*futures)


def copy_with_confluent(copier: Copier, address: str, events: int, name: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": name,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": address, "transactional.id": name})
    consumer.subscribe([topics.DISPOSITIONS])
    producer.init_transactions(TIMEOUT_SECONDS)
    while events > 0:
        messages = [message for message in consumer.consume(TRANSACTION, 0.1) if message.error() is None]
        if messages:
            producer.begin_transaction()
            for message in messages:
                produce_copies(producer, copier, message)
            positions = {message.partition() or 0: (message.offset() or 0) + 1 for message in messages}
            read = [TopicPartition(topics.DISPOSITIONS, *position) for position in positions.items()]
            producer.send_offsets_to_transaction(read, consumer.consumer_group_metadata(), TIMEOUT_SECONDS)
            producer.commit_transaction(TIMEOUT_SECONDS)
            events -= len(messages)
    consumer.close()


def produce_copies(producer: Producer, copier: Copier, message: Message) -> None:
    notices, status = copier.copies(message.value() or b"")
    for topic, notice in notices:
        producer.produce(topic, notice, message.key(), partition=0)
    producer.produce(topics.TIMELINE, status, message.key(), partition=message.partition() or 0)
    producer.poll(0)


def main() -> None:
    name, address, events, round_number, parties = sys.argv[1:]
    quiet()
    copier = Copier(Trade(int(parties)))
    own_name = f"benchmark-{name}-{round_number}"
    started = time.process_time()
    if name == "confluent":
        copy_with_confluent(copier, address, int(events), own_name)
    elif name == "aiokafka":
        asyncio.run(copy_with_aiokafka(copier, address, int(events), own_name))
    else:
        asyncio.run(route(address, int(events), own_name))
    print(time.process_time() - started)


if __name__ == "__main__":
    main()
