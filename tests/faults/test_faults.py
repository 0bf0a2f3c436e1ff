"""The whole router on Kafka through every fault we can think of, alone and mixed. A seed repeats the choice of faults.

Longer, on three brokers: `python -m benchmarks.soak`.
"""

from __future__ import annotations

import asyncio
import shutil
import uuid
from pathlib import Path

import pytest

from tests.checking.replay import describe
from tests.faults.scene import scene
from tests.faults.workers import ROUTER, errors_in

pytestmark = pytest.mark.kafka

SECONDS = 10.0
GROUP = "snp-router"
SESSION_SECONDS = 2.5
"""After this the group has noticed that all workers are dead, and deals every task to us."""
EVERYTHING = "kill freeze add leave cut stall delay answer shrink broker"


async def undergo(
    folder: Path, names: str, seed: int, seconds: float, command: tuple[str, ...] = ROUTER, brokers: int = 1
) -> list[str]:
    """One trial from nothing to its verdict; where there are faults, its history is kept beside the tests."""
    async with scene(folder, seed, command, brokers) as at:
        await at.trial.prepare()
        at.workers.start(2)
        await asyncio.sleep(2.0)
        await at.trial.suffer(at.faults(names), seconds, (0.2, 2.0))
        at.workers.stop()
        at.heal()
        await asyncio.sleep(SESSION_SECONDS)
        faults = await at.trial.finish(GROUP)
    if command == ROUTER:
        faults += errors_in(folder)
    if faults and command == ROUTER:
        kept = Path("fault-histories") / f"{names.replace(' ', '-')}-{seed}-{uuid.uuid4().hex[:6]}"
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("node-*"))
        faults.append(f"the history is in {kept}")
    return faults


@pytest.mark.parametrize(
    ("names", "seed"),
    [
        ("kill freeze", 1),
        ("add leave", 3),
        ("broker", 4),
        ("cut stall delay shrink answer", 5),
        (EVERYTHING, 6),
    ],
)
async def test_nothing_is_lost_doubled_reordered_or_told_to_another(tmp_path: Path, names: str, seed: int) -> None:
    faults = await undergo(tmp_path, names, seed, SECONDS)
    assert not faults, describe(faults[:20])


async def test_the_same_with_three_brokers_of_which_one_is_killed_at_a_time(tmp_path: Path) -> None:
    faults = await undergo(tmp_path, "broker kill", 7, SECONDS, brokers=3)
    assert not faults, describe(faults[:20])
