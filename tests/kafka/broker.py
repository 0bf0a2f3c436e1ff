"""Real brokers that tests start, stop, kill and freeze: one node, or several with everything replicated."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from .jars import CACHE, VERSION, java

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
START_SECONDS = 60.0
_LOWEST_PORT, _HIGHEST_PORT = 20_000, 32_000
"""Below the range the system hands to outgoing connections: a broker that restarts must find its port free."""


class Node:
    """One broker that is its own controller, or one of several."""

    def __init__(self, number: int, folder: Path, properties: Mapping[str, str], version: str) -> None:
        self.number = number
        self._folder = folder
        self._properties = properties
        self._version = version
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_text(self) -> str:
        return (self._folder / "broker.log").read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> int:
        """Process id, once it was started."""
        assert self._process is not None
        return self._process.pid

    def format(self, *extra: str) -> None:
        """Make the data directory. `extra`: more arguments of Kafka's own StorageTool, such as a first SCRAM user."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write_properties()
        command = java(self._version, "256m", "kafka.tools.StorageTool", "format", "-g", "-t", CLUSTER_ID)
        subprocess.run(
            [*command, "-c", str(self._folder / "broker.properties"), *extra],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=START_SECONDS,
        )

    def format_from(self, template: Path) -> None:
        """As `format`, from a directory that was formatted before: saves a JVM start."""
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(template, self._folder / "data", dirs_exist_ok=True)
        self._write_properties()

    def start(self) -> None:
        assert not self.alive
        log = (self._folder / "broker.log").open("ab")
        command = java(self._version, "512m", "kafka.Kafka", str(self._folder / "broker.properties"))
        self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        log.close()

    def stop(self) -> None:
        """Send SIGTERM and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, as if the process crashed. The page cache survives."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._process = None

    def _write_properties(self) -> None:
        settings = {**self._properties, "log.dirs": str(self._folder / "data")}
        (self._folder / "broker.properties").write_text("".join(f"{key}={text}\n" for key, text in settings.items()))


class Cluster:
    """Nodes that belong together. `bootstrap` is where clients connect."""

    def __init__(
        self,
        folder: Path,
        size: int = 1,
        *,
        advertised: Sequence[int] = (),
        ports: Sequence[int] = (),
        version: str = VERSION,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`advertised` are the ports that clients are told, of a proxy before each node. `ports` are those of an
        earlier cluster in the same folder, which goes on. `settings` go before those of `properties`."""
        self.ports = ports = list(ports) or free_ports(3 * size)
        self._client_ports, controller_ports, internal = ports[:size], ports[size : 2 * size], ports[2 * size :]
        voters = ",".join(f"{n + 1}@127.0.0.1:{port}" for n, port in enumerate(controller_ports))
        self.nodes = [
            Node(
                n + 1,
                folder / f"node-{n + 1}",
                properties(n + 1, size, (port, told, internal[n], controller_ports[n]), voters) | dict(settings or {}),
                version,
            )
            for n, (port, told) in enumerate(zip(self._client_ports, advertised or self._client_ports, strict=True))
        ]
        self._version = version
        self.port = self._client_ports[0]
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in self._client_ports)

    def start(self) -> None:
        """Format, start all and wait until clients are answered."""
        for node in self.nodes:
            if len(self.nodes) == 1:
                node.format_from(_template(self._version))
            else:
                node.format()
        for node in self.nodes:
            node.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        asyncio.run(wait_until_ready(self.bootstrap, sum(node.alive for node in self.nodes)))

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


async def wait_until_ready(bootstrap: str, brokers: int) -> None:
    """Wait until a client sees that many brokers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        if sum([await _answers(address) for address in bootstrap.split(",")]) < brokers:
            continue
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            await asyncio.wait_for(admin.start(), 5)
            cluster = await asyncio.wait_for(admin.describe_cluster(), 5)
            if len(cluster["brokers"]) >= brokers:
                return
        except (KafkaError, OSError, TimeoutError):
            pass
        finally:
            await admin.close()
    raise TimeoutError(f"{brokers} brokers did not answer at {bootstrap} within {START_SECONDS} s")


async def _answers(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


def properties(number: int, size: int, ports: tuple[int, int, int, int], voters: str) -> dict[str, str]:
    """Return the settings of one node: everything replicated to min(size, 3), and quick to notice dead clients.
    `ports` are those for clients, those that clients are told, those of brokers among themselves (without a proxy),
    and those of controllers."""
    port, advertised, internal, controller = ports
    client, among = "PLAINTEXT://127.0.0.1:", "INTERNAL://127.0.0.1:"
    replicas, in_sync = min(size, 3), 2 if size >= 3 else 1
    return {
        "process.roles": "broker,controller",
        "node.id": str(number),
        "controller.quorum.voters": voters,
        "listeners": f"{client}{port},{among}{internal},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"{client}{advertised},{among}{internal}",
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(replicas),
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(in_sync),
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": "16777216",
        "log.cleaner.backoff.ms": "1000",  # looks for what to compact
        # For tests only: short sessions, orphaned transactions ended at once, a killed broker back in seconds.
        "group.min.session.timeout.ms": "500",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        "broker.session.timeout.ms": "2000" if size == 1 else "3000",
        "broker.heartbeat.interval.ms": "400",
        "request.timeout.ms": "30000" if size == 1 else "3000",  # brokers among themselves
        # The first entry of each new index touches a mapped file of 10 MB, tens of ms on some machines: seconds for the
        # first transaction that reaches a hundred parties.
        "log.index.size.max.bytes": "65536",
    }


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, outside the range of outgoing connections."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(_LOWEST_PORT, _HIGHEST_PORT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if port not in found:
                    found.append(port)
    return found


def _template(version: str) -> Path:
    """A formatted data directory of a one-node cluster, made once per version."""
    template = CACHE / version / "formatted"
    if not template.exists():
        making = CACHE / version / f"formatting-{os.getpid()}"
        settings = properties(1, 1, (20_001, 20_001, 20_002, 20_003), "1@127.0.0.1:20003")
        Node(1, making, settings, version).format()
        with contextlib.suppress(OSError):  # another test process was first
            (making / "data").rename(template)
        shutil.rmtree(making, ignore_errors=True)
    return template
