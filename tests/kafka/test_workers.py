"""Workers under a supervisor: what befalls one of them, or the supervisor, stops no other."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.kafka.routers import Start, routers, until

pytestmark = pytest.mark.kafka

ALL = {0, 1}
TRY_AGAIN = 5


@pytest.fixture
def start(kafka: str, tmp_path: Path) -> Iterator[Start]:
    with routers(kafka, tmp_path, len(ALL)) as start:
        yield start


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program uses; the one before it is free."""
    for port in range(20_000, 30_000, 2):
        with suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            with socket.create_server(("127.0.0.1", port)):
                pass
            yield port + 1
            return


def test_a_worker_whose_status_port_is_taken_tries_again_and_the_others_route(start: Start, taken: int) -> None:
    workers = start("--workers", "2", "--status-listen", str(taken - 1))
    until(lambda: bool(workers.events("worker_died")) and workers.restored() == ALL)
    assert {(one["slot"], one["exit_code"]) for one in workers.events("worker_died")} == {(1, TRY_AGAIN)}
    assert f"error: cannot listen on 127.0.0.1:{taken}: another program uses it" in workers.text
    assert "Errno" not in workers.text
    assert "Unclosed" not in workers.text
    assert not workers.ended()


def test_the_workers_of_a_killed_supervisor_commit_and_leave(start: Start) -> None:
    killed = start("--workers", "2")
    until(lambda: killed.restored() == ALL)
    processes = [one["process"] for one in killed.events("worker_started")]
    killed.process.kill()
    until(lambda: not any(lives(process) for process in processes))
    assert "Traceback" not in killed.text
    after = start("--workers", "2")
    until(lambda: after.restored() == ALL)
    assert not after.events("worker_died")


def lives(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False
