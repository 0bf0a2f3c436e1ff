"""What a task keeps of one bill between records, and how that is written to `snp.bills`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from operator import is_
from typing import Final, NamedTuple

from router.decide.account import TAKING_BACK, Account, HeldPieces, LedgerEvent, StandingRelease, order_key, settle
from router.decide.cargo_facts import Cargo, CargoFacts
from router.decide.manual_events import (
    DowntimeRecord,
    RelayedEvent,
    RelayedOutcome,
    confirmations,
    release_minute,
    settle_with_releases,
    what_follows,
)
from router.decide.rules import STANDING, Rules
from router.decide.status import Assessment, UnparsedEvent, assess
from router.model.eastern import order_minute, posted_minute
from router.model.inputs import RELEASE, Snapshot
from router.model.links import IndexFact, LinkFact
from router.model.vocabulary import Kind, Role


class LastNotice(NamedTuple):
    """What a party was last told of a bill."""

    kind: Kind
    stopped: bool
    """Whether a hold stood in it."""
    do_not_load: bool
    deliverable: bool
    """Whether it was told that the bill may be delivered: it still believes so."""
    roles: tuple[Role, ...]
    sequence: int
    """The bill's decision it came from; with bill and party it makes the notice's id."""


_NO_WORDS: Final[dict[str, RelayedEvent]] = {}


class Settled(NamedTuple):
    """The account of a bill's events so far, kept so that the next event needn't bring all others with it."""

    given: tuple[object, ...]
    """What it rests on besides events: the account holds only as long as these are the same objects."""
    events: int
    last: LedgerEvent
    account: Account


@dataclass(slots=True)
class BillState:
    """Mutable, but decisions work on a `copy()`: what a decision was given stays as it was."""

    key: str
    sequence: int = 0
    """Number of the latest decision that told or changed something. The first follows the minute in which the bill was
    first heard of: so no number, and with it no notice's id, comes back when a bill does that was forgotten."""
    touched: int = 0
    """When the bill was last heard of, as `Registry.elapsed` was then. UTC milliseconds."""
    facts: CargoFacts = field(default_factory=CargoFacts)
    snapshot: Snapshot | None = None
    folded: Account | None = None
    fold_line: int | None = None
    """Minute before which events were folded into sums."""
    events: list[LedgerEvent] = field(default_factory=list)
    """In the order in which they apply."""
    unread: dict[str, UnparsedEvent] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    """Unread events that were confirmed or retried: the same bytes again change nothing."""
    confirmed: set[str] = field(default_factory=set)
    links: dict[str, LinkFact] = field(default_factory=dict)
    told: dict[str, LastNotice] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()
    """Reasons and parties as last written to `snp.waiting`."""
    waiting_since: int = 0
    said: dict[str, IndexFact] = field(default_factory=dict)
    """What the index was last told, by index key."""
    offline: DowntimeRecord | None = None
    view: tuple[Cargo, Assessment] | None = field(default=None, compare=False, repr=False)
    """What follows from all this, kept so that the next decision needn't work it out again."""
    unseen: Collection[str] = field(default=frozenset(), compare=False, repr=False)
    """Events that removed a hold nobody saw; known once `view` is."""
    by_hand: RelayedOutcome | None = field(default=None, compare=False, repr=False)
    """What follows from the words; known once `view` is. None: there are none."""
    settled_account: Settled | None = field(default=None, compare=False, repr=False)
    saying: tuple[object, ...] | None = field(default=None, compare=False, repr=False)
    """What `said` follows from; None where that isn't known any more."""

    def copy(self) -> BillState:
        return BillState(
            self.key,
            self.sequence,
            self.touched,
            self.facts,
            self.snapshot,
            self.folded,
            self.fold_line,
            self.events,
            self.unread,
            self.settled,
            self.confirmed,
            self.links,
            self.told,
            self.waiting,
            self.waiting_since,
            self.said,
            self.offline,
            settled_account=self.settled_account,
            saying=self.saying,
        )

    @property
    def has_news(self) -> bool:
        """Whether there is anything to tell: a filing alone isn't, nor a link to a bill not known otherwise."""
        if self.events or self.folded or self.snapshot or self.unread or self.told or self.words:
            return True
        return self.facts.filing is not None and bool(self.links)

    @property
    def words(self) -> dict[str, RelayedEvent]:
        """What was said by hand, by event id."""
        return self.offline.words if self.offline is not None else _NO_WORDS

    def coverable(self, rules: Rules) -> set[str]:
        """The ids an operator's word may cover: events, words, unread ones, and what is left of events folded away."""
        lots = self.account(rules).lots
        folded = {lot.id for lot in lots} | {lot.stale_by for lot in lots if lot.stale_by is not None}
        return self.event_ids() | self.words.keys() | (self.unread.keys() - self.settled) | folded

    def event_ids(self) -> set[str]:
        return {event.id for event in self.events}

    def latest(self) -> LedgerEvent | None:
        return max(self.events, key=lambda event: event.posted, default=None)

    def confirmations(self, opening: Account, rules: Rules) -> dict[str, str]:
        """And of the sums a release by hand goes that CBP has confirmed since: it counts once."""
        found = confirmations(self.words.values(), self.events, rules)
        opening.lots = [lot for lot in opening.lots if lot.id not in found]
        return found

    def open_releases(self, found: dict[str, str], rules: Rules) -> list[RelayedEvent]:
        """Releases by hand that are to be applied among the events kept: CBP has not confirmed them, and they are not
        from before what is summed up."""
        line = self.fold_line or 0
        if self.snapshot is not None:
            line = max(line, posted_minute(self.snapshot.status_at))
        return [
            word
            for word in self.words.values()
            if word.said.action == RELEASE
            and word.id not in found
            and not word.folded
            and release_minute(word, rules) >= line
        ]

    def counting(self, events: list[LedgerEvent], rules: Rules) -> list[LedgerEvent]:
        """Those that count: nothing before a snapshot; before the fold only what places or takes back."""
        counting = events
        if self.snapshot is not None:
            since = posted_minute(self.snapshot.status_at)
            counting = [event for event in counting if event.posted >= since]
        if self.fold_line is not None:
            line = self.fold_line
            counting = [event for event in counting if self._counts_behind(event, line, rules)]
        return counting

    def _counts_behind(self, event: LedgerEvent, line: int, rules: Rules) -> bool:
        minute, rank, _, _ = order_key(event, rules)
        return minute >= line or rank >= TAKING_BACK

    def is_behind(self, posted: int) -> bool:
        """Whether that is before what is already summed up."""
        if self.snapshot is not None and posted < posted_minute(self.snapshot.status_at):
            return True
        return self.fold_line is not None and order_minute(posted) < self.fold_line

    def opening(self, rules: Rules) -> Account:
        """What stands before the first event that is kept."""
        if self.folded is not None:
            account = self.folded.copy()
        else:
            account = account_of(self.snapshot, rules) if self.snapshot is not None else Account()
        if self.facts.filing is not None:
            account.complete = True
            if account.manifested is None:
                account.manifested = self.facts.filing.manifested_quantity
        return account

    def account(self, rules: Rules) -> Account:
        if self.words:
            events = self.counting(self.events, rules)
            opening = self.opening(rules)
            found = self.confirmations(opening, rules)
            releases = self.open_releases(found, rules)
            account = settle_with_releases(opening, events, releases, rules, self.confirmed)
            self.by_hand = what_follows(self.words.values(), found, account, events, rules, self.confirmed)
        else:
            account = self._settled(rules)
            self.by_hand = None
        if account.manifested is None and self.facts.filing is not None:
            account = account.copy()
            account.manifested = self.facts.filing.manifested_quantity  # a 55 began a life and said no quantity
        return account

    def _settled(self, rules: Rules) -> Account:
        """Events that come after all others are applied to the account that is kept: else a bill with many events
        would pay for all of them at each."""
        given = (self.snapshot, self.folded, self.facts.filing, self.confirmed)
        kept, events = self.settled_account, self.events
        if kept is not None and all(map(is_, kept.given, given)) and events[kept.events - 1] is kept.last:
            base, news = kept.account, events[kept.events :]
        else:
            base, news = self.opening(rules), events
        account = settle(base, self.counting(news, rules), rules, self.confirmed)
        self.settled_account = Settled(given, len(events), events[-1], account) if events else None
        return account

    def assess(self, rules: Rules) -> tuple[Cargo, Assessment]:
        """What is known of the bill and what follows from its ledger."""
        if self.view is None:
            known = self.facts.known()
            standing = (one for one in self.unread.values() if one.id not in self.settled)
            account = self.account(rules)
            confirmed = self.confirmed - self.unread.keys()
            held = self.by_hand.holds if self.by_hand is not None else ()
            self.view = known, assess(account, known, self.links.values(), standing, rules, confirmed, held)
            self.unseen = account.unseen
        return self.view


def account_of(snapshot: Snapshot, rules: Rules) -> Account:
    """Its quantity is its filing's, or a later filing's."""
    account = Account(complete=True)
    at = posted_minute(snapshot.status_at)
    account.last_posted = at
    latest = None
    for hold in snapshot.holds:
        placed = at if hold.placed_at is None else posted_minute(hold.placed_at)
        account.holds[hold.code, hold.container_number] = HeldPieces(hold.quantity, placed)
        latest = placed if latest is None else max(latest, placed)
    if snapshot.released_quantity:
        posted = at if snapshot.release_posted_at is None else posted_minute(snapshot.release_posted_at)
        predates = rules.release_after_hold != STANDING and latest is not None and latest >= posted
        stale = "snapshot" if predates else None
        account.lots.append(StandingRelease("snapshot", "1C", snapshot.released_quantity, posted, None, None, stale))
    return account
