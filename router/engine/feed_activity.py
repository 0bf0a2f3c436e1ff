"""What a feed tells the registry besides its events: that it was heard, and what came late of an outage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from router import topics
from router.decide.codes import Effect
from router.decide.rules import Rules
from router.errors import InputError
from router.log.interface import Log, Record
from router.model.eastern import DAY, MINUTE
from router.model.inputs import DeadLetter, Disposition
from router.model.registry_values import FeedActivity, LateTally, Outage, RegistryValue
from router.task.input_records import registry_value
from router.task.outputs import registry_output

DEFAULT_FEED: Final = "cbp"
HEARD_EVERY: Final = MINUTE
"""Per feed and port; the registry is read by every task."""


RUN_PLACES: Final = 16
HISTORY_AFTER: Final = 14 * DAY
"""What comes so long after an outage ended is not counted for it."""


class FeedActivityLog:
    """One feed's. Follows the registry from file to file: outages begin and end while a folder is watched."""

    def __init__(self, log: Log, feed: str, rules: Rules) -> None:
        self.feed = feed
        self.rules = rules
        self.heard: dict[tuple[str, str | None], int] = {}
        self.outages: dict[str, Outage] = {}
        """Those that are over too: a feed is read after they ended."""
        self._log = log
        self._read_on = 0

    async def begin_file(self, now: int) -> FileActivity:
        begin = {(topics.REGISTRY, 0): self._read_on}
        async for batch in self._log.read([topics.REGISTRY], until_end=True, begin=begin):
            for record in batch:
                self._read_on = record.offset + 1
                self._apply(record)
        return FileActivity(self, now)

    async def tell(self, values: list[RegistryValue]) -> None:
        if values:
            await self._log.append([registry_output(value) for value in values], atomic=True)

    def _apply(self, record: Record) -> None:
        try:
            value = registry_value(record)
        except InputError:
            return  # by another program: `run` says so
        if isinstance(value, Outage):
            self.outages[value.id] = value
        elif isinstance(value, FeedActivity):
            self.heard[value.feed, value.port] = value.at


@dataclass(slots=True)
class Late:
    """What one file brought late of one outage."""

    events: int = 0
    do_not_loads: int = 0
    holds: int = 0
    oldest_posted: int | None = None


class FileActivity:
    """Of one file. Its tallies carry the hash of its content: the same file again, after a failure, counts once."""

    def __init__(self, hearing: FeedActivityLog, now: int) -> None:
        self._hearing = hearing
        self._hash = sha256()
        self._late: dict[str, Late] = {}
        self._ports: set[str | None] = set()
        self._outages = [outage for outage in hearing.outages.values() if self._may_bring_more(outage, now)]

    def listen(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._hash.update(chunk)
            yield chunk

    def note(self, event: Disposition | DeadLetter, received_at: int) -> None:
        """That something came. What can't be read was heard too, though nobody knows for which port."""
        if isinstance(event, DeadLetter):
            self._ports.add(None)
            return
        self._ports.add(port_of(event))
        for outage in self._outages:
            if self._is_late(event, outage, received_at):
                self._count(event, self._late.setdefault(outage.id, Late()))

    async def end(self, at: int) -> None:
        """Tell the registry, now that all that came is on the log."""
        values: list[RegistryValue] = [*self._heard(at), *self._tallies(at)]
        await self._hearing.tell(values)

    def _heard(self, at: int) -> Iterator[FeedActivity]:
        feed, heard = self._hearing.feed, self._hearing.heard
        for port in sorted(self._ports, key=str):
            last = heard.get((feed, port))
            if last is None or not 0 <= at - last < HEARD_EVERY:
                yield FeedActivity(feed, port, at)

    def _tallies(self, at: int) -> Iterator[LateTally]:
        run = self._hash.hexdigest()[:RUN_PLACES]
        for outage, late in self._late.items():
            yield LateTally(outage, run, late.events, late.do_not_loads, late.holds, late.oldest_posted, at)

    def _may_bring_more(self, outage: Outage, now: int) -> bool:
        """Whether it is CBP's or a port's (what CBP sends isn't late because a line was down), and no old story."""
        is_history = outage.ended_at is not None and now - outage.ended_at > HISTORY_AFTER
        return outage.carrier is None and outage.feed in (None, self._hearing.feed) and not is_history

    def _is_late(self, event: Disposition, outage: Outage, received_at: int) -> bool:
        """Whether it was posted while the outage lasted, and came late."""
        late_after = self._hearing.rules.late_after_minutes * MINUTE
        if outage.port is not None and outage.port != port_of(event):
            return False
        until = received_at if outage.ended_at is None else outage.ended_at
        return outage.began_at - late_after <= event.action_at <= until and received_at - event.action_at > late_after

    def _count(self, event: Disposition, late: Late) -> None:
        code = self._hearing.rules.codes.get(event.disposition_code)
        late.events += 1
        if code is not None and code.do_not_load and code.effect is Effect.PLACE:
            late.do_not_loads += 1
        elif code is None or code.effect in (Effect.PLACE, Effect.BLOCK):
            late.holds += 1
        late.oldest_posted = min(event.action_at, event.action_at if late.oldest_posted is None else late.oldest_posted)


def port_of(event: Disposition) -> str | None:
    return event.transaction_port or event.shipment.port_of_unlading
