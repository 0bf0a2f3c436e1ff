"""Routers with one `group_instance_id`: the second gives up and says why, and the first does not notice."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from router import topics
from router.engine.supervisor import SLOT
from router.log.kafka.group import GroupMember
from tests.kafka.fixtures import QUICK
from tests.kafka.routers import RouterProcess, Start, routers, until

pytestmark = pytest.mark.kafka

ALL = {0, 1}
TRY_AGAIN = 5
INSTANCE = {"SNP_KAFKA__GROUP_INSTANCE_ID": "router-1"}
LONG_SESSION = {"SNP_KAFKA__SESSION_TIMEOUT_MS": "30000"}


@pytest.fixture
def start(kafka: str, tmp_path: Path) -> Iterator[Start]:
    with routers(kafka, tmp_path, len(ALL)) as start:
        yield start


def gave_up_with_one_line(router: RouterProcess) -> bool:
    (line,) = router.messages()
    return line.startswith("error: another router has the group_instance_id router-1: process ")


def test_the_second_gives_up_and_the_first_does_not_notice(start: Start) -> None:
    first = start(environment=INSTANCE)
    until(lambda: first.restored() == ALL)
    for _ in range(2):  # as a service manager starts it again
        second = start(environment=INSTANCE)
        until(second.ended)
        assert second.process.returncode == TRY_AGAIN
        assert gave_up_with_one_line(second)
        assert f"process {first.process.pid}." in second.text
    assert not first.ended()
    assert not first.events("task_closed")
    assert len(first.events("tasks_assigned")) == 1


def test_of_two_that_start_at_once_one_gives_up_and_one_goes_on(start: Start) -> None:
    both = [start(environment=INSTANCE), start(environment=INSTANCE)]
    until(lambda: any(one.ended() for one in both))
    (second,), (first,) = [one for one in both if one.ended()], [one for one in both if not one.ended()]
    assert second.process.returncode == TRY_AGAIN
    assert gave_up_with_one_line(second)
    until(lambda: first.restored() == ALL)
    assert not first.ended()


def test_one_that_is_driven_out_gives_up_and_does_not_join_again(kafka: str, start: Start) -> None:
    """Both may look at the same moment, find the id free, and join."""
    first = start(environment=INSTANCE)
    until(lambda: first.restored() == ALL)
    asyncio.run(drive_out(kafka, first))
    assert first.process.returncode == TRY_AGAIN
    assert gave_up_with_one_line(first)
    assert f"process {os.getpid()}." in first.text


async def drive_out(bootstrap: str, router: RouterProcess) -> None:
    """Join without a look, and stay until the router has ended."""
    settings = QUICK.model_copy(update={"group_instance_id": "router-1"})
    inputs = [topic for topic in topics.INPUTS if topic != topics.REGISTRY]
    async with GroupMember("snp-router", inputs, bootstrap, settings, None).joined() as member:
        watching = asyncio.create_task(member.watch())
        await asyncio.to_thread(until, router.ended)
        watching.cancel()


def test_one_that_was_killed_is_replaced_at_once(start: Start) -> None:
    first = start(environment=INSTANCE | LONG_SESSION)
    until(lambda: first.restored() == ALL)
    first.process.kill()
    first.process.wait()
    second = start(environment=INSTANCE | LONG_SESSION)
    until(lambda: second.restored() == ALL)
    assert not second.events("waiting_for_instance_id")


def test_a_supervisor_goes_on_with_its_other_workers_and_tries_again(start: Start) -> None:
    first = start(environment={SLOT: "0"})
    until(lambda: first.restored() == ALL)
    workers = start("--workers", "2")
    until(lambda: bool(workers.events("worker_died")))
    assert {(one["slot"], one["exit_code"]) for one in workers.events("worker_died")} == {(0, TRY_AGAIN)}
    assert f"group_instance_id {socket.gethostname()}-0: process {first.process.pid}." in workers.text
    assert not workers.ended()
    first.stop()
    until(lambda: workers.restored() == ALL)
    assert not workers.ended()
