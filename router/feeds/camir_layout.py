"""The record layouts of CAMIR status notifications: 80 places each, counted from 1 as CBP counts them."""

from __future__ import annotations

from typing import Final

from router.feeds.fields import upper

RECORD_LENGTH: Final = 80
STATUS_NOTIFICATION: Final = "RC"

_PLACES: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "ACR": {
        "participant": (4, 7),
        "access": (8, 13),
        "application": (14, 15),
        "date": (16, 21),
        "time": (22, 27),
    },
    "ZCR": {"records": (35, 39)},
    "M01": {
        "carrier": (4, 7),
        "vessel": (12, 34),
        "voyage": (35, 39),
        "sequence": (45, 50),
        "imo": (52, 58),
    },
    "R01": {
        "carrier": (4, 7),
        "port": (8, 11),
        "vessel": (12, 34),
        "voyage": (35, 39),
        "sequence": (40, 45),
        "arrival": (46, 51),
    },
    "J01": {"issuer": (4, 7)},
    "R02": {
        "bill": (4, 15),
        "code": (16, 17),
        "quantity": (18, 27),
        "entry_type": (28, 29),
        "entry_number": (30, 44),
        "date": (45, 50),
        "time": (51, 54),
        "reversal": (67, 67),
        "continued": (68, 68),
        "resent": (69, 69),
    },
    "continuation": {
        "port": (4, 7),
        "firms": (8, 11),
        "container": (24, 37),
        "qualifier": (38, 40),
        "reference": (41, 70),
    },
    "B04": {"qualifier": (4, 6), "value": (7, 36)},
    "R03": {"remark": (4, 80)},
    "R05": {"container": (4, 17)},
    "R06": {"code": (4, 6), "date": (7, 12), "time": (13, 16)},
}

LAYOUT: Final = {
    record: {name: slice(first - 1, last) for name, (first, last) in places.items()}
    for record, places in _PLACES.items()
}
"""For each record, where its fields are. A record cut short reads as blank from there on."""


def field(record: str, kind: str, name: str) -> str:
    """One field, stripped, in upper case."""
    return upper(record[LAYOUT[kind][name]].strip())
