"""aiokafka's failures: its errors become ours, and its clients end within a bound, whatever state they are in.

No other package sees an error of aiokafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import errors as kafka

from router.errors import FatalLogError, LogError, TaskMoved, TaskRetry

LIBRARY_ERRORS: Final = (
    kafka.KafkaError,
    kafka.IllegalOperation,
    kafka.ConsumerStoppedError,
    AssertionError,  # aiokafka's state machine asserts: after fencing, most calls end in one.
    TimeoutError,
    OSError,
)

OUTCOMES: Final[tuple[tuple[type[BaseException], type[LogError], str], ...]] = (
    (kafka.TransactionalIdAuthorizationFailed, FatalLogError, "we may not write with this transactional id"),
    (kafka.ClusterAuthorizationFailedError, FatalLogError, "we lack a right on the cluster"),
    (kafka.GroupAuthorizationFailedError, FatalLogError, "we may not read in this consumer group"),
    (kafka.SaslAuthenticationFailed, FatalLogError, "the brokers refuse our user or password"),
    (kafka.UnsupportedVersionError, FatalLogError, "the broker is too old or too new for us"),
    (kafka.IncompatibleBrokerVersion, FatalLogError, "the broker is too old or too new for us"),
    (
        kafka.InvalidTransactionTimeout,
        FatalLogError,
        "commit_deadline_seconds is above the brokers' limit",
    ),
    (kafka.InvalidSessionTimeoutError, FatalLogError, "session_timeout_ms is outside the broker's limits"),
    (kafka.InconsistentGroupProtocolError, FatalLogError, "the group has members that are not routers of ours"),
    (kafka.MessageSizeTooLargeError, FatalLogError, "a record is larger than its topic takes (max.message.bytes)"),
    (kafka.RecordListTooLargeError, FatalLogError, "a batch is larger than its topic takes (max.message.bytes)"),
    (kafka.TopicAuthorizationFailedError, FatalLogError, "we may not use a topic"),
    (kafka.ProducerFenced, TaskMoved, "another owner started"),
    (kafka.InvalidProducerEpoch, TaskMoved, "another owner started"),
    (kafka.InvalidTxnState, TaskMoved, "another client ended the transaction"),
    (kafka.InvalidProducerIdMapping, TaskMoved, "the broker no longer knows this producer"),
    (kafka.IllegalOperation, TaskMoved, "the producer was fenced before"),
    (AssertionError, TaskMoved, "the producer was fenced before"),
    (kafka.OffsetOutOfRangeError, TaskRetry, "records were deleted before we read them: opening it again tells which"),
    (kafka.InvalidTimestampError, TaskRetry, "our clock is ahead of the brokers' by more than they accept: correct it"),
    (TimeoutError, TaskRetry, "no answer in time"),
    (BaseException, TaskRetry, "the outcome is in doubt"),
)
"""Outcome of each error for a task. The first row that fits counts, so the gravest of several errors wins."""

MOST_CAUSES: Final = 5

DISCARD_SECONDS: Final = 1.0


def translate(errors: Iterable[BaseException], doing: str) -> LogError:
    """Return the error of ours that covers all of `errors`: the table's topmost."""
    causes = [cause for error in errors for cause in _chain(error)]
    for kind, outcome, meaning in OUTCOMES:
        for cause in causes:
            if isinstance(cause, kind):
                name = type(cause).__name__
                return outcome(
                    f"{doing}: {meaning} ({name}: {cause})" if str(cause) else f"{doing}: {meaning} ({name})"
                )
    return TaskRetry(f"{doing}: the outcome is in doubt")


def refused_topics(errors: Iterable[BaseException]) -> frozenset[str]:
    """Return the topics that the brokers forbid us to write to, if `errors` name any."""
    refused: set[str] = set()
    for error in errors:
        for cause in _chain(error):
            if isinstance(cause, kafka.TopicAuthorizationFailedError) and cause.args:
                named = cause.args[0]
                refused |= {named} if isinstance(named, str) else set(named)
    return frozenset(refused)


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and its causes: aiokafka wraps errors it did not expect."""
    chain = [error]
    while chain[-1].__cause__ is not None and len(chain) < MOST_CAUSES:
        chain.append(chain[-1].__cause__)
    return chain


@asynccontextmanager
async def step(doing: str, seconds: float) -> AsyncIterator[None]:
    """Bound one step that leaves the process by a deadline. It raises errors of ours only."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except LIBRARY_ERRORS as error:
        raise translate([error], doing) from error


async def ended_within(seconds: float, stop: Coroutine[Any, Any, Any]) -> bool:
    """Run `stop` in a task of its own, so that its errors and cancellation do not reach the caller. Return whether it
    ended in time and without an error."""
    stopping = asyncio.create_task(stop)
    await asyncio.wait([stopping], timeout=seconds)
    if not stopping.done():
        stopping.cancel()
        await asyncio.wait([stopping], timeout=seconds)
        return False
    return not stopping.cancelled() and stopping.exception() is None


async def end_consumer(consumer: Any, seconds: float) -> None:
    """Stop a consumer. Its `stop` may raise CancelledError before it has closed its connections."""
    await ended_within(seconds, consumer.stop())
    await ended_within(DISCARD_SECONDS, consumer._client.close())
    await _end_tasks_of(consumer, consumer._coordinator, consumer._fetcher, consumer._client)


async def discard_producer(producer: Any) -> None:
    """Stop a producer. Its `stop` may hang, since it writes to a deleted topic for ever."""
    sender, accumulator = producer._sender, producer._message_accumulator
    if not await ended_within(DISCARD_SECONDS, producer.stop()):
        if sender.sender_task is not None:
            sender.sender_task.cancel()
            await asyncio.wait([sender.sender_task], timeout=DISCARD_SECONDS)
        await ended_within(DISCARD_SECONDS, producer.client.close())
    await _end_tasks_of(producer, sender, accumulator, producer.client)
    # asyncio would report errors that nobody took as lost. They are known by other ways.
    batches = [batch for batches in accumulator._batches.values() for batch in batches]
    batches += accumulator._pending_batches
    waiting = [future for batch in batches for future in (batch.future, batch._drain_waiter)]
    if producer._txn_manager is not None:
        waiting.append(producer._txn_manager.wait_for_transaction_end())
    for future in waiting:
        if future is not None and future.done() and not future.cancelled():
            future.exception()


async def commit_to_group(consumer: Any, offsets: Mapping[Any, int]) -> None:
    """Commit offsets to the consumer's group. A caller that gives up leaves aiokafka's request running: its error is
    taken here, or asyncio would report it as lost. Raises errors of aiokafka."""
    try:
        await consumer.commit(offsets)
    except asyncio.CancelledError:
        for task in asyncio.all_tasks():
            if _self_of(task) is consumer._coordinator and task.get_coro().__name__ == "_do_commit_offsets":  # type: ignore[union-attr]
                task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        raise


async def _end_tasks_of(*owners: object) -> None:
    """Cancel the tasks that still run methods of these objects. aiokafka keeps no account of those that wait for an
    answer; thrown away while it waits, a task is reported as destroyed."""
    running = {task for task in asyncio.all_tasks() if any(_self_of(task) is owner for owner in owners)}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=DISCARD_SECONDS)
        for task in running:
            if task.done() and not task.cancelled():
                task.exception()


def _self_of(task: asyncio.Task[Any]) -> object:
    """Return the object whose method a task runs; the task itself if it runs none."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame.f_locals.get("self", task) if frame is not None else task
