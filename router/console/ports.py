"""The clock on a port's wall, by its customs district: the first two digits of a Schedule D code.

Districts and their states are those of the Census Bureau's Schedule D; the zone is that of the district's ports of
entry by sea. A district that is not here shows UTC alone.
"""

from __future__ import annotations

from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

_ZONES: Final = {
    "America/New_York": ("01", "02", "04", "05", "07", "09", "10", "11", "13",
                         "14", "15", "16", "17", "18", "38", "41", "52", "54"),
    "America/Chicago": ("19", "20", "21", "23", "35", "36", "37", "39", "45", "53", "55"),
    "America/Denver": ("24", "33"),
    "America/Phoenix": ("26",),
    "America/Los_Angeles": ("25", "27", "28", "29", "30"),
    "America/Anchorage": ("31",),
    "Pacific/Honolulu": ("32",),
    "America/Puerto_Rico": ("49", "51"),
}  # fmt: skip
_ZONE_OF_DISTRICT: Final = {district: zone for zone, districts in _ZONES.items() for district in districts}


@cache
def zone_of_port(port: str | None) -> ZoneInfo | None:
    zone = _ZONE_OF_DISTRICT.get((port or "")[:2])
    return ZoneInfo(zone) if zone else None
