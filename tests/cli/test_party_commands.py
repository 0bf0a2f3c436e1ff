"""`parties`, `sailings`, `contacts`, `party`, `certify`, and changes of parties that docs/access.md describes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from router.demo.story import FILES
from tests.cli.conftest import BILL, Command
from tests.kafka.fixtures import wipe

CERTIFYING = "id,status,contact_phone,production_group\nSLTC,certifying,+1-555-0110,snp.SLTC.production\n"


def certifying(command: Command) -> None:
    command.set_up()
    command("import", "parties", "-", stdin=CERTIFYING)
    command("ingest", *sorted(FILES.glob("[1-7]*")))
    command("run", "--until-idle")


COLUMNS = "id,status,aliases,contact_phone\n"
BEFORE = COLUMNS + "NVXA,live,,1\nSLTC,live,,2\n"


def event(bill: str, code: str, minute: int) -> str:
    fields = {"scac": "NVXA", "bill_of_lading": bill, "disposition_code": code, "quantity": 5, "snps": ["SLTC"]}
    return json.dumps(fields | {"action_at": f"2026-07-14T10:{minute:02}"}) + "\n"


class Installation:
    """Two parties that were both notified of a hold on NVXAB1."""

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

    def notices(self, party: str) -> list[tuple[str, str, str, str]]:
        """All notices on its topic: bill, kind, cause, recipient."""
        shown = self.command.json("tail", "--party", party, "--until-end")
        return [(one["bill_of_lading"], one["kind"], one["cause"], one["recipient"]) for one in shown]

    @property
    def waiting_for(self) -> dict[str, list[str]]:
        """The parties that could not be notified, by bill."""
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


def test_parties_and_sailings_are_listed_as_imported(routed: Command) -> None:
    assert {party["id"] for party in routed.json("parties")} == {"OCNX", "SLTC", "HARX", "NVXA", "NVXB"}
    (sailing,) = routed.json("sailings")
    assert [line["scope"] for line in sailing["lines"]] == ["holds", "own", "do-not-load"]
    assert "EXEMPLAR-026E" in routed("sailings").stdout
    assert "Example Consolidators" in routed("parties").stdout


def test_contacts_show_whom_to_call_and_who_has_no_sailing(routed: Command) -> None:
    shown = routed("contacts", "--port", "2704").stdout
    assert "Harbour Express Line  Operations    +1-555-0120" in shown
    assert shown.index("OCNX") < shown.index("aboard no ship") < shown.index("NVXA")
    rows = routed.json("contacts", "--port", "2704")
    assert {row["id"]: row["ground"] for row in rows}["NVXA"] == "NO_SAILING"


def test_the_page_of_contacts_is_escaped(command: Command) -> None:
    command("import", "parties", command.write("p.csv", "id,name,contact_phone\nNVXA,<b>R&D,+1-555\nSLTC,,\n"))
    command("contacts", "--port", "2704", "--html", "sheet.html")
    page = (command.folder / "sheet.html").read_text()
    assert "&lt;b&gt;R&amp;D" in page
    assert "<b>" not in page
    assert page.count("none registered") == 1


def test_a_port_is_four_digits(routed: Command) -> None:
    assert "2704 for Los Angeles" in routed("contacts", "--port", "LAX", code=2).stderr


def test_samples_then_live_with_the_status_now(command: Command) -> None:
    certifying(command)
    notices = command.json("tail", "--party", "SLTC", "--until-end")
    assert all("TEST" in notice["flags"] for notice in notices)
    assert command.json("party", "show", "SLTC")[0]["samples"] == len(notices)
    opened = command("party", "live", "SLTC")
    assert "SLTC is live" in opened.stdout
    assert "it is not known to have read all of its samples" in opened.stderr
    assert "already" in command("party", "live", "SLTC").stdout
    command("run", "--until-idle")
    live = command.json("tail", "--party", "SLTC", "--until-end")[len(notices) :]
    assert {notice["cause"] for notice in live} == {"CATCH_UP"}
    assert BILL[4:] in {notice["bill_of_lading"] for notice in live}


def test_bills_of_a_suspended_party_wait(command: Command) -> None:
    command.set_up()
    command("party", "suspend", "SLTC")
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    command("run", "--until-idle")
    assert command.json("tail", "--party", "SLTC", "--until-end") == []
    assert "PARTY_NOT_LIVE:SLTC" in command.json("bill", "show", BILL)[0]["waiting"]


def test_certify_lists_the_samples_and_cannot_track_reading_on_sqlite(command: Command) -> None:
    certifying(command)
    shown = command("certify", "SLTC", code=1)
    assert "do-not-load" in shown.stdout
    assert "what SLTC has read is unknown: this log keeps no consumer groups" in shown.stdout
    assert not any(sample["read"] for sample in command.json("certify", "SLTC", code=1))
    assert "its status is live" in command("certify", "NVXA", code=1).stderr


def test_a_party_that_is_live_again_gets_the_status_now_of_what_it_missed(
    installation: Installation,
) -> None:
    installation.register(BEFORE.replace("SLTC,live", "SLTC,suspended"))
    installation.feed("B1", "6H", 2)
    installation.feed("B2", "1H", 3)

    assert installation.notices("SLTC") == [("B1", "hold", "DISPOSITION", "SLTC")]
    assert installation.waiting_for == {"B1": ["SLTC"], "B2": ["SLTC"]}

    installation.register(BEFORE)
    assert sorted(installation.notices("SLTC")[1:]) == [
        ("B1", "hold", "CATCH_UP", "SLTC"),
        ("B2", "hold", "CATCH_UP", "SLTC"),
    ]
    assert installation.waiting_for == {}


def test_a_party_that_is_renamed_keeps_its_topic_and_its_new_scac_is_an_alias(installation: Installation) -> None:
    installation.register(COLUMNS + "SLTC,live,SLTN,2\n")
    installation.command("ingest", "-", stdin=event("B2", "1H", 3).replace("SLTC", "SLTN"))
    installation.command("run", "--until-idle")

    expected = [("B1", "hold", "DISPOSITION", "SLTC"), ("B2", "hold", "DISPOSITION", "SLTC")]
    assert installation.notices("SLTC") == installation.notices("SLTN") == expected


def test_the_successor_of_a_party_gets_the_status_now_of_its_bills_and_what_follows(
    installation: Installation,
) -> None:
    taken_over = COLUMNS + "SLTC,external,,2\nBIGX,live,SLTC,3\n"
    installation.register(taken_over)
    installation.feed("B1", "6H", 4)

    assert installation.notices("BIGX") == [("B1", "hold", "CATCH_UP", "BIGX"), ("B1", "hold", "DISPOSITION", "BIGX")]
    assert installation.notices("SLTC") == installation.notices("BIGX")  # Its SCAC stands for BIGX now.
    assert installation.waiting_for == {}


def test_a_scac_is_not_taken_over_from_a_party_that_still_has_it(installation: Installation) -> None:
    done = installation.command("import", "parties", "-", stdin=COLUMNS + "BIGX,live,SLTC,3\n", code=1)
    assert "SLTC already stands for the party SLTC" in done.stderr
