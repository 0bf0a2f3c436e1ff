"""Two routers, one of them killed, or stopped in the middle of a transaction: what waits, and for how long."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from itertools import product
from typing import Final, NamedTuple

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from rich.table import Table

from benchmarks.cargo import PARTITIONS
from benchmarks.kafka.load import Load, Notice
from benchmarks.kafka.routers import RouterProcess
from benchmarks.kafka.scene import Scene
from router.log.interface import Log

WARM_SECONDS: Final = 2.0
BEYOND_SECONDS: Final = 40.0
"""After a session has timed out, how long we wait at most until notices flow again."""
AFTERWARDS_SECONDS: Final = 1.0
STUCK_SECONDS: Final = 0.3
"""A transaction that makes no progress for so long is that of a stopped router."""
HELD_UP_SECONDS: Final = 1.0


class Outcome(NamedTuple):
    flowed_after: float
    """Until each of its tasks had a notice of an event written after the blow."""
    longest_own: float
    """Wait of a notice of its tasks."""
    longest_other: float
    """Wait of a notice of the other router's tasks."""
    held_up: int
    """Parties for whom a notice of the other router's tasks waited longer than a second."""
    longest_silence: float
    """Of any party's topic, across all tasks."""
    missing: int

    def cells(self) -> list[str]:
        seconds = [f"{number:.1f}" for number in (self.flowed_after, self.longest_own, self.longest_other)]
        return [*seconds, str(self.held_up), f"{self.longest_silence:.1f}", str(self.missing)]


async def measure(scene: Scene, rate: int, sessions: list[int], rounds: int) -> Table:
    made = Table(
        *("blow", "session", "flows again", "longest wait", "of others' tasks"),
        *("parties held up", "silence", "not seen"),
        title=f"one of two routers struck at {rate} events a second; seconds",
        caption="flows again: each task of the struck router has a notice readable of an event written after the blow. "
        "Longest wait: of a notice of its tasks; of the other router's tasks. Parties held up: those for whom a notice "
        "of the other router's tasks waited over 1 s. Silence: the longest between two notices of one party.",
    )
    async with scene.log() as log:
        await scene.begin(log)
        for blow, session, number in product(("SIGKILL", "SIGSTOP"), sessions, range(rounds)):
            found = await strike(scene, log, rate, session, blow, f"{blow}-{session}-{number}")
            made.add_row(blow, f"{session / 1000:g} s", *found.cells())
    return made


async def strike(scene: Scene, log: Log, rate: int, session: int, blow: str, name: str) -> Outcome:
    share = PARTITIONS // 2
    async with (
        RouterProcess(scene, f"{name}-a", session) as survivor,
        RouterProcess(scene, f"{name}-b", session) as victim,
    ):
        await asyncio.gather(survivor.assigned(share), victim.assigned(share))
        async with Load(scene, log, rate) as load:
            struck = asyncio.create_task(deliver(blow, victim, scene))
            its_tasks = victim.tasks
            flows = asyncio.create_task(flowing(load, struck, its_tasks))
            await load.run(WARM_SECONDS + session / 1000 + BEYOND_SECONDS, flows.done)
            flowed = await asyncio.wait_for(flows, HELD_UP_SECONDS)
            await load.run(AFTERWARDS_SECONDS)
            victim.send(signal.SIGCONT)
            await load.all_seen()
            at = struck.result()
            notices = [notice for notice in load.notices() if notice.sent >= at]
            return outcome(notices, at, flowed, its_tasks, load.expected(at))


async def deliver(blow: str, victim: RouterProcess, scene: Scene) -> float:
    """When the blow that counts was struck."""
    await asyncio.sleep(WARM_SECONDS)
    if blow == "SIGKILL":
        victim.send(signal.SIGKILL)
        return Load.now()
    while True:
        await asyncio.sleep(random.uniform(0.1, 0.5))
        victim.send(signal.SIGSTOP)
        at = Load.now()
        if await asyncio.to_thread(leaves_a_transaction_open, scene):
            return at
        victim.send(signal.SIGCONT)


def leaves_a_transaction_open(scene: Scene) -> bool:
    """Whether a party's topic has notices that are not decided, and stays so."""
    admin = AdminClient({"bootstrap.servers": scene.address, "log_level": 3})
    before = undecided(admin, scene)
    time.sleep(STUCK_SECONDS)
    return bool(before & undecided(admin, scene))


def undecided(admin: AdminClient, scene: Scene) -> set[tuple[str, int]]:
    """Of the parties' topics with an open transaction, the name and the offset where it begins."""
    partitions = [TopicPartition(name, 0) for name in scene.party_topics]
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    ends = []
    for isolation in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):
        asked = admin.list_offsets(dict.fromkeys(partitions, latest), isolation_level=isolation)
        ends.append({(one.topic, answer.result().offset) for one, answer in asked.items()})
    return ends[0] - ends[1]


async def flowing(load: Load, struck: asyncio.Task[float], its_tasks: set[int]) -> float:
    """When the last of its tasks had a notice of an event written after the blow."""
    at = await struck
    while True:
        first: dict[int, float] = {}
        for notice in load.notices():
            if notice.sent >= at:
                first.setdefault(notice.task, notice.arrived)
        if its_tasks <= first.keys():
            return max(first[task] for task in its_tasks)
        await asyncio.sleep(0.1)


def outcome(notices: list[Notice], at: float, flowed: float, its_tasks: set[int], expected: int) -> Outcome:
    others = [notice for notice in notices if notice.task not in its_tasks]
    return Outcome(
        flowed - at,
        max((notice.waited for notice in notices if notice.task in its_tasks), default=0.0),
        max((notice.waited for notice in others), default=0.0),
        len({notice.topic for notice in others if notice.waited > HELD_UP_SECONDS}),
        longest_silence(notices, at),
        expected - len(notices),
    )


def longest_silence(notices: list[Notice], at: float) -> float:
    last: dict[str, float] = {}
    longest = 0.0
    for notice in notices:
        longest = max(longest, notice.arrived - last.get(notice.topic, at))
        last[notice.topic] = notice.arrived
    return longest
