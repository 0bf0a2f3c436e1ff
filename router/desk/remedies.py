"""Remedies for bills that wait because somebody could not be notified, by what is missing."""

from __future__ import annotations

from typing import Final

MISSING: Final = {
    "CONTAINER_UNKNOWN": "a hold names a container that can't be recognised: ask CBP, and `hold place` on that",
    "BILL_UNCERTAIN": "only damaged input names it, no notice went out: ask CBP, then `bill confirm` or `hold clear`",
    "NO_SAILING": "no sailing matches its IMO number, carrier and voyage number: `snp-router import sailings FILE`",
    "SAILING_ASSUMED": "no sailing fits surely; the operator of a likely one gets stops: `snp-router explain BILL`",
    "VESSEL_AMBIGUOUS": "two IMO numbers have its vessel name: telephone both operators, import a filing with the IMO",
    "NO_SNP": "its second notify parties are unknown: `snp-router import filings FILE`, or ask the filer",
    "PARTY_UNKNOWN": "one of its parties is not registered: `snp-router import parties FILE`",
    "PARTY_NOT_LIVE": "one of its parties is suspended or certifying: `snp-router party live ID`",
    "NO_TOPIC": "a party's topic is missing or not writable: `snp-router topics check`",
    "CONTRADICTION": "an entry made by hand contradicts CBP: ask CBP, then `snp-router bill confirm BILL`",
}
"""Remedies, by the reason why a bill is incomplete."""

AT_THE_BILL: Final = {
    "CONTAINER_UNKNOWN": ("by-hand", "Enter the hold"),
    "BILL_UNCERTAIN": ("confirm", "Confirm or clear"),
    "CONTRADICTION": ("confirm", "Confirm"),
}
"""Reasons whose remedy is a deed on each bill: the part of its page, and the deed."""
