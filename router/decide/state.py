"""What a task keeps of one bill between records, and how that is written to `snp.bills`."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Set
from dataclasses import dataclass, field
from operator import is_
from typing import Final, NamedTuple

from router.clock import order_minute, posted_minute
from router.decide.facts import Facts, Known
from router.decide.ledger import QUANTITY_CODES, TAKING_BACK, Account, Event, Lot, Standing, order_key, settle
from router.decide.manual import ByHand, Word, confirmations, release_minute, settle_with_releases, what_follows
from router.decide.offline import Offline
from router.decide.rules import STANDING, Rules
from router.decide.status import Assessment, Unread, assess
from router.model.facts import IndexFact, LinkFact
from router.model.inputs import RELEASE, Snapshot


class Told(NamedTuple):
    """What a party was last told of a bill."""

    kind: str
    """`hold`, `change` or `release`."""
    stopped: bool
    """Whether a hold stood in it."""
    do_not_load: bool
    deliverable: bool
    """Whether it was told that the bill may be delivered: it still believes so."""
    roles: tuple[str, ...]
    sequence: int
    """The bill's decision it came from; with bill and party it makes the notice's id."""


MOST_CONFIRMED: Final = 1000
"""Ids kept of what operators have confirmed, before those are dropped that nothing on the bill bears any more."""
OLDER: Final = "older:"
"""Begins the id of what stands for several unread events. No keyed id has a colon."""

_NO_WORDS: Final[dict[str, Word]] = {}


class Settled(NamedTuple):
    """The account of a bill's events so far, kept so that the next event needn't bring all others with it."""

    given: tuple[object, ...]
    """What it rests on besides events: the account holds only as long as these are the same objects."""
    events: int
    last: Event
    account: Account


@dataclass(slots=True)
class BillState:
    """Mutable, but decisions work on a `copy()`: what a decision was given stays as it was."""

    key: str
    sequence: int = 0
    """Number of the latest decision that told or changed something. The first follows the minute in which the bill was
    first heard of: so no number, and with it no notice's id, comes back when a bill does that was forgotten."""
    touched: int = 0
    """The tick at which the bill was last heard of. UTC milliseconds."""
    facts: Facts = field(default_factory=Facts)
    snapshot: Snapshot | None = None
    folded: Account | None = None
    fold_line: int | None = None
    """Minute before which events were folded into sums."""
    events: list[Event] = field(default_factory=list)
    """In the order in which they apply."""
    unread: dict[str, Unread] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    """Unread events that were confirmed or retried: the same bytes again change nothing."""
    confirmed: set[str] = field(default_factory=set)
    links: dict[str, LinkFact] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()
    """Reasons and parties as last written to `snp.waiting`."""
    waiting_since: int = 0
    said: dict[str, IndexFact] = field(default_factory=dict)
    """What the index was last told, by index key."""
    offline: Offline | None = None
    view: tuple[Known, Assessment] | None = field(default=None, compare=False, repr=False)
    """What follows from all this, kept so that the next decision needn't work it out again."""
    unseen: Collection[str] = field(default=frozenset(), compare=False, repr=False)
    """Events that removed a hold nobody saw; known once `view` is."""
    by_hand: ByHand | None = field(default=None, compare=False, repr=False)
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
    def words(self) -> dict[str, Word]:
        """What was said by hand, by event id."""
        return self.offline.words if self.offline is not None else _NO_WORDS

    def with_word(self, word: Word) -> None:
        self.offline = (self.offline or Offline({}))._replace(words=self.words | {word.id: word})

    def with_unread(self, one: Unread, rules: Rules) -> None:
        """Enter an event that stops the bill because nobody can say what it does. Beyond the bound those that are
        settled are forgotten, then the oldest half becomes one: under an id that tells how many it stands for and since
        when, so that an operator's word on fewer doesn't end it."""
        self.unread = self.unread | {one.id: one}
        if len(self.unread) <= rules.fold_after_events:
            return
        standing = sorted((one for one in self.unread.values() if one.id not in self.settled), key=_age)
        if len(standing) > rules.fold_after_events:
            half = len(standing) // 2
            standing = [_folded_unread(standing[:half]), *standing[half:]]
        self.unread = {one.id: one for one in standing}
        self.settled = self.settled & self.unread.keys()

    def with_confirmed(self, covers: Set[str], rules: Rules) -> None:
        """Enter an operator's word. Beyond the bound, what nothing on the bill is known by any more is forgotten."""
        self.confirmed = self.confirmed | covers
        if len(self.confirmed) > MOST_CONFIRMED:
            self.confirmed = (self.confirmed & self.coverable(rules)) | covers
        self.settled = self.settled | (covers & self.unread.keys())

    def coverable(self, rules: Rules) -> set[str]:
        """The ids an operator's word may cover: events, words, unread ones, and what is left of events folded away."""
        lots = self.account(rules).lots
        folded = {lot.id for lot in lots} | {lot.stale_by for lot in lots if lot.stale_by is not None}
        return self.event_ids() | self.words.keys() | (self.unread.keys() - self.settled) | folded

    def event_ids(self) -> set[str]:
        return {event.id for event in self.events}

    def latest(self) -> Event | None:
        return max(self.events, key=lambda event: event.posted, default=None)

    def with_event(self, event: Event, rules: Rules) -> None:
        """Enter an event in its place; beyond the bound, fold the oldest into sums."""
        self.events = self.events.copy()
        if not self.events or order_key(self.events[-1], rules) < order_key(event, rules):
            self.events.append(event)
        else:
            insort(self.events, event, key=lambda one: order_key(one, rules))
        if len(self.events) > rules.fold_after_events:
            self._fold(rules)

    def is_no_resending(self, event_id: str) -> bool:
        """Take note that an event known as sent again came as a first sending, too: which one came first must not
        matter."""
        corrected = [event._replace(resent=event.resent and event.id != event_id) for event in self.events]
        changed = corrected != self.events
        self.events, self.settled_account = corrected, None
        return changed

    def _fold(self, rules: Rules) -> None:
        """A quarter at a time, so that a bill with thousands of events doesn't pay for it at each."""
        last = order_minute(self.events[max(1, rules.fold_after_events // 4) - 1].posted)
        oldest = [event for event in self.events if order_minute(event.posted) <= last]
        counting = self._counting(oldest, rules)
        known_quantity = self._is_counted(counting)
        opening = self.opening(rules)
        releases = self._fold_words(opening, oldest, last, rules)
        self.folded = settle_with_releases(opening, counting, releases, rules, self.confirmed)
        self.folded.unseen.clear()
        self.folded.quantity_minute = None  # no minute is split by a fold
        if not known_quantity:
            self.folded.manifested = None  # only filed, so a later filing has the say
        self.fold_line = max(last + 1, self.fold_line or 0)  # no minute is split: its fingerprints are gone
        self.events = self.events[len(oldest) :]

    def _fold_words(self, opening: Account, oldest: list[Event], last: int, rules: Rules) -> list[Word]:
        """Which words turned out to be which events must be remembered when those go, and releases by hand before the
        fold line go with them; these are returned."""
        if not self.words:
            return []
        found = self._confirmations(opening, rules)
        going = {event.id for event in oldest}
        releases = [word for word in self._open_releases(found, rules) if release_minute(word, rules) <= last]
        folded = {word.id for word in releases}
        for word in self.words.values():
            event = found.get(word.id)
            confirmed_by = event if event in going else word.confirmed_by
            self.with_word(word._replace(confirmed_by=confirmed_by, folded=word.folded or word.id in folded))
        return releases

    def _confirmations(self, opening: Account, rules: Rules) -> dict[str, str]:
        """And of the sums a release by hand goes that CBP has confirmed since: it counts once."""
        found = confirmations(self.words.values(), self.events, rules)
        opening.lots = [lot for lot in opening.lots if lot.id not in found]
        return found

    def _open_releases(self, found: dict[str, str], rules: Rules) -> list[Word]:
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

    def _is_counted(self, events: list[Event]) -> bool:
        """Whether an event that is folded now or was before gave the bill's quantity."""
        before = self.folded is not None and self.folded.manifested is not None
        return before or any(event.code in QUANTITY_CODES and event.quantity is not None for event in events)

    def _counting(self, events: list[Event], rules: Rules) -> list[Event]:
        """Those that count: nothing before a snapshot; before the fold only what places or takes back."""
        counting = events
        if self.snapshot is not None:
            since = posted_minute(self.snapshot.status_at)
            counting = [event for event in counting if event.posted >= since]
        if self.fold_line is not None:
            line = self.fold_line
            counting = [event for event in counting if self._counts_behind(event, line, rules)]
        return counting

    def _counts_behind(self, event: Event, line: int, rules: Rules) -> bool:
        minute, rank, _, _ = order_key(event, rules)
        return minute >= line or rank >= TAKING_BACK

    def is_behind(self, posted: int) -> bool:
        """Whether that is before what is already summed up."""
        if self.snapshot is not None and posted < posted_minute(self.snapshot.status_at):
            return True
        return self.fold_line is not None and order_minute(posted) < self.fold_line

    def begin_from(self, snapshot: Snapshot, rules: Rules) -> None:
        """Take a snapshot as what stood at its time. What was folded since stays, and the snapshot's holds beside it:
        whether they were removed since, nobody can tell."""
        self.snapshot = snapshot
        if self.folded is not None and self.fold_line is not None:
            if self.fold_line > posted_minute(snapshot.status_at):
                self.folded = self.folded.copy()
                self.folded.holds = _account_of(snapshot, rules).holds | self.folded.holds
            else:
                self.folded = self.fold_line = None

    def opening(self, rules: Rules) -> Account:
        """What stands before the first event that is kept."""
        if self.folded is not None:
            account = self.folded.copy()
        else:
            account = _account_of(self.snapshot, rules) if self.snapshot is not None else Account()
        if self.facts.filing is not None:
            account.complete = True
            if account.manifested is None:
                account.manifested = self.facts.filing.manifested_quantity
        return account

    def account(self, rules: Rules) -> Account:
        if self.words:
            events = self._counting(self.events, rules)
            opening = self.opening(rules)
            found = self._confirmations(opening, rules)
            releases = self._open_releases(found, rules)
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
        account = settle(base, self._counting(news, rules), rules, self.confirmed)
        self.settled_account = Settled(given, len(events), events[-1], account) if events else None
        return account

    def assess(self, rules: Rules) -> tuple[Known, Assessment]:
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


def _age(one: Unread) -> tuple[int, str]:
    return one.placed, one.id


def _folded_unread(oldest: list[Unread]) -> Unread:
    number = sum(int(one.id.split(":")[1]) if one.id.startswith(OLDER) else 1 for one in oldest)
    placed = oldest[-1].placed
    return Unread(f"{OLDER}{number}:{placed}", "UNREADABLE", None, placed)


def _account_of(snapshot: Snapshot, rules: Rules) -> Account:
    """Its quantity is its filing's, or a later filing's."""
    account = Account(complete=True)
    at = posted_minute(snapshot.status_at)
    account.last_posted = at
    latest = None
    for hold in snapshot.holds:
        placed = at if hold.placed_at is None else posted_minute(hold.placed_at)
        account.holds[hold.code, hold.container_number] = Standing(hold.quantity, placed)
        latest = placed if latest is None else max(latest, placed)
    if snapshot.released_quantity:
        posted = at if snapshot.release_posted_at is None else posted_minute(snapshot.release_posted_at)
        predates = rules.release_after_hold != STANDING and latest is not None and latest >= posted
        stale = "snapshot" if predates else None
        account.lots.append(Lot("snapshot", "1C", snapshot.released_quantity, posted, None, None, stale))
    return account
