"""The log tells the offsets that a consumer group committed, with any stock consumer."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from router.log.kafka import open_kafka_log
from router.topics import TopicSpec
from tests.kafka.fixtures import QUICK, wipe
from tests.log.contract import OTHER_PARTY, PARTY, outputs

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("no_error_is_lost")]


async def test_a_group_has_read_up_to_the_offset_it_committed(kafka: str) -> None:
    await wipe(kafka)
    async with open_kafka_log(f"kafka://{kafka}", QUICK) as log:
        await log.create_topics([TopicSpec(PARTY, 1), TopicSpec(OTHER_PARTY, 1)])
        await log.append(outputs(PARTY, 5))
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id="AAAA.production", enable_auto_commit=False)
        await consumer.start()
        consumer.assign([TopicPartition(PARTY, 0)])
        await consumer.commit({TopicPartition(PARTY, 0): 3})
        await consumer.stop()
        assert await log.committed("AAAA.production", [PARTY, OTHER_PARTY]) == {PARTY: 3}
