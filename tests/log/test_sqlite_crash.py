"""A worker killed or frozen at any moment leaves an intact file, and the next one goes on."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from router import topics
from router.log.interface import Task
from router.log.sqlite import SqliteSettings, open_sqlite_log
from router.topics import TopicSpec
from tests.log.contract import everything
from tests.log.crashing_worker import APPENDED, COMMITTED, PARTY, commit_next, position_of

KILLS = 8
LEASE_SECONDS = 10  # The setting's default, which a worker to be killed uses.
SHORT_LEASE_SECONDS = 1


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "snp.db"
    async with open_sqlite_log(str(path)) as log:
        specs = [TopicSpec(name, 1) for name in (PARTY, topics.TIMELINE, topics.DISPOSITIONS)]
        await log.create_topics([*specs, TopicSpec(topics.BILLS, 1, compacted=True)])
    return path


@contextmanager
def worker_on(path: Path, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker, wait until it is at work, and kill it at the end."""
    script = Path(__file__).parent / "crashing_worker.py"
    with subprocess.Popen(
        [sys.executable, str(script), f"sqlite:///{path}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"at work\n"
        try:
            yield worker
        finally:
            worker.kill()


async def notices_of(path: Path) -> int:
    """Return how many notices there are, all of them in order and with the position."""
    async with open_sqlite_log(str(path)) as log:
        notices = await everything(log, PARTY)
        (position,) = await everything(log, topics.BILLS)
        appended = await everything(log, topics.TIMELINE)
    assert len(notices) == int(position.value or b"") * COMMITTED
    assert [notice.value for notice in notices] == [b"%d" % number for number in range(len(notices))]
    assert [notice.offset for notice in notices] == list(range(len(notices)))
    assert len(appended) % APPENDED == 0
    return len(notices)


async def test_killed_at_random_moments_nothing_is_lost_doubled_or_half_there(path: Path) -> None:
    moments = random.Random(7)
    before = 0
    for _ in range(KILLS):
        began = time.monotonic()
        with worker_on(path):
            ready = time.monotonic() - began
            await asyncio.sleep(moments.uniform(0.005, 0.25))

        assert ready < LEASE_SECONDS / 2, "a router whose process is gone is taken over at once"
        notices = await notices_of(path)
        assert notices >= before
        before = notices

    assert before > 0


def freeze(worker: subprocess.Popen[bytes], path: Path) -> None:
    """Stop the worker between two of its writes. Within one it would hold SQLite's lock until it wakes up."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        os.waitpid(worker.pid, os.WUNTRACED)  # It takes a moment.
        with closing(sqlite3.connect(path, timeout=0.05, isolation_level=None)) as sqlite:
            try:
                sqlite.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                worker.send_signal(signal.SIGCONT)
                time.sleep(0.01)
            else:
                return


async def test_a_frozen_router_is_taken_over_and_commits_nothing_when_it_wakes_up(path: Path) -> None:
    with worker_on(path, SHORT_LEASE_SECONDS) as worker:

        async def run(task: Task) -> None:
            count = await position_of(task)
            await commit_next(task, count)
            worker.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.5)
            assert await position_of(task) == count + 1
            await commit_next(task, count + 1)

        await asyncio.sleep(0.1)
        freeze(worker, path)
        async with open_sqlite_log(str(path), SqliteSettings(lease_seconds=SHORT_LEASE_SECONDS)) as log:
            async with asyncio.timeout(LEASE_SECONDS):
                await log.work([topics.DISPOSITIONS], run)
            await asyncio.sleep(0.3)  # The worker gets its task back, and goes on where the position is.

    assert await notices_of(path) > 0
