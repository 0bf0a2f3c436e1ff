"""Effects across bills, through the index: shared boxes, houses of a master, splits of an original.

A box is stopped, for every bill in it, by a do-not-load on any bill that names it and by any hold on the container
itself; other holds of one bill don't stop the others. A master is held while any of its houses is, and must not be
loaded while any of them must not. A split is shown on both bills and copies no hold (CBP Trade Act FAQ, vessel mode,
section 26, does not extend a hold to it); it is flagged while its original is held as a whole. Facts rest on a bill's
own holds only: a derived hold is never passed on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.decide.cargo_facts import Cargo
from router.decide.standing_holds import MANUAL_HOLD, MOST_BOXES, StandingHold
from router.model.eastern import day_of
from router.model.identifiers import key_without_prefix
from router.model.links import (
    CONTAINER,
    MASTER,
    MOST_STOPS,
    ORIGINAL,
    IndexFact,
    LinkFact,
    Stop,
    bounded_stops,
)
from router.model.registry_values import Sailing

SAME_ARRIVAL_DAYS: Final = 7
"""Two bills' dates of one arrival differ by days; the same box is back on the same ship after weeks."""

DERIVED: Final = frozenset({"BOX", "HOUSE"})

Voyage = tuple[str | None, str | None, str | None]
"""Sailing id, IMO number and arrival date, which tell one ship's voyage from another."""

_NO_VOYAGE: Final[Voyage] = (None, None, None)


def facts_of(
    bill: str,
    cargo: Cargo,
    holds: tuple[StandingHold, ...],
    sailing: Sailing | None,
    seen_by: tuple[str, ...] = (),
    *,
    has_splits: bool = False,
) -> dict[str, IndexFact]:
    """All facts of a bill for the index now, by index key. `seen_by` are the parties that may see the bill."""
    shipment = cargo.shipment
    own = [hold for hold in holds if hold.kind not in DERIVED]
    voyage = (sailing.sailing_id if sailing else None, shipment.imo_number, shipment.arrival_date)
    named = cargo.container_keys
    in_every = [_stop(bill, hold, seen_by) for hold in own if hold.container_number is None and hold.do_not_load]
    in_one: dict[str, list[Stop]] = {}
    for hold in own:
        if hold.container_number is not None:
            in_one.setdefault(hold.container_number, []).append(_stop(bill, hold, seen_by))
    facts = {}
    for container in sorted(named | in_one.keys()):
        stops = bounded_stops(in_every + in_one.get(container, []))
        facts[f"{CONTAINER}:{container}"] = IndexFact(f"{CONTAINER}:{container}", bill, True, stops, *voyage)
    if shipment.master_bill:
        key = f"{MASTER}:{shipment.master_bill}"
        stops = bounded_stops(_stop(bill, hold, seen_by, _not_to_load(hold, named)) for hold in own)
        facts[key] = IndexFact(key, bill, True, stops)
    if shipment.original_bill:
        key = f"{ORIGINAL}:{shipment.original_bill}"
        facts[key] = IndexFact(key, bill, True)
    if has_splits:
        key = f"{ORIGINAL}:{bill}"
        stops = bounded_stops(_stop(bill, hold, seen_by) for hold in own if hold.container_number is None)
        facts[key] = IndexFact(key, bill, True, stops)
    return facts


def _stop(bill: str, hold: StandingHold, seen_by: tuple[str, ...], containers: tuple[str, ...] = ()) -> Stop:
    return Stop(
        *(bill, hold.events, hold.do_not_load, hold.placed, containers, hold.at_destination, hold.shown_in_us, seen_by)
    )


def paper_facts(bill: str, holds: Iterable[StandingHold], seen_by: tuple[str, ...]) -> dict[str, IndexFact]:
    """The fact by which a bill that was filed under another number is stopped there by what CBP sends under the paper
    bill's own. Manual holds are not in it, since they move to that bill."""
    key, own = f"{MASTER}:{bill}", [hold for hold in holds if hold.kind not in DERIVED and hold.kind != MANUAL_HOLD]
    return {key: IndexFact(key, bill, True, bounded_stops(_stop(bill, hold, seen_by) for hold in own))} if own else {}


