"""Input that was deleted before it was read, as a bill sees it: any event of it may be missing.

Each bill of the partition that has an event up to the end of the lost span lacks perhaps a hold, until a snapshot from
after the span or a confirmation. So does a bill first seen later, unless CBP added it (55) after the span.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from router.decide.account import Account
from router.decide.deeds import Deeds
from router.decide.status import HISTORY_INCOMPLETE
from router.model.eastern import order_minute, posted_minute
from router.model.registry_values import LostInput


class LostSpan(NamedTuple):
    id: str
    """Id of its `LostInput`. A confirmation covers it like an event."""
    until: int
    """Minute up to which events may be missing."""


def spans_of(lost: Iterable[LostInput]) -> tuple[LostSpan, ...]:
    return tuple(LostSpan(one.id, posted_minute(one.until)) for one in lost if not one.of_index)


def lacks_events(
    spans: Iterable[LostSpan], account: Account, others: Iterable[int], snapshot: int | None, deeds: Deeds
) -> bool:
    """True if an event of the bill may be missing.

    `others` are the minutes of events that are not in the account, `snapshot` that of the latest snapshot.
    """
    first = min([*others, *(() if account.first_posted is None else (account.first_posted,))], default=None)
    return any(_lacks(span, first, account, snapshot, deeds) for span in spans)


def _lacks(span: LostSpan, first: int | None, account: Account, snapshot: int | None, deeds: Deeds) -> bool:
    if deeds.settle(HISTORY_INCOMPLETE, span.id) or (snapshot is not None and snapshot > span.until):
        return False
    was_seen = first is not None and order_minute(first) <= order_minute(span.until)
    return was_seen or account.added is None
