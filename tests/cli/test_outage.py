"""The commands of a day on which systems are down."""

from __future__ import annotations

import json

from router.demo.story import FILES
from tests.cli.conftest import BILL, Command

BY = ("--by", "J. Doe")
PAPER = "scac,bill_of_lading,carrier_scac,imo_number,voyage_number,container_numbers,manifested_quantity,delivered_at\n"


def test_an_outage_is_declared_changed_and_ended_and_its_history_is_kept(command: Command) -> None:
    command.set_up()
    reason = ("--reason", "ACE is <down>")
    (declared,) = command.json("outage", "declare", "--port", "2704", *reason, *BY)
    command("outage", "change", declared["id"][:4], "--ticket", "4711")
    assert "4711" in command("outage", "list").stdout
    command("outage", "end", declared["id"], "--by", "A. Roe")
    assert command.json("outage", "list") == []
    (kept,) = command.json("outage", "list", "--all")
    assert (kept["ticket"], kept["declared_by"], kept["ended_by"]) == ("4711", "J. Doe", "A. Roe")
    command("outage", "list", "--all", "--html", "history.html")
    assert "ACE is &lt;down&gt;" in (command.folder / "history.html").read_text()
    assert "is over already" in command("outage", "end", declared["id"], *BY, code=2).stderr


def test_what_can_t_be_meant_is_refused(command: Command) -> None:
    command.set_up()
    (lasts,) = command.json("outage", "declare", "--reason", "x", *BY)
    for words, says in (
        (("outage", "change", lasts["id"], "--until", "2020-01-01"), "until"),
        (("outage", "end", lasts["id"], "--at", "2999-01-01", *BY), "still to come"),
        (("outage", "declare", "--port", "LAX", "--reason", "x", *BY), "port"),
        (("outage", "declare", "--reason", " ", *BY), "reason"),
        (("outage", "declare", "--reason", "x", "--until", "2020-01-01", *BY), "until"),
        (("hold", "place", BILL, "--code", "1C", *BY), "places no hold"),
        (("hold", "place", BILL, "--code", "QQ", *BY), "not in the code table"),
        (("hold", "place", BILL, "--code", "6H", "--said-at", "2999-01-01", *BY), "still to come"),
        (("hold", "place", BILL, "--code", "6H", "--channel", "pigeon", *BY), "channel"),
        (("hold", "place", BILL, "--code", "6H", "--container", "X", *BY), "container"),
        (("release", BILL, "--code", "6H", *BY), "is no release"),
        (("paper", "add", *BY), "--csv"),
        (("paper", "add", BILL, *BY), "delivered_at"),
    ):
        assert says in command(*words, code=2).stderr, words


def test_a_hold_by_hand_reaches_the_parties_and_says_beforehand_whom(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    command("run", "--until-idle")
    (placed,) = command.json("hold", "place", BILL, "--code", "6H", *BY, "--source", "CBP Los Angeles")
    command("run", "--until-idle")
    (told,) = command.json("tail", "--party", "SLTC", "--until-end", "--kind", "hold")[:1]
    assert (told["flags"], told["holds"][0]["kind"]) == (["MANUAL"], "MANUAL")
    assert {"recipient": "SLTC", "kind": "hold"} in placed["told"]
    command("hold", "lift", BILL, *BY)
    command("release", BILL, *BY)
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["holds"] == []


def test_a_sailing_on_paper_is_listed_matched_and_sent_again_once(command: Command) -> None:
    command.set_up()
    rows = "SLTC,PAPER1,SLTC,9074729,S26E,CSQU999001,10,{0}\nSLTC,PAPER2,SLTC,9074729,S26E,CSQU999002,20,{0}\n"
    now = command.json("outage", "declare", "--reason", "cyberattack", "--carrier", "SLTC", *BY)[0]["began_at"]
    table = command.write("paper.csv", PAPER + rows.format(now) + "SLTC,PAPER3,,,,,,2999-01-01\n")
    assert "1 " not in command("paper", "add", "--csv", table, *BY, code=1).stdout.replace("2 taken in", "")
    filed = {"scac": "SLTC", "bill_of_lading": "E1", "carrier_scac": "SLTC", "imo_number": "9074729"}
    filed |= {"voyage_number": "S26E", "container_numbers": ["CSQU999001"], "manifested_quantity": 10}
    command("hold", "place", "SLTCPAPER1", "--code", "1H", *BY)
    command("import", "filings", command.write("filings.jsonl", json.dumps(filed) + "\n"))
    command("run", "--until-idle")
    assert [row["bill"] for row in command.json("paper", "list")] == ["SLTCPAPER1", "SLTCPAPER2"]
    assert "23 h" in command("paper", "list").stdout
    proposals = command("paper", "matches", "--format", "json").stdout
    assert [json.loads(line)["electronic"] for line in proposals.splitlines()] == ["SLTCE1"]
    command("paper", "match", "--csv", command.write("matches.jsonl", proposals), *BY)
    command("run", "--until-idle")
    assert [row["bill"] for row in command.json("paper", "list")] == ["SLTCPAPER2"]
    assert {row["filed_as"] for row in command.json("paper", "list", "--all")} == {"SLTCE1", None}
    notices = command.json("tail", "--party", "SLTC", "--until-end")
    assert [(one["bill_of_lading"], one["kind"]) for one in notices if one["cause"] == "REISSUE"] == [("E1", "hold")]


def test_the_checklist_is_filled_in_and_leaves_room_for_what_is_not_known(command: Command) -> None:
    command.set_up()
    command("outage", "declare", "--port", "2704", "--reason", "ACE is down", "--ticket", "<4711>", *BY)
    shown = command("outage", "checklist", "--port", "2704").stdout
    assert "section 27" in shown
    assert "ticket number: <4711>" in shown
    assert "expected return: ____" in shown
    assert "OCNX: Duty manager, +1-555-0100" in shown
    command("outage", "checklist", "--port", "2704", "--html", "list.html")
    page = (command.folder / "list.html").read_text()
    assert "&lt;4711&gt;" in page
    assert '<span class="field">' in page
