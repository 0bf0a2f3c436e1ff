"""A bill's state between records, and its assessment: the account, status and cargo that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from router.decide.account import RELEASE_PREDATES_HOLD, Account, HeldPieces, StandingRelease
from router.decide.cargo_facts import Cargo, CargoFacts
from router.decide.container_status import container_statuses
from router.decide.deeds import NO_DEEDS, Deeds
from router.decide.ledger import apply_events
from router.decide.ledger_event import LedgerEvent, settled, stops
from router.decide.lost_input import LostSpan, lacks_events
from router.decide.manual_events import (
    CONTRADICTION,
    DowntimeRecord,
    RelayedEvent,
    RelayedOutcome,
    apply_with_releases,
    confirmations,
    outcome_of,
    release_minute,
)
from router.decide.nomination import begins_history
from router.decide.placements import end_cleared, stops_of
from router.decide.rules import FRESH, Rules
from router.decide.standing_holds import UNPARSED_KINDS, UnparsedEvent
from router.decide.status import INPUT_UNCERTAIN, RELEASE_UNCONFIRMED, Assessment, assess
from router.model.eastern import in_repeated_hour, last_pass, order_minute, posted_minute
from router.model.inputs import RELEASE, Snapshot
from router.model.links import IndexFact, LinkFact
from router.model.vocabulary import Confirmable, Kind, Role


class LastNotice(Struct, frozen=True, array_like=True):
    """The last notice of a bill to one party."""

    kind: Kind
    stopped: bool
    """True if a hold stood in it."""
    do_not_load: bool
    deliverable: bool
    """True if it said that the bill may be delivered, which the party still believes."""
    roles: tuple[Role, ...]
    sequence: int
    """The bill's decision that made it; with bill and party it gives the notice's id."""
    deliverable_at: str | None = None
    passed_over: bool = False
    """True if the party got nothing of a later decision, since it was to get the stop alone."""
    assumed: bool = False
    """True if the party got it only as operator of an assumed sailing."""

    def is_release_elsewhere(self, port: str | None) -> bool:
        """True if it said that the bill may be delivered at another port."""
        return self.deliverable and port is not None and self.deliverable_at not in (None, port)


class KeptSailing(Struct, frozen=True, array_like=True):
    """The sailing that a bill was positively found on last."""

    sailing_id: str
    first_lading_date: str | None
    """The date registered now, `CCYY-MM-DD`."""
    posted: int
    """Posted minute of the identifiers that found it."""


class UnconfirmedPeriod(NamedTuple):
    """The latest time for which `RELEASE_PREDATES_HOLD` kept a bill from being released, no hold standing."""

    began: int = 0
    """`Registry.elapsed`. UTC milliseconds."""
    ended: int = 0
    """The same; 0: not yet."""

    @property
    def is_now(self) -> bool:
        return self.began > 0 and self.ended == 0

    def reaches(self, since: int) -> bool:
        """True if it lasted till then, or later."""
        return self.is_now or self.ended >= since > 0

    def after(self, status: Assessment, elapsed: int) -> UnconfirmedPeriod:
        is_held = status.status == RELEASE_UNCONFIRMED and RELEASE_PREDATES_HOLD in status.doubts
        if is_held == self.is_now:
            return self
        return UnconfirmedPeriod(elapsed or 1) if is_held else self._replace(ended=elapsed or 1)


_NO_MANUAL_EVENTS: Final[Mapping[str, RelayedEvent]] = {}


class BillState(Struct, frozen=True, array_like=True):
    """Everything that is kept of one bill. Immutable: a decision makes a new one."""

    key: str
    sequence: int = 0
    """Number of the latest decision. The first one follows the minute of the bill's first record, so that no number,
    and no notice id, returns if a forgotten bill comes back."""
    touched: int = 0
    """`Registry.elapsed` at the bill's latest record. UTC milliseconds."""
    facts: CargoFacts = CargoFacts()
    snapshot: Snapshot | None = None
    snapshot_id: str = ""
    """Event id of the snapshot's holds and release."""
    snapshot_rules: int = 1
    """Number of the rules under which the snapshot came."""
    folded: Account | None = None
    """Sums of the events before `fold_line`. Never changed in place."""
    fold_line: int | None = None
    """Minute before which events were folded into sums."""
    events: tuple[LedgerEvent, ...] = ()
    """In the order in which they apply."""
    unparsed: Mapping[str, UnparsedEvent] = {}
    """By event id."""
    resolved: frozenset[str] = frozenset()
    """Ids of unparsed events that were confirmed or retried: the same bytes again change nothing."""
    deeds: Deeds = NO_DEEDS
    links: Mapping[str, LinkFact] = {}
    """By index key."""
    last_notices: Mapping[str, LastNotice] = {}
    """By party."""
    waiting: tuple[str, ...] = ()
    """Reasons and parties in the latest record of `snp.waiting`."""
    waiting_since: int = 0
    index_facts: Mapping[str, IndexFact] = {}
    """Facts published last, by index key."""
    downtime: DowntimeRecord | None = None
    sailing: KeptSailing | None = None
    """Kept until another is positively found, so that a typing error in a later message dismisses nobody."""

    @property
    def kept_sailing_id(self) -> str | None:
        return self.sailing.sailing_id if self.sailing is not None else None

    unconfirmed: UnconfirmedPeriod = UnconfirmedPeriod()
    in_snapshot: frozenset[str] | None = None
    """Ids of the kept events that are in the sums together with a snapshot that was added to them. None: there is no
    snapshot, or it began the bill."""
    lost: tuple[LostSpan, ...] = ()
    """Spans of its partition's input that were lost."""
    index_losses: int = 0
    """Losses of `snp.index` after which it stated its facts again."""

    @property
    def is_notifiable(self) -> bool:
        """False for a bill known only by a filing, only by a link, or only by damaged input."""
        if self.is_unnamed:
            return False
        if self.events or self.folded or self.snapshot or self.unparsed or self.last_notices or self.relayed:
            return True
        return self.facts.is_filed and bool(self.links)

    @property
    def is_unnamed(self) -> bool:
        """True while only damaged input names the bill. Then nobody is told of it: it may be another's number."""
        if not (self.events or self.unparsed or self.folded is not None):
            return False
        return not (
            any(event.uncertain != "BILL" for event in self.events)
            or (self.folded is not None and self.folded.names_bill)
            or self.facts.is_filed
            or self.snapshot is not None
            or self.downtime is not None
            or any(one.names_bill for one in self.unparsed.values())
            or bool(self.last_notices)
        )

    @property
    def is_superseded(self) -> bool:
        """True for a paper bill that was filed under another number."""
        return self.downtime is not None and self.downtime.is_superseded

    @property
    def awaits_paper(self) -> bool:
        """True while the paper bill that was filed as this one may know of a stop that this one doesn't."""
        return self.downtime is not None and self.downtime.awaits_paper

    @property
    def may_be_refiled(self) -> bool:
        """True for a paper bill, and for a number that a match names as one: the electronic bill needs its holds."""
        downtime = self.downtime
        return downtime is not None and (downtime.is_on_paper or downtime.is_superseded or downtime.match is not None)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Paper bills that were filed as this one: other bills may still refer to their numbers."""
        return self.downtime.aliases if self.downtime is not None else ()

    @property
    def relayed(self) -> Mapping[str, RelayedEvent]:
        """Manual events, by event id."""
        return self.downtime.relayed if self.downtime is not None else _NO_MANUAL_EVENTS

    @property
    def event_ids(self) -> set[str]:
        return {event.id for event in self.events}

    @property
    def is_in_stopped_box(self) -> bool:
        return any(link.kind == "BOX" for link in self.links.values())

    @property
    def is_original_held(self) -> bool:
        """True for a split while its original bill is held as a whole."""
        return any(link.kind == "ORIGINAL" for link in self.links.values())

    def latest_event(self) -> LedgerEvent | None:
        """The latest by posted time that is certainly the bill's own."""
        own = (event for event in self.events if event.uncertain != "BILL")
        return max(own, key=lambda event: event.posted_at, default=None)

    def is_behind(self, posted: int) -> bool:
        """True if the minute is before the sums or the snapshot."""
        if self.snapshot is not None and posted < posted_minute(self.snapshot.status_at):
            return True
        return self.fold_line is not None and order_minute(posted) < self.fold_line


