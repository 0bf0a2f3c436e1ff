"""Webhooks on Kafka: the same worker, its group and its fence there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from router.engine.registrar import prepare
from router.log.kafka import open_kafka_log
from router.topics import topic_specs
from tests.kafka.fixtures import QUICK, kafka, wipe
from tests.webhooks.endpoint import delivered, ids, serving
from tests.webhooks.scene import Scene

__all__ = ["kafka"]

pytestmark = pytest.mark.kafka


async def test_in_order_over_a_restart_each_party_for_itself(kafka: str, tmp_path: Path) -> None:
    await wipe(kafka)
    authority = trustme.CA()
    async with (
        open_kafka_log(f"kafka://{kafka}", QUICK) as log,
        serving(tmp_path, authority) as endpoint,
        serving(tmp_path, authority) as dead,
    ):
        await log.create_topics(topic_specs(1))
        await prepare(log, 1)
        scene = Scene(log, tmp_path)
        dead.answer = lambda post: web.Response(status=500)
        await scene.party("DEAD", dead)
        await scene.party("NVXA", endpoint)
        await scene.write("DEAD", "B1")
        async with scene.running():
            await scene.write("NVXA", "B1", "B1", "B2")
            await endpoint.until(delivered(3))
            state = await scene.until_state("NVXA", lambda state: not state.open and state.delivered_at)
        await scene.write("NVXA", "B1", "B3", first=3)
        async with scene.running():
            await endpoint.until(delivered(5))
            await scene.until_state("NVXA", lambda now: not now.open and now.taken_to > state.taken_to)
            await asyncio.sleep(0)
        assert [post.id for post in endpoint.taken if post.bill == "B1"] == ["NVXA-0", "NVXA-1", "NVXA-3"]
        assert len(ids(endpoint.posts)) == len(endpoint.taken)
        assert (await scene.state("DEAD")).failing_since is not None
