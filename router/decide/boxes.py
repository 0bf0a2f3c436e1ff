"""What crosses bills: what a bill says to the index, and what the index answers.

A box is stopped, for every bill in it, by a do-not-load on any bill that names it and by any hold on the container
itself; other holds of one bill don't stop the others. A master is held while any of its houses is. A split shows on
both bills and copies no hold (CBP Trade Act FAQ, vessel mode, section 26 doesn't say that one passes). Only a
bill's own holds are said: a derived hold is never passed on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.decide.bill_state import BillState
from router.decide.cargo_facts import Cargo
from router.decide.registry import near
from router.decide.status import Assessment, StandingHold
from router.model.identifiers import container_key
from router.model.links import CONTAINER, MASTER, ORIGINAL, IndexFact, LinkFact
from router.model.registry_values import Sailing

SAME_ARRIVAL_DAYS: Final = 7
"""Dates of one arrival, as two bills give them, differ by days; the same box on the same ship again, by weeks."""

DERIVED: Final = frozenset({"BOX", "HOUSE"})


def facts_of(state: BillState, known: Cargo, after: Assessment, sailing: Sailing | None) -> dict[str, IndexFact]:
    """Everything the bill has to say to the index now, by index key."""
    own = [hold for hold in after.holds if hold.kind not in DERIVED]
    where = (sailing.sailing_id if sailing else None, known.imo_number, known.arrival_date)
    containers = {container_key(number) for number in known.container_numbers}
    containers |= {hold.container_number for hold in own if hold.container_number}
    in_every = [hold for hold in own if hold.container_number is None and hold.do_not_load]
    in_one: dict[str, list[StandingHold]] = {}
    for hold in own:
        if hold.container_number is not None:
            in_one.setdefault(hold.container_number, []).append(hold)
    facts = {}
    for container in sorted(containers):
        stopping = in_every + in_one.get(container, [])
        facts[f"{CONTAINER}:{container}"] = _fact(f"{CONTAINER}:{container}", state.key, stopping, where)
    if known.master_bill:
        key = f"{MASTER}:{known.master_bill}"
        facts[key] = _fact(key, state.key, own, (None, None, None))
    if known.original_bill:
        key = f"{ORIGINAL}:{known.original_bill}"
        facts[key] = _fact(key, state.key, [], (None, None, None))
    return facts


def _fact(
    key: str, bill: str, stopping: list[StandingHold], where: tuple[str | None, str | None, str | None]
) -> IndexFact:
    if not stopping:
        return IndexFact(key, bill, True, False, False, None, *where)
    since = min((hold.placed for hold in stopping if hold.placed is not None), default=None)
    do_not_load = any(hold.do_not_load for hold in stopping)
    return IndexFact(key, bill, True, True, do_not_load, since, *where)


def changed_facts(said: dict[str, IndexFact], facts: dict[str, IndexFact]) -> tuple[IndexFact, ...]:
    """The facts that are new or changed, and those to be taken back."""
    changed = [fact for key, fact in facts.items() if said.get(key) != fact]
    gone = [fact._replace(present=False) for key, fact in said.items() if key not in facts]
    return (*changed, *gone)


class Answer(NamedTuple):
    """What a bill was last told under an index key."""

    stopped: bool = False
    do_not_load: bool = False
    since: int | None = None


class IndexEntry(NamedTuple):
    fact: IndexFact
    answer: Answer


Where = tuple[str | None, str | None, str | None]
"""What tells one ship's voyage from another: sailing, IMO number, arrival date."""


@dataclass(slots=True)
class IndexGroup:
    """What all bills said under one key, and what they were answered."""

    entries: dict[str, IndexEntry] = field(default_factory=dict)
    """By bill."""
    stopping: dict[str, IndexFact] = field(default_factory=dict)
    """Those facts that stop something."""
    deciding: dict[Where, tuple[IndexFact, ...]] = field(default_factory=dict)
    """Of those that stopped when bills were last answered, by where they are, the few that decided what the others are
    told: so that a key with thousands of bills, all stopped, costs no more than one with ten."""
    before: dict[str, IndexEntry | None] = field(default_factory=dict)
    """The bills that said something since, with their entries as they were. None: there was none."""

    def copy(self) -> IndexGroup:
        return IndexGroup(self.entries.copy(), self.stopping.copy(), self.deciding)

    def enter(self, fact: IndexFact) -> None:
        """What a bill says now; bills are told by `answer`."""
        old = self.before.setdefault(fact.bill, self.entries.get(fact.bill))
        if fact.present:
            self.put(IndexEntry(fact, old.answer if old else Answer()))
        else:
            self.drop(fact.bill)

    def would_hide(self, fact: IndexFact) -> bool:
        """Whether the fact ends, or weakens, a stop that nobody was told of yet: then `answer` has to come before it.
        Who shares a box hears of its hold also where the lifting is read in the same transaction."""
        now, told = self.stopping.get(fact.bill), self.before.get(fact.bill)
        if now is None or fact.bill not in self.before:
            return False
        untold = told is None or not told.fact.stopped or (now.do_not_load and not told.fact.do_not_load)
        stays = fact.present and fact.stopped and (fact.do_not_load or not now.do_not_load)
        return untold and not stays

    def put(self, entry: IndexEntry) -> None:
        fact = entry.fact
        self.entries[fact.bill] = entry
        if fact.stopped:
            self.stopping[fact.bill] = fact
        else:
            self.stopping.pop(fact.bill, None)

    def drop(self, bill: str) -> None:
        self.entries.pop(bill, None)
        self.stopping.pop(bill, None)

    def decide(self) -> None:
        alike: dict[Where, list[IndexFact]] = {}
        for fact in self.stopping.values():
            alike.setdefault(_where(fact), []).append(fact)
        self.deciding = {where: _deciding(facts) for where, facts in alike.items()}


