"""A bill's account: the holds, releases and authorities that stand, and how each event changes them.

Events apply by posted time and, at one time, in an order that lets the safer one win. So neither the order of arrival
nor duplicates matter. The rules are those of CBP's Trade Act FAQ (vessel mode, 2008), section 25, and of CAMIR
V19, appendix D, as noted at each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.decide.arrivals import Places, with_arrival
from router.decide.codes import Code, Effect
from router.decide.deeds import Deeds
from router.decide.nomination import NOMINATED, Nomination
from router.decide.rules import FRESH, Rules
from router.model.eastern import MILLISECONDS, from_posted
from router.model.limits import MOST_NAMED
from router.model.vocabulary import Authority

ADDED: Final = "55"
DELETED: Final = "54"
QUANTITY_CODES: Final = frozenset({"55", "56", "69"})
"""The only codes whose quantity is the bill's own."""
RELEASE_PREDATES_HOLD: Final = "RELEASE_PREDATES_HOLD"
FREEING: Final = 1
REVOKING: Final = 3
PLACING: Final = 4
"""Ranks at one time (`order_key`): stops come last, so a block outlives a revocation of the same time."""
LAST_SECOND: Final = 59
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
    """As the code table had it when the hold was placed; of several placements the strictest."""
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
    """As the code table had it when the authority was given."""
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


def order_key(event: LedgerEvent, rules: Rules) -> tuple[int, int, int, str]:
    """Sort key of a bill's events, independent of their arrival: time in milliseconds, then rank.

    An event that frees counts at the earliest moment at which it may have been posted, any other at the latest.
    """
    rank = _rank(event, rules)
    return event.posted_at if rank <= FREEING else event.latest_at, rank, event.quantity or 0, event.id


def merged_sendings(known: LedgerEvent, repeat: LedgerEvent, rules: Rules) -> LedgerEvent:
    """One event from two messages of it, in whatever order they came.

    Of different seconds a stop keeps the latest, an event that frees the earliest. Minutes differ only if the times of
    receipt stand in for unknown ones.
    """
    seconds = [one.second for one in (known, repeat) if one.second is not None]
    choose = min if _rank(known, rules) <= FREEING else max
    return known._replace(
        posted=min(known.posted, repeat.posted),
        second=choose(seconds, default=None),
        resent=known.resent and repeat.resent,
        resent_at=max(known.resent_at, repeat.resent_at),
        second_pass=known.second_pass and repeat.second_pass,
    )


def settled(events: tuple[LedgerEvent, ...], rules: Rules) -> tuple[LedgerEvent, ...]:
    """The events, sorted, without those whose pass is unknown where a copy tells that it was the second.

    Of such a copy only the minute counts alone, all else as `merged_sendings`.
    """
    unknown = {event.second_pass: event for event in events if event.second_pass is not None}
    if not unknown or not (copies := unknown.keys() & {event.id for event in events}):
        return events
    gone = {unknown[copy].id for copy in copies}
    rest = (
        merged_sendings(event, unknown[event.id], rules)._replace(posted=event.posted) if event.id in copies else event
        for event in events
        if event.id not in gone
    )
    return tuple(sorted(rest, key=lambda event: order_key(event, rules)))


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


OVERRIDE: Final = "4A"
EXAM_CODES: Final = frozenset({"1A", "1B"})

MOST_RELEASES: Final = 200
"""Releases kept apart. Beyond, the oldest are dropped, which can only show less as released."""

MOST_EXCEPTED: Final = 100
"""Containers for which a release is stale, or an authority taken back, while it stands for others. Beyond, it is for
all."""

MINUTES_A_DAY: Final = 1440


def apply_events(account: Account, events: Iterable[LedgerEvent], rules: Rules, deeds: Deeds) -> None:
    """Apply events, sorted by `order_key`, to the account, each by the rules under which it came. Unknown codes are
    skipped: they stand beside the account as holds of their own."""
    for event in events:
        own = rules.at(event.rules)
        code = own.codes.get(event.code)
        if code is not None:
            _apply(account, event, code, own, deeds)


