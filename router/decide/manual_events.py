"""Manual events: holds, lifts and releases that CBP relayed by phone, e-mail or on paper.

Their outcome is computed from the sets of manual and electronic events, so neither order nor duplicates matter. A
manual lift or release ends and releases only what was placed by hand; a hold that CBP sent stands until CBP ends it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from router.decide.account import Account, HoldKey, StandingRelease
from router.decide.codes import Code, Effect
from router.decide.deeds import Deeds
from router.decide.ledger import apply_events
from router.decide.ledger_event import MINUTES_AN_HOUR, LedgerEvent, is_put_aside, order_key
from router.decide.releases import add_release
from router.decide.rules import Rules
from router.decide.standing_holds import MANUAL_HOLD, StandingHold
from router.model.eastern import MILLISECONDS, MINUTE, order_minute, order_moment, posted_minute
from router.model.identifiers import container_key
from router.model.inputs import LIFT, MANUAL_RELEASE_CODE, PLACE, RELEASE, ManualEvent

CONTRADICTION: Final = "CONTRADICTION"
"""Flag, waiting reason and doubt: a manual event and CBP's events disagree. Meanwhile the hold stands."""
ACTIONS: Final = (LIFT, RELEASE, PLACE)
"""Order at one moment, or within autumn's repeated hour: stops come last."""


class RelayedEvent(NamedTuple):
    """A manual event as its bill keeps it."""

    id: str
    """Its event id."""
    event: ManualEvent
    confirmed_by: str | None = None
    """The electronic event that confirmed it, if that one is folded into sums."""
    folded: bool = False
    """True for a release that is part of the sums itself."""
    rules: int = 1
    """Number of the rules under which it came, by which it is judged for good."""

    @property
    def code(self) -> str | None:
        return self.event.disposition_code or (MANUAL_RELEASE_CODE if self.event.action == RELEASE else None)

    @property
    def posted(self) -> int:
        return posted_minute(self.event.said_at)

    @property
    def container(self) -> str | None:
        """Its scope, without check digit."""
        return self.event.container_number and container_key(self.event.container_number)

    @property
    def order(self) -> tuple[int, int, str]:
        """Sort key among manual events."""
        return order_moment(self.event.said_at), ACTIONS.index(self.event.action), self.id

    def known_code(self, rules: Rules) -> Code | None:
        return rules.at(self.rules).codes.get(self.code or "")


class RelayedOutcome(NamedTuple):
    """The outcome of a bill's manual events."""

    holds: tuple[StandingHold, ...] = ()
    contradictions: tuple[str, ...] = ()
    """Ids of manual events, and of CBP's removals, by which a standing hold has ended. Confirmed ones are left out."""
    releases: bool = False
    """True if a standing release was only relayed by hand."""


def confirmations(relayed: Iterable[RelayedEvent], events: Iterable[LedgerEvent], rules: Rules) -> dict[str, str]:
    """Ids of manual events with those of the electronic events that confirm them.

    Each is matched to one event of the same code and scope, posted within the window; the nearest pairs come first.
    """
    unlifted = sorted((one for one in relayed if one.event.action != LIFT), key=lambda one: one.order)
    window = {one.id: rules.at(one.rules).manual_match_hours * MINUTES_AN_HOUR for one in unlifted}
    pairs = [
        (abs(event.posted - one.posted), one.order, order_key(event, rules), one, event)
        for event in events
        if not (event.reversal or is_put_aside(event, rules))
        for one in unlifted
        if event.code == one.code and _in_scope(event, one) and abs(event.posted - one.posted) <= window[one.id]
    ]
    found = {one.id: one.confirmed_by for one in unlifted if one.confirmed_by is not None}
    matched: set[tuple[str, str | None]] = set()
    for _, _, _, one, event in sorted(pairs, key=lambda pair: pair[:3]):
        if one.id not in found and (event.id, one.container) not in matched:
            found[one.id] = event.id
            matched.add((event.id, one.container))
    return found


