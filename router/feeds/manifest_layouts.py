"""Layouts of manifest messages, as data: the segments of X12 309 and the records of CAMIR MI.

Sources and their certainty: docs/your-files.md, "Manifests". Fields whose place was not read are not in here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

# X12 309

_SEGMENTS: Final = {
    "ST": "ID3/3! AN4/9! AN1/35",
    "SE": "N1/10! AN4/9!",
    "M10": "ID2/4! ID1/2! ID2/3 ID1/8 AN2/28 ID2/30! ID1/80 R1/15 ID1/1 ID1/1 ID1/1 AN1/80 ID2/2 ID2/2 ID1/1 ID2/2 "
    "ID1/1",
    "P4": "ID4/5! DT6/8! R1/15 AN1/30 TM4/8 DT8/8 TM4/8",
    "LX": "N1/6!",
    "M13": "ID2/4! AN1/30! ID1/1 AN1/25 R1/15 ID2/2 ID1/2 AN1/25 ID2/4 ID2/4",
    "M11": "ID1/12! AN1/30! R1/10! ID1/3 R1/10 ID1/1 R1/8 ID1/1 N2/2 AN1/17 AN1/25 ID2/4! ID2/4 ID2/4 ID2/4 AN1/2 "
    "ID2/2 ID2/4 ID2/4 AN1/30 AN1/30 ID1/2 ID3/3 AN1/30 ID1/2 ID2/2 DT8/8 ID1/1",
    "N9": "ID2/3! AN1/80 AN1/45 DT8/8 TM4/8 ID2/2 AN1/80",
    "M12": "ID2/3! AN1/50 ID1/30 AN1/30 AN2/9 AN1/50 ID2/4 ID2/3 AN1/80 ID1/2 AN2/50 ID1/1 DT8/8 AN1/30",
    "VID": "ID2/2! ID1/4 ID1/15! AN2/15 AN2/15 N4/5 R1/8 R1/8 ID4/4 ID1/2 ID2/2 R1/10 ID1/1",
    **dict.fromkeys(("N3", "H2"), "AN1/60 AN1/60"),
    "N1": "ID2/3! AN1/60 ID1/2 AN1/80 ID2/2 ID2/3",
    "N4": "AN2/30 ID2/2 ID3/15 ID2/3 ID1/2 AN1/30 ID1/3",
    "N10": "R1/15 AN1/45 AN1/48 ID1/1 AN1/30 AN1/9 ID1/1 R1/10 AN1/80 ID1/3 ID2/3 ID2/3 ID3/3",
    "H1": "AN4/10! AN1/4 ID1/1 AN2/30 AN1/24 AN1/6 AN1/3 ID2/2 ID1/3",
    "M7": "AN2/15! AN2/15 AN2/15 AN2/15 ID2/3",
    "MAN": "ID1/2 AN1/48 AN1/48 ID1/2 AN1/48 AN1/48",
    "P5": "ID1/1! ID1/2! AN1/30!",
    "DTM": "ID3/3! DT8/8 TM4/8 ID2/2 ID2/3 AN1/35",
    "PER": "ID2/2! AN1/60 ID2/2 AN1/80 ID2/2 AN1/80 ID2/2 AN1/80 AN1/20",
    **dict.fromkeys(("R4", "X1", "DMG", "VC", "VEH", "CII", "NM1", "DMA", "REF"), " ".join(20 * ("AN1/80",))),
}
"""Elements of each segment: characters, their least and greatest number, `!` if it is needed. Widest of releases 004010
to 007040. N is digits, R a number, DT a date, TM a time, ID an identifier, AN any text."""

READ_ELEMENTS: Final[Mapping[str, frozenset[int]]] = {
    name: frozenset(numbers)
    for name, numbers in {
        "ST": (1, 2),
        "SE": (1, 2),
        "M10": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        "P4": (1, 2),
        "LX": (1,),
        "M13": (1, 3, 4, 5),
        "M11": (1, 2, 3, 9, 12),
        "N9": (1, 2),
        "M12": (1, 3),
        "VID": (1, 2, 3, 10),
    }.items()
}
"""Elements that are read, or that a person needs to find the bill. Dead letters keep no others."""
REFERENCES: Final = ("SNP", "OB", "OL")
"""Qualifiers (N901, B04 4-6) of references that are read: second notify party, ocean master bill, original bill."""

STEPS_309: Final[Mapping[str, int]] = {
    "LX": 0,
    "M13": 1,
    "M11": 2,
    "N9": 3,
    **dict.fromkeys(("N1", "N3", "N4", "DTM", "PER", "X1", "DMG"), 4),
    **dict.fromkeys(("M12", "R4", "P5"), 5),
    **dict.fromkeys(("VID", "M7", "N10", "VC", "MAN", "H1", "H2"), 6),
}
"""Order of the segments of a bill."""

_ELEMENT: Final = re.compile(r"([A-Z]+)(\d+)/(\d+)(!?)")
_CHARACTERS: Final = {
    "N": r"[0-9]",
    "R": r"[0-9.]",
    "DT": r"[0-9]",
    "TM": r"[0-9]",
    "ID": r"[A-Z0-9 ./-]",
    "AN": r"[^\x00-\x1f\x7f]",
}


class Element(NamedTuple):
    shape: re.Pattern[str]
    is_needed: bool


def _masked(name: str, number: int) -> str:
    """Also allows what dead letters keep of an element that is not read."""
    return "" if number in READ_ELEMENTS.get(name, ()) else "|X+"


SEGMENTS: Final = {
    name: tuple(
        Element(re.compile(f"(?:{_CHARACTERS[kind]}{{{least},{most}}}{_masked(name, number)})"), bool(needed))
        for number, (kind, least, most, needed) in enumerate(_ELEMENT.findall(layout), 1)
    )
    for name, layout in _SEGMENTS.items()
}

# CAMIR MI

_RECORDS: Final = {
    "M01": "carrier 4-7 word, vessel 12-34 text, voyage 35-39 key, sequence 45-50 digits, imo 52-58 digits",
    "M02": "",
    "P01": "port 4-7 digits, arrival 8-13 digits",
    "J01": "issuer 4-7 word",
    "A01": "action 12-12 word, bill 13-24 word, quantity 25-34 digits",
    "B01": "bill 4-15 word, quantity 21-30 digits, type 48-48 word",
    "B02": "",
    "B04": "qualifier 4-6 word, value 7-36 word",
    "I01": "entry_type 4-5 digits, destination 21-24 digits",
    "C01": "container 4-17 key, load_status 75-75 key",
    "N00": "entity 4-6 word, id_qualifier 42-43 word, id 44-60 word",
    **dict.fromkeys(
        (
            *("B03", "S01", "S02", "S03", "U01", "U02", "U03", "N01", "N02", "N03", "N04"),
            *("I02", "C02", "D00", "D01", "D02", "V01", "V02", "V03"),
        ),
        "",
    ),
}
"""First and last place of each field that is read, from 1, and its characters."""

STEPS_MI: Final[Mapping[str, int]] = {
    "B01": 0,
    "B02": 1,
    "B03": 2,
    "B04": 3,
    **dict.fromkeys(("N00", "N01", "N02", "N03", "N04", "S01", "S02", "S03", "U01", "U02", "U03"), 4),
    **dict.fromkeys(("I01", "I02"), 5),
    **dict.fromkeys(("C01", "C02", "D00", "D01", "D02", "V01", "V02", "V03"), 6),
}
"""Order of the records of a bill."""
CARGO_STEP: Final = 6

_FIELD: Final = re.compile(r"(\w+) (\d+)-(\d+) (\w+)")
_FIELD_CHARACTERS: Final = {
    "key": r"[A-Z0-9 ./-]*",
    "word": r"[A-Z0-9./-]{0,17} *",
    "digits": r" *[0-9]* *",
    "text": r"[ -~]*",
}


class Field(NamedTuple):
    name: str
    place: slice
    characters: re.Pattern[str]
    label: str
    """Record and places."""


RECORDS: Final = {
    kind: tuple(
        Field(name, slice(int(first) - 1, int(last)), re.compile(_FIELD_CHARACTERS[kinds]), f"{kind} {first}-{last}")
        for name, first, last, kinds in _FIELD.findall(layout)
    )
    for kind, layout in _RECORDS.items()
}
