"""Topics deleted or given more partitions under a router at work: it stops with the reason, before a bill is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import NewPartitions

from router import topics
from router.errors import FatalLogError
from router.log.interface import partition_of
from router.log.kafka import log as kafka_log
from router.topics import TopicSpec
from tests.kafka.fixtures import KafkaLogs
from tests.kafka.test_deleted_topics import OTHER, Scene, admin, delete, scene_on

pytestmark = pytest.mark.kafka

PARTITIONS = 4


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_log, "LOOK_SECONDS", 0.5)


async def enlarge(logs: KafkaLogs, *names: str, to: int = PARTITIONS + 1) -> None:
    async with admin(logs.bootstrap) as client:
        await client.create_partitions({name: NewPartitions(to) for name in names})


@asynccontextmanager
async def stopping(scene: Scene, group: str) -> AsyncIterator[asyncio.Task[object]]:
    """A router that has sent notices and is to end by itself."""
    running = asyncio.create_task(scene.worker.run(group))
    try:
        await scene.until_noticed(OTHER, await scene.feed(20), 20)
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def restarted(scene: Scene, logs: KafkaLogs) -> None:
    await asyncio.wait_for(Scene(scene.log).worker.run(logs.group), 20)


@pytest.mark.parametrize("topic", [topics.FILINGS, topics.REGISTRY])
async def test_a_deleted_input_ends_the_router_and_its_next_start(logs: KafkaLogs, topic: str) -> None:
    scene = await scene_on(await logs.open())
    async with stopping(scene, logs.group) as running:
        await delete(logs, topic)
        with pytest.raises(FatalLogError, match=topic):
            await asyncio.wait_for(running, 10)
    with pytest.raises(FatalLogError, match=f"there is no topic {topic}"):
        await restarted(scene, logs)


@pytest.mark.parametrize("topic", [topics.DISPOSITIONS, topics.REGISTRY])
async def test_an_input_with_more_partitions_ends_the_router_and_its_next_start(logs: KafkaLogs, topic: str) -> None:
    scene = await scene_on(await logs.open())
    async with stopping(scene, logs.group) as running:
        wanted = 2 if topic == topics.REGISTRY else PARTITIONS + 1
        await enlarge(logs, topic, to=wanted)
        with pytest.raises(FatalLogError, match=f"{topic} had . partitions when we began, and has {wanted}"):
            await asyncio.wait_for(running, 10)
    with pytest.raises(FatalLogError, match=f"{topic} has {wanted}"):
        await restarted(scene, logs)


async def test_a_feed_appends_nothing_by_another_number_of_partitions(logs: KafkaLogs) -> None:
    """Neither one that runs, once it knows, nor one that starts."""
    scene = await scene_on(await logs.open())
    await scene.feed(20)
    await enlarge(logs, topics.DISPOSITIONS, topics.URGENT)
    before = sum((await scene.log.end_offsets(topics.URGENT)).values())
    client = scene.log._appender._producer.client
    async with asyncio.timeout(10):
        while len(client.cluster.partitions_for_topic(topics.URGENT)) == PARTITIONS:
            await client.force_metadata_update()
    for log in (scene.log, await logs.open()):
        scene.log = log
        with pytest.raises(FatalLogError, match="a key's partition would change, so nothing is written"):
            await scene.feed(20)
        assert sum((await log.end_offsets(topics.URGENT)).values()) == before


async def test_a_state_whose_topics_were_all_given_more_partitions_is_not_gone_on_with(logs: KafkaLogs) -> None:
    scene = await scene_on(await logs.open())
    async with stopping(scene, logs.group) as running:
        await enlarge(logs, *topics.PARTITIONED)
        with pytest.raises(FatalLogError):
            await asyncio.wait_for(running, 10)
    with pytest.raises(FatalLogError, match="does not belong in this partition of 5"):
        await restarted(scene, logs)


async def test_a_party_topic_with_more_partitions_is_written_in_its_first_alone(logs: KafkaLogs) -> None:
    log = await logs.open()
    scene = await scene_on(log)
    async with scene.at_work(logs.group):
        bills = await scene.feed(20)
        await scene.until_noticed(OTHER, bills, 20)
        await enlarge(logs, OTHER, to=6)
        found = [finding.found for finding in await log.check([TopicSpec(OTHER, 1)]) if finding.subject == OTHER]
        assert found == ["6 partitions"]
        bills |= await scene.feed(20)
        await scene.until_noticed(OTHER, bills, 20)
    async with scene.at_work(logs.group):
        bills |= await scene.feed(40)
        await scene.until_noticed(OTHER, bills, 20)
    assert len({partition_of(f"NVXA{bill}".encode(), 6) for bill in bills}) > 1
    ends = await log.end_offsets(OTHER)
    assert {partition for partition, end in ends.items() if end} == {0}
    assert (await log.extents([OTHER]))[OTHER].stop == ends[0]
