"""The commands that answer a desk's questions give the same answers on both logs, each as a whole process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.kafka.commands import SAMPLES, Commands
from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka

BILL = "NVXAHBL000012345"
MORE = """\
{"scac": "NVXA", "bill_of_lading": "W1", "disposition_code": "6H", "action_at": "2026-07-14T08:12"}
{"scac": "NVXA", "bill_of_lading": "W2", "disposition_code": "1H", "action_at": "2026-07-14T08:13"}
{"scac": "NVXA", "bill_of_lading": "W3", "disposition_code": "1H", "action_at": "2026-07-14T08:14", "snps": ["QQQQ"]}
{"scac": "NVXA", "bill_of_lading": "W4", "disposition_code": "1H", "action_at": "2026-02-30T08:15"}
"""
"""Bills that wait, and one event that can't be read."""


class BothLogs:
    """One story, routed on SQLite and on Kafka."""

    def __init__(self, folder: Path, kafka: str) -> None:
        self.logs = [Commands(url, folder / name) for name, url in (("sqlite", "sqlite:///snp.db"), ("kafka", kafka))]
        self._threads = ThreadPoolExecutor(len(self.logs))
        for name in ("sqlite", "kafka"):
            (folder / name).mkdir()
            (folder / name / "more.jsonl").write_text(MORE)

    def route(self) -> None:
        list(self._threads.map(_route, self.logs))

    def ask(self, *words: str) -> tuple[CompletedProcess[str], CompletedProcess[str]]:
        """Return the text that each log's command printed, without what an installation makes by itself."""
        here, there = self._threads.map(lambda commands: _plain(commands.done(*words)), self.logs)
        return here, there


def _route(commands: Commands) -> None:
    if commands.url.startswith("kafka"):
        commands("topics", "create")
    commands.import_the_samples()
    commands("ingest", *map(str, sorted(SAMPLES.glob("[1-7]*"))), "more.jsonl")
    commands("run", "--until-idle")


def _plain(done: CompletedProcess[str]) -> CompletedProcess[str]:
    done.stdout, done.stderr = (_OWN.sub("…", text) for text in (done.stdout, done.stderr))
    return done


_TODAY = datetime.now(UTC)
_OWN = re.compile(rf"\b[0-9a-f]{{12,}}\b|{_TODAY:%Y-%m}-\d\dT[\d:.]+Z|{_TODAY:%m}-\d\d \d\d:\d\d(Z| Eastern)")
"""Ids, and times of this month: the story's are earlier."""


@pytest.fixture(scope="module")
def both(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BothLogs]:
    asyncio.run(wipe(kafka))
    made = BothLogs(tmp_path_factory.mktemp("desk"), f"kafka://{kafka}")
    made.route()
    return made


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("find CSQU 305438-3", "Bills by container: 2"),
        ("find W --format csv", "bill,NVXAW1,DO_NOT_LOAD,4"),
        ("find OCEAN --format json", '"found": "sailing"'),
        ("bills --format csv", "NVXAW1,DO_NOT_LOAD,true"),
        ("bills --status held --limit 1", "HARXHX5550001"),
        ("box CSQU 305438-3", "not released: 1 of 2 known bills are"),
        (f"explain {BILL} --party OCNX", "OPERATOR"),
        ("explain NVXAW1 --party SLTC --format csv", "no sailing is found"),
        ("waiting list --limit 1", "4 bills wait, 1 must not be loaded"),
        ("waiting list --missing PARTY_UNKNOWN --format json", '"bill_of_lading": "W3"'),
        ("handover --since 1h", "2 releases, 0 taken back"),
        ("handover --since 1h --format csv", "dead_letter"),
        ("tail --party HARX --since 1h --until-end --format json", '"bill_of_lading": "HX5550001"'),
        ("tail --party HARX --since 1h --until {now} --format csv", "HX5550002"),
        ("tail --waiting --since 2h --until 1h", ""),
        ("--version", f"snp-router {version('snp-router')}"),
    ],
)
def test_the_answer_is_the_same_on_both_logs(both: BothLogs, words: str, says: str) -> None:
    here, there = both.ask(*words.format(now=datetime.now(UTC).isoformat()).split())
    assert says in here.stdout
    assert _rows(words, there.stdout) == _rows(words, here.stdout)
    assert there.stderr == here.stderr
    assert there.returncode == here.returncode == 0


def _rows(words: str, printed: str) -> list[str]:
    """The lines in their order, or of decisions in any: there is no order between bills."""
    lines = printed.splitlines()
    return sorted(lines) if words.startswith(("handover", "tail")) else lines
