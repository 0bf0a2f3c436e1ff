"""Judges a run whole, from its folder alone, in time linear in its events: bills' lives are short, and apart.

* The notices on the parties' topics, those read of a deleted topic before it among them, are compared with a replay of
  the timeline (tests/checking/replay.py): each there once, in order per bill and party, and no other.
* The timeline is compared with what was fed: each event is decided once, each filing at all, and nothing else.
* Each bill's status at the end, and what each party was told of it last, are compared with those of a router in memory
  (tests/checking/harness.py) that took in the same messages and suffered nothing.
"""

from __future__ import annotations

import multiprocessing
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Set
from itertools import pairwise
from typing import Any, Final, NamedTuple

from benchmarks.soak.lives import Told, sailings
from benchmarks.soak.state import Deleted, RunFolder
from router import codec, topics
from router.decide.identity import event_key, key_of
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.log.interface import Record
from router.model.inputs import Disposition
from router.model.registry_values import party_topic
from router.task.input_records import apply_registry_record
from router.task.outputs import timeline_fields
from tests.checking.harness import Harness
from tests.checking.replay import check
from tests.checking.routine import PARTIES

PROCESSES: Final = 2
PORTIONS: Final = 16
UNKNOWN_END_SECONDS: Final = 60
"""Assumed duration of a deletion during which the run itself was killed."""

Place = tuple[str, str]
"""A party's topic and a bill."""


class BillAsTold(NamedTuple):
    """The bill as the party's last notice has it."""

    status: str | None
    do_not_load: bool
    holds: tuple[str, ...]


TOLD_NOTHING: Final = BillAsTold(None, False, ())
Last = dict[Place, BillAsTold]


class Verdict(NamedTuple):
    figures: dict[str, Any]
    violations: list[str]


class Evidence(NamedTuple):
    """All that was read, and what may be missing from it."""

    timeline: list[Record]
    notices: list[Record]
    gone: list[Deleted]
    registry: list[Record]

    def may_be_gone(self, entry: Record, recipient: str) -> bool:
        """True for a notice written while its topic was being deleted, after the topic had been read."""
        topic = party_topic(recipient)
        return any(one.topic == topic and one.since <= entry.timestamp <= one.until for one in self.gone)

    def portion(self, number: int) -> Evidence:
        """The bills of one portion."""
        return self._replace(
            timeline=[record for record in self.timeline if _portion_of(record) == number],
            notices=[record for record in self.notices if _portion_of(record) == number],
        )


_evidence: Evidence
"""Evidence of the run being judged: forked processes find it here."""


def judge(folder: RunFolder) -> Verdict:
    global _evidence
    _evidence = evidence_of(folder)
    fed = list(folder.fed())
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        undisturbed = pool.apply_async(replay_undisturbed, (fed, _began(_evidence)))
        portions = pool.imap_unordered(judge_portion, range(PORTIONS))
        violations: list[str] = []
        gone: list[Place] = []
        for faults, missing in portions:
            violations += faults
            gone += missing
        violations += unlike_fed(fed, _evidence.timeline)
        violations += unlike_undisturbed(*undisturbed.get(), _evidence, set(gone))
    if waiting := _still_waiting(folder.kept(topics.WAITING)):
        violations += [f"{bill}: still waits, {reasons}" for bill, reasons in waiting.items()]
    events = {_identity(record) for record in fed if isinstance(record, Disposition)}
    figures = {
        "records_fed": len(fed),
        "events": len(events),
        "bills": len({key_of(record) for record in fed}),
        "decisions": len(_evidence.timeline),
        "notices": len(_evidence.notices),
        "gone_with_deleted_topics": len(gone),
    }
    return Verdict(figures, violations)


def evidence_of(folder: RunFolder) -> Evidence:
    """Everything read, as if no topic had been deleted: offsets go on after those of a deleted topic."""
    lives: dict[str, list[list[Record]]] = defaultdict(list)
    gone: list[Deleted] = folder.deleted()
    for one in gone:
        lives[one.topic].append(one.records)
    for topic, records in _by_topic(folder.kept("notices")).items():
        lives[topic].append(records)
    notices: list[Record] = []
    for parts in lives.values():
        base = 0
        for records, after in pairwise([*parts, []]):
            if records and records[0] in after:
                continue  # it wasn't deleted, and was read once more
            notices += [record._replace(offset=base + record.offset) for record in records]
            base += records[-1].offset + 1 if records else 0
    gone = [one._replace(until=one.until or one.since + UNKNOWN_END_SECONDS * 1000) for one in gone]
    return Evidence(folder.kept(topics.TIMELINE), notices, gone, folder.kept(topics.REGISTRY))


