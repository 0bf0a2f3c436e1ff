"""Operators' deeds as a bill keeps them: the doubts they confirmed and the holds they cleared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from typing import Final, NamedTuple

from router.model.vocabulary import Confirmable

MOST_CLEARED: Final = 1000
"""Clearances that a bill keeps. Of more the oldest go, so their holds stand again."""

ClearedHold = tuple[str, str | None, str | None]
"""Event id and, for a hold that CBP sent, the hold's code and container."""


class ClearedBy(NamedTuple):
    """A clearance of one hold."""

    user: str
    at: int
    """`received_at` of the clearance."""
    confirmed: bool = False
    """True once another person has confirmed it."""


class Deeds(NamedTuple):
    confirmed: Mapping[Confirmable, frozenset[str]] = {}
    """Ids of the events on which each doubt was confirmed."""
    cleared: Mapping[ClearedHold, ClearedBy] = {}

    def settle(self, doubt: Confirmable, *events: str) -> bool:
        """True if the doubt was confirmed on each of the events."""
        confirmed = self.confirmed.get(doubt)
        return confirmed is not None and confirmed.issuperset(events)

    def clear(self, event: str, code: str | None = None, container: str | None = None) -> bool:
        """True if an operator cleared what the event stops. Code and container name a hold that CBP sent."""
        return (event, code, container) in self.cleared

    def clear_for_good(self, event: str, code: str, container: str | None) -> bool:
        """True if, besides, a second person confirmed it."""
        by = self.cleared.get((event, code, container))
        return by is not None and by.confirmed

    def clear_all(self, events: Collection[str]) -> bool:
        """True if there are events, and an operator cleared what each of them stops here."""
        return bool(self.cleared and events) and all(self.clear(event) for event in events)

    def with_cleared(self, holds: Iterable[ClearedHold], by: ClearedBy) -> Deeds:
        news = {hold: by for hold in holds if hold not in self.cleared}
        if not news:
            return self
        latest = sorted({**self.cleared, **news}.items(), key=lambda one: (-one[1].at, one[0][0]))[:MOST_CLEARED]
        return self._replace(cleared=dict(latest))

    def with_second_person(self, user: str, covers: Set[str], four_eyes: bool) -> Deeds:
        """The deeds with the clearances of these events confirmed. With `four_eyes` not those of the same person."""
        confirmed = {
            hold: by._replace(confirmed=True)
            for hold, by in self.cleared.items()
            if hold[0] in covers and not by.confirmed and not (four_eyes and same_person(user, by.user))
        }
        return self._replace(cleared={**self.cleared, **confirmed}) if confirmed else self

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


def same_person(one: str, other: str) -> bool:
    """True if two accounts (`os:anna`, `console:anna`) may be one person's. An unnamed account may be anybody's."""
    name, other_name = (account.partition(":")[2].casefold() for account in (one, other))
    return name == other_name or not (name and other_name)


NO_DEEDS: Final = Deeds()
