"""Writing outside any task, with an idempotent producer: in order per partition, each record once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from router.errors import DestinationMissing, FatalLogError
from router.log.interface import Output
from router.log.kafka.batches import check_sizes, grouped, send_grouped
from router.log.kafka.ending import discard_producer
from router.log.kafka.errors import refused_topics, step, translate
from router.log.kafka.settings import KafkaSettings


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
