"""Webhooks on Kafka: the same worker with its group and its fence, and no more rights than `provision` grants."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from confluent_kafka.admin import AclOperation, ResourceType

from router.desk.unread_notices import read_alerts
from router.engine.administration import prepare
from router.log.kafka import open_kafka_log
from router.provision.access_rights import webhook_rights
from router.topics import topic_specs
from tests.kafka.fixtures import QUICK
from tests.kafka.secured import PASSWORD, Right, SecuredBroker
from tests.webhooks.endpoint import delivered, quick, serving
from tests.webhooks.scene import Scene

pytestmark = pytest.mark.kafka

KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}
USER = "webhooks"


def _words(operation: str) -> str:
    """Return an operation as confluent-kafka writes it: `DESCRIBE_CONFIGS` for `DescribeConfigs`."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", operation).upper()


def granted() -> list[Right]:
    return [
        (KINDS[right.resource], right.name, AclOperation[_words(right.operation)]) for right in webhook_rights(USER)
    ]


def log_of(broker: SecuredBroker, user: str) -> Any:
    settings = QUICK.model_dump() | {"sasl_username": user, "sasl_password": PASSWORD}
    return open_kafka_log(f"kafka://{broker.bootstrap}", settings)


async def test_in_order_over_a_restart_each_party_for_itself(secured: SecuredBroker, tmp_path: Path) -> None:
    secured.wipe()
    secured.add_user(USER, granted())
    authority = trustme.CA()
    async with (
        log_of(secured, "admin") as admin,
        log_of(secured, USER) as log,
        serving(tmp_path, authority) as endpoint,
        serving(tmp_path, authority) as gone,
    ):
        await admin.create_topics(topic_specs(1))
        await prepare(admin, 1)
        await prepare(log, 1)  # as the command does
        scene, worker = Scene(admin, tmp_path), Scene(log, tmp_path)
        gone.answer = lambda post: web.Response(status=410)
        await scene.party("GONE", gone)
        await scene.party("NVXA", endpoint)
        await scene.write("GONE", "B1")
        async with worker.running():
            await scene.write("NVXA", "B1", "B1", "B2")
            await endpoint.until(delivered(3))
            state = await scene.until_state("NVXA", lambda state: not state.open and state.delivered_at)
        await scene.write("NVXA", "B1", "B3", first=3)
        async with worker.running():
            await endpoint.until(delivered(5))
            await scene.until_state("NVXA", lambda now: not now.open and now.taken_to > state.taken_to)
        assert [post.id for post in endpoint.taken if post.bill == "B1"] == ["NVXA-0", "NVXA-1", "NVXA-3"]
        assert len(endpoint.posts) == len(endpoint.taken)
        assert (await scene.state("GONE")).disabled is not None
        assert "webhook:GONE" in await read_alerts(admin)
        assert len(gone.posts) <= quick(tmp_path).concurrent_posts
