"""A disposition as the ledger keeps it, and the order in which such events apply.

Events apply by posted time and, at one time, in an order that lets the safer one win. So neither the order of arrival
nor duplicates matter.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from router.decide.codes import Effect
from router.decide.rules import Rules
from router.model.eastern import MILLISECONDS, from_posted
from router.model.vocabulary import Uncertainty

ADDED: Final = "55"
DELETED: Final = "54"
FREEING: Final = 1
REVOKING: Final = 3
PLACING: Final = 4
"""Ranks at one time (`order_key`): stops come last, so a block outlives a revocation of the same time."""
LAST_SECOND: Final = 59
CERTAINTY: Final[tuple[Uncertainty | None, ...]] = (None, "MESSAGE", "BILL")
"""The surest first."""
MINUTES_AN_HOUR: Final = 60


class LedgerEvent(NamedTuple):
    """The part of a disposition that the ledger keeps."""

    id: str
    code: str
    posted: int
    """Posted minute, minutes since 1970 UTC."""
    quantity: int | None = None
    containers: tuple[str, ...] = ()
    """Without check digits; empty: the whole bill."""
    entry_type: str | None = None
    entry_number: str | None = None
    port: str | None = None
    reversal: bool = False
    resent: bool = False
    rules: int = 1
    """Number of the rules under which it came, by which it is judged for good."""
    second: int | None = None
    """Second within the minute; None if the message gives none."""
    resent_at: int = 0
    """Receipt of the latest copy that CBP marked as re-sent. UTC milliseconds; 0: there was none."""
    second_pass: str | None = None
    """Id of the same event in the second pass of autumn's repeated hour, if no message tells the pass. `posted` is then
    in the first."""
    uncertain: Uncertainty | None = None
    """None once a copy was read whole, or an operator has confirmed it. Until then it stops as any other, and is put
    aside where it could free."""
    indicator: str | None = None
    """X420 as sent, if it was filled."""

    @property
    def posted_at(self) -> int:
        """Earliest moment at which it may have been posted, as notices show it. UTC milliseconds."""
        return from_posted(self.posted) + (self.second or 0) * MILLISECONDS

    @property
    def latest_at(self) -> int:
        """Latest second at which it may have been posted. UTC milliseconds."""
        second = self.second if self.second is not None else LAST_SECOND
        return from_posted(self.latest_minute) + second * MILLISECONDS

    @property
    def latest_minute(self) -> int:
        return self.posted if self.second_pass is None else self.posted + MINUTES_AN_HOUR

    def is_other_reading(self, other: LedgerEvent) -> bool:
        """True if they are copies of one event, and only one of them tells that it is of the second pass."""
        return self.id == other.second_pass or other.id == self.second_pass

    @property
    def placement(self) -> str:
        """Id by which an operator clears what it stops. Sent again it has another one, so it counts again."""
        return f"{self.id}+{self.resent_at}" if self.resent_at else self.id


def order_key(event: LedgerEvent, rules: Rules) -> tuple[int, int, int, str]:
    """Sort key of a bill's events, independent of their arrival: time in milliseconds, then rank.

    An event that frees counts at the earliest moment at which it may have been posted, any other at the latest.
    """
    rank = _rank(event, rules)
    return event.posted_at if rank <= FREEING else event.latest_at, rank, event.quantity or 0, event.id


def merged_sendings(known: LedgerEvent, repeat: LedgerEvent, rules: Rules) -> LedgerEvent:
    """One event from two messages of it, in whatever order they came. A damaged message adds nothing to a whole one.

    Of different seconds a stop keeps the latest, an event that frees the earliest. Minutes differ only if the times of
    receipt stand in for unknown ones.
    """
    if (known.uncertain is None) != (repeat.uncertain is None):
        return known if known.uncertain is None else repeat._replace(id=known.id)
    seconds = [one.second for one in (known, repeat) if one.second is not None]
    choose = min if _rank(known, rules) <= FREEING else max
    return known._replace(
        posted=min(known.posted, repeat.posted),
        second=choose(seconds, default=None),
        resent=known.resent and repeat.resent,
        resent_at=max(known.resent_at, repeat.resent_at),
        second_pass=known.second_pass and repeat.second_pass,
        uncertain=min(known.uncertain, repeat.uncertain, key=CERTAINTY.index),
        indicator=known.indicator and repeat.indicator,
    )


def settled(events: tuple[LedgerEvent, ...], rules: Rules) -> tuple[LedgerEvent, ...]:
    """The events, sorted, without those whose pass is unknown where a copy tells that it was the second.

    Of such a copy only the minute counts alone, all else as `merged_sendings`. Of a whole and a damaged copy only the
    whole one counts.
    """
    unknown = {event.second_pass: event for event in events if event.second_pass is not None}
    if not unknown or not (copies := unknown.keys() & {event.id for event in events}):
        return events
    damaged = {event.id for event in events if event.id in copies and _is_damaged_copy(event, unknown[event.id])}
    gone = damaged | {unknown[copy].id for copy in copies - damaged}
    rest = (
        merged_sendings(event, unknown[event.id], rules)._replace(posted=event.posted) if event.id in copies else event
        for event in events
        if event.id not in gone
    )
    return tuple(sorted(rest, key=lambda event: order_key(event, rules)))


def _is_damaged_copy(event: LedgerEvent, other: LedgerEvent) -> bool:
    return event.uncertain is not None and other.uncertain is None


def is_put_aside(event: LedgerEvent, rules: Rules) -> bool:
    """True if the event was read from damaged input and could free: it does not count."""
    return event.uncertain is not None and not stops(event, rules)


def stops(event: LedgerEvent, rules: Rules) -> bool:
    """True if the event places, blocks, revokes or deletes, or may do so (unknown)."""
    return _rank(event, rules) >= REVOKING


def _rank(event: LedgerEvent, rules: Rules) -> int:
    """Rank at one time: the beginning of a life, removals and releases, neutral events, stops."""
    if event.code == ADDED:
        return 0
    codes = rules.at(event.rules).codes
    code = codes.get(event.code)
    if code is None or code.effect is Effect.REVOKE or event.code == DELETED:
        return REVOKING
    if code.effect is Effect.PLACE:
        return PLACING
    if code.effect is Effect.BLOCK:
        return FREEING if event.reversal else PLACING
    if code.effect is Effect.LIFT:
        return PLACING if event.reversal else FREEING
    if code.effect in (Effect.RELEASE, Effect.MOVE):
        return REVOKING if event.reversal else FREEING
    if code.arrival == "deleted" or (code.arrival and event.reversal):
        return PLACING
    if code.arrival == "changed":
        return REVOKING
    return FREEING if code.arrival or event.code in codes.ends else 2
