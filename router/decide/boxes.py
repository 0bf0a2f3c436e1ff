"""Effects across bills, through the index: shared boxes, houses of a master, splits of an original.

A box is stopped, for every bill in it, by a do-not-load on any bill that names it and by any hold on the container
itself; other holds of one bill don't stop the others. A master is held while any of its houses is. A split is shown on
both bills and copies no hold (CBP Trade Act FAQ, vessel mode, section 26, does not extend a hold to it). Facts rest on
a bill's own holds only: a derived hold is never passed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.decide.cargo_facts import Cargo
from router.decide.status import StandingHold
from router.model.eastern import day_of
from router.model.identifiers import container_key
from router.model.links import (
    CONTAINER,
    MASTER,
    MOST_STOPPING_EVENTS,
    ORIGINAL,
    IndexFact,
    LinkFact,
    bounded_events,
)
from router.model.registry_values import Sailing

SAME_ARRIVAL_DAYS: Final = 7
"""Two bills' dates of one arrival differ by days; the same box is back on the same ship after weeks."""

DERIVED: Final = frozenset({"BOX", "HOUSE"})

Voyage = tuple[str | None, str | None, str | None]
"""Sailing id, IMO number and arrival date, which tell one ship's voyage from another."""

_NO_VOYAGE: Final[Voyage] = (None, None, None)


def facts_of(bill: str, cargo: Cargo, holds: tuple[StandingHold, ...], sailing: Sailing | None) -> dict[str, IndexFact]:
    """All facts of a bill for the index now, by index key."""
    shipment = cargo.shipment
    own = [hold for hold in holds if hold.kind not in DERIVED]
    voyage = (sailing.sailing_id if sailing else None, shipment.imo_number, shipment.arrival_date)
    containers = {container_key(number) for number in shipment.container_numbers}
    containers |= {hold.container_number for hold in own if hold.container_number}
    in_every = [hold for hold in own if hold.container_number is None and hold.do_not_load]
    in_one: dict[str, list[StandingHold]] = {}
    for hold in own:
        if hold.container_number is not None:
            in_one.setdefault(hold.container_number, []).append(hold)
    facts = {}
    for container in sorted(containers):
        stopping = in_every + in_one.get(container, [])
        facts[f"{CONTAINER}:{container}"] = _fact(f"{CONTAINER}:{container}", bill, stopping, voyage)
    if shipment.master_bill:
        key = f"{MASTER}:{shipment.master_bill}"
        facts[key] = _fact(key, bill, own, _NO_VOYAGE)
    if shipment.original_bill:
        key = f"{ORIGINAL}:{shipment.original_bill}"
        facts[key] = _fact(key, bill, [], _NO_VOYAGE)
    return facts


def _fact(key: str, bill: str, stopping: list[StandingHold], voyage: Voyage) -> IndexFact:
    if not stopping:
        return IndexFact(key, bill, True, False, False, None, *voyage)
    since = min((hold.placed for hold in stopping if hold.placed is not None), default=None)
    do_not_load = any(hold.do_not_load for hold in stopping)
    events = bounded_events(event for hold in stopping for event in hold.events)
    return IndexFact(key, bill, True, True, do_not_load, since, *voyage, events)


def alias_facts(bill: str, aliases: Iterable[str]) -> dict[str, IndexFact]:
    """Facts by which a bill gets the index's links to the paper bills that were filed as it."""
    keys = [f"{kind}:{alias}" for alias in aliases for kind in (MASTER, ORIGINAL)]
    return {key: IndexFact(key, bill, True, alias=True) for key in keys}


def changed_facts(published: Mapping[str, IndexFact], facts: Mapping[str, IndexFact]) -> tuple[IndexFact, ...]:
    """Facts to publish: those that are new or changed, and withdrawals."""
    changed = [fact for key, fact in facts.items() if published.get(key) != fact]
    gone = [fact._replace(present=False) for key, fact in published.items() if key not in facts]
    return (*changed, *gone)


class Answer(NamedTuple):
    """The index's latest answer to a bill under one key."""

    stopped: bool = False
    do_not_load: bool = False
    since: int | None = None
    events: tuple[str, ...] = ()


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

    def copy(self) -> IndexGroup:
        return IndexGroup(self.entries.copy(), self.stopping.copy(), self.deciding, self.aliases.copy())

    def enter(self, fact: IndexFact) -> None:
        """Enter a bill's fact. `answer` computes the consequences."""
        old = self.before.setdefault(fact.bill, self.entries.get(fact.bill))
        if fact.present:
            self.put(IndexEntry(fact, old.answer if old else Answer()))
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
    """Keep the oldest that fill a link's events, and two do-not-loads: a bill never counts its own hold, so one of each
    may be excluded."""
    ordered = sorted(facts, key=_age)
    do_not_load = [fact for fact in ordered if fact.do_not_load]
    return tuple(dict.fromkeys((*ordered[: MOST_STOPPING_EVENTS + 2], *do_not_load[:2])))


