"""What CBP said by phone, by e-mail or on paper, beside what it sent: which of it stands, which of it CBP has confirmed
since, and where the two disagree.

All of it is worked out from the sets of words and events, so that neither order nor repetition matters. A word of hand
ends and releases only what was placed by hand; a hold that CBP sent stands until CBP ends it.

What a bill keeps of the days when systems were down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from router.decide.account import Account, HoldKey, LedgerEvent, StandingRelease, apply_events, order_key
from router.decide.codes import Effect
from router.decide.rules import Rules
from router.decide.status import MANUAL_HOLD, StandingHold
from router.model.eastern import order_moment, posted_minute
from router.model.identifiers import container_key
from router.model.inputs import LIFT, MANUAL_RELEASE_CODE, PLACE, RELEASE, ManualEvent

MINUTES_AN_HOUR: Final = 60
ACTIONS: Final = (LIFT, RELEASE, PLACE)
"""In the order in which they apply where they were said at the same moment, or in the hour that autumn repeats: what
stops comes last."""


class RelayedEvent(NamedTuple):
    """One thing that was said, as a bill keeps it."""

    id: str
    """Its event id."""
    said: ManualEvent
    confirmed_by: str | None = None
    """The electronic event that it turned out to be, once that one is folded into sums."""
    folded: bool = False
    """A release that lies in the sums itself."""

    @property
    def code(self) -> str | None:
        return self.said.disposition_code or (MANUAL_RELEASE_CODE if self.said.action == RELEASE else None)

    @property
    def posted(self) -> int:
        return posted_minute(self.said.said_at)

    @property
    def container(self) -> str | None:
        """Its scope; without check digit."""
        return self.said.container_number and container_key(self.said.container_number)

    @property
    def order(self) -> tuple[int, int, str]:
        return order_moment(self.said.said_at), ACTIONS.index(self.said.action), self.id


class RelayedOutcome(NamedTuple):
    """What follows from a bill's words."""

    holds: tuple[StandingHold, ...] = ()
    contradictions: tuple[str, ...] = ()
    """Ids of words, and of removals by CBP, that say that a hold is gone which stands; without those confirmed."""
    releases: bool = False
    """A release that was only relayed by hand is among those that stand."""


def confirmations(words: Iterable[RelayedEvent], events: Iterable[LedgerEvent], rules: Rules) -> dict[str, str]:
    """Words to the electronic events that they are: each one to one of the same code and scope, posted within the
    window, the nearest first. Ids."""
    open_words = sorted((word for word in words if word.said.action != LIFT), key=lambda word: word.order)
    window = rules.manual_match_hours * MINUTES_AN_HOUR
    pairs = [
        (abs(event.posted - word.posted), word.order, order_key(event, rules), word, event)
        for event in events
        if not event.reversal
        for word in open_words
        if event.code == word.code and _in_scope(event, word) and abs(event.posted - word.posted) <= window
    ]
    found = {word.id: word.confirmed_by for word in open_words if word.confirmed_by is not None}
    taken: set[tuple[str, str | None]] = set()
    for _, _, _, word, event in sorted(pairs, key=lambda pair: pair[:3]):
        if word.id not in found and (event.id, word.container) not in taken:
            found[word.id] = event.id
            taken.add((event.id, word.container))
    return found


def _in_scope(event: LedgerEvent, word: RelayedEvent) -> bool:
    return word.container in event.containers if event.containers else word.container is None


def settle_with_releases(
    account: Account,
    events: Sequence[LedgerEvent],
    releases: Iterable[RelayedEvent],
    rules: Rules,
    confirmed: Collection[str],
) -> Account:
    """Apply events and, at their place among them, the releases that were relayed by hand; changes and returns
    `account`. Such a release ends no hold or block, unlike the same code from CBP."""
    rest = list(events)
    for word in sorted(releases, key=lambda word: word.order):
        code = rules.codes.get(word.code or "")
        if code is None or code.effect is not Effect.RELEASE:
            continue
        place = order_key(_as_event(word), rules)
        apply_events(account, (event for event in rest if order_key(event, rules) <= place), rules, confirmed)
        rest = [event for event in rest if order_key(event, rules) > place]
        whole = account.manifested if word.container is None else None
        quantity = whole if word.said.quantity is None else word.said.quantity
        account.taken_back = False
        account.lots.append(StandingRelease(word.id, code.code, quantity, word.posted, None, None))
    apply_events(account, rest, rules, confirmed)
    return account


def _as_event(word: RelayedEvent) -> LedgerEvent:
    return LedgerEvent(word.id, word.code or "", word.posted, word.said.quantity)


def release_minute(word: RelayedEvent, rules: Rules) -> int:
    """Where a release stands in the ledger's order, to tell which side of a fold it is on."""
    return order_key(_as_event(word), rules)[0]


