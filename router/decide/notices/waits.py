"""What keeps a bill incomplete: who could not be told, what is missing or disputed. It is listed in `snp.waiting`."""

from __future__ import annotations

from typing import Final, NamedTuple

from router.decide.ledger.facts import Known
from router.decide.ledger.state import BillState
from router.decide.ledger.status import Assessment
from router.decide.recipients.audience import Audience, Member
from router.decide.recipients.registry import Registry
from router.model.bill import is_vessel_key, split_bill_key

CONTRADICTION: Final = "CONTRADICTION"
"""Flag, and reason to wait: what was said by hand and what CBP sent disagree. Meanwhile what holds stands."""

FEED_BEHIND: Final = "FEED_BEHIND"
"""Flag: an outage covers the bill, so no news of it is no clearance."""


class Waits(NamedTuple):
    """That a bill is incomplete: what is missing, and who could not be told."""

    reasons: tuple[str, ...]
    parties: tuple[str, ...]
    status: str
    do_not_load: bool
    since: int


def lacks_snp(key: str, known: Known) -> bool:
    return not is_vessel_key(key) and not known.snps and known.needs_snp(split_bill_key(key)[0])


def waits_of(
    before: BillState,
    state: BillState,
    known: Known,
    was: Assessment | None,
    after: Assessment,
    audience: Audience,
    missed: tuple[Member, ...],
    registry: Registry,
) -> tuple[Waits | None, bool]:
    """What keeps the bill incomplete. Nobody waits for a bill of which there is nothing to tell."""
    reasons = []
    superseded = state.offline is not None and state.offline.is_superseded
    if state.has_news and not superseded:
        if audience.sailing is None:
            reasons.append("NO_SAILING")
        if lacks_snp(state.key, known):
            reasons.append("NO_SNP")
    if state.by_hand is not None and state.by_hand.contradictions and not superseded:
        reasons.append(CONTRADICTION)
    reasons.extend(f"{member.why_not}:{member.scac}" for member in missed)
    state.waiting = (*reasons, *(("DO_NOT_LOAD",) if reasons and after.do_not_load else ()))
    if state.waiting == before.waiting and not (reasons and was and was.status != after.status):
        return None, False
    if not reasons:
        state.waiting_since = 0
        return None, True
    state.waiting_since = before.waiting_since or registry.now
    kinds = tuple(dict.fromkeys(reason.partition(":")[0] for reason in reasons))
    parties = tuple(member.scac for member in missed)
    return Waits(kinds, parties, after.status, after.do_not_load, state.waiting_since), True
