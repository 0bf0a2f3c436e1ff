"""Flags of decisions as the desk reads them: what each means here, and what to do about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from router.model.vocabulary import Flag


class FlagAdvice(NamedTuple):
    meaning: str
    to_do: str


ADVICE: Final[dict[Flag, FlagAdvice]] = {
    "LATE": FlagAdvice(
        "came more than an hour after CBP posted it", "ask who acted otherwise meanwhile: the terminal, the line"
    ),
    "REISSUED": FlagAdvice("the status again, under another number", "replace what was noted under the old number"),
    "MANUAL": FlagAdvice(
        "entered by hand, or rests on that alone", "act on it; look whether CBP's own message comes later"
    ),
    "HOLD_UNSEEN": FlagAdvice("a hold was removed that never came here", "nothing is freed by it; ask CBP what it was"),
    "SAILING_UNKNOWN": FlagAdvice("no sailing is registered for it", "register the sailing, or call the lines aboard"),
    "SAILING_ASSUMED": FlagAdvice(
        "no registered sailing fits surely", "call the other lines; correct the sailing or the bill"
    ),
    "NO_SNP": FlagAdvice("a house bill without a second notify party", "ask the filer who else is to be notified"),
    "IDENTIFIER_DOUBTFUL": FlagAdvice("a number in it fails its check", "read it again before you rely on it"),
    "VESSEL_MISMATCH": FlagAdvice(
        "the vessel's name is not the one registered for its IMO number", "find out which is right"
    ),
    "FEED_BEHIND": FlagAdvice("an outage covers its port or carrier", "no news is not clearance: call"),
    "CONTRADICTION": FlagAdvice(
        "what was said by hand and what CBP sent disagree", "ask CBP which holds; then lift, clear or confirm"
    ),
    "TEST": FlagAdvice("from a test installation", "do not act on it"),
    "REMOVAL_UNMATCHED": FlagAdvice(
        "a removal named another container than the hold", "ask CBP which hold is meant; if it ended, clear it"
    ),
    "ORIGINAL_HELD": FlagAdvice("the bill that it was split from is held", "ask CBP before it is moved"),
}