def what_follows(
    words: Collection[RelayedEvent],
    found: dict[str, str],
    account: Account,
    events: Sequence[LedgerEvent],
    rules: Rules,
    confirmed: Collection[str],
) -> RelayedOutcome:
    """`found` as of `confirmations`; `account` with the electronic events applied."""
    standing = _standing(words, found, account, rules)
    disputed = {*_disputed_words(words, found, account, rules), *_disputed_removals(standing, account, events, rules)}
    releases = {word.id for word in words if word.said.action == RELEASE}
    return RelayedOutcome(
        tuple(_hold(word, quantity, rules) for word, quantity in standing),
        tuple(sorted(disputed.difference(confirmed))),
        any(lot.id in releases for lot in account.lots),
    )


def _standing(
    words: Collection[RelayedEvent], found: dict[str, str], account: Account, rules: Rules
) -> list[tuple[RelayedEvent, int | None]]:
    """Placements that CBP has not confirmed and nobody has lifted, with what is left of them."""
    standing: dict[str, tuple[RelayedEvent, int | None]] = {}
    for word in sorted(words, key=lambda word: word.order):
        if word.said.action == PLACE and word.id not in found:
            standing[word.id] = word, word.said.quantity
        elif word.said.action == LIFT:
            _lift(standing, word, account.manifested, rules)
    return list(standing.values())


def _lift(
    standing: dict[str, tuple[RelayedEvent, int | None]], lift: RelayedEvent, manifested: int | None, rules: Rules
) -> None:
    """Without a quantity it ends the holds; with one, so many pieces of them."""
    left = lift.said.quantity
    for number, (word, quantity) in list(standing.items()):
        if word.container != lift.container or not _lifts(lift, word.code, rules):
            continue
        held = quantity if quantity is not None else manifested
        if left is None or (held is not None and held <= left):
            del standing[number]
            left = None if left is None or held is None else left - held
            if left == 0:
                return
        else:
            standing[number] = word, None if held is None else held - left
            return


def _lifts(lift: RelayedEvent, code: str | None, rules: Rules) -> bool:
    """A lift may name the hold or, as CBP does, its removal."""
    named = lift.code
    if named is None or named == code:
        return True
    known = rules.codes.get(named)
    pair = known.pair if known is not None and known.effect is Effect.LIFT else frozenset()
    return code in pair or code in rules.codes.ends.get(named, ())


def _disputed_words(
    words: Collection[RelayedEvent], found: dict[str, str], account: Account, rules: Rules
) -> Iterator[str]:
    """Lifts and releases that were said while an electronic hold stood that stands still. A later word that stops
    settles them."""
    stops = [word for word in words if word.said.action == PLACE]
    for word in words:
        if word.said.action == PLACE or word.id in found or any(stop.order > word.order for stop in stops):
            continue
        for key, hold in account.holds.items():
            if hold.placed <= word.posted and _concerns(word, key, rules):
                yield word.id


def _concerns(word: RelayedEvent, key: HoldKey, rules: Rules) -> bool:
    code, container = key
    return word.said.action == RELEASE or (container == word.container and _lifts(word, code, rules))


def _disputed_removals(
    standing: list[tuple[RelayedEvent, int | None]], account: Account, events: Sequence[LedgerEvent], rules: Rules
) -> Iterator[str]:
    """Removals by CBP of a code and scope of which only a hold by hand stands."""
    for word, _ in standing:
        code = rules.codes.get(word.code or "")
        if code is None or (code.code, word.container) in account.holds:
            continue
        for event in events:
            if (
                event.code in code.pair
                and not event.reversal
                and event.posted >= word.posted
                and _in_scope(event, word)
            ):
                yield event.id


def _hold(word: RelayedEvent, quantity: int | None, rules: Rules) -> StandingHold:
    code = rules.codes.get(word.code or "")
    return StandingHold(
        MANUAL_HOLD,
        word.code,
        word.container,
        quantity,
        word.posted,
        code.meaning if code else None,
        code.do_not_load if code else False,
        code.at_destination if code else False,
        word.id,
    )


class Paper(NamedTuple):
    """A bill that was taken on paper."""

    delivered_at: int
    """To CBP; UTC milliseconds. The 24 hours run from here."""
    form: str
    by: str
    ticket: str | None
    electronic: bool = False
    """The electronic filing came, under the same number."""
    filed_as: str | None = None
    """The bill it was filed as, under another number: this one is superseded."""


class DowntimeRecord(NamedTuple):
    """What a bill went through by hand and on paper: few have any of it."""

    words: dict[str, RelayedEvent]
    """What was said by hand, by event id."""
    paper: Paper | None = None
    replaces: tuple[str, ...] = ()
    """Paper bills that were filed as this one, and whose words it took over."""

    @property
    def is_on_paper(self) -> bool:
        """Nobody has filed it electronically, that we know of."""
        return self.paper is not None and not self.paper.electronic and self.paper.filed_as is None

    @property
    def is_superseded(self) -> bool:
        return self.paper is not None and self.paper.filed_as is not None
