"""Registered parties as operators deal with them: look-up, a port's 24-hour contacts, certification, status, resync."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final, NamedTuple

from router import codec
from router.decide.port_areas import PortAreas
from router.decide.registry import Registry
from router.desk.bill_views import NotFoundError
from router.desk.receipts import Receipt, read_receipts
from router.engine.administration import AuditEntry, audit_output, import_parties, read_registry
from router.errors import InputError, UsageError
from router.log.interface import AdministeredLog
from router.model.registry_values import RESYNC, Party, Request, Sailing
from router.task.certification import SAMPLE_PREFIX, story
from router.task.outputs import registry_output

REQUEST_ID_BYTES: Final = 8


async def find_party(log: AdministeredLog, name: str) -> Party:
    """Return the party of an id, which may be an alias. Raises NotFoundError, which lists the parties."""
    registry = await read_registry(log)
    party = registry.party(name.upper())
    if party is None:
        known = ", ".join(sorted(registry.parties)) or "none (`snp-router import parties FILE`)"
        raise NotFoundError(f"party {name} is not registered; registered are {known}")
    return party


# Contacts of a port. CBP asks carriers for this list when their systems are down (24-hour / Trade Act FAQ, vessel
# mode, section 27).

CALLS_THERE: Final = "CALLS_THERE"
PORT_NOT_KNOWN: Final = "PORT_NOT_KNOWN"
NO_SAILING: Final = "NO_SAILING"


class Contact(NamedTuple):
    """One party, once, under the first ground that applies."""

    id: str
    ground: str
    """`CALLS_THERE`: aboard a ship that calls at the port. `PORT_NOT_KNOWN`: aboard a ship whose ports are not
    registered. `NO_SAILING`: aboard no ship that may call there, such as an NVOCC."""
    name: str | None
    """None for a line that is aboard but not registered; it has no contact then."""
    contact_name: str | None
    contact_phone: str | None
    contact_email: str | None
    sailings: tuple[Sailing, ...]
    """Those behind the ground, the latest arrival first."""


def contacts(registry: Registry, port: str, areas: PortAreas) -> list[Contact]:
    """List the parties that a port may have to call: those whose ship calls there first, then by id."""
    found: dict[str, dict[str, list[Sailing]]] = {CALLS_THERE: {}, PORT_NOT_KNOWN: {}}
    for sailing in latest_first(registry.roster.sailings().values()):
        if sailing.ports and not any(areas.same(one, port) for one in sailing.ports):
            continue
        aboard = found[CALLS_THERE if sailing.ports else PORT_NOT_KNOWN]
        for party_id in dict.fromkeys(registry.party_id(line.scac) for line in sailing.lines):
            aboard.setdefault(party_id, []).append(sailing)
    found[NO_SAILING] = {party_id: [] for party_id in registry.parties}
    listed: dict[str, Contact] = {}
    for ground, parties in found.items():
        for party_id in sorted(parties.keys() - listed.keys()):
            listed[party_id] = _contact(party_id, ground, registry.parties.get(party_id), parties[party_id])
    return list(listed.values())


def _contact(party_id: str, ground: str, party: Party | None, sailings: Iterable[Sailing]) -> Contact:
    if party is None:
        return Contact(party_id, ground, None, None, None, None, tuple(sailings))
    person = (party.contact_name, party.contact_phone, party.contact_email)
    return Contact(party_id, ground, party.name or party_id, *person, tuple(sailings))


def latest_first(sailings: Iterable[Sailing]) -> list[Sailing]:
    """Sort by arrival; a sailing without an arrival date may still come and counts as the latest."""
    return sorted(sailings, key=lambda sailing: (sailing.arrival_date or "9", sailing.sailing_id), reverse=True)


# Certification


class SampleRead(NamedTuple):
    """One sample notice in a party's topic."""

    name: str
    kind: str
    status: str | None
    shows: str
    """The case that it is an example of."""
    notice_id: str
    read: bool | None
    """None: unknown, as the receipt says."""


class CertificationProgress(NamedTuple):
    """Samples that a party got and has read."""

    party: Party
    receipt: Receipt
    samples: tuple[SampleRead, ...]
    """The latest set; empty if none was written yet."""

    @property
    def read(self) -> int | None:
        """Number of samples read; None if that is unknown."""
        return None if self.receipt.unknown is not None else sum(bool(sample.read) for sample in self.samples)

    @property
    def is_complete(self) -> bool:
        return bool(self.samples) and self.read == len(self.samples)


async def read_certification(log: AdministeredLog, party: Party) -> CertificationProgress:
    """Read the samples in the party's topic and its receipt. Raises LogError."""
    receipt = (await read_receipts(log, [party]))[party.id]
    samples: dict[str, SampleRead] = {}
    steps = story(party.id)
    if party.topic in await log.topics():
        async for batch in log.read([party.topic], until_end=True):
            for record in batch:
                try:
                    kind, fields = codec.decode(record.value or b"")
                except InputError:
                    continue  # no sample of ours
                number = fields["notice_id"].removeprefix(SAMPLE_PREFIX)
                if number == fields["notice_id"]:
                    continue
                step = steps[int(number.split("-")[1]) - 1]
                read = receipt.has_read(record.offset) if receipt.unknown is None else None
                values = (kind, fields["status"], step.shows, fields["notice_id"], read)
                samples[step.name] = SampleRead(step.name, *values)
    return CertificationProgress(party, receipt, tuple(samples.values()))


# Status and resync


async def change_status(log: AdministeredLog, party: Party, status: str, *, by: str | None = None) -> bool:
    """Set a party's status; False if it had that status already. `by` is the person for the audit, the user of this
    process if None. Raises UsageError for an external party.

    The router sends a party that becomes live the status now of its open bills.
    """
    if party.status == "external":
        raise UsageError(f"party {party.id} is external; import it again with the status it should have")
    changes = await import_parties(log, [party._replace(status=status)], action=f"party {status}", by=by)
    return bool(changes.changed)


async def ask_resync(log: AdministeredLog, name: str, by: str, now: int) -> Request:
    """Request the status now of all the party's open bills, once. Raises NotFoundError, UsageError."""
    party = await find_party(log, name)
    if party.status != "live":
        raise UsageError(f"party {party.id} is {party.status} and gets no notices; make it live before a resync")
    request = Request(secrets.token_hex(REQUEST_ID_BYTES), RESYNC, party.id, by, now)
    await log.append([registry_output(request), audit_output(AuditEntry(now, by, "resync", party.id))], atomic=True)
    return request
