"""Services on a file system that is full. Each says which file has no room, loses nothing, and goes on by itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.cli.conftest import COMMAND, WAIT_SECONDS, Command, event_line

PASSWORD = "correct horse battery"
SIZE = "8m"
BALLAST = "ballast"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mounting, check=False).returncode:
        pytest.skip("only root may mount a small file system, on Linux")
    yield folder
    subprocess.run(("umount", "--lazy", str(folder)), check=True)


class Installation:
    """Router, console and watched folder at work, each with a status port."""

    def __init__(self, command: Command, log: Path, index: Path, inbox: Path) -> None:
        self.command, self.inbox = command, inbox
        command.environment |= {
            "SNP_LOG": f"sqlite:///{log}",
            "SNP_CONSOLE__INDEX_FILE": str(index),
            "SNP_CONSOLE__ACCESS__SECURE_COOKIE": "false",
        }
        command.set_up()
        command("run", "--until-idle")
        command("console", "user", "add", "alice", "--role", "operator", stdin=f"{PASSWORD}\n")
        inbox.mkdir()
        status = ("--status-listen", "127.0.0.1:0")
        self.router = Service(command, "run", *status)
        self.feed = Service(command, "ingest", "--watch", str(inbox), "--settle-seconds", "0.1", *status)
        self.console = Service(command, "console", "--listen", "127.0.0.1:0", *status)
        self.services = (self.router, self.feed, self.console)
        eventually(lambda: not any(service.unready() for service in self.services))

    def page(self, path: str) -> requests.Response:
        url = self.console.pages()
        with requests.Session() as browser:
            fields = {"name": "alice", "password": PASSWORD}
            browser.post(f"{url}/login", fields, headers={"Origin": url}, timeout=WAIT_SECONDS)
            return browser.get(f"{url}{path}", timeout=WAIT_SECONDS)

    def shows(self, bill: str) -> bool:
        page = self.page(f"/bills/{bill}")
        return page.ok and bill[4:] in page.text


class Service:
    """A running command. What it says is in a file."""

    def __init__(self, command: Command, *words: str) -> None:
        self._said = command.folder / f"{words[0]}.said"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [*COMMAND, *words], cwd=command.folder, env=command.environment, stdout=said, stderr=said, text=True
            )
        command.started.append(self.process)
        eventually(lambda: "status_served" in self.said)
        self._status = f"http://{self.events('status_served')[0]['address']}"

    @property
    def said(self) -> str:
        return self._said.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.said.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == name]

    def unready(self) -> list[str]:
        reasons: list[str] = requests.get(f"{self._status}/ready", timeout=WAIT_SECONDS).json()["reasons"]
        return reasons

    def lives(self) -> bool:
        return requests.get(f"{self._status}/live", timeout=WAIT_SECONDS).ok

    def pages(self) -> str:
        eventually(lambda: "the console is at" in self.said)
        found = re.search(r"http://[\d.]+:\d+", self.said.partition("the console is at")[2])
        assert found
        return found[0]


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 2 * WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def fill(folder: Path) -> None:
    with (folder / BALLAST).open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))


def holds(first: int, count: int) -> str:
    return "".join(event_line(bill_of_lading=f"H{number}") for number in range(first, first + count))


def test_log_folder_and_index_on_a_full_disk(command: Command, small: Path) -> None:
    at = Installation(command, small / "snp.db", small / "console.db", small / "inbox")
    (small / "good.jsonl").write_text(holds(0, 500))
    (small / "half.jsonl").write_text(holds(500, 500) + "no event\n")
    fill(small)
    for name in ("good.jsonl", "half.jsonl"):
        (small / name).rename(at.inbox / name)
    eventually(lambda: any(str(small / "snp.db") in reason for reason in at.feed.unready()))
    assert all("the disk is full" in line["reason"] for line in at.feed.events("feeding_in_waits"))
    said = command.process("hold", "place", "NVXAH1", "--code", "6H", "--source", "CBP", "--channel", "phone", code=5)
    assert f"{small / 'snp.db'} has no room: the disk is full" in said.stderr
    assert "NVXA" in at.page("/bills").text, "what is known is shown"
    assert all(service.lives() for service in at.services), "a restart would not help"
    (small / BALLAST).unlink()
    eventually(lambda: (at.inbox / "done" / "good.jsonl").exists() and (at.inbox / "failed" / "half.jsonl").exists())
    assert "dead letters 1" in (at.inbox / "failed" / "half.jsonl.report.txt").read_text()
    eventually(lambda: at.shows("NVXAH999"))
    notices = command.json("tail", "--party", "NVXA", "--from-start", "--until-end")
    assert sorted(one["bill_of_lading"] for one in notices) == sorted(f"H{number}" for number in range(1000))
    assert not any("Traceback" in service.said for service in at.services)


def test_the_index_alone_on_a_full_disk(command: Command, small: Path) -> None:
    at = Installation(command, command.folder / "snp.db", small / "console.db", command.folder / "inbox")
    fill(small)
    (at.inbox / "good.jsonl").write_text(holds(0, 1000))
    eventually(lambda: (at.inbox / "done" / "good.jsonl").exists())
    eventually(lambda: len(command.json("tail", "--party", "NVXA", "--from-start", "--until-end")) == 1000)
    assert not at.router.unready()
    eventually(lambda: any(str(small / "console.db") in reason for reason in at.console.unready()))
    assert "Not known since" in at.page("/bills").text
    (small / BALLAST).unlink()
    eventually(lambda: not at.console.unready())
    assert at.shows("NVXAH999")
