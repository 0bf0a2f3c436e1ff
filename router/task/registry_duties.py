"""A task's duties from the registry: announcing outages, sending samples to certifying parties, starting requests, and
beginning walks over its bills. Their progress is part of the task's position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from router.codec.packed import Packed
from router.decide.consequences import Decision
from router.decide.outages import (
    Announcement,
    OutageWatch,
    announcements,
    lost_input_announcement,
    with_procedure,
    without_recovered,
)
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.errors import InputError
from router.log.interface import Output, Record
from router.model.eastern import DAY
from router.model.registry_values import (
    LateTally,
    LostInput,
    Outage,
    OutageFilers,
    Party,
    PortProcedure,
    RegistryNote,
    RegistryValue,
    Request,
    RequestDone,
)
from router.task.announcements import decision_on, feed_status
from router.task.certification import CERTIFYING, party_to_certify, sample_outputs
from router.task.chains import ChainHead
from router.task.filer_search import FilerSearch, FilerSearches
from router.task.input_records import registry_value
from router.task.outputs import Origin
from router.task.walks import Resyncs, RunningResync, Walk

TICK: Final = "tick"


class Position(NamedTuple):
    """A task's position: the next offset of each input, and the progress of its duties."""

    offsets: Mapping[str, int]
    walk_epoch: int = 0
    walk_cursor: str | None = None
    sweep_day: int = 0
    sweep_cursor: str | None = None
    certifying: tuple[str, ...] = ()
    now: int = 0
    elapsed: int = 0
    outages: Mapping[str, OutageWatch] = {}
    resyncs: tuple[RunningResync, ...] = ()
    filer_searches: tuple[FilerSearch, ...] = ()
    read_at: Mapping[str, int] = {}
    """Time of the last record read of each input, UTC milliseconds."""
    lost: tuple[LostInput, ...] = ()
    """Records of inputs that were deleted before they were read, from which it went on."""
    heads: Mapping[str, ChainHead] = {}
    """Heads of the hash chains in its partitions, by topic."""
    counted_early: int = 0
    """Urgent events that were counted at their copy on `cbp.dispositions`, and not read on `cbp.urgent` since."""


POSITION: Final = Packed(20, "position", Position)


