"""What every task must see in the same order: parties, sailings, and the small records between them."""

from __future__ import annotations

from typing import NamedTuple

PARTY_STATUSES = ("certifying", "live", "suspended", "external")
LINE_ROLES = ("operator", "charterer")
SCOPES = ("own", "do-not-load", "holds", "all")


class Party(NamedTuple):
    """One who is told. Several SCACs may be one party (`aliases`): one topic, under `scac`."""

    scac: str
    name: str | None = None
    roles: tuple[str, ...] = ()
    status: str = "live"
    """`certifying`, `live`, `suspended` or `external` (it will never subscribe)."""
    contact_name: str | None = None
    contact_phone: str | None = None
    contact_email: str | None = None
    aliases: tuple[str, ...] = ()
    production_group: str | None = None

    @property
    def topic(self) -> str:
        return party_topic(self.scac)


class Line(NamedTuple):
    """One line aboard a sailing."""

    scac: str
    role: str
    """`operator` or `charterer`."""
    voyage_number: str | None
    """That line's own."""
    scope: str
    """What the agreement grants it beyond its own bills: `own`, `do-not-load`, `holds` or `all`."""


class Sailing(NamedTuple):
    """One vessel on one rotation, with every line aboard. An import replaces a sailing whole."""

    sailing_id: str
    imo_number: str
    vessel_name: str | None
    arrival_date: str | None
    lines: tuple[Line, ...]
    ports: tuple[str, ...] = ()
    """U.S. ports it calls at, Schedule D; empty: not known. Says whom a port may call, decides nothing."""


class RegistryNote(NamedTuple):
    """A registry record that is neither party nor sailing.

    `kind`: `epoch` (an import is complete: look at audiences again), `tick` (`at` is the time now, the only clock
    a decision sees), `installation` (`detail` is the secret that keys ids, hex; the first one counts), `missing`
    and `back` (`key` is a topic that can't, or can again, be written to).
    """

    kind: str
    key: str
    at: int
    detail: str | None = None


def party_topic(scac: str) -> str:
    return f"snp.party.{scac}"
