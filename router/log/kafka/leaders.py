"""The leader of each partition, by the answers of all brokers.

A broker that was frozen, or cut off from its controllers, believes for a while that it still leads what others lead by
now, and tells an end that lies before records written since. State restored to such an end would be incomplete, and
what followed from the rest would be done once more. So the leader is taken from the answer with the highest epoch. A
write counts only when each replica in sync has copied it, for which it must know its leader's epoch. Of three replicas
two are in sync at least (`min.insync.replicas`), so two answers contain the epoch of every write that counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

NO_LEADER: Final = -1


class MetadataResponse_v7(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
            ),
        ),
    )


class MetadataRequest_v7(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 7
    RESPONSE_TYPE = MetadataResponse_v7
    SCHEMA = MetadataRequest_v5.SCHEMA


class LeadersRequest(Request[MetadataRequest_v7]):  # type: ignore[misc]
    """Asks for topics with their leaders' epochs. aiokafka asks in an older form, without epochs."""

    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = sorted(topics)

    def build(self, request_struct_class: type[MetadataRequest_v7]) -> MetadataRequest_v7:
        return request_struct_class(self._topics, False)


class Told(NamedTuple):
    """A partition's leader as one broker told it."""

    epoch: int
    leader: int
    replicas: frozenset[int]


Answer = Mapping[TopicPartition, Told]


async def leaders_of(client: AIOKafkaClient, topics: Collection[str]) -> dict[TopicPartition, int]:
    """Ask all brokers. Return the leader of each partition of the topics that exist, as `agreed` does."""
    brokers = [broker.nodeId for broker in client.cluster.brokers()]
    answers = await asyncio.gather(*(_ask(client, broker, topics) for broker in brokers))
    return agreed({broker: answer for broker, answer in zip(brokers, answers, strict=True) if answer is not None})


def agreed(answers: Mapping[int, Answer]) -> dict[TopicPartition, int]:
    """Return the leader of each partition by the highest epoch in the brokers' answers; `NO_LEADER` where there is
    none, or where no majority of the replicas answered: then a higher epoch may be known to the others."""
    found: dict[TopicPartition, Told] = {}
    for answer in answers.values():
        for partition, told in answer.items():
            if partition not in found or told.epoch > found[partition].epoch:
                found[partition] = told
    return {
        partition: told.leader if 2 * len(told.replicas & answers.keys()) > len(told.replicas) else NO_LEADER
        for partition, told in found.items()
    }


async def _ask(client: AIOKafkaClient, broker: int, topics: Collection[str]) -> Answer | None:
    """Return what one broker tells; None if it does not answer."""
    try:
        answer: Any = await client.send(broker, LeadersRequest(topics))
    except kafka.KafkaError as error:
        if not error.retriable:
            raise
        return None
    return {
        TopicPartition(topic, partition): Told(epoch, leader, frozenset(replicas))
        for _, topic, _, partitions in answer.topics
        for _, partition, leader, epoch, replicas, *_ in partitions
    }
