"""Records that a hostile or broken client writes to the router's inputs.

Each is a dead letter, its neighbours before and after it are routed, and a restart changes nothing.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cramjam
import pytest
from aiokafka.codec import snappy_encode
from confluent_kafka import Producer

from router import topics
from tests.kafka.batches import Raw, batch, batch_of, produce, record
from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka

PARTIES = "id,name,status,contact_phone\nNVXA,NVOCC,live,+1 555 0100\n"
PRODUCERS = 500
EVENTS = (topics.DISPOSITIONS, topics.URGENT, topics.FILINGS)
BOMB = record(Raw(value=bytes(20_000_000)), 0)
CROWD = b"".join(record(Raw(None, None), number) for number in range(200_000))

HOSTILE = {
    "header name": batch_of([Raw(b"NVXAH", b"x", [(b"\xff\xfe", b"v")])]),
    "header name in the middle": batch_of([Raw(b"k", b"1"), Raw(b"k", b"2", [(b"\xc3", None)]), Raw(b"k", b"3")]),
    "no key": batch_of([Raw(None, b"x")]),
    "no value": batch_of([Raw(b"k", None)]),
    "neither": batch_of([Raw(None, None)]),
    "key of no text": batch_of([Raw(b"\xff\x00\xfe", b"x")]),
    "header without value": batch_of([Raw(b"k", b"x", [(b"h", None)])]),
    "many headers": batch_of([Raw(b"k", b"x", [(b"h", b"v")] * 5000)]),
    "large": batch_of([Raw(b"k", bytes(3_000_000))]),
    "before 1970": batch_of([Raw(b"k", b"x")], timestamp=-1),
    "long before": batch_of([Raw(b"k", b"x")], timestamp=-(2**62)),
    "in the far future": batch_of([Raw(b"k", b"x")], timestamp=2**62),
    "gzip": batch(gzip.compress(BOMB), 1, attributes=1),
    "snappy": batch(snappy_encode(BOMB), 1, attributes=2),
    "lz4": batch(bytes(cramjam.lz4.compress(BOMB)), 1, attributes=3),
    "zstd": batch(bytes(cramjam.zstd.compress(BOMB)), 1, attributes=4),
    "crowd": batch(gzip.compress(CROWD), 200_000, attributes=1),
    "empty gzip": batch(b"", 1, attributes=1),
    "unknown compression": batch(b"x", 1, attributes=7),
    "control": batch_of([Raw(b"\x00\x00\x00\x01", b"\x00" * 6)], attributes=0x30, producer_id=5),
    "wrong count": batch(record(Raw(), 0), 3),
    "cut": batch(record(Raw(), 0)[:-2], 1),
    "offset behind the end": batch(record(Raw(b"k", b"x"), 77), 1),
    "offset before its batch": batch(record(Raw(b"k", b"x"), -77), 1),
    "offsets in reverse": batch(record(Raw(b"k", b"1"), 1) + record(Raw(b"k", b"2"), 0), 2),
}
TAKEN_EVERYWHERE = {
    "header name",
    "header name in the middle",
    "no value",
    "header without value",
    "before 1970",
    "offset behind the end",
    "offset before its batch",
    "offsets in reverse",
}


class Installed:
    """A folder with settings for one broker with empty topics, one partition each."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.folder, self.bootstrap = folder, bootstrap
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SNP_")}
        settings = {"SNP_LOG": f"kafka://{bootstrap}", "SNP_PARTITIONS": "1", "SNP_KAFKA__REPLICATION_FACTOR": "1"}
        self._environment = clean | settings | {"NO_COLOR": "1"}
        (folder / "parties.csv").write_text(PARTIES)
        self.run("topics", "create")
        self.run("import", "parties", "parties.csv")

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "router.cli", *words],
            env=self._environment, cwd=self.folder, text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode in codes, done.stdout + done.stderr
        return done.stdout

    def most_memory(self, *words: str) -> int:
        """Run a command. Returns its most resident memory, in bytes."""
        process = subprocess.Popen(
            [sys.executable, "-m", "router.cli", *words],
            env=self._environment,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_maxrss << 10

    def feed(self, name: str) -> None:
        event = {"scac": "NVXA", "bill_of_lading": name, "disposition_code": "1H", "quantity": 1}
        (self.folder / f"{name}.jsonl").write_text(json.dumps(event | {"action_at": "2026-07-14T12:00:00Z"}))
        self.run("ingest", f"{name}.jsonl")

    def notices(self) -> list[str]:
        tail = self.run("tail", "--party", "NVXA", "--from-start", "--until-end", "--format", "json")
        return [json.loads(line)["bill_of_lading"] for line in tail.splitlines()]


@pytest.fixture
async def installed(kafka: str, tmp_path: Path) -> Installed:
    await wipe(kafka)
    return Installed(tmp_path, kafka)


def written(installed: Installed) -> Iterator[str]:
    """Write every hostile batch to every input. Yields topic and name of each that the broker took."""
    for topic in (*EVENTS, topics.REGISTRY, topics.LINKS, topics.INDEX):
        for name, data in HOSTILE.items():
            if produce(installed.bootstrap, topic, data) == 0:
                yield f"{topic} {name}"


def test_no_record_stops_the_router_or_hides_its_neighbours(installed: Installed) -> None:
    installed.feed("BEFORE")
    taken = list(written(installed))
    assert {f"{topic} {name}" for topic in EVENTS for name in TAKEN_EVERYWHERE} <= {*taken}
    installed.feed("AFTER")
    installed.run("run", "--until-idle")
    assert installed.notices() == ["BEFORE", "H", "AFTER"], "what names a bill stops it"
    letters = [json.loads(line) for line in installed.run("dead-letters", "list", "--format", "json").splitlines()]
    assert any("can't be read" in letter["reason"] for letter in letters)
    installed.feed("LATER")
    installed.run("run", "--until-idle")
    assert installed.notices() == ["BEFORE", "H", "AFTER", "LATER"]
    assert json.loads(installed.run("bill", "show", "NVXAH", "--format", "json"))["status"] == "HELD"
    for words in (
        ("check",),
        ("waiting", "list"),
        ("topics", "check"),
        ("dead-letters", "list"),
        ("party", "show", "NVXA"),
        ("unread",),
    ):
        installed.run(*words, codes=(0, 1))  # some have problems to report


def test_records_of_very_many_producers_cost_the_router_no_memory(installed: Installed) -> None:
    """Brokers keep each producer's id, whether or not they gave it out; a reader needs none of them."""
    installed.feed("BEFORE")
    installed.run("run", "--until-idle")
    usual = installed.most_memory("run", "--until-idle")
    for producer in range(PRODUCERS):
        hostile = batch_of([Raw(b"k", b"x")], producer_id=2**40 + producer, sequence=0)
        assert produce(installed.bootstrap, topics.DISPOSITIONS, hostile) == 0
    installed.feed("AFTER")
    assert installed.most_memory("run", "--until-idle") < usual + (32 << 20)
    assert installed.notices() == ["BEFORE", "AFTER"]


def test_a_stock_producer_may_compress(installed: Installed) -> None:
    installed.feed("BEFORE")
    kinds = ("gzip", "snappy", "lz4", "zstd")
    for kind in kinds:
        producer = Producer({"bootstrap.servers": installed.bootstrap, "compression.type": kind, "linger.ms": 50})
        for number in range(20):
            producer.produce(topics.DISPOSITIONS, b"not an event " * 100, f"NVXA{kind.upper()}{number}".encode())
        assert producer.flush(20) == 0
    installed.feed("AFTER")
    installed.run("run", "--until-idle")
    stopped = [f"{kind.upper()}{number}" for kind in kinds for number in range(20)]
    assert sorted(installed.notices()) == sorted(["BEFORE", *stopped, "AFTER"])
