"""Closed lists of words in notices, as types: the type check refuses any other word.

docs/what-a-notice-means.md explains each to a party; a test compares that page and the schemas with these lists.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

Usage = Literal["production", "test"]
"""Use of an installation, and of an X12 interchange (ISA15 P or T)."""

DeclaredIn = Literal["TABLE", "ORIGINAL", "AMENDMENT"]
"""Origin of a filing: a table, a paper bill or another program; an original manifest (X12 309 of type W, CAMIR MI); or
an amendment of one."""

Kind = Literal["hold", "change", "release"]

Cause = Literal[
    "DISPOSITION", "FILING", "LINK", "OPERATOR", "CATCH_UP", "RESYNC", "REISSUE", "NO_LONGER_NOTIFIED", "FORGOTTEN",
]  # fmt: skip
"""Cause of a decision. `FORGOTTEN` is only in the history, never in a notice."""

Status = Literal[
    "DO_NOT_LOAD", "HELD", "DELETED", "CLOSED", "RELEASED", "RELEASE_UNCONFIRMED", "PARTIALLY_RELEASED",
    "MOVEMENT_AUTHORISED", "NOT_RELEASED", "ON_FILE",
]  # fmt: skip

Doubt = Literal[
    "RELEASE_PREDATES_HOLD", "QUANTITY_UNKNOWN", "HISTORY_INCOMPLETE", "PORT_DIFFERS", "INPUT_UNCERTAIN",
    "CLEARED_BY_HAND",
]  # fmt: skip

Uncertainty = Literal["MESSAGE", "BILL"]
"""Doubt about an event that was read from damaged input. It stops as any other, and frees nothing without a person.

- `MESSAGE`: the message is damaged, but the event's own bill is certain;
- `BILL`: nor is it certain that the bill is meant, so that nobody hears of it whom the bill has not already.
"""

UnparsedKind = Literal["UNREADABLE", "UNKNOWN_CODE"]
"""Kinds of hold that stand for an event whose effect is unknown."""

Confirmable = Doubt | Literal["CONTRADICTION"] | UnparsedKind
"""Everything that `bill confirm` ends: doubts, contradictions, and holds of events that could not be read."""

HoldKind = Literal["CBP", "MANUAL", "BOX", "HOUSE", "UNKNOWN_CODE", "UNREADABLE"]

Authority = Literal[
    "LADING", "IN_BOND_MOVEMENT", "PERMIT_TO_TRANSFER", "EXAM_TRANSFER", "TERMINAL_EXIT", "PARTIAL_DELIVERY",
]  # fmt: skip

Flag = Literal[
    "LATE", "REISSUED", "MANUAL", "HOLD_UNSEEN", "SAILING_UNKNOWN", "NO_SNP", "IDENTIFIER_DOUBTFUL", "VESSEL_MISMATCH",
    "FEED_BEHIND", "CONTRADICTION", "TEST", "REMOVAL_UNMATCHED", "SAILING_ASSUMED", "ORIGINAL_HELD",
]  # fmt: skip

Role = Literal["FILER", "SNP", "OPERATOR", "CHARTERER", "MASTER_CARRIER", "CO_LOADER"]

Counted = Kind | Literal["events", "duplicates", "dead letters"]

Tally = Counter[Counted]
"""Counts of one transaction or one run."""
