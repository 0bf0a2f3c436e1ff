"""A client of aiokafka that is given up leaves nothing behind that asyncio would report."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from router.log.kafka.failures import end_consumer


class Part:
    """A part of aiokafka's that started a task and forgot it."""

    async def wait(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing to close."""


async def test_tasks_that_a_client_forgot_end_with_it_and_no_others() -> None:
    forgetful, another = Part(), Part()
    forgotten, going_on = asyncio.create_task(forgetful.wait()), asyncio.create_task(another.wait())
    await asyncio.sleep(0)
    consumer = SimpleNamespace(stop=forgetful.close, _client=Part(), _coordinator=None, _fetcher=forgetful)
    await end_consumer(consumer, 1.0)
    assert forgotten.cancelled()
    assert not going_on.done()
    going_on.cancel()
