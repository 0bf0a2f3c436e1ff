"""Real processes, real faults on a machine of their own: which alerts fire, and that none does before."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests

from tests.cli.conftest import COMMAND, Command, event_line
from tests.deploy.fired import Scrape, fired, scraped

PATIENCE_SECONDS = 60
PARTS = {
    "snp-router": ("run", "SnpRouterDown"),
    "snp-feed": ("ingest --watch inbox", "SnpFeedDown"),
    "snp-listener": ("listen --address 127.0.0.1:0", "SnpListenerDown"),
    "snp-console": ("console --listen 127.0.0.1:0", "SnpConsoleDown"),
    "snp-webhooks": ("webhooks run", "SnpWebhooksDown"),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Part:
    """A running part and its status port."""

    def __init__(self, command: Command, words: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [*COMMAND, *words.split(), "--status-listen", self.address],
            cwd=command.folder,
            env=command.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def shown(self, is_wanted: Callable[[Scrape], object]) -> Scrape:
        """Wait until its figures are as wanted, and return them."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "it has ended"
            if (found := scraped(self.address)) is not None and is_wanted(found):
                return found
            time.sleep(0.2)
        raise AssertionError(f"it shows {found}")

    def when_ready(self) -> Scrape:
        return self.shown(lambda found: found["snp_ready", ()] == 1)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    (tmp_path / "installation").mkdir()
    return Command(tmp_path / "installation")


@pytest.fixture
def start(command: Command) -> Iterator[Callable[[str], Part]]:
    command.set_up()
    Path(command.folder, "inbox").mkdir()
    command("console", "user", "add", "alice", stdin="correct horse battery\n")
    started: list[Part] = []

    def start(words: str) -> Part:
        started.append(Part(command, words))
        return started[-1]

    yield start
    for part in started:
        part.kill()


@pytest.mark.parametrize("job", PARTS)
def test_a_part_that_is_killed(start: Callable[[str], Part], job: str, tmp_path: Path) -> None:
    words, alert = PARTS[job]
    part = start(words)
    before = part.when_ready()
    if job == "snp-router":
        before = part.shown(lambda found: found["snp_task_lag_unknown", ()] == 0)  # asked for after the start
    if job == "snp-console":
        before = part.shown(lambda found: found["snp_console_unknown", ()] == 0)
        before = {key: value for key, value in before.items() if key[0] != "snp_partition_commit_age_seconds"}
        unread = {key for key in before if key[0] == "snp_unread_unknown"}  # SQLite keeps no consumer groups
        before = {key: value for key, value in before.items() if key not in unread}
    assert fired(before, before, tmp_path, job=job) == set()
    part.kill()
    assert scraped(part.address) is None
    assert fired(before, None, tmp_path, job=job) == {alert}


def test_the_feeds_folder_goes_away_and_comes_back(
    start: Callable[[str], Part], command: Command, tmp_path: Path
) -> None:
    feed = start("ingest --watch inbox --settle-seconds 0")
    before = feed.when_ready()
    Path(command.folder, "inbox").rename(command.folder / "unmounted")
    during = feed.shown(lambda found: found["snp_feed_folder_unknown", ()] == 1)
    assert not [name for name, _ in during if name in ("snp_feed_files_waiting", "snp_feed_oldest_file_seconds")]
    assert fired(before, during, tmp_path, job="snp-feed") == {"SnpFeedFolderUnknown", "SnpNotReady"}
    (command.folder / "unmounted/1.jsonl").write_text(event_line())
    Path(command.folder, "unmounted").rename(command.folder / "inbox")
    after = feed.shown(lambda found: found["snp_feed_events_total", ()] == 1)
    assert fired(before, after, tmp_path, job="snp-feed") == set()


