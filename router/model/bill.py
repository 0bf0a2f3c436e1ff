"""How a bill of lading is written: the issuer's SCAC padded to four places, then the number. That is its key everywhere."""

from __future__ import annotations

SCAC_WIDTH = 4


def bill_key(scac: str, number: str) -> str:
    """`bill_key("NVXA", "HBL000012345")` is `NVXAHBL000012345`; a shorter SCAC is padded with blanks on the right."""
    return scac.ljust(SCAC_WIDTH) + number


def split_bill_key(key: str) -> tuple[str, str]:
    """The issuer's SCAC without padding, and the number."""
    return key[:SCAC_WIDTH].rstrip(), key[SCAC_WIDTH:]
