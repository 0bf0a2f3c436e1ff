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
    """Brokers, each behind a proxy of its own or none: all clients go the same way."""

    def __init__(self, cluster: Cluster, proxies: list[Proxy], workers: Workers, trial: Trial) -> None:
        self.cluster = cluster
        self.workers = workers
        self.trial = trial
        self._proxies = proxies

    def heal(self) -> None:
        for proxy in self._proxies:
            proxy.heal()

    def _some(self, chance: random.Random) -> list[Proxy]:
        """One proxy, or several."""
        return chance.sample(self._proxies, chance.randint(1, len(self._proxies)))

    async def kill_broker(self, chance: random.Random) -> str:
        node = chance.choice(self.cluster.nodes)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(chance.uniform(0, 1.0))
        node.start()
        await asyncio.sleep(5)
        return f"killed broker {node.number} and started it again"

    async def cut(self, chance: random.Random) -> str:
        chosen = self._some(chance)
        for proxy in chosen:
            proxy.cut()
        return f"cut every connection to {len(chosen)} brokers"

    async def stall(self, chance: random.Random) -> str:
        chosen, seconds = self._some(chance), chance.choice((0.3, 2.0, 6.0))
        for proxy in chosen:
            proxy.stall()
        await asyncio.sleep(seconds)
        self.heal()
        return f"let nothing through to {len(chosen)} brokers for {seconds} s"

    async def delay(self, chance: random.Random) -> str:
        for proxy in self._some(chance):
            proxy.delay_seconds = chance.uniform(0.01, 0.2)
        await asyncio.sleep(1.0)
        self.heal()
        return "delayed everything for 1 s"

    async def lose_answer(self, chance: random.Random) -> str:
        """During a commit: the broker commits, and the worker doesn't hear of it before it gives up."""
        proxy = chance.choice(self._proxies)
        proxy.lose_answer_to(END_TRANSACTION)
        try:
            await asyncio.wait_for(proxy.lost_answer.wait(), 5)
            await asyncio.sleep(COMMIT_DEADLINE_SECONDS + 1)
        except TimeoutError:
            return "nobody committed anything"
        finally:
            self.heal()
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
async def scene(
    folder: Path, seed: int, command: tuple[str, ...] = ROUTER, brokers: int = 1, *, proxied: bool = False
) -> AsyncIterator[Scene]:
    """A single broker is always behind a proxy, three are if they are `proxied`."""
    require_java()
    async with AsyncExitStack() as stack:
        ports = free_ports(brokers) if proxied or brokers == 1 else []
        cluster = Cluster(folder, brokers, advertised=ports)
        pairs = zip(ports, cluster.ports, strict=False)
        proxies = [await stack.enter_async_context(Proxy(port, target)) for port, target in pairs]
        stack.push_async_callback(asyncio.to_thread, cluster.stop)
        await asyncio.to_thread(cluster.start)
        address = ",".join(f"127.0.0.1:{port}" for port in ports) or cluster.bootstrap
        settings = QUICK.model_dump(exclude_unset=True) | {"replication_factor": min(brokers, 3)}
        log = await stack.enter_async_context(open_log(f"kafka://{address}", settings))
        environment = QUICK_WORKERS | {"SNP_KAFKA__REPLICATION_FACTOR": str(min(brokers, 3))}
        workers = Workers(log.url, folder, command, settings=environment)
        stack.callback(workers.stop)
        yield Scene(cluster, proxies, workers, Trial(log, History(folder / "history.jsonl"), seed))
