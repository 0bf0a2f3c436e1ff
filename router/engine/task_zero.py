"""The work that the owner of task 0 does for all tasks: a tick a minute, silent feeds, parties' requests, seals
of the audit.

All of it is written in transactions of task 0, behind their fence, so two owners can't both do it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from router.background import background
from router.engine.administration import AuditEntry, audit_output
from router.engine.audit_seals import AuditSealing
from router.engine.feed_silence import SilenceLimit, corrected_activity, silence_changes
from router.engine.party_requests import FindRecords, PartyRequests, ReadingDied
from router.errors import LogError
from router.log.interface import AdministeredLog, Output
from router.model.eastern import CLOCKS_DIFFER, MINUTE, iso
from router.model.registry_values import RegistryNote, RegistryValue
from router.observe import Metrics
from router.task.outputs import registry_output
from router.task.shard import Shard

LONGEST_STALL: Final = 60 * MINUTE
"""Ticks of a running router are never further apart, unless its clock was set or its machine slept."""
_log = structlog.get_logger(__name__)


class TaskZero:
    """Lives as long as this process has task 0 open. Made by `task_zero_of`."""

    def __init__(
        self,
        shard: Shard,
        silence_limits: Sequence[SilenceLimit],
        requests: PartyRequests,
        sealing: AuditSealing,
        clock: Callable[[], int],
    ) -> None:
        self._shard = shard
        self._silence_limits = silence_limits
        self._requests = requests
        self._clock = clock
        self._sealing = sealing
        self._written_tick = self._committed_tick = 0

    @property
    def is_due(self) -> bool:
        return self._requests.are_waiting or self._sealing.is_due or self._tick_is_due

    @property
    def _tick_is_due(self) -> bool:
        return not 0 <= self._clock() - self._shard.registry.now < MINUTE

    def outputs(self) -> list[Output]:
        """The outputs due now; moves the task's position. Call again if the transaction is abandoned, and `committed`
        once it is committed."""
        now = self._clock()
        outputs = [*self._requests.outputs(), *self._sealing.outputs()]
        if self._tick_is_due:
            outputs += map(registry_output, self._tick(now))
            outputs += self._clock_jump(now)
            self._written_tick = now
        return outputs

    def committed(self) -> None:
        self._requests.committed()
        self._sealing.committed()
        self._committed_tick = self._written_tick

    def _tick(self, now: int) -> Iterator[RegistryValue]:
        yield RegistryNote("tick", "tick", now)
        registry = self._shard.registry
        last_active = dict(registry.feed_activity)
        for corrected in corrected_activity(last_active, now):
            last_active[corrected.feed, corrected.port] = corrected.at
            yield corrected
        outages = [watched.outage for watched in registry.outages.values()]
        yield from silence_changes(self._silence_limits, last_active, registry.silences, outages, now)

    def _clock_jump(self, now: int) -> Iterator[Output]:
        """An audit entry if the clock was set: a running router's ticks come each minute, each later than the last."""
        before = self._shard.registry.now
        stalled = self._committed_tick and now > self._committed_tick + LONGEST_STALL
        if before and (stalled or now < before - CLOCKS_DIFFER):
            jump = f"from {iso(before)} to {iso(now)}"
            _log.warning("clock_jumped", jump=jump)
            yield audit_output(AuditEntry(now, "router", "clock jumped", "clock", jump))


@asynccontextmanager
async def task_zero_of(
    log: AdministeredLog,
    shard: Shard,
    silence_limits: Sequence[SilenceLimit],
    find: FindRecords,
    metrics: Metrics,
    clock: Callable[[], int],
    *,
    until_idle: bool,
) -> AsyncIterator[TaskZero | None]:
    """Looks for requests and unsealed audit entries in the background while the block runs; with `until_idle`, once
    before it. None for every task but 0."""
    if shard.partition != 0:
        yield None
        return
    requests, sealing = PartyRequests(log, shard, find, metrics, clock), AuditSealing(log, shard)
    if until_idle:
        with suppress(LogError, ReadingDied):
            await requests.look()
        await sealing.look()
    async with (
        background("reading parties' requests", requests.keep_looking),
        background("sealing the audit", sealing.keep_looking),
    ):
        yield TaskZero(shard, silence_limits, requests, sealing, clock)
    metrics.forget_requests()
