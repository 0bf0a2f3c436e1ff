"""Outputs, grouped for writing: per partition in order, in batches that a broker takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from router.errors import FatalLogError
from router.log.interface import Output, partition_of

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
