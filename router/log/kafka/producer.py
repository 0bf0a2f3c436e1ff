"""The producers, and the only code that touches aiokafka's.

aiokafka's producer has states in which it looks well and is not. After an authorization error an abort is not sent, and
the next commit publishes what was to be aborted. After one failed record a commit still succeeds without it. A
cancelled commit goes on. So nothing is repaired here: a producer that met any fault is retired and discarded. The next
one with the same transactional id fences it at `start` and ends what it left open. Only then is it known which of its
last records were committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.producer import sender

from router.errors import DestinationMissing, FatalLogError, TaskRetry
from router.log.interface import Output, Place, partition_of
from router.log.kafka.connection import KafkaSettings
from router.log.kafka.failures import discard_producer, refused_topics, step, translate
from router.topics import PARTITIONED

sender.BACKOFF_OVERRIDE = 0.002
"""Seconds. A broker refuses a producer's next transaction until the markers of the last are written, a few
milliseconds later. aiokafka then waits 20 ms, most of the time of a transaction in a backlog."""

BATCH_LIMIT_BYTES: Final = 900_000
"""Size of the batches that records of one partition are written in. Brokers take 1 MB by default."""

RECORD_OVERHEAD_BYTES: Final = 100
"""Upper bound of a record's bytes beside key, value and headers, with its batch's."""

REFUSED_TOPIC_SECONDS: Final = 10.0

LOOK_SECONDS: Final = 0.5
"""Between two looks at the brokers' topics while a transaction waits. aiokafka waits for a deleted one without end."""
PROBE_PAUSE_SECONDS: Final = 0.01

Futures = list[asyncio.Future[Any]]


