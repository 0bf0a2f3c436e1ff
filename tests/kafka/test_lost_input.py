"""Input that is deleted before it was read stops its own task, until an operator goes on without it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from router import topics
from router.log.interface import partition_of
from tests.deploy.fired import fired, scraped
from tests.kafka.batches import Raw, batch_of, produce
from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka

PARTITIONS = 4
PARTIES = "id,name,status,contact_phone\nNVXA,NVOCC,live,+1 555 0100\n"
LOST = 2
PATIENCE_SECONDS = 60


def bills_of(partition: int, count: int) -> list[str]:
    """Bills of NVXA whose task is that partition's."""
    numbers = (f"H{number}" for number in range(1000))
    return [number for number in numbers if partition_of(f"NVXA{number}".encode(), PARTITIONS) == partition][:count]


class Installed:
    """A folder with settings for one broker with empty topics."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.folder, self.bootstrap = folder, bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SNP_")}
        settings = {"SNP_LOG": f"kafka://{bootstrap}", "SNP_PARTITIONS": str(PARTITIONS), "NO_COLOR": "1"}
        quick = {"SNP_KAFKA__REPLICATION_FACTOR": "1", "SNP_KAFKA__SESSION_TIMEOUT_MS": "1000"}
        self._environment = clean | settings | quick
        (folder / "parties.csv").write_text(PARTIES)
        self.run("topics", "create")
        self.run("import", "parties", "parties.csv")

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "router.cli", *words]
        return subprocess.Popen(command, env=self._environment, cwd=self.folder, text=True, stderr=subprocess.PIPE)

    def done(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "router.cli", *words]
        return subprocess.run(
            command, env=self._environment, cwd=self.folder, text=True, capture_output=True, timeout=120, check=False
        )

    def run(self, *words: str) -> str:
        done = self.done(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def objects(self, *words: str) -> list[dict[str, Any]]:
        """Return a command's output. It may warn that not all input is routed."""
        done = self.done(*words, "--format", "json")
        assert done.returncode == 0 or (done.returncode == 1 and "not routed yet" in done.stderr), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def feed(self, code: str, hour: int, *numbers: str) -> None:
        event = {"scac": "NVXA", "disposition_code": code, "quantity": 1, "action_at": f"2026-07-14T{hour}:00:00Z"}
        lines = (json.dumps(event | {"bill_of_lading": number}) for number in numbers)
        (self.folder / f"{code}{hour}.jsonl").write_text("\n".join(lines))
        self.run("ingest", f"{code}{hour}.jsonl")

    def notices(self) -> dict[str, dict[str, Any]]:
        """The last notice of each bill."""
        found = self.objects("tail", "--party", "NVXA", "--from-start", "--until-end")
        return {notice["bill_of_lading"]: notice for notice in found}

    def delete(self, partition: int, before: int = -1) -> None:
        """Delete what is before that offset, or everything."""
        place = TopicPartition(topics.DISPOSITIONS, partition, before)
        for answer in self.admin.delete_records([place]).values():
            answer.result(30)

    def go_on(self) -> dict[str, Any]:
        """Accept the only gap, as an operator does who copies it from the list."""
        (gap,) = self.objects("lost-input", "list")
        place = (gap["topic"], "--task", str(gap["task"]), "--from", str(gap["begin"]), "--to", str(gap["end"]))
        self.run("lost-input", "accept", *place, "--by", "Anna", "--reason", "kept too short")
        return gap


