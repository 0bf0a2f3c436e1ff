"""The work that the owner of task 0 does for all tasks: a tick a minute, silent feeds, parties' requests.

All of it is written in transactions of task 0, behind their fence, so two owners can't both do it. The position of
task 0 holds how far the request topics were read, so each request is accepted once, whenever a process dies.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from router import codec, topics
from router.background import background
from router.decide.registry import Registry
from router.engine.administration import AuditEntry, audit_output
from router.engine.feed_silence import SilenceLimit, corrected_activity, silence_changes
from router.errors import InputError, LogError
from router.log.interface import AdministeredLog, Output, Record
from router.model.eastern import CLOCKS_DIFFER, MINUTE, iso
from router.model.registry_values import RESYNC, RegistryNote, RegistryValue, Request
from router.task.outputs import registry_output
from router.task.shard import Shard

READ_SECONDS: Final = 5.0
"""Between two reads of the parties' request topics."""
MINUTES_BETWEEN_REQUESTS: Final = 10
"""A party's next request is refused before. A resync costs a notice for each of its open bills."""
LONGEST_STALL: Final = 60 * MINUTE
"""Ticks of a running router are never further apart, unless its clock was set or its machine slept."""
MOST_REQUESTS: Final = 100
"""Requests read into one transaction: a flood of them delays nobody's notices."""
MOST_OF_A_PARTY: Final = 10
"""Requests kept of one party since the last read. At most one is accepted, and a flood must not fill the memory."""

_log = structlog.get_logger(__name__)


class TaskZero:
    """Lives as long as this process has task 0 open. Made by `task_zero_of`."""

    def __init__(
        self, log: AdministeredLog, shard: Shard, silence_limits: Sequence[SilenceLimit], clock: Callable[[], int]
    ) -> None:
        self._log = log
        self._shard = shard
        self._silence_limits = silence_limits
        self._clock = clock
        self._requests: list[Record] = []
        """Read, and not yet in a committed transaction."""
        self._next_offsets: dict[str, int] = {}
        self._in_transaction = 0
        """Number of `_requests` in the transaction."""
        self._written_tick = self._committed_tick = 0

    @property
    def is_due(self) -> bool:
        return bool(self._requests) or self._tick_is_due

    @property
    def _tick_is_due(self) -> bool:
        return not 0 <= self._clock() - self._shard.registry.now < MINUTE

    def outputs(self) -> list[Output]:
        """The outputs due now; moves the task's position. Call again if the transaction is abandoned, and `committed`
        once it is committed."""
        now = self._clock()
        outputs = [registry_output(value) for value in self._accepted_requests(now)]
        if self._tick_is_due:
            outputs += map(registry_output, self._tick(now))
            outputs += self._clock_jump(now)
            self._written_tick = now
        return outputs

    def committed(self) -> None:
        del self._requests[: self._in_transaction]
        self._in_transaction = 0
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

    def _accepted_requests(self, now: int) -> Iterator[RegistryValue]:
        registry = self._shard.registry
        last_accepted = dict(registry.requested)
        records = self._requests[:MOST_REQUESTS]
        for record in records:
            self._shard.position[record.topic] = record.offset + 1
            party_id = record.topic.removeprefix(topics.REQUEST_PREFIX)
            try:
                request = accepted_request(record, registry, last_accepted.get(party_id), now)
            except InputError as refusal:
                _log.warning("request_refused", party=party_id, offset=record.offset, reason=refusal.reason)
                continue
            last_accepted[party_id] = now
            yield request
            yield RegistryNote("requested", party_id, now)
        self._in_transaction = len(records)

    async def read_requests(self) -> None:
        """Read the requests written since the last call. If the log fails, the next call reads them."""
        wanted = {topics.REQUEST_PREFIX + party_id for party_id in self._shard.registry.parties}
        kept = Counter(record.topic for record in self._requests)
        skipped: dict[str, Record] = {}
        try:
            names = sorted(wanted & (await self._log.topics()).keys())
            begin = {(name, 0): self._next_offsets.get(name, self._shard.position.get(name, 0)) for name in names}
            if names and len(self._requests) < MOST_REQUESTS:
                async for batch in self._log.read(names, until_end=True, begin=begin):
                    for record in batch:
                        self._next_offsets[record.topic] = record.offset + 1
                        kept[record.topic] += 1
                        if kept[record.topic] <= MOST_OF_A_PARTY:
                            self._requests.append(record)
                        else:  # the last one moves the position past all of them
                            skipped[record.topic] = record._replace(value=None)
        except LogError as error:
            _log.warning("requests_not_read", reason=str(error))
        self._requests += skipped.values()

    async def keep_reading(self) -> None:
        while True:
            await asyncio.sleep(READ_SECONDS)
            await self.read_requests()


def accepted_request(record: Record, registry: Registry, last_accepted: int | None, now: int) -> Request:
    """The party's request in a record of its request topic; the topic's name alone says which party asks.

    Raises InputError with the reason for a refusal. `last_accepted` is the time of its last accepted request.
    """
    party_id = record.topic.removeprefix(topics.REQUEST_PREFIX)
    party = registry.parties.get(party_id)
    if party is None or party.status != "live":
        raise InputError("the party is not live")
    if record.value is None:
        raise InputError("it is empty, or the last of too many at once")
    value = codec.decode_value(record.value)
    if not isinstance(value, Request) or value.kind != RESYNC:
        raise InputError(f"it is not a request for a {RESYNC}")
    if last_accepted is not None and 0 <= now - last_accepted < MINUTES_BETWEEN_REQUESTS * MINUTE:
        raise InputError(
            f"its last one was accepted at {iso(last_accepted)}, less than {MINUTES_BETWEEN_REQUESTS} minutes ago"
        )
    return Request(f"{party_id}-{record.offset}", RESYNC, party_id, party_id, now)


@asynccontextmanager
async def task_zero_of(
    log: AdministeredLog, shard: Shard, silence_limits: Sequence[SilenceLimit], clock: Callable[[], int]
) -> AsyncIterator[TaskZero | None]:
    """Reads requests in the background while the block runs. None for every task but 0."""
    if shard.partition != 0:
        yield None
        return
    task_zero = TaskZero(log, shard, silence_limits, clock)
    await task_zero.read_requests()
    async with background("reading parties' requests", task_zero.keep_reading):
        yield task_zero
