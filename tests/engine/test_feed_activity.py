"""A file's activity goes to the registry once a minute and port; its late events are counted once for each outage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import topics
from router.decide.rules import Rules
from router.engine.administration import prepare
from router.engine.feed_activity import FeedMonitor
from router.log.interface import Log
from router.log.url import open_log
from router.model.eastern import DAY, MINUTE
from router.model.inputs import DeadLetter, Disposition
from router.model.registry_values import DECLARED, FeedActivity, LateTally, Outage, RegistryValue
from router.task.input_records import registry_value
from router.task.outputs import registry_output

NOW = 1_784_030_400_000
HOUR = 60 * MINUTE
DOWN = Outage("down", DECLARED, NOW - 5 * HOUR, port="2704", ended_at=NOW - HOUR)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await prepare(opened, 1)
        yield opened


def event(code: str, posted: int, port: str = "2704") -> Disposition:
    return Disposition("NVXA", "B1", code, posted, transaction_port=port)


async def fed(log: Log, at: int, *events: Disposition | DeadLetter) -> list[RegistryValue]:
    """Records of activity and late tallies after feeding in one file, whose content is the events."""
    activity = await FeedMonitor(log, "cbp", Rules()).begin_file(at)
    activity.hash(repr(events).encode())
    for one in events:
        activity.add(one, at)
    await activity.end(at)
    batches = log.read([topics.REGISTRY], until_end=True)
    values = [registry_value(record) async for batch in batches for record in batch]
    return [value for value in values if isinstance(value, FeedActivity | LateTally)]


async def test_activity_is_recorded_once_a_minute_and_port(log: Log) -> None:
    letter = DeadLetter("a", "why", "FILE", "x12", b"", 0)
    first = await fed(log, NOW, event("1C", NOW), event("1C", NOW, "5301"), letter)
    assert first == [FeedActivity("cbp", port, NOW) for port in ("2704", "5301", None)]
    assert await fed(log, NOW + MINUTE - 1, event("1C", NOW)) == first
    assert (await fed(log, NOW + MINUTE, event("1C", NOW)))[-1] == FeedActivity("cbp", "2704", NOW + MINUTE)


async def test_a_monitor_that_reads_seldom_still_records_each_minute_once(log: Log) -> None:
    monitor = FeedMonitor(log, "cbp", Rules(), reread_seconds=3600)
    for at, recorded in ((NOW, NOW), (NOW + 1, NOW), (NOW + MINUTE, NOW + MINUTE)):
        activity = await monitor.begin_file(at)
        activity.add(event("1C", NOW), at)
        await activity.end(at)
        assert await fed(log, at) == [FeedActivity("cbp", "2704", recorded)]


async def test_late_events_of_an_outage_are_counted_by_what_they_stop(log: Log) -> None:
    await log.append([registry_output(DOWN)])
    posted = NOW - 2 * HOUR
    late = [event("6H", posted), event("1H", posted - MINUTE), event("ZZ", posted), event("1C", posted)]
    others = [event("6H", posted, "5301"), event("6H", NOW), event("6H", NOW - 7 * HOUR)]
    (*_, tally) = await fed(log, NOW, *late, *others)
    assert isinstance(tally, LateTally)
    assert tally[2:] == (4, 1, 2, posted - MINUTE, NOW)


async def test_a_file_that_is_fed_in_again_has_the_same_tally(log: Log) -> None:
    await log.append([registry_output(DOWN)])
    for at in (NOW, NOW + MINUTE):
        values = await fed(log, at, event("6H", NOW - 2 * HOUR))
    runs = {value.run for value in values if isinstance(value, LateTally)}
    assert len(runs) == 1


async def test_an_outage_of_a_line_of_another_mode_or_of_long_ago_makes_nothing_late(log: Log) -> None:
    ended_long_ago = DOWN._replace(id="old", began_at=NOW - 20 * DAY, ended_at=NOW - 15 * DAY)
    of_rail = DOWN._replace(id="rail", mode="rail")
    await log.append([registry_output(one) for one in (DOWN._replace(carrier="OCNX"), ended_long_ago, of_rail)])
    values = await fed(log, NOW, event("6H", NOW - 2 * HOUR), event("6H", NOW - 16 * DAY))
    assert not [value for value in values if isinstance(value, LateTally)]