class AssessedBill(Struct, frozen=True, array_like=True):
    """A state and all that follows from it. Made by `assess_bill`."""

    state: BillState
    cargo: Cargo
    account: Account
    """With manual releases. Never changed in place."""
    status: Assessment
    relayed: RelayedOutcome
    applied: Account | None
    """Account of all events, to which the next event can be added; None if the bill has manual events."""
    facts_basis: tuple[object, ...] | None = None
    """Basis of the state's index facts, kept by `conclude`; None if unknown."""

    @property
    def may_be_stopped_unseen(self) -> bool:
        """True while a stop may be missing that was sent: nothing is allowed then."""
        return self.state.awaits_paper or lacks_lost_events(self.state, self.account)

    @property
    def has_doubtful_hold(self) -> bool:
        """True while a hold stands of an event of which not even the bill is certain."""
        placed = {event.placement for event in self.state.events if event.uncertain == "BILL"}
        return bool(placed) and any(not placed.isdisjoint(hold.events) for hold in self.status.holds)

    def confirmable_ids(self) -> set[str]:
        """Ids that a confirmation may cover: events, manual and unparsed events, and those behind standing releases."""
        state, releases = self.state, self.account.releases
        behind = {one.id for one in releases} | {event for one in releases for event in one.stale_by.values()}
        behind |= {event for pieces in self.account.cleared.values() for event in pieces.events}
        if self.account.quantity_raised_by is not None:
            behind.add(self.account.quantity_raised_by)
        behind |= {span.id for span in state.lost}
        return state.event_ids | state.relayed.keys() | (state.unparsed.keys() - state.resolved) | behind

    def confirmable_doubts(self) -> tuple[Confirmable, ...]:
        """Everything that a confirmation of the bill as it is would end."""
        unparsed = {one.kind for one in self.state.unparsed.values() if one.id not in self.state.resolved}
        disputed: tuple[Confirmable, ...] = (CONTRADICTION,) if self.relayed.contradictions else ()
        is_unsure = self.state.events and self.state.is_unnamed and INPUT_UNCERTAIN not in self.status.doubts
        uncertain: tuple[Confirmable, ...] = (INPUT_UNCERTAIN,) if is_unsure else ()
        return (
            *(*self.status.doubts, *uncertain, *disputed),
            *(kind for kind in UNPARSED_KINDS if kind in unparsed),
        )


