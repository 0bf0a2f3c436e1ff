"""Requests that reading many topics sends to the brokers."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient

from router.log.kafka import KafkaLog, open_kafka_log
from router.topics import PARTY_PREFIX, TopicSpec
from tests.kafka.fixtures import QUICK, kafka, wipe

__all__ = ["kafka"]

pytestmark = pytest.mark.kafka

MANY = 40


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the topics of each request for metadata."""
    questions = list[Any]()
    update = AIOKafkaClient._metadata_update

    async def noted(client: Any, cluster: Any, topics: Any) -> Any:
        questions.append(topics)
        return await update(client, cluster, topics)

    monkeypatch.setattr(AIOKafkaClient, "_metadata_update", noted)
    return questions


async def questions_for(log: KafkaLog, names: list[str], asked: list[Any]) -> int:
    asked.clear()
    assert [batch async for batch in log.read(names, until_end=True)] == []
    return len(asked)


async def test_reading_many_topics_does_not_ask_where_each_of_them_lies(kafka: str, asked: list[Any]) -> None:
    await wipe(kafka)
    async with open_kafka_log(f"kafka://{kafka}", QUICK) as log:
        names = [f"{PARTY_PREFIX}P{number:03}" for number in range(MANY)]
        await log.create_topics([TopicSpec(name, 1) for name in names])
        await questions_for(log, names, asked)  # a broker that has just made a topic may have to be asked again
        one = await questions_for(log, names[:1], asked)
        assert await questions_for(log, names, asked) < one + MANY // 2