def judge_portion(number: int) -> tuple[list[str], list[Place]]:
    """Violations, and the places of missing notices that may have gone with a deleted topic."""
    portion = _evidence.portion(number)
    gone: list[Place] = []

    def may_be_gone(entry: Record, recipient: str) -> bool:
        is_gone = portion.may_be_gone(entry, recipient)
        if is_gone:
            gone.append((party_topic(recipient), entry.key.decode()))
        return is_gone

    registry = Registry()
    for record in portion.registry:
        apply_registry_record(registry, record)
    violations = check(portion.timeline, portion.notices, Rules(), may_be_gone, registry)
    return violations, gone


def unlike_fed(fed: Iterable[Told], timeline: Iterable[Record]) -> Iterator[str]:
    """Events lost, decided twice or never fed; filings lost."""
    decided: Counter[tuple[str, str, int]] = Counter()
    filed: set[str] = set()
    for record in timeline:
        entry = timeline_fields(record.value or b"")
        if entry["cause"] == "DISPOSITION" and not entry["duplicate"]:
            decided[entry["bill"], entry["disposition_code"], entry["action_at"]] += 1
        elif entry["cause"] == "FILING":
            filed.add(entry["bill"])
    wanted = {_identity(record) for record in fed if isinstance(record, Disposition)}
    yield from (f"lost: {event}" for event in wanted if not decided[event])
    yield from (f"decided {count} times: {event}" for event, count in decided.items() if count > 1)
    yield from (f"never fed: {event}" for event in decided if event not in wanted)
    filings = {key_of(record) for record in fed if not isinstance(record, Disposition)}
    yield from (f"filing lost: {bill}" for bill in filings - filed)


def replay_undisturbed(fed: list[Told], began: int) -> tuple[dict[str, str | None], Last]:
    """Each bill's status, and what each party was told of it last, by a router that suffers nothing."""
    harness = Harness(1, now=began)
    harness.roster(*PARTIES, *sailings())
    for first in range(0, len(fed), 500):
        harness.feed(*fed[first : first + 500])
        harness.pump()
    bills = {key_of(record) for record in fed}
    return {bill: harness.status(bill) for bill in bills}, _last_told(harness.party_records())


def unlike_undisturbed(
    statuses: dict[str, str | None], told: Last, evidence: Evidence, gone: Set[Place]
) -> Iterator[str]:
    """Bills that end otherwise, and parties that believe otherwise of a bill. Nothing is said of `gone` places."""
    last: dict[str, str | None] = {}
    for record in sorted(evidence.timeline, key=lambda one: (one.partition, one.offset)):
        last[record.key.decode()] = timeline_fields(record.value or b"")["status"]
    for bill, status in statuses.items():
        if last.get(bill) != status:
            yield f"{bill}: ends as {last.get(bill)}, undisturbed as {status}"
    really = _last_told(evidence.notices)
    for place in (told.keys() | really.keys()) - gone:
        was, wanted = really.get(place, TOLD_NOTHING), told.get(place, TOLD_NOTHING)
        if place not in really or place not in told:
            # A master hears of a house's hold only if the house names it before the hold is over.
            was, wanted = was._replace(status=None), wanted._replace(status=None)
        if was != wanted:
            yield f"{place[1]}: {place[0]} was told last {was}, undisturbed {wanted}"


def _last_told(notices: Iterable[Record]) -> Last:
    """Holds that stand; for the bill's issuer also its status. Others may be told of holds only, and how they learn of
    the rest depends on the order of what came out of order."""
    last: Last = {}
    for record in sorted(notices, key=lambda one: (one.topic, one.offset)):
        _, fields = codec.decode(record.value or b"")
        bill = record.key.decode()
        holds = tuple(sorted(hold["code"] or hold["kind"] for hold in fields["holds"]))
        status = fields["status"] if record.topic == party_topic(bill[:4]) else None
        last[record.topic, bill] = BillAsTold(status, fields["do_not_load"], holds)
    return last


def _still_waiting(records: Iterable[Record]) -> dict[str, str]:
    """Bills whose recipients could not be notified: of all that are fed here none should be left."""
    live = {record.key: record.value for record in sorted(records, key=lambda one: (one.partition, one.offset))}
    decoded = ((key.decode(), codec.decode(value)[1]) for key, value in live.items() if value is not None)
    return {key: f"{fields['reasons']}, {fields['parties']}" for key, fields in decoded if fields["parties"]}


def _identity(event: Disposition) -> tuple[str, str, int]:
    return event_key(event), event.disposition_code, event.action_at


def _began(evidence: Evidence) -> int:
    return min((record.timestamp for record in evidence.timeline), default=0)


def _by_topic(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.topic].append(record)
    return found


def _portion_of(record: Record) -> int:
    return zlib.crc32(record.key) % PORTIONS
