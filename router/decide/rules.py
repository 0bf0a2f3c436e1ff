"""The rules of an installation: the settings that decisions depend on, and the code table."""

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
    """Codes that begin a bill's history."""
    fold_after_events: int = 200
    forget_after_days: int = 90
    """Days of quiet after which a life that is over is forgotten."""
    forget_silent_after_days: int = 365
    """Days of quiet after which any bill is forgotten."""
    late_after_minutes: int = 60
    """Minutes from posting to receipt after which an event is flagged LATE."""
    manual_match_hours: int = 24
    """Most hours between a manual hold or release and the electronic event of the same code and scope that confirms
    it."""
    recovery_quiet_minutes: int = 30
    """Minutes without late events after which an outage's recovery is complete."""
    resync_over_days: int = 14
    """Days since its latest record after which a resync leaves out a bill that is over."""