class RegistryDuties:
    """The duties of one task. The task of partition 0 alone announces outages and sends samples."""

    def __init__(self, rules: Rules, partition: int, tasks: int) -> None:
        self.registry = Registry()
        self.walk = Walk()
        """Over all bills, after changes of parties or sailings."""
        self.sweep = Walk()
        """Over all bills once a day, for those to forget."""
        self.certifying: frozenset[str] = frozenset()
        """Parties that have their samples and are not live yet. Only task 0, which sends them, knows them."""
        self.resyncs = Resyncs(partition, tasks)
        self.filer_searches = FilerSearches(partition)
        self._first_rules = rules
        self._leads = partition == 0
        self._due: list[tuple[Announcement, Origin]] = []
        self._drained = True
        """True if this transaction read nothing of the registry, so all of it was read before."""
        self._mark_committed()

    @property
    def rules(self) -> Rules:
        return self.registry.rules or self._first_rules

    @property
    def is_walking(self) -> bool:
        walks = (self.walk.cursor, self.sweep.cursor)
        return walks != (None, None) or self.resyncs.is_walking or self.filer_searches.is_walking

    @property
    def may_resync(self) -> bool:
        """True if a resync may walk. It visits each bill once, so the registry must have been read to its end."""
        return self._drained and self.resyncs.is_walking

    # Restoring

    def restore(self, position: Position) -> None:
        """Continue the duties in a task's position."""
        self.walk = Walk(position.walk_epoch, position.walk_cursor)
        self.sweep = Walk(position.sweep_day, position.sweep_cursor)
        self.certifying = frozenset(position.certifying)
        self.registry.now = position.now
        self.registry.elapsed = position.elapsed
        self.registry.outages = position.outages
        self.resyncs.restore(position.resyncs)
        self.filer_searches.running = position.filer_searches
        self.registry.lost = position.lost
        self._mark_committed()

    def load(self, record: Record) -> None:
        """Enter a registry record from before the position, without acting on it again.

        Ticks, outages with what is known of them, and requests are part of the position itself.
        """
        try:
            value = registry_value(record)
        except InputError:
            return  # its dead letter was written when it was read first
        if value is None:
            return
        if isinstance(value, Outage):
            self.registry.remember_silence(value)
        elif not isinstance(value, LateTally | OutageFilers | Request | RequestDone) and not _is_tick(value):
            self.registry.apply(value, record.offset)
            self._committed_rules = (self.registry.rules, self.registry.rules_records)

    def position(self, offsets: Mapping[str, int], read_at: Mapping[str, int]) -> Position:
        return Position(
            offsets,
            *self.walk.place,
            *self.sweep.place,
            tuple(sorted(self.certifying)),
            self.registry.now,
            self.registry.elapsed,
            self.registry.outages,
            self.resyncs.running,
            self.filer_searches.running,
            read_at,
            self.registry.lost,
        )

    # Reading the registry

    def apply(self, value: RegistryValue, origin: Origin) -> Iterator[Output]:
        """Apply one value of the registry, whose record is `origin`. Returns records to write at once."""
        self._drained = False
        if isinstance(value, Request):
            yield from self.resyncs.apply_request(value, self.registry)
        elif isinstance(value, RequestDone):
            yield from self.resyncs.apply_done(value)
        else:
            before = self.registry.outages
            self.registry.apply(value, origin.offset)
            if isinstance(value, PortProcedure):
                self.registry.outages = with_procedure(before, value, self.rules.port_areas)
            if _is_tick(value):
                self.registry.outages = without_recovered(before, self.registry.now, self.rules)
            if self.registry.outages is not before:
                self.filer_searches.follow(self.registry.outages)
            if self._leads and self.registry.outages is not before:
                now = replace(origin, at=self.registry.now)
                self._due += [(one, now) for one in announcements(before, self.registry.outages)]
            if self._leads and isinstance(value, LostInput):
                self._due.append((lost_input_announcement(value), replace(origin, at=self.registry.now)))
            if self._leads:
                yield from self._certify(value, origin.offset)
            self._begin_walks()

    def go_on_without(self, lost: LostInput) -> None:
        """Count a judged loss of this task's input, and tell every bill."""
        self.registry.lost = (*self.registry.lost, lost)
        self.walk = Walk(self.registry.epoch, "")

    def _begin_walks(self) -> None:
        if self.registry.epoch > self.walk.goal:
            self.walk = Walk(self.registry.epoch, "")
        if self.registry.elapsed // DAY > self.sweep.goal and self.sweep.cursor is None:
            self.sweep = Walk(self.registry.elapsed // DAY, "")

    def _certify(self, value: object, offset: int) -> Iterator[Output]:
        """Samples of a party that becomes `certifying`, once."""
        if (party := party_to_certify(self.certifying, value, self.registry)) is not None:
            yield from (output for _, output in sample_outputs(party.id, offset))
        if isinstance(value, Party):
            others = self.certifying - {value.id}
            self.certifying = others | {value.id} if value.status == CERTIFYING else others

    def announce(self) -> Iterator[tuple[tuple[Output, ...], Decision, Origin]]:
        """Announcements of outages: to everybody, and of a line's own to those whom it concerns.

        They are decided with the registry behind everything that the transaction read of it, so that a transaction that
        is decided again announces the same.
        """
        due, self._due = self._due, []
        for announcement, origin in due:
            is_public = announcement.watch.outage.carrier is None
            public = (feed_status(announcement, self.registry, self.rules),) if is_public else ()
            yield public, decision_on(announcement, self.registry, self.rules), origin

    # The transaction

    def commit(self) -> None:
        self._mark_committed()
        self._clear()

    def _mark_committed(self) -> None:
        self._committed_walks = (self.walk.place, self.sweep.place)
        self._committed_certifying = self.certifying
        registry = self.registry
        self._committed_standing = (registry.now, registry.elapsed, registry.outages, self.resyncs.running)
        self._committed_lost = registry.lost
        self._committed_searches = self.filer_searches.running
        self._committed_rules = (registry.rules, registry.rules_records)

    def abandon(self) -> None:
        """Undo the transaction's changes. Parties and sailings stay, since applying them twice is harmless."""
        registry = self.registry
        registry.now, registry.elapsed, registry.outages, running = self._committed_standing
        registry.rules, registry.rules_records = self._committed_rules
        registry.lost = self._committed_lost
        self.resyncs.restore(running)
        self.filer_searches.running = self._committed_searches
        self.walk, self.sweep = (Walk(*place) for place in self._committed_walks)
        self.certifying = self._committed_certifying
        self._clear()

    def _clear(self) -> None:
        self._due = []
        self._drained = True


def _is_tick(value: object) -> bool:
    return isinstance(value, RegistryNote) and value.kind == TICK
