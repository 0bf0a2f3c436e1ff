"""The same commands on both logs give the same answers; only `--log` differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka.commands import Commands
from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka

BILL = "NVXAHBL000012345"
PARTIES = ("OCNX", "SLTC", "HARX", "NVXA", "NVXB")


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
