"""The scene of a run, and all the bad things done to it: three brokers, each behind a proxy, routers and feeders."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.soak.state import Deleted, RunFolder, State
from router import topics
from router.clock import now_milliseconds
from router.log.interface import AdministeredLog, Record
from router.log.url import open_log
from tests.checking.routine import PARTIES
from tests.faults.workers import Workers, children_of
from tests.kafka.broker import Cluster, Node, free_ports, wait_until_ready
from tests.kafka.fixtures import limit_batches
from tests.kafka.proxy import Proxy

BROKERS: Final = 3
END_TRANSACTION: Final = 26
SETTINGS: Final = {
    "SNP_KAFKA__REPLICATION_FACTOR": "3",
    "SNP_KAFKA__SESSION_TIMEOUT_MS": "3000",
    "SNP_KAFKA__COMMIT_DEADLINE_SECONDS": "8",
    "SNP_KAFKA__START_DEADLINE_SECONDS": "20",
}
DISK_BYTES: Final = 1 << 30
"""Size of the disk of the broker whose disk is filled."""
CLOCK_SLACK: Final = 10_000
"""Milliseconds. Longest time from a record's timestamp to its write: a frozen worker's are older."""
FULL_SECONDS: Final = 15.0
LONGEST_MAKING_SECONDS: Final = 60.0

Fault = Callable[[random.Random], Awaitable[str]]


class Scene:
    def __init__(self, folder: RunFolder, cluster: Cluster, proxies: list[Proxy], log: AdministeredLog) -> None:
        self.log = log
        self.cluster = cluster
        self.routers = Workers(log.url, folder.path, words=("run",), settings=SETTINGS)
        self.supervisors = Workers(
            log.url, folder.path, words=("run", "--workers", "2"), settings=SETTINGS, name="supervisor"
        )
        self.feeders = [
            Workers(
                log.url,
                folder.path,
                (sys.executable, "-m", "router.cli"),
                ("ingest", "--watch", str(inbox), "--settle-seconds", "0.5"),
                SETTINGS,
                f"feeder-{inbox.name}",
            )
            for inbox in folder.inboxes
        ]
        self._folder = folder
        self._proxies = proxies

    def start(self) -> None:
        self.routers.start(2)
        self.supervisors.start()
        for feeder in self.feeders:
            feeder.start()

    def replace_dead(self) -> None:
        """Brokers, routers and feeders that ended by themselves."""
        for node in self.cluster.nodes:
            if not node.alive:
                node.start()
        for processes in (self.routers, self.supervisors, *self.feeders):
            processes.replace_dead()

    def stop_routers(self) -> None:
        """Kill all, supervised ones too."""
        supervised = [child for process in self.supervisors.processes for child in children_of(process)]
        self.supervisors.stop()
        for child in supervised:
            os.kill(child, signal.SIGKILL)
        self.routers.stop()

    def stop_feeders(self) -> None:
        for feeder in self.feeders:
            feeder.stop()

    def heal(self) -> None:
        for proxy in self._proxies:
            proxy.heal()

    # Routers and feeders

    async def kill_supervised(self, chance: random.Random) -> str:
        children = children_of(self.supervisors.processes[0])
        if not children:
            return "no worker of the supervisor is alive"
        victim = chance.choice(children)
        os.kill(victim, signal.SIGKILL)
        return f"killed {victim}, a worker of the supervisor"

    async def kill_feeder(self, chance: random.Random) -> str:
        return await chance.choice(self.feeders).kill(chance)

    async def roll(self, chance: random.Random) -> str:
        return f"{await self.routers.restart_each(chance)}; {await self.supervisors.restart_each(chance)}"

    # Brokers

    async def kill_broker(self, chance: random.Random) -> str:
        node = chance.choice(self.cluster.nodes)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(chance.uniform(0, 8.0))
        await self._revive(node)
        return f"killed broker {node.number} and started it again"

    async def freeze_broker(self, chance: random.Random) -> str:
        node, seconds = chance.choice(self.cluster.nodes), chance.choice((1.0, 4.0, 12.0))
        node.freeze()
        await asyncio.sleep(seconds)
        node.thaw()
        return f"froze broker {node.number} for {seconds} s"

    async def roll_brokers(self, chance: random.Random) -> str:
        for node in self.cluster.nodes:
            await asyncio.to_thread(node.stop)
            await self._revive(node)
        return "restarted every broker in turn"

    async def fill_disk(self, chance: random.Random) -> str:
        """The last broker's disk is full: it fails, and is started again once there is room."""
        node = self.cluster.nodes[-1]
        ballast = data_folder(self._folder.path, node.number) / "ballast"
        try:
            with ballast.open("wb") as file:
                left = os.fstatvfs(file.fileno())
                with contextlib.suppress(OSError):  # the broker was quicker to take the last of it
                    os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize)
            for _ in range(int(FULL_SECONDS / 0.2)):
                await asyncio.sleep(0.2)
                if not node.alive:
                    break
            failed = not node.alive
        finally:
            ballast.unlink()
        if failed:
            await asyncio.to_thread(node.kill)
            await self._revive(node)
        return f"filled the disk of broker {node.number}, which {'failed' if failed else 'went on'}"

    async def _revive(self, node: Node) -> None:
        if not node.alive:
            node.start()
        await wait_until_ready(self.cluster.bootstrap, BROKERS)

    # Connections

    async def cut(self, chance: random.Random) -> str:
        for proxy in self._proxies:
            proxy.cut()
        return "cut every connection"

    async def cut_off(self, chance: random.Random) -> str:
        """One broker is out of reach of clients, not of the other brokers."""
        proxy, seconds = chance.choice(self._proxies), chance.choice((0.5, 3.0, 10.0))
        proxy.stall()
        await asyncio.sleep(seconds)
        proxy.heal()
        return f"let nothing through to {proxy.port} for {seconds} s"

    async def delay(self, chance: random.Random) -> str:
        for proxy in self._proxies:
            proxy.delay_seconds = chance.uniform(0.01, 0.2)
        await asyncio.sleep(2.0)
        self.heal()
        return "delayed everything for 2 s"

    async def lose_answer(self, chance: random.Random) -> str:
        """During a commit: the broker commits, and the worker doesn't hear of it before it gives up."""
        proxy = chance.choice(self._proxies)
        proxy.lose_answer_to(END_TRANSACTION)
        try:
            await asyncio.wait_for(proxy.lost_answer.wait(), 5)
            await asyncio.sleep(float(SETTINGS["SNP_KAFKA__COMMIT_DEADLINE_SECONDS"]) + 1)
        except TimeoutError:
            return "nobody committed anything there"
        finally:
            proxy.heal()
        return "lost the answer to a commit"

    # Topics

    async def shrink(self, chance: random.Random) -> str:
        """For a while a party's topic takes no record of ours: the broker refuses them, one by one."""
        topic = topics.PARTY_PREFIX + chance.choice(PARTIES).id
        await limit_batches(_address(self.log.url), topic, 100)
        await asyncio.sleep(chance.uniform(0.5, 5.0))
        await limit_batches(_address(self.log.url), topic, 4_000_000)
        return f"{topic} took nothing for a while"

    async def delete(self, chance: random.Random) -> str:
        """A party's topic, read before, and made again after a while."""
        party = chance.choice(PARTIES)
        topic = topics.PARTY_PREFIX + party.id
        since = now_milliseconds() - CLOCK_SLACK
        records = [record async for batch in self.log.read([topic], until_end=True) for record in batch]
        number = len(self._folder.deleted())
        # If we are killed before it is deleted, the same records are read again from the topic: see `judge`.
        self._folder.keep(f"deleted-{number:04d}", Deleted(topic, since, 0, records))
        admin = AIOKafkaAdminClient(bootstrap_servers=_address(self.log.url))
        await admin.start()
        try:
            await admin.delete_topics([topic])
        finally:
            await admin.close()
            until = now_milliseconds() + CLOCK_SLACK
            self._folder.keep(f"deleted-{number:04d}", Deleted(topic, since, until, records))
        await asyncio.sleep(chance.uniform(0.0, 15.0))
        await self.make_parties()
        return f"deleted {topic} with {len(records)} notices, and made it again"

    async def make_parties(self) -> None:
        """Every party's topics that are missing, as `topics check --apply` does."""
        specs = [spec for party in PARTIES for spec in topics.party_topic_specs(party.id)]
        async with asyncio.timeout(LONGEST_MAKING_SECONDS):
            await self.log.create_topics(specs)

    async def read(self, names: list[str]) -> list[Record]:
        return [record async for batch in self.log.read(names, until_end=True) for record in batch]

    @property
    def faults(self) -> dict[str, Fault]:
        """By kind."""
        can_mount = data_folder(self._folder.path, BROKERS).is_mount()
        return {
            "router killed": self.routers.kill,
            "router frozen": self.routers.freeze,
            "router added": self.routers.add,
            "router left": self.routers.send_away,
            "supervised worker killed": self.kill_supervised,
            "routers restarted in turn": self.roll,
            "feeder killed": self.kill_feeder,
            "broker killed": self.kill_broker,
            "broker frozen": self.freeze_broker,
            "brokers restarted in turn": self.roll_brokers,
            "connections cut": self.cut,
            "broker out of reach": self.cut_off,
            "connections slow": self.delay,
            "commit's answer lost": self.lose_answer,
            "topic refused notices": self.shrink,
            "topic deleted": self.delete,
        } | ({"disk full": self.fill_disk} if can_mount else {})


