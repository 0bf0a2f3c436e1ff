"""The closed lists of words in notices. They are types: a word outside its list, or one misspelt, does not pass the
type check. What each means to a party: docs/what-a-notice-means.md; a test holds that page and the schemas to these.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

Kind = Literal["hold", "change", "release"]

Cause = Literal[
    "DISPOSITION", "FILING", "LINK", "OPERATOR", "CATCH_UP", "RESYNC", "REISSUE", "NO_LONGER_NOTIFIED", "FORGOTTEN",
]  # fmt: skip
"""Of a decision. `FORGOTTEN` is never told: it stands in the history alone."""

Status = Literal[
    "DO_NOT_LOAD", "HELD", "DELETED", "CLOSED", "RELEASED", "RELEASE_UNCONFIRMED", "PARTIALLY_RELEASED",
    "MOVEMENT_AUTHORISED", "NOT_RELEASED", "ON_FILE",
]  # fmt: skip

Doubt = Literal["RELEASE_PREDATES_HOLD", "QUANTITY_UNKNOWN", "HISTORY_INCOMPLETE", "PORT_DIFFERS"]

HoldKind = Literal["CBP", "MANUAL", "BOX", "HOUSE", "UNKNOWN_CODE", "UNREADABLE"]

Authority = Literal[
    "LADING", "IN_BOND_MOVEMENT", "PERMIT_TO_TRANSFER", "EXAM_TRANSFER", "TERMINAL_EXIT", "PARTIAL_DELIVERY",
]  # fmt: skip

Flag = Literal[
    "LATE", "REISSUED", "MANUAL", "HOLD_UNSEEN", "SAILING_UNKNOWN", "NO_SNP", "IDENTIFIER_DOUBTFUL", "VESSEL_MISMATCH",
    "FEED_BEHIND", "CONTRADICTION", "TEST",
]  # fmt: skip

Role = Literal["FILER", "SNP", "OPERATOR", "CHARTERER", "MASTER_CARRIER", "CO_LOADER"]
"""In the order of their bits in `snp.bills`: a new one goes to the end."""

Counted = Kind | Literal["events", "repeated", "dead letters"]

Tally = Counter[Counted]
"""What a router counts of what it does."""
