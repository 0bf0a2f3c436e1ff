"""`paper`: bills that CBP has only on paper."""

from __future__ import annotations

import json

from tests.cli.conftest import Command

PAPER = "scac,bill_of_lading,carrier_scac,imo_number,voyage_number,container_numbers,manifested_quantity,delivered_at\n"


BY = ("--by", "J. Doe")


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
