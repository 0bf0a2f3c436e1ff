"""Real faults of real brokers: `/ready` is down with the reason, `/live` stays up, and an alert fires."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from router import observe, topics
from router.background import background
from router.log.kafka import open_kafka_log
from tests.deploy.fired import Scrape, fired, scrape
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import QUICK, KafkaLogs, require_java
from tests.kafka.test_deleted_topics import DELETED, OTHER, Scene, delete, scene_on

pytestmark = pytest.mark.kafka


@asynccontextmanager
async def at_work(scene: Scene, group: str) -> AsyncIterator[None]:
    """At work, ready, and with its lag measured, as `run` does."""
    worker = scene.worker
    measuring = background("watching the lag", partial(observe.watch_lag, scene.log, worker.passed, worker.metrics))
    async with measuring, scene.at_work(group):
        await scene.until_noticed(OTHER, await scene.feed(10), 20)
        figures = worker.metrics.registry
        await until(lambda: not worker.health.unready() and scrape(figures)["snp_task_lag_unknown", ()] == 0)
        yield


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "LAG_SECONDS", 1.0)


@pytest.mark.soak
async def test_too_few_replicas_in_sync(tmp_path: Path) -> None:
    """Three brokers, of which one is killed; one topic wants all three in sync."""
    require_java()
    cluster = Cluster(tmp_path / "kafka", 3)
    await asyncio.to_thread(cluster.start)
    try:
        settings = QUICK.model_copy(update={"replication_factor": 3, "commit_deadline_seconds": 8.0})
        async with open_kafka_log(f"kafka://{cluster.bootstrap}", settings) as log:
            scene = await scene_on(log)
            health, figures = scene.worker.health, scene.worker.metrics.registry
            await asyncio.to_thread(_require_replicas, cluster.bootstrap, topics.BILLS, 3)
            async with at_work(scene, "snp-router"):
                before = scrape(figures)
                assert fired(before, before, tmp_path) == set(), "nothing is wrong"
                cluster.nodes[2].kill()
                bills = await scene.feed(20)
                await until(lambda: any("fails: committing" in reason for reason in health.unready()), 90)
                assert health.hanging() == [], "a restart would not help"
                during = scrape(figures)
                assert fired(before, during, tmp_path, standstill=True) >= {"SnpTaskFails", "SnpNothingCommitted"}
                await asyncio.to_thread(cluster.nodes[2].start)
                await scene.until_noticed(OTHER, bills, 90)
                await until(lambda: not health.unready(), 60)
                assert set((await scene.noticed(OTHER)).values()) == {1}
                assert "SnpTaskFails" not in fired(before, scrape(figures), tmp_path, standstill=True)
    finally:
        cluster.stop()


def _require_replicas(bootstrap: str, topic: str, count: int) -> None:
    entry = ConfigEntry("min.insync.replicas", str(count), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = AdminClient({"bootstrap.servers": bootstrap})
    for done in client.incremental_alter_configs([resource]).values():
        done.result(10)


@pytest.mark.soak
async def test_all_brokers_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_java()
    monkeypatch.setattr("router.engine.task_zero.MINUTE", 2000)  # an idle router notices by its next tick
    cluster = Cluster(tmp_path / "kafka")
    await asyncio.to_thread(cluster.start)
    try:
        async with open_kafka_log(f"kafka://{cluster.bootstrap}", QUICK) as log:
            scene = await scene_on(log)
            health, figures = scene.worker.health, scene.worker.metrics.registry
            async with at_work(scene, "snp-router"):
                before = scrape(figures)
                cluster.nodes[0].kill()
                await until(lambda: health.unready() and scrape(figures)["snp_task_lag_unknown", ()] == 1)
                during = scrape(figures)
                assert not [name for name, _ in during if name == "snp_task_lag_records"], "unknown, not as it was"
                assert fired(before, during, tmp_path, standstill=True) >= {"SnpNothingCommitted", "SnpLagUnknown"}
                assert health.hanging() == []
                await asyncio.to_thread(cluster.nodes[0].start)
                await asyncio.to_thread(cluster.wait_until_ready)
                await until(lambda: not health.unready())
                await scene.until_noticed(OTHER, await scene.feed(5), 30)
    finally:
        cluster.stop()


async def test_a_partys_topic_deleted(logs: KafkaLogs, tmp_path: Path) -> None:
    scene = await scene_on(await logs.open())
    figures = scene.worker.metrics.registry
    async with at_work(scene, logs.group):
        before = scrape(figures)
        await delete(logs, DELETED)
        await scene.until_noticed(OTHER, await scene.feed(20), 20)
        await until(lambda: _urgent_lag(scrape(figures)) == 0)  # a scrape is played as what lasts
        assert fired(before, scrape(figures), tmp_path) == {"SnpDestinationMissing"}
        assert scene.worker.health.unready() == [], "one party's topic stops nobody"


async def test_nothing_lags_once_all_is_read(logs: KafkaLogs) -> None:
    """Each transaction ends with an offset that is no record, on every input."""
    scene = await scene_on(await logs.open())
    figures = scene.worker.metrics.registry
    async with at_work(scene, logs.group):
        await scene.until_noticed(OTHER, await scene.feed(20), 20)
        nothing = {(topic, str(task)): 0.0 for topic in topics.INPUTS for task in range(4)}
        await until(lambda: _lags(scrape(figures)) == nothing)


def _lags(figures: Scrape) -> dict[tuple[str, str], float]:
    """Records that wait, by topic and task; none if they are unknown."""
    labels = {key: dict(key[1]) for key in figures if key[0] == "snp_task_lag_records"}
    return {(names["topic"], names["task"]): figures[key] for key, names in labels.items()}


def _urgent_lag(figures: Scrape) -> float | None:
    """Do-not-loads and holds that wait; None if a task's are unknown."""
    if figures["snp_task_lag_unknown", ()]:
        return None
    return sum(
        value
        for (name, labels), value in figures.items()
        if name == "snp_task_lag_records" and ("topic", topics.URGENT) in labels
    )
