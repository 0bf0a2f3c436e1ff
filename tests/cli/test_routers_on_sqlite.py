"""Several routers on one SQLite file: stopped, killed, beside each other, or frozen while one holds the lease. Nothing
is lost or written twice, and all say who holds the lease and what to do."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router import topics
from router.decide.rules import Rules
from router.demo.story import FILES
from router.log.url import open_log
from tests.checking.replay import check, describe
from tests.cli.conftest import BILL, WAIT_SECONDS, Command

FREEZING = Path(__file__).with_name("freezing_router.py")
FIRST = FILES / "1-on-file.x12"
Freeze = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def installed(command: Command) -> Iterator[Command]:
    command.set_up()
    yield command
    for router in command.started:
        router.send_signal(signal.SIGCONT)


@pytest.fixture
def freeze(installed: Command) -> Freeze:
    """Starts a router that has events to route, and returns it when it has frozen."""
    command = installed
    command("run", "--until-idle")
    command("ingest", FIRST)
    command.environment |= {"SNP_SQLITE__BUSY_TIMEOUT_SECONDS": "0.5", "SNP_SQLITE__LEASE_SECONDS": "1"}

    def start(when: str) -> subprocess.Popen[str]:
        words = [sys.executable, str(FREEZING), when, "run"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        router = subprocess.Popen(words, cwd=command.folder, env=command.environment, text=True, **pipes)
        command.started.append(router)
        _, status = os.waitpid(router.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        return router

    return start


def names(router: subprocess.Popen[str], said: str) -> bool:
    """True if it names the frozen router, and both ways out."""
    one = router.pid
    return f"process {one}, which is frozen: `kill -CONT {one}`" in said and f"`kill -KILL {one}`" in said


def until(router: subprocess.Popen[str], text: str) -> str:
    """Wait until it has logged the text. Returns that line."""
    assert router.stderr is not None
    said = ""
    while text not in (line := router.stderr.readline()):
        assert line, f"it ended without {text!r}: {said}"
        said += line
    return line


def leave(router: subprocess.Popen[str]) -> None:
    router.terminate()
    _, rest = router.communicate(timeout=WAIT_SECONDS)
    assert "Traceback" not in rest


def faults(command: Command) -> list[str]:
    async def read() -> list[str]:
        async with open_log(f"sqlite:///{command.folder}/snp.db") as log:
            of_parties = [name for name in await log.topics() if name.startswith(topics.PARTY_PREFIX)]
            timeline = [record async for batch in log.read([topics.TIMELINE], until_end=True) for record in batch]
            notices = [record async for batch in log.read(of_parties, until_end=True) for record in batch]
            assert notices
            return check(timeline, notices, Rules())

    return asyncio.run(read())


def test_routers_are_exchanged_for_others_while_events_come(installed: Command) -> None:
    first = installed.start("run", "--verbose", "--workers", "1")
    until(first, "task_restored")
    second = installed.start("run", "--verbose")
    until(second, "waiting_until_another_router_stops")
    assert "allows one router at a time" in installed("run", "--workers", "3", code=2).stderr
    installed("ingest", FIRST)
    until(first, "bill_decided")
    leave(first)
    until(second, "task_restored")
    installed("ingest", FILES / "2-do-not-load.camir")
    until(second, "bill_decided")
    second.kill()
    leave(second)
    third = installed.start("run", "--verbose")
    installed("ingest", *FILES.glob("[3-9]-*"))
    until(third, "bill_decided")
    leave(third)
    installed("run", "--until-idle")
    assert not (found := faults(installed)), describe(found)


def test_frozen_within_a_transaction_what_writes_names_it_and_what_reads_goes_on(
    command: Command, freeze: Freeze
) -> None:
    router = freeze("within")
    (command.folder / "inbox").mkdir()
    place = ("hold", "place", BILL, "--code", "6H", "--source", "CBP Los Angeles")
    for words in (("run",), ("run", "--until-idle"), ("ingest", FIRST), ("ingest", "--watch", "inbox"), place):
        assert names(router, command(*words, code=5).stderr), words
    assert "no problems" in command("check").stdout
    assert "not routed yet" in command("bill", "show", BILL, code=1).stderr
    assert command("tail", "--party", "SLTC", "--from-start", "--until-end").stdout
    command("audit", "verify")
    router.send_signal(signal.SIGCONT)
    command("ingest", FILES / "2-do-not-load.camir")
    leave(router)
    command("run", "--until-idle")
    assert not (found := faults(command)), describe(found)


def test_frozen_and_killed_within_a_transaction_it_leaves_nothing_half_written(
    command: Command, freeze: Freeze
) -> None:
    router = freeze("within")
    router.kill()
    router.wait()
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)
    assert not (found := faults(command)), describe(found)


def test_frozen_before_its_commit_another_takes_over_and_it_gives_up_when_it_wakes(
    command: Command, freeze: Freeze
) -> None:
    router = freeze("before")
    other = command.start("run", "--verbose")
    assert names(router, until(other, "waiting_until_another_router_stops"))
    until(other, "bill_decided")
    router.send_signal(signal.SIGCONT)
    assert "went to process" in until(router, "TaskMoved")
    until(router, "waiting_until_another_router_stops")
    leave(router)
    leave(other)
    assert not (found := faults(command)), describe(found)
