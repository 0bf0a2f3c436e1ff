"""Whether a feed is silent for too long, and when it is heard again: what was heard, beside the hours set for it.

Pure: the owner of task 0 asks at each tick and writes what comes of it in the tick's own transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from router.model.eastern import CLOCKS_DIFFER, EASTERN, MILLISECONDS, MINUTE, to_milliseconds
from router.model.registry_values import SILENT, FeedActivity, Outage

HOURS_A_WEEK: Final = 7 * 24

LastHeard = Mapping[tuple[str, str | None], int]
"""When a feed last brought something for a port (None: without a port), UTC milliseconds."""


Last = Mapping[tuple[str | None, str | None], str]
"""Of a feed and port the last time it was silent, over or not: the outage's id."""


class SilenceLimit(NamedTuple):
    """How long a feed may be silent in some hours of the week. Where several apply, the shortest counts."""

    feed: str
    port: str | None
    """Schedule D; None: whatever port."""
    days: frozenset[int]
    """0 is Monday; Eastern, like the hours."""
    from_hour: int
    to_hour: int
    """Up to this hour, not in it."""
    longest_silence_minutes: int

    def applies(self, moment: datetime) -> bool:
        return moment.weekday() in self.days and self.from_hour <= moment.hour < self.to_hour


def silence_changes(
    hours: Iterable[SilenceLimit], heard: LastHeard, last: Last, lasting: Iterable[Outage], now: int
) -> list[Outage]:
    """Outages that begin and outages that end now. Asked again before they are known, the same again.

    A feed that was never heard is not missed: it may not have begun. In hours that no setting names nobody listens, and
    silence is counted from when they are over.
    """
    return [*_ended(heard, lasting), *_begun(hours, heard, last, now)]


def _ended(heard: LastHeard, lasting: Iterable[Outage]) -> Iterator[Outage]:
    for outage in lasting:
        if outage.kind != SILENT or outage.ended_at is not None or outage.feed is None:
            continue
        last = last_heard(heard, outage.feed, outage.port)
        if last is not None and last != outage.began_at:  # before it, if the feed's clock was set back meanwhile
            yield outage._replace(ended_at=max(last, outage.began_at))


def _begun(hours: Iterable[SilenceLimit], heard: LastHeard, before: Last, now: int) -> Iterator[Outage]:
    missed: set[str] = set()
    for one in hours:
        last = last_heard(heard, one.feed, one.port)
        since = None if last is None else _counted_from(one, last, now)
        if last is None or since is None or now - since <= one.longest_silence_minutes * MINUTE:
            continue
        outage_id = f"silent-{one.feed}-{one.port or 'all'}-{last // MILLISECONDS}"
        if before.get((one.feed, one.port)) != outage_id and outage_id not in missed:
            missed.add(outage_id)
            reason = f"nothing was heard for more than {one.longest_silence_minutes} minutes"
            yield Outage(outage_id, SILENT, last, feed=one.feed, port=one.port, reason=reason)


def not_to_come(heard: LastHeard, now: int) -> Iterator[FeedActivity]:
    """What sets right when feeds were heard, where that is still to come: by a clock that is ahead. A feed that falls
    silent then would not be missed until that day."""
    for (feed, port), at in heard.items():
        if at > now + CLOCKS_DIFFER:
            yield FeedActivity(feed, port, now)


def last_heard(heard: LastHeard, feed: str, port: str | None) -> int | None:
    moments = (at for (name, where), at in heard.items() if name == feed and (port is None or where == port))
    return max(moments, default=None)


def _counted_from(hours: SilenceLimit, last: int, now: int) -> int | None:
    """The later of when it was last heard and when these hours began; None outside them."""
    moment = datetime.fromtimestamp(now / MILLISECONDS, UTC).astimezone(EASTERN)
    if not hours.applies(moment):
        return None
    start = moment.replace(minute=0, second=0, microsecond=0)
    for _ in range(HOURS_A_WEEK):
        before = (start.astimezone(UTC) - timedelta(hours=1)).astimezone(EASTERN)
        if not hours.applies(before):
            return max(last, to_milliseconds(start))
        start = before
    return last
