"""A client of aiokafka that is given up leaves nothing behind that asyncio would report."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced

from router.log.interface import Output
from router.log.kafka.failures import commit_to_group, end_consumer
from router.log.kafka.producer import send


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


class Coordinator:
    """aiokafka's coordinator, as far as it sends a commit: the request outlives a caller that gives up."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    async def _do_commit_offsets(self) -> None:
        await self.answered.wait()
        raise ConnectionError("the coordinator moved")

    async def commit(self, _: Any) -> None:
        await asyncio.shield(self._do_commit_offsets())


async def errors_lost(commit: Callable[[Coordinator], Coroutine[Any, Any, None]]) -> int:
    """Give a commit up, then let it fail. Return how many errors asyncio reports as never retrieved."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    coordinator = Coordinator()
    given_up = asyncio.create_task(commit(coordinator))
    await asyncio.sleep(0.01)
    given_up.cancel()
    await asyncio.wait([given_up])
    coordinator.answered.set()
    await asyncio.sleep(0.01)
    gc.collect()
    return len(reported)


async def test_a_commit_given_up_leaves_no_error_that_nobody_took() -> None:
    def ours(coordinator: Coordinator) -> Coroutine[Any, Any, None]:
        return commit_to_group(SimpleNamespace(commit=coordinator.commit, _coordinator=coordinator), {})

    assert await errors_lost(lambda coordinator: coordinator.commit({})) == 1
    assert await errors_lost(ours) == 0


async def test_a_batch_that_fails_after_another_was_refused_leaves_no_error_that_nobody_took() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    first: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    answers = [first]

    async def send_batch(*_: Any, partition: int) -> asyncio.Future[Any]:
        if not answers:
            raise ProducerFenced
        return answers.pop()

    batches = SimpleNamespace(append=lambda **_: True)
    client = SimpleNamespace(cluster=SimpleNamespace(partitions_for_topic=lambda _: {0}))
    producer = SimpleNamespace(create_batch=lambda: batches, send_batch=send_batch, client=client)
    with pytest.raises(ProducerFenced):
        await send(producer, [Output("one", b"", b""), Output("two", b"", b"")])
    first.set_exception(ProducerFenced())
    await asyncio.sleep(0)
    del first
    gc.collect()
    assert reported == []
