"""Operators' deeds as a bill keeps them: the doubts they confirmed and the holds they cleared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Final, NamedTuple

from router.model.vocabulary import Confirmable


class Deeds(NamedTuple):
    confirmed: Mapping[Confirmable, frozenset[str]] = {}
    """Ids of the events on which each doubt was confirmed."""

    def settle(self, doubt: Confirmable, *events: str) -> bool:
        """True if the doubt was confirmed on each of the events."""
        confirmed = self.confirmed.get(doubt)
        return confirmed is not None and confirmed.issuperset(events)

    def with_confirmed(self, doubts: Iterable[Confirmable], covers: frozenset[str]) -> Deeds:
        if not covers:
            return self
        added = {doubt: self.confirmed.get(doubt, frozenset()) | covers for doubt in doubts}
        return self._replace(confirmed={**self.confirmed, **added})

    def with_confirmed_among(self, events: Set[str]) -> Deeds:
        """The deeds without confirmations on other events than these."""
        return self._replace(confirmed={doubt: covers & events for doubt, covers in self.confirmed.items()})

    @property
    def number_confirmed(self) -> int:
        return sum(map(len, self.confirmed.values()))


NO_DEEDS: Final = Deeds()
