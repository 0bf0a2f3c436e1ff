"""What parties ask for on their own topics (`snp.request.<SCAC>`), taken up into the registry, not too often.

Pure. Whatever a party writes there, nothing but its own party is concerned and nothing stops: the name of its topic
says who asks.

What the owner of task 0 does for all: a tick a minute, feeds that fall silent, what parties ask for.

All of it is written in that task's own transactions, so with its fence: two owners can't both do it. How far the
parties' requests were read is part of the task's position: each is taken up once, whatever dies when.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from router import codec, topics
from router.decide.registry import Registry
from router.engine.administration import AuditEntry, audit_output
from router.engine.feed_silence import SilenceLimit, not_to_come, silence_changes
from router.errors import InputError, LogError
from router.log.interface import AdministeredLog, Output, Record
from router.model.eastern import CLOCKS_DIFFER, MINUTE, iso
from router.model.registry_values import RESYNC, RegistryNote, RegistryValue, Request
from router.task.outputs import registry_output
from router.task.shard import Shard


class Refused(NamedTuple):
    """A request that is not taken up."""

    scac: str
    reason: str


def request_of(
    record: Record, registry: Registry, asked: int | None, now: int, minutes_between: int
) -> Request | Refused:
    """What a record asks for. `asked` is when the party's last request was taken up."""
    scac = record.topic.removeprefix(topics.REQUEST_PREFIX)
    party = registry.parties.get(scac)
    if party is None or party.status != "live":
        return Refused(scac, "it is not a live party")
    if record.value is None:
        return Refused(scac, "it is empty, or the last of too many at once")
    try:
        value = codec.decode_value(record.value)
    except InputError as error:
        return Refused(scac, f"it can't be read: {error}")
    if not isinstance(value, Request) or value.kind != RESYNC:
        return Refused(scac, f"it is no request for a {RESYNC}")
    if asked is not None and 0 <= now - asked < minutes_between * MINUTE:
        return Refused(scac, f"its last one was taken up at {iso(asked)}, less than {minutes_between} minutes ago")
    return Request(f"{scac}-{record.offset}", RESYNC, scac, scac, now)


LOOK_SECONDS: Final = 5.0
"""So often the parties' topics are looked at."""
LONGEST_STALL: Final = 60 * MINUTE
"""A running router's ticks are never so far apart, unless its clock was set or its machine slept."""
MOST_REQUESTS: Final = 100
"""Taken up in one transaction: a flood of requests holds up nobody's notices."""
MOST_OF_A_PARTY: Final = 10
"""Kept of what one party wrote since the last look: at most one of them is taken up, and a flood has no place here."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TaskZeroSettings:
    feeds: tuple[SilenceLimit, ...] = ()
    minutes_between_requests: int = 10


class TaskZero:
    """Of one opening of task 0. Made by `leading`."""

    def __init__(
        self, log: AdministeredLog, shard: Shard, settings: TaskZeroSettings, clock: Callable[[], int]
    ) -> None:
        self._log = log
        self._shard = shard
        self._settings = settings
        self._clock = clock
        self._found: list[Record] = []
        self._read_on: dict[str, int] = {}
        self._taken = 0
        self._ticking = self._ticked = 0
        """The latest tick of its own, as it is written and as it is committed."""

    @property
    def are_due(self) -> bool:
        return bool(self._found) or self._tick_is_due

    @property
    def _tick_is_due(self) -> bool:
        return not 0 <= self._clock() - self._shard.registry.now < MINUTE

    def take_up(self) -> list[Output]:
        """What is to be written now; moves the task's position. To be called again if the transaction is abandoned,
        and followed by `done` once it is committed."""
        now = self._clock()
        outputs = [registry_output(value) for value in self._requests(now)]
        if self._tick_is_due:
            outputs += map(registry_output, self._tick(now))
            outputs += self._clock_jumped(now)
            self._ticking = now
        return outputs

    def _tick(self, now: int) -> Iterator[RegistryValue]:
        yield RegistryNote("tick", "tick", now)
        registry = self._shard.registry
        heard = dict(registry.feed_activity)
        for corrected in not_to_come(heard, now):
            heard[corrected.feed, corrected.port] = corrected.at
            yield corrected
        lasting = [watched.outage for watched in registry.outages.values()]
        yield from silence_changes(self._settings.feeds, heard, registry.silences, lasting, now)

    def _clock_jumped(self, now: int) -> Iterator[Output]:
        """Ticks come each minute while a router runs, and each is later than all before."""
        before = self._shard.registry.now
        if before and (now < before - CLOCKS_DIFFER or (self._ticked and now > self._ticked + LONGEST_STALL)):
            said = f"from {iso(before)} to {iso(now)}"
            _log.warning("clock_jumped", jump=said)
            yield audit_output(AuditEntry(now, "router", "clock jumped", "clock", said))

    def done(self) -> None:
        del self._found[: self._taken]
        self._taken = 0
        self._ticked = self._ticking

    def _requests(self, now: int) -> list[RegistryValue]:
        registry = self._shard.registry
        asked = dict(registry.requested)
        taken: list[RegistryValue] = []
        found = self._found[:MOST_REQUESTS]
        for record in found:
            self._shard.position[record.topic] = record.offset + 1
            scac = record.topic.removeprefix(topics.REQUEST_PREFIX)
            between = self._settings.minutes_between_requests
            request = request_of(record, registry, asked.get(scac), now, between)
            if isinstance(request, Refused):
                _log.warning("request_refused", party=request.scac, offset=record.offset, reason=request.reason)
                continue
            asked[scac] = now
            taken += [request, RegistryNote("asked", scac, now)]
        self._taken = len(found)
        return taken

    async def look(self) -> None:
        """Read what parties have asked since. What can't be read now is read the next time."""
        wanted = {topics.REQUEST_PREFIX + scac for scac in self._shard.registry.parties}
        kept = Counter(record.topic for record in self._found)
        passed_over: dict[str, Record] = {}
        try:
            names = sorted(wanted & (await self._log.topics()).keys())
            begin = {(name, 0): self._read_on.get(name, self._shard.position.get(name, 0)) for name in names}
            if names and len(self._found) < MOST_REQUESTS:
                async for batch in self._log.read(names, until_end=True, begin=begin):
                    for record in batch:
                        self._read_on[record.topic] = record.offset + 1
                        kept[record.topic] += 1
                        if kept[record.topic] <= MOST_OF_A_PARTY:
                            self._found.append(record)
                        else:  # the last of them stands for all
                            passed_over[record.topic] = record._replace(value=None)
        except LogError as error:
            _log.warning("requests_not_read", reason=str(error))
        self._found += passed_over.values()

    async def keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()


@asynccontextmanager
async def leading(
    log: AdministeredLog, shard: Shard, settings: TaskZeroSettings, clock: Callable[[], int], partition: int
) -> AsyncIterator[TaskZero | None]:
    """The duties of task 0, while it is open; other tasks have none."""
    if partition != 0:
        yield None
        return
    duties = TaskZero(log, shard, settings, clock)
    await duties.look()
    looking = asyncio.create_task(duties.keep_looking())
    try:
        yield duties
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
