"""Everything since a time, for the next shift: what was stopped and freed, what is open, and what people did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any, Final, NamedTuple

from router import codec, topics
from router.decide.boxes import DERIVED
from router.decide.codes import CodeTable, Effect
from router.decide.consequences import HistoryEntry
from router.decide.identity import notice_id
from router.decide.notices import HOLD, LINK
from router.decide.rules import Rules
from router.decide.standing_holds import CBP_HOLD
from router.decide.status import DO_NOT_LOAD, HELD
from router.desk.bill_views import read_waiting
from router.desk.downtime import OutageView, outage_fields, read_outages
from router.desk.index_records import LOGGED_IN
from router.desk.operator_deeds import read_dead_letters
from router.desk.receipts import read_receipts
from router.desk.stop_records import CALLED
from router.engine.administration import AuditEntry, read_registry
from router.errors import InputError
from router.log.interface import AdministeredLog, Record
from router.model.eastern import LATEST, iso
from router.model.inputs import DeadLetter
from router.model.registry_values import Party
from router.presentation import plain
from router.task.outputs import TIMELINE_ENTRY

RELEASED: Final = "RELEASED"
STOPPED: Final = (DO_NOT_LOAD, HELD)
BY_THE_ROUTER: Final = "router"
NOT_THERE: Final = "the notice is not on its topic any more"


class Reading(NamedTuple):
    """One recipient's reading of one notice, as far as it is known."""

    recipient: str
    read: bool | None
    """None: unknown."""
    reason: str | None = None
    """Why it is unknown, or why the recipient has got none."""


class Stopped(NamedTuple):
    """A do-not-load that began to stand on a bill, and who has read of it."""

    bill: str
    at: int
    """When it was decided here, UTC milliseconds."""
    posted_at: int | None
    """When CBP posted it, UTC milliseconds."""
    code: str | None
    status_now: str
    stands: bool
    """False if it has ended within the stretch."""
    recipients: tuple[Reading, ...]


class HoldChange(NamedTuple):
    """A hold that began to stand on a bill, or ended."""

    bill: str
    at: int
    posted_at: int | None
    hold: str | None
    """`kind:code:container:quantity`, as in the history. None: all that stood, which the stretch does not name."""
    status: str
    """The bill's status afterwards."""
    cause: str


class Freed(NamedTuple):
    """A bill that became `RELEASED`, or is it no more."""

    bill: str
    at: int
    posted_at: int | None
    code: str | None
    revoked: bool
    status: str
    cause: str


class Handover(NamedTuple):
    """Events from `since` up to `until`, and all that is open now. Each list is in order of time."""

    since: int
    until: int
    do_not_loads: tuple[Stopped, ...]
    placed: tuple[HoldChange, ...]
    ended: tuple[HoldChange, ...]
    releases: tuple[Freed, ...]
    outages: tuple[OutageView, ...]
    """Outages of the stretch, and all that are open."""
    waiting: tuple[dict[str, Any], ...]
    """All bills that wait now, as in `schemas/waiting.avsc`."""
    dead_letters: tuple[DeadLetter, ...]
    """All that are open now."""
    deeds: tuple[AuditEntry, ...]
    """By people; without log-ins and calls."""
    calls: tuple[AuditEntry, ...]


async def read_handover(log: AdministeredLog, rules: Rules, since: int, until: int) -> Handover:
    """Read the stretch from the log. What is open (outages, waiting, dead letters) is as of now. Raises LogError."""
    changes = _Changes(rules.codes)
    async for record in _written(log, topics.TIMELINE, since, until):
        try:
            changes.add(TIMELINE_ENTRY.decode(record.value or b"").history, record.timestamp)
        except InputError:
            continue  # `audit verify` finds it
    audit = [AuditEntry(**codec.decode(record.value)[1]) async for record in _written(log, topics.AUDIT, since, until)
             if record.value is not None]  # fmt: skip
    people = [one for one in sorted(audit, key=_time) if one.by != BY_THE_ROUTER]
    people = [one for one in people if not one.action.startswith(LOGGED_IN)]
    calls = tuple(one for one in people if one.action == CALLED)
    outages = [one for one in await read_outages(log) if _concerns(one, since, until)]
    letters = [one for one in await read_dead_letters(log) if one.resolution is None]
    return Handover(
        since,
        until,
        tuple(await _with_readings(log, changes, since)),
        tuple(sorted(changes.placed, key=_time)),
        tuple(sorted(changes.ended, key=_time)),
        tuple(sorted(changes.releases, key=_time)),
        tuple(reversed(outages)),
        tuple(await read_waiting(log)),
        tuple(letters),
        tuple(one for one in people if one not in calls),
        calls,
    )


