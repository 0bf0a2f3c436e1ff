"""What an event takes from the records around it, the same for X12 and CAMIR."""

from __future__ import annotations

from typing import NamedTuple


class Details(NamedTuple):
    """What the records after an event's own say, in their order."""

    remarks: list[str]
    containers: list[str]
    snps: list[str]
    references: dict[str, str]
    """The first value of each other qualifier."""
