"""The transactional producer, and the only code that touches one.

aiokafka's producer has states from which it looks well and is not: after an authorization error an abort is not sent
and the next commit publishes what was to be aborted; after one failed record a commit still succeeds without it; a
cancelled commit goes on. So there is no repair here. A producer that met any fault is retired and discarded. The next
one with the same transactional id fences it and ends what it left open, at `start`; and only after that is it known
what of its last transaction happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer import sender

from router.errors import DestinationMissing, TaskRetry
from router.log.interface import Output
from router.log.kafka.batches import check_sizes, grouped, send_grouped
from router.log.kafka.ending import discard_producer
from router.log.kafka.errors import refused_topics, step, translate
from router.log.kafka.refused import RefusedTopics
from router.log.kafka.settings import KafkaSettings

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
