"""Unread notices that stop cargo, for the duty officer; and alerts for operators, on `snp.alerts`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router import codec, topics
from router.decide.notices import HOLD, NO_LONGER_NOTIFIED
from router.decide.registry import Registry
from router.desk.receipts import Receipt, read_receipts
from router.errors import InputError
from router.log.interface import AdministeredLog, Output, Record
from router.model.eastern import CLOCKS_DIFFER, DAY, MINUTE
from router.model.registry_values import Party
from router.task.certification import SAMPLE_PREFIX

DO_NOT_LOAD: Final = "UNREAD_DO_NOT_LOAD"
HELD: Final = "UNREAD_HOLD"
NOT_DELIVERABLE: Final = "UNREAD_NOT_DELIVERABLE"
"""A release that no longer counts; a party that has not read so still believes in it."""

READING_UNKNOWN: Final = "READING_UNKNOWN"
"""A party's offset that can't be believed, so its stops raise no alerts."""

PHRASES: Final = {
    DO_NOT_LOAD: "the do-not-load on {}",
    HELD: "the hold on {}",
    NOT_DELIVERABLE: "that {} may no longer be delivered",
}

ENDED_DAYS: Final = 7
"""Days for which an ended alert stays visible."""


class Stop(NamedTuple):
    """A bill that its party must not load or not deliver, and the party has not read it."""

    bill: str
    kind: str
    """`UNREAD_DO_NOT_LOAD`, `UNREAD_HOLD` or `UNREAD_NOT_DELIVERABLE`."""
    since: int
    """When the notice was written. UTC milliseconds."""
    notice_id: str
    was_released: bool
    """A release was posted before, so the party may believe in it."""

    def age(self, now: int) -> int:
        """Milliseconds since the notice was written.

        A day if the notice is dated later than clocks may differ: an alert must not wait for a wrong clock.
        """
        return now - self.since if self.since <= now + CLOCKS_DIFFER else DAY


NONE_NOTED: Final = 2**62
"""Beyond every offset."""


@dataclass(slots=True)
class UnreadNotices:
    """Notices that one party has not read."""

    party: Party
    receipt: Receipt
    notices: int = 0
    bills: set[str] = field(default_factory=set)
    """Bills with at least one unread notice."""
    stops: dict[str, Stop] = field(default_factory=dict)
    """By bill."""
    noted_to: int = NONE_NOTED
    """The offset up to which unread notices are noted already."""
    noted: list[tuple[int, str]] = field(default_factory=list)
    """Offsets and ids of the first unread notice, and of those beyond `noted_to`."""

    def count(self, kind: str) -> int:
        return sum(stop.kind == kind for stop in self.stops.values())

    @property
    def is_known(self) -> bool:
        return self.receipt.unknown is None

    @property
    def do_not_loads(self) -> list[Stop]:
        return [stop for stop in self.stops.values() if stop.kind == DO_NOT_LOAD]

    @property
    def oldest(self) -> int | None:
        return min((stop.since for stop in self.stops.values()), default=None)

    def add(self, record: Record) -> None:
        """Count a record of the party's topic, unless it is read or a sample. Records come in the topic's order."""
        if self.receipt.has_read(record.offset) or (record.value is None and record.fault is None):
            return
        try:
            kind, notice = codec.decode(record.value or b"")
        except InputError as error:
            self._give_up(f"{record.place} can't be read: {record.fault or error.reason}")
            return
        if kind not in codec.NOTICE_KINDS:
            self._give_up(f"{record.place} is no notice")
            return
        if notice["notice_id"].startswith(SAMPLE_PREFIX):
            return
        self.notices += 1
        if record.offset > self.noted_to or self.notices == 1:
            self.noted.append((record.offset, notice["notice_id"]))
        bill = record.key.decode()
        self.bills.add(bill)
        stop = stop_after(self.stops.get(bill), bill, kind, notice, record.timestamp)
        if stop is None:
            self.stops.pop(bill, None)
        else:
            self.stops[bill] = stop

    def _give_up(self, reason: str) -> None:
        self.receipt = Receipt(unknown=reason, disbelieved=self.receipt.disbelieved)


def stop_after(before: Stop | None, bill: str, kind: str, notice: codec.Fields, at: int) -> Stop | None:
    """Return the stop to call the party about, given that it has not read this notice either.

    None for what is over: a do-not-load that was lifted, a hold after which the bill was released. A release taken
    back stays until there is a new one. So does a hold placed on a released bill, lifted or not: the party still
    believes that it may deliver. A `Change` alone begins no stop.
    """
    if notice["deliverable"] or notice["cause"] == NO_LONGER_NOTIFIED or (before is None and kind != HOLD):
        return None
    released = notice["release_posted_at"] is not None if before is None else before.was_released
    stands = DO_NOT_LOAD if notice["do_not_load"] else HELD if notice["holds"] else NOT_DELIVERABLE
    if stands == NOT_DELIVERABLE and before is not None and before.kind != NOT_DELIVERABLE and not released:
        return None
    new = Stop(bill, stands, at, notice["notice_id"], released or stands == NOT_DELIVERABLE)
    if before is None or (stands == DO_NOT_LOAD and before.kind != DO_NOT_LOAD):
        return new
    return before._replace(kind=stands)


async def read_unread(
    log: AdministeredLog, registry: Registry, noted: Mapping[str, int] | None = None
) -> list[UnreadNotices]:
    """Read the unread notices of every live party, the oldest stop first. Raises LogError.

    Each topic is read from its party's receipt on, and from the start only if the party never committed anything.
    `noted` has, by party, the offset beyond which unread notices are noted; without it none are.
    """
    parties = [party for party in registry.parties.values() if party.status == "live"]
    receipts = await read_receipts(log, parties)
    found = {party.topic: UnreadNotices(party, receipts[party.id]) for party in parties}
    if noted is not None:
        for one in found.values():
            one.noted_to = noted.get(one.party.id, -1)
    begin = {(topic, 0): one.receipt.begin for topic, one in found.items() if one.receipt.unknown is None}
    if begin:
        async for batch in log.read(sorted(topic for topic, _ in begin), until_end=True, begin=begin):
            for record in batch:
                found[record.topic].add(record)
    return sorted(found.values(), key=lambda one: (one.oldest is None, one.oldest, one.party.id))


def sentence(party: Party, stop: Stop, now: int) -> str:
    """Phrase a stop for the duty officer: party, stop, age, contact."""
    minutes = stop.age(now) // MINUTE
    age = f"{minutes} minute{'' if minutes == 1 else 's'}" if minutes < 120 else f"{minutes // 60} hours"
    return f"{party.id} has not read {PHRASES[stop.kind].format(stop.bill)} for {age}; {whom_to_call(party)}"


def unknown_sentence(one: UnreadNotices) -> str:
    """Phrase for the duty officer why a party's reading is unknown."""
    return f"what {one.party.id} has read is unknown: {one.receipt.unknown}; {whom_to_call(one.party)}"


