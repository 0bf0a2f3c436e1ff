"""A party attacks with what it may write, as a stock client: others' resyncs and notices go on as ever."""

from __future__ import annotations

import gzip
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from router import codec
from router.model.registry_values import RESYNC, Request
from tests.kafka.provisioned import Provisioned
from tests.kafka.secured import SecuredBroker
from tests.kafka.test_access_in_use import event

pytestmark = pytest.mark.kafka

ATTACKED, OTHERS = "snp.request.OCNX", "snp.request.SLTC"
USUAL_SECONDS = 40
"""Bound for a resync: a look each 5 s, and a process that starts. On a machine with too much to do it took 14 s."""
SEEN_SECONDS = 2.0
REQUEST = codec.encode_value(Request("mine", RESYNC, "SLTC", "me", 0))
BOMB_BYTES = 55 << 20
"""Compressed by gzip, this much of nothing is just below 64 KiB."""
ZSTD_BOMB_BYTES = 300 << 20


class Routing:
    """A router at work as its own user, the attacker's producer, and the other party's consumer."""

    def __init__(self, scene: Provisioned) -> None:
        self.scene = scene
        self.process = scene.command("snp-router").start("run", "--status-listen", "127.0.0.1:0")
        self.said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        self.consumer = Consumer(
            scene.stock("snp.SLTC") | {"group.id": "snp.SLTC.gate", "auto.offset.reset": "earliest"}
        )
        self.consumer.subscribe(["snp.party.SLTC"])
        self.waits(lambda: any("task_restored" in line for line in self.said), 30)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said += iter(self.process.stderr.readline, "")

    @staticmethod
    def waits(reached: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def next_notice(self, cause: str, seconds: float) -> float:
        """Seconds until the other party reads a notice of this cause."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            message = self.consumer.poll(0.1)
            if (
                message is not None
                and not message.error()
                and codec.decode(message.value() or b"")[1]["cause"] == cause
            ):
                return time.monotonic() - began
        raise AssertionError(f"no {cause} in {seconds} s: {self.said[-20:]}")

    def memory(self) -> int:
        """Most resident memory of the router so far, bytes."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) << 10

    def close(self) -> None:
        self.consumer.close()
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def routing(secured: SecuredBroker, tmp_path: Path) -> Iterator[Routing]:
    routing = Routing(Provisioned(secured, tmp_path))
    yield routing
    routing.close()


def attacker(scene: Provisioned, **settings: Any) -> Producer:
    given: dict[str, Any] = {"message.max.bytes": 1_000_000_000, "batch.size": 2_000_000, "linger.ms": 5, "acks": 1}
    return Producer(
        scene.stock("snp.OCNX") | given | {name.replace("_", "."): value for name, value in settings.items()}
    )


def outcome(producer: Producer, value: bytes, **more: Any) -> str | None:
    """The error's name for one record written; None if it was taken."""
    errors: list[KafkaError | None] = []
    producer.produce(ATTACKED, value, on_delivery=lambda error, _: errors.append(error), **more)
    producer.flush(30)
    return errors[0].name() if errors and errors[0] is not None else None


def test_a_party_s_attacks_cost_the_others_nothing(routing: Routing) -> None:
    feed = routing.scene.command("snp-feed")
    feed("ingest", "-", stdin=event("1H", 1))
    routing.next_notice("DISPOSITION", 20)
    quiet = routing.memory()

    gzipped = attacker(routing.scene, compression_type="gzip")
    assert outcome(gzipped, os.urandom(1_000_000)) == "MSG_SIZE_TOO_LARGE"
    assert len(gzip.compress(bytes(BOMB_BYTES))) < 64 << 10
    assert outcome(gzipped, bytes(BOMB_BYTES)) is None
    assert outcome(attacker(routing.scene, compression_type="zstd"), bytes(ZSTD_BOMB_BYTES)) is None
    for codec_name in ("lz4", "snappy", "zstd", "none"):
        assert outcome(attacker(routing.scene, compression_type=codec_name), b"\xff garbage") is None
    flood = attacker(routing.scene, compression_type="none")
    for _ in range(1_500):
        flood.produce(ATTACKED, REQUEST)
    flood.flush(60)
    assert outcome(gzipped, bytes(BOMB_BYTES)) is None

    other = Producer(routing.scene.stock("snp.SLTC"))
    other.produce(OTHERS, REQUEST)
    other.flush(10)
    routing.next_notice("RESYNC", USUAL_SECONDS)
    for minute in range(2):
        assert outcome(gzipped, bytes(BOMB_BYTES)) is None
        feed("ingest", "-", stdin=event("7H", 10 + minute))
        assert routing.next_notice("DISPOSITION", 20) < SEEN_SECONDS
    assert routing.memory() < quiet + (20 << 20)
    refused: list[KafkaError | None] = []
    gzipped.produce(OTHERS, REQUEST, on_delivery=lambda error, _: refused.append(error))
    gzipped.flush(10)
    assert refused[0] is not None
    assert routing.process.poll() is None