def _age(fact: IndexFact) -> tuple[bool, int, str]:
    return fact.since is None, fact.since or 0, fact.bill


def answer(group: IndexGroup, key: str) -> tuple[dict[str, IndexEntry | None], list[LinkFact]]:
    """Changed entries by bill (None: withdrawn) and links to write, for all facts entered since the previous call.

    Called once for many facts, since a thousand of them on one box would otherwise answer all others a thousand times;
    and before a fact that `would_hide` a stop.
    """
    before = group.before
    changed, links = _answer_group(group, key)
    if not key.startswith(CONTAINER):
        links += _links_of_aliases(group, key, before, links)
    return changed, links


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
        standing = [_split_link(paper, bill) for bill in sorted(group.entries.keys() - group.aliases)]
    copies += [link._replace(bill=bill) for bill in sorted(new) for link in standing]
    return copies + [LinkFact(bill, link.key, link.kind, False) for bill in sorted(gone) for link in standing]


def _answer_group(group: IndexGroup, key: str) -> tuple[dict[str, IndexEntry | None], list[LinkFact]]:
    kind, _, subject = key.partition(":")
    before, decided = group.before, group.deciding
    group.before = {}
    group.decide()
    changed = {bill: group.entries.get(bill) for bill in before}
    if kind == CONTAINER:
        # Sorted, because the order of entries in memory depends on the latest restore.
        concerned = list(before) if decided == group.deciding else sorted(group.entries)
        left = (bill for bill, old in before.items() if old and old.answer.stopped and bill not in group.entries)
        links = [LinkFact(bill, key, "BOX", False) for bill in left]
        return changed, [*links, *_answer_all(group, key, concerned, changed)]
    if kind == MASTER:
        is_news = _answer(group.deciding.get(_NO_VOYAGE, ())) != _answer(decided.get(_NO_VOYAGE, ()))
        return changed, [_house_link(group, key)] if is_news else []
    if kind == ORIGINAL:
        splits = (
            (bill, entry is not None) for bill, entry in changed.items() if (before[bill] is None) != (entry is None)
        )
        known = group.aliases | {bill for bill, old in before.items() if old is not None and old.fact.alias}
        return changed, [_split_link(subject, bill, now) for bill, now in splits if bill not in known]
    return changed, []


def _house_link(group: IndexGroup, key: str) -> LinkFact:
    return _link(key.partition(":")[2], key, "HOUSE", _answer(group.deciding.get(_NO_VOYAGE, ())))


def _split_link(original: str, split: str, active: bool = True) -> LinkFact:
    return LinkFact(original, f"split:{split}", "SPLIT", active, other_bill=split)


def _answer_all(group: IndexGroup, key: str, bills: list[str], changed: dict[str, IndexEntry | None]) -> list[LinkFact]:
    """Links to those bills whose answer changed."""
    links = []
    alike: dict[Voyage, list[IndexFact]] = {}
    for bill in bills:
        entry = group.entries.get(bill)
        if entry is None:
            continue
        voyage = _voyage(entry.fact)
        if voyage not in alike:
            same = (facts for facts in group.deciding.values() if same_voyage(facts[0], entry.fact))
            alike[voyage] = sorted((fact for facts in same for fact in facts), key=_age)
        answer = _answer([other for other in alike[voyage] if other.bill != bill])
        if answer != entry.answer:
            changed[bill] = group.entries[bill] = entry._replace(answer=answer)
            links.append(_link(bill, key, "BOX", answer))
    return links


def _answer(stopping: Sequence[IndexFact]) -> Answer:
    """The answer that facts give, the oldest first."""
    since = min((fact.since for fact in stopping if fact.since is not None), default=None)
    events = bounded_events(event for fact in stopping for event in fact.events)
    return Answer(bool(stopping), any(fact.do_not_load for fact in stopping), since, events)


def _link(bill: str, key: str, kind: str, answer: Answer) -> LinkFact:
    return LinkFact(bill, key, kind, answer.stopped, answer.do_not_load, answer.since, events=answer.events)


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