class RefusedTopics:
    """Topics that exist but refuse our records, shared by all producers of a log. Metadata does not show them, only a
    failed transaction does. Each counts as missing for a while."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, topics: Iterable[str]) -> None:
        self._until |= dict.fromkeys(topics, time.monotonic() + REFUSED_TOPIC_SECONDS)

    def among(self, topics: Iterable[str]) -> set[str]:
        if not self._until:
            return set()
        now = time.monotonic()
        self._until = {topic: until for topic, until in self._until.items() if until > now}
        return self._until.keys() & set(topics)


class PartitionCount:
    """The number of partitions of the partitioned topics, as one producer first saw it. By another number every key
    would have another partition: a hold would go where the task of its bill never reads."""

    def __init__(self) -> None:
        self._first: int | None = None

    def check(self, producer: Any) -> None:
        """Raise FatalLogError if a partitioned topic has another number of partitions than all had at first."""
        for topic in PARTITIONED:
            count = len(producer.client.cluster.partitions_for_topic(topic) or ())
            if count and self._first is None:
                self._first = count
            if count and count != self._first:
                raise FatalLogError(
                    f"{topic} has {count} partitions, not {self._first} as others: a key's partition would change, "
                    "so nothing is written. A topic can't lose partitions: see More partitions in the runbook"
                )


class TransactionalProducer:
    """Writes transactions under one transactional id, for one coroutine at a time. Once retired it stays so."""

    def __init__(self, transactional_id: str, bootstrap: str, settings: KafkaSettings, refused: RefusedTopics) -> None:
        self.transactional_id = transactional_id
        self._settings = settings
        self._refused = refused
        self._partition_count = PartitionCount()
        self._retired = False
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=transactional_id,
            transactional_id=transactional_id,
            transaction_timeout_ms=settings.transaction_timeout_ms,
            max_batch_size=BATCH_LIMIT_BYTES,
            max_request_size=settings.message_limit_bytes,
            **settings.connection(),
        )

    async def start(self) -> None:
        """Fence the former owner of this transactional id, end what it left open, and learn the topics. Raises
        TaskRetry, TaskMoved, FatalLogError; the producer is discarded then."""
        doing = f"starting the producer {self.transactional_id}"
        try:
            async with step(doing, self._settings.start_deadline_seconds):
                await self._producer.start()
                await _learn_topics(self._producer)
        except BaseException:
            await self.close()
            raise

    async def commit(self, outputs: Sequence[Output]) -> None:
        """Write all of `outputs` in one transaction. Raises DestinationMissing (nothing is written, the producer stays
        good). TaskMoved, TaskRetry, FatalLogError and cancellation retire it. A cancelled commit first gets time to
        end: an open transaction would delay readers."""
        if self._retired:
            raise TaskRetry(f"the producer {self.transactional_id} was retired after a fault")
        if not outputs:
            return
        topics = {output.topic for output in outputs}
        async with step("asking which topics there are", self._settings.start_deadline_seconds):
            missing = await _unknown(self._producer, topics)
        if missing := missing | self._refused.among(topics):
            raise DestinationMissing(tuple(sorted(missing)))
        check_sizes(outputs, self._settings.message_limit_bytes)
        transaction = asyncio.create_task(self._transact(outputs), name=f"commit {self.transactional_id}")
        try:
            await asyncio.shield(transaction)
        except DestinationMissing:
            raise
        except asyncio.CancelledError:
            self._retired = True
            await asyncio.wait([transaction], timeout=self._settings.close_deadline_seconds)
            transaction.cancel()
            await asyncio.wait([transaction])
            if not transaction.cancelled():
                transaction.exception()
            raise
        except BaseException:
            self._retired = True
            raise

    async def close(self) -> None:
        """Discard the producer, whatever state it is in, within about two seconds."""
        self._retired = True
        await discard_producer(self._producer)

    async def _transact(self, outputs: Sequence[Output]) -> None:
        doing = f"committing {len(outputs)} records as {self.transactional_id}"
        async with step(doing, self._settings.commit_deadline_seconds):
            await self._producer.begin_transaction()
            await self._written_unless_deleted(outputs, doing)
            await self._producer.commit_transaction()

    async def _written_unless_deleted(self, outputs: Sequence[Output], doing: str) -> None:
        """Write the records, while a second task looks whether one of their topics has been deleted."""
        writing = asyncio.create_task(self._write(outputs, doing))
        looking = asyncio.create_task(self._deleted({output.topic for output in outputs}))
        try:
            await asyncio.wait({writing, looking}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                return writing.result()
            await self._take_back(looking.result(), doing)
        finally:
            for task in (looking, writing):
                task.cancel()
            await asyncio.wait({looking, writing})
            if not writing.cancelled():
                writing.exception()

    async def _deleted(self, topics: set[str]) -> set[str]:
        """Wait until topics are gone, and return them."""
        known = self._producer.client.cluster.partitions_for_topic
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self._producer.client.force_metadata_update():
                gone = {topic for topic in topics if not known(topic)}
                if gone:
                    return gone

    async def _take_back(self, deleted: set[str], doing: str) -> None:
        """End the transaction after the deletion of a destination, and raise DestinationMissing. The brokers add all
        destinations of a request or none, so usually the transaction has not begun for them and the producer stays
        good. Raises TaskRetry if it has."""
        named = ", ".join(sorted(deleted))
        manager, accumulator = self._producer._txn_manager, self._producer._message_accumulator
        if manager.txn_partitions or accumulator._pending_batches:
            raise TaskRetry(f"{doing}: {named} has been deleted meanwhile")
        manager.partitions_to_add().clear()
        for batch in [batch for batches in accumulator._batches.values() for batch in batches]:
            batch.failure(kafka_errors.UnknownTopicOrPartitionError(named))
            batch._drain_waiter.exception()
        accumulator._batches.clear()
        await self._producer.abort_transaction()
        raise DestinationMissing(tuple(sorted(deleted)))

    async def refusals(self, topics: Iterable[str]) -> frozenset[str]:
        """Return those of these topics, each with one partition, that refuse our records. Nothing is written. Close the
        producer afterwards. Raises TaskRetry, TaskMoved, FatalLogError."""
        manager = self._producer._txn_manager
        async with step("asking which topics take our records", self._settings.commit_deadline_seconds):
            await self._producer.begin_transaction()
            for topic in topics:
                manager.maybe_add_partition_to_txn(TopicPartition(topic, 0))
            ended = manager.wait_for_transaction_end()
            while manager.partitions_to_add() and not ended.done():  # noqa: ASYNC110 - there is no notification
                await asyncio.sleep(PROBE_PAUSE_SECONDS)
            if not ended.done():
                await self._producer.abort_transaction()
                return frozenset()
        error = ended.exception()
        refused = refused_topics([error] if error else [])
        if error is not None and not refused:
            raise translate([error], "asking which topics take our records") from error
        return refused

    async def _write(self, outputs: Sequence[Output], doing: str) -> None:
        self._partition_count.check(self._producer)
        await self._all_written(await send(self._producer, outputs), doing)

    async def _all_written(self, futures: Futures, doing: str) -> None:
        """Await every record: a transaction would commit although a record in it failed."""
        errors = await _errors_of(futures)
        if refused := refused_topics(errors):
            self._refused.add(refused)
            raise TaskRetry(f"{doing}: we may not write to {', '.join(sorted(refused))}") from errors[0]
        if errors:
            raise translate(errors, doing) from errors[0]


class Appender:
    """Writes outside any task with an idempotent producer: in order per partition, each record once. It connects at
    first use. After a fault it connects again, since aiokafka's producer would fail for ever."""

    def __init__(self, bootstrap: str, settings: KafkaSettings) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._partition_count = PartitionCount()
        self._producer: Any = None
        self._in_turn = asyncio.Lock()

    async def append(self, outputs: Sequence[Output]) -> None:
        """Write records, which are on all in-sync replicas on return. Raises DestinationMissing (nothing was written),
        TaskRetry (some may have been written: call again if the records have an identity) and FatalLogError."""
        check_sizes(outputs, self._settings.message_limit_bytes)
        async with self._in_turn:
            try:
                async with step(f"appending {len(outputs)} records", self._settings.start_deadline_seconds):
                    await self._append(outputs)
            except DestinationMissing:
                raise
            except BaseException:
                await self._discard()
                raise

    async def close(self) -> None:
        async with self._in_turn:
            await self._discard()

    async def _append(self, outputs: Sequence[Output]) -> None:
        producer = await self._started()
        if missing := await _unknown(producer, {output.topic for output in outputs}):
            raise DestinationMissing(tuple(sorted(missing)))
        self._partition_count.check(producer)
        errors = await _errors_of(await send(producer, outputs))
        if refused := refused_topics(errors):
            raise FatalLogError(f"we may not write to {', '.join(sorted(refused))}: grant this user the right Write")
        if errors:
            raise translate(errors, f"appending {len(outputs)} records") from errors[0]

    async def _started(self) -> Any:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id="append",
                enable_idempotence=True,
                max_batch_size=BATCH_LIMIT_BYTES,
                max_request_size=self._settings.message_limit_bytes,
                **self._settings.connection(),
            )
            await self._producer.start()
            await _learn_topics(self._producer)
        return self._producer

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await discard_producer(producer)


