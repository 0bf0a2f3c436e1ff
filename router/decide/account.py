"""A bill's account: the holds, releases and authorities that stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.decide.arrivals import Places
from router.model.vocabulary import Authority

RELEASE_PREDATES_HOLD: Final = "RELEASE_PREDATES_HOLD"

MOST_PLACEMENTS: Final = 8
"""Events kept of one standing hold."""


class HeldPieces(NamedTuple):
    """A standing hold's pieces."""

    quantity: int | None
    """None: all, however many."""
    placed: int
    """Posted minute of the latest placement."""
    events: tuple[str, ...]
    """Ids of the events that placed it, re-sent ones included: the latest `MOST_PLACEMENTS`."""
    do_not_load: bool = False
    at_destination: bool = False
    """The code table's word when the hold was placed; of several placements the strictest."""
    entry_numbers: tuple[str | None, ...] = ()
    """Entries whose exam is demanded. Empty for a hold, which concerns no entry."""


_FRESH: Final[Mapping[str | None, str]] = {}


class StandingRelease(NamedTuple):
    """A release of one entry in one scope, or the part of it that still stands."""

    id: str
    code: str
    quantity: int | None
    posted: int
    entry_number: str | None
    """None: unknown, so it may be any entry's."""
    port: str | None
    container: str | None = None
    """Its scope, without check digit. None: the whole bill."""
    stale_by: Mapping[str | None, str] = _FRESH
    """Ids of the events that placed a hold after it, by the container that they hold. None: all of its scope."""
    interrupted: bool = False
    """True if a stop or a revocation in its scope was posted after it. The next release of its entry replaces it."""
    reduced: bool = False
    """True if some of its pieces were taken back: not all of its container is released."""
    rules: int = 1
    """Number of the rules under which it came."""


class AuthorisedPieces(NamedTuple):
    """Pieces of one entry, in-bond or permit number for which an authority was given."""

    quantity: int | None
    """None: all."""
    posted_at: int
    """Earliest moment at which the latest event that gave it may have been posted. UTC milliseconds."""


class StandingAuthority(NamedTuple):
    """An authority short of delivery, in one scope."""

    authority: Authority
    """The code table's word when the authority was given."""
    pieces: Mapping[str | None, AuthorisedPieces]
    """By entry, in-bond or permit number."""
    taken_back: frozenset[str] = frozenset()
    """Containers for which alone it was taken back, of one for the whole bill."""

    @property
    def latest_at(self) -> int:
        return max(pieces.posted_at for pieces in self.pieces.values())

    def is_whole(self, manifested: int | None, ended: int) -> bool:
        """True if what was given after the movement ended is for all pieces, as far as is known."""
        quantities = [pieces.quantity for pieces in self.pieces.values() if pieces.posted_at > ended]
        if None in quantities:
            return True
        return manifested is not None and sum(quantity or 0 for quantity in quantities) >= manifested


class Nomination(NamedTuple):
    """A 69 that is the first of a bill's events by posted time."""

    posted: int
    """Posted minute."""
    counts_for_several: bool
    """The rule `history_from_nomination_of_several` under which it came."""


HoldKey = tuple[str, str | None]
"""Disposition code and container (None: the whole bill)."""


@dataclass(slots=True)
class Account:
    holds: dict[HoldKey, HeldPieces] = field(default_factory=dict)
    releases: list[StandingRelease] = field(default_factory=list)
    authorities: dict[HoldKey, StandingAuthority] = field(default_factory=dict)
    """Authorities short of delivery, by code and scope."""
    exported: set[str] = field(default_factory=set)
    """Containers that left the U.S. by themselves."""
    manifested: int | None = None
    complete: bool = False
    revoked: bool = False
    closed: bool = False
    added: int | None = None
    deleted: int | None = None
    last_entry_code: str | None = None
    """The latest of 1A, 1B, 1C, 4C, for the rule of 4A."""
    last_posted: int | None = None
    holds_unseen: set[str] = field(default_factory=set)
    """Ids of removals of a code of which no hold stood."""
    removals_unmatched: dict[str, frozenset[str]] = field(default_factory=dict)
    """Ids of removals that lifted nothing, because holds of their code stood in other scopes only; with those codes."""
    cleared: dict[HoldKey, HeldPieces] = field(default_factory=dict)
    """Holds that an operator cleared and CBP has not removed since; `events` are those that the operator named."""
    quantity_until: int | None = None
    """Latest moment of the events that gave `manifested`, while events are applied. UTC milliseconds. A fold never
    splits a minute."""
    nominated: Nomination | None = None
    """The nomination that began the history, if it did."""
    places: Places = field(default_factory=dict)
    """Arrivals in bond by scope. With the port of unlading they are the places where a release counts."""
    shown_in_us: dict[str | None, int] = field(default_factory=dict)
    """Latest minute of an event that shows the cargo of a scope in the U.S."""
    movement_ended: dict[str | None, int] = field(default_factory=dict)
    """Latest moment at which an event that ended the authorities to move of a scope may have been posted. UTC
    milliseconds."""
    quantity_raised_by: str | None = None
    """Id of the latest event that raised `manifested`. A person who confirmed a release before it knew fewer pieces."""
    first_posted: int | None = None
    """Minute of the earliest event, whether or not it counts."""
    names_bill: bool = False
    """True once one of its events was certainly the bill's."""

    def note_posted(self, minute: int) -> None:
        """Note an event's minute, whether or not the event counts. A nomination before which one was posted did not
        come first."""
        if self.nominated is not None and minute < self.nominated.posted:
            self.nominated = None
        self.last_posted = max(minute, self.last_posted or minute)
        self.first_posted = minute if self.first_posted is None else min(minute, self.first_posted)

    def copy(self) -> Account:
        return Account(
            dict(self.holds),
            list(self.releases),
            dict(self.authorities),
            set(self.exported),
            self.manifested,
            self.complete,
            self.revoked,
            self.closed,
            self.added,
            self.deleted,
            self.last_entry_code,
            self.last_posted,
            set(self.holds_unseen),
            dict(self.removals_unmatched),
            dict(self.cleared),
            self.quantity_until,
            self.nominated,
            dict(self.places),
            dict(self.shown_in_us),
            dict(self.movement_ended),
            self.quantity_raised_by,
            self.first_posted,
            self.names_bill,
        )

    def authority_of(self, code: str, container: str | None) -> Authority | None:
        """The authority of that code that stands for the container, from an event that names it or one of the whole
        bill; for None, the one that stands for the whole bill."""
        ended = self._ended(container)
        own = self.authorities.get((code, container)) if container is not None else None
        if own is not None and ended < own.latest_at:
            return own.authority
        whole = self.authorities.get((code, None))
        if whole is None or whole.latest_at <= ended:
            return None
        is_whole = whole.is_whole(self.manifested, ended)
        if container is None:
            stands = not whole.taken_back and (is_whole or self.manifested is None)
        else:
            stands = is_whole and container not in whole.taken_back
        return whole.authority if stands else None

    def _ended(self, container: str | None) -> int:
        """Latest moment at which the movement ended for a container or, of the whole bill, for any."""
        ended = self.movement_ended
        if not ended or container is None:
            return max(ended.values(), default=-1)
        return max(ended.get(container, -1), ended.get(None, -1))

    @property
    def is_deleted(self) -> bool:
        """True after a 54 without a 55 in its minute or later: deleting and adding again may be one act."""
        return self.deleted is not None and (self.added is None or self.added < self.deleted)
