"""`audit verify` on brokers: what a stock client with an administrator's rights does to the chained topics is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from router import topics
from router.demo.story import FILES
from router.desk.audit_check import verify
from router.log.interface import Record
from router.log.kafka import KafkaLog
from router.topics import topic_specs
from tests.desk.installation import route
from tests.desk.test_audit_check import fill
from tests.kafka.fixtures import KafkaLogs
from tests.kafka.test_deleted_topics import admin, delete

pytestmark = pytest.mark.kafka

PARTITIONS = 1
CHAINED = (topics.TIMELINE, topics.AUDIT_SEALS, topics.AUDIT)
MOVED = {"missing", "out of place", "inserted"}
"""Kinds of fault that an entry in a wrong place makes; an entry of the audit has no number of its own."""


@pytest.fixture(autouse=True)
def without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.desk.audit_check.AGAIN_SECONDS", 0.0)


class Installed:
    """A log with a history, and what an attacker does to it."""

    def __init__(self, logs: KafkaLogs, log: KafkaLog) -> None:
        self.log = log
        self._logs = logs
        self._stock = {"bootstrap.servers": logs.bootstrap}
        self._admin = AdminClient(self._stock)  # an answer never comes once its client is gone

    async def records(self, topic: str) -> list[Record]:
        return [record async for batch in self.log.read([topic], until_end=True) for record in batch]

    def produce(self, topic: str, records: list[Record]) -> None:
        producer = Producer(self._stock)
        for one in records:
            producer.produce(topic, one.value, one.key, one.partition, headers=list(one.headers))
        assert producer.flush(20) == 0

    def write_anew(self, topic: str, records: list[Record]) -> None:
        """Delete all records of the topic, and write others."""
        self.delete_records(topic, -1)
        self.produce(topic, records)

    async def make_again(self, topic: str) -> None:
        """Delete the topic, and make it again, empty."""
        await delete(self._logs, topic)
        while topic in await self.log.topics():
            await asyncio.sleep(0.05)
        await self.log.create_topics(topic_specs(PARTITIONS))

    def delete_records(self, topic: str, before: int) -> None:
        place = TopicPartition(topic, 0, before)
        for answer in self._admin.delete_records([place]).values():
            answer.result(20)

    async def keep(self, topic: str, milliseconds: int) -> None:
        async with admin(self._logs.bootstrap) as client:
            settings = {"retention.ms": str(milliseconds), "cleanup.policy": "delete"}
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=settings)])

    async def faults(self) -> dict[str, set[str]]:
        """Kinds of fault by topic."""
        found: dict[str, set[str]] = {}
        for one in await verify(self.log):
            for fault in one.faults:
                found.setdefault(one.topic, set()).add(fault.kind)
        return found


@pytest.fixture
async def installed(logs: KafkaLogs) -> Installed:
    log = await logs.open()
    await log.create_topics(topic_specs(PARTITIONS))
    await fill(log)
    return Installed(logs, log)


def change(records: list[Record]) -> list[Record]:
    return [*records[:2], records[2]._replace(key=b"NVXAOTHER"), *records[3:]]


Attack = Callable[[list[Record]], list[Record]]
ANEW: dict[str, tuple[Attack, set[str]]] = {
    "changed": (change, {"changed"}),
    "without one": (lambda records: records[:2] + records[3:], {"missing"}),
    "without the last": (lambda records: records[:-1], {"missing"}),
    "without the first": (lambda records: records[1:], {"missing"}),
    "one twice": (lambda records: [*records[:3], records[1], *records[3:]], MOVED),
    "two swapped": (lambda records: [records[0], records[2], records[1], *records[3:]], MOVED),
    "backwards": (lambda records: records[::-1], {"changed", *MOVED}),
    "empty": (lambda records: [], {"missing"}),
}
"""Contents of a topic that was written anew, and the kinds of fault to expect, of which there is at least one."""

APPENDED: dict[str, Attack] = {
    "a copy of the last": lambda records: records[-1:],
    "a copy of all": lambda records: records,
    "one of its own": lambda records: [records[-1]._replace(key=b"NVXAOTHER", headers=())],
    "one with the link of the last": lambda records: [records[-1]._replace(value=b"forged")],
}


async def test_what_is_written_anew_or_appended_is_found(installed: Installed) -> None:
    assert await installed.faults() == {}
    for topic in CHAINED:
        original = await installed.records(topic)
        for name, (attack, kinds) in ANEW.items():
            installed.write_anew(topic, attack(original))
            found = await installed.faults()
            assert topic in found, (topic, name)
            assert found[topic] <= kinds, (topic, name)
        for name, attack in APPENDED.items():
            installed.write_anew(topic, original)
            assert await installed.faults() == {}, "the same entries at other offsets are the same"
            installed.produce(topic, attack(original))
            if topic == topics.AUDIT:  # nobody can tell it from an entry that a router has not sealed yet
                (audit,) = [one for one in await verify(installed.log) if one.topic == topics.AUDIT]
                assert len(audit.unsealed) == len(attack(original)), name
            else:
                assert (await installed.faults()).get(topic, set()) & {"inserted", "out of place"}, (topic, name)
        installed.write_anew(topic, original)


async def test_a_topic_made_again_is_found_although_a_router_went_on(installed: Installed) -> None:
    """The chain goes on from the head in the position: only its start tells."""
    await installed.make_again(topics.TIMELINE)
    await route(installed.log, FILES / "2-do-not-load.camir")
    assert (await installed.faults())[topics.TIMELINE] == {"missing"}


@pytest.mark.parametrize("topic", CHAINED)
async def test_a_start_that_was_deleted_is_a_fault_unless_the_topic_has_a_retention(
    installed: Installed, topic: str
) -> None:
    records = await installed.records(topic)
    installed.delete_records(topic, records[2].offset)
    assert await installed.faults() == {topic: {"missing"}}
    await installed.keep(topic, 365 * 24 * 3_600_000)
    assert await installed.faults() == {}
    installed.delete_records(topic, -1)
    assert (await installed.faults())[topic] == {"missing"}, "a head without any entry is never fine"