def cargo_of(state: BillState, previous: AssessedBill | None) -> Cargo:
    """The state's cargo; `previous` only saves work."""
    is_same = previous is not None and state.facts is previous.state.facts
    return previous.cargo if previous is not None and is_same else state.facts.cargo()


def assess_bill(
    state: BillState, rules: Rules, previous: AssessedBill | None = None, cargo: Cargo | None = None
) -> AssessedBill:
    """Assess a state. `previous` and `cargo`, its `cargo_of`, only save work: an event after all others is added to the
    account of the others."""
    cargo = cargo_of(state, previous) if cargo is None else cargo
    relayed, applied = RelayedOutcome(), None
    if state.relayed:
        account, relayed = _account_with_manual_events(state, rules)
    else:
        account = applied = _account_of_events(state, rules, previous)
    if account.manifested is None and state.facts.is_filed:
        account = account.copy()
        account.manifested = state.facts.filed_quantity()  # a 55 without quantity began the life
    lading = state.sailing.first_lading_date if state.sailing is not None else None
    if not account.complete and (
        state.facts.is_original_before(lading) or begins_history(account, cargo, state.unparsed.values(), lading)
    ):
        account = account.copy()
        account.complete = True
    unparsed = [one for one in state.unparsed.values() if one.id not in state.resolved] if state.unparsed else ()
    status = assess(
        *(account, cargo, state.links.values(), unparsed, rules, state.deeds, relayed.holds),
        incomplete=state.awaits_paper,
        lost=lacks_lost_events(state, account),
    )
    containers = container_statuses(status, account, cargo, rules, state.deeds, incomplete=state.awaits_paper)
    status = status._replace(containers=containers) if containers else status
    if any(event.uncertain is not None for event in state.events):
        whole = tuple(event._replace(uncertain=None) for event in state.events)
        status = status.with_input_doubt(assess_bill(replace(state, events=whole), rules, cargo=cargo).status)
    return AssessedBill(state, cargo, account, status, relayed, applied)


def lacks_lost_events(state: BillState, account: Account) -> bool:
    """True if an event of the bill may be among the lost input of its partition."""
    if not state.lost:
        return False
    others = (*(one.placed for one in state.unparsed.values()), *(one.posted for one in state.relayed.values()))
    snapshot = posted_minute(state.snapshot.status_at) if state.snapshot is not None else None
    return lacks_events(state.lost, account, others, snapshot, state.deeds)


def _account_of_events(state: BillState, rules: Rules, previous: AssessedBill | None) -> Account:
    news = state.events
    if previous is not None and previous.applied is not None and _extends(state, previous.state):
        account = previous.applied
        news = news[len(previous.state.events) :]
        if not news:
            return account
        account = account.copy()
    else:
        account = opening_account(state, rules)
    apply_events(account, counting_events(state, news, rules), rules, state.deeds)
    return account


def _extends(state: BillState, previous: BillState) -> bool:
    """True if the state has the previous one's events, then perhaps one more, on the same ground. One of autumn's
    repeated hour may settle another's pass."""
    events = len(previous.events)
    return (
        state.snapshot is previous.snapshot
        and state.folded is previous.folded
        and state.facts.filing is previous.facts.filing
        and state.facts.declarations is previous.facts.declarations
        and state.deeds is previous.deeds
        and (
            state.events is previous.events
            or (len(state.events) > events and not in_repeated_hour(state.events[-1].posted))
        )
        and (events == 0 or state.events[events - 1] is previous.events[-1])
    )


