"""Whom a port can call around the clock about do-not-loads and holds.

CBP asks carriers for this list when their systems are down (24-hour / Trade Act FAQ, vessel mode, section 27).

Where a party's certification stands, and opening and closing its tap.

A party's resync as an operator asks for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from router import codec
from router.decide.registry import Registry
from router.decide.status import TWIN_PORTS
from router.desk.bill_views import find_party
from router.desk.unread_notices import Receipt, read_receipts
from router.engine.administration import AuditEntry, audit_output, import_parties
from router.errors import UsageError
from router.log.interface import Log
from router.model.registry_values import RESYNC, Party, Request, Sailing
from router.task.certification import SAMPLE_PREFIX, story
from router.task.outputs import registry_output

CALLS_THERE: Final = "CALLS_THERE"
PORT_NOT_KNOWN: Final = "PORT_NOT_KNOWN"
NO_SAILING: Final = "NO_SAILING"


class Contact(NamedTuple):
    """One party, once, under the first ground that applies."""

    scac: str
    ground: str
    """`CALLS_THERE`: aboard a ship that calls at the port; `PORT_NOT_KNOWN`: aboard a ship, its ports aren't
    registered; `NO_SAILING`: aboard no ship, such as an NVOCC."""
    name: str | None
    """None where a line is aboard but not registered: nobody knows whom to call."""
    contact_name: str | None
    contact_phone: str | None
    contact_email: str | None
    sailings: tuple[Sailing, ...]
    """Behind the ground, the latest arrival first."""


def contacts(registry: Registry, port: str) -> list[Contact]:
    """Who may be concerned at a port, those who surely are first, each by its SCAC."""
    there, unknown = _aboard(registry, port)
    unknown = {scac: sailings for scac, sailings in unknown.items() if scac not in there}
    rest: dict[str, list[Sailing]] = {
        scac: [] for scac in registry.parties if scac not in there and scac not in unknown
    }
    return [
        *_contacts(registry, CALLS_THERE, there),
        *_contacts(registry, PORT_NOT_KNOWN, unknown),
        *_contacts(registry, NO_SAILING, rest),
    ]


def _aboard(registry: Registry, port: str) -> tuple[dict[str, list[Sailing]], dict[str, list[Sailing]]]:
    """Parties with their sailings to the port, and with those of which the ports aren't known."""
    there: dict[str, list[Sailing]] = {}
    unknown: dict[str, list[Sailing]] = {}
    for sailing in latest_first(registry.sailings.values()):
        if sailing.ports and not any(_place(one) == _place(port) for one in sailing.ports):
            continue
        found = there if sailing.ports else unknown
        for scac in dict.fromkeys(registry.party_scac(line.scac) for line in sailing.lines):
            found.setdefault(scac, []).append(sailing)
    return there, unknown


def _place(port: str) -> str:
    return TWIN_PORTS.get(port, port)


def latest_first(sailings: Iterable[Sailing]) -> list[Sailing]:
    """By arrival; one whose arrival isn't known may still come."""
    return sorted(sailings, key=lambda sailing: (sailing.arrival_date or "9", sailing.sailing_id), reverse=True)


def _contacts(registry: Registry, ground: str, found: dict[str, list[Sailing]]) -> Iterator[Contact]:
    for scac in sorted(found):
        party, sailings = registry.parties.get(scac), tuple(found[scac])
        if party is None:
            yield Contact(scac, ground, None, None, None, None, sailings)
        else:
            known = (party.contact_name, party.contact_phone, party.contact_email)
            yield Contact(scac, ground, party.name or scac, *known, sailings)


class SampleRead(NamedTuple):
    """One sample in a party's topic."""

    name: str
    kind: str
    status: str | None
    says: str
    notice_id: str
    read: bool


class Standing(NamedTuple):
    party: Party
    receipt: Receipt
    samples: tuple[SampleRead, ...]
    """The latest set; empty: none was written yet."""

    @property
    def is_complete(self) -> bool:
        return bool(self.samples) and all(sample.read for sample in self.samples)


async def read_standing(log: Log, party: Party) -> Standing:
    """Which of its samples a party has read. Raises LogError."""
    receipt = (await read_receipts(log, [party]))[party.scac]
    samples: dict[str, SampleRead] = {}
    steps = story(party.scac)
    if party.topic in await log.topics():
        async for batch in log.read([party.topic], until_end=True):
            for record in batch:
                kind, fields = codec.decode(record.value or b"")
                number = fields["notice_id"].removeprefix(SAMPLE_PREFIX)
                if number == fields["notice_id"]:
                    continue
                step = steps[int(number.split("-")[1]) - 1]
                read = receipt.has_read(record.offset)
                values = (kind, fields["status"], step.says, fields["notice_id"], read)
                samples[step.name] = SampleRead(step.name, *values)
    return Standing(party, receipt, tuple(samples.values()))


async def change_status(log: Log, party: Party, status: str) -> bool:
    """Whether that changed anything. What follows, the router does: who is live anew gets the status now of its open
    bills. Raises UsageError for a party that never subscribes."""
    if party.status == "external":
        raise UsageError(f"{party.scac} is registered as external: import it anew with another status")
    changes = await import_parties(log, [party._replace(status=status)], action=f"party {status}")
    return bool(changes.changed)


ID_BYTES = 8


async def ask_resync(log: Log, scac: str, by: str, now: int) -> Request:
    """The status now of all the party's open bills, once. Raises NotFoundError, UsageError."""
    party = await find_party(log, scac)
    if party.status != "live":
        raise UsageError(f"party {party.scac} is {party.status}: it is told nothing, so there is nothing to send again")
    request = Request(secrets.token_hex(ID_BYTES), RESYNC, party.scac, by, now)
    await log.append([registry_output(request), audit_output(AuditEntry(now, by, "resync", party.scac))])
    return request
