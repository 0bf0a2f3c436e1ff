"""Ending aiokafka's clients within a bound, whatever state they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

DISCARD_SECONDS: Final = 1.0


async def end_consumer(consumer: Any, seconds: float) -> None:
    """Its `stop` may end in the CancelledError of a request of its own, before it has closed its connections."""
    await ended(consumer.stop(), seconds)
    await ended(consumer._client.close(), DISCARD_SECONDS)


async def discard_producer(producer: Any) -> None:
    """Its `stop` may hang: it writes for ever to a topic that is gone."""
    if not await ended(producer.stop(), DISCARD_SECONDS):
        sending = producer._sender.sender_task
        if sending is not None:
            sending.cancel()
            await asyncio.wait([sending], timeout=DISCARD_SECONDS)
        await ended(producer.client.close(), DISCARD_SECONDS)
    _hear_out(producer)


def _hear_out(producer: Any) -> None:
    """What went wrong is known by other ways; but errors that nobody asked for asyncio would report as lost."""
    waiting = [batch._drain_waiter for batches in producer._message_accumulator._batches.values() for batch in batches]
    for future in [producer._txn_manager.wait_for_transaction_end(), *waiting]:
        if future is not None and future.done() and not future.cancelled():
            future.exception()


async def ended(stop: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """Run it apart from the caller, so that neither its errors nor its cancellation become the caller's. False if it
    did not end by itself and well."""
    stopping = asyncio.create_task(stop)
    await asyncio.wait([stopping], timeout=seconds)
    if not stopping.done():
        stopping.cancel()
        await asyncio.wait([stopping], timeout=seconds)
        return False
    return not stopping.cancelled() and stopping.exception() is None
