"""The whole router on Kafka through every fault we can think of, alone and mixed. A seed repeats the choice of faults.

Longer: `SNP_FAULT_SECONDS=3600 pytest -m soak tests/faults`.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from router.log.url import open_log
from tests.checking.replay import describe
from tests.faults.trial import Fault, History, Trial
from tests.faults.workers import ROUTER, Workers
from tests.kafka.broker import Cluster, free_ports
from tests.kafka.fixtures import QUICK, require_java
from tests.kafka.proxy import Proxy

pytestmark = pytest.mark.kafka

SECONDS = float(os.environ.get("SNP_FAULT_SECONDS", "10"))
GROUP = "snp-router"
SESSION_SECONDS = 2.5
"""After this the group has noticed that all workers are dead, and deals every task to us."""


class Scene:
    """A broker of its own behind a proxy, workers that go through it, and a trial that feeds past it."""

    def __init__(self, cluster: Cluster, proxy: Proxy, workers: Workers, trial: Trial) -> None:
        self.cluster = cluster
        self.proxy = proxy
        self.workers = workers
        self.trial = trial

    async def kill_broker(self, chance: random.Random) -> str:
        node = self.cluster.nodes[0]
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(chance.uniform(0, 1.0))
        node.start()
        await asyncio.sleep(5)
        return "killed the broker and started it again"

    async def cut(self, chance: random.Random) -> str:
        self.proxy.cut()
        return "cut every connection of the workers"

    async def stall(self, chance: random.Random) -> str:
        seconds = chance.choice((0.3, 2.0, 6.0))
        self.proxy.stall()
        await asyncio.sleep(seconds)
        self.proxy.heal()
        return f"let nothing through for {seconds} s"

    async def delay(self, chance: random.Random) -> str:
        self.proxy.delay_seconds = chance.uniform(0.01, 0.2)
        await asyncio.sleep(1.0)
        self.proxy.heal()
        return "delayed everything for 1 s"

    async def shrink(self, chance: random.Random) -> str:
        """For a while a party's topic takes no record of ours: the broker refuses them, one by one."""
        await self._limit("snp.party.HARX", 100)
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        await self._limit("snp.party.HARX", 4_000_000)
        return "a party's topic took nothing for a while"

    async def _limit(self, topic: str, size: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.cluster.bootstrap)
        await admin.start()
        try:
            setting = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": str(size)})
            await admin.alter_configs([setting])
        finally:
            await admin.close()

    def faults(self, names: str) -> list[Fault]:
        known: dict[str, Fault] = {
            "kill": self.workers.kill,
            "freeze": self.workers.freeze,
            "add": self.workers.add,
            "leave": self.workers.send_away,
            "broker": self.kill_broker,
            "cut": self.cut,
            "stall": self.stall,
            "delay": self.delay,
            "shrink": self.shrink,
        }
        return [known[name] for name in names.split()]


@asynccontextmanager
async def scene(folder: Path, seed: int, command: tuple[str, ...] = ROUTER) -> AsyncIterator[Scene]:
    require_java()
    port = free_ports(1)[0]
    cluster = Cluster(folder, advertised=port)
    async with Proxy(port, cluster.port) as proxy:
        await asyncio.to_thread(start_behind, cluster, proxy)
        async with open_log(f"kafka://127.0.0.1:{port}", QUICK.model_dump(exclude_unset=True)) as log:
            workers = Workers(f"kafka://127.0.0.1:{port}", folder, command)
            try:
                yield Scene(cluster, proxy, workers, Trial(log, History(folder / "history.jsonl"), seed))
            finally:
                workers.stop()
                await asyncio.to_thread(cluster.stop)


def start_behind(cluster: Cluster, proxy: Proxy) -> None:
    cluster.start()


async def undergo(folder: Path, names: str, seed: int, seconds: float, command: tuple[str, ...] = ROUTER) -> list[str]:
    """One trial from nothing to its verdict; where there are faults, its history is kept beside the tests."""
    async with scene(folder, seed, command) as at:
        await at.trial.prepare()
        at.workers.start(2)
        await asyncio.sleep(2.0)
        await at.trial.suffer(at.faults(names), seconds, (0.2, 2.0))
        at.workers.stop()
        at.proxy.heal()
        await asyncio.sleep(SESSION_SECONDS)
        faults = await at.trial.finish(GROUP)
    if faults and command == ROUTER:
        kept = Path("fault-histories") / f"{names.replace(' ', '-')}-{seed}-{uuid.uuid4().hex[:6]}"
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("node-*"))
        faults.append(f"the history is in {kept}")
    return faults


@pytest.mark.parametrize(
    ("names", "seed"),
    [
        ("kill", 1),
        ("freeze", 2),
        ("add leave", 3),
        ("broker", 4),
        ("cut stall delay shrink", 5),
        ("kill freeze add leave cut stall delay shrink broker", 6),
    ],
)
async def test_nothing_is_lost_doubled_reordered_or_told_to_another(tmp_path: Path, names: str, seed: int) -> None:
    faults = await undergo(tmp_path, names, seed, SECONDS)
    assert not faults, describe(faults[:20])


@pytest.mark.soak
@pytest.mark.parametrize("seed", [11])
async def test_the_same_for_as_long_as_asked(tmp_path: Path, seed: int) -> None:
    faults = await undergo(tmp_path, "kill freeze add leave cut stall delay shrink broker", seed, SECONDS)
    assert not faults, describe(faults[:20])
