"""Ids of parties and of second notify parties (SNPs): a SCAC, a FIRMS code or an ABI routing code.

A message or filing names an SNP by an id alone, or as `type:id`. The type is `SCAC`, `FIRMS` or `ABI`, or CAMIR's
qualifier: `2` for SCAC or FIRMS, `17` for an ABI routing code (record N00, read second hand). An id consists of letters
and digits, so that it can stand in the names of topics, users and consumer groups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple, get_args

from router.model.identifiers import SCAC

IdType = Literal["SCAC", "FIRMS", "ABI"]

ID_TYPES: Final[tuple[IdType, ...]] = get_args(IdType)
SHAPES: Final[Mapping[IdType, str]] = {
    "SCAC": SCAC,
    "FIRMS": r"[A-Z0-9]{4}",
    "ABI": r"[0-9]{4}[A-Z0-9]{5}",
}
"""An ABI routing code is a port of four digits, a filer code of three places and an office code of two."""
PARTY_ID: Final = "|".join(SHAPES.values())

_QUALIFIERS: Final[Mapping[str, tuple[IdType, ...]]] = {
    "": ID_TYPES,
    "2": ("SCAC", "FIRMS"),
    "17": ("ABI",),
    "SCAC": ("SCAC",),
    "FIRMS": ("FIRMS",),
    "ABI": ("ABI",),
}
_SHAPES: Final = {id_type: re.compile(shape) for id_type, shape in SHAPES.items()}
_CACHE: Final = 8_192


class NamedParty(NamedTuple):
    """A party as a message, filing or table names it."""

    id: str
    types: tuple[IdType, ...]
    """Types that the id may have; empty for text that is no id."""
    text: str
    """The spelling under which an unregistered party waits: the id alone for a SCAC, otherwise `type:id`."""


@lru_cache(_CACHE)
def named_party(text: str) -> NamedParty:
    """Read `id` or `type:id`. Text of an unknown type or shape has no types, and keeps its spelling."""
    qualifier, _, party_id = text.rpartition(":")
    types = tuple(one for one in _QUALIFIERS.get(qualifier, ()) if _SHAPES[one].fullmatch(party_id))
    if not types:
        return NamedParty(party_id, (), text)
    return NamedParty(party_id, types, party_id if "SCAC" in types else f"{types[0]}:{party_id}")


def is_valid_id(party_id: str, id_type: IdType) -> bool:
    return _SHAPES[id_type].fullmatch(party_id) is not None


def usual_type(party_id: str) -> IdType | None:
    """Type of an id without one in a table: SCAC before FIRMS; None for text that is no id."""
    return next((one for one in ID_TYPES if _SHAPES[one].fullmatch(party_id)), None)
