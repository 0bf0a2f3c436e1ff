"""A bill's account, the holds and releases that stand, and the order in which its events apply.

The order is by posted minute and, within a minute, one that lets the safer win: so the order of arrival can't matter,
nor can repetition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.clock import order_minute
from router.decide.ledger.codes import Effect
from router.decide.ledger.rules import Rules

ADDED: Final = "55"
DELETED: Final = "54"
QUANTITY_CODES: Final = frozenset({"55", "56", "69"})
"""The only codes whose quantity is the bill's own."""
TAKING_BACK: Final = 3
PLACING: Final = 4
"""Ranks within one minute (`order_key`): what stops comes last, and a block outlives a take-back of its minute."""


class Event(NamedTuple):
    """What the ledger keeps of a disposition."""

    id: str
    code: str
    posted: int
    """Eastern wall-clock minute, minutes since 1970."""
    quantity: int | None = None
    containers: tuple[str, ...] = ()
    """Filled only for a container-level event; without check digits."""
    entry_type: str | None = None
    entry_number: str | None = None
    port: str | None = None
    reversal: bool = False
    resent: bool = False


class Standing(NamedTuple):
    """A hold that stands."""

    quantity: int | None
    """Pieces; None: all, however many that are."""
    placed: int
    """Posted minute of the latest placement."""


class Lot(NamedTuple):
    """A release that stands, or what is left of it."""

    id: str
    code: str
    quantity: int | None
    posted: int
    entry_number: str | None
    port: str | None
    stale_by: str | None = None
    """The event that placed a hold after it."""


HoldKey = tuple[str, str | None]
"""Disposition code, and the container it is on (None: the whole bill)."""


@dataclass(slots=True)
class Account:
    holds: dict[HoldKey, Standing] = field(default_factory=dict)
    lots: list[Lot] = field(default_factory=list)
    authorities: dict[str, int] = field(default_factory=dict)
    """Code of an authority short of delivery, to its posted minute."""
    manifested: int | None = None
    complete: bool = False
    taken_back: bool = False
    closed: bool = False
    added: int | None = None
    deleted: int | None = None
    last_entry_code: str | None = None
    """The latest of 1A, 1B, 1C, 4C: rule of 4A."""
    last_posted: int | None = None
    unseen: set[str] = field(default_factory=set)
    """Removals whose hold was never seen."""
    quantity_minute: int | None = None
    """Of the event that gave `manifested`. Only while events are applied: no minute is ever split by a fold."""

    def copy(self) -> Account:
        return Account(
            dict(self.holds),
            list(self.lots),
            dict(self.authorities),
            self.manifested,
            self.complete,
            self.taken_back,
            self.closed,
            self.added,
            self.deleted,
            self.last_entry_code,
            self.last_posted,
            set(self.unseen),
            self.quantity_minute,
        )

    @property
    def is_deleted(self) -> bool:
        """54, and no 55 in its minute or after it: deleting and adding again may be one act."""
        return self.deleted is not None and (self.added is None or self.added < self.deleted)


def order_key(event: Event, rules: Rules) -> tuple[int, int, int, str]:
    """The order in which events of a bill apply, whatever order they came in."""
    return order_minute(event.posted), _rank(event, rules), event.quantity or 0, event.id


def _rank(event: Event, rules: Rules) -> int:
    """Within one minute: a life's beginning, then removals and releases, then what is neutral, then what stops."""
    if event.code == ADDED:
        return 0
    code = rules.codes.get(event.code)
    if code is None or code.effect is Effect.REVOKE or event.code == DELETED:
        return TAKING_BACK
    if code.effect is Effect.PLACE:
        return PLACING
    if code.effect is Effect.BLOCK:
        return 1 if event.reversal else PLACING
    if code.effect is Effect.LIFT:
        return PLACING if event.reversal else 1
    if code.effect in (Effect.RELEASE, Effect.MOVE):
        return TAKING_BACK if event.reversal else 1
    return 1 if event.code in rules.codes.ends else 2