def prefix_facts(
    bill: str, cargo: Cargo, holds: Iterable[StandingHold], seen_by: tuple[str, ...]
) -> dict[str, IndexFact]:
    """The fact by which a bill whose number begins with its own SCAC stops the one without: CBP may mean that one."""
    other = key_without_prefix(bill)
    own = [hold for hold in holds if hold.kind not in DERIVED]
    if other is None or not own:
        return {}
    key, named = f"{MASTER}:{other}", cargo.container_keys
    stops = bounded_stops(_stop(bill, hold, seen_by, _not_to_load(hold, named)) for hold in own)
    return {key: IndexFact(key, bill, True, stops)}


def alias_facts(bill: str, aliases: Iterable[str], held_as_a_whole: tuple[Stop, ...]) -> dict[str, IndexFact]:
    """Facts by which a bill gets the index's links to the paper bills that were filed as it, and their splits get its
    holds."""
    facts = {}
    for alias in aliases:
        facts[f"{MASTER}:{alias}"] = IndexFact(f"{MASTER}:{alias}", bill, True, alias=True)
        facts[f"{ORIGINAL}:{alias}"] = IndexFact(f"{ORIGINAL}:{alias}", bill, True, held_as_a_whole, alias=True)
    return facts


def _not_to_load(hold: StandingHold, named: Collection[str]) -> tuple[str, ...]:
    """Containers that a house's do-not-load concerns: its own, else all that the house names, if those are few."""
    if not hold.do_not_load:
        return ()
    if hold.container_number is not None:
        return (hold.container_number,)
    return tuple(sorted(named)) if len(named) <= MOST_BOXES else ()


def changed_facts(
    published: Mapping[str, IndexFact], facts: Mapping[str, IndexFact], caused_by: str | None
) -> tuple[IndexFact, ...]:
    """Facts to publish: those that are new or changed, and withdrawals. Each names the event behind it."""
    changed = [fact._replace(caused_by=caused_by) for key, fact in facts.items() if published.get(key) != fact]
    gone = [
        fact._replace(present=False, stops=(), caused_by=caused_by)
        for key, fact in published.items()
        if key not in facts
    ]
    return (*changed, *gone)


class Answer(NamedTuple):
    """The index's latest answer to a bill under one key."""

    stops: tuple[Stop, ...] = ()

    @property
    def stopped(self) -> bool:
        return bool(self.stops)


class IndexEntry(NamedTuple):
    fact: IndexFact
    answer: Answer


@dataclass(slots=True)
class IndexGroup:
    """All bills' facts under one key, with the answers to them."""

    entries: dict[str, IndexEntry] = field(default_factory=dict)
    """By bill."""
    stopping: dict[str, IndexFact] = field(default_factory=dict)
    """Facts that stop something, by bill."""
    deciding: dict[Voyage, tuple[IndexFact, ...]] = field(default_factory=dict)
    """The few stopping facts that decided the latest answers, by voyage. Thousands of stopped bills under one key thus
    cost no more than ten."""
    aliases: set[str] = field(default_factory=set)
    """Bills that replace the paper bill of this key."""
    before: dict[str, IndexEntry | None] = field(default_factory=dict)
    """Entries of bills with new facts, as they were at the latest answers; None: there was none."""
    causes: dict[str, str] = field(default_factory=dict)
    """Events, by bill, that changed its stops since the latest answers; the latest is last."""

    def copy(self) -> IndexGroup:
        return IndexGroup(self.entries.copy(), self.stopping.copy(), self.deciding, self.aliases.copy())

    def enter(self, fact: IndexFact) -> None:
        """Enter a bill's fact. `answer` computes the consequences."""
        known = self.entries.get(fact.bill)
        old = self.before.setdefault(fact.bill, known)
        if fact.caused_by is not None and fact.stops != (known.fact.stops if known else ()):
            self.causes.pop(fact.bill, None)
            self.causes[fact.bill] = fact.caused_by
        if fact.present:
            self.put(IndexEntry(fact._replace(caused_by=None), old.answer if old else Answer()))
        else:
            self.drop(fact.bill)

    def would_hide(self, fact: IndexFact) -> bool:
        """True if the fact ends or weakens a stop that was not answered yet. Then `answer` must come before it, so that
        a box's other bills get its hold even if the lift is read in the same transaction."""
        now, answered = self.stopping.get(fact.bill), self.before.get(fact.bill)
        if now is None or fact.bill not in self.before:
            return False
        unanswered = (
            answered is None or not answered.fact.stopped or (now.do_not_load and not answered.fact.do_not_load)
        )
        stays = fact.present and fact.stopped and (fact.do_not_load or not now.do_not_load)
        return unanswered and not stays

    def put(self, entry: IndexEntry) -> None:
        fact = entry.fact
        self.entries[fact.bill] = entry
        if fact.alias:
            self.aliases.add(fact.bill)
        if fact.stopped:
            self.stopping[fact.bill] = fact
        else:
            self.stopping.pop(fact.bill, None)

    def drop(self, bill: str) -> None:
        self.entries.pop(bill, None)
        self.stopping.pop(bill, None)
        self.aliases.discard(bill)

    def decide(self) -> None:
        alike: dict[Voyage, list[IndexFact]] = {}
        for fact in self.stopping.values():
            alike.setdefault(_voyage(fact), []).append(fact)
        self.deciding = {voyage: _deciding(facts) for voyage, facts in alike.items()}