@pytest.fixture
async def installed(kafka: str, tmp_path: Path) -> Installed:
    await wipe(kafka)
    return Installed(tmp_path, kafka)


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def ready(port: int) -> list[str]:
    """Reasons of `/ready`; also while nobody answers yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return cast(list[str], json.load(answer)["reasons"])
    except urllib.error.HTTPError as error:
        return cast(list[str], json.load(error)["reasons"])
    except OSError as error:
        return [str(error)]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_deleted_while_the_router_was_stopped_or_read_too_late(installed: Installed) -> None:
    old, lost, late = bills_of(LOST, 3)
    (other,) = bills_of(1, 1)
    installed.feed("55", 10, old, lost, other)
    installed.feed("1C", 11, old)
    installed.run("run", "--until-idle")
    assert installed.notices()[old]["kind"] == "release"
    installed.feed("1I", 12, lost, other)
    installed.feed("1C", 13, other)
    installed.delete(LOST)

    ended = installed.done("run", "--until-idle")
    assert ended.returncode != 0
    assert f"{topics.DISPOSITIONS}, partition {LOST}" in ended.stderr
    assert "lost-input accept" in ended.stderr
    assert installed.notices()[other]["kind"] == "release", "the other tasks go on"

    first = installed.go_on()
    assert (first["task"], first["since"] is None) == (LOST, False)
    installed.run("run", "--until-idle")
    assert not installed.objects("lost-input", "list")
    notice = installed.notices()[old]
    assert (notice["status"], notice["doubts"], notice["deliverable"]) == (
        "RELEASE_UNCONFIRMED", ["HISTORY_INCOMPLETE"], False,
    )  # fmt: skip
    assert installed.notices()[other]["status"] == "RELEASED"
    installed.feed("1C", 14, lost)
    port = free_port()
    router = installed.start("run", "--status-listen", f"127.0.0.1:{port}")
    try:
        eventually(lambda: not ready(port))
        before = scraped(f"127.0.0.1:{port}") or {}
        assert installed.notices()[lost]["status"] == "RELEASE_UNCONFIRMED"
        router.send_signal(signal.SIGSTOP)
        installed.feed("55", 15, late, other)
        installed.delete(LOST)
        router.send_signal(signal.SIGCONT)
        eventually(lambda: any(f"task {LOST} stands still" in reason for reason in ready(port)))
        assert "SnpTaskStopped" in fired(before, scraped(f"127.0.0.1:{port}"), installed.folder)
        eventually(lambda: installed.objects("bill", "show", f"NVXA{other}")[0]["status"] == "ON_FILE")
        installed.go_on()
        eventually(lambda: not ready(port))
    finally:
        router.send_signal(signal.SIGCONT)
        router.terminate()
        router.communicate(timeout=30)
    installed.run("bill", "confirm", f"NVXA{old}", "--by", "Anna", "--reason", "CBP's portal says 1C")
    installed.run("run", "--until-idle")
    assert installed.notices()[old]["kind"] == "release"


def test_a_record_with_an_absurd_time_does_not_date_the_loss(installed: Installed) -> None:
    read, lost = bills_of(LOST, 2)
    installed.feed("1C", 10, read)
    installed.run("run", "--until-idle")
    installed.feed("1C", 11, lost)
    installed.delete(LOST)
    hostile = batch_of([Raw(f"NVXA{read}".encode(), b"no event")], timestamp=-(2**62))
    assert produce(installed.bootstrap, topics.DISPOSITIONS, hostile, LOST) == 0
    (gap,) = installed.objects("lost-input", "list")
    assert gap["since"] is not None
    assert gap["until"] is None
    installed.feed("1C", 12, lost)
    (gap,) = installed.objects("lost-input", "list")
    assert gap["since"] < gap["until"]


def test_a_topic_deleted_and_made_again_is_read_from_its_beginning(installed: Installed) -> None:
    (old, new) = bills_of(LOST, 2)
    installed.feed("55", 10, old)
    installed.feed("1C", 11, old)
    installed.run("run", "--until-idle")
    for answer in installed.admin.delete_topics([topics.DISPOSITIONS]).values():
        answer.result(30)
    time.sleep(1)
    for answer in installed.admin.create_topics([NewTopic(topics.DISPOSITIONS, PARTITIONS, 1)]).values():
        answer.result(30)
    time.sleep(1)
    installed.run("topics", "check", "--apply")
    installed.feed("1H", 12, new)
    assert installed.done("run", "--until-idle").returncode != 0
    assert installed.go_on()["end"] == 0
    installed.run("run", "--until-idle")
    assert installed.notices()[new]["status"] == "HELD"
    assert installed.notices()[old]["status"] == "RELEASE_UNCONFIRMED"