def _apply(account: Account, event: LedgerEvent, code: Code, rules: Rules, deeds: Deeds) -> None:
    if account.last_posted is None and event.code == NOMINATED:
        account.nominated = Nomination(event.latest_minute, rules.history_from_nomination_of_several)
    elif account.nominated is not None and event.posted < account.nominated.posted:
        account.nominated = None
    if event.code == ADDED:
        _begin(account, event, rules)
    if event.code in rules.history_complete_from:
        account.complete = True
    if event.code in QUANTITY_CODES and event.quantity is not None:
        _set_quantity(account, event.quantity, event)
    effect = code.effect
    if effect is Effect.PLACE or (effect is Effect.LIFT and event.reversal):
        placed = (event.code,) if effect is Effect.PLACE else tuple(code.pair)
        _place(account, event, placed, rules, deeds)
    elif effect is Effect.BLOCK:
        if event.reversal:
            _subtract(account, event, (event.code,))
        else:
            _place(account, event, (event.code,), rules, deeds)
    elif effect is Effect.LIFT:
        if not _end(account, event, code.pair):
            account.holds_unseen.add(event.id)
    elif effect in (Effect.RELEASE, Effect.MOVE):
        _release(account, event, code, rules, deeds)
    elif effect is Effect.REVOKE:
        _revoke(account, event, code, rules, deeds)
    elif event.code in rules.codes.ends:
        _end(account, event, rules.codes.ends[event.code])
    if event.code == DELETED:
        _delete(account, event)
    if code.arrival or code.shown_in_us or code.ends_authorities:
        _arrive(account, event, code, rules)
    if code.closes:
        _close(account, event, code)
    if not event.reversal and (event.code in EXAM_CODES or effect is Effect.RELEASE):
        account.last_entry_code = event.code
    account.last_posted = max(event.posted, account.last_posted or event.posted)


def _set_quantity(account: Account, quantity: int, event: LedgerEvent) -> None:
    """The latest quantity counts; of two whose order is unknown the larger, since less of it is released."""
    until = event.latest_at
    if (
        account.quantity_until is not None
        and account.manifested is not None
        and event.posted_at <= account.quantity_until
    ):
        quantity, until = max(quantity, account.manifested), max(until, account.quantity_until)
    if account.manifested is not None and quantity > account.manifested:
        account.quantity_raised_by = event.id
    account.manifested, account.quantity_until = quantity, until


def _begin(account: Account, event: LedgerEvent, rules: Rules) -> None:
    """Apply a 55. Releases posted before it belong to the earlier life.

    Holds stay, since 54 and 55 may be a change of type and deleting undoes no hold; they go only if the number comes
    back after a life that ended and a long quiet.
    """
    quiet = event.posted - account.last_posted if account.last_posted is not None else 0
    over = not account.holds and quiet >= rules.forget_after_days * MINUTES_A_DAY
    if over or quiet >= rules.forget_silent_after_days * MINUTES_A_DAY:
        account.holds.clear()
        account.cleared.clear()
        account.manifested = None
    account.releases.clear()
    account.authorities.clear()
    account.places.clear()
    account.shown_in_us.clear()
    account.movement_ended.clear()
    account.exported.clear()
    account.revoked = account.closed = False
    account.last_entry_code = None
    account.added = event.posted


def _delete(account: Account, event: LedgerEvent) -> None:
    """Apply a 54, which undoes releases but no hold."""
    account.deleted = event.latest_minute
    account.releases.clear()
    account.authorities.clear()


def _arrive(account: Account, event: LedgerEvent, code: Code, rules: Rules) -> None:
    """Apply an arrival, or an event that shows one: in bond (11-13, 57-59, 63-65), at a zone (BE), exported (50-52), in
    general order (1S, 1U), released after an exam (1B). A reversal takes an arrival back, and shows nothing."""
    if code.arrival:
        effect = code.arrival if not event.reversal else "deleted" if code.arrival == "recorded" else None
        minute = event.posted if effect == "recorded" else event.latest_minute
        with_arrival(account.places, effect, event.containers, code, event.port, minute, rules.port_areas)
        if effect == "deleted":
            _take_back_sight(account, event)
    if event.reversal:
        return
    is_whole_bill = not event.containers and not code.of_container
    if code.shown_in_us and (event.containers or is_whole_bill):
        for scope in _scopes(event) if len(account.shown_in_us) < MOST_NAMED else ():
            _set_latest(account.shown_in_us, scope, event.posted)
    if code.ends_authorities:
        for scope in _scopes(event) if len(account.movement_ended) < MOST_NAMED else (None,):
            _set_latest(account.movement_ended, scope, event.latest_at)


