"""Everything that an operator changes on a running installation: the number of workers, a new version of the router,
brokers restarted one after another. Nothing is lost, sent twice or reordered, and how late notices are is measured."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router import topics
from router.log.interface import Record
from tests.checking.replay import describe
from tests.faults.scene import Scene, scene
from tests.faults.test_faults import GROUP, SESSION_SECONDS
from tests.faults.trial import Trial, fields_of
from tests.faults.workers import QUICK, Workers, children_of

pytestmark = pytest.mark.kafka

FEED_SECONDS = 0.25
FED_AT_ONCE = 5
PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def fed(trial: Trial) -> AsyncIterator[None]:
    """Feed all the time."""
    enough = asyncio.Event()

    async def feed() -> None:
        while not enough.is_set():
            await trial.feed(FED_AT_ONCE)
            await asyncio.sleep(FEED_SECONDS)

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        try:
            yield
        finally:
            enough.set()


async def until_routed(trial: Trial) -> None:
    """Wait until an event that is fed now is decided: the routers are at work."""
    before = len(trial.fed)
    await trial.feed(1)
    event = trial.fed[before]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(fields_of(one)["remarks"] == event.remarks for one in await trial.read([topics.TIMELINE])):
            await asyncio.sleep(0.2)


async def latencies(trial: Trial) -> list[float]:
    """Seconds from an event's record to that of the decision on it, of each event."""
    fed: dict[tuple[str, int, int], Record] = {
        (one.topic, one.partition, one.offset): one for one in await trial.read([topics.URGENT, topics.DISPOSITIONS])
    }
    found = []
    for record in await trial.read([topics.TIMELINE]):
        fields = fields_of(record)
        event = fed.get((fields["input_topic"], record.partition, fields["input_offset"]))
        if event is not None and not fields["duplicate"]:
            found.append((record.timestamp - event.timestamp) / 1000)
    return sorted(found)


async def note_latencies(at: Scene, what: str) -> None:
    """Write to the history how late decisions were."""
    late = await latencies(at.trial)
    at.trial.history.note(what, events=len(late), median=statistics.median(late), latest=late[-1])


async def judged(at: Scene) -> str:
    """Every violation, and every line that no router may write."""
    at.workers.stop()
    await asyncio.sleep(SESSION_SECONDS)
    await note_latencies(at, "seconds in all")
    return describe([*(await at.trial.finish(GROUP))[:20], *at.workers.errors])


def supervised(at: Scene, folder: Path, workers: int) -> Workers:
    """One `run --workers N`, started."""
    words = ("run", "--workers", str(workers))
    made = Workers(at.trial.log.url, folder, words=words, settings=QUICK, name=f"run-{workers}")
    made.start()
    return made


async def test_workers_are_added_killed_and_taken_away_while_they_route(tmp_path: Path) -> None:
    async with scene(tmp_path, 11) as at:
        await at.trial.prepare()
        made: list[Workers] = []
        try:
            async with fed(at.trial):
                made.append(supervised(at, tmp_path, 1))
                await until_routed(at.trial)
                await made[0].leave()
                made.append(supervised(at, tmp_path, 3))
                await until_routed(at.trial)
                killed = children_of(*made[1].processes)[1]
                os.kill(killed, signal.SIGKILL)
                await until_routed(at.trial)
                made.append(supervised(at, tmp_path, 2))
                await until_routed(at.trial)
                await made[1].leave()
                await until_routed(at.trial)
            await made[2].leave()
        finally:
            for workers in made:
                for process in workers.processes:
                    for child in children_of(process):
                        os.kill(child, signal.SIGKILL)
                workers.stop()
        assert not (found := await judged(at)), found
        assert not [line for workers in made for line in workers.errors]


@pytest.mark.soak
async def test_three_routers_and_three_brokers_are_restarted_one_after_another(tmp_path: Path) -> None:
    async with scene(tmp_path, 12, brokers=3) as at:
        await at.trial.prepare()
        await at.workers.start_and_wait(3)
        async with fed(at.trial):
            for _ in range(3):
                await at.workers.replace_oldest()
            await until_routed(at.trial)
        await note_latencies(at, "seconds with routers restarted")
        async with fed(at.trial):
            for node in at.cluster.nodes:
                await asyncio.to_thread(node.stop)
                node.start()
                await asyncio.to_thread(at.cluster.wait_until_ready)
                await until_routed(at.trial)
        assert not (found := await judged(at)), found


@pytest.mark.soak
async def test_connections_to_three_brokers_are_cut_stalled_and_delayed(tmp_path: Path) -> None:
    async with scene(tmp_path, 13, brokers=3, proxied=True) as at:
        await at.trial.prepare()
        await at.workers.start_and_wait(2)
        await at.trial.suffer(at.faults("cut stall delay"), 60.0, (0.5, 3.0))
        at.heal()
        await until_routed(at.trial)
        assert not (found := await judged(at)), found
