"""Membership in the consumer group, which assigns tasks, and running the assigned tasks while they are ours.

Nothing is read through the group. Its consumer subscribes to the partitioned inputs and keeps them all paused; each
task reads with a consumer of its own, opened after its producer. So no record of a task that is not open can reach
anyone, a rebalance does not disturb the tasks that stay, and the callbacks do too little to fail.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, Self

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from router.background import background
from router.clock import growing_pauses
from router.errors import InstanceIdTaken, LogError, TaskMoved, TaskRetry
from router.log.interface import Task
from router.log.kafka.connection import KafkaSettings
from router.log.kafka.failures import LIBRARY_ERRORS, commit_to_group, end_consumer, step, translate
from router.log.kafka.static_membership import AssignorOfProcesses, StaticMembership
from router.log.kafka.task import KafkaTask

PULSE_SECONDS: Final = 0.5
CONFIRM_PAUSE_SECONDS: Final = 0.1
SHOW_POSITIONS_SECONDS: Final = 5.0
RAN_WELL_SECONDS: Final = 30.0
"""A task that ran this long before it failed starts again with the shortest pause."""

_log = structlog.get_logger(__name__)


class GroupMember(ConsumerRebalanceListener):  # type: ignore[misc]
    """A member of the group while `joined`. `changed` is set when `tasks` is new; `watch` raises the group's errors."""

    def __init__(
        self,
        group: str,
        topics: Collection[str],
        bootstrap: str,
        settings: KafkaSettings,
        membership: StaticMembership | None,
    ) -> None:
        """`membership` is that of the `group_instance_id` in the settings, if there is one."""
        self.tasks: frozenset[int] = frozenset()
        """Partitions that the group last assigned to us of *every* input."""
        self.changed = asyncio.Event()
        self._assigned = asyncio.Event()
        """Not set during a rebalance."""
        self._assignments = 0
        self._group = group
        self._topics = frozenset(topics)
        self._settings = settings
        self._membership = membership
        self._driven_out: InstanceIdTaken | None = None
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=f"{group}-member",
            group_id=group,
            group_instance_id=settings.group_instance_id,
            partition_assignment_strategy=(AssignorOfProcesses,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
            max_poll_interval_ms=300_000,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            **settings.connection(),
        )

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[Self]:
        try:
            if self._membership is not None:
                await self._membership.await_free()
            async with step(f"joining the group {self._group}", self._settings.start_deadline_seconds):
                await self._consumer.start()
            self._consumer.subscribe(topics=sorted(self._topics), listener=self)
            yield self
        finally:
            await end_consumer(self._consumer, self._settings.close_deadline_seconds)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Begin a rebalance. Tasks go on: if one goes to another worker, its producer there fences ours. If another
        router has our instance id, we don't join again, which would drive it out."""
        self._assigned.clear()
        if self._membership is None or self._consumer._coordinator.member_id:
            return
        with suppress(LogError):  # Then joining again is the best guess: mostly the session had ended.
            process = await self._membership.other()
            self._driven_out = self._membership.taken_by(process) if process is not None else None
        if self._driven_out is not None:
            raise asyncio.CancelledError  # Ends aiokafka's part in the group; any other error would be lost.

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        self.tasks = complete_tasks(assigned, self._topics)
        self._assignments += 1
        self._assigned.set()
        self.changed.set()
        _log.info("tasks_assigned", group=self._group, tasks=sorted(self.tasks))

    async def watch(self) -> None:
        """Show the group for ever that we live. Raises its errors (InstanceIdTaken, FatalLogError or TaskRetry)."""
        while True:
            try:
                await self._consumer.getmany(timeout_ms=int(PULSE_SECONDS * 1000))
            except asyncio.CancelledError:
                if self._driven_out is not None:
                    raise self._driven_out from None
                raise
            except LIBRARY_ERRORS as error:
                raise translate([error], f"as a member of the group {self._group}") from error

    async def confirm(self, task: int, positions: Mapping[str, int]) -> bool:
        """Ask the group's coordinator whether `task` is still ours. Waits for the end of a rebalance. Our own view may
        be old: a process that was stopped for a minute still believes that all tasks are its own. The coordinator
        refuses an offset commit (of `positions`) of any generation but the last; then we join again. Raises TaskRetry,
        FatalLogError."""
        offsets = {TopicPartition(topic, task): positions.get(topic, 0) for topic in sorted(self._topics)}
        while True:
            await self._assigned.wait()
            before = self._assignments
            if task not in self.tasks:
                return False
            if await self._commit(offsets) and before == self._assignments and self._assigned.is_set():
                return True
            await asyncio.sleep(CONFIRM_PAUSE_SECONDS)

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        async with step(f"asking the group {self._group}", self._settings.start_deadline_seconds):
            try:
                await commit_to_group(self._consumer, offsets)
            except (CommitFailedError, IllegalStateError):  # Another generation, or ours has just lost the partition.
                return False
            return True

    async def show_positions(self, positions: Mapping[int, Mapping[str, int]]) -> None:
        """Commit offsets for lag displays. Nobody reads on from them, so failures are ignored."""
        offsets = {
            TopicPartition(topic, task): offset
            for task, of_task in positions.items()
            for topic, offset in of_task.items()
            if topic in self._topics and task in self.tasks
        }
        if offsets and self._assigned.is_set():
            with suppress(*LIBRARY_ERRORS):
                async with asyncio.timeout(self._settings.close_deadline_seconds):
                    await commit_to_group(self._consumer, offsets)


