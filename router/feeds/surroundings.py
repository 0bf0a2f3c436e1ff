"""What an event takes from the records around it, the same for X12 and CAMIR."""

from __future__ import annotations

from typing import NamedTuple


class Surroundings(NamedTuple):
    """Of the manifest and port that an event stands under, in the order of Disposition's fields."""

    carrier_scac: str | None = None
    imo_number: str | None = None
    vessel_name: str | None = None
    voyage_number: str | None = None
    manifest_sequence_number: str | None = None
    port_of_unlading: str | None = None
    arrival_date: str | None = None


class Details(NamedTuple):
    """What the records after an event's own say, in their order."""

    remarks: list[str]
    containers: list[str]
    snps: list[str]
    references: dict[str, str]
    """The first value of each other qualifier."""
