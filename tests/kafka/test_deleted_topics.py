"""A party's topic that is deleted or refuses us holds up that party alone; what waited is sent once it is back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka.admin import AclOperation, ResourceType
from structlog.testing import capture_logs

from router import codec, topics
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine import missing_topics
from router.engine.administration import append_tick, import_parties, prepare, wanted_topics
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.errors import DestinationMissing, TaskRetry
from router.log.kafka import KafkaLog, open_kafka_log
from router.log.kafka.producer import RefusedTopics, TransactionalProducer
from router.model.inputs import Disposition
from router.model.registry_values import Party, party_topic
from router.topics import TopicSpec
from tests.kafka.fixtures import QUICK, KafkaLogs
from tests.kafka.secured import PASSWORD, SecuredBroker
from tests.log.contract import PARTY, outputs, values

pytestmark = pytest.mark.kafka

RULES = Rules()
DELETED, OTHER = party_topic("SLTC"), party_topic("HARX")


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def delete(logs: KafkaLogs, topic: str) -> None:
    async with admin(logs.bootstrap) as client:
        await client.delete_topics([topic])


async def test_a_destination_deleted_under_a_producer_is_named_and_the_producer_stays_good(logs: KafkaLogs) -> None:
    log = await logs.open()
    await log.create_topics([TopicSpec(PARTY, 1), TopicSpec("small", 1)])
    producer = TransactionalProducer(f"{logs.group}-0", logs.bootstrap, QUICK, RefusedTopics())
    await producer.start()
    both = [*outputs(PARTY, 1), *outputs("small", 1)]
    await producer.commit(both)
    await delete(logs, "small")
    began = time.monotonic()
    with pytest.raises(DestinationMissing) as caught:
        await producer.commit([*outputs(PARTY, 5000, first=100), *outputs("small", 5000)])
    assert caught.value.topics == ("small",)
    assert time.monotonic() - began < 2
    await producer.commit(outputs(PARTY, 1, first=1))
    await log.create_topics([TopicSpec("small", 1)])
    await producer.commit([*outputs(PARTY, 1, first=2), *outputs("small", 1, first=2)])
    async with asyncio.timeout(5):
        while await values(log, "small") != [b"2"]:
            await asyncio.sleep(0.05)
    assert await values(log, PARTY) == [b"0", b"1", b"2"]
    await producer.close()


class Scene:
    """A router at work, fed with holds that concern two parties."""

    def __init__(self, log: KafkaLog) -> None:
        self.log = log
        self.fed = 0
        self.worker = Worker(log, RULES)

    @asynccontextmanager
    async def at_work(self, group: str) -> AsyncIterator[None]:
        running = asyncio.create_task(self.worker.run(group))
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def feed(self, count: int) -> set[str]:
        """Append holds on new bills. Returns the bills."""
        made, bills = [], set()
        for _ in range(count):
            self.fed += 1
            number = f"B{self.fed:06}"
            event = Disposition("NVXA", number, "7H", now_milliseconds(), 10, snps=("SLTC", "HARX"))
            made += event_outputs(event._replace(received_at=now_milliseconds()), RULES.codes.is_urgent)
            bills.add(number)
        await self.log.append(made)
        return bills

    async def noticed(self, topic: str) -> Counter[str]:
        """Notices by bill."""
        if topic not in await self.log.topics():
            return Counter()
        found = [record async for batch in self.log.read([topic], until_end=True) for record in batch]
        return Counter(codec.decode(record.value or b"")[1]["bill_of_lading"] for record in found)

    async def until_noticed(self, topic: str, bills: set[str], seconds: float) -> float:
        """Seconds until all these bills have their notice."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while True:
                with suppress(TaskRetry):  # a broker that just starts or stops
                    if bills <= (await self.noticed(topic)).keys():
                        break
                await asyncio.sleep(0.05)
        return time.monotonic() - began


async def scene_on(log: KafkaLog, partitions: int = 4) -> Scene:
    await log.create_topics(topics.topic_specs(partitions))
    await prepare(log, partitions)
    await append_tick(log)
    await import_parties(log, [Party("NVXA"), Party("SLTC"), Party("HARX")])
    return Scene(log)


async def by_apply(logs: KafkaLogs, log: KafkaLog) -> None:
    await log.mend(await wanted_topics(log, 4))


