"""Reasons why no sailing of a bill is positively found, in words, and faults of the roster behind them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from router.decide.registry import Registry
from router.decide.roster import VoyageIdentifiers, distance, is_near, rank, same_voyage_number
from router.model.identifiers import is_valid_imo_number
from router.model.registry_values import Sailing

MOST_EXPLAINED: Final = 3
"""Sailings of the vessel that are explained, the nearest first."""


def unfound(voyage: VoyageIdentifiers, registry: Registry) -> tuple[list[str], list[tuple[Sailing, list[str]]]]:
    """Reasons why the vessel is not known, and its nearest sailings with the reasons against each."""
    roster = registry.roster
    numbers = roster.vessels_of(voyage)
    if len(numbers) == 1:
        nearest = sorted(roster.of_vessel(numbers[0]), key=lambda one: rank(one, voyage, registry.today))
        return [], [(one, list(_reasons(one, voyage, registry))) for one in nearest[:MOST_EXPLAINED]]
    if numbers:
        return [f"two IMO numbers are registered for the vessel name {voyage.vessel_name}: {', '.join(numbers)}"], []
    named = " or ".join(
        text
        for text, value in (("IMO number {}", voyage.imo_number), ("vessel name {}", voyage.vessel_name))
        if value is not None
        for text in (text.format(value),)
    )
    return [f"no sailing is registered for {named}" if named else "the bill names no vessel"], []


def _reasons(sailing: Sailing, voyage: VoyageIdentifiers, registry: Registry) -> Iterator[str]:
    """Reasons why a sailing of the vessel is not positively found; at least one."""
    found = False
    for reason in (_vessel_differs(voyage), _number_differs(sailing, voyage, registry), _date_differs(sailing, voyage)):
        if reason is not None:
            found = True
            yield reason
    if not found:
        others = [one.sailing_id for one in registry.roster.positive(voyage) if one != sailing]
        yield f"{', '.join(others)} fits as well" if others else "another voyage number fits exactly"


def _vessel_differs(voyage: VoyageIdentifiers) -> str | None:
    if voyage.imo_number is None:
        return "the bill has no IMO number"
    return None if is_valid_imo_number(voyage.imo_number) else f"IMO number {voyage.imo_number} fails its check digit"


def _number_differs(sailing: Sailing, voyage: VoyageIdentifiers, registry: Registry) -> str | None:
    carrier, number = voyage.carrier_scac, voyage.voyage_number
    if carrier is None:
        return "the bill has no manifest carrier"
    if not registry.roster.is_aboard(sailing, carrier):
        return f"its manifest carrier {carrier} is not in the roster of {sailing.sailing_id}"
    if number is None:
        return "the bill has no voyage number"
    party = registry.party_id(carrier)
    registered = [line.voyage_number for line in sailing.lines if registry.party_id(line.scac) == party]
    if any(same_voyage_number(number, one) for one in registered):
        return None
    known = [one for one in registered if one is not None]
    if not known:
        return f"no voyage number of {carrier} is registered"
    return f"voyage number {number} is not {carrier}'s {' or '.join(known)}"


def _date_differs(sailing: Sailing, voyage: VoyageIdentifiers) -> str | None:
    date = voyage.arrival_date
    if date is None or is_near(sailing, date):
        return None
    return f"arrival {date} is {distance(sailing, date)} days from every call"


# Faults of the roster


def roster_problems(registry: Registry) -> Iterator[str]:
    """Sailings that a line's bills can't tell apart, and vessel names of two ships."""
    for vessel in registry.roster.vessels():
        for one, other in combinations(vessel.rotations, 2):
            if any(is_near(one, date) for date in other.dates or (None,)):
                yield from _overlap(one, other, registry)
    for name, numbers in registry.roster.shared_names():
        yield f"vessel name {name} has the IMO numbers {', '.join(numbers)}: bills without IMO number wait"


def _overlap(one: Sailing, other: Sailing, registry: Registry) -> Iterator[str]:
    for line in one.lines:
        same = [
            another
            for another in other.lines
            if registry.party_id(another.scac) == registry.party_id(line.scac)
            and line.voyage_number is not None
            and another.voyage_number is not None
            and same_voyage_number(line.voyage_number, another.voyage_number)
        ]
        if same:
            yield (
                f"sailings {one.sailing_id} and {other.sailing_id} overlap: bills of {line.scac} with voyage number "
                f"{line.voyage_number} fit both, so neither is found surely"
            )


def roster_notes(registry: Registry) -> Iterator[str]:
    """Records that were merged into one sailing."""
    for sailing in registry.roster.sailings().values():
        records = registry.roster.record_ids(sailing)
        if len(records) > 1:
            dates = f", arrivals {', '.join(sailing.dates)}" if sailing.dates else ""
            yield f"sailing {sailing.sailing_id}: one rotation of the records {', '.join(records)}{dates}"
