"""Parties' requests: found on their topics by a process of their own, accepted in transactions of task 0.

Parties write what they like, so the router's own process reads none of it. It compares ends with positions; only where
something is new, a short-lived process with a memory limit reads it and tells each record's offset and fault. If that
process dies, the topics are halved until the one that kills it is alone; after a few deaths its records are dropped.
Task 0's position holds how far each topic was read, so a request is accepted once, whatever dies.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from router import codec, topics
from router.clock import growing_pauses
from router.decide.registry import Registry
from router.engine.backlog import unread_part
from router.errors import InputError, LogError, RouterError
from router.log.interface import AdministeredLog, Log, Output, Record
from router.model.eastern import MINUTE, iso
from router.model.registry_values import RESYNC, RegistryNote, RegistryValue, Request
from router.observe import ACCEPTED, DROPPED, REFUSED, Metrics
from router.task.outputs import registry_output
from router.task.shard import Shard

LOOK_SECONDS: Final = 5.0
"""Between two looks at the parties' request topics."""
LONGEST_PAUSE_SECONDS: Final = 60.0
"""Between two looks while they fail."""
MINUTES_BETWEEN_REQUESTS: Final = 10
"""A party's next request is refused before. A resync costs a notice for each of its open bills."""
MOST_REQUESTS: Final = 100
"""Requests in one transaction: many of them delay nobody's notices."""
MOST_OF_A_PARTY: Final = 10
"""Records of one party that are read at a look. At most one is accepted; those behind them are dropped."""
MOST_SKIPPED: Final = 20_000
"""Records behind a party's first ones that a look reads on the way to other parties'."""
DEATHS_UNTIL_DROPPED: Final = 3
"""Deaths of the reading process over one topic alone, at different looks, until its records are dropped."""

_log = structlog.get_logger(__name__)


class FoundRecord(NamedTuple):
    """A record of a request topic, without anything that its party wrote."""

    topic: str
    next_offset: int
    """The offset to read on from."""
    offset: int | None = None
    """Its own; None: nothing but transaction markers is left before `next_offset`."""
    fault: str | None = None
    """Why it is no request; None for a request for a resync."""
    dropped: bool = False
    """It stands for records that nobody read."""

    @property
    def party_id(self) -> str:
        return self.topic.removeprefix(topics.REQUEST_PREFIX)


FindRecords = Callable[[Mapping[str, range]], Awaitable[list[FoundRecord]]]
"""Reads the given offsets of each request topic. Raises ReadingDied, LogError."""


class ReadingDied(RouterError):
    """The process that reads requests died of what it read, or did not end in time."""


async def find_records(log: Log, spans: Mapping[str, range]) -> list[FoundRecord]:
    """The first records of each topic, and one for the rest of a topic that has more. Raises LogError."""
    found: list[FoundRecord] = []
    counts: Counter[str] = Counter()
    reached: dict[str, int] = {}
    begin = {(topic, 0): span.start for topic, span in spans.items()}
    full: set[str] = set()
    skipped = 0
    async for batch in log.read(sorted(spans), until_end=True, begin=begin):
        for record in batch:
            counts[record.topic] += 1
            reached[record.topic] = record.offset + 1
            if counts[record.topic] <= MOST_OF_A_PARTY:
                found.append(FoundRecord(record.topic, record.offset + 1, record.offset, fault_of(record)))
            else:
                full.add(record.topic)
                skipped += 1
        if skipped > MOST_SKIPPED or full == spans.keys():
            break
    else:
        ends = {topic: span.stop for topic, span in spans.items() if reached.get(topic, span.start) < span.stop}
        found += [FoundRecord(topic, end) for topic, end in ends.items() if topic not in full]
    for topic in sorted(full):
        end = max(spans[topic].stop, reached[topic])
        found.append(FoundRecord(topic, end, end - 1, "it is one of too many at once", dropped=True))
    return found


def fault_of(record: Record) -> str | None:
    """Why a record is no request for a resync; None if it is one."""
    if record.fault is not None:
        return record.fault
    if record.value is None:
        return "it is empty"
    try:
        value = codec.decode_value(record.value)
    except InputError as error:
        return error.reason
    return None if isinstance(value, Request) and value.kind == RESYNC else f"it is not a request for a {RESYNC}"


