"""A worker killed at any moment leaves a whole file, and the next one goes on at once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from router import topics
from router.log.sqlite import open_sqlite_log
from router.topics import TopicSpec
from tests.log.contract import everything
from tests.log.crashing_worker import APPENDED, COMMITTED, PARTY

KILLS = 8
LEASE_SECONDS = 10  # As in `SqliteSettings`.


def run_until_killed(path: Path, seconds: float) -> float:
    """How long it took until the worker was at work."""
    script = Path(__file__).parent / "crashing_worker.py"
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, str(script), f"sqlite:///{path}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"at work\n"
        ready = time.monotonic() - began
        time.sleep(seconds)
        worker.kill()
    return ready


async def test_killed_at_random_moments_nothing_is_lost_doubled_or_half_there(tmp_path: Path) -> None:
    path = tmp_path / "snp.db"
    async with open_sqlite_log(str(path)) as log:
        specs = [TopicSpec(name, 1) for name in (PARTY, topics.TIMELINE, topics.DISPOSITIONS)]
        await log.create_topics([*specs, TopicSpec(topics.BILLS, 1, compacted=True)])
    moments = random.Random(7)
    before = 0
    for _ in range(KILLS):
        ready = run_until_killed(path, moments.uniform(0.005, 0.25))

        assert ready < LEASE_SECONDS / 2, "a router whose process is gone is taken over at once"
        async with open_sqlite_log(str(path)) as log:
            notices = await everything(log, PARTY)
            (position,) = await everything(log, topics.BILLS)
            appended = await everything(log, topics.TIMELINE)
        assert len(notices) == int(position.value or b"") * COMMITTED
        assert [notice.value for notice in notices] == [b"%d" % number for number in range(len(notices))]
        assert [notice.offset for notice in notices] == list(range(len(notices)))
        assert len(appended) % APPENDED == 0
        assert len(notices) >= before
        before = len(notices)

    assert before > 0
