"""The real command, all of it, in a folder of its own: as a process where processes matter, else in this one, which
saves the second that Python takes to start."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
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


def environment() -> dict[str, str]:
    """Ours, without settings that would reach the command by accident."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SNP_")} | {"NO_COLOR": "1"}


class Command:
    """`snp-router`, run in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment()
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: object, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run to its end, in this process; it must end with `code`."""
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
        """The same in a process of its own, as people run it."""
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
        """The lines on standard output; each must be a JSON object."""
        return [json.loads(line) for line in self(*arguments, "--format", "json", code=code).stdout.splitlines()]

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Leave it running; it is killed at the end of the test if it still runs."""
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
        """The demo's parties, sailing and filings."""
        self("import", "parties", FILES / "parties.csv")
        self("import", "sailings", FILES / "sailings.csv")
        self("import", "filings", FILES / "filings.csv")


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
    """A folder in which the demo's files were fed in and routed. Only for reading."""
    made = Command(tmp_path_factory.mktemp("routed"))
    made.set_up()
    made("ingest", *sorted(FILES.glob("[1-9]-*")))
    made("run", "--until-idle")
    return made
