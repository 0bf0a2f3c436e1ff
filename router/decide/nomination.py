"""The history of a bill that began with a nomination.

CBP replays nothing to a party that is named late, so a 69 alone proves nothing. But AMS rejects a house bill without a
second notify party (CBP Trade Act FAQ, vessel mode, section 12): the only one it names was named when it was filed. If
that was 24 hours before the first lading, no hold can have come before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from router.decide.account import Account
from router.decide.cargo_facts import Cargo
from router.decide.standing_holds import UnparsedEvent
from router.model.eastern import DAY, MINUTE, start_of_day

NOMINATED: Final = "69"


def begins_history(
    account: Account, cargo: Cargo, unparsed: Iterable[UnparsedEvent], first_lading_date: str | None
) -> bool:
    """True if the bill's history is complete from its nomination on. The date is that of a sailing positively found."""
    nominated = account.nominated
    lading = start_of_day(first_lading_date or "")
    if nominated is None or lading is None or not cargo.is_house:
        return False
    if len(cargo.snps) != 1 and not (nominated.counts_for_several and cargo.snps):
        return False
    if nominated.posted * MINUTE > lading - DAY or any(one.placed < nominated.posted for one in unparsed):
        return False
    return not account.holds_unseen
