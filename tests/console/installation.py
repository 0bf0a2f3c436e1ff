"""The demo's installation and its console, as processes, with an HTTP client for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import requests

from router.console import AccessSettings
from router.console.sessions import Users
from router.log.url import open_log
from router.model.eastern import HOUR, to_milliseconds
from router.model.registry_values import DECLARED, Outage
from router.task.outputs import registry_output
from tests.cli.conftest import BILL, COMMAND, WAIT_SECONDS, environment

OPERATOR, VIEWER = "alice", "victor"
DEMO_DAY = to_milliseconds(datetime(2026, 7, 14, 12, tzinfo=UTC))
OUTAGE = Outage(
    "0a1b2c3d", DECLARED, DEMO_DAY, mode="ocean", port="2704", reason="ACE was down", ticket="4711",
    declared_by="alice", ended_at=DEMO_DAY + HOUR, ended_by="alice",
)  # fmt: skip
"""An outage that is over, in the demo's log."""
PASSWORD = "correct horse battery staple"
PAGES = (
    "/",
    f"/bills/{BILL}",
    f"/bills/{BILL}/history",
    "/bills",
    "/bills?vessel=OCEAN+EXEMPLAR&status=RELEASED,HELD&sort=arrival&order=desc",
    "/search?q=NVXA",
    "/boxes/CSQU3054383",
    "/sailings",
    "/sailings/EXEMPLAR-026E",
    "/sailings/EXEMPLAR-026E/do-not-loads",
    "/sailings/EXEMPLAR-026E/lines",
    "/parties",
    "/parties/SLTC",
    "/unread",
    "/new-do-not-loads?since=2026-07-01T00:00",
    "/outages",
    "/notices?party=SLTC",
    "/feeds",
    f"/outages/{OUTAGE.id}",
    "/waiting",
    "/waiting?text=NO",
    "/handover",
    "/dead-letters",
    "/handover?since=2026-07-01T00:00",
    "/audit",
)
"""Pages of the demo's installation that answer with 200."""


class Unavailable(Exception):
    """No browser is installed; the text names the missing package."""


class Installation:
    """A folder with a log, and the console and other commands that run in it."""

    def __init__(self, folder: Path, log: str = "sqlite:///snp.db") -> None:
        self.folder = folder
        self.log_url = log.replace("sqlite:///", f"sqlite:///{folder}/")
        self.environment = environment() | {"SNP_LOG": log, "SNP_CONSOLE__ACCESS__SECURE_COOKIE": "false"}
        self._processes: list[subprocess.Popen[str]] = []
        self.consoles: list[subprocess.Popen[str]] = []
        self.address = ""

    def command(self, *words: str, stdin: str = "", seconds: float = WAIT_SECONDS) -> str:
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *words: str, stdin: int | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *words], cwd=self.folder, env=self.environment, stdin=stdin, stderr=subprocess.PIPE, text=True
        )
        self._processes.append(process)
        return process

    def start_console(self, port: str = "0") -> None:
        process = self.start("console", "--listen", f"127.0.0.1:{port}")
        self.consoles.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"http://([0-9.:]+)/", line):
                self.address = f"http://{found[1]}"
                return
        raise AssertionError("the console did not start")

    def end_console(self) -> str:
        """End the console as its service does, and return what it said."""
        console = self.consoles[-1]
        console.terminate()
        assert console.stderr is not None
        said = console.stderr.read()
        assert console.wait(10) in (0, 130), "130: ended by a signal"
        return said

    def add_users(self) -> None:
        users = Users(self.folder / AccessSettings().users_file)
        for name, role in ((OPERATOR, "operator"), (VIEWER, "viewer")):
            users.put(name, role, PASSWORD)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(WAIT_SECONDS)
            if process.stderr is not None and not process.stderr.closed:
                process.stderr.close()
        self._processes.clear()


class Client:
    """An HTTP client, faster than a browser and free to send what a browser would not."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.session = requests.Session()

    def get(self, path: str, **options: object) -> requests.Response:
        return self.session.get(self.address + path, allow_redirects=False, timeout=WAIT_SECONDS, **options)  # type: ignore[arg-type]

    def post(self, path: str, fields: dict[str, str], **options: object) -> requests.Response:
        return self.session.post(
            self.address + path,
            data=fields,
            allow_redirects=False,
            timeout=WAIT_SECONDS,
            **options,  # type: ignore[arg-type]
        )

    def log_in(self, name: str = OPERATOR, password: str = PASSWORD) -> requests.Response:
        return self.post("/login", {"name": name, "password": password})

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/").text)
        assert found is not None
        return found[1]


def demo_into(folder: Path) -> Path:
    """The log that `snp-router demo` writes."""
    subprocess.run(
        [*COMMAND, "demo"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        timeout=2 * WAIT_SECONDS,
        check=True,
    )
    return folder / "snp-demo.db"


async def add_outage(file: Path) -> None:
    async with open_log(f"sqlite:///{file}") as log:
        await log.append([registry_output(OUTAGE)])


def chromium() -> str:
    """The browser's path. Raises Unavailable."""
    found = shutil.which("chromium")
    if found is None:
        raise Unavailable("there is no Chromium: install Debian's package chromium")
    return found


def in_ci() -> bool:
    return os.environ.get("CI") == "true"