def _account_with_manual_events(state: BillState, rules: Rules) -> tuple[Account, RelayedOutcome]:
    events = counting_events(state, state.events, rules)
    account = opening_account(state, rules)
    found = confirmed_manual_events(state, account, rules)
    apply_with_releases(account, events, open_manual_releases(state, found, rules), rules, state.deeds)
    return account, outcome_of(state.relayed, found, account, events, rules, state.deeds)


def confirmed_manual_events(state: BillState, opening: Account, rules: Rules) -> dict[str, str]:
    """The `confirmations` of a bill's manual events. A manual release in the sums that CBP has confirmed since is taken
    out of `opening`, so that it counts once."""
    found = confirmations(state.relayed.values(), settled(state.events, rules), rules)
    opening.releases = [release for release in opening.releases if release.id not in found]
    return found


def open_manual_releases(state: BillState, found: Mapping[str, str], rules: Rules) -> list[RelayedEvent]:
    """Manual releases to apply among the kept events: unconfirmed, and not from before the sums."""
    line = state.fold_line or 0
    if state.snapshot is not None:
        line = max(line, posted_minute(state.snapshot.status_at))
    return [
        one
        for one in state.relayed.values()
        if one.event.action == RELEASE and one.id not in found and not one.folded and release_minute(one) >= line
    ]


def counting_events(state: BillState, events: tuple[LedgerEvent, ...], rules: Rules) -> tuple[LedgerEvent, ...]:
    """The events that count, each once: none before a snapshot that began the bill; before the fold, or before a
    snapshot that was added, only those that place or revoke and came after it."""
    events = settled(events, rules)
    if state.snapshot is not None:
        since = posted_minute(state.snapshot.status_at)
        events = tuple(
            event for event in events if counts_since(event, since, rules) or _came_after_snapshot(event, state, rules)
        )
    if state.fold_line is not None:
        line = state.fold_line
        events = tuple(event for event in events if _counts_behind(event, line, rules))
    return events


def _came_after_snapshot(event: LedgerEvent, state: BillState, rules: Rules) -> bool:
    """True for a late stop: a snapshot that was added to a bill takes nothing away."""
    return state.in_snapshot is not None and event.id not in state.in_snapshot and stops(event, rules)


def _counts_behind(event: LedgerEvent, line: int, rules: Rules) -> bool:
    return order_minute(event.posted) >= line or stops(event, rules)


def counts_since(event: LedgerEvent, since: int, rules: Rules) -> bool:
    """True from that minute on. All stops of autumn's repeated hour count after a snapshot of that hour: of neither is
    the pass always known."""
    return event.posted >= since or (order_minute(event.posted) >= order_minute(since) and stops(event, rules))


def opening_account(state: BillState, rules: Rules) -> Account:
    """A new account as it stands before the first kept event."""
    if state.folded is not None:
        account = state.folded.copy()
    elif state.snapshot is not None:
        account = snapshot_account(state.snapshot, state.snapshot_id, rules.at(state.snapshot_rules))
    else:
        account = Account()
    if state.deeds.cleared:
        for key in tuple(account.holds):
            end_cleared(account, key, state.deeds)
    if state.facts.filing is not None:
        account.complete = True
    filing = state.facts.filing
    if account.manifested is None and filing is not None and filing.manifested_quantity is not None:
        account.manifested = state.facts.filed_quantity()  # of manifests alone, it must end no hold
    return account


def snapshot_account(snapshot: Snapshot, snapshot_id: str, rules: Rules) -> Account:
    """The account of a snapshot under the rules under which it came. It has no quantity: that is its filing's, or a
    later filing's."""
    account = Account(complete=True)
    at = posted_minute(snapshot.status_at)
    account.first_posted = account.last_posted = at
    for hold in snapshot.holds:
        placed = at if hold.placed_at is None else posted_minute(hold.placed_at)
        stops = stops_of(hold.code, None, rules)
        account.holds[hold.code, hold.container_number] = HeldPieces(hold.quantity, placed, (snapshot_id,), *stops)
    if snapshot.released_quantity:
        posted = at if snapshot.release_posted_at is None else posted_minute(snapshot.release_posted_at)
        later = [key for key, hold in account.holds.items() if last_pass(hold.placed) >= posted]
        fresh = {container for code, container in later if rules.release_after_hold_of(code) == FRESH}
        account.releases.append(
            StandingRelease(
                *(snapshot_id, "1C", snapshot.released_quantity, posted, None, None),
                stale_by=dict.fromkeys(sorted(fresh, key=str), snapshot_id),
                interrupted=bool(later),
                rules=rules.number,
            )
        )
    return account