def _where(fact: IndexFact) -> Where:
    return fact.sailing_id, fact.imo_number, fact.arrival_date


def _deciding(facts: Iterable[IndexFact]) -> tuple[IndexFact, ...]:
    """The two oldest, and the two oldest do-not-loads: whichever bill is asked about, one of each is another's."""
    ordered = sorted(facts, key=_age)
    do_not_load = [fact for fact in ordered if fact.do_not_load]
    return tuple(dict.fromkeys((*ordered[:2], *do_not_load[:2])))


def _age(fact: IndexFact) -> tuple[bool, int, str]:
    return fact.since is None, fact.since or 0, fact.bill


def answer(group: IndexGroup, key: str) -> tuple[dict[str, IndexEntry | None], list[LinkFact]]:
    """What follows from all that was entered since the last time: which entries that changed (by bill; None: gone), and
    what bills are to be told. Once for many facts: else a thousand of them on one box would tell all others a thousand
    times; but before one that would hide a stop (`would_hide`)."""
    kind, _, subject = key.partition(":")
    before, decided = group.before, group.deciding
    group.before = {}
    group.decide()
    changed = {bill: group.entries.get(bill) for bill in before}
    if kind == CONTAINER:
        # By name: in which order entries lie in memory depends on when the task was last restored.
        concerned = list(before) if decided == group.deciding else sorted(group.entries)
        left = (bill for bill, old in before.items() if old and old.answer.stopped and bill not in group.entries)
        links = [LinkFact(bill, key, "BOX", False) for bill in left]
        return changed, [*links, *_answer_all(group, key, concerned, changed)]
    if kind == MASTER and bool(decided) != bool(group.deciding):
        return changed, [LinkFact(subject, key, "HOUSE", bool(group.deciding))]
    if kind == ORIGINAL:
        splits = (
            (bill, entry is not None) for bill, entry in changed.items() if (before[bill] is None) != (entry is None)
        )
        return changed, [LinkFact(subject, f"split:{bill}", "SPLIT", now, other_bill=bill) for bill, now in splits]
    return changed, []


def _answer_all(group: IndexGroup, key: str, bills: list[str], changed: dict[str, IndexEntry | None]) -> list[LinkFact]:
    """Tell each of those bills whose answer is another now."""
    links = []
    alike: dict[Where, list[IndexFact]] = {}
    for bill in bills:
        entry = group.entries.get(bill)
        if entry is None:
            continue
        where = _where(entry.fact)
        if where not in alike:
            same = (facts for facts in group.deciding.values() if same_voyage(facts[0], entry.fact))
            alike[where] = [fact for facts in same for fact in facts]
        answer = _answer([other for other in alike[where] if other.bill != bill])
        if answer != entry.answer:
            changed[bill] = group.entries[bill] = entry._replace(answer=answer)
            links.append(LinkFact(bill, key, "BOX", answer.stopped, answer.do_not_load, answer.since))
    return links


def _answer(stopping: list[IndexFact]) -> Answer:
    since = min((fact.since for fact in stopping if fact.since is not None), default=None)
    return Answer(bool(stopping), any(fact.do_not_load for fact in stopping), since)


def same_voyage(one: IndexFact, other: IndexFact) -> bool:
    """Container numbers come back within weeks: whether two bills mean the same box on the same ship. Where too little
    is known to tell them apart, they count as the same: the safer."""
    if one.sailing_id and other.sailing_id:
        return one.sailing_id == other.sailing_id
    if one.imo_number and other.imo_number and one.imo_number != other.imo_number:
        return False
    return near(one.arrival_date, other.arrival_date, SAME_ARRIVAL_DAYS)
