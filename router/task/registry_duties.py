"""What a task does upon what it reads in the registry: it announces outages, sends samples to parties that certify,
starts requests, and begins walks over its bills. What of that is under way is part of the task's position.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from router import codec
from router.decide.consequences import Decision
from router.decide.outages import Announcement, announcements, watched_of, without_recovered
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.errors import InputError
from router.log.interface import Output, Record
from router.model.eastern import DAY
from router.model.registry_values import LateTally, Outage, Party, RegistryNote, RegistryValue, Request, RequestDone
from router.task.announcements import decision_on, feed_status
from router.task.certification import CERTIFYING, begins, sample_outputs
from router.task.input_records import registry_value
from router.task.outputs import Origin
from router.task.walks import Resyncs, Walk, running_of

TICK: Final = "tick"


class RegistryDuties:
    """Of one task. Outages are announced, and samples sent, by that of partition 0 alone."""

    def __init__(self, rules: Rules, partition: int, tasks: int) -> None:
        self.registry = Registry()
        self.walk = Walk()
        """Over all bills, when parties or sailings have changed."""
        self.sweep = Walk()
        """Over all bills, once a day: which of them are to be forgotten."""
        self.certifying: frozenset[str] = frozenset()
        """Parties that were sent their samples and are not live yet. Known to task 0, which sends them."""
        self.resyncs = Resyncs(partition, tasks)
        self._rules = rules
        self._leads = partition == 0
        self._due: list[tuple[Announcement, Origin]] = []
        self._drained = True
        """Whether this transaction read nothing of the registry: then all of it that was there was read before."""
        self._mark_committed()

    @property
    def is_walking(self) -> bool:
        return self.walk.cursor is not None or self.sweep.cursor is not None or self.resyncs.is_walking

    @property
    def may_resync(self) -> bool:
        """A request is walked for only when the registry was read as far as it goes: its walk looks at each bill
        once."""
        return self._drained and self.resyncs.is_walking

    # Restoring

    def restore(self, position: codec.Datum) -> None:
        """What was under way, from the task's position."""
        self.walk = Walk(position["walk_epoch"], position["walk_cursor"])
        self.sweep = Walk(position["sweep_day"], position["sweep_cursor"])
        self.certifying = frozenset(position["certifying"])
        self.registry.now = position["now"]
        self.registry.elapsed = position["elapsed"]
        self.registry.outages = {one["outage"]["id"]: watched_of(one) for one in position["outages"]}
        self.resyncs.restore(tuple(running_of(one) for one in position["resyncs"]))
        self._mark_committed()

    def load(self, record: Record) -> None:
        """Take in a registry record from before the position: it was acted on already. Ticks, outages,
        what came late after them, and requests are in the position itself."""
        if record.value is None:
            return
        try:
            value = registry_value(record)
        except InputError:
            return  # a dead letter says so
        if value is None:
            return
        if isinstance(value, Outage):
            self.registry.remember(value)
        elif not isinstance(value, LateTally | Request | RequestDone) and not _is_tick(value):
            self.registry.apply(value, record.offset)

    def for_position(self) -> dict[str, Any]:
        """The position's fields that are about what is under way."""
        return {
            "walk_epoch": self.walk.goal,
            "walk_cursor": self.walk.cursor,
            "sweep_day": self.sweep.goal,
            "sweep_cursor": self.sweep.cursor,
            "certifying": sorted(self.certifying),
            "now": self.registry.now,
            "elapsed": self.registry.elapsed,
            "outages": tuple(self.registry.outages.values()),
            "resyncs": self.resyncs.running,
        }

    # Reading the registry

    def hear(self, value: RegistryValue, origin: Origin) -> Iterator[Output]:
        """Take in one record of the registry, which is `origin`; what is to be written at once."""
        self._drained = False
        if isinstance(value, Request):
            yield from self.resyncs.ask(value, self.registry)
        elif isinstance(value, RequestDone):
            yield from self.resyncs.hear(value)
        else:
            before = self.registry.outages
            self.registry.apply(value, origin.offset)
            if _is_tick(value):
                self.registry.outages = without_recovered(before, self.registry.now, self._rules)
            if self._leads and self.registry.outages is not before:
                now = origin._replace(at=self.registry.now)
                self._due += [(one, now) for one in announcements(before, self.registry.outages)]
            if self._leads:
                yield from self._certify(value, origin.offset)
            self._begin_walks()

    def _begin_walks(self) -> None:
        if self.registry.epoch > self.walk.goal:
            self.walk = Walk(self.registry.epoch, "")
        if self.registry.elapsed // DAY > self.sweep.goal and self.sweep.cursor is None:
            self.sweep = Walk(self.registry.elapsed // DAY, "")

    def _certify(self, value: object, offset: int) -> Iterator[Output]:
        """A party that becomes `certifying` gets its samples, once."""
        if (party := begins(self.certifying, value, self.registry)) is not None:
            yield from (output for _, output in sample_outputs(party.scac, offset))
        if isinstance(value, Party):
            others = self.certifying - {value.scac}
            self.certifying = others | {value.scac} if value.status == CERTIFYING else others

    def announce(self) -> Iterator[tuple[tuple[Output, ...], Decision, Origin]]:
        """What is to be said of outages: to everybody, and to the parties of a line's sailings.

        With the registry as it is behind all that the transaction read of it: so that a transaction that is decided
        again says the same."""
        due, self._due = self._due, []
        for announcement, origin in due:
            everybody = announcement.watched.outage.carrier is None
            said = (feed_status(announcement, self.registry.now),) if everybody else ()
            yield said, decision_on(announcement, self.registry), origin

    # The transaction

    def committed(self) -> None:
        self._mark_committed()
        self._clear()

    def _mark_committed(self) -> None:
        self._committed_walks = (self.walk.place, self.sweep.place)
        self._committed_certifying = self.certifying
        registry = self.registry
        self._committed_standing = (registry.now, registry.elapsed, registry.outages, self.resyncs.running)

    def abandon(self) -> None:
        """Forget what the transaction changed. Parties and sailings stay: what it was told of them holds whoever hears
        it twice."""
        registry = self.registry
        registry.now, registry.elapsed, registry.outages, running = self._committed_standing
        self.resyncs.restore(running)
        self.walk, self.sweep = (Walk(*place) for place in self._committed_walks)
        self.certifying = self._committed_certifying
        self._clear()

    def _clear(self) -> None:
        self._due = []
        self._drained = True


def _is_tick(value: object) -> bool:
    return isinstance(value, RegistryNote) and value.kind == TICK
