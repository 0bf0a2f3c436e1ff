"""The same commands on both logs give the same answers; only `--log` differs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka

SAMPLES = Path(__file__).parent.parent.parent / "router" / "demo"
BILL = "NVXAHBL000012345"
PARTIES = ("OCNX", "SLTC", "HARX", "NVXA", "NVXB")
OWN = ("notice_id", "event_id", "covers", "received_at")
"""What an installation makes by itself."""


class Commands:
    def __init__(self, url: str) -> None:
        self._environment = os.environ | {"SNP_LOG": url, "SNP_PARTITIONS": "2", "SNP_KAFKA__REPLICATION_FACTOR": "1"}

    def done(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "router.cli", *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60)

    def __call__(self, *words: str) -> str:
        done = self.done(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def objects(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self(*words, "--format", "json").splitlines()]

    def route_the_samples(self) -> None:
        for kind in ("parties", "sailings", "filings"):
            self("import", kind, str(SAMPLES / f"{kind}.csv"))
        for feed in sorted(SAMPLES.glob("[1-7]*")):
            self("ingest", str(feed))
            self("run", "--until-idle")

    def notices(self, party: str) -> dict[str, list[dict[str, Any]]]:
        """Return the notices by bill, each bill's in order. There is no order between bills."""
        by_bill: dict[str, list[dict[str, Any]]] = {}
        for notice in self.objects("tail", "--party", party, "--from-start", "--until-end"):
            plain = {name: value for name, value in notice.items() if name not in OWN}
            by_bill.setdefault(str(notice["bill_of_lading"]), []).append(plain)
        return by_bill


async def test_the_same_commands_give_the_same_notices_on_both_logs(kafka: str, tmp_path: Path) -> None:
    await wipe(kafka)
    on_sqlite, on_kafka = Commands(f"sqlite:///{tmp_path}/snp.db"), Commands(f"kafka://{kafka}")
    on_kafka("topics", "create")
    for commands in (on_sqlite, on_kafka):
        commands.route_the_samples()
    for party in PARTIES:
        assert on_kafka.notices(party) == on_sqlite.notices(party)
    (here,), (there,) = on_sqlite.objects("bill", "show", BILL), on_kafka.objects("bill", "show", BILL)
    for name in ("status", "deliverable", "holds", "released_quantity", "container_numbers", "waiting"):
        assert there[name] == here[name]
    assert [one["recipient"] for one in there["notified"]] == [one["recipient"] for one in here["notified"]]
    assert on_kafka("explain", BILL) == on_sqlite("explain", BILL)
    assert "the log has no problems" in on_kafka("topics", "check")


async def test_on_a_broker_without_topics_every_command_says_how_to_begin(kafka: str) -> None:
    await wipe(kafka)
    commands = Commands(f"kafka://{kafka}")
    for words, code in ((("run", "--until-idle"), 4), (("parties",), 3)):
        ended = commands.done(*words)
        assert ended.returncode == code
        assert "`snp-router topics create`" in ended.stderr
        assert ended.stdout == ""


async def test_dead_letters_on_kafka_are_listed_and_retried_as_on_sqlite(kafka: str, tmp_path: Path) -> None:
    await wipe(kafka)
    commands = Commands(f"kafka://{kafka}")
    commands("topics", "create")
    wrong = tmp_path / "events.jsonl"
    wrong.write_text(
        '{"scac": "NVXA", "bill_of_lading": "B1", "disposition_code": "1H", "action_at": "2026-02-30T10:00"}\n'
    )
    commands("ingest", str(wrong))
    commands("run", "--until-idle")
    (letter,) = commands.objects("dead-letters", "list")
    assert commands.objects("bill", "show", "NVXAB1")[0]["status"] == "HELD"
    right = tmp_path / "right.jsonl"
    right.write_text(wrong.read_text().replace("2026-02-30", "2026-02-28"))
    commands("dead-letters", "retry", letter["id"], "--with", str(right))
    commands("run", "--until-idle")
    (bill,) = commands.objects("bill", "show", "NVXAB1")
    assert [(hold["kind"], hold["code"]) for hold in bill["holds"]] == [("CBP", "1H")]
