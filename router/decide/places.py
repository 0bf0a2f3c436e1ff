"""The place of a bill's releases: the port of unlading, or a port where CBP recorded the cargo's arrival in bond."""

from __future__ import annotations

from typing import Final, NamedTuple

from router.decide.account import Account, StandingRelease
from router.decide.arrivals import has_arrived
from router.decide.cargo_facts import Cargo
from router.decide.deeds import Deeds
from router.decide.rules import Rules
from router.model.identifiers import is_valid_port

PORT_DIFFERS: Final = "PORT_DIFFERS"


class ReleasePlace(NamedTuple):
    """The one place at which a bill is released."""

    port: str | None
    """None: unknown, or no release counts anywhere."""
    elsewhere: list[bool]
    """True for each of the account's releases that doesn't count there, in their order."""


def release_place(account: Account, cargo: Cargo, rules: Rules, deeds: Deeds) -> ReleasePlace:
    """The place of the latest release that counts somewhere; of several places, one whose releases cover the bill.

    A release whose place an operator confirmed counts at any place; alone, at its own port.
    """
    releases = account.releases
    confirmed = [deeds.settle(PORT_DIFFERS, release.id) for release in releases]
    counts = [counts_somewhere(release, account, cargo, rules) for release in releases]
    ports = [port_of(release, cargo, rules) for release in releases]
    places = list(dict.fromkeys(port for port, counted in zip(ports[::-1], counts[::-1], strict=True) if counted))
    if not places:
        own = [port for port, is_confirmed in zip(ports, confirmed, strict=True) if is_confirmed]
        return ReleasePlace(own[-1] if own else None, [not one for one in confirmed])
    counting = {
        place: [ok or (counted and port == place) for port, counted, ok in zip(ports, counts, confirmed, strict=True)]
        for place in places
    }
    if len(places) > 1:
        places.sort(key=lambda place: not _cover(account, counting[place]))
    return ReleasePlace(places[0], [not one for one in counting[places[0]]])


def counts_somewhere(release: StandingRelease, account: Account, cargo: Cargo, rules: Rules) -> bool:
    """True if the release is for a place of its scope. Without a port it is for the port of unlading, unless that is
    foreign."""
    here = cargo.shipment.port_of_unlading
    if release.port is None:
        return here is None or is_valid_port(here)
    if _is_unlading(release, cargo, rules):
        return is_valid_port(here or "")
    areas = rules.at(release.rules).port_areas
    return has_arrived(account.places, release.container, release.port, areas, cargo.container_keys)


def port_of(release: StandingRelease, cargo: Cargo, rules: Rules) -> str | None:
    """The port that stands for the release's place: the port of unlading for its whole area."""
    return cargo.shipment.port_of_unlading if _is_unlading(release, cargo, rules) else release.port


def _is_unlading(release: StandingRelease, cargo: Cargo, rules: Rules) -> bool:
    there, here = release.port, cargo.shipment.port_of_unlading
    return there is None or (here is not None and rules.at(release.rules).port_areas.same(there, here))


def _cover(account: Account, counting: list[bool]) -> bool:
    """True if the pieces of the counting releases may be the whole bill."""
    pieces = [release.quantity for release, counts in zip(account.releases, counting, strict=True) if counts]
    if account.manifested is None or None in pieces:
        return True
    return sum(one or 0 for one in pieces) >= account.manifested