def _take_back_sight(account: Account, event: LedgerEvent) -> None:
    """Forget that the cargo was shown in the U.S. until the event. One container may have been what showed the bill."""
    scopes = {None, *event.containers} if event.containers else {*account.shown_in_us}
    for scope in scopes & account.shown_in_us.keys():
        if account.shown_in_us[scope] <= event.latest_minute:
            del account.shown_in_us[scope]


def _set_latest(latest: dict[str | None, int], scope: str | None, time: int) -> None:
    latest[scope] = max(time, latest.get(scope, time))


def _close(account: Account, event: LedgerEvent, code: Code) -> None:
    """Close or reopen the bill, or the containers that the event names. An export of one container (52, 68) that does
    not say which closes nothing."""
    closes = (code.closes == "yes") is not event.reversal
    if event.containers:
        account.exported = account.exported | {*event.containers} if closes else account.exported - {*event.containers}
    elif not code.of_container:
        account.closed = closes
        account.exported = account.exported if closes else set()


def _scopes(event: LedgerEvent) -> tuple[str | None, ...]:
    return event.containers or (None,)


def _place(account: Account, event: LedgerEvent, codes: Iterable[str], rules: Rules, deeds: Deeds) -> None:
    for code in codes:
        blocks = (known := rules.codes.get(code)) is None or known.effect is not Effect.PLACE
        for container in _scopes(event):
            key = (code, container)
            standing = account.holds.get(key)
            events = ((*standing.events, event.placement) if standing else (event.placement,))[-MOST_PLACEMENTS:]
            if event.resent and standing is not None:
                account.holds[key] = standing._replace(events=events)  # the same hold, for another port or vessel
            else:
                entries = (*(standing.entry_numbers if standing else ()), event.entry_number) if blocks else ()
                account.holds[key] = HeldPieces(
                    _added(standing, event.quantity, account.manifested),
                    event.posted,
                    events,
                    *stops_of(code, standing, rules),
                    tuple(dict.fromkeys(entries)),
                )
                _interrupt(account, event, container, deeds if rules.release_after_hold_of(code) == FRESH else None)
            if deeds.cleared:
                end_cleared(account, key, deeds)


def end_cleared(account: Account, key: HoldKey, deeds: Deeds) -> None:
    """End a standing hold if an operator cleared its latest placement."""
    pieces = account.holds[key]
    if not deeds.clear(pieces.events[-1], *key):
        return
    del account.holds[key]
    before = account.cleared.get(key)
    account.cleared[key] = pieces._replace(
        quantity=_added(before, pieces.quantity, account.manifested),
        events=(*before.events, pieces.events[-1]) if before else pieces.events[-1:],
        entry_numbers=tuple(dict.fromkeys((*(before.entry_numbers if before else ()), *pieces.entry_numbers))),
    )


def stops_of(code: str, standing: HeldPieces | None, rules: Rules) -> tuple[bool, bool]:
    """`do_not_load` and `at_destination` of a hold after one more placement."""
    known = rules.codes.get(code)
    do_not_load, at_destination = (known.do_not_load, known.at_destination) if known is not None else (False, False)
    if standing is None:
        return do_not_load, at_destination
    return do_not_load or standing.do_not_load, at_destination and standing.at_destination


def _added(standing: HeldPieces | None, quantity: int | None, manifested: int | None) -> int | None:
    """Pieces held after one more placement: the sum, at most the bill's quantity. None is all."""
    if quantity is None or (standing is not None and standing.quantity is None):
        return None
    total = quantity + (standing.quantity or 0 if standing else 0)
    return min(total, manifested) if manifested is not None else total


def _interrupt(account: Account, event: LedgerEvent, container: str | None, deeds: Deeds | None) -> None:
    """Mark the releases in a stop's scope. They become stale too, but for those that the deeds settle together with the
    stop; without deeds, none does."""
    for position, release in enumerate(account.releases):
        is_later = release.posted > event.latest_minute  # the stop is older than the sums
        if is_later or not _overlap(release.container, container):
            continue
        stale_by = release.stale_by
        if deeds is not None and not deeds.settle(RELEASE_PREDATES_HOLD, release.id, event.id):
            stale_by = {**stale_by, container if release.container is None else None: event.id}
            if len(stale_by) > MOST_EXCEPTED:
                stale_by = {None: event.id}
        account.releases[position] = release._replace(stale_by=stale_by, interrupted=True)


