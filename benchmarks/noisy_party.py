"""What a party that misbehaves costs the others: it stops reading, or floods the broker, with its limits and without.

A secured broker, a router as a process, and three parties who are told of every event. One of them reads as it should,
and is measured: from an event handed to the feed's producer until its notice is read. Another does what the row says.

    python -m benchmarks.noisy_party
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from benchmarks.options import Options
from router.engine.intake import event_outputs
from router.log.url import open_log
from router.model.inputs import Disposition
from router.provision.access_rights import Entity, ProvisionSettings
from router.provision.broker_access import AccessAdmin
from tests.kafka.provisioned import Provisioned
from tests.kafka.secured import SecuredBroker

MEASURED, NOISY = "GOOD", "NOIS"
PARTIES: Final = f"id,status\n{MEASURED},live\n{NOISY},live\nTHRD,live\n"
RATE: Final = 50
"""Events a second: less than the router can do, so that what is measured is waiting and not a backlog."""
CONNECTIONS: Final = 8
HOARD_BYTES: Final = 20_000_000
"""What the noisy party has on its topic to read over and over."""
RECORD_BYTES: Final = 10_000
FETCH_BYTES: Final = 1_000_000
WAKE_SECONDS: Final = 5.0
"""Until a process misbehaves at its best."""
DRAIN_SECONDS: Final = 20.0
START: Final = 1_784_031_120_000

WITHOUT: Final = ", without limits"
ROWS: Final = ("nobody", "stops", "requests", "reads", "writes", "requests" + WITHOUT, "reads" + WITHOUT, "nobody")


class Reader(threading.Thread):
    """A stock consumer of the party that is measured: when each bill's first notice came."""

    def __init__(self, stock: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.arrived: dict[str, float] = {}
        self.stopped = threading.Event()
        self._consumer = Consumer(stock | {"group.id": f"snp.{MEASURED}.gate", "isolation.level": "read_committed"})

    def run(self) -> None:
        self._consumer.assign([TopicPartition(f"snp.party.{MEASURED}", 0, 0)])
        while not self.stopped.is_set():
            message = self._consumer.poll(0.05)
            if message is not None and not message.error():
                self.arrived.setdefault((message.key() or b"").decode(), time.monotonic())
        self._consumer.close()


class Bench:
    def __init__(self, scene: Provisioned, broker: int, seconds: float, rows: tuple[str, ...]) -> None:
        """`broker`: its process."""
        self._scene = scene
        self._broker = broker
        self._rows = rows
        self._seconds = seconds
        self._bills = 0
        self._reader = Reader(scene.stock(f"snp.{MEASURED}"))
        self.table = Table(
            *("one party", "does, a second", "broker's CPU", "p50 ms", "p99 ms", "longest", "notices", "not seen"),
            title=f"{RATE} events a second for {seconds:g} s: a notice's way to another party, while one party …",
        )

    async def run(self) -> None:
        self._hoard()
        self._reader.start()
        try:
            await self._row(None)
            for row in self._rows:
                await self._row(row)
        finally:
            self._reader.stopped.set()
            self._reader.join()

    def _hoard(self) -> None:
        producer = Producer(self._scene.stock("admin"))
        for _ in range(HOARD_BYTES // RECORD_BYTES):
            producer.produce(f"snp.party.{NOISY}", os.urandom(RECORD_BYTES))
            producer.poll(0)
        producer.flush(60)

    async def _row(self, row: str | None) -> None:
        """None: to warm up, not shown."""
        limits: dict[str, float | None] = dict(ProvisionSettings().party_quota())
        if row and row.endswith(WITHOUT):
            limits = dict.fromkeys(limits)
        async with AccessAdmin.opened(self._scene.bootstrap, self._scene.settings("admin")) as admin:
            await admin.set_quotas([(Entity.of_user(f"snp.{NOISY}"), limits)])
        deed = (row or "nobody").removesuffix(WITHOUT)
        with misbehaving(self._scene, deed) as done:
            await asyncio.sleep(min(WAKE_SECONDS, self._seconds))
            began, before, busy = time.monotonic(), done(), cpu_seconds(self._broker)
            sent = await self._feed()
            took = time.monotonic() - began
            does, busy = (done() - before) / took, (cpu_seconds(self._broker) - busy) / took
            await self._seen(sent)
        if row:
            self._add(row, f"{does:,.0f}", f"{busy:.0%}", sent)

    async def _feed(self) -> dict[str, float]:
        """Bill to the moment its event was handed over."""
        sent: dict[str, float] = {}
        async with open_log(self._scene.url, self._scene.settings("snp-feed").model_dump()) as log:
            began = time.monotonic()
            while (elapsed := time.monotonic() - began) < self._seconds:
                if len(sent) < elapsed * RATE:
                    self._bills += 1
                    event = Disposition(
                        MEASURED, f"B{self._bills}", "1H", action_at=START, quantity=1, snps=(NOISY, "THRD")
                    )
                    sent[f"{MEASURED}B{self._bills}"] = time.monotonic()
                    await log.append(event_outputs(event, lambda _: False))
                await asyncio.sleep(0.002)
        return sent

    async def _seen(self, sent: dict[str, float]) -> None:
        ends = time.monotonic() + DRAIN_SECONDS
        while not sent.keys() <= self._reader.arrived.keys() and time.monotonic() < ends:  # noqa: ASYNC110 - no one tells
            await asyncio.sleep(0.05)

    def _add(self, row: str, does: str, busy: str, sent: dict[str, float]) -> None:
        arrived = self._reader.arrived
        waits = sorted((arrived[bill] - moment) * 1000 for bill, moment in sent.items() if bill in arrived)
        shown = (
            [f"{waits[min(int(len(waits) * part), len(waits) - 1)]:.0f}" for part in (0.5, 0.99, 1)] if waits else []
        )
        self.table.add_row(row, does, busy, *shown, str(len(waits)), str(len(sent) - len(waits)))


def cpu_seconds(process: int) -> float:
    """What a process has used until now (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def misbehaving(scene: Provisioned, deed: str) -> Iterator[Any]:
    """A process of the noisy party's. Gives what tells how many it has done: requests, or bytes."""
    if deed == "nobody":
        yield lambda: 0
        return
    told = {"deed": deed, "bootstrap": scene.bootstrap, "stock": scene.stock(f"snp.{NOISY}")}
    told["settings"] = scene.settings(f"snp.{NOISY}").connection()
    counter = scene.admin.folder / f"{deed}.count"
    counter.write_text("0")
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.noisy_party", "--misbehave", str(counter)], stdin=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(told))
    process.stdin.close()
    try:
        yield lambda: int(counter.read_text() or 0)
    finally:
        process.kill()
        process.wait()


class Deed:
    """What the noisy party does, in a process of its own; `count` goes to a file now and then."""

    def __init__(self, told: dict[str, Any], counter: Path) -> None:
        self._told = told
        self._counter = counter
        self._count = 0

    async def do(self) -> None:
        doing = {"stops": self._stop_reading, "writes": self._write, "requests": self._ask}.get(self._told["deed"])
        if doing:
            await asyncio.to_thread(doing)
        else:
            await asyncio.gather(*(self._fetch() for _ in range(CONNECTIONS)), self._tell())

    def _stop_reading(self) -> None:
        """It has joined its group, holds its partition, and asks for nothing more."""
        consumer = Consumer(self._told["stock"] | {"group.id": f"snp.{NOISY}.gate", "auto.offset.reset": "earliest"})
        consumer.subscribe([f"snp.party.{NOISY}"])
        consumer.poll(10)
        time.sleep(3600)

    def _ask(self) -> None:
        """Consumers at the end of the topic that never wait there: each empty answer is the next request."""
        asked: dict[int, int] = {}

        def count(number: int, statistics: str) -> None:
            asked[number] = json.loads(statistics)["tx"]
            self._counter.write_text(str(sum(asked.values())))

        restless = {"fetch.wait.max.ms": 0, "statistics.interval.ms": 200, "group.id": f"snp.{NOISY}.gate"}
        consumers = [
            Consumer(self._told["stock"] | restless | {"stats_cb": partial(count, number)})
            for number in range(CONNECTIONS)
        ]
        for consumer in consumers:
            consumer.assign([TopicPartition(f"snp.party.{NOISY}", 0, OFFSET_END)])
        while True:
            for consumer in consumers:
                consumer.poll(0.02)

    def _write(self) -> None:
        producer = Producer(self._told["stock"] | {"linger.ms": 0, "queue.buffering.max.messages": 1000})
        record = b"x" * 500
        while True:
            try:
                producer.produce(f"snp.request.{NOISY}", record)
                self._count += len(record)
            except BufferError:
                producer.poll(0.01)
                self._counter.write_text(str(self._count))

    async def _fetch(self) -> None:
        """The same megabyte again and again."""
        client = AIOKafkaAdminClient(bootstrap_servers=self._told["bootstrap"], **self._told["settings"])
        await client.start()
        request = FetchRequest(0, 0, FETCH_BYTES, 0, [(f"snp.party.{NOISY}", [(0, 0, FETCH_BYTES)])])
        while True:
            try:
                answer = await client._send_request_to_node(1, request)
            except KafkaError:
                continue
            # Over its limit it is answered with nothing.
            self._count += sum(len(partition[-1] or b"") for _, partitions in answer.topics for partition in partitions)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self._counter.write_text(str(self._count))


@contextmanager
def router(scene: Provisioned) -> Iterator[None]:
    environment = scene.command("snp-router").environment
    with (scene.admin.folder / "router.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "router.cli", "run"], env=environment, stdout=log, stderr=log, cwd=scene.admin.folder
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    options = Options(__doc__, seconds=(10.0, 0.5))
    options.add_argument("--misbehave", type=Path, help=argparse.SUPPRESS)
    given = options.asked()
    if given.misbehave:
        asyncio.run(Deed(json.load(sys.stdin), given.misbehave).do())
    with tempfile.TemporaryDirectory() as folder:
        broker = SecuredBroker(Path(folder) / "broker")
        broker.start()
        try:
            scene = Provisioned(broker, Path(folder), PARTIES)
            with router(scene):
                rows = ("stops", "requests", "reads" + WITHOUT) if given.toy else ROWS
                bench = Bench(scene, broker.process, given.seconds, rows)
                asyncio.run(bench.run())
        finally:
            broker.stop()
    Console(width=120).print(bench.table)


if __name__ == "__main__":
    main()