def _voyage(fact: IndexFact) -> Voyage:
    return fact.sailing_id, fact.imo_number, fact.arrival_date


def _deciding(facts: Iterable[IndexFact]) -> tuple[IndexFact, ...]:
    """The oldest, as many as fill a link, and two of each effect: a bill never counts its own hold, so one of them may
    be excluded."""
    ordered = sorted(facts, key=_age)
    if len(ordered) <= MOST_STOPS:
        return tuple(ordered)
    do_not_load = [fact for fact in ordered if fact.do_not_load]
    here = [fact for fact in ordered if any(not stop.at_destination for stop in fact.stops)]
    return tuple(dict.fromkeys((*ordered[: MOST_STOPS + 2], *do_not_load[:2], *here[:2])))


def _age(fact: IndexFact) -> tuple[bool, int, str]:
    return fact.since is None, fact.since or 0, fact.bill


def answer(group: IndexGroup, key: str) -> tuple[dict[str, IndexEntry | None], list[LinkFact]]:
    """Changed entries by bill (None: withdrawn) and links to write, for all facts entered since the previous call.

    Called once for many facts, since a thousand of them on one box would otherwise answer all others a thousand times;
    and before a fact that `would_hide` a stop.
    """
    before, causes = group.before, group.causes
    group.causes = {}
    changed, links = _answer_group(group, key)
    if not key.startswith(CONTAINER):
        links += _links_of_aliases(group, key, before, links)
    return changed, [link._replace(caused_by=_cause(link.bill, causes)) for link in links] if causes else links


def _links_of_aliases(
    group: IndexGroup, key: str, before: Mapping[str, IndexEntry | None], links: Iterable[LinkFact]
) -> list[LinkFact]:
    """Links to the bills that replace the paper bill of this key: those written to it, and all that stand to a new one.

    A new one always gets the link of its houses, so that it knows that the index has answered. One that replaces the
    paper bill no longer has its links ended.
    """
    kind, _, paper = key.partition(":")
    new = {bill for bill in group.aliases & before.keys() if before[bill] is None}
    gone = {bill for bill, old in before.items() if old is not None and old.fact.alias} - group.aliases
    copies = [link._replace(bill=bill) for bill in sorted(group.aliases - new) for link in links if link.bill == paper]
    if not new and not gone:
        return copies
    if kind == MASTER:
        standing = [_house_link(group, key)]
    else:
        standing = [_split_link(paper, bill) for bill in sorted(group.entries.keys() - group.aliases - {paper})]
    copies += [link._replace(bill=bill) for bill in sorted(new) for link in standing]
    return copies + [LinkFact(bill, link.key, link.kind, False) for bill in sorted(gone) for link in standing]


