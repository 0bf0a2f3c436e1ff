"""Workers under a supervisor: real processes that die, hang, give up and obey."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from router.engine import supervisor as supervision
from router.engine.supervisor import SLOT, SUPERVISOR_PROCESS, Supervisor

WORKER = """
import os, pathlib, signal, sys, time
from router.engine.supervisor import leave_with_supervisor
folder, how = pathlib.Path(sys.argv[1]), sys.argv[2]
def leave(*_):
    (folder / f"left-{os.getpid()}").touch(); sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "stubborn" else leave)
leave_with_supervisor()
(folder / f"started-{os.environ['SNP_WORKER_SLOT']}-{os.getpid()}").touch()
if how == "hopeless": sys.exit(4)
if how == "done": sys.exit(0)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(supervision, "DRAIN_SECONDS", 1.0)
    monkeypatch.setattr(supervision, "PAUSES", (0.05, 0.2))
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "said").mkdir()
    return tmp_path


def supervisor(folder: Path, how: str, workers: int = 2) -> Supervisor:
    return Supervisor(
        [sys.executable, str(folder / "worker.py"), str(folder / "said"), how], workers, f"kafka://{folder}"
    )


def said(folder: Path, what: str) -> list[str]:
    return sorted(path.name for path in (folder / "said").glob(f"{what}-*"))


async def until(folder: Path, what: str, count: int) -> None:
    async with asyncio.timeout(10):
        while len(said(folder, what)) < count:
            await asyncio.sleep(0.02)


async def stop(running: asyncio.Task[int]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_each_slot_has_a_worker_that_knows_its_slot(folder: Path) -> None:
    running = asyncio.create_task(supervisor(folder, "obedient", 3).run())
    await until(folder, "started", 3)
    assert [name.split("-")[1] for name in said(folder, "started")] == ["0", "1", "2"]
    await stop(running)
    assert SLOT not in os.environ


async def test_supervisors_of_one_log_give_their_workers_different_slots(folder: Path) -> None:
    """One may be started beside another before that is stopped. The next one has the lowest slots again."""
    first = asyncio.create_task(supervisor(folder, "obedient").run())
    await until(folder, "started", 2)
    second = asyncio.create_task(supervisor(folder, "obedient").run())
    await until(folder, "started", 4)
    await stop(first)
    third = asyncio.create_task(supervisor(folder, "obedient", 1).run())
    await until(folder, "started", 5)
    assert [name.split("-")[1] for name in said(folder, "started")] == ["0", "0", "1", "2", "3"]
    await stop(second)
    await stop(third)


async def test_a_worker_that_dies_is_replaced_in_its_slot(folder: Path) -> None:
    running = asyncio.create_task(supervisor(folder, "obedient").run())
    await until(folder, "started", 2)
    first = said(folder, "started")[0]
    os.kill(int(first.split("-")[2]), signal.SIGKILL)
    await until(folder, "started", 3)
    assert [name.split("-")[1] for name in said(folder, "started")].count(first.split("-")[1]) == 2
    await stop(running)


async def test_a_stop_drains_every_worker_before_it_returns(folder: Path) -> None:
    running = asyncio.create_task(supervisor(folder, "obedient").run())
    await until(folder, "started", 2)
    await stop(running)
    assert len(said(folder, "left")) == 2


async def test_a_worker_that_does_not_leave_in_time_is_killed(folder: Path) -> None:
    running = asyncio.create_task(supervisor(folder, "stubborn").run())
    await until(folder, "started", 2)
    async with asyncio.timeout(30):  # it would sleep for a minute
        await stop(running)
    for name in said(folder, "started"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(name.split("-")[2]), 0)


async def test_a_hopeless_exit_code_ends_all_workers_and_is_returned(folder: Path) -> None:
    assert await supervisor(folder, "hopeless").run() == 4
    assert len(said(folder, "started")) <= 2


SUPERVISOR = """
import asyncio, sys
from router.engine.supervisor import Supervisor
asyncio.run(Supervisor([sys.executable, *sys.argv[1:]], 2, "kafka://" + sys.argv[1]).run())
"""


async def test_workers_of_a_killed_supervisor_are_told_to_leave(folder: Path) -> None:
    words = (str(folder / "worker.py"), str(folder / "said"), "obedient")
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", SUPERVISOR, *words)
    await until(folder, "started", 2)
    killed.kill()
    await killed.wait()
    await until(folder, "left", 2)


async def test_a_worker_that_starts_after_its_supervisor_was_killed_leaves(folder: Path) -> None:
    environment = os.environ | {SLOT: "0", SUPERVISOR_PROCESS: str(2**22 + 1)}
    words = (str(folder / "worker.py"), str(folder / "said"), "obedient")
    late = await asyncio.create_subprocess_exec(sys.executable, *words, env=environment)
    async with asyncio.timeout(10):
        await late.wait()
    assert said(folder, "started") == []


async def test_workers_that_ended_well_are_not_replaced(folder: Path) -> None:
    assert await supervisor(folder, "done").run() == 0
    assert len(said(folder, "started")) == 2