def whom_to_call(party: Party) -> str:
    if party.contact_phone is not None:
        return f"call {party.contact_phone}" + (f" ({party.contact_name})" if party.contact_name else "")
    if party.contact_email is not None:
        return f"no telephone number is registered; write to {party.contact_email}"
    return "no 24-hour contact is registered (`snp-router import parties`)"


# Alerts


class Alert(NamedTuple):
    """An alert for the operators, as in `schemas/alert.avsc`."""

    id: str
    kind: str
    party: str
    bill: str | None
    notice_id: str | None
    since: int
    raised_at: int
    ended_at: int | None
    text: str
    contact_name: str | None = None
    contact_phone: str | None = None
    contact_email: str | None = None


def alert_for(party: Party, id: str, kind: str, since: int, now: int, text: str) -> Alert:
    contact = (party.contact_name, party.contact_phone, party.contact_email)
    return Alert(id, kind, party.id, None, None, since, now, None, text, *contact)


class AlertChanges(NamedTuple):
    """Alerts that one update raised and ended."""

    new: tuple[Alert, ...]
    ended: tuple[Alert, ...]


async def read_alerts(log: AdministeredLog) -> dict[str, Alert]:
    """Read all alerts by id, including those ended within the last `ENDED_DAYS`."""
    alerts: dict[str, Alert] = {}
    async for batch in log.read([topics.ALERTS], until_end=True):
        for record in batch:
            if record.value is None:
                alerts.pop(record.key.decode(), None)
            else:
                alerts[record.key.decode()] = Alert(**codec.decode(record.value)[1])
    return alerts


async def update_alerts(
    log: AdministeredLog, prefix: str, standing: Iterable[Alert], now: int, unknown: Collection[str] = ()
) -> AlertChanges:
    """Raise and end alerts so that those whose id begins with `prefix` are the `standing` ones.

    An alert that stands already is written again only if its kind or its beginning differs. That of an unknown reading
    begins when it is first seen. Alerts about the parties `unknown` do not end.
    """
    before = {id: alert for id, alert in (await read_alerts(log)).items() if id.startswith(prefix)}
    current = {alert.id: alert for alert in standing}
    new = tuple(alert for alert in current.values() if not _stands(before.get(alert.id), alert))
    gone = [alert for id, alert in before.items() if id not in current and alert.party not in unknown]
    ended = tuple(alert._replace(ended_at=now) for alert in gone if alert.ended_at is None)
    old = [alert for alert in gone if alert.ended_at is not None and now - alert.ended_at > ENDED_DAYS * DAY]
    outputs = [
        Output(topics.ALERTS, alert.id.encode(), codec.encode("alert", alert._asdict())) for alert in (*new, *ended)
    ]
    outputs += [Output(topics.ALERTS, alert.id.encode(), None) for alert in old]
    if outputs:
        await log.append(outputs)
    return AlertChanges(new, ended)


def _stands(before: Alert | None, alert: Alert) -> bool:
    if before is None or before.ended_at is not None or before.kind != alert.kind:
        return False
    return alert.kind == READING_UNKNOWN or before.since == alert.since