@asynccontextmanager
async def scene(folder: RunFolder, state: State) -> AsyncIterator[Scene]:
    """Brokers with the data and the ports of before, if there are some."""
    async with AsyncExitStack() as stack:
        state.ports = state.ports or free_ports(4 * BROKERS)
        told, ports = state.ports[:BROKERS], state.ports[BROKERS:]
        cluster = Cluster(folder.path, BROKERS, advertised=told, ports=ports, version=state.kafka)
        _mount(data_folder(folder.path, BROKERS))
        proxies = [
            await stack.enter_async_context(Proxy(port, target)) for port, target in zip(told, ports, strict=False)
        ]
        stack.push_async_callback(asyncio.to_thread, cluster.stop)
        await asyncio.to_thread(cluster.start)
        address = ",".join(f"127.0.0.1:{port}" for port in told)
        log = await stack.enter_async_context(open_log(f"kafka://{address}", {"replication_factor": BROKERS}))
        made = Scene(folder, cluster, proxies, log)
        stack.callback(made.stop_routers)
        stack.callback(made.stop_feeders)
        yield made


def data_folder(folder: Path, node: int) -> Path:
    return folder / f"node-{node}" / "data"


def unmount(folder: Path) -> None:
    """Gives the memory of the disk that was filled back."""
    if data_folder(folder, BROKERS).is_mount():
        subprocess.run(["umount", str(data_folder(folder, BROKERS))], check=False, timeout=30)


def _mount(folder: Path) -> None:
    """A small disk of its own, which only root can make; without it no disk is filled."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and not folder.is_mount():
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        subprocess.run(command, check=False, timeout=30)


def _address(url: str) -> str:
    return url.partition("://")[2]