def complete_tasks(assigned: Collection[TopicPartition], topics: Collection[str]) -> frozenset[int]:
    """Return the partitions assigned of every topic: a task opens only with all its inputs."""
    numbers: dict[int, set[str]] = {}
    for partition in assigned:
        numbers.setdefault(partition.partition, set()).add(partition.topic)
    return frozenset(number for number, of_topics in numbers.items() if of_topics == set(topics))


class AssignedTasks:
    """One call of `Log.work`: opens tasks as the group assigns them, and opens them again after faults."""

    def __init__(
        self,
        run: Callable[[Task], Awaitable[None]],
        join: Callable[[], GroupMember],
        task: Callable[[int], KafkaTask],
        watch_inputs: Callable[[], Coroutine[Any, Any, None]],
        settings: KafkaSettings,
    ) -> None:
        """`join` makes a member of the group, `task` makes a task that is not yet open. `watch_inputs` raises if the
        inputs are no longer those that we began with."""
        self._run = run
        self._join = join
        self._task = task
        self._watch_inputs = watch_inputs
        self._settings = settings
        self._open: dict[int, KafkaTask] = {}
        self._attending: dict[int, asyncio.Task[bool]] = {}
        self._finished: set[int] = set()

    async def work(self) -> None:
        """Return when every `run` of our tasks has. Raises FatalLogError, and what a `run` raised."""
        pauses = self._pauses()
        while True:
            try:
                async with self._join().joined() as member:
                    return await self._direct(member)
            except (TaskMoved, TaskRetry) as error:  # The group's own errors; those of a task do not get here.
                _log.warning("group_joined_again", reason=str(error))
            await asyncio.sleep(next(pauses))

    async def _direct(self, member: GroupMember) -> None:
        async with background("showing positions to the group", partial(self._show_positions, member)):
            await self._direct_while_watching(member)

    async def _direct_while_watching(self, member: GroupMember) -> None:
        watching = [asyncio.create_task(member.watch()), asyncio.create_task(self._watch_inputs())]
        try:
            while not (member.tasks and not self._attending and self._finished >= member.tasks):
                changed = asyncio.create_task(member.changed.wait())
                await asyncio.wait({*watching, changed, *self._attending.values()}, return_when="FIRST_COMPLETED")
                changed.cancel()
                for one in watching:
                    if one.done():
                        one.result()
                self._collect()
                member.changed.clear()
                self._follow(member)
        finally:
            await self._end([*watching, *self._attending.values()])
            self._attending.clear()

    def _collect(self) -> None:
        """Note which tasks have ended. Raises what one of them raised."""
        for number, attending in list(self._attending.items()):
            if attending.done():
                del self._attending[number]
                if not attending.cancelled() and attending.result():
                    self._finished.add(number)

    def _follow(self, member: GroupMember) -> None:
        """Begin with newly assigned tasks and let go of those that moved away."""
        self._finished &= member.tasks
        for number in member.tasks - self._attending.keys() - self._finished:
            self._attending[number] = asyncio.create_task(self._attend(number, member), name=f"task {number}")
        for number in self._attending.keys() - member.tasks:
            if number in self._open:
                self._open[number].let_go()
            asyncio.get_running_loop().call_later(
                self._settings.close_deadline_seconds, self._cancel_unless_ours, number, member
            )

    def _cancel_unless_ours(self, number: int, member: GroupMember) -> None:
        if number in self._attending and number not in member.tasks:
            self._attending[number].cancel()

    async def _attend(self, number: int, member: GroupMember) -> bool:
        """Run the task, and again after each fault, while it is ours. True if `run` returned, False if it moved."""
        pauses = self._pauses()
        while True:
            began = time.monotonic()
            try:
                async with self._task(number).opened() as task:
                    self._open[number] = task
                    await self._run(task)
                    return True
            except (TaskMoved, TaskRetry) as error:
                _log.info("task_closed", task=number, outcome=type(error).__name__, reason=str(error))
            if time.monotonic() - began > RAN_WELL_SECONDS:
                pauses = self._pauses()
            await asyncio.sleep(next(pauses))
            if not await self._is_still_ours(number, member):
                return False

    async def _is_still_ours(self, number: int, member: GroupMember) -> bool:
        """Ask the group: a fenced task may be ours still, if a broker fenced it for a slow transaction."""
        task = self._open.pop(number, None)
        while True:
            try:
                return await member.confirm(number, task.position if task else {})
            except TaskRetry as error:
                _log.warning("group_asked_again", task=number, reason=str(error))

    def _pauses(self) -> Iterator[float]:
        return growing_pauses(self._settings.retry_pause_seconds, self._settings.longest_retry_pause_seconds)

    async def _show_positions(self, member: GroupMember) -> None:
        while True:
            await asyncio.sleep(SHOW_POSITIONS_SECONDS)
            await member.show_positions({number: task.position for number, task in self._open.items()})

    async def _end(self, running: Collection[asyncio.Task[Any]]) -> None:
        """Cancel and wait within a bound for a commit under way, then the close of its producer and reader."""
        for one in running:
            one.cancel()
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=self._settings.close_deadline_seconds * 3)
        for one in running:
            if one in late:
                _log.error("task_not_ended", task=one.get_name())
            elif not one.cancelled():
                with suppress(LogError):
                    one.exception()
