"""Local times of U.S. ports, by Schedule D code. Each row of the table, `port_clocks.csv`, names its basis."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

OF_STATE: Final = "state"
"""Basis of a zone that all of the port's state has."""


class PortClock(NamedTuple):
    """A row of the table."""

    port: str
    """Schedule D; two digits are a whole district."""
    place: str
    state: str
    zone: str
    """Name in the tz database."""
    basis: str
    """`state` if all of the state has this time, else `place`."""


def zone_of(port: str | None) -> ZoneInfo | None:
    """The time zone of a port. A port that the table lacks has that of its district if all states there have one time,
    the same for all. None if it is unknown."""
    name = _zones().get(port or "") or _zones().get((port or "")[:2])
    return ZoneInfo(name) if name is not None and len(port or "") == 4 else None


def place_of(port: str) -> str | None:
    """`Los Angeles, CA`; None for a port that the table lacks."""
    clock = port_clocks().get(port)
    return None if clock is None else f"{clock.place}, {clock.state}"


@cache
def port_clocks() -> dict[str, PortClock]:
    """The table, by port."""
    text = files("router.desk").joinpath("port_clocks.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["port"]: PortClock(**row) for row in rows}


@cache
def _zones() -> dict[str, str]:
    """Zones by port, and by district where one is sure for all of it."""
    of_district: dict[str, set[str | None]] = {}
    for port, clock in port_clocks().items():
        of_district.setdefault(port[:2], set()).add(clock.zone if clock.basis == OF_STATE else None)
    sure = {district: zone for district, (zone, *others) in of_district.items() if zone is not None and not others}
    return sure | {port: clock.zone for port, clock in port_clocks().items()}
