"""The compose file for real: the image is built, everything is started, a party reads its notices, and containers die.

Run by `python -m pytest -m containers tests/deploy`, where a container engine with `docker compose` runs and has the
images or may pull them. Grafana is left out: test_deploy.py reads its dashboard.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from confluent_kafka import Consumer, KafkaError, Producer

from router.codec import decode
from router.demo.story import FILES

pytestmark = pytest.mark.containers

TOP = Path(__file__).parents[2]
PARTS = ("router", "feed", "listener", "console", "registry")
BROKERS = ("broker-1", "broker-2", "broker-3")
PATIENCE_SECONDS = 300.0
QUIET_SECONDS = 8.0


class Stack:
    """The installation in a copy of the repository, so that its certificates and its inbox are its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("deploy", "router", "schemas"):
            shutil.copytree(TOP / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "inbox", ".env"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(TOP / name, folder / name)
        (folder / "deploy/.env").write_text("ADMIN_PASSWORD=only-for-this-test\nGRAFANA_PASSWORD=x\nHOST=localhost\n")
        self.run("sh", "deploy/certificates.sh", "localhost")
        (folder / "deploy/inbox").mkdir()
        os.chown(folder / "deploy/inbox", 10002, 10000)
        self._fed = 0

    def run(self, *words: str, stdin: str = "") -> str:
        done = subprocess.run(
            words, cwd=self.folder, input=stdin, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def compose(self, *words: str, stdin: str = "") -> str:
        return self.run("docker", "compose", "-p", "snp-try", "-f", "deploy/compose.yaml", *words, stdin=stdin)

    def start(self) -> None:
        """Build and start it by the steps of the file's own comments, in their order."""
        self.compose("build")
        self.compose("up", "-d", "--no-build", *BROKERS, "provision")
        eventually(lambda: "exited (0)" in self.compose("ps", "-a", "provision").lower())
        for table in ("parties", "sailings"):
            words = ("import", table, f"/in/{table}.csv")
            self.compose("run", "--rm", "-v", f"{FILES}:/in:ro", "--entrypoint", "snp-router", "provision", *words)
        self.compose("up", "--no-build", "provision")
        self.compose("run", "--rm", "-T", "console", "console", "user", "add", "anna", stdin="correct horse battery\n")
        self.compose("up", "-d", "--no-build", *PARTS)

    def password(self, user: str) -> str:
        return self.compose("run", "--rm", "-T", "--entrypoint", "cat", "provision", f"/secrets/parties/{user}")

    def drop(self, name: str, content: bytes) -> None:
        inbox = self.folder / "deploy/inbox"
        (inbox / f".{name}").write_bytes(content)
        os.chown(inbox / f".{name}", 10002, 10000)
        (inbox / f".{name}").rename(inbox / name)

    def feed_holds(self, count: int) -> set[str]:
        """Holds on new bills of SLTC, a file each. Returns the bills."""
        numbers = [f"HOLD{self._fed + number}" for number in range(count)]
        self._fed += count
        for number in numbers:
            event = {"scac": "SLTC", "bill_of_lading": number, "disposition_code": "1H", "quantity": 1}
            self.drop(f"{number}.jsonl", json.dumps(event | {"action_at": "2026-07-14T12:00:00Z"}).encode())
        return {f"SLTC{number}" for number in numbers}

    def container(self, part: str) -> str:
        return f"snp-try-{part}-1"


class Party:
    """A stock client on another host: through the published port, with TLS and the party's own password."""

    def __init__(self, stack: Stack, party: str) -> None:
        self.connection = {
            "bootstrap.servers": "localhost:19094,localhost:19095,localhost:19096",
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(stack.folder / "deploy/certificates/ca.pem"),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": f"snp.{party}",
            "sasl.password": stack.password(f"snp.{party}"),
        }
        self._consumer = Consumer(
            {
                **self.connection,
                "group.id": f"snp.{party}.try",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        self._consumer.subscribe([f"snp.party.{party}"])
        self.notices: list[tuple[str, str]] = []
        """Bill and id of each."""
        self.last_value = b""

    def read_until(self, bills: set[str]) -> None:
        """Read until there is a notice of each of these bills, and then as long as something more might come."""
        deadline, quiet_at = time.monotonic() + PATIENCE_SECONDS, 0.0
        while time.monotonic() < deadline and (not quiet_at or time.monotonic() < quiet_at):
            message = self._consumer.poll(0.5)
            if message is not None and message.error() is None:
                self.last_value = message.value()
                self.notices.append((message.key().decode(), decode(self.last_value)[1]["notice_id"]))
            if not quiet_at and bills <= {bill for bill, _ in self.notices}:
                quiet_at = time.monotonic() + QUIET_SECONDS
        assert bills <= {bill for bill, _ in self.notices}

    def close(self) -> None:
        self._consumer.close()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for words in (["docker", "info"], ["docker", "compose", "version"]):
        if shutil.which("docker") is None or subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip(f"`{' '.join(words)}` does not work here: start a container engine")
    made = Stack(tmp_path_factory.mktemp("stack"))
    try:
        made.start()
        yield made
    finally:
        subprocess.run(
            ["docker", "compose", "-p", "snp-try", "down", "-v", "-t", "5"], check=False, capture_output=True
        )


@pytest.fixture(scope="module")
def party(stack: Stack) -> Iterator[Party]:
    made = Party(stack, "SLTC")
    yield made
    made.close()


def test_a_dropped_file_becomes_a_notice_that_the_party_reads(stack: Stack, party: Party) -> None:
    for file in sorted(FILES.glob("[12]-*")):
        stack.drop(file.name, file.read_bytes())
    party.read_until({"NVXAHBL000012345"})
    shown = stack.compose("exec", "-T", "console", "snp-router", "bill", "show", "NVXAHBL000012345")
    assert "DO_NOT_LOAD" in shown


def test_a_gateway_posts_a_message_and_the_party_reads_a_notice(stack: Stack, party: Party) -> None:
    made = stack.compose("exec", "-T", "listener", "snp-router", "listen", "token", "add", "GATEWAY")
    (token,) = re.findall(r"^snp_\S+$", made, re.MULTILINE)
    event = {"scac": "SLTC", "bill_of_lading": "POSTED", "disposition_code": "1H", "quantity": 1}
    answer = requests.post(
        "http://localhost:8082/messages",
        json=event | {"action_at": "2026-07-14T12:00:00Z"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    party.read_until({"SLTCPOSTED"})


def test_the_registry_has_the_schema_of_what_the_party_reads(party: Party) -> None:
    number = int.from_bytes(party.last_value[1:5])
    answer = requests.get(f"http://localhost:8081/schemas/ids/{number}", timeout=30)
    assert "notice_id" in answer.json()["schema"]


def test_the_console_asks_who_it_is(stack: Stack) -> None:
    page = requests.get("http://localhost:8080/", timeout=30)
    assert page.status_code == 200
    assert 'type="password"' in page.text


@pytest.mark.parametrize("part", PARTS)
def test_no_part_can_read_the_secret_or_the_folder_of_another(stack: Stack, part: str) -> None:
    users = {"router": "router", "feed": "feed", "listener": "listener", "console": "operator", "registry": "none"}
    script = (
        "import glob, os; print(os.getuid());"
        "[print(p) for p in glob.glob('/secrets/*/*') + glob.glob('/var/lib/snp-*/*') if os.access(p, os.R_OK)]"
    )
    uid, *readable = stack.run("docker", "exec", stack.container(part), "python", "-c", script).split()
    assert uid != "0"
    own = f"snp-{users[part]}"
    assert [path for path in readable if f"/{own}/" not in path] == []
    assert part == "registry" or f"/secrets/{own}/{own}" in readable


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "snappy", "zstd"])
def test_brokers_take_what_a_party_s_client_compresses(party: Party, compression: str) -> None:
    """Kafka unpacks libraries for some of these, which a file system that runs no programs would refuse."""
    producer = Producer({**party.connection, "compression.type": compression, "message.timeout.ms": 20_000})
    errors: list[KafkaError | None] = []
    for _ in range(20):
        producer.produce("snp.request.SLTC", b"x" * 500, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0
    assert errors == [None] * 20


def test_prometheus_reaches_every_part_and_has_the_alerts(stack: Stack) -> None:
    stack.compose("up", "-d", "--no-build", "prometheus")
    scraped = yaml.safe_load((stack.folder / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    eventually(
        lambda: [one["health"] for one in asked(stack, "targets").get("activeTargets", ())] == ["up"] * len(scraped)
    )
    there = {rule["name"] for group in asked(stack, "rules")["groups"] for rule in group["rules"]}
    rules = yaml.safe_load((stack.folder / "deploy/prometheus/alerts.yml").read_text())
    assert there == {rule["alert"] for group in rules["groups"] for rule in group["rules"]}


def asked(stack: Stack, path: str) -> dict[str, Any]:
    """Prometheus' answer to a part beside it: its port is not published. Empty while it does not answer."""
    script = (
        f"import urllib.request as http; print(http.urlopen('http://prometheus:9090/api/v1/{path}').read().decode())"
    )
    words = ["docker", "exec", stack.container("router"), "python", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)["data"] if done.returncode == 0 else {}
    return found


def kill(stack: Stack, part: str) -> None:
    stack.run("docker", "kill", stack.container(part))
    stack.compose("up", "-d", "--no-build", "--no-deps", part)


def cut_off(stack: Stack, part: str) -> None:
    """For longer than the session, so that it is a zombie when it comes back."""
    stack.run("docker", "network", "disconnect", "snp-try_log", stack.container(part))
    time.sleep(15)
    stack.run("docker", "network", "connect", "--alias", part, "snp-try_log", stack.container(part))


@pytest.mark.parametrize(
    ("fault", "part"),
    [(kill, "router"), (kill, "broker-2"), (kill, "feed"), (cut_off, "router"), (cut_off, "broker-1")],
)
def test_a_container_that_dies_or_is_cut_off_loses_and_repeats_no_notice(
    stack: Stack, party: Party, fault: Callable[[Stack, str], None], part: str
) -> None:
    bills = stack.feed_holds(20)
    fault(stack, part)
    bills |= stack.feed_holds(20)
    party.read_until(bills)
    found = [bill for bill, _ in party.notices if bill in bills]
    assert sorted(found) == sorted(bills), "each once"
    assert len({id for _, id in party.notices}) == len(party.notices)
