"""Names and local times of U.S. ports, by Schedule D code. Each row of `ports.csv` names the basis of its time zone."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

OF_STATE: Final = "state"
"""Basis of a zone that all of the port's state has."""


class Port(NamedTuple):
    """A row of the table."""

    code: str
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


@cache
def port_names() -> dict[str, str]:
    """`Los Angeles, CA` by port, to be shown beside the code. Other ports have a code only."""
    return {code: f"{port.place}, {port.state}" for code, port in ports().items() if len(code) == 4}


@cache
def ports() -> dict[str, Port]:
    """The table, by port."""
    text = files("router.desk").joinpath("ports.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["code"]: Port(**row) for row in rows}


@cache
def _zones() -> dict[str, str]:
    """Zones by port, and by district where one is sure for all of it."""
    of_district: dict[str, set[str | None]] = {}
    for port, clock in ports().items():
        of_district.setdefault(port[:2], set()).add(clock.zone if clock.basis == OF_STATE else None)
    sure = {district: zone for district, (zone, *others) in of_district.items() if zone is not None and not others}
    return sure | {port: clock.zone for port, clock in ports().items()}
