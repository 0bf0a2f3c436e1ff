"""Read receipts: what each party has read, from what its reader committed, and what it has not read that stops cargo.

Counted are records, not offsets: between two offsets of a Kafka topic lie transaction markers too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router import codec
from router.decide.notices import HOLD, NO_LONGER_NOTIFIED
from router.decide.registry import Registry
from router.desk.webhooks import WebhookState, read_webhooks
from router.log.interface import AdministeredLog, Record
from router.model.eastern import CLOCKS_DIFFER, DAY, MINUTE
from router.model.registry_values import Party
from router.task.certification import SAMPLE_PREFIX

DO_NOT_LOAD: Final = "UNREAD_DO_NOT_LOAD"
HELD: Final = "UNREAD_HOLD"
NOT_DELIVERABLE: Final = "UNREAD_NOT_DELIVERABLE"
"""A release that no longer holds: who has not read so still believes it."""

WORDS: Final = {
    DO_NOT_LOAD: "the do-not-load on {}",
    HELD: "the hold on {}",
    NOT_DELIVERABLE: "that {} may no longer be delivered",
}


class Receipt(NamedTuple):
    """How far a party's reader is."""

    next_offset: int = 0
    open: frozenset[int] = frozenset()
    """Offsets before that which were not read."""
    unknown: str | None = None
    """Why nobody can tell; then the rest says nothing."""

    def has_read(self, offset: int) -> bool:
        return self.unknown is None and offset < self.next_offset and offset not in self.open

    @property
    def begin(self) -> int:
        return min((*self.open, self.next_offset))


class Stop(NamedTuple):
    """A bill that its party has not read it must not load, or not deliver."""

    bill: str
    kind: str
    """`UNREAD_DO_NOT_LOAD`, `UNREAD_HOLD` or `UNREAD_NOT_DELIVERABLE`."""
    since: int
    """When the notice was written. UTC milliseconds."""
    notice_id: str
    was_released: bool
    """Whether a release was posted before: the party may have been told of it."""

    def age(self, now: int) -> int:
        """Milliseconds. Of a notice written by a clock that is ahead of ours nobody can tell: it is a day, so that an
        alarm doesn't wait until its time has come."""
        return now - self.since if self.since <= now + CLOCKS_DIFFER else DAY


@dataclass(slots=True)
class Unread:
    """What a party has not read."""

    party: Party
    receipt: Receipt
    notices: int = 0
    bills: set[str] = field(default_factory=set)
    """Of which there is any."""
    stops: dict[str, Stop] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        return sum(stop.kind == kind for stop in self.stops.values())

    @property
    def do_not_loads(self) -> list[Stop]:
        return [stop for stop in self.stops.values() if stop.kind == DO_NOT_LOAD]

    @property
    def oldest(self) -> int | None:
        return min((stop.since for stop in self.stops.values()), default=None)

    def take_in(self, record: Record) -> None:
        """One record of its topic, from its receipt on."""
        if record.value is None or self.receipt.has_read(record.offset):
            return
        kind, notice = codec.decode(record.value)
        if notice["notice_id"].startswith(SAMPLE_PREFIX):
            return
        self.notices += 1
        bill = record.key.decode()
        self.bills.add(bill)
        stop = stop_after(self.stops.get(bill), bill, kind, notice, record.timestamp)
        if stop is None:
            self.stops.pop(bill, None)
        else:
            self.stops[bill] = stop


def stop_after(before: Stop | None, bill: str, kind: str, notice: codec.Datum, at: int) -> Stop | None:
    """What a party must be called about once it has not read this notice either.

    Not about what is over: a do-not-load that was lifted, a hold after which the bill was released. But a release taken
    back stays until there is a new one, and so does a hold put on a released bill, lifted or not: the party still
    believes that it may deliver. A `Change` alone says nothing that the party must act on.
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


async def read_unread(log: AdministeredLog, registry: Registry) -> list[Unread]:
    """Of every live party what it has not read, read from where its reader is: not from the start, unless it never
    committed anything. Raises LogError."""
    there = await log.topics()
    parties = [party for party in registry.parties.values() if party.status == "live" and party.topic in there]
    receipts = await read_receipts(log, parties)
    found = {party.topic: Unread(party, receipts[party.scac]) for party in parties}
    known = {topic: one.receipt for topic, one in found.items() if one.receipt.unknown is None}
    if known:
        begin = {(topic, 0): receipt.begin for topic, receipt in known.items()}
        async for batch in log.read(sorted(known), until_end=True, begin=begin):
            for record in batch:
                found[record.topic].take_in(record)
    return sorted(found.values(), key=lambda one: (one.oldest is None, one.oldest, one.party.scac))


async def read_receipts(log: AdministeredLog, parties: Iterable[Party]) -> dict[str, Receipt]:
    """How far each party's reader is: its webhook, or its production group."""
    parties = list(parties)
    states = (await read_webhooks(log)).states if any(party.webhook_url for party in parties) else {}
    return {party.scac: await _receipt(log, party, states.get(party.scac)) for party in parties}


async def _receipt(log: AdministeredLog, party: Party, webhook: WebhookState | None) -> Receipt:
    if party.webhook_url is not None:
        delivered = webhook or WebhookState(party.scac)
        return Receipt(delivered.taken_to, frozenset(delivered.open))
    if party.production_group is None:
        return Receipt(unknown="no production_group and no webhook_url is registered")
    committed = await log.committed(party.production_group, [party.topic])
    if committed is None:
        return Receipt(unknown="this log keeps no consumer groups")
    return Receipt(committed.get(party.topic, 0))


def sentence(party: Party, stop: Stop, now: int) -> str:
    """For the duty officer: who, what, how long, whom to call."""
    minutes = stop.age(now) // MINUTE
    age = f"{minutes} minute{'' if minutes == 1 else 's'}" if minutes < 120 else f"{minutes // 60} hours"
    what = WORDS[stop.kind].format(stop.bill)
    return f"{party.scac} has not read {what} for {age}; {whom_to_call(party)}"


def whom_to_call(party: Party) -> str:
    if party.contact_phone is not None:
        return f"call {party.contact_phone}" + (f" ({party.contact_name})" if party.contact_name else "")
    if party.contact_email is not None:
        return f"it has no telephone number: write to {party.contact_email}"
    return "it has no 24-hour contact (`snp-router import parties`)"
