"""Brokers are killed and networks fail: each commit is there whole, once, or not at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from router.log.interface import Task
from router.log.kafka import KafkaLog, KafkaSettings, open_kafka_log
from router.topics import BILLS, DISPOSITIONS, TopicSpec
from tests.kafka.broker import Cluster, free_ports
from tests.kafka.fixtures import QUICK, require_java
from tests.kafka.proxy import Proxy
from tests.log.contract import PARTY, counted, outputs, position_output, values

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("no_error_is_lost")]

TOPICS = [TopicSpec(DISPOSITIONS, 1), TopicSpec(BILLS, 1, compacted=True), TopicSpec(PARTY, 1)]
IMPATIENT = QUICK.model_copy(update={"commit_deadline_seconds": 1.5})
PATIENCE_SECONDS = 90


class Counting:
    """A task that commits one record after the other, numbered by its restored position."""

    def __init__(self, until: int) -> None:
        self.until = until
        self.committed = 0
        self.opened = 0
        self.began = asyncio.Event()

    async def __call__(self, task: Task) -> None:
        self.opened += 1
        count = await counted(task)
        while count < self.until:
            await task.commit([*outputs(PARTY, 1, first=count), position_output(0, count=count + 1)])
            count += 1
            self.committed = count
            self.began.set()


async def counted_through(log: KafkaLog, until: int, fault: Callable[[], Awaitable[None]]) -> Counting:
    """Let a task count while the fault happens. No number is lost or doubled."""
    counting = Counting(until)
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(log.work([DISPOSITIONS], counting, group="counting"))
        await counting.began.wait()
        await fault()
        counting.until = counting.committed + 20
    assert await values(log, PARTY) == [b"%d" % number for number in range(counting.until)]
    return counting


class TestBrokerKilled:
    @pytest.fixture
    def cluster(self, tmp_path: Path) -> Iterator[Cluster]:
        require_java()
        cluster = Cluster(tmp_path)
        cluster.start()
        yield cluster
        cluster.stop()

    @pytest.mark.parametrize("settings", [QUICK, IMPATIENT], ids=["waits for it", "gives up first"])
    async def test_the_only_broker_killed_while_commits_run(self, cluster: Cluster, settings: KafkaSettings) -> None:
        async def kill() -> None:
            await asyncio.sleep(random.uniform(0.1, 0.5))
            await asyncio.to_thread(cluster.nodes[0].kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(cluster.nodes[0].start)
            await asyncio.to_thread(cluster.wait_until_ready)

        async with open_kafka_log(f"kafka://{cluster.bootstrap}", settings) as log:
            await log.create_topics(TOPICS)
            await counted_through(log, 1_000_000, kill)

    async def test_a_frozen_broker_costs_a_restore_and_no_record(self, cluster: Cluster) -> None:
        async def freeze() -> None:
            await asyncio.sleep(0.2)
            cluster.nodes[0].freeze()
            await asyncio.sleep(3)
            cluster.nodes[0].thaw()
            await asyncio.sleep(1)

        async with open_kafka_log(f"kafka://{cluster.bootstrap}", IMPATIENT) as log:
            await log.create_topics(TOPICS)
            counting = await counted_through(log, 1_000_000, freeze)

        assert counting.opened > 1


class TestNetwork:
    @pytest.fixture
    async def proxy(self, tmp_path: Path) -> AsyncIterator[Proxy]:
        require_java()
        (port,) = free_ports(1)
        cluster = Cluster(tmp_path, advertised=(port,))
        async with Proxy(port, cluster.port) as proxy:
            await asyncio.to_thread(cluster.start)
            yield proxy
        await asyncio.to_thread(cluster.stop)

    @pytest.fixture
    async def log(self, proxy: Proxy) -> AsyncIterator[KafkaLog]:
        async with open_kafka_log(f"kafka://127.0.0.1:{proxy.port}", IMPATIENT) as log:
            await log.create_topics(TOPICS)
            yield log

    async def test_connections_cut_in_the_middle_of_commits(self, proxy: Proxy, log: KafkaLog) -> None:
        async def cut() -> None:
            for _ in range(8):
                await asyncio.sleep(random.uniform(0.05, 0.3))
                proxy.cut()

        await counted_through(log, 1_000_000, cut)

    async def test_a_network_that_stalls_longer_than_a_commit_may_take(self, proxy: Proxy, log: KafkaLog) -> None:
        async def stall() -> None:
            await asyncio.sleep(0.2)
            proxy.stall()
            await asyncio.sleep(2.5)
            proxy.heal()
            await asyncio.sleep(1)

        counting = await counted_through(log, 1_000_000, stall)

        assert counting.opened > 1

    async def test_a_slow_network(self, proxy: Proxy, log: KafkaLog) -> None:
        async def slow() -> None:
            proxy.delay_seconds = 0.05
            await asyncio.sleep(2)
            proxy.heal()

        counting = await counted_through(log, 1_000_000, slow)

        assert counting.opened == 1


class TestThreeBrokers:
    async def test_one_of_three_killed_while_commits_run(self, tmp_path: Path) -> None:
        require_java()
        cluster = Cluster(tmp_path, 3)
        await asyncio.to_thread(cluster.start)
        replicated = QUICK.model_copy(update={"replication_factor": 3, "start_deadline_seconds": 30.0})

        async def kill() -> None:
            await asyncio.sleep(0.5)
            await asyncio.to_thread(random.choice(cluster.nodes).kill)
            await asyncio.sleep(5)

        try:
            async with open_kafka_log(f"kafka://{cluster.bootstrap}", replicated) as log:
                await log.create_topics(TOPICS)
                await counted_through(log, 1_000_000, kill)
        finally:
            await asyncio.to_thread(cluster.stop)
