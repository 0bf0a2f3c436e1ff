"""Routers that don't learn the outcome of a commit before another has the task: together they count what is there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from router import topics
from router.codec.published import NOTICE_KINDS
from router.engine import uncertain_commits
from router.engine.administration import write_first_rules
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.log.kafka import KafkaLog
from router.model.inputs import Disposition
from tests.faults import trial as trials
from tests.faults.trial import MINUTE, POSTED, History, Trial, fields_of
from tests.kafka.fixtures import KafkaLogs

pytestmark = pytest.mark.kafka

PATIENCE_SECONDS = 40
QUIET_SECONDS = 1.0
"""After it nothing follows from what was fed."""


@pytest.fixture
async def trial(logs: KafkaLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    """One task, and events for it."""
    monkeypatch.setattr(trials, "PARTITIONS", 1)
    monkeypatch.setattr(uncertain_commits, "LOOK_SECONDS", 0.2)
    made = Trial(await logs.open(), History(tmp_path / "history.jsonl"), seed=1)
    await made.prepare()
    await write_first_rules(made.log, made.rules, 0)
    await made.feed(40)
    return made


async def feed_one(trial: Trial) -> None:
    """An event that is decided in one transaction: no other bill hears of it."""
    event = Disposition("NVXA", "ALONE", "55", POSTED + len(trial.fed) * MINUTE, 120, received_at=POSTED)
    await trial.log.append(event_outputs(event, trial.rules.codes.is_urgent))
    trial.fed.append(event)


class Frozen:
    """The router that commits next stops, as under SIGSTOP: before the broker hears of its commit, or after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, task: str, *, is_made: bool) -> None:
        self.stopped = asyncio.Event()
        self.goes_on = asyncio.Event()
        commit = AIOKafkaProducer.commit_transaction

        async def frozen(producer: AIOKafkaProducer) -> None:
            if self.stopped.is_set() or producer._txn_manager.transactional_id != task:
                return await commit(producer)
            self.stopped.set()
            if is_made:
                await commit(producer)
            await self.goes_on.wait()
            if not is_made:
                await commit(producer)
            raise TimeoutError("the answer is lost")

        monkeypatch.setattr(AIOKafkaProducer, "commit_transaction", frozen)


@asynccontextmanager
async def routing(log: KafkaLog, trial: Trial, group: str) -> AsyncIterator[Worker]:
    worker = Worker(log, trial.rules)
    running = asyncio.create_task(worker.run(group))
    try:
        yield worker
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(condition: object) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.02)


def figure(worker: Worker, name: str, **labels: str) -> int:
    return int(worker.metrics.registry.get_sample_value(name, labels) or 0)


def moves(worker: Worker) -> int:
    return figure(worker, "snp_transactions_total", outcome="moved")


def events(worker: Worker) -> int:
    return figure(worker, "snp_events_total", outcome="new")


async def counted_and_there(trial: Trial, *workers: Worker) -> tuple[Counter[str], Counter[str]]:
    """Return the routers' counts together, and the records on the topics."""
    counted = Counter[str]()
    for worker in workers:
        counted["new"] += events(worker)
        for kind in NOTICE_KINDS:
            counted[kind] += figure(worker, "snp_notices_total", kind=kind)
    there = Counter[str](new=len(trial.fed))
    names = [name for name in await trial.log.topics() if name.startswith(topics.PARTY_PREFIX)]
    for record in await trial.read(names):
        there[dict(record.headers)["kind"].decode()] += 1
    decided = [fields_of(record) for record in await trial.read([topics.TIMELINE])]
    assert sum(one["cause"] == "DISPOSITION" and not one["duplicate"] for one in decided) == len(trial.fed)
    return counted, there


@asynccontextmanager
async def frozen_in_a_commit(
    logs: KafkaLogs, trial: Trial, monkeypatch: pytest.MonkeyPatch, *, is_made: bool
) -> AsyncIterator[tuple[Worker, Frozen, KafkaLog]]:
    """A router that lost its task while it committed an event, and the log for its successor."""
    first, second = await logs.open(), await logs.open()
    async with routing(first, trial, logs.group) as zombie:
        await until(lambda: events(zombie) == len(trial.fed))
        await asyncio.sleep(QUIET_SECONDS)
        frozen = Frozen(monkeypatch, f"{logs.group}-0", is_made=is_made)
        await feed_one(trial)
        await until(frozen.stopped.is_set)
        await logs.lose(first)
        yield zombie, frozen, second


async def test_a_zombie_that_wrote_nothing_counts_nothing_when_its_task_is_back(
    logs: KafkaLogs, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor decided the same records, and wrote the very same position."""
    async with frozen_in_a_commit(logs, trial, monkeypatch, is_made=False) as (zombie, frozen, second):
        async with routing(second, trial, logs.group) as successor:
            await until(lambda: events(successor) == 1)
            frozen.goes_on.set()
            await until(lambda: moves(zombie) == 1)
        await until(lambda: zombie.health.routing() == {0})
        counted, there = await counted_and_there(trial, zombie, successor)
    assert counted == there


async def test_a_commit_that_was_made_counts_although_another_router_has_the_task_by_then(
    logs: KafkaLogs, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        frozen_in_a_commit(logs, trial, monkeypatch, is_made=True) as (zombie, frozen, second),
        routing(second, trial, logs.group) as successor,
    ):
        await until(lambda: successor.health.routing() == {0})
        await feed_one(trial)
        await until(lambda: events(successor) == 1)
        frozen.goes_on.set()
        await until(lambda: events(zombie) + events(successor) == len(trial.fed))
        counted, there = await counted_and_there(trial, zombie, successor)
    assert counted == there
