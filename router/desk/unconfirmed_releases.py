"""Figures of the rule `release_after_hold`: the bills that it keeps from being released, now and last month."""

from __future__ import annotations

from typing import Final, NamedTuple

from router.decide.registry import Registry
from router.model.eastern import DAY

MONTH: Final = 30 * DAY


class UnconfirmedReleases(NamedTuple):
    """Numbers of bills that `RELEASE_PREDATES_HOLD` alone or with other doubts keeps from being released."""

    now: int
    last_month: int
    """In the last 30 days in which a router ran."""
    bills_of_last_month: int
    """Bills with a record in these days."""

    def sentence(self) -> str:
        """`3 bills wait for a new release or a confirmation now; 12 of 240 (5.0 %) did last month`."""
        share = 100 * self.last_month / max(1, self.bills_of_last_month)
        return (
            f"{self.now:,} bills wait for a new release or a confirmation now; {self.last_month:,} of "
            f"{self.bills_of_last_month:,} ({share:.1f} %) did last month"
        )


NO_UNCONFIRMED: Final = UnconfirmedReleases(0, 0, 0)


def month_before(registry: Registry) -> int:
    """`Registry.elapsed` of a month ago. UTC milliseconds."""
    return max(1, registry.elapsed - MONTH)