def test_a_log_that_takes_nothing_holds_up_a_file(
    start: Callable[[str], Part], command: Command, tmp_path: Path
) -> None:
    feed = start("ingest --watch inbox --settle-seconds 0")
    before = feed.when_ready()
    lock = sqlite3.connect(command.folder / "snp.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    (command.folder / "inbox/1.jsonl").write_text(event_line())
    during = feed.shown(lambda found: found["snp_feed_files_waiting", ()] == 1 and found["snp_ready", ()] == 0)
    assert fired(before, during, tmp_path, job="snp-feed", standstill=True) == {"SnpFeedFilesWait", "SnpNotReady"}
    lock.execute("ROLLBACK")
    lock.close()
    after = feed.shown(lambda found: found["snp_feed_files_waiting", ()] == 0 and found["snp_ready", ()] == 1)
    assert fired(before, after, tmp_path, job="snp-feed") == set()


def test_the_console_sees_that_nobody_routes(start: Callable[[str], Part], tmp_path: Path) -> None:
    console = start("console --listen 127.0.0.1:0")
    shown = console.shown(lambda found: [name for name, _ in found if name == "snp_partition_commit_age_seconds"])
    shown = {key: value for key, value in shown.items() if key[0] != "snp_unread_unknown"}
    assert fired(shown, shown, tmp_path, job="snp-console", standstill=True) == {"SnpPartitionNotRouted"}


def test_the_console_loses_its_log(start: Callable[[str], Part], command: Command, tmp_path: Path) -> None:
    console = start("console --listen 127.0.0.1:0")
    before = console.shown(lambda found: found["snp_console_unknown", ()] == 0)
    kept = {key: value for key, value in before.items() if key[0] != "snp_partition_commit_age_seconds"}
    path = command.folder / "snp.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.write(os.urandom(path.stat().st_size))
        with suppress(sqlite3.DatabaseError):
            other.execute("UPDATE records SET value = value")
    during = console.shown(lambda found: found["snp_console_unknown", ()] == 1)
    assert not [name for name, _ in during if name in ("snp_waiting_bills", "snp_dead_letters_waiting")]
    alerts = fired(kept, during, tmp_path, job="snp-console")
    assert alerts >= {"SnpConsoleUnknown", "SnpNotReady"}


def test_what_the_console_counts(start: Callable[[str], Part], command: Command, tmp_path: Path) -> None:
    console = start("console --listen 127.0.0.1:0")
    before = console.shown(lambda found: found["snp_console_unknown", ()] == 0)
    command("ingest", "-", stdin="no message of anybody's\n")
    command("ingest", "-", stdin=event_line(disposition_code="6H", snps=["ZZZZ"]))
    command("run", "--until-idle")
    stops = ("snp_waiting_bills", (("do_not_load", "true"),))
    during = console.shown(lambda found: found.get(("snp_dead_letters_waiting", ())) == 1 and found.get(stops) == 1)
    ages = {key for key in (*before, *during) if key[0] == "snp_partition_commit_age_seconds"}
    before, during = ({key: one[key] for key in one.keys() - ages} for one in (before, during))
    alerts = fired(before, during, tmp_path, job="snp-console")
    assert alerts == {"SnpDeadLetters", "SnpDoNotLoadWaits", "SnpReadingUnknown"}, "SQLite keeps no consumer groups"


def test_a_sender_without_a_token(start: Callable[[str], Part], tmp_path: Path) -> None:
    port = free_port()
    listener = start(f"listen --address 127.0.0.1:{port}")
    before = listener.when_ready()
    assert requests.post(f"http://127.0.0.1:{port}/messages", b"x", timeout=PATIENCE_SECONDS).status_code == 401
    during = listener.shown(lambda found: found["snp_listener_answers_total", (("status", "401"),)] == 1)
    assert fired(before, during, tmp_path, job="snp-listener") == {"SnpListenerRefuses"}


def test_no_router_is_looked_at(tmp_path: Path) -> None:
    """A Deployment without a pod has no target, so not even `up` is 0."""
    assert fired({}, {}, tmp_path, job="snp-feed", looks_at_router=False) == {"SnpNoRouter"}
