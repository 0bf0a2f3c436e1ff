"""Where a trial takes place: brokers of its own, workers that are processes, and what can be done to them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from router.log.url import open_log
from tests.faults.trial import Fault, History, Trial
from tests.faults.workers import QUICK as QUICK_WORKERS
from tests.faults.workers import ROUTER, Workers
from tests.kafka.broker import Cluster, free_ports
from tests.kafka.fixtures import QUICK, limit_batches, require_java
from tests.kafka.proxy import Proxy

END_TRANSACTION = 26
COMMIT_DEADLINE_SECONDS = float(QUICK_WORKERS["SNP_KAFKA__COMMIT_DEADLINE_SECONDS"])


class Scene:
    """One broker behind a proxy, or three without (`proxy` None): all clients go the same way."""

    def __init__(self, cluster: Cluster, proxy: Proxy | None, workers: Workers, trial: Trial) -> None:
        self.cluster = cluster
        self.proxy = proxy
        self.workers = workers
        self.trial = trial

    async def kill_broker(self, chance: random.Random) -> str:
        node = chance.choice(self.cluster.nodes)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(chance.uniform(0, 1.0))
        node.start()
        await asyncio.sleep(5)
        return f"killed broker {node.number} and started it again"

    async def cut(self, chance: random.Random) -> str:
        assert self.proxy is not None
        self.proxy.cut()
        return "cut every connection of the workers"

    async def stall(self, chance: random.Random) -> str:
        assert self.proxy is not None
        seconds = chance.choice((0.3, 2.0, 6.0))
        self.proxy.stall()
        await asyncio.sleep(seconds)
        self.proxy.heal()
        return f"let nothing through for {seconds} s"

    async def delay(self, chance: random.Random) -> str:
        assert self.proxy is not None
        self.proxy.delay_seconds = chance.uniform(0.01, 0.2)
        await asyncio.sleep(1.0)
        self.proxy.heal()
        return "delayed everything for 1 s"

    async def lose_answer(self, chance: random.Random) -> str:
        """During a commit: the broker commits, and the worker doesn't hear of it before it gives up."""
        assert self.proxy is not None
        self.proxy.lose_answer_to(END_TRANSACTION)
        try:
            await asyncio.wait_for(self.proxy.lost_answer.wait(), 5)
            await asyncio.sleep(COMMIT_DEADLINE_SECONDS + 1)
        except TimeoutError:
            return "nobody committed anything"
        finally:
            self.proxy.heal()
        return "lost the answer to a commit"

    async def shrink(self, chance: random.Random) -> str:
        """For a while a party's topic takes no record of ours: the broker refuses them, one by one."""
        await limit_batches(self.cluster.bootstrap, "snp.party.HARX", 100)
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        await limit_batches(self.cluster.bootstrap, "snp.party.HARX", 4_000_000)
        return "a party's topic took nothing for a while"

    def faults(self, names: str) -> list[Fault]:
        known: dict[str, Fault] = {
            "kill": self.workers.kill,
            "freeze": self.workers.freeze,
            "zombie": self.workers.make_zombie,
            "add": self.workers.add,
            "leave": self.workers.send_away,
            "broker": self.kill_broker,
            "cut": self.cut,
            "stall": self.stall,
            "delay": self.delay,
            "answer": self.lose_answer,
            "shrink": self.shrink,
        }
        return [known[name] for name in names.split()]


@asynccontextmanager
async def scene(folder: Path, seed: int, command: tuple[str, ...] = ROUTER, brokers: int = 1) -> AsyncIterator[Scene]:
    require_java()
    async with AsyncExitStack() as stack:
        port = free_ports(1)[0]
        cluster = Cluster(folder, brokers, advertised=(port,) if brokers == 1 else ())
        proxy = await stack.enter_async_context(Proxy(port, cluster.port)) if brokers == 1 else None
        stack.push_async_callback(asyncio.to_thread, cluster.stop)
        await asyncio.to_thread(cluster.start)
        url = f"kafka://127.0.0.1:{port}" if brokers == 1 else f"kafka://{cluster.bootstrap}"
        settings = QUICK.model_dump(exclude_unset=True) | {"replication_factor": min(brokers, 3)}
        log = await stack.enter_async_context(open_log(url, settings))
        workers = Workers(url, folder, command)
        stack.callback(workers.stop)
        yield Scene(cluster, proxy, workers, Trial(log, History(folder / "history.jsonl"), seed))
