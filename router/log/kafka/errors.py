"""aiokafka's errors, translated once into ours. Nothing outside this package sees another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import errors as kafka

from router.errors import FatalLogError, LogError, TaskMoved, TaskRetry

LIBRARY_ERRORS: Final = (
    kafka.KafkaError,
    kafka.IllegalOperation,
    kafka.ConsumerStoppedError,
    AssertionError,  # aiokafka's state machine asserts: after it was fenced, most calls end in one
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
    (kafka.OffsetOutOfRangeError, FatalLogError, "records were deleted, or a topic made anew, before we read them"),
    (kafka.TopicAuthorizationFailedError, FatalLogError, "we may not use a topic"),
    (kafka.ProducerFenced, TaskMoved, "another owner started"),
    (kafka.InvalidProducerEpoch, TaskMoved, "another owner started"),
    (kafka.InvalidTxnState, TaskMoved, "the transaction was ended by another"),
    (kafka.InvalidProducerIdMapping, TaskMoved, "the broker no longer knows this producer"),
    (kafka.IllegalOperation, TaskMoved, "the producer was fenced before"),
    (AssertionError, TaskMoved, "the producer was fenced before"),
    (kafka.InvalidTimestampError, TaskRetry, "our clock is ahead of the brokers' by more than they take: set it right"),
    (TimeoutError, TaskRetry, "no answer in time"),
    (BaseException, TaskRetry, "the outcome is in doubt"),
)
"""What each error means for a task. The first row that fits counts, so of several errors the gravest one wins."""


def translate(errors: Iterable[BaseException], doing: str) -> LogError:
    """The one of our errors that covers all of `errors`: the table's topmost."""
    causes = [cause for error in errors for cause in _chain(error)]
    for kind, outcome, meaning in OUTCOMES:
        for cause in causes:
            if isinstance(cause, kind):
                return outcome(f"{doing}: {meaning} ({_brief(cause)})")
    return TaskRetry(f"{doing}: the outcome is in doubt")


def refused_topics(errors: Iterable[BaseException]) -> frozenset[str]:
    """The topics that the brokers don't let us write to, if that is what `errors` say."""
    refused: set[str] = set()
    for error in errors:
        for cause in _chain(error):
            if isinstance(cause, kafka.TopicAuthorizationFailedError) and cause.args:
                named = cause.args[0]
                refused |= {named} if isinstance(named, str) else set(named)
    return frozenset(refused)


@asynccontextmanager
async def step(doing: str, seconds: float) -> AsyncIterator[None]:
    """One step that leaves the process: ends within `seconds`, and fails only with our errors."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except LIBRARY_ERRORS as error:
        raise translate([error], doing) from error


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from: aiokafka wraps what it did not expect."""
    chain = [error]
    while chain[-1].__cause__ is not None and len(chain) < 5:
        chain.append(chain[-1].__cause__)
    return chain


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
