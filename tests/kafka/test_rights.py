"""Brokers that refuse: nothing refused is ever published later, and the missing right is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from router.errors import DestinationMissing, FatalLogError
from router.log.interface import Task
from router.log.kafka import KafkaLog, open_kafka_log
from router.topics import BILLS, DISPOSITIONS, TopicSpec
from tests.kafka.fixtures import QUICK
from tests.kafka.secured import PASSWORD, Right, SecuredBroker
from tests.log.contract import PARTY, counted, outputs, position_output, values

pytestmark = pytest.mark.kafka

REFUSED = "other.party"
PATIENCE_SECONDS = 30

WORKS: list[Right] = [
    (ResourceType.TOPIC, "snp.", AclOperation.READ),
    (ResourceType.TOPIC, "snp.", AclOperation.WRITE),
    (ResourceType.TOPIC, "cbp.", AclOperation.READ),
    (ResourceType.TOPIC, "cbp.", AclOperation.WRITE),
    (ResourceType.TOPIC, "other.", AclOperation.DESCRIBE),
    (ResourceType.GROUP, "snp-router", AclOperation.READ),
    (ResourceType.TRANSACTIONAL_ID, "snp-router", AclOperation.WRITE),
]


@pytest.fixture(scope="module")
def broker(secured: SecuredBroker) -> SecuredBroker:
    secured.wipe()
    secured.add_user("router", WORKS)
    secured.add_user("reader", WORKS[:1])
    return secured


def opened(broker: SecuredBroker, user: str, password: str = PASSWORD):  # type: ignore[no-untyped-def]
    settings = QUICK.model_dump() | {"sasl_username": user, "sasl_password": password}
    return open_kafka_log(f"kafka://{broker.bootstrap}", settings)


@pytest.fixture
async def admin(broker: SecuredBroker) -> AsyncIterator[KafkaLog]:
    async with opened(broker, "admin") as log:
        await log.create_topics(
            [
                TopicSpec(DISPOSITIONS, 1),
                TopicSpec(BILLS, 1, compacted=True),
                TopicSpec(PARTY, 1),
                TopicSpec(REFUSED, 1),
            ]
        )
        yield log


async def test_records_refused_with_a_transaction_are_never_published(broker: SecuredBroker, admin: KafkaLog) -> None:
    """An abort after a refusal is not sent, and the next commit of that producer would publish what was aborted."""
    outcomes: list[str] = []

    async def run(task: Task) -> None:
        if await counted(task) == 1:  # It was in doubt, and had happened.
            return
        try:
            await task.commit([*outputs(PARTY, 1, first=13), *outputs(REFUSED, 1), position_output(0, count=13)])
        except DestinationMissing as error:
            outcomes.append(", ".join(error.topics))
        else:
            outcomes.append("committed")
        await task.commit([*outputs(PARTY, 1), position_output(0, count=1)])

    async with opened(broker, "router") as log, asyncio.timeout(PATIENCE_SECONDS):
        await log.work([DISPOSITIONS], run)

    assert set(outcomes) == {REFUSED}  # Refused by the broker once, and known from then on.
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await values(admin, PARTY):  # a commit returns when it is decided; readers see it once it is marked
            await asyncio.sleep(0.05)
    assert await values(admin, PARTY) == [b"0"]
    assert await values(admin, REFUSED) == []


async def test_a_wrong_password_is_reported_and_not_shown(broker: SecuredBroker) -> None:
    with pytest.raises(FatalLogError, match="lets us in") as caught:
        async with opened(broker, "router", "wrong password"):
            pass
    assert "wrong password" not in str(caught.value)


async def test_a_transactional_id_or_group_that_is_not_ours_stops_the_process(
    broker: SecuredBroker, admin: KafkaLog
) -> None:
    async def run(task: Task) -> None:
        raise AssertionError("it may not get here")

    async with opened(broker, "router") as log, asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(FatalLogError, match="may not read in this consumer group"):
            await log.work([DISPOSITIONS], run, group="someone-else")


async def test_a_reader_can_not_write(broker: SecuredBroker, admin: KafkaLog) -> None:
    async with opened(broker, "reader") as log:
        assert await values(log, PARTY) == await values(admin, PARTY)
        with pytest.raises(FatalLogError):
            await log.append(outputs(PARTY, 1))


async def test_settings_that_we_may_not_read_are_a_finding(broker: SecuredBroker, admin: KafkaLog) -> None:
    async with opened(broker, "router") as log:
        found = await log.check([TopicSpec(PARTY, 1)])

    assert [finding.subject for finding in found] == ["brokers", PARTY]
    assert all("may not read" in str(finding) and "DescribeConfigs" in str(finding) for finding in found)
