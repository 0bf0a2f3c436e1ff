"""Events that a stock producer writes straight to the log, as docs/feeding-in.md has it."""

from __future__ import annotations

import json
import re
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.cli.conftest import COMMAND, environment
from tests.kafka.provisioned import PARTITIONS, Provisioned
from tests.kafka.secured import SecuredBroker

pytestmark = pytest.mark.kafka

PAGE = Path(__file__).parents[2] / "docs" / "feeding-in.md"
TOPIC = "cbp.dispositions"
POSTED = 1_784_031_120_000
SECONDS = 20
BILLS = [f"B{number}" for number in range(6)]


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    words = [*COMMAND, "registry", "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        found = re.search(r"http://\S+", server.stderr.readline())
        assert found
        yield found[0]
        server.terminate()


@pytest.fixture
def scene(secured: SecuredBroker, tmp_path: Path) -> Provisioned:
    return Provisioned(secured, tmp_path)


def event(number: str, code: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    usual = {"scac": "OCNX", "bill_of_lading": number, "disposition_code": code, "quantity": 5, "snps": ["SLTC"]}
    at = POSTED + minute * 60_000
    return usual | {"action_at": at, "received_at": at} | more


class StockProducer:
    """confluent-kafka as a feed's user, with the settings and the serializer of the page."""

    def __init__(self, scene: Provisioned, registry: str, **settings: Any) -> None:
        self._producer = Producer(scene.stock("snp-feed") | {"enable.idempotence": True} | settings)
        found = re.search(r"```python\n(serialize = AvroSerializer\(.*?)```", PAGE.read_text(), re.DOTALL)
        assert found
        names: dict[str, Any] = {
            "AvroSerializer": AvroSerializer,
            "SchemaRegistryClient": lambda _: SchemaRegistryClient({"url": registry}),
            "SerializationContext": SerializationContext,
            "MessageField": MessageField,
            "producer": self._producer,
            "on_delivery": self._delivered,
        }
        exec(found[1], names)
        self.write = names["write"]
        self.failures: list[KafkaError] = []

    def raw(self, key: bytes, value: bytes) -> None:
        self._producer.produce(TOPIC, value, key, on_delivery=self._delivered)

    def flush(self) -> None:
        assert self._producer.flush(SECONDS) == 0

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.failures.append(error)


@pytest.mark.parametrize("partitioner", ["consistent_random", "murmur2_random"])
def test_events_of_a_stock_producer_count_once_whatever_its_partitioner(
    scene: Provisioned, registry: str, partitioner: str
) -> None:
    producer = StockProducer(scene, registry, partitioner=partitioner)
    for number in BILLS:
        producer.write(event(number, "1C"), urgent=False)
        producer.write(event(number, "6H", 1), urgent=True)
        producer.write(event(number, "6H", 1), urgent=True)
    producer.flush()
    assert producer.failures == []
    router, operator = scene.command("snp-router"), scene.command("snp-operator")
    router("run", "--until-idle")
    assert {zlib.crc32(f"OCNX{number}".encode()) % PARTITIONS for number in BILLS} == set(range(PARTITIONS))
    for number in BILLS:
        shown = json.loads(operator("bill", "show", f"OCNX{number}", "--format", "json").stdout)
        assert shown["status"] == "DO_NOT_LOAD"
    tail = operator("tail", "--party", "SLTC", "--from-start", "--until-end", "--format", "json").stdout
    notices = [json.loads(line) for line in tail.splitlines()]
    stops = [one["bill_of_lading"] for one in notices if one["kind"] == "hold"]
    assert sorted(stops) == BILLS
    assert "no dead letters" in operator("dead-letters", "list").stderr


def test_what_is_refused_stops_the_bill_of_its_key_and_nothing_else(scene: Provisioned, registry: str) -> None:
    producer = StockProducer(scene, registry)
    producer.write(event("SOUND", "1C"), urgent=False)
    producer.write(event("SECONDS", "1C", action_at=POSTED // 1000), urgent=False)
    producer.write(event("NEGATIVE", "1C", quantity=-5), urgent=False)
    producer.write(event("LARGE", "1C", remarks="x" * 600_000), urgent=False)
    producer.raw(b"OCNXNOAVRO", b'{"scac": "OCNX"}')
    producer.raw(b"OCNXUNKNOWN", b"\x00\x00\x00\x00\x07abc")
    producer.flush()
    assert producer.failures == []
    router, operator = scene.command("snp-router"), scene.command("snp-operator")
    router("run", "--until-idle")
    for number in ("SECONDS", "NEGATIVE", "LARGE", "NOAVRO", "UNKNOWN"):
        shown = json.loads(operator("bill", "show", f"OCNX{number}", "--format", "json").stdout)
        assert (number, shown["status"]) == (number, "HELD")
    sound = json.loads(operator("bill", "show", "OCNXSOUND", "--format", "json").stdout)
    assert sound["status"] != "HELD"
    letters = operator("dead-letters", "list", "--format", "json").stdout.splitlines()
    assert len(letters) == 5