def _in_scope(event: LedgerEvent, relayed: RelayedEvent) -> bool:
    return relayed.container in event.containers if event.containers else relayed.container is None


def apply_with_releases(
    account: Account,
    events: Sequence[LedgerEvent],
    releases: Iterable[RelayedEvent],
    rules: Rules,
    deeds: Deeds,
) -> None:
    """Apply events and, at their place among them, manual releases to the account.

    A manual release ends no hold or block, unlike the same code from CBP.
    """
    rest = list(events)
    for one in sorted(releases, key=lambda one: (one.event.said_at, one.id)):
        code = one.known_code(rules)
        if code is None or code.effect is not Effect.RELEASE:
            continue
        place = order_key(_as_ledger_event(one), rules)
        apply_events(account, (event for event in rest if order_key(event, rules) <= place), rules, deeds)
        rest = [event for event in rest if order_key(event, rules) > place]
        whole = account.manifested if one.container is None else None
        quantity = whole if one.event.quantity is None else one.event.quantity
        account.revoked = False
        add_release(
            account,
            StandingRelease(
                *(one.id, code.code, quantity, one.posted, None, None), container=one.container, rules=one.rules
            ),
        )
    apply_events(account, rest, rules, deeds)


def _as_ledger_event(relayed: RelayedEvent) -> LedgerEvent:
    second = relayed.event.said_at % MINUTE // MILLISECONDS
    return LedgerEvent(
        relayed.id, relayed.code or "", relayed.posted, relayed.event.quantity, rules=relayed.rules, second=second
    )


def release_minute(relayed: RelayedEvent) -> int:
    """Minute of a manual release in the ledger's order, which decides its side of a fold."""
    return order_minute(relayed.posted)


def outcome_of(
    relayed: Mapping[str, RelayedEvent],
    found: Mapping[str, str],
    account: Account,
    events: Sequence[LedgerEvent],
    rules: Rules,
    deeds: Deeds,
) -> RelayedOutcome:
    """Outcome of manual events. `found` are their `confirmations`; the account includes the electronic events."""
    manual = relayed.values()
    standing = _standing_placements(manual, found, account, rules, deeds)
    disputed = {
        *_disputed_lifts_and_releases(manual, found, account, rules),
        *_disputed_removals(standing, account, events, rules),
    }
    return RelayedOutcome(
        tuple(_hold(one, quantity, rules) for one, quantity in standing),
        tuple(sorted(one for one in disputed if not deeds.settle(CONTRADICTION, one))),
        any(release.id in relayed for release in account.releases),
    )


_Placement = tuple[RelayedEvent, int | None]
"""A manual placement with the pieces that it still holds."""


def _standing_placements(
    relayed: Collection[RelayedEvent], found: Mapping[str, str], account: Account, rules: Rules, deeds: Deeds
) -> list[_Placement]:
    """Placements that neither CBP has confirmed nor anybody has lifted or cleared."""
    standing: dict[str, _Placement] = {}
    for one in sorted(relayed, key=lambda one: one.order):
        if one.event.action == PLACE and one.id not in found and not deeds.clear(one.id):
            standing[one.id] = one, one.event.quantity
        elif one.event.action == LIFT:
            _lift(standing, one, account.manifested, rules)
    return list(standing.values())


def _lift(standing: dict[str, _Placement], lift: RelayedEvent, manifested: int | None, rules: Rules) -> None:
    """End the placements in the lift's scope; with a quantity, that many pieces of them."""
    left = lift.event.quantity
    for number, (placed, quantity) in list(standing.items()):
        if placed.container != lift.container or not _lifts(lift, placed.code, rules):
            continue
        held = quantity if quantity is not None else manifested
        if left is None or (held is not None and held <= left):
            del standing[number]
            left = None if left is None or held is None else left - held
            if left == 0:
                return
        else:
            standing[number] = placed, None if held is None else held - left
            return


