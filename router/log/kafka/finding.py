"""One thing that is not as it has to be."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    subject: str
    """A topic, a setting of the brokers, or the brokers."""
    found: str
    wanted: str
    mendable: bool = False
    """Can be set right without touching a record."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.found}; it has to be {self.wanted}"
