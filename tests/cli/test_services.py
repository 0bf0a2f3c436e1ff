"""Every service shows what it does without being asked to: its lines at `info` are on standard error."""

from __future__ import annotations

import json
import re
import socket
import subprocess

import pytest

from tests.cli.conftest import WAIT_SECONDS, Command
from tests.cli.stops import read_until

PORT = "127.0.0.1:0"
SERVICES = {
    "run": ("run", "--status-listen", PORT),
    "ingest": ("ingest", "--watch", "inbox", "--status-listen", PORT),
    "listen": ("listen", "--address", PORT),
    "webhooks": ("webhooks", "run", "--status-listen", PORT),
    "console": ("console", "--listen", PORT),
    "registry": ("registry", "serve", "--listen", PORT),
}


@pytest.fixture
def installed(command: Command) -> Command:
    command.set_up()
    command("run", "--until-idle")
    command("console", "user", "add", "alice", "--role", "operator", stdin="correct horse battery\n")
    (command.folder / "inbox").mkdir()
    return command


def address_of(service: subprocess.Popen[str]) -> tuple[str, int]:
    found = re.search(r"127\.0\.0\.1:(\d+)", read_until(service.stderr, "127.0.0.1:"))
    assert found
    return "127.0.0.1", int(found[1])


@pytest.mark.parametrize("name", SERVICES)
def test_a_malformed_request_shows_without_verbose(installed: Command, name: str) -> None:
    service = installed.start(*SERVICES[name])
    with socket.create_connection(address_of(service), WAIT_SECONDS) as client:
        client.sendall(b"no request\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    service.terminate()
    _, said = service.communicate(timeout=WAIT_SECONDS)
    lines = [json.loads(line) for line in said.splitlines() if "malformed_request" in line]
    assert [line["level"] for line in lines] == ["info"], said