class PartyRequests:
    """The parties' requests, while this process has task 0 open."""

    def __init__(
        self, log: AdministeredLog, shard: Shard, find: FindRecords, metrics: Metrics, clock: Callable[[], int]
    ) -> None:
        self._log = log
        self._shard = shard
        self._find = find
        self._metrics = metrics
        self._clock = clock
        self._found: list[FoundRecord] = []
        """Found, and not yet in a committed transaction."""
        self._next_offsets: dict[str, int] = {}
        self._in_transaction: list[str | None] = []
        """Outcomes of those of `_found` that are in the transaction; None where there is no record."""
        self._deaths: Counter[str] = Counter()
        self._failing_since: float | None = None
        """By `time.monotonic`."""

    @property
    def are_waiting(self) -> bool:
        return bool(self._found)

    def outputs(self) -> list[Output]:
        """The records of the accepted requests; moves the task's position past all of them. Call again if the
        transaction is abandoned, and `committed` once it is committed."""
        self._in_transaction = []
        return [registry_output(value) for value in self._accepted(self._clock())]

    def committed(self) -> None:
        del self._found[: len(self._in_transaction)]
        for outcome in filter(None, self._in_transaction):
            self._metrics.request(outcome)
        self._in_transaction = []

    def _accepted(self, now: int) -> Iterator[RegistryValue]:
        registry = self._shard.registry
        last_accepted = dict(registry.requested)
        for found in self._found[:MOST_REQUESTS]:
            self._shard.position[found.topic] = found.next_offset
            party_id = found.party_id
            if found.offset is None:
                self._in_transaction.append(None)
                continue
            if fault := _refusal(found, registry, last_accepted.get(party_id), now):
                _log.warning("request_refused", party=party_id, offset=found.offset, reason=fault)
                self._in_transaction.append(DROPPED if found.dropped else REFUSED)
                continue
            self._in_transaction.append(ACCEPTED)
            last_accepted[party_id] = now
            yield Request(f"{party_id}-{found.offset}", RESYNC, party_id, party_id, now)
            yield RegistryNote("requested", party_id, now)

    # Looking

    async def keep_looking(self) -> None:
        """Look until cancelled. While the log or the reading process fails, look again after growing pauses; the
        metrics say for how long."""
        pauses = growing_pauses(LOOK_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            pause = LOOK_SECONDS
            try:
                await self.look()
                pauses = growing_pauses(LOOK_SECONDS, LONGEST_PAUSE_SECONDS)
                self._failing_since = None
                self._metrics.requests_failing(0.0)
            except (LogError, ReadingDied) as error:
                pause = next(pauses)
                self._failing_since = self._failing_since or time.monotonic()
                self._metrics.requests_failing(time.monotonic() - self._failing_since)
                _log.warning("requests_not_read", reason=str(error), again_in_seconds=pause)
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Find what is new. Raises LogError, and ReadingDied once everything that can be read was read."""
        if len(self._found) >= MOST_REQUESTS:
            return
        spans = await self._new_spans()
        if spans:
            await self._find_in(spans)

    async def _new_spans(self) -> dict[str, range]:
        """Offsets not read yet, of parties that are live: nothing else is read at all."""
        live = [party.id for party in self._shard.registry.parties.values() if party.status == "live"]
        extents = await self._log.extents([topics.REQUEST_PREFIX + party_id for party_id in live], decided=True)
        spans = {}
        for topic, extent in extents.items():
            unread = unread_part(extent, self._next_offsets.get(topic, self._shard.position.get(topic, 0)))
            if unread:
                spans[topic] = unread
        return spans

    async def _find_in(self, spans: Mapping[str, range]) -> None:
        try:
            found = await self._find(spans)
        except ReadingDied as death:
            await self._after_death(spans, death)
            return
        for topic in spans:
            del self._deaths[topic]
        self._take(found)

    async def _after_death(self, spans: Mapping[str, range], death: ReadingDied) -> None:
        if len(spans) > 1:
            half = len(spans) // 2
            names = sorted(spans)
            deaths = []
            for part in (names[:half], names[half:]):
                try:
                    await self._find_in({name: spans[name] for name in part})
                except ReadingDied as another:
                    deaths.append(another)
            if deaths:
                raise deaths[0] from death
            return
        ((topic, span),) = spans.items()
        self._deaths[topic] += 1
        _log.warning("request_reading_died", topic=topic, offset=span.start, reason=str(death))
        if self._deaths[topic] < DEATHS_UNTIL_DROPPED:
            raise death
        del self._deaths[topic]
        fault = f"reading offsets {span.start} to {span.stop - 1} killed the process that reads them: {death}"
        self._take([FoundRecord(topic, span.stop, span.stop - 1, fault, dropped=True)])

    def _take(self, found: Sequence[FoundRecord]) -> None:
        self._found += found
        self._next_offsets |= {one.topic: one.next_offset for one in found}


def _refusal(found: FoundRecord, registry: Registry, last_accepted: int | None, now: int) -> str | None:
    """Why a request is not accepted; its topic alone says which party asks. `last_accepted` is the time of its last
    accepted request."""
    party = registry.parties.get(found.party_id)
    if party is None or party.status != "live":
        return "the party is not live"
    if found.fault is not None:
        return found.fault
    if last_accepted is not None and 0 <= now - last_accepted < MINUTES_BETWEEN_REQUESTS * MINUTE:
        last = f"its last one was accepted at {iso(last_accepted)}"
        return f"{last}, less than {MINUTES_BETWEEN_REQUESTS} minutes ago"
    return None
