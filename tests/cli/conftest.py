"""The real command in a folder of its own. It runs within the test's process, which saves a second of Python's start,
or, where that matters, in a process of its own."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import structlog

from router.cli.main import main
from router.demo.story import FILES

WAIT_SECONDS = 30
BILL = "NVXAHBL000012345"
CO_LOADED = "NVXBHBL000067890"
COMMAND = (sys.executable, "-m", "router.cli")


EVENT = {"scac": "NVXA", "bill_of_lading": "HBL000012345", "disposition_code": "3H", "action_at": "2026-07-16T10:00"}


def event_line(**changes: object) -> str:
    """An event on BILL, as a line of JSON."""
    return json.dumps(EVENT | changes) + "\n"


def environment() -> dict[str, str]:
    """This process's environment without settings of the router."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SNP_")} | {"NO_COLOR": "1"}


class Command:
    """Runs `snp-router` in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment()
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: object, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command in this process; it must end with `code`."""
        words = ["snp-router", *map(str, arguments)]
        out, err, ended = io.StringIO(), io.StringIO(), 0
        given = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        with (
            chdir(self.folder),
            patch.dict(os.environ, self.environment, clear=True),
            patch.multiple(sys, argv=words, stdin=given),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                ended = int(end.code or 0)
            finally:
                structlog.reset_defaults()  # else later tests' lines go to the stream that was put in place here
        return self._checked(subprocess.CompletedProcess(words, ended, out.getvalue(), err.getvalue()), code)

    def process(self, *arguments: object, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command in a process of its own, as people do."""
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
        return self._checked(done, code)

    def _checked(self, done: subprocess.CompletedProcess[str], code: int) -> subprocess.CompletedProcess[str]:
        arguments = done.args
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: object, code: int = 0) -> list[dict[str, Any]]:
        """Run with `--format json`; each line of standard output must be an object."""
        return [json.loads(line) for line in self(*arguments, "--format", "json", code=code).stdout.splitlines()]

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start the command and leave it running; the fixture kills it at the end of the test."""
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    def set_up(self) -> None:
        """Import the demo's parties, sailing and filings."""
        self("import", "parties", FILES / "parties.csv")
        self("import", "sailings", FILES / "sailings.csv")
        self("import", "filings", FILES / "filings.csv")


class Terminal:
    """A terminal of 100 columns with a command running on it."""

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
        """Wait until the text appears; False if it does not in time."""
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
def command(tmp_path: Path) -> Iterator[Command]:
    made = Command(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A folder in which the demo's files are ingested and routed. Read only."""
    made = Command(tmp_path_factory.mktemp("routed"))
    made.set_up()
    made("ingest", *sorted(FILES.glob("[1-9]-*")))
    made("run", "--until-idle")
    return made


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