def _lifts(lift: RelayedEvent, code: str | None, rules: Rules) -> bool:
    """True if the lift names the hold's code or, as CBP does, the code of its removal."""
    named, known = lift.code, lift.known_code(rules)
    if named is None or named == code:
        return True
    pair = known.pair if known is not None and known.effect is Effect.LIFT else frozenset()
    return code in pair or code in rules.at(lift.rules).codes.ends.get(named, ())


def _disputed_lifts_and_releases(
    relayed: Collection[RelayedEvent], found: Mapping[str, str], account: Account, rules: Rules
) -> Iterator[str]:
    """Lifts and releases made while an electronic hold stood that still stands. A later manual stop ends the
    dispute."""
    stops = [one for one in relayed if one.event.action == PLACE]
    for one in relayed:
        if one.event.action == PLACE or one.id in found or any(stop.order > one.order for stop in stops):
            continue
        for key, hold in account.holds.items():
            if hold.placed <= one.posted and _concerns(one, key, rules):
                yield one.id


def _concerns(relayed: RelayedEvent, key: HoldKey, rules: Rules) -> bool:
    code, container = key
    return relayed.event.action == RELEASE or (container == relayed.container and _lifts(relayed, code, rules))


def _disputed_removals(
    standing: list[_Placement], account: Account, events: Sequence[LedgerEvent], rules: Rules
) -> Iterator[str]:
    """CBP's removals of a code and scope of which only a manual hold stands."""
    for placed, _ in standing:
        code = placed.known_code(rules)
        if code is None or (code.code, placed.container) in account.holds:
            continue
        for event in events:
            is_later_removal = event.code in code.pair and not event.reversal and event.posted >= placed.posted
            if is_later_removal and not is_put_aside(event, rules) and _in_scope(event, placed):
                yield event.id


def _hold(relayed: RelayedEvent, quantity: int | None, rules: Rules) -> StandingHold:
    code = relayed.known_code(rules)
    return StandingHold(
        MANUAL_HOLD,
        relayed.code,
        relayed.container,
        quantity,
        relayed.posted,
        code.meaning if code else None,
        code.do_not_load if code else False,
        code.at_destination if code else False,
        relayed.id,
        (relayed.id,),
    )


class Paper(NamedTuple):
    """A bill's filing on paper."""

    delivered_at: int
    """Time of delivery to CBP, from which the 24 hours run. UTC milliseconds."""
    form: str
    by: str
    ticket: str | None
    electronic: bool = False
    """True once the electronic filing came under the same number."""
    filed_as: str | None = None
    """Key of the bill under whose number it was filed; this one is superseded."""


class DowntimeRecord(NamedTuple):
    """A bill's history by hand and on paper. Few bills have one."""

    relayed: Mapping[str, RelayedEvent]
    """By event id."""
    paper: Paper | None = None
    replaces: tuple[str, ...] = ()
    """Paper bills that were filed as this one, and whose manual events it has."""
    matched: tuple[str, ...] = ()
    """Bills that an operator matched with this one, and whose history has not come yet."""
    unknown: tuple[str, ...] = ()
    """Matched bills of which nothing had been filed. What names them counts; their history comes once they are taken on
    paper."""
    unanswered: tuple[str, ...] = ()
    """Bills of these kinds under whose numbers the index has not answered yet."""
    match: str | None = None
    """The bill that an operator matched with this one before it was taken on paper."""

    @property
    def is_on_paper(self) -> bool:
        """True until an electronic filing is known."""
        return self.paper is not None and not self.paper.electronic and self.paper.filed_as is None

    @property
    def aliases(self) -> tuple[str, ...]:
        """Numbers under which other bills may refer to this one."""
        return (*self.matched, *self.unknown, *self.replaces)

    @property
    def awaits_paper(self) -> bool:
        """True while a paper bill may know of a stop that this one doesn't."""
        return bool(self.matched or self.unanswered)

    @property
    def is_superseded(self) -> bool:
        return self.paper is not None and self.paper.filed_as is not None
