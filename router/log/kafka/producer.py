"""Outputs, grouped for writing: per partition in order, in batches that a broker takes.

Topics that exist but refuse us. The metadata does not tell, only a failed transaction does; so it is remembered.

The transactional producer, and the only code that touches one.

aiokafka's producer has states from which it looks well and is not: after an authorization error an abort is not sent
and the next commit publishes what was to be aborted; after one failed record a commit still succeeds without it; a
cancelled commit goes on. So there is no repair here. A producer that met any fault is retired and discarded. The next
one with the same transactional id fences it and ends what it left open, at `start`; and only after that is it known
what of its last transaction happened.

Writing outside any task, with an idempotent producer: in order per partition, each record once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer import sender

from router.errors import DestinationMissing, FatalLogError, TaskRetry
from router.log.interface import Output, partition_of
from router.log.kafka.failures import discard_producer, refused_topics, step, translate
from router.log.kafka.settings import KafkaSettings

Groups = dict[tuple[str, int], list[Output]]

_OVERHEAD_BYTES = 100
"""At most, of a record beside its key, value and headers, and of its batch."""


def grouped(outputs: Iterable[Output], partitions: Callable[[str], int]) -> Groups:
    """The outputs by topic and partition, each in the order given. `partitions` tells how many a topic has."""
    groups: Groups = {}
    counts: dict[str, int] = {}
    for output in outputs:
        count = counts.get(output.topic)
        if count is None:
            count = counts[output.topic] = partitions(output.topic)
        partition = 0 if count == 1 else partition_of(output.key, count)
        groups.setdefault((output.topic, partition), []).append(output)
    return groups


def check_sizes(outputs: Iterable[Output], limit_bytes: int) -> None:
    """Raises FatalLogError for a record that no topic of ours takes: writing it would fail for ever."""
    for output in outputs:
        size = len(output.key) + len(output.value or b"") + _OVERHEAD_BYTES
        if size > limit_bytes:
            raise FatalLogError(
                f"a record of {size:,} bytes for {output.topic} (key {output.key[:60]!r}) is larger than "
                f"message_limit_bytes = {limit_bytes:,}: raise it, and max.message.bytes of the topic with it"
            )


async def send_grouped(producer: Any, groups: Groups) -> list[asyncio.Future[Any]]:
    """Hand everything to an aiokafka producer; one future for each batch, in no particular order.

    The first batch of every partition is added before the sender gets a turn, so they leave together.
    """
    futures: list[asyncio.Future[Any]] = []
    rest: list[Coroutine[Any, Any, list[asyncio.Future[Any]]]] = []
    for (topic, partition), outputs in groups.items():
        batch, taken = _filled(producer, outputs)
        futures.append(await producer.send_batch(batch, topic, partition=partition))
        if taken < len(outputs):
            rest.append(_send_rest(producer, topic, partition, outputs[taken:]))
    for more in await asyncio.gather(*rest):
        futures.extend(more)
    return futures


async def _send_rest(producer: Any, topic: str, partition: int, outputs: Sequence[Output]) -> list[asyncio.Future[Any]]:
    futures: list[asyncio.Future[Any]] = []
    while outputs:
        batch, taken = _filled(producer, outputs)
        futures.append(await producer.send_batch(batch, topic, partition=partition))
        outputs = outputs[taken:]
    return futures


def _filled(producer: Any, outputs: Sequence[Output]) -> tuple[Any, int]:
    """A batch with as many of the outputs as it holds, at least one, and how many those are."""
    batch = producer.create_batch()
    for taken, output in enumerate(outputs):
        added = batch.append(
            key=output.key, value=output.value, timestamp=output.timestamp, headers=list(output.headers)
        )
        if added is None:
            return batch, taken
    return batch, len(outputs)


class RefusedTopics:
    """Shared by all producers of a log. A topic is forgotten after a pause, and then tried again."""

    def __init__(self, pause_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._now = now
        self._until: dict[str, float] = {}

    def add(self, topics: Iterable[str]) -> None:
        self._until |= dict.fromkeys(topics, self._now() + self._pause_seconds)

    def among(self, topics: Iterable[str]) -> set[str]:
        if not self._until:
            return set()
        now = self._now()
        self._until = {topic: until for topic, until in self._until.items() if until > now}
        return self._until.keys() & set(topics)


sender.BACKOFF_OVERRIDE = 0.002
"""Seconds. A broker refuses a producer's next transaction until the last one's markers are written, a few milliseconds;
aiokafka then waits 20 ms, which would be most of the time of a transaction in a backlog."""


class TransactionalProducer:
    """Writes transactions under one transactional id. For one coroutine at a time; once retired it stays so."""

    def __init__(self, transactional_id: str, bootstrap: str, settings: KafkaSettings, refused: RefusedTopics) -> None:
        self.transactional_id = transactional_id
        self._settings = settings
        self._refused = refused
        self._retired = False
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=transactional_id,
            transactional_id=transactional_id,
            transaction_timeout_ms=settings.transaction_timeout_ms,
            max_batch_size=settings.batch_limit_bytes,
            max_request_size=settings.message_limit_bytes,
            **settings.connection(),
        )

    async def start(self) -> None:
        """Fence whoever used this transactional id before, end what they left open, and learn the topics.

        Raises TaskRetry, TaskMoved, FatalLogError; the producer is discarded then.
        """
        doing = f"starting the producer {self.transactional_id}"
        try:
            async with step(doing, self._settings.start_deadline_seconds):
                await self._producer.start()
                await self._learn_topics()
        except BaseException:
            await self.close()
            raise

    async def commit(self, outputs: Sequence[Output]) -> None:
        """Write all of `outputs` in one transaction.

        Raises DestinationMissing (nothing was begun, the producer is still good). After TaskMoved, TaskRetry,
        FatalLogError and cancellation it is retired. A cancelled commit is first given time to end, so that no
        transaction is left open for readers to wait on.
        """
        if self._retired:
            raise TaskRetry(f"the producer {self.transactional_id} was retired after a fault")
        if not outputs:
            return
        await self._know(sorted({output.topic for output in outputs}))
        check_sizes(outputs, self._settings.message_limit_bytes)
        transaction = asyncio.create_task(self._transact(outputs), name=f"commit {self.transactional_id}")
        try:
            await asyncio.shield(transaction)
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
        """Let the producer go, whatever state it is in, within two seconds or so."""
        self._retired = True
        await discard_producer(self._producer)

    async def _know(self, topics: Sequence[str]) -> None:
        """Raises DestinationMissing unless all topics exist and none has refused us lately. Asks the brokers only if
        a topic is not known yet."""
        cluster = self._producer.client.cluster
        missing = {topic for topic in topics if not cluster.partitions_for_topic(topic)}
        if missing:
            async with step("asking which topics there are", self._settings.start_deadline_seconds):
                await self._learn_topics()
            missing = {topic for topic in topics if not cluster.partitions_for_topic(topic)}
        missing |= self._refused.among(topics)
        if missing:
            raise DestinationMissing(tuple(sorted(missing)))

    async def _learn_topics(self) -> None:
        """All of them: a client that was asked for none in particular asks for all."""
        if not await self._producer.client.force_metadata_update():
            raise TaskRetry("asking which topics there are: no broker answered")

    async def _transact(self, outputs: Sequence[Output]) -> None:
        doing = f"committing {len(outputs)} records as {self.transactional_id}"
        async with step(doing, self._settings.commit_deadline_seconds):
            await self._producer.begin_transaction()
            cluster = self._producer.client.cluster
            groups = grouped(outputs, lambda topic: len(cluster.partitions_for_topic(topic) or ()) or 1)
            futures = await send_grouped(self._producer, groups)
            await self._all_written(futures, doing)
            await self._producer.commit_transaction()

    async def _all_written(self, futures: Sequence[asyncio.Future[Any]], doing: str) -> None:
        """A transaction commits even though a record in it failed, so every future is looked at before."""
        results = await asyncio.gather(*futures, return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if not errors:
            return
        refused = refused_topics(errors)
        if refused:
            self._refused.add(refused)
            raise TaskRetry(f"{doing}: we may not write to {', '.join(sorted(refused))}") from errors[0]
        raise translate(errors, doing) from errors[0]


class Appender:
    """Connects when it is first used. After a fault it connects anew: what failed once fails for ever on that one."""

    def __init__(self, bootstrap: str, settings: KafkaSettings) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._producer: Any = None
        self._in_turn = asyncio.Lock()

    async def append(self, outputs: Sequence[Output]) -> None:
        """On return all is on all in-sync replicas. Raises DestinationMissing (nothing was written), TaskRetry
        (some may have been written: call again if the records carry an identity) and FatalLogError."""
        check_sizes(outputs, self._settings.message_limit_bytes)
        async with self._in_turn:
            try:
                async with step(f"appending {len(outputs)} records", self._settings.append_deadline_seconds):
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
        topics = {output.topic for output in outputs}
        cluster = producer.client.cluster
        missing = {topic for topic in topics if not cluster.partitions_for_topic(topic)}
        if missing and await producer.client.force_metadata_update():
            missing = {topic for topic in topics if not cluster.partitions_for_topic(topic)}
        if missing:
            raise DestinationMissing(tuple(sorted(missing)))
        groups = grouped(outputs, lambda topic: len(cluster.partitions_for_topic(topic)))
        results = await asyncio.gather(*await send_grouped(producer, groups), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if refused := refused_topics(errors):
            raise FatalLogError(f"we may not write to {', '.join(sorted(refused))}: the user needs the right Write")
        if errors:
            raise translate(errors, f"appending {len(outputs)} records") from errors[0]

    async def _started(self) -> Any:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id="append",
                enable_idempotence=True,
                max_batch_size=self._settings.batch_limit_bytes,
                max_request_size=self._settings.message_limit_bytes,
                **self._settings.connection(),
            )
            await self._producer.start()
            await self._producer.client.force_metadata_update()
        return self._producer

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await discard_producer(producer)
