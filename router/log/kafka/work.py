"""Running tasks for as long as they are ours: opened, let go and opened again as the group deals them out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from typing import Any

import structlog

from router.clock import growing_pauses
from router.errors import LogError, TaskMoved, TaskRetry
from router.log.interface import Task
from router.log.kafka.group import GroupMember
from router.log.kafka.settings import KafkaSettings
from router.log.kafka.task import KafkaTask

_SHOW_SECONDS = 5.0
_RAN_WELL_SECONDS = 30.0
"""A task that ran so long before it failed starts again with the shortest pause."""

_log = structlog.get_logger(__name__)

Run = Callable[[Task], Awaitable[None]]


class Worker:
    """One call of `Log.work`. `join` makes a member of the group, `task` makes a task that is not yet open."""

    def __init__(
        self, run: Run, join: Callable[[], GroupMember], task: Callable[[int], KafkaTask], settings: KafkaSettings
    ) -> None:
        self._run = run
        self._join = join
        self._task = task
        self._settings = settings
        self._open: dict[int, KafkaTask] = {}
        self._attending: dict[int, asyncio.Task[bool]] = {}
        self._finished: set[int] = set()

    async def work(self) -> None:
        """Until every `run` of our tasks has returned. Raises FatalLogError, and what a `run` raised."""
        pauses = self._pauses()
        while True:
            try:
                async with self._join() as member:
                    return await self._direct(member)
            except (TaskMoved, TaskRetry) as error:  # the group's own trouble: a task's never gets here
                _log.warning("group_joined_again", reason=str(error))
            await asyncio.sleep(next(pauses))

    async def _direct(self, member: GroupMember) -> None:
        helpers = [asyncio.create_task(member.watch()), asyncio.create_task(self._show_positions(member))]
        try:
            while not self._is_done(member):
                changed = asyncio.create_task(member.changed.wait())
                await asyncio.wait({*helpers, changed, *self._attending.values()}, return_when="FIRST_COMPLETED")
                changed.cancel()
                for helper in helpers:
                    if helper.done():
                        helper.result()
                self._collect()
                member.changed.clear()
                self._deal(member)
        finally:
            await self._end([*helpers, *self._attending.values()])
            self._attending.clear()

    def _is_done(self, member: GroupMember) -> bool:
        return bool(member.tasks) and not self._attending and self._finished >= member.tasks

    def _collect(self) -> None:
        """Note which tasks have ended; raises what one of them raised."""
        for number, attending in list(self._attending.items()):
            if attending.done():
                del self._attending[number]
                if not attending.cancelled() and attending.result():
                    self._finished.add(number)

    def _deal(self, member: GroupMember) -> None:
        """Begin with the tasks that are new to us, let go of those that went to another."""
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
                async with self._task(number) as task:
                    self._open[number] = task
                    await self._run(task)
                    return True
            except (TaskMoved, TaskRetry) as error:
                _log.info("task_closed", task=number, outcome=type(error).__name__, reason=str(error))
            if time.monotonic() - began > _RAN_WELL_SECONDS:
                pauses = self._pauses()
            await asyncio.sleep(next(pauses))
            if not await self._is_still_ours(number, member):
                return False

    async def _is_still_ours(self, number: int, member: GroupMember) -> bool:
        """Fenced is not yet moved: brokers also fence an owner whose transaction took too long. The group knows."""
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
            await asyncio.sleep(_SHOW_SECONDS)
            await member.show_positions({number: task.position for number, task in self._open.items()})

    async def _end(self, running: Collection[asyncio.Task[Any]]) -> None:
        """Cancel and wait, within a bound: a commit under way, then closing its producer and reader."""
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
