"""One broker of three hangs: work goes on, nothing is read too short after its thaw, and commands answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import topics
from router.errors import TaskRetry
from router.log.interface import Output
from router.log.kafka import KafkaLog, open_kafka_log
from router.log.kafka.leaders import leaders_of
from router.log.kafka.reader import CommittedReader
from router.topics import DISPOSITIONS, TopicSpec
from tests.kafka.broker import Cluster, Node
from tests.kafka.fixtures import QUICK, require_java
from tests.kafka.test_faults import TOPICS, Counting
from tests.log.contract import PARTY, outputs, values

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("no_error_is_lost")]

REPLICATED = QUICK.model_copy(update={"replication_factor": 3, "start_deadline_seconds": 30.0})
IMPATIENT = REPLICATED.model_copy(update={"commit_deadline_seconds": 2.0})
"""Gives a commit up before another broker leads: each freeze costs a restore, mostly beside the thaw."""
PATIENCE_SECONDS = 120
ANSWER_SECONDS = 10.0


@contextlib.asynccontextmanager
async def three_brokers(folder: Path, **settings: str) -> AsyncIterator[Cluster]:
    require_java()
    cluster = Cluster(folder, 3, settings={name.replace("_", "."): value for name, value in settings.items()})
    try:
        await asyncio.to_thread(cluster.start)
        yield cluster
    finally:
        await asyncio.to_thread(cluster.stop)


@contextlib.contextmanager
def frozen(node: Node) -> contextlib.ExitStack:  # type: ignore[misc]
    node.freeze()
    try:
        yield
    finally:
        node.thaw()


async def leader_of(log: KafkaLog, topic: str) -> int:
    async with CommittedReader(log._bootstrap, log.settings, "test") as reader:
        (partition,) = await reader.existing([topic])
        return (await leaders_of(reader._consumer._client, [topic]))[partition]


async def test_each_broker_hangs_in_turn_and_commits_go_on_before_it_is_back(tmp_path: Path) -> None:
    """Two tasks: one whose commits outlive the freeze, one that is restored over and over. No number is doubled."""
    async with three_brokers(tmp_path) as cluster, open_kafka_log(f"kafka://{cluster.bootstrap}", IMPATIENT) as log:
        await log.create_topics(TOPICS)
        counting = Counting(1_000_000)
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(log.work([DISPOSITIONS], counting, group="counting"))
            await counting.began.wait()
            for node in cluster.nodes:
                with frozen(node):
                    await asyncio.sleep(1)
                    before = counting.committed
                    while counting.committed < before + 20:
                        await asyncio.sleep(0.05)
                await asyncio.sleep(1)
            counting.until = counting.committed + 20

        assert await values(log, PARTY) == [b"%d" % number for number in range(counting.until)]


async def test_no_end_is_told_too_short_by_a_broker_that_was_just_thawed(tmp_path: Path) -> None:
    async with three_brokers(tmp_path) as cluster, open_kafka_log(f"kafka://{cluster.bootstrap}", REPLICATED) as log:
        await log.create_topics([TopicSpec(PARTY, 1)])
        await log.append(outputs(PARTY, 1), atomic=True)
        node = cluster.nodes[await leader_of(log, PARTY) - 1]
        with frozen(node):
            await appended(log, outputs(PARTY, 10, first=1))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(await values(log, PARTY)) < 11:  # markers of the last transaction may be late
                    await asyncio.sleep(0.2)
            (end,) = (await log.end_offsets(PARTY)).values()
        own = f"127.0.0.1:{cluster.ports[node.number - 1]}"
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:  # the thawed broker is asked first
            with contextlib.suppress(TaskRetry):
                async with CommittedReader(own, REPLICATED, "late") as reader:
                    (found,) = (await reader.ends(await reader.existing([PARTY]))).values()
                    assert found >= end


async def appended(log: KafkaLog, written: list[Output]) -> None:
    """Append as commands do that are given again: on a busy machine others take over from a frozen broker late."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(TaskRetry):
                return await log.append(written, atomic=True)


async def test_commands_answer_while_a_broker_hangs_and_name_what_they_could_not_ask(tmp_path: Path) -> None:
    """Its session is long, so nobody takes over while the commands ask."""
    slow = {"broker_session_timeout_ms": "120000"}
    async with (
        three_brokers(tmp_path, **slow) as cluster,
        open_kafka_log(f"kafka://{cluster.bootstrap}", REPLICATED) as log,
    ):
        await log.create_topics(topics.topic_specs(6))
        words = (
            ("waiting", "list"), ("dead-letters", "list"), ("tail", "--timeline", "--until-end"), ("topics", "check"),
            ("bill", "show", "NVXAHBL000012345"), ("explain", "NVXAHBL000012345"),
        )  # fmt: skip
        usual = max([(await command(log.url, *one))[0] for one in words])
        leads_registry = await leader_of(log, topics.REGISTRY)
        hanging = next(node for node in cluster.nodes if node.number != leads_registry)
        with frozen(hanging):
            for one in words:
                seconds, code, text = await command(log.url, *one)
                assert seconds < ANSWER_SECONDS + usual, (one, text)
                assert f"broker {hanging.number}" in text, (one, code, text)
                assert "Traceback" not in text


async def command(url: str, *words: str) -> tuple[float, int | None, str]:
    """Run a command; return its seconds, exit code and all that it said."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router.cli", "--log", url, *words, env=os.environ | {"COLUMNS": "300"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return time.monotonic() - began, process.returncode, said.decode()
