"""The settings that decisions depend on, with the code table: everything a decision sees besides state and record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from router.decide.codes import CodeTable, load_codes

FRESH: Final = "fresh"
STANDING: Final = "standing"


@dataclass(frozen=True, slots=True)
class Rules:
    codes: CodeTable = field(default_factory=load_codes)
    release_after_hold: str = FRESH
    """`fresh`: a release posted before a CBP hold does not count until CBP posts a new one or an operator confirms
    (CBP Trade Act FAQ, vessel mode, section 25). `standing`: it counts again (CAMIR V19 appendix D, code 1I)."""
    history_complete_from: frozenset[str] = frozenset({"55"})
    """Codes that show a bill's history from its beginning."""
    fold_after_events: int = 200
    forget_after_days: int = 90
    """A life that is over and quiet for so long is forgotten."""
    forget_silent_after_days: int = 365
    """Any bill that is silent for so long is forgotten."""
    late_after_minutes: int = 60
    """An event taken in so long after CBP posted it is flagged LATE."""
    manual_match_hours: int = 24
    """A hold or release relayed by hand and an electronic one of the same code and scope are the same one, if CBP
    posted it so long before or after it was said, at most."""
    recovery_quiet_minutes: int = 30
    """After an outage: nothing late came for so long, so all that was to come has come."""
    resync_over_days: int = 14
    """A resync leaves out bills that are over and were last heard of so long ago."""
