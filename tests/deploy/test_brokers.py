"""The compose file's brokers and parts, started here without containers: its own settings, on this machine's ports."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from router.demo.story import FILES
from tests.kafka.broker import START_SECONDS, Node, free_ports
from tests.kafka.fixtures import require_java
from tests.kafka.jars import VERSION

pytestmark = pytest.mark.kafka

COMPOSE = Path(__file__).parents[2] / "deploy/compose.yaml"
TOP = COMPOSE.parents[1]
PASSWORD = "only-for-this-test"
BROKERS = ("broker-1", "broker-2", "broker-3")


class Host:
    """What the compose file makes on one host: its brokers, and its parts' environments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        for user in ("snp-router", "snp-feed", "snp-listener", "snp-operator", "snp-webhooks", "parties"):
            (self.secrets / user).mkdir(parents=True)
        shutil.copy(COMPOSE.with_name("certificates.sh"), folder)
        subprocess.run(["sh", "certificates.sh", "localhost"], cwd=folder, check=True, capture_output=True)
        self._services = yaml.safe_load(COMPOSE.read_text())["services"]
        ports = free_ports(4 * len(BROKERS))
        self._places = {
            f"{name}:{port}": f"localhost:{ports.pop()}"
            for name in BROKERS
            for port in ("9092", "9094", "19091", "19093")
        }
        for number, name in enumerate(BROKERS, 1):
            self._places[f"localhost:{19093 + number}"] = self._places[f"{name}:9094"]
        self.nodes = [
            Node(number, folder / name, self._properties(name), VERSION) for number, name in enumerate(BROKERS, 1)
        ]

    def _properties(self, name: str) -> dict[str, str]:
        """As the image makes them of its environment: `_` is a dot, `__` an underscore, `___` a dash."""
        given = {key: self._here(str(value), name) for key, value in self._services[name]["environment"].items()}
        found = {}
        for key, value in given.items():
            if key.startswith("KAFKA_"):
                dashes = key.removeprefix("KAFKA_").lower().replace("___", "-").replace("__", "\0")
                found[dashes.replace("_", ".").replace("\0", "_")] = value
        small = {"log.dirs": str(self.folder / name / "data"), "broker.heartbeat.interval.ms": "500"}
        return found | small

    def _here(self, text: str, name: str = "") -> str:
        text = text.replace("/etc/kafka/secrets/broker.pem", f"{self.folder}/certificates/broker.pem")
        text = text.replace("/certificates/ca.pem", f"{self.folder}/certificates/ca.pem")
        text = re.sub(r"(?<![a-z])/secrets/", f"{self.secrets}/", text)
        text = text.replace("${ADMIN_PASSWORD:?}", PASSWORD).replace("${HOST:?}", "localhost")
        text = re.sub(r"(?<=://):(\d+)", rf"{name}:\1", text)
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text

    def wait_until_healthy(self) -> None:
        """As the compose file's health check asks: INTERNAL takes connections."""
        for name in BROKERS:
            host, port = self._places[f"{name}:19091"].split(":")
            deadline = time.monotonic() + START_SECONDS
            while True:
                try:
                    socket.create_connection((host, int(port)), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline, self.nodes[0].log_text[-2000:]
                    time.sleep(0.1)

    def part(self, service: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of ours with the environment that the compose file gives to one part."""
        given = {key: self._here(value) for key, value in self._services[service]["environment"].items()}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SNP_")}
        done = subprocess.run(
            [sys.executable, "-m", "router.cli", *words],
            env=clean | given | {"PYTHONPATH": str(TOP)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    def provision(self) -> None:
        """The part's own line, as it stands in the file."""
        (line,) = self._services["provision"]["command"]
        for step in self._here(line).split("&&"):
            words, password_command = step.split("snp-router ", 1)[1].strip(), ()
            if "--password-command" in words:
                words, _, command = words.partition(" --password-command ")
                password_command = ("--password-command", command.strip().strip('"'))
            self.part("provision", *words.split(), *password_command)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    require_java()
    made = Host(tmp_path_factory.mktemp("host"))
    for node in made.nodes:
        node.format()
    for node in made.nodes:
        node.start()
    made.wait_until_healthy()
    yield made
    for node in made.nodes:
        node.kill()


def test_three_brokers_the_parts_and_their_users_work_as_the_compose_file_says(host: Host) -> None:
    host.provision()
    host.part("provision", "import", "parties", str(FILES / "parties.csv"))
    host.part("provision", "import", "sailings", str(FILES / "sailings.csv"))
    host.provision()
    given = {str(path.relative_to(host.secrets)) for path in host.secrets.glob("*/*")}
    services = ("snp-router", "snp-feed", "snp-listener", "snp-operator", "snp-webhooks")
    assert {f"{user}/{user}" for user in services} <= given
    assert {path.partition("/")[0] for path in given if path.partition("/")[2] not in services} == {"parties"}
    assert all(path.stat().st_mode & 0o027 == 0 for path in host.secrets.glob("*/*"))

    host.part("feed", "ingest", *map(str, sorted(FILES.glob("[12]-*"))))
    routed = host.part("router", "run", "--until-idle", "--format", "json")
    assert json.loads(routed.stdout)["hold"] > 0
    shown = host.part("console", "bill", "show", "NVXAHBL000012345", "--format", "json")
    assert '"DO_NOT_LOAD"' in shown.stdout
