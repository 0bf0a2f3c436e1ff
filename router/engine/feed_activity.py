"""Records in the registry when a feed was active, and how many of its events came late because of an outage."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from router import topics
from router.decide.codes import Effect
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.errors import InputError
from router.log.interface import Log, Record
from router.model.eastern import DAY, MINUTE
from router.model.inputs import DeadLetter, Disposition
from router.model.registry_values import FeedActivity, LateTally, Outage, RegistryValue, RulesRecord
from router.task.input_records import registry_value
from router.task.outputs import registry_output

DEFAULT_FEED: Final = "cbp"
RECORD_EVERY: Final = MINUTE
"""Activity of one feed and port is recorded no more often: every task reads the registry."""
CONTENT_HASH_DIGITS: Final = 16
LATE_UNTIL: Final = 14 * DAY
"""After the end of an outage. What comes later is history that somebody feeds in."""


class FeedMonitor:
    """One feed's activity, all outages, and the registry with the rules in force. Reads the registry again before each
    file: outages and rules change while a folder is watched. Several files may be fed in at a time.

    Dispositions and dead letters are activity. Filings are not, nor are other messages, such as a 997: they show that
    the line works, not that CBP's status messages come.
    """

    def __init__(self, log: Log, feed: str, rules: Rules, *, reread_seconds: float = 0.0) -> None:
        """`rules` are in force until the first router has written some. The registry is read again at most once in
        `reread_seconds`: on Kafka that takes longer than a small file."""
        self.feed = feed
        self.rules = rules
        self.last_active: dict[str | None, int] = {}
        """By port, UTC milliseconds."""
        self.outages: dict[str, Outage] = {}
        """By id, also those that ended: their events are fed in afterwards."""
        self._log = log
        self._next_offset = 0
        self.registry = Registry()
        self._reading = asyncio.Lock()
        self._reread_seconds = reread_seconds
        self._read_at = -math.inf
        """By the machine's steady clock."""

    async def begin_file(self, now: int) -> FileActivity:
        """Raises FatalLogError for rules that this version of the router can't follow."""
        async with self._reading:
            if time.monotonic() - self._read_at >= self._reread_seconds:
                await self._read_registry()
        return FileActivity(self, now)

    async def _read_registry(self) -> None:
        began = time.monotonic()
        begin = {(topics.REGISTRY, 0): self._next_offset}
        async for batch in self._log.read([topics.REGISTRY], until_end=True, begin=begin):
            for record in batch:
                self._next_offset = record.offset + 1
                self._apply(record)
        self._read_at = began

    async def append(self, values: list[RegistryValue]) -> None:
        if values:
            await self._log.append([registry_output(value) for value in values], atomic=True)
        for value in values:
            if isinstance(value, FeedActivity):
                self.last_active[value.port] = value.at

    def _apply(self, record: Record) -> None:
        try:
            value = registry_value(record)
        except InputError:
            return  # another program wrote it; `run` logs it
        if isinstance(value, Outage):
            self.outages[value.id] = value
        elif isinstance(value, FeedActivity) and value.feed == self.feed:
            self.last_active[value.port] = value.at
        if value is not None:
            self.registry.apply(value)
        if isinstance(value, RulesRecord):
            self.rules = self.registry.rules or self.rules


class FileActivity:
    """The activity in one file. Its tallies are keyed by the hash of its content: a file that is fed in again after a
    failure counts once."""

    def __init__(self, monitor: FeedMonitor, now: int) -> None:
        self._monitor = monitor
        self._hash = sha256()
        self._late: dict[str, LateTally] = {}
        """By outage."""
        self._ports: set[str | None] = set()
        self._outages = [outage for outage in monitor.outages.values() if self._may_make_late(outage, now)]

    @property
    def is_any(self) -> bool:
        return bool(self._ports)

    def hash(self, content: bytes | bytearray) -> None:
        """Add the next part of the content."""
        self._hash.update(content)

    def add(self, event: Disposition | DeadLetter, received_at: int) -> None:
        """Count an event. A dead letter is activity too, though its port is unknown."""
        if isinstance(event, DeadLetter):
            self._ports.add(None)
            return
        self._ports.add(port_of(event))
        for outage in self._outages:
            if self._is_late(event, outage, received_at):
                self._count(event, outage.id)

    async def end(self, at: int) -> None:
        """Record the activity, once all events of the file are on the log."""
        await self._monitor.append([*self._activity(at), *self._tallies(at)])

    def _activity(self, at: int) -> Iterator[FeedActivity]:
        for port in sorted(self._ports, key=str):
            last = self._monitor.last_active.get(port)
            if last is None or not 0 <= at - last < RECORD_EVERY:
                yield FeedActivity(self._monitor.feed, port, at)

    def _tallies(self, at: int) -> Iterator[LateTally]:
        run = self._hash.hexdigest()[:CONTENT_HASH_DIGITS]
        for late in self._late.values():
            yield late._replace(run=run, at=at)

    def _may_make_late(self, outage: Outage, now: int) -> bool:
        """True for recent outages of CBP or a port that stop ocean messages. A line's own delays none of CBP's."""
        is_history = outage.ended_at is not None and now - outage.ended_at > LATE_UNTIL
        is_of_feed = outage.carrier is None and outage.stops_ocean and outage.feed in (None, self._monitor.feed)
        return is_of_feed and not is_history

    def _is_late(self, event: Disposition, outage: Outage, received_at: int) -> bool:
        """True for an event posted during the outage and received late."""
        late_after = self._monitor.rules.late_after_minutes * MINUTE
        if event.unknown_zone is not None or (outage.port is not None and outage.port != port_of(event)):
            return False
        until = received_at if outage.ended_at is None else outage.ended_at
        return outage.began_at - late_after <= event.action_at <= until and received_at - event.action_at > late_after

    def _count(self, event: Disposition, outage: str) -> None:
        code = self._monitor.rules.codes.get(event.disposition_code)
        stops = code is None or code.effect in (Effect.PLACE, Effect.BLOCK)
        do_not_load = code is not None and code.do_not_load and code.effect is Effect.PLACE
        late = self._late.get(outage) or LateTally(outage, "", 0, 0, 0, event.action_at, 0)
        self._late[outage] = late._replace(
            events=late.events + 1,
            do_not_loads=late.do_not_loads + do_not_load,
            holds=late.holds + (stops and not do_not_load),
            oldest_posted=min(event.action_at, late.oldest_posted or event.action_at),
        )


def port_of(event: Disposition) -> str | None:
    return event.transaction_port or event.shipment.port_of_unlading
