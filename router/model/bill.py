"""How a bill of lading is written: the issuer's SCAC padded to four places, then the number. Its key everywhere."""

from __future__ import annotations

import re
from typing import Final

SCAC_WIDTH = 4
_KEY: Final = re.compile(r"[!-`{-~][ -~]{4,53}")
"""Four places and a number of up to fifty. What begins in lower case is no bill's; nor is what is reserved."""


def bill_key(scac: str, number: str) -> str:
    """`bill_key("NVXA", "HBL000012345")` is `NVXAHBL000012345`; a shorter SCAC is padded with blanks on the right."""
    return scac.ljust(SCAC_WIDTH) + number


def is_bill_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def split_bill_key(key: str) -> tuple[str, str]:
    """The issuer's SCAC without padding, and the number."""
    return key[:SCAC_WIDTH].rstrip(), key[SCAC_WIDTH:]


def vessel_key(imo_number: str | None, vessel_name: str | None, carrier_scac: str | None, voyage: str | None) -> str:
    """The key of a vessel's events on one voyage. Lower case at its start keeps it apart from every bill's key."""
    return f"vessel:{imo_number or vessel_name or ''}:{carrier_scac or ''}:{voyage or ''}"


def is_vessel_key(key: str) -> bool:
    return key.startswith("vessel:")


def outage_key(outage_id: str) -> str:
    """The key of what is said of an outage."""
    return f"outage:{outage_id}"


def concerns_a_bill(key: str) -> bool:
    """Whether a key is a bill's: those of vessels and outages begin in lower case."""
    return not key[:1].islower()
