"""A router whose commit is made but not answered routes nothing twice and counts everything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from router import topics
from router.engine import worker
from router.engine.administration import write_first_rules
from router.engine.worker import Totals, Worker
from router.log.kafka import open_kafka_log
from tests.checking.replay import check, describe
from tests.faults.trial import History, Trial
from tests.kafka.broker import Cluster, free_ports
from tests.kafka.fixtures import QUICK, require_java
from tests.kafka.proxy import Proxy

pytestmark = pytest.mark.kafka

END_TRANSACTION = 26
IMPATIENT = QUICK.model_copy(update={"commit_deadline_seconds": 1.0})
FEEDS = 10
"""Of twenty events."""


async def routed_without_an_answer(trial: Trial, proxy: Proxy) -> Totals:
    """Route everything. The answer to the first commit is lost, and the worker gives up on it."""
    worker = Worker(trial.log, trial.rules, until_idle=True)
    await write_first_rules(trial.log, trial.rules, 0)  # else its commit would be the first
    proxy.lose_answer_to(END_TRANSACTION)
    routing = asyncio.create_task(worker.run())
    await asyncio.wait_for(proxy.lost_answer.wait(), 30)
    await asyncio.sleep(IMPATIENT.commit_deadline_seconds + 0.2)
    proxy.heal()
    return await asyncio.wait_for(routing, 90)


async def test_a_commit_without_an_answer_is_made_once_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_java()
    monkeypatch.setattr(worker, "TRANSACTION_RECORDS", 25)
    (port,) = free_ports(1)
    cluster = Cluster(tmp_path, advertised=(port,))
    try:
        async with Proxy(port, cluster.port) as proxy:
            await asyncio.to_thread(cluster.start)
            async with open_kafka_log(f"kafka://127.0.0.1:{port}", IMPATIENT) as log:
                trial = Trial(log, History(tmp_path / "history.jsonl"), seed=1)
                await trial.prepare()
                for _ in range(FEEDS):
                    await trial.feed(20)
                totals = await routed_without_an_answer(trial, proxy)
                parties = [name for name in await log.topics() if name.startswith(topics.PARTY_PREFIX)]
                timeline, notices = await trial.read([topics.TIMELINE]), await trial.read(parties)
    finally:
        await asyncio.to_thread(cluster.stop)

    faults = [*check(timeline, notices, trial.rules), *trial.unrouted(timeline)]
    assert not faults, describe(faults)
    assert totals.counts["events"] == len(trial.fed)
    assert sum(totals.counts[kind] for kind in ("hold", "change", "release")) == len(notices)