async def _unknown(producer: Any, topics: set[str]) -> set[str]:
    """Return the topics that do not exist. Asks the brokers only if one is not known yet."""
    known = producer.client.cluster.partitions_for_topic
    unknown = {topic for topic in topics if not known(topic)}
    if unknown:
        await _learn_topics(producer)
    return {topic for topic in unknown if not known(topic)}


async def _learn_topics(producer: Any) -> None:
    """Learn all topics, as a client does that names none."""
    if not await producer.client.force_metadata_update():
        raise TaskRetry("asking which topics there are: no broker answered")


async def _errors_of(futures: Futures) -> list[BaseException]:
    results = await asyncio.gather(*futures, return_exceptions=True)
    return [result for result in results if isinstance(result, BaseException)]


def check_sizes(outputs: Iterable[Output], limit_bytes: int) -> None:
    """Raise FatalLogError for a record that no topic of ours takes: writing it would fail for ever."""
    for output in outputs:
        size = len(output.key) + len(output.value or b"") + RECORD_OVERHEAD_BYTES
        if size > limit_bytes:
            raise FatalLogError(
                f"a record of {size:,} bytes for {output.topic} (key {output.key[:60]!r}) is larger than "
                f"message_limit_bytes = {limit_bytes:,}: raise it, and max.message.bytes of the topic with it"
            )


async def send(producer: Any, outputs: Iterable[Output]) -> Futures:
    """Hand all records to an aiokafka producer. Return one future for each batch, in no particular order. Records of a
    partition keep their order. The first batch of every partition is added before the sender gets a turn, so these
    leave together."""
    futures: Futures = []
    groups = grouped(outputs, producer.client.cluster.partitions_for_topic)
    rest = [(place, await _send_batch(producer, place, records, futures)) for place, records in groups.items()]
    await asyncio.gather(*(_send_all(producer, place, records, futures) for place, records in rest if records))
    return futures


def grouped(outputs: Iterable[Output], partitions: Callable[[str], set[int] | None]) -> dict[Place, list[Output]]:
    """Return the outputs by topic and partition, each in the order given. Of a topic that should have one partition,
    others stay empty: its readers and receipts know the first alone."""
    groups: dict[Place, list[Output]] = {}
    counts: dict[str, int] = {}
    for output in outputs:
        count = counts.get(output.topic)
        if count is None:
            spread = output.topic in PARTITIONED
            count = counts[output.topic] = len(partitions(output.topic) or (0,)) if spread else 1
        partition = 0 if count == 1 else partition_of(output.key, count)
        groups.setdefault((output.topic, partition), []).append(output)
    return groups


async def _send_all(producer: Any, place: Place, records: list[Output], futures: Futures) -> None:
    while records:
        records = await _send_batch(producer, place, records, futures)


async def _send_batch(producer: Any, place: Place, records: list[Output], futures: Futures) -> list[Output]:
    """Send as many of the records as a batch holds, at least one. Return the rest."""
    batch = producer.create_batch()
    for taken, one in enumerate(records):
        added = batch.append(key=one.key, value=one.value, timestamp=one.timestamp, headers=list(one.headers))
        if added is None:
            records = records[taken:]
            break
    else:
        records = []
    topic, partition = place
    written = await producer.send_batch(batch, topic, partition=partition)
    written.add_done_callback(_take_error)
    futures.append(written)
    return records


def _take_error(written: asyncio.Future[Any]) -> None:
    """Keep asyncio from reporting an error as lost: nobody awaits a batch if a later one could not be handed over."""
    if not written.cancelled():
        written.exception()