def _concerns(view: OutageView, since: int, until: int) -> bool:
    ended_at = view.outage.ended_at
    return view.outage.began_at < until and (ended_at is None or ended_at >= since)


async def _written(log: AdministeredLog, topic: str, since: int, until: int) -> AsyncIterator[Record]:
    """Records of a topic written in the stretch, each partition in order."""
    begin = {(topic, partition): offset for partition, offset in (await log.offsets_at(topic, since)).items()}
    async for batch in log.read([topic], until_end=True, begin=begin):
        for record in batch:
            if since <= record.timestamp < until:
                yield record


class _Changes:
    """Changes that decisions made to each bill. A bill's decisions come in their order."""

    def __init__(self, codes: CodeTable) -> None:
        self.codes = codes
        self.do_not_loads: list[tuple[HistoryEntry, int]] = []
        self.placed: list[HoldChange] = []
        self.ended: list[HoldChange] = []
        self.releases: list[Freed] = []
        self.latest: dict[str, HistoryEntry] = {}
        """The latest decision of each bill in the stretch."""

    def add(self, entry: HistoryEntry, at: int) -> None:
        bill = entry.bill
        if ":" in bill:  # the history of a vessel or an outage
            return
        before = self.latest.get(bill)
        self.placed += [_hold_change(entry, at, hold) for hold in self._placed(entry, before)]
        self.ended += [_hold_change(entry, at, hold) for hold in self._ended(entry, before)]
        if entry.do_not_load and not self._stood(entry, before):
            self.do_not_loads.append((entry, at))
        was, status = entry.status_before, entry.status
        if RELEASED in (was, status) and was != status:
            self.releases.append(
                Freed(bill, at, entry.action_at, entry.disposition_code, was == RELEASED, status, entry.cause)
            )
        self.latest[bill] = entry

    def _stood(self, entry: HistoryEntry, before: HistoryEntry | None) -> bool:
        """True if a do-not-load stood before the decision. Of the first decision of a stretch the history has only the
        status before it: on a held bill the do-not-load is new if the decision's own code or another bill placed it."""
        if before is not None:
            return bool(before.do_not_load)
        if entry.status_before != HELD:
            return bool(entry.status_before == DO_NOT_LOAD)
        code = self.codes.get(entry.disposition_code or "")
        return not (code.do_not_load if code is not None else _is_stop_of_another_bill(entry))

    def _placed(self, entry: HistoryEntry, before: HistoryEntry | None) -> list[str]:
        holds = entry.holds
        if before is not None:
            return [hold for hold in holds if hold not in before.holds]
        status = entry.status_before
        if status is not None and status not in STOPPED:
            return list(holds)
        is_new = status is None  # of a bill known by links alone, too, which may have had derived holds
        return [
            hold
            for hold in holds
            for kind, code, *_ in [hold.split(":")]
            if (_is_stop_of_another_bill(entry) if kind in DERIVED else is_new or code == entry.disposition_code)
        ]

    def _ended(self, entry: HistoryEntry, before: HistoryEntry | None) -> list[str | None]:
        if before is not None:
            return [hold for hold in before.holds if hold not in entry.holds]
        if entry.status_before not in STOPPED:
            return []
        if not entry.holds:
            return [None]
        code = self.codes.get(entry.disposition_code or "")
        standing = {hold.split(":")[1] for hold in entry.holds}
        lifted = code.pair - standing if code is not None and code.effect == Effect.LIFT else frozenset()
        return [f"{CBP_HOLD}:{one}::" for one in lifted] if len(lifted) == 1 else []


def _is_stop_of_another_bill(entry: HistoryEntry) -> bool:
    """True for a decision that another bill caused and of which somebody got a Hold."""
    return entry.cause == LINK and any(one.kind == HOLD for one in entry.notified)


def _hold_change(entry: HistoryEntry, at: int, hold: str | None) -> HoldChange:
    return HoldChange(entry.bill, at, entry.action_at, hold, entry.status, entry.cause)


