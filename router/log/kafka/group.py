"""Membership in the consumer group: it says which tasks are ours, and nothing is ever read through it.

The group's consumer subscribes to the partitioned inputs and keeps them all paused; each task reads with a consumer of
its own, opened after its producer. So no record of a task that is not open can reach anyone, a rebalance does not
disturb the tasks that stay, and what the callbacks do is too little to fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError

from router.log.kafka.ending import end_consumer
from router.log.kafka.errors import LIBRARY_ERRORS, step, translate
from router.log.kafka.settings import KafkaSettings

_PULSE_SECONDS = 0.5

_log = structlog.get_logger(__name__)


class GroupMember(ConsumerRebalanceListener):  # type: ignore[misc]
    """Opened by `async with`. `changed` is set whenever `tasks` is new; errors of the group are raised by `watch`."""

    def __init__(self, group: str, topics: Collection[str], bootstrap: str, settings: KafkaSettings) -> None:
        self.tasks: frozenset[int] = frozenset()
        """The partitions that are ours of *every* input, by the group's last word."""
        self.changed = asyncio.Event()
        self._settled = asyncio.Event()
        """Not set while the group deals its partitions out anew."""
        self._deals = 0
        self._group = group
        self._topics = frozenset(topics)
        self._settings = settings
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=f"{group}-member",
            group_id=group,
            group_instance_id=settings.group_instance_id,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
            max_poll_interval_ms=300_000,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            **settings.connection(),
        )

    async def __aenter__(self) -> Self:
        try:
            async with step(f"joining the group {self._group}", self._settings.start_deadline_seconds):
                await self._consumer.start()
        except BaseException:
            await self._stop()
            raise
        self._consumer.subscribe(topics=sorted(self._topics), listener=self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """A new deal begins. Tasks go on meanwhile: should one be dealt to another worker, its producer fences ours."""
        self._settled.clear()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        self.tasks = whole_tasks(assigned, self._topics)
        self._deals += 1
        self._settled.set()
        self.changed.set()
        _log.info("tasks_assigned", group=self._group, tasks=sorted(self.tasks))

    async def watch(self) -> None:
        """For ever: shows the group that we live, and raises what it has against us (FatalLogError or TaskRetry)."""
        while True:
            try:
                await self._consumer.getmany(timeout_ms=int(_PULSE_SECONDS * 1000))
            except LIBRARY_ERRORS as error:
                raise translate([error], f"as a member of the group {self._group}") from error

    async def confirm(self, task: int, positions: Mapping[str, int]) -> bool:
        """Whether `task` is ours by the word of the group's coordinator, asked now. Waits while it deals anew.

        Our own view may be old: a process that was stopped for a minute still believes that all is its. An offset
        commit (of `positions`) is refused unless our generation is the group's last one; refused, we join anew.
        Raises TaskRetry, FatalLogError.
        """
        offsets = {TopicPartition(topic, task): positions.get(topic, 0) for topic in sorted(self._topics)}
        while True:
            await self._settled.wait()
            deal = self._deals
            if task not in self.tasks:
                return False
            if await self._commit(offsets) and deal == self._deals and self._settled.is_set():
                return True
            await asyncio.sleep(_PULSE_SECONDS / 5)

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        async with step(f"asking the group {self._group}", self._settings.start_deadline_seconds):
            try:
                await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError):  # another generation; or ours has just lost the partition
                return False
            return True

    async def show_positions(self, positions: Mapping[int, Mapping[str, int]]) -> None:
        """Commit offsets for lag displays. Nobody reads on from them, so a failure is no one's concern."""
        offsets = {
            TopicPartition(topic, task): offset
            for task, of_task in positions.items()
            for topic, offset in of_task.items()
            if topic in self._topics and task in self.tasks
        }
        if offsets and self._settled.is_set():
            with suppress(*LIBRARY_ERRORS):
                async with asyncio.timeout(self._settings.close_deadline_seconds):
                    await self._consumer.commit(offsets)

    async def _stop(self) -> None:
        await end_consumer(self._consumer, self._settings.close_deadline_seconds)


def whole_tasks(assigned: Collection[TopicPartition], topics: Collection[str]) -> frozenset[int]:
    """The partitions assigned of every topic: a task opens only when it has all its inputs."""
    numbers: dict[int, set[str]] = {}
    for partition in assigned:
        numbers.setdefault(partition.partition, set()).add(partition.topic)
    return frozenset(number for number, of_topics in numbers.items() if of_topics == set(topics))