def _overlap(one: str | None, other: str | None) -> bool:
    """True if two scopes have cargo in common: a container, and None for the whole bill."""
    return one is None or other is None or one == other


def _may_be_same(entry: str | None, other: str | None) -> bool:
    """True unless two entries are known to differ."""
    return entry is None or other is None or entry == other


def _end(account: Account, event: LedgerEvent, codes: Collection[str]) -> bool:
    """End the holds or blocks of those codes in the event's scope. False if none stands in any scope.

    Those that stand in other scopes only are noted with the event.
    """
    if _subtract(account, event, codes):
        return True
    scopes = _scopes(event)
    standing = account.holds.keys() | account.cleared.keys()
    elsewhere = frozenset(code for code, container in standing if code in codes and container not in scopes)
    if elsewhere:
        account.removals_unmatched[event.id] = elsewhere
    return bool(elsewhere)


def _subtract(account: Account, event: LedgerEvent, codes: Collection[str]) -> bool:
    """Take the event's pieces off each hold of those codes in its scope, cleared or not. False if there is none.

    Without a quantity, or with the bill's whole quantity, it ends the hold. A bill-level removal does not touch a hold
    on a container, nor the reverse; an event of one entry does not touch the exam of another.
    """
    seen = False
    for code in codes:
        for container in _scopes(event):
            for holds in (account.holds, account.cleared):
                seen = _subtract_from(holds, (code, container), event, account.manifested) or seen
    return seen


def _subtract_from(holds: dict[HoldKey, HeldPieces], key: HoldKey, event: LedgerEvent, manifested: int | None) -> bool:
    pieces = holds.get(key)
    if pieces is None:
        return False
    others = tuple(entry for entry in pieces.entry_numbers if not _may_be_same(entry, event.entry_number))
    if others and others == pieces.entry_numbers:
        return False
    left = _left(pieces, event.quantity, manifested)
    if left == 0 and others:
        left = pieces.quantity  # the pieces of each entry's exam are unknown
    if left == 0:
        del holds[key]
    else:
        holds[key] = pieces._replace(quantity=left, entry_numbers=others or pieces.entry_numbers)
    return True


def _left(standing: HeldPieces, quantity: int | None, manifested: int | None) -> int | None:
    if quantity is None or (manifested is not None and quantity >= manifested):
        return 0
    held = standing.quantity if standing.quantity is not None else manifested
    return None if held is None else max(0, held - quantity)


def _release(account: Account, event: LedgerEvent, code: Code, rules: Rules, deeds: Deeds) -> None:
    """Apply 1B, 1C, 4C, or 1J, 1W, 1X, 1Z, which allow less than delivery. A reversal revokes the same."""
    if event.reversal:
        _cancel(account, event, frozenset({event.code}))
        if event.code in EXAM_CODES:  # the exam that 1B ended is required again, as after 4A
            _place(account, event, ("1A",), rules, deeds)
        return
    if code.effect is Effect.MOVE:
        if code.authority:
            account.revoked = account.revoked and bool(event.containers)
            for container in _scopes(event):
                _authorise(account, event, code.authority, container)
        return
    account.revoked = False
    _end(account, event, rules.codes.ends.get(event.code, frozenset()))
    quantity = event.quantity if len(event.containers) < 2 else None  # nobody knows each container's share
    for container in _scopes(event):
        add_release(
            account,
            StandingRelease(
                *(event.id, event.code, quantity, event.posted, event.entry_number, event.port),
                container=container,
                rules=event.rules,
            ),
        )


def _authorise(account: Account, event: LedgerEvent, authority: Authority, container: str | None) -> None:
    """Add an authority. Numbers add up, since a bill may move in several parts; one given again replaces itself."""
    key = (event.code, container)
    standing = account.authorities.get(key)
    pieces = standing.pieces if standing is not None and not standing.taken_back else {}
    quantity = event.quantity if len(event.containers) < 2 else None
    pieces = {**pieces, event.entry_number: AuthorisedPieces(quantity, event.posted_at)}
    latest = dict(list(pieces.items())[-MOST_RELEASES:])
    account.authorities[key] = StandingAuthority(authority, latest)


