"""Topics and brokers: errors are named exactly, and corrected where possible."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from router import topics
from router.errors import FatalLogError, TaskRetry
from router.log.kafka import open_kafka_log
from router.log.kafka.cluster_admin import LIMITS, advice_for, version_findings, version_of
from router.topics import TopicSpec
from tests.kafka.broker import free_ports
from tests.kafka.fixtures import QUICK, KafkaLogs
from tests.kafka.jars import VERSION


@pytest.mark.kafka
class TestCheck:
    async def test_all_our_topics_as_made_are_in_order(self, logs: KafkaLogs) -> None:
        log = await logs.open()
        await log.create_topics(topics.topic_specs(2))

        assert await log.check(topics.topic_specs(2)) == []

    async def test_each_difference_is_named_and_mended_if_no_record_is_at_stake(self, logs: KafkaLogs) -> None:
        log = await logs.open()
        admin = AIOKafkaAdminClient(bootstrap_servers=logs.bootstrap)
        await admin.start()
        kept = {"retention.ms": "3600000", "segment.bytes": "2000000"}
        await admin.create_topics([NewTopic("state", 2, 1, topic_configs=kept), NewTopic("few", 1, 1)])
        while not {"state", "few"} <= (await log.topics()).keys():
            await asyncio.sleep(0.02)
        wanted = [
            TopicSpec("state", 2, compacted=True),
            TopicSpec("few", 2),
            TopicSpec("none", 1, retention_days=7),
        ]

        found = await log.check(wanted)
        assert [(finding.subject, finding.found, finding.mendable) for finding in found] == [
            ("state", "cleanup.policy = delete", True),
            ("state", "min.compaction.lag.ms = 0", True),
            ("few", "1 partitions", False),
            ("few", "retention.ms = 604800000", True),
            ("none", "missing", True),
        ]

        await log.mend(wanted)
        assert [finding.found for finding in await log.check(wanted)] == ["1 partitions"]
        configuration = await log._admin._settings_of(_topic(), ["state"])
        await admin.close()
        assert configuration["state"]["segment.bytes"][0] == "2000000"  # What others set stays.

    async def test_a_request_topic_that_takes_larger_batches_is_mended(self, logs: KafkaLogs) -> None:
        log = await logs.open()
        wanted = topics.party_topic_specs("SLTC")
        await log.create_topics([spec._replace(batch_limit_bytes=None) for spec in wanted])
        assert list(map(str, await log.check(wanted))) == [
            "snp.request.SLTC: max.message.bytes = 4000000; it must be 65536"
        ]
        await log.mend(wanted)
        assert await log.check(wanted) == []

    async def test_a_broker_as_it_comes_is_told_what_would_protect_it(self, logs: KafkaLogs) -> None:
        log = await logs.open()
        advice = await log.advice()
        lacking = [name for name in LIMITS if name != "broker.session.timeout.ms"]  # short on our own brokers
        assert [text.split()[2] for text in advice[:-1]] == lacking
        assert advice[-1].startswith("broker 1: no listener has connections.max.reauth.ms")

    async def test_the_brokers_version_is_recognised(self, logs: KafkaLogs) -> None:
        log = await logs.open()
        assert await log._admin.versions() == {1: VERSION.rpartition(".")[0]}

    async def test_more_replicas_than_brokers_are_refused_by_name(self, logs: KafkaLogs) -> None:
        log = await logs.open(replication_factor=3)

        with pytest.raises(FatalLogError, match=r"snp\.party\.AAAA can't be made.*kafka\.replication_factor"):
            await log.create_topics([TopicSpec("snp.party.AAAA", 1)])


def _topic() -> object:
    from aiokafka.admin.config_resource import ConfigResourceType

    return ConfigResourceType.TOPIC


async def test_an_address_without_a_broker_is_named_and_can_be_retried() -> None:
    (port,) = free_ports(1)
    with pytest.raises(TaskRetry, match=f"no broker at 127.0.0.1:{port} answers"):
        async with open_kafka_log(f"kafka://127.0.0.1:{port}", QUICK):
            pass


@pytest.mark.parametrize(
    ("requests", "version"),
    [({28: 6, 35: 5, 88: 0}, "4.4"), ({35: 5, 88: 0, 76: 1}, "4.3"), ({80: 0, 26: 4}, "3.9"), ({26: 3}, None)],
)
def test_a_version_is_recognised_by_the_newest_request_it_understands(
    requests: dict[int, int], version: str | None
) -> None:
    assert version_of(requests) == version


@pytest.mark.parametrize(
    ("version", "brokers", "words"),
    [
        ("4.1", 1, None),
        ("3.9", 1, None),
        ("4.3", 3, None),
        ("4.3", 1, "loses acknowledged transactions"),
        ("4.4", 1, "loses acknowledged transactions"),
        (None, 1, "older than Kafka 3.9"),
    ],
)
def test_versions_that_lose_transactions_or_are_too_old_are_named(
    version: str | None, brokers: int, words: str | None
) -> None:
    found = version_findings(dict.fromkeys(range(brokers), version), brokers)

    assert (words is None and found == []) or words in str(found[0])


def test_a_broker_that_answers_alone_is_not_the_only_one() -> None:
    assert version_findings({1: "4.4"}, 3) == []


def test_the_recommended_settings_leave_nothing_to_advise() -> None:
    text = (Path(__file__).parents[2] / "deploy/kafka/broker.properties").read_text()
    given = dict(re.findall(r"^([a-z.]+)=(.+)$", text, re.MULTILINE))
    reauthentication = {"listener.name.parties.scram-sha-512.connections.max.reauth.ms": "3600000"}
    assert advice_for({name: (value, 1) for name, value in (given | reauthentication).items()}) == []
    assert len(advice_for({name: (value, 1) for name, value in given.items()})) == 1
