"""The loop: who goes first when there is much to do."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from router import codec, topics
from router.decide.ledger.rules import Rules
from router.engine import worker
from router.engine.registrar import prepare
from router.engine.worker import Worker, WorkSettings
from router.log.interface import Output, partition_of
from router.log.url import open_log
from router.model.inputs import Disposition
from router.observe.metrics import COMMITTED

PARTITIONS = 4


def holds(amounts: dict[int, int]) -> list[Output]:
    """So many holds for each partition, each of a bill of its own."""
    made, missing, number = list[Output](), Counter(amounts), 0
    while missing.total():
        event = Disposition("NVXA", f"HBL{number}", "1H", action_at=1_784_031_120_000, quantity=1)
        key = f"NVXAHBL{number}".encode()
        if missing[partition := partition_of(key, PARTITIONS)] > 0:
            missing[partition] -= 1
            made.append(Output(topics.DISPOSITIONS, key, codec.encode_value(event)))
        number += 1
    return made


async def test_a_task_with_little_to_do_does_not_wait_for_those_with_a_backlog(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, PARTITIONS)
        await log.append(holds({0: 400, 1: 400, 2: 400, 3: 5}))
        routing = Worker(log, Rules(), WorkSettings(idle_seconds=0.05), until_idle=True)
        async with asyncio.timeout(30), routing._turn:  # as one with a backlog has it, only for longer
            running = asyncio.create_task(routing.run())
            async for batch in log.read([topics.TIMELINE]):
                if batch:
                    break
            assert {record.partition for record in batch} == {3}
        assert (await running).counts["events"] == 1205


async def test_a_transaction_that_comes_to_write_much_is_committed_before_its_other_records_are_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MOST_OUTPUTS", 10)
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        await log.append(holds({0: 100}))
        routing = Worker(log, Rules(), WorkSettings(idle_seconds=0.05), until_idle=True)
        assert (await routing.run()).counts["events"] == 100
        committed = routing.metrics.registry.get_sample_value("snp_transactions_total", {"outcome": COMMITTED})
        assert committed is not None
        assert committed >= 10
