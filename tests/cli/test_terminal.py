"""What a person at a terminal sees of the commands that go on: what they wait for, and what was done meanwhile."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from router.demo.story import FILES
from tests.cli.conftest import COMMAND, WAIT_SECONDS, Command


class Terminal:
    """One of 100 columns, with a command running on it."""

    def __init__(self, command: Command, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=command.folder,
            env=command.environment | {"COLUMNS": "100", "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.seen = ""

    def shows(self, text: str) -> bool:
        """Whether it comes to be seen."""
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in self.seen and time.monotonic() < deadline:
            if select.select([self._ours], [], [], 0.1)[0]:
                self.seen += os.read(self._ours, 65536).decode(errors="replace")
        return text in self.seen

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(WAIT_SECONDS)
        os.close(self._ours)


@pytest.fixture
def terminal(command: Command) -> Iterator[Callable[..., Terminal]]:
    command.set_up()
    opened: list[Terminal] = []

    def open_terminal(*arguments: str) -> Terminal:
        opened.append(Terminal(command, *arguments))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


def test_a_quiet_tail_says_what_it_follows_and_then_shows_what_comes(
    command: Command, terminal: Callable[..., Terminal]
) -> None:
    tail = terminal("tail", "--party", "SLTC")
    assert tail.shows("following snp.party.SLTC from now on")
    assert tail.shows("Ctrl-C stops")
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    command("run", "--until-idle")
    assert tail.shows("DO_NOT_LOAD")


def test_a_running_router_says_what_it_has_routed(command: Command, terminal: Callable[..., Terminal]) -> None:
    run = terminal("run")
    assert run.shows("routing sqlite:///snp.db; Ctrl-C stops")
    command("ingest", FILES / "1-on-file.x12")
    assert run.shows("routed: 3 new events")


def test_a_watched_folder_says_why_a_file_failed(command: Command, terminal: Callable[..., Terminal]) -> None:
    (command.folder / "inbox").mkdir()
    watch = terminal("ingest", "--watch", "inbox", "--settle-seconds", "0")
    assert watch.shows("watching inbox; Ctrl-C stops")
    command.write("inbox/bad.jsonl", "nonsense\n")
    assert watch.shows("report: inbox/failed/bad.jsonl.report.txt")


def test_a_password_is_asked_for_with_how_long_it_has_to_be(terminal: Callable[..., Terminal]) -> None:
    assert terminal("console", "user", "add", "alice").shows("password, at least 12 characters")
