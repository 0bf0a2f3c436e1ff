"""SIGTERM ends the commands that run on Kafka as it does on SQLite (tests/cli/test_stops.py)."""

from __future__ import annotations

import asyncio

import pytest

from tests.cli.conftest import Command
from tests.cli.conftest import command as command
from tests.cli.stops import BACKLOG, events, read_until, stop
from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka


@pytest.fixture
def on_kafka(kafka: str, command: Command) -> Command:
    asyncio.run(wipe(kafka))
    command.environment |= {
        "SNP_LOG": f"kafka://{kafka}",
        "SNP_PARTITIONS": "4",
        "SNP_KAFKA__REPLICATION_FACTOR": "1",
    }
    command.process("topics", "create")
    (command.folder / "parties.csv").write_text("id,contact_phone\nNVXA,+1-555-0130\nSLTC,+1-555-0131\n")
    command.process("import", "parties", "parties.csv")
    return command


@pytest.mark.parametrize(("words", "started"), [((), 1), (("--workers", "2"), 2)], ids=["alone", "two workers"])
def test_run_with_a_backlog(on_kafka: Command, words: tuple[str, ...], started: int) -> None:
    on_kafka.process("ingest", on_kafka.write("many.jsonl", events(BACKLOG)))
    routing = on_kafka.start("run", *words)
    for _ in range(started):
        read_until(routing.stderr, "task_restored")
    stop(routing)


def test_tail_with_a_backlog(on_kafka: Command) -> None:
    on_kafka.process("ingest", on_kafka.write("many.jsonl", events(BACKLOG // 4)))
    on_kafka.process("run", "--until-idle")
    following = on_kafka.start("tail", "--party", "NVXA", "--from-start", "--each")
    read_until(following.stdout, "NVXA")
    stop(following)


def test_ingest_watch_with_files_waiting(on_kafka: Command) -> None:
    inbox = on_kafka.folder / "inbox"
    inbox.mkdir()
    for number in range(100):
        (inbox / f"{number}.jsonl").write_text(events(20))
    watching = on_kafka.start("ingest", "--watch", "inbox", "--settle-seconds", "0.1")
    read_until(watching.stdout, "inbox/done")
    stop(watching)
