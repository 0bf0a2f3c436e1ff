"""What crosses bills: what a bill says to the index, and what the index answers.

A box is stopped, for every bill in it, by a do-not-load on any bill that names it and by any hold on the container
itself; other holds of one bill don't stop the others. A master is held while any of its houses is. A split shows on
both bills and copies no hold (CBP Trade Act FAQ, vessel mode, section 26 doesn't say that one passes). Only a
bill's own holds are said: a derived hold is never passed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from router.decide.facts import Known
from router.decide.identifiers import container_key
from router.decide.state import BillState
from router.decide.status import Assessment, StandingHold
from router.model.facts import CONTAINER, MASTER, ORIGINAL, IndexFact, LinkFact
from router.model.registry import Sailing

DERIVED: Final = frozenset({"BOX", "HOUSE"})


def said_by(state: BillState, known: Known, after: Assessment, sailing: Sailing | None) -> dict[str, IndexFact]:
    """Everything the bill has to say to the index now, by index key."""
    own = [hold for hold in after.holds if hold.kind not in DERIVED]
    where = (sailing.sailing_id if sailing else None, known.imo_number, known.arrival_date)
    containers = {container_key(number) for number in known.container_numbers}
    containers |= {hold.container_number for hold in own if hold.container_number}
    facts = {}
    for container in sorted(containers):
        stopping = [hold for hold in own if _stops_box(hold, container)]
        facts[f"{CONTAINER}:{container}"] = _fact(f"{CONTAINER}:{container}", state.key, stopping, where)
    if known.master_bill:
        key = f"{MASTER}:{known.master_bill}"
        facts[key] = _fact(key, state.key, own, (None, None, None))
    if known.original_bill:
        key = f"{ORIGINAL}:{known.original_bill}"
        facts[key] = _fact(key, state.key, [], (None, None, None))
    return facts


def _stops_box(hold: StandingHold, container: str) -> bool:
    if hold.container_number is not None:
        return hold.container_number == container
    return hold.do_not_load


def _fact(
    key: str, bill: str, stopping: list[StandingHold], where: tuple[str | None, str | None, str | None]
) -> IndexFact:
    since = min((hold.placed for hold in stopping if hold.placed is not None), default=None)
    do_not_load = any(hold.do_not_load for hold in stopping)
    return IndexFact(key, bill, True, bool(stopping), do_not_load, since, *where)


def to_send(said: dict[str, IndexFact], facts: dict[str, IndexFact]) -> tuple[IndexFact, ...]:
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


def enter_fact(entries: dict[str, IndexEntry], fact: IndexFact) -> tuple[dict[str, IndexEntry | None], list[LinkFact]]:
    """What a fact changes among the entries of its key (by bill; None: gone), and what bills are to be told.

    `entries` is not changed. Cost grows with the bills under the key, times those of them that stop it.
    """
    kind = fact.key.partition(":")[0]
    if kind == ORIGINAL:
        return _split(entries, fact)
    old = entries.get(fact.bill)
    changed: dict[str, IndexEntry | None] = {}
    if fact.present:
        changed[fact.bill] = IndexEntry(fact, old.answer if old else Answer())
    elif old is not None:
        changed[fact.bill] = None
    now = {bill: entry for bill, entry in (entries | changed).items() if entry is not None}
    if kind == MASTER:
        return changed, _house(entries, now, fact)
    links = []
    stopping = [entry.fact for entry in now.values() if entry.fact.stopped]
    for bill, entry in now.items():
        answer = _answer([other for other in stopping if other.bill != bill and same_voyage(other, entry.fact)])
        if answer != entry.answer:
            changed[bill] = entry._replace(answer=answer)
            links.append(LinkFact(bill, fact.key, "BOX", answer.stopped, answer.do_not_load, answer.since))
    return changed, links


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
    return not (one.arrival_date and other.arrival_date) or one.arrival_date == other.arrival_date


def _split(entries: dict[str, IndexEntry], fact: IndexFact) -> tuple[dict[str, IndexEntry | None], list[LinkFact]]:
    original = fact.key.partition(":")[2]
    entry = IndexEntry(fact, Answer()) if fact.present else None
    if (fact.bill in entries) == fact.present:
        return {fact.bill: entry}, []
    link = LinkFact(original, f"split:{fact.bill}", "SPLIT", fact.present, other_bill=fact.bill)
    return {fact.bill: entry}, [link]


def _house(entries: dict[str, IndexEntry], now: dict[str, IndexEntry], fact: IndexFact) -> list[LinkFact]:
    """To the master: whether any of its houses is held, and since when."""
    before, after = _answer(list(_held(entries.values()))), _answer(list(_held(now.values())))
    if before == after:
        return []
    master = fact.key.partition(":")[2]
    return [LinkFact(master, fact.key, "HOUSE", after.stopped, after.do_not_load, after.since)]


def _held(entries: Iterable[IndexEntry]) -> Iterator[IndexFact]:
    return (entry.fact for entry in entries if entry.fact.stopped)
