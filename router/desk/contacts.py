"""Whom a port can call around the clock about do-not-loads and holds.

CBP asks carriers for this list when their systems are down (24-hour / Trade Act FAQ, vessel mode, section 27).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from router.decide.registry import Registry
from router.decide.status import TWIN_PORTS
from router.model.registry_values import Sailing

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
