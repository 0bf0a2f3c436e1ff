"""A frozen broker of three, measured: `python -m benchmarks.kafka.freeze`, from the top of a checkout.

Stops one broker (SIGSTOP) in each role, while a router and a stock client beside it (a plain transactional copy loop of
aiokafka, default settings) get the same feed. Prints the longest silence of each. Everything has three replicas, so
nobody can write anything at all until the frozen broker is out of the in-sync replicas. Starts brokers of its own
(Java 17, Maven for their jars).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Schema, TaggedFields, UnsignedVarInt32
from rich.console import Console
from rich.table import Table

from benchmarks.cargo import Trade
from benchmarks.kafka.routers import RouterProcess
from benchmarks.kafka.scene import Feeder, Scene
from benchmarks.options import Options
from router import topics
from router.errors import LogError
from router.log.interface import Output, partition_of
from router.log.kafka import KafkaLog, open_kafka_log
from router.topics import TopicSpec
from tests.kafka.broker import Cluster

TASKS: Final = 2
GROUP: Final = "snp-router"
STOCK_INPUT, STOCK_OUTPUT = "stock.input", "stock.output"
RATE: Final = 20
"""Events a second."""
WARM_SECONDS: Final = 3.0
THAWED_SECONDS: Final = 6.0
"""The silence of a client that waits for the frozen broker ends after its thaw."""
PATIENCE_SECONDS: Final = 60.0
LEADER, FOLLOWER, TRANSACTIONS, MEMBERS, CONTROLLER = (
    "leader of every topic", "follower", "coordinator of transactions", "coordinator of the group", "controller",
)  # fmt: skip
ROLES: Final = (LEADER, FOLLOWER, TRANSACTIONS, MEMBERS, CONTROLLER)
GROUP_TYPE, TRANSACTION_TYPE = 0, 1


class QuorumResponse(Response):  # type: ignore[misc]
    """The beginning of an answer about one partition: what follows the leader is of no interest."""

    API_KEY, API_VERSION, FLEXIBLE_VERSION = 55, 0, True
    SCHEMA = Schema(
        ("error_code", Int16),
        ("topics", UnsignedVarInt32),
        ("topic", CompactString("utf-8")),
        ("partitions", UnsignedVarInt32),
        ("partition", Int32),
        ("partition_error", Int16),
        ("leader", Int32),
    )


class QuorumRequest_v0(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, FLEXIBLE_VERSION, RESPONSE_TYPE = 55, 0, True, QuorumResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                ("partitions", CompactArray(("partition", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class QuorumRequest(Request[QuorumRequest_v0]):  # type: ignore[misc]
    """Asks who leads the controllers; aiokafka has no such request."""

    API_KEY = 55

    def build(self, request_struct_class: type[QuorumRequest_v0]) -> QuorumRequest_v0:
        return request_struct_class([("__cluster_metadata", [(0, {})], {})], {})


class Silence(NamedTuple):
    """Longest time without a new notice of any task, and without a new copy, in seconds."""

    router: float
    stock: float


class Freezing:
    """The scene of all rounds."""

    def __init__(self, cluster: Cluster, scene: Scene, seconds: float) -> None:
        self._cluster = cluster
        self._scene = scene
        self._seconds = seconds
        self._names = count()

    async def strike(self, role: str) -> tuple[str, Silence]:
        """Freeze the broker that has the role, in a new scene. Return all that it is, and what it cost."""
        async with open_kafka_log(self._scene.url) as log:
            victim, others = await self._victim(role)
            await self._make_topics(log, leader=victim if role == LEADER else others[0])
            name = f"{next(self._names)}-{role.replace(' ', '-')}"
            stock = await self._stock_names(role)
            router = RouterProcess(self._scene, name, replicas=3)
            async with router, self._copying(name, stock), Watch(log, self._scene) as watch:
                await router.assigned(TASKS)
                await watch.flowing()
                roles = ", ".join(await self._roles(victim))
                node = self._cluster.nodes[victim - 1]
                await asyncio.sleep(WARM_SECONDS)
                began = time.monotonic()
                node.freeze()
                try:
                    await asyncio.sleep(self._seconds)
                finally:
                    node.thaw()
                await asyncio.sleep(THAWED_SECONDS)
                await watch.flowing()
                return roles, watch.silence(began)

    async def _victim(self, role: str) -> tuple[int, list[int]]:
        """Return the broker with the role, and the others: those first that have none."""
        busy = {
            TRANSACTIONS: await self._coordinator(f"{GROUP}-0", TRANSACTION_TYPE),
            MEMBERS: await self._coordinator(GROUP, GROUP_TYPE),
            CONTROLLER: await self._controller(),
        }
        brokers = sorted(range(1, 4), key=lambda number: number in busy.values())
        victim = busy.get(role, brokers[0])
        return victim, [number for number in brokers if number != victim]

    async def _roles(self, broker: int) -> list[str]:
        """The broker's other roles that matter to the router."""
        tasks = [
            task for task in range(TASKS) if await self._coordinator(f"{GROUP}-{task}", TRANSACTION_TYPE) == broker
        ]
        found = [f"transactions of task {task}" for task in tasks]
        if await self._coordinator(GROUP, GROUP_TYPE) == broker:
            found.append("the group")
        if await self._controller() == broker:
            found.append("controller")
        return found or ["nothing else"]

    async def _coordinator(self, name: str, kind: int) -> int:
        async with self._admin() as admin:
            for _ in range(200):
                answer = await admin._send_request(FindCoordinatorRequest(name, kind))
                if answer.error_code == 0:
                    return int(answer.coordinator_id)
                await asyncio.sleep(0.1)
        raise SystemExit(f"nobody coordinates {name}")

    async def _controller(self) -> int:
        async with self._admin() as admin:
            return int((await admin._send_request(QuorumRequest())).leader)

    async def _stock_names(self, role: str) -> tuple[str, str]:
        """A group and a transactional id with the coordinators of the router's."""
        wanted = await self._coordinator(GROUP, GROUP_TYPE), await self._coordinator(f"{GROUP}-0", TRANSACTION_TYPE)
        names = []
        for kind, broker in zip((GROUP_TYPE, TRANSACTION_TYPE), wanted, strict=True):
            while await self._coordinator(name := f"stock-{next(self._names)}", kind) != broker:
                pass
            names.append(name)
        return names[0], names[1]

    async def _make_topics(self, log: KafkaLog, leader: int) -> None:
        """Everything anew, with one broker as the leader of all partitions."""
        async with self._admin() as admin:
            names = [name for name in await log.topics() if name.startswith(("cbp.", "snp.", "stock."))]
            while left := sorted(set(names) & (await log.topics()).keys()):
                await admin.delete_topics(left)
                await asyncio.sleep(0.2)
            specs = [*topics.topic_specs(TASKS), TopicSpec(STOCK_INPUT, 1), TopicSpec(STOCK_OUTPUT, 1)]
            specs += [spec for party in self._scene.trade.registered for spec in topics.party_topic_specs(party.id)]
            replicas = [leader, *(number for number in range(1, 4) if number != leader)]
            made = [self._placed(log, spec, replicas) for spec in specs]
            await admin.create_topics(made)
            while not await log._admin._all_brokers_show([spec.name for spec in specs]):  # noqa: ASYNC110 - no one tells
                await asyncio.sleep(0.2)
        await self._scene.trade.register(log, TASKS)

    def _placed(self, log: KafkaLog, spec: TopicSpec, replicas: list[int]) -> NewTopic:
        settings = log._admin._new_topic(spec).topic_configs
        return NewTopic(spec.name, -1, -1, dict.fromkeys(range(spec.partitions), replicas), settings)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._scene.address)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    @asynccontextmanager
    async def _copying(self, name: str, names: tuple[str, str]) -> AsyncIterator[None]:
        command = [sys.executable, "-m", "benchmarks.kafka.stock_copier", self._scene.address]
        with (self._scene.folder / f"{name}-stock.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 - takes no time
                [*command, STOCK_INPUT, STOCK_OUTPUT, *names], stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


class Watch:
    """Feeds both and reads what comes of it, while opened."""

    _bills = 0

    def __init__(self, log: KafkaLog, scene: Scene) -> None:
        self._log = log
        self._scene = scene
        self._arrivals: dict[int, list[float]] = defaultdict(list)
        """By task; those of the stock client under `TASKS`."""

    async def __aenter__(self) -> Watch:
        self._running = [asyncio.create_task(self._feed()), asyncio.create_task(self._read())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self._running:
            one.cancel()
        for error in await asyncio.gather(*self._running, return_exceptions=True):
            if isinstance(error, Exception):
                raise error

    async def flowing(self) -> None:
        """Until each has something new from now on."""
        began = time.monotonic()
        while not all(self._arrivals[one] and self._arrivals[one][-1] > began for one in range(TASKS + 1)):
            if time.monotonic() > began + PATIENCE_SECONDS:
                raise SystemExit("nothing flows")
            await asyncio.sleep(0.05)

    def silence(self, since: float) -> Silence:
        silences = [_longest(self._arrivals[one], since) for one in range(TASKS + 1)]
        return Silence(max(silences[:TASKS]), silences[TASKS])

    async def _feed(self) -> None:
        feeder = Feeder(self._log)
        for event in self._events():
            with suppress(LogError):  # the next one is fed instead
                await feeder.append([event])
                await self._log.append([Output(STOCK_INPUT, b"", b"x" * 300)])
            await asyncio.sleep(1 / RATE)

    def _events(self) -> Iterator[Any]:
        while True:
            events = list(self._scene.trade.feed(100, Watch._bills))
            Watch._bills += len(events)
            yield from events

    async def _read(self) -> None:
        names = [*self._scene.party_topics, STOCK_OUTPUT]
        while True:
            with suppress(LogError):
                async for batch in self._log.read(names, from_start=False):
                    for record in batch:
                        is_copy = record.topic == STOCK_OUTPUT
                        self._arrivals[TASKS if is_copy else partition_of(record.key, TASKS)].append(time.monotonic())


def _longest(arrivals: Sequence[float], since: float) -> float:
    ends = [since, *(one for one in arrivals if one >= since)]
    return max(later - earlier for earlier, later in pairwise(ends))


@contextmanager
def three_brokers(folder: Path, session_seconds: float, request_seconds: float = 5.0) -> Iterator[Cluster]:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # or the brokers would outlive us
    settings = {
        "broker.session.timeout.ms": str(int(session_seconds * 1000)),
        "broker.heartbeat.interval.ms": str(int(session_seconds * 250)),
        "request.timeout.ms": str(int(request_seconds * 1000)),
    }
    cluster = Cluster(folder / "kafka", 3, settings=settings)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


async def measure(cluster: Cluster, folder: Path, sizes: Any) -> Table:
    table = Table(
        *("frozen broker", "it is also", "snp-router", "stock client", "difference"),
        title=f"longest silence in seconds; one of three brokers frozen for {sizes.seconds:g} s",
    )
    freezing = Freezing(cluster, Scene(cluster.bootstrap, folder, Trade(8)), sizes.seconds)
    for _ in range(sizes.rounds):
        for role in sizes.only or ROLES:
            others, silence = await freezing.strike(role)
            table.add_row(
                role, others, f"{silence.router:.1f}", f"{silence.stock:.1f}", f"{silence.router - silence.stock:+.1f}"
            )
            print(role, others, silence, flush=True, file=sys.stderr)
    loads = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    table.caption = (
        f"broker.session.timeout.ms {sizes.session * 1000:g}, request.timeout.ms {sizes.request * 1000:g}; load "
        f"averages of the machine at the end: {loads}"
    )
    return table


def main() -> None:
    options = Options(__doc__, rounds=(3, 1), seconds=(30.0, 8.0), session=(6.0, 3.0), request=(5.0, 3.0))
    options.add_argument("--only", action="append", choices=ROLES, help="again for one more; else all")
    sizes = options.asked()
    with tempfile.TemporaryDirectory() as folder, three_brokers(Path(folder), sizes.session, sizes.request) as cluster:
        Console().print(asyncio.run(measure(cluster, Path(folder), sizes)))


if __name__ == "__main__":
    main()
