"""Bills that live as real ones do: a voyage's days told within minutes, new bills all the time, few with a long life.

Events come late, out of order and more than once, as CBP's do.
"""

from __future__ import annotations

import heapq
from random import Random
from typing import Final

from router.model.eastern import MINUTE
from router.model.inputs import Disposition, Filing
from router.model.registry_values import Sailing
from tests.checking.routine import FLOWS, LINES, Shipment, Voyage

Told = Disposition | Filing

VOYAGES: Final = range(8, 15)
"""Lives that have ended when this is run, and whose bills are not forgotten yet."""
LIFE_SECONDS: Final = (20.0, 180.0)
LATE_SHARE: Final = 0.1
LATE_SECONDS: Final = (5.0, 60.0)
REPEATED_SHARE: Final = 0.04
EXAMINED_SHARE: Final = 0.25
EXAMS: Final = (1, 1, 1, 2, 2, 3, 12)
"""More examinations of a bill that is examined. A few have many."""
EXAM_MINUTES: Final = 180


class Lives:
    """Shipments without end; the n-th of a seed is always the same. Times are seconds since the beginning."""

    def __init__(self, seed: int, rate: float, first: int = 0) -> None:
        """`rate` is in records a second."""
        self.shipments = first
        """Number of the next shipment."""
        self._seed = seed
        self._rate = rate
        self._made = 0
        self._due: list[tuple[float, int, Told]] = []

    def until(self, seconds: float) -> list[Told]:
        """Records that are due, in order of their time. Shipments begin as fast as the rate needs."""
        while self._made < self._rate * seconds:
            self._begin(seconds)
        due: list[Told] = []
        while self._due and self._due[0][0] <= seconds:
            due.append(heapq.heappop(self._due)[2])
        return due

    def rest(self) -> list[Told]:
        """All that was to come of the shipments begun."""
        due, self._due = sorted(self._due), []
        return [record for _, _, record in due]

    def _begin(self, now: float) -> None:
        random = Random(f"soak {self._seed} {self.shipments}")
        records = _records(random, self.shipments)
        self.shipments += 1
        life = random.uniform(*LIFE_SECONDS)
        for place, record in enumerate(records):
            due = now + life * place / len(records)
            if random.random() < LATE_SHARE:
                due += random.uniform(*LATE_SECONDS)
            self._add(due, record)
            if random.random() < REPEATED_SHARE:
                self._add(due + random.uniform(*LATE_SECONDS), record)

    def _add(self, due: float, record: Told) -> None:
        self._made += 1
        heapq.heappush(self._due, (due, self._made, record))


def sailings() -> list[Sailing]:
    return [Voyage(number).sailing() for number in VOYAGES]


def _records(random: Random, number: int) -> list[Told]:
    """One shipment's messages in the order received."""
    one = Shipment(random, Voyage(random.choice(VOYAGES)), number, random.choice(LINES))
    (flow,) = random.choices(list(FLOWS), list(FLOWS.values()))
    flow(one)
    if random.random() < EXAMINED_SHARE:
        bill = random.choice(one.freed)
        first = one.voyage.arrival - random.randint(1, 4000) * MINUTE
        for exam in range(random.choice(EXAMS)):
            one.say(bill, "7H", first + (2 * exam) * EXAM_MINUTES * MINUTE)
            one.say(bill, "7I", first + (2 * exam + 1) * EXAM_MINUTES * MINUTE)
    return sorted(one.records, key=lambda record: record.received_at)