async def by_provision(logs: KafkaLogs, log: KafkaLog) -> None:
    await log.create_topics(topics.party_topic_specs("SLTC"))


async def by_hand(logs: KafkaLogs, log: KafkaLog) -> None:
    async with admin(logs.bootstrap) as client:
        await client.create_topics([NewTopic(DELETED, 1, 1)])


async def test_other_parties_do_not_wait_and_what_waited_is_sent_once(
    logs: KafkaLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing_topics, "LOOK_SECONDS", 1.0)
    scene = await scene_on(await logs.open())
    async with scene.at_work(logs.group):
        await scene.until_noticed(DELETED, await scene.feed(40), 20)
        for make_again in (by_apply, by_provision, by_hand):
            with capture_logs() as lines:
                await delete(logs, DELETED)
                waits: set[str] = set()
                for _ in range(4):
                    bills = await scene.feed(40)
                    waits |= bills
                    assert await scene.until_noticed(OTHER, bills, 20) < 3, f"{make_again.__name__}: HARX waited"
                await make_again(logs, scene.log)
                await scene.until_noticed(DELETED, waits, 20)
            assert {line["outcome"] for line in lines if line["event"] == "task_closed"} == set()
            await asyncio.sleep(1.5)  # a repeat would come with the next look
            assert set((await scene.noticed(DELETED)).values()) == {1}
            assert set((await scene.noticed(OTHER)).values()) == {1}
    assert scene.worker.totals.counts["events"] == scene.fed


async def test_a_topic_made_again_before_anybody_looked_is_written_to(logs: KafkaLogs) -> None:
    scene = await scene_on(await logs.open())
    async with scene.at_work(logs.group):
        await scene.until_noticed(DELETED, await scene.feed(40), 20)
        await delete(logs, DELETED)
        await by_hand(logs, scene.log)
        bills = await scene.feed(40)
        assert await scene.until_noticed(OTHER, bills, 20) < 5
        await scene.until_noticed(DELETED, bills, 20)
        assert await scene.noticed(DELETED) == Counter(dict.fromkeys(bills, 1))
    assert set((await scene.noticed(OTHER)).values()) == {1}


async def test_a_topic_that_accepts_us_again_gets_what_waited(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing_topics, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr("router.log.kafka.producer.REFUSED_TOPIC_SECONDS", 1.0)
    secured.wipe()
    topic, operation = ResourceType.TOPIC, AclOperation
    own = [(topic, name, one) for name in ("snp.", "cbp.") for one in (operation.READ, operation.DESCRIBE)]
    writes = ["cbp.", *(spec.name for spec in topics.topic_specs(1) if spec.name.startswith("snp.")), OTHER]
    writes += [party_topic("NVXA")]
    secured.add_user(
        "router",
        [
            *own,
            *((topic, name, operation.WRITE) for name in writes),
            (ResourceType.GROUP, "snp-router", operation.READ),
            (ResourceType.TRANSACTIONAL_ID, "snp-router", operation.WRITE),
        ],
    )
    settings = QUICK.model_dump() | {"sasl_username": "admin", "sasl_password": PASSWORD}
    url = f"kafka://{secured.bootstrap}"
    async with open_kafka_log(url, settings) as log:
        await scene_on(log, 1)
    async with open_kafka_log(url, settings | {"sasl_username": "router"}) as log:
        scene = Scene(log)
        async with scene.at_work("snp-router"):
            bills = await scene.feed(20)
            await scene.until_noticed(OTHER, bills, 20)
            assert await log.accepting({DELETED, OTHER, "snp.party.NONE"}) == {OTHER}
            assert await scene.noticed(DELETED) == Counter()
            with capture_logs() as lines:
                bills |= await scene.feed(20)
                await scene.until_noticed(OTHER, bills, 20)
                await asyncio.sleep(2.5)
                assert [line for line in lines if line["event"] in ("task_closed", "destination_missing")] == []
            secured.allow("router", [(topic, DELETED, operation.WRITE)])
            await scene.until_noticed(DELETED, bills, 20)
            await asyncio.sleep(1.5)
            assert await scene.noticed(DELETED) == Counter(dict.fromkeys(bills, 1))
        assert set((await scene.noticed(OTHER)).values()) == {1}
