"""A feed's last 24 hours as a strip: when it was heard, its silences beyond its limit, outages, and what is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from router.engine.feed_silence import SilenceLimit
from router.model.eastern import DAY, EASTERN, MILLISECONDS, MINUTE
from router.model.registry_values import Outage

WIDTH: Final = 1440
"""Width of a strip, one unit a minute."""
NARROWEST: Final = 3

Source = tuple[str, str | None]
"""A feed and a port; None: an event without a port, or a limit for any."""


class Part(NamedTuple):
    start: int
    """From the left edge, 24 hours ago."""
    width: int
    kind: str
    """`heard`, `silent`, `unknown` or `outage`."""


class FeedStrip(NamedTuple):
    feed: str
    port: str | None
    last: int | None
    """UTC milliseconds. None: not heard yet, as far as is known."""
    limit_minutes: int | None
    """The shortest limit that applies now. None: no limit now."""
    parts: tuple[Part, ...]
    silent: int
    """Silences beyond the limit of their hour."""
    outages: int
    unknown_until: int | None
    """The time before which only the latest message is known, if that is within the strip. UTC milliseconds."""

    def is_silent(self, now: int) -> bool | None:
        """True if it is silent for longer than its limit; None: unknown, or without a limit."""
        if self.last is None or self.limit_minutes is None:
            return None
        return now - self.last > self.limit_minutes * MINUTE


def feed_strips(
    heard: Mapping[Source, Sequence[int]],
    limits: Iterable[SilenceLimit],
    outages: Iterable[Outage],
    known_since: int | None,
    now: int,
) -> list[FeedStrip]:
    """Make a strip for each feed and port that was heard or has a limit, by name. From `known_since` on `heard` is
    complete, and before that has some of the times. Times in UTC milliseconds."""
    limits, outages = tuple(limits), tuple(outages)
    sources = {*heard, *((limit.feed, limit.port) for limit in limits)}
    return [
        _strip(source, _times(heard, source), limits, outages, known_since, now)
        for source in sorted(sources, key=lambda one: (one[0], one[1] or ""))
    ]


def _times(heard: Mapping[Source, Sequence[int]], source: Source) -> list[int]:
    """Times of a feed at a port; of a feed at any port, all of its times."""
    feed, port = source
    return sorted(
        at for (name, where), times in heard.items() if name == feed and port in (None, where) for at in times
    )


def _strip(
    source: Source,
    times: list[int],
    limits: tuple[SilenceLimit, ...],
    outages: tuple[Outage, ...],
    known_since: int | None,
    now: int,
) -> FeedStrip:
    begin = now - DAY
    own = [one for one in limits if one.feed == source[0] and one.port in (None, source[1])]
    known = now if known_since is None else max(begin, known_since)
    parts = [Part(_place(begin, begin), _place(known, begin), "unknown")] if known > begin else []
    gaps = [] if not times else list(zip([*times], [*times[1:], now], strict=True))
    silences = [
        (start, end) for start, end in gaps
        if end > known and (most := _limit(own, end)) is not None and end - start > most * MINUTE
    ]  # fmt: skip
    parts += [_part(max(start, begin), end, begin, "silent") for start, end in silences]
    fitting = [
        one for one in outages
        if one.carrier is None and one.feed in (None, source[0])
        and (source[1] is None or one.port in (None, source[1]))
        and one.began_at < now and (one.ended_at is None or one.ended_at > begin)
    ]  # fmt: skip
    parts += [_part(max(one.began_at, begin), one.ended_at or now, begin, "outage") for one in fitting]
    parts += [_part(at, at, begin, "heard") for at in times if at >= begin]
    return FeedStrip(
        *source, times[-1] if times else None, _limit(own, now), tuple(parts), len(silences), len(fitting),
        known if known > begin else None,
    )  # fmt: skip


def _limit(limits: Iterable[SilenceLimit], at: int) -> int | None:
    """Minutes of the shortest limit that applies at a time."""
    moment = datetime.fromtimestamp(at / MILLISECONDS, UTC).astimezone(EASTERN)
    return min((one.longest_silence_minutes for one in limits if one.applies(moment)), default=None)


def _place(at: int, begin: int) -> int:
    return min(WIDTH, max(0, (at - begin) // MINUTE))


def _part(start: int, end: int, begin: int, kind: str) -> Part:
    left = min(_place(start, begin), WIDTH - NARROWEST)
    return Part(left, max(NARROWEST, _place(end, begin) - left), kind)
