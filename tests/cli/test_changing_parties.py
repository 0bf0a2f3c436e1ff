"""A party is suspended, renamed, taken over: what docs/access.md says to do loses nothing, on either log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.kafka.fixtures import wipe

COLUMNS = "scac,status,aliases,contact_phone\n"
BEFORE = COLUMNS + "NVXA,live,,1\nSLTC,live,,2\n"


def event(bill: str, code: str, minute: int) -> str:
    fields = {"scac": "NVXA", "bill_of_lading": bill, "disposition_code": code, "quantity": 5, "snps": ["SLTC"]}
    return json.dumps(fields | {"action_at": f"2026-07-14T10:{minute:02}"}) + "\n"


class Installation:
    """Two parties, and NVXAB1 held, which both were told."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.register(BEFORE)
        self.feed("B1", "1H", 1)

    def register(self, rows: str) -> None:
        self.command("import", "parties", "-", stdin=rows)
        self.command("run", "--until-idle")

    def feed(self, bill: str, code: str, minute: int) -> None:
        self.command("ingest", "-", stdin=event(bill, code, minute))
        self.command("run", "--until-idle")

    def told(self, party: str) -> list[tuple[str, str, str, str]]:
        """All that lies on its topic: bill, kind, cause, to whom."""
        shown = self.command.json("tail", "--party", party, "--until-end")
        return [(one["bill_of_lading"], one["kind"], one["cause"], one["recipient"]) for one in shown]

    @property
    def waited_for(self) -> dict[str, list[str]]:
        """By bill the parties that could not be told."""
        waiting = self.command.json("tail", "--waiting", "--until-end")
        return {one["bill_of_lading"]: one["parties"] for one in waiting if one["parties"]}


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    command = Command(tmp_path)
    if request.param == "kafka":
        bootstrap = request.getfixturevalue("kafka")
        asyncio.run(wipe(bootstrap))
        command.environment |= {
            "SNP_LOG": f"kafka://{bootstrap}",
            "SNP_PARTITIONS": "1",
            "SNP_KAFKA__REPLICATION_FACTOR": "1",
        }
        command("topics", "create")
    return Installation(command)


def test_what_comes_while_a_party_is_suspended_it_is_told_as_the_status_now_when_it_is_live_again(
    installation: Installation,
) -> None:
    installation.register(BEFORE.replace("SLTC,live", "SLTC,suspended"))
    installation.feed("B1", "6H", 2)
    installation.feed("B2", "1H", 3)

    assert installation.told("SLTC") == [("B1", "hold", "DISPOSITION", "SLTC")]
    assert installation.waited_for == {"B1": ["SLTC"], "B2": ["SLTC"]}

    installation.register(BEFORE)
    assert sorted(installation.told("SLTC")[1:]) == [
        ("B1", "hold", "CATCH_UP", "SLTC"),
        ("B2", "hold", "CATCH_UP", "SLTC"),
    ]
    assert installation.waited_for == {}


def test_a_party_that_is_renamed_keeps_its_topic_and_its_new_scac_is_an_alias(installation: Installation) -> None:
    installation.register(COLUMNS + "SLTC,live,SLTN,2\n")
    installation.command("ingest", "-", stdin=event("B2", "1H", 3).replace("SLTC", "SLTN"))
    installation.command("run", "--until-idle")

    expected = [("B1", "hold", "DISPOSITION", "SLTC"), ("B2", "hold", "DISPOSITION", "SLTC")]
    assert installation.told("SLTC") == installation.told("SLTN") == expected


def test_who_takes_a_party_over_is_told_the_status_now_of_its_bills_and_all_that_follows(
    installation: Installation,
) -> None:
    taken_over = COLUMNS + "SLTC,external,,2\nBIGX,live,SLTC,3\n"
    installation.register(taken_over)
    installation.feed("B1", "6H", 4)

    assert installation.told("BIGX") == [("B1", "hold", "CATCH_UP", "BIGX"), ("B1", "hold", "DISPOSITION", "BIGX")]
    assert installation.told("SLTC") == installation.told("BIGX")  # Its SCAC stands for BIGX now.
    assert installation.waited_for == {}


def test_a_scac_is_not_taken_over_from_a_party_that_still_has_it(installation: Installation) -> None:
    done = installation.command("import", "parties", "-", stdin=COLUMNS + "BIGX,live,SLTC,3\n", code=1)
    assert "SLTC already stands for the party SLTC" in done.stderr