async def _with_readings(log: AdministeredLog, changes: _Changes, since: int) -> list[Stopped]:
    """The do-not-loads with the recipients of each decision that placed one."""
    registry = await read_registry(log)
    wanted: dict[str, set[str]] = {}
    for entry, _ in changes.do_not_loads:
        for one in entry.notified:
            wanted.setdefault(one.recipient, set()).add(entry.bill)
    parties = {id: registry.parties[id] for id in wanted if id in registry.parties}
    receipts = await read_receipts(log, parties.values())
    there = await log.topics()
    offsets: dict[str, int] = {}
    for id, party in parties.items():
        if party.topic in there:
            offsets |= await _offsets(log, party, wanted[id], since)

    def reading(entry: HistoryEntry, party: str) -> Reading:
        receipt, offset = receipts.get(party), offsets.get(notice_id(entry.decision_id, party))
        if receipt is None or receipt.unknown is not None:
            return Reading(party, None, receipt.unknown if receipt is not None else "the party is not registered")
        return Reading(party, None, NOT_THERE) if offset is None else Reading(party, receipt.has_read(offset))

    stopped = []
    for entry, at in changes.do_not_loads:
        latest = changes.latest[entry.bill]
        notified = [reading(entry, one.recipient) for one in entry.notified]
        named = [one.partition(":") for one in entry.waiting]
        waiting = [Reading(party, False, reason) for reason, _, party in named if party]
        stopped.append(
            Stopped(
                entry.bill, at, entry.action_at, entry.disposition_code, latest.status,
                latest.do_not_load, (*notified, *waiting),
            )
        )  # fmt: skip
    return sorted(stopped, key=_time)


async def _offsets(log: AdministeredLog, party: Party, bills: Collection[str], since: int) -> dict[str, int]:
    """Offsets of the party's notices about these bills, by notice id."""
    keys = {bill.encode() for bill in bills}
    offsets: dict[str, int] = {}
    async for record in _written(log, party.topic, since, LATEST):
        if record.key in keys and record.value is not None:
            try:
                kind, notice = codec.decode(record.value)
            except InputError:
                continue  # `unread` shows it
            if kind in codec.NOTICE_KINDS:
                offsets[notice["notice_id"]] = record.offset
    return offsets


def _time(one: Stopped | HoldChange | Freed | AuditEntry) -> int:
    return one.at


def section_rows(handover: Handover) -> dict[str, list[dict[str, Any]]]:
    """The handover as rows of JSON fields, by section; times are ISO 8601 in UTC."""
    return {
        "do_not_load": [_stopped_fields(one) for one in handover.do_not_loads],
        "hold_placed": [_fields(one) for one in handover.placed],
        "hold_ended": [_fields(one) for one in handover.ended],
        "release": [_fields(one) for one in handover.releases],
        "outage": [outage_fields(one) for one in handover.outages],
        "waiting": list(handover.waiting),
        "dead_letter": [_letter_fields(one) for one in handover.dead_letters],
        "deed": [_fields(one) for one in handover.deeds],
        "call": [_fields(one) for one in handover.calls],
    }


def _fields(one: HoldChange | Freed | AuditEntry | Stopped) -> dict[str, Any]:
    fields = one._asdict()
    for name in ("at", "posted_at"):
        if fields.get(name) is not None:
            fields[name] = iso(fields[name])
    return fields


def _stopped_fields(one: Stopped) -> dict[str, Any]:
    fields = _fields(one)
    del fields["recipients"]
    by_reading: dict[bool | None, list[Reading]] = {True: [], False: [], None: []}
    for reading in one.recipients:
        by_reading[reading.read].append(reading)
    return fields | {
        "read_by": [reading.recipient for reading in by_reading[True]],
        "not_read_by": [f"{reading.recipient}{_why(reading)}" for reading in by_reading[False]],
        "unknown_of": [reading.recipient for reading in by_reading[None]],
        "unknown_because": list(dict.fromkeys(filter(None, (reading.reason for reading in by_reading[None])))),
    }


def _why(reading: Reading) -> str:
    return f" ({reading.reason})" if reading.reason else ""


def _letter_fields(letter: DeadLetter) -> dict[str, Any]:
    fields = plain("dead-letter", letter._asdict())
    del fields["content"]
    return fields