def add_release(account: Account, release: StandingRelease) -> None:
    """Add a release. It replaces interrupted ones in its scope that may be the same entry's."""
    account.releases = [
        one
        for one in account.releases
        if not one.interrupted
        or release.container not in (None, one.container)
        or not _may_be_same(one.entry_number, release.entry_number)
    ]
    account.releases.append(release)
    del account.releases[:-MOST_RELEASES]


def _revoke(account: Account, event: LedgerEvent, code: Code, rules: Rules, deeds: Deeds) -> None:
    """Apply 4A, 4E, 14-16, 4Z, 83, 84, 95. A 4A after 1A or 1B holds again, until 1B or 4C; a later 1C doesn't end
    it."""
    _cancel(account, event, code.cancels)
    _subtract(account, event, code.cancels)
    if event.code == OVERRIDE and account.last_entry_code in EXAM_CODES:
        _place(account, event, (event.code,), rules, deeds)


def _cancel(account: Account, event: LedgerEvent, codes: frozenset[str]) -> None:
    """Take back what was posted until the event in its scope: the named entry's, or without one, and for 4A, all.

    A release whose entry is unknown may be the named one's, so it is taken back too. With a quantity below the bill's,
    each of these entries loses that many pieces.
    """
    minute = event.latest_minute
    for key, authority in list(account.authorities.items()):
        if key[0] not in codes or not _touches(event, key[1]):
            continue
        later = {entry: one for entry, one in authority.pieces.items() if one.posted_at > event.latest_at}
        if len(later) == len(authority.pieces):
            continue
        taken_back = authority.taken_back.union(event.containers)
        if key[1] is None and event.containers and len(taken_back) <= MOST_EXCEPTED:
            account.authorities[key] = authority._replace(taken_back=taken_back)
        elif later:
            account.authorities[key] = authority._replace(pieces=later)
        else:
            del account.authorities[key]
    account.revoked = account.revoked or bool(codes - {"1A"})
    named = None if event.code == OVERRIDE else event.entry_number
    by_entry: dict[str | None, list[int]] = {}
    for position, release in enumerate(account.releases):
        is_meant = release.code in codes and _may_be_same(release.entry_number, named)
        if is_meant and _touches(event, release.container) and release.posted <= minute:
            by_entry.setdefault(release.entry_number, []).append(position)
    if not by_entry:
        return
    after: list[StandingRelease | None] = [*account.releases]
    pieces = event.quantity if len(event.containers) < 2 else None  # nobody knows each container's share
    is_part = pieces is not None and (account.manifested is None or pieces < account.manifested)
    for positions in by_entry.values():
        releases = [account.releases[position] for position in positions]
        left = _without_newest(releases, pieces or 0, account.manifested) if is_part else [None] * len(releases)
        for position, rest in zip(positions, left, strict=True):
            after[position] = rest
    account.releases = [release for release in after if release is not None]


def _touches(event: LedgerEvent, container: str | None) -> bool:
    """True if the event concerns cargo of the scope."""
    return not event.containers or container is None or container in event.containers


def _without_newest(
    releases: list[StandingRelease], pieces: int, manifested: int | None
) -> list[StandingRelease | None]:
    """Releases of one entry without that many of the newest pieces, since CBP most likely revokes what it gave last.

    In the same order; None for those that are gone. Pieces beyond the bill's quantity were given twice: the oldest.
    """
    is_known = manifested is not None and all(release.quantity is not None for release in releases)
    left: list[StandingRelease | None] = []
    newer = 0
    for release in reversed(releases):
        if release.quantity is None:
            left.append(None if newer < pieces else release._replace(interrupted=True, reduced=True))
            newer = max(newer, pieces)
            continue
        end = newer + release.quantity
        stays = (min(end, manifested or 0) if is_known else end) - max(newer, pieces)
        left.append(release._replace(quantity=stays, interrupted=True, reduced=True) if stays > 0 else None)
        newer = end
    return left[::-1]
