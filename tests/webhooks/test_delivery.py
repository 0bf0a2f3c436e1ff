"""Delivery on a real log to real HTTPS servers, with crashes and restarts."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from router.desk.receipts import read_receipts
from router.desk.unread_notices import read_alerts
from router.engine.administration import prepare, read_registry
from router.log.url import open_log
from router.model.registry_values import Party
from router.presentation import plain_value
from router.webhooks.signing import add_secret, finish_rotation
from router.webhooks.webhook_settings import WebhookSettings
from tests.webhooks.endpoint import Endpoint, delivered, ids, quick, serving
from tests.webhooks.scene import PATIENCE_SECONDS, Scene, notices


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        yield Scene(log, tmp_path)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def endpoint(scene: Scene, authority: trustme.CA) -> AsyncIterator[Endpoint]:
    async with serving(scene.folder, authority) as made:
        yield made


async def test_a_notice_arrives_signed_with_the_fields_of_its_schema(scene: Scene, endpoint: Endpoint) -> None:
    secret = await scene.party("NVXA", endpoint)
    (written,) = notices("NVXA", ["B1"])
    async with scene.running():
        await scene.log.append([written])
        await endpoint.until(delivered(1))
    (post,) = endpoint.taken
    assert post.is_signed_with(secret)
    assert post.id == "NVXA-0"
    assert (post.body["type"], set(post.body)) == ("notice.hold", {"type", "timestamp", "data"})
    assert post.body["data"] == json.loads(json.dumps(plain_value(written.value or b"")))


async def test_each_bill_arrives_in_its_order_one_post_at_a_time(scene: Scene, endpoint: Endpoint) -> None:
    await scene.party("NVXA", endpoint)
    bills = [f"B{number % 7}" for number in range(250)]
    await scene.write("NVXA", *bills)
    failing = iter(range(40))
    endpoint.answer = lambda post: web.Response(status=503) if next(failing, 1) % 3 == 0 else None
    async with scene.running():
        await endpoint.until(delivered(len(bills)))
        await scene.until_state("NVXA", lambda state: state.taken_to == 250 and not state.open)
    for bill in set(bills):
        mine = [post.id for post in endpoint.taken if post.bill == bill]
        assert mine == [f"NVXA-{number}" for number, one in enumerate(bills) if one == bill]
    assert set(endpoint.most_at_once.values()) == {1}


async def test_a_party_that_does_not_answer_delays_no_other(
    scene: Scene, endpoint: Endpoint, authority: trustme.CA
) -> None:
    async with serving(scene.folder, authority) as dead:
        dead.answer = lambda post: web.Response(status=500)
        await scene.party("DEAD", dead)
        await scene.party("NVXA", endpoint)
        await scene.write("DEAD", *(f"D{number}" for number in range(300)))
        async with scene.running(kind=WebhookSettings):
            await dead.until(lambda one: len(one.posts) > 0)
            await scene.write("NVXA", "B1")
            await endpoint.until(delivered(1))
            state = await scene.until_state("DEAD", lambda state: state.failing_since is not None)
        assert "answered 500" in (state.last_error or "")
        assert len(state.open) == 100
        assert len(dead.posts) <= quick(scene.folder).concurrent_posts


async def test_a_refused_notice_delays_its_own_bill_only(scene: Scene, endpoint: Endpoint) -> None:
    await scene.party("NVXA", endpoint)
    endpoint.answer = lambda post: web.Response(status=422) if post.id == "NVXA-0" else None
    await scene.write("NVXA", "B1", "B1", "B2", "B3")
    async with scene.running():
        await endpoint.until(delivered(2))
        state = await scene.until_state("NVXA", lambda state: state.open == (0, 1) and state.refused)
        assert [(one.bill, one.error) for one in state.refused] == [("NVXAB1", "answered 422")]
        receipt = (await read_receipts(scene.log, [Party("NVXA", webhook_url=endpoint.url)]))["NVXA"]
        assert [receipt.has_read(offset) for offset in range(5)] == [False, False, True, True, False]
        endpoint.answer = lambda post: None
        await endpoint.until(delivered(4))
    assert ids(endpoint.taken) == ["NVXA-2", "NVXA-3", "NVXA-0", "NVXA-1"]


async def test_a_rotated_secret_signs_without_a_restart(scene: Scene, endpoint: Endpoint) -> None:
    old = await scene.party("NVXA", endpoint)
    async with scene.running():
        await scene.write("NVXA", "B1")
        await endpoint.until(delivered(1))
        new = add_secret(scene.folder / "secrets", "NVXA")
        await scene.write("NVXA", "B2", first=1)
        await endpoint.until(delivered(2))
        finish_rotation(scene.folder / "secrets", "NVXA")
        await scene.write("NVXA", "B3", first=2)
        await endpoint.until(delivered(3))
    first, during, after = (post.headers["webhook-signature"].split() for post in endpoint.taken)
    assert (len(first), len(during), len(after)) == (1, 2, 1)
    assert endpoint.taken[1].is_signed_with(old)
    assert endpoint.taken[1].is_signed_with(new)
    assert endpoint.taken[2].is_signed_with(new)


async def test_gone_is_for_good_until_an_operator_s_order(scene: Scene, endpoint: Endpoint) -> None:
    await scene.party("NVXA", endpoint)
    endpoint.answer = lambda post: web.Response(status=410)
    await scene.write("NVXA", "B1")
    async with scene.running():
        state = await scene.until_state("NVXA", lambda state: state.disabled is not None)
        assert state.disabled == "its endpoint answered 410 and is gone for good"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await read_alerts(scene.log):
                await asyncio.sleep(0.05)
        (alert,) = (await read_alerts(scene.log)).values()
        assert (alert.id, alert.kind, alert.ended_at) == ("webhook:NVXA", "WEBHOOK_DISABLED", None)
        assert alert.text == (
            "NVXA gets no notices by webhook: its endpoint answered 410 and is gone for good; "
            "no 24-hour contact is registered (`snp-router import parties`)"
        )
        endpoint.answer = lambda post: None
        await scene.order("NVXA")
        await endpoint.until(delivered(1))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await read_alerts(scene.log))["webhook:NVXA"].ended_at is None:
                await asyncio.sleep(0.05)


async def test_a_pause_survives_a_restart_and_a_replay_posts_again(scene: Scene, endpoint: Endpoint) -> None:
    await scene.party("NVXA", endpoint)
    async with scene.running():
        await scene.write("NVXA", "B1", "B2")
        await endpoint.until(delivered(2))
        await scene.order("NVXA", paused=True)
        await scene.until_state("NVXA", lambda state: state.paused)
    await scene.write("NVXA", "B3", first=2)
    async with scene.running():
        await scene.until_state("NVXA", lambda state: state.open == (2,))
        assert len(endpoint.posts) == 2
        await scene.order("NVXA")
        await endpoint.until(delivered(3))
        await scene.until_state("NVXA", lambda state: not state.open)
        await scene.order("NVXA", replay_from=0)
        await endpoint.until(lambda one: len(one.posts) == 6)
        await scene.until_state("NVXA", lambda state: state.taken_to == 3 and not state.open)
    async with scene.running():
        await scene.write("NVXA", "B4", first=3)
        await endpoint.until(delivered(4))
    assert sorted(ids(endpoint.posts)) == sorted([*(2 * [f"NVXA-{number}" for number in range(3)]), "NVXA-3"])


async def test_parties_come_and_go_while_it_runs(scene: Scene, endpoint: Endpoint) -> None:
    async with scene.running():
        await scene.party("NVXB", endpoint, status="suspended")
        await scene.party("NVXA", endpoint)
        await scene.write("NVXB", "B9")
        await scene.write("NVXA", "B1")
        await endpoint.until(delivered(1))
        await scene.party("NVXB", endpoint)
        await endpoint.until(delivered(2))
        await scene.party("NVXA", endpoint, status="suspended")
        registry = await read_registry(scene.log)
        assert registry.parties["NVXA"].status == "suspended"
    assert ids(endpoint.taken) == ["NVXA-0", "NVXB-0"]


async def test_killed_and_started_again_nothing_is_lost_and_order_holds(scene: Scene, endpoint: Endpoint) -> None:
    """Real processes, killed in the middle; of two at once only one works."""
    await scene.party("NVXA", endpoint)
    settings: WebhookSettings = quick(scene.folder)
    (scene.folder / "snp-router.toml").write_text(
        f'log = "sqlite:///{scene.folder}/snp.db"\n[webhooks]\nsecrets_directory = "secrets"\nca_file = "ca.pem"\n'
        f'allowed_networks = ["{settings.allowed_networks[0]}"]\n'
    )
    bills = [f"B{number % 5}" for number in range(300)]
    await scene.write("NVXA", *bills)
    command = [sys.executable, "-m", "router.cli", "--config", "snp-router.toml", "webhooks", "run"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=scene.folder, stderr=subprocess.DEVNULL)

    process = start()
    await endpoint.until(delivered(50))
    process.send_signal(signal.SIGKILL)
    process.wait()
    processes = [start(), start()]
    await endpoint.until(delivered(300))
    await scene.until_state("NVXA", lambda state: state.taken_to == 300 and not state.open)
    for process in processes:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
    for bill in set(bills):
        mine = [post.id for post in endpoint.taken if post.bill == bill]
        assert mine == [f"NVXA-{number}" for number, one in enumerate(bills) if one == bill]
    assert set(endpoint.most_at_once.values()) == {1}
