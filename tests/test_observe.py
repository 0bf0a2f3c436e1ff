"""`/metrics`, `/live` and `/ready` of a running router, over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from router.decide.rules import Rules
from router.demo.story import FILES, set_up
from router.engine.intake import ingest_file
from router.engine.worker import Worker
from router.errors import AddressTaken, UsageError
from router.http import serving
from router.log.url import open_log
from router.observe import RESTORING, ROUTING, STUCK_SECONDS, Health, Metrics, measure_lag
from router.status import status_app


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def address(metrics: Metrics, health: Health) -> AsyncIterator[str]:
    async with serving(status_app(metrics.registry, health), "127.0.0.1:0") as address:
        yield address


async def get(address: str, path: str) -> tuple[int, bytes]:
    def ask() -> tuple[int, bytes]:
        try:
            with urlopen(f"http://{address}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            return error.code, error.read()

    return await asyncio.to_thread(ask)


async def figures(address: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _, body = await get(address, "/metrics")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


async def test_committed_work_is_counted(address: str, metrics: Metrics) -> None:
    metrics.count({"events": 3, "duplicates": 1, "hold": 2, "dead letters": 1})
    metrics.count({"events": 1, "release": 4})
    metrics.transaction("committed", 0.02)
    metrics.transaction("retried")
    shown = await figures(address)
    assert shown["snp_events_total", (("outcome", "new"),)] == 4
    assert shown["snp_events_total", (("outcome", "duplicate"),)] == 1
    assert shown["snp_notices_total", (("kind", "hold"),)] == 2
    assert shown["snp_notices_total", (("kind", "change"),)] == 0, "a series begins at zero"
    assert shown["snp_notices_total", (("kind", "release"),)] == 4
    assert shown["snp_dead_letters_total", ()] == 1
    assert shown["snp_transactions_total", (("outcome", "retried"),)] == 1
    assert shown["snp_transaction_duration_seconds_count", ()] == 1


async def test_latency_is_from_arrival_to_commit(address: str, metrics: Metrics) -> None:
    metrics.latencies([1_000, 1_000, 61_500], now=62_000)
    shown = await figures(address)
    assert shown["snp_end_to_end_latency_seconds_count", ()] == 3
    assert shown["snp_end_to_end_latency_seconds_sum", ()] == 61 + 61 + 0.5


async def test_a_task_that_moved_away_has_no_figures_here(address: str, metrics: Metrics) -> None:
    metrics.restored(3, 1.5)
    metrics.bills(3, 70)
    metrics.lag(3, "cbp.dispositions", 12)
    assert (await figures(address))["snp_task_lag_records", (("task", "3"), ("topic", "cbp.dispositions"))] == 12
    metrics.forget(3)
    assert not [name for name, labels in await figures(address) if ("task", "3") in labels]


async def test_a_router_without_tasks_is_live_and_not_ready(address: str, health: Health) -> None:
    assert (await get(address, "/live"))[0] == 200
    status, body = await get(address, "/ready")
    assert status == 503
    assert "no task is assigned" in json.loads(body)["reasons"][0]


async def test_it_is_ready_once_every_task_routes(address: str, health: Health) -> None:
    health.report(0, ROUTING)
    health.report(1, RESTORING)
    status, body = await get(address, "/ready")
    assert (status, json.loads(body)["reasons"]) == (503, ["task 1 is restoring its state"])
    health.report(1, ROUTING)
    assert await get(address, "/ready") == (200, b'{"ready":true,"reasons":[]}')


async def test_a_loop_that_hangs_is_not_live_but_one_that_restores_is(
    address: str, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.report(0, RESTORING)
    health.report(1, ROUTING)
    now = time.monotonic()
    monkeypatch.setattr("router.observe.time.monotonic", lambda: now + STUCK_SECONDS + 1)
    status, body = await get(address, "/live")
    assert status == 503
    assert [reason[:6] for reason in json.loads(body)["reasons"]] == ["task 1"]


async def test_a_task_that_fails_is_not_ready_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {0}
    health = Health(lambda: ours)
    metrics = Metrics(health)
    async with serving(status_app(metrics.registry, health), "127.0.0.1:0") as address:
        assert health.unready() == ["task 0 fails: it is not open yet"]
        health.report(0, RESTORING)
        assert health.unready() == ["task 0 is restoring its state"]
        health.report(0, ROUTING)
        failing = ("snp_task_failing_seconds", (("task", "0"),))
        assert (await figures(address))[failing] == 0
        health.fails(0, "the disk is full")
        health.forget(0)
        health.fails(0, "the disk is still full")
        health.report(0, ROUTING)
        assert json.loads((await get(address, "/ready"))[1])["reasons"] == ["task 0 fails: the disk is still full"]
        assert (await get(address, "/live"))[0] == 200
        monotonic = time.monotonic
        monkeypatch.setattr("router.observe.time.monotonic", lambda: monotonic() + 50)
        assert (await figures(address))[failing] == pytest.approx(50, abs=1)
        health.works(0)
        assert (await get(address, "/ready"))[0] == 200
        health.fails(0, "fenced")
        health.forget(0)
        ours.clear()
        assert "no task is assigned" in health.unready()[0], "it is another's to open"
        assert failing not in await figures(address)


async def test_an_unknown_lag_has_no_figures(address: str, metrics: Metrics) -> None:
    assert (await figures(address))["snp_task_lag_unknown", ()] == 1, "nothing was measured yet"
    metrics.lag(3, "cbp.urgent", 12)
    shown = await figures(address)
    assert shown["snp_task_lag_unknown", ()] == 0
    assert shown["snp_task_lag_records", (("task", "3"), ("topic", "cbp.urgent"))] == 12
    metrics.lag_unknown()
    shown = await figures(address)
    assert shown["snp_task_lag_unknown", ()] == 1
    assert [name for name, _ in shown if name == "snp_task_lag_records"] == []


async def test_a_restore_that_does_not_end_has_its_duration_so_far(address: str, metrics: Metrics) -> None:
    figure = ("snp_task_restore_seconds", (("task", "2"),))
    metrics.restoring(2)
    first = (await figures(address))[figure]
    await asyncio.sleep(0.02)
    assert (await figures(address))[figure] > first
    metrics.restored(2, 7.5)
    assert (await figures(address))[figure] == 7.5


async def test_the_lag_is_unknown_while_a_task_of_ours_is_not_open(
    tmp_path: Path, address: str, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await set_up(log)
        await measure_lag(log, dict, metrics)
        assert (await figures(address))["snp_task_lag_unknown", ()] == 0, "it has no task, so there is nothing to know"
        monkeypatch.setattr(log, "assigned_tasks", lambda: frozenset({0, 1}))
        await measure_lag(log, dict, metrics)
        assert (await figures(address))["snp_task_lag_unknown", ()] == 1


async def test_an_address_that_is_taken_or_none_says_so() -> None:
    refused = pytest.raises(AddressTaken, match=r"cannot listen on .*: another program uses it")
    with socket.create_server(("127.0.0.1", 0)) as taken, refused:
        async with serving(status_app(Metrics().registry, Health()), f"127.0.0.1:{taken.getsockname()[1]}"):
            pass
    for wrong in ("99999", "localhost", "localhost:99999", ":80"):
        with pytest.raises(UsageError, match="host:port"):
            async with serving(status_app(Metrics().registry, Health()), wrong):
                pass


async def test_a_real_router_shows_its_figures(tmp_path: Path) -> None:
    """The demo's first file, routed on a real log."""
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await set_up(log)
        worker = Worker(log, Rules(), until_idle=True)
        await ingest_file(log, FILES / "1-on-file.x12", Rules())
        await worker.run()
        await measure_lag(log, worker.passed, worker.metrics)
        async with serving(status_app(worker.metrics.registry, worker.health), "127.0.0.1:0") as address:
            shown = await figures(address)
            status, _ = await get(address, "/ready")
    assert shown["snp_events_total", (("outcome", "new"),)] > 0
    assert shown["snp_notices_total", (("kind", "change"),)] > 0
    assert shown["snp_transactions_total", (("outcome", "committed"),)] > 0
    latencies = shown["snp_latency_unknown_total", ()]
    assert latencies >= shown["snp_events_total", (("outcome", "new"),)]
    assert status == 503, "it has ended and routes no more"