def _answer_group(group: IndexGroup, key: str) -> tuple[dict[str, IndexEntry | None], list[LinkFact]]:
    kind, _, subject = key.partition(":")
    before, decided = group.before, group.deciding
    group.before = {}
    group.decide()
    changed = {bill: group.entries.get(bill) for bill in before}
    if kind == MASTER:
        is_news = _answer(group.deciding.get(_NO_VOYAGE, ())) != _answer(decided.get(_NO_VOYAGE, ()))
        links = [_house_link(group, key)] if is_news else []
    else:
        # Sorted, because the order of entries in memory depends on the latest restore.
        concerned = list(before) if decided == group.deciding else sorted(group.entries)
        left = (bill for bill, old in before.items() if old and old.answer.stopped and bill not in group.entries)
        linked = LinkFact("", key, "BOX", False)
        if kind == ORIGINAL:
            linked = LinkFact("", key, "ORIGINAL", False, other_bill=subject)
        links = [linked._replace(bill=bill) for bill in left]
        for bill, answered in _answer_all(group, concerned, changed):
            links.append(linked._replace(bill=bill, active=answered.stopped, stops=answered.stops))
        if kind == ORIGINAL:
            own = {subject} | group.aliases | {bill for bill, old in before.items() if old and old.fact.alias}
            links = [link for link in links if link.bill not in own]
            came_or_went = (bill for bill, old in before.items() if (old is None) == (bill in group.entries))
            links += [_split_link(subject, bill, bill in group.entries) for bill in came_or_went if bill not in own]
    return changed, links


def _cause(bill: str, causes: Mapping[str, str]) -> str | None:
    """The latest event of another bill."""
    return next((event for other, event in reversed(tuple(causes.items())) if other != bill), None)


def _house_link(group: IndexGroup, key: str) -> LinkFact:
    houses = _answer(group.deciding.get(_NO_VOYAGE, ()))
    return LinkFact(key.partition(":")[2], key, "HOUSE", houses.stopped, houses.stops)


def _split_link(original: str, split: str, active: bool = True) -> LinkFact:
    return LinkFact(original, f"split:{split}", "SPLIT", active, other_bill=split)


def _answer_all(
    group: IndexGroup, bills: list[str], changed: dict[str, IndexEntry | None]
) -> Iterator[tuple[str, Answer]]:
    """Bills whose answer changed, with the new one."""
    alike: dict[Voyage, list[IndexFact]] = {}
    common: dict[Voyage, Answer] = {}
    for bill in bills:
        entry = group.entries.get(bill)
        if entry is None:
            continue
        voyage = _voyage(entry.fact)
        if voyage not in alike:
            same = (facts for facts in group.deciding.values() if same_voyage(facts[0], entry.fact))
            alike[voyage] = [fact for facts in same for fact in facts]
            common[voyage] = _answer(alike[voyage])
        answer = common[voyage]
        if entry.fact.stopped:
            answer = _answer(fact for fact in alike[voyage] if fact.bill != bill)
        if answer != entry.answer:
            changed[bill] = group.entries[bill] = entry._replace(answer=answer)
            yield bill, answer


def _answer(stopping: Iterable[IndexFact]) -> Answer:
    return Answer(bounded_stops(stop for fact in stopping for stop in fact.stops))


def same_voyage(one: IndexFact, other: IndexFact) -> bool:
    """True if two bills may mean the same box on the same ship: container numbers come back within weeks.

    If too little is known to tell them apart, they count as the same, which is safer; so do two sailings of one ship
    that arrive within a week, which are one rotation with a fault in the roster.
    """
    if one.sailing_id and one.sailing_id == other.sailing_id:
        return True
    if one.imo_number and other.imo_number and one.imo_number != other.imo_number:
        return False
    return _near(one.arrival_date, other.arrival_date, SAME_ARRIVAL_DAYS)


def _near(one: str | None, other: str | None, days: int) -> bool:
    """True if two dates are at most `days` apart, or one is unknown or invalid."""
    first, second = day_of(one or ""), day_of(other or "")
    return first is None or second is None or abs((first - second).days) <= days
