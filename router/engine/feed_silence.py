"""Detects feeds that are silent for too long, and feeds that are active again.

Pure: the owner of task 0 calls it at each tick and writes the result in the tick's own transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from router.model.eastern import CLOCKS_DIFFER, EASTERN, MILLISECONDS, MINUTE, to_milliseconds
from router.model.registry_values import SILENT, FeedActivity, Outage

HOURS_A_WEEK: Final = 7 * 24

LastActive = Mapping[tuple[str, str | None], int]
"""By feed and port (None: an event without a port), the time of its latest activity. UTC milliseconds."""
LatestSilence = Mapping[tuple[str | None, str | None], str]
"""By feed and port, the outage id of its latest silence, ended or not."""


class SilenceLimit(NamedTuple):
    """The longest usual silence of a feed in some hours of the week. Of several limits the shortest applies."""

    feed: str
    port: str | None
    """Schedule D; None: any port."""
    days: frozenset[int]
    """0 is Monday. Days and hours are Eastern."""
    from_hour: int
    to_hour: int
    """Exclusive."""
    longest_silence_minutes: int

    def applies(self, moment: datetime) -> bool:
        return moment.weekday() in self.days and self.from_hour <= moment.hour < self.to_hour


def silence_changes(
    limits: Iterable[SilenceLimit], active: LastActive, latest: LatestSilence, outages: Iterable[Outage], now: int
) -> list[Outage]:
    """Silences that begin or end now. The same call before they are registered returns the same.

    A feed without any activity yet is not silent: it may not have begun. Outside the hours of its limits a feed is
    never silent, and its silence counts from the beginning of those hours.
    """
    return [*_ended(active, outages), *_begun(limits, active, latest, now)]


def _ended(active: LastActive, outages: Iterable[Outage]) -> Iterator[Outage]:
    for outage in outages:
        if outage.kind != SILENT or outage.ended_at is not None or outage.feed is None:
            continue
        last = last_active(active, outage.feed, outage.port)
        if last is not None and last != outage.began_at:  # earlier, if the feed's clock was set back meanwhile
            yield outage._replace(ended_at=max(last, outage.began_at))


def _begun(limits: Iterable[SilenceLimit], active: LastActive, latest: LatestSilence, now: int) -> Iterator[Outage]:
    found: set[str] = set()
    for limit in limits:
        last = last_active(active, limit.feed, limit.port)
        since = None if last is None else _silent_since(limit, last, now)
        if last is None or since is None or now - since <= limit.longest_silence_minutes * MINUTE:
            continue
        outage_id = f"silent-{limit.feed}-{limit.port or 'all'}-{last // MILLISECONDS}"
        if latest.get((limit.feed, limit.port)) != outage_id and outage_id not in found:
            found.add(outage_id)
            minutes = limit.longest_silence_minutes
            reason = f"no message for more than {minutes} minute{'' if minutes == 1 else 's'}"
            yield Outage(outage_id, SILENT, last, feed=limit.feed, port=limit.port, reason=reason)


def corrected_activity(active: LastActive, now: int) -> Iterator[FeedActivity]:
    """Corrections of activity in the future, from a clock that was ahead: until then no silence would be noticed."""
    for (feed, port), at in active.items():
        if at > now + CLOCKS_DIFFER:
            yield FeedActivity(feed, port, now)


def last_active(active: LastActive, feed: str, port: str | None) -> int | None:
    times = (at for (name, where), at in active.items() if name == feed and (port is None or where == port))
    return max(times, default=None)


def _silent_since(limit: SilenceLimit, last: int, now: int) -> int | None:
    """The later of the latest activity and the beginning of the limit's hours; None outside these."""
    moment = datetime.fromtimestamp(now / MILLISECONDS, UTC).astimezone(EASTERN)
    if not limit.applies(moment):
        return None
    start = moment.replace(minute=0, second=0, microsecond=0)
    for _ in range(HOURS_A_WEEK):
        before = (start.astimezone(UTC) - timedelta(hours=1)).astimezone(EASTERN)
        if not limit.applies(before):
            return max(last, to_milliseconds(start))
        start = before
    return last
