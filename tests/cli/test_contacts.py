"""The contact sheet as text, page and data; what waits."""

from __future__ import annotations

from tests.cli.conftest import Command


def test_the_sheet_says_whom_to_call_and_where_nobody_is_registered(routed: Command) -> None:
    shown = routed("contacts", "--port", "2704").stdout
    assert "Harbour Express Line  Operations    +1-555-0120" in shown
    assert shown.index("OCNX") < shown.index("aboard no ship") < shown.index("NVXA")
    rows = routed.json("contacts", "--port", "2704")
    assert {row["scac"]: row["ground"] for row in rows}["NVXA"] == "NO_SAILING"


def test_the_page_is_escaped(command: Command) -> None:
    command("import", "parties", command.write("p.csv", "scac,name,contact_phone\nNVXA,<b>R&D,+1-555\nSLTC,,\n"))
    command("contacts", "--port", "2704", "--html", "sheet.html")
    page = (command.folder / "sheet.html").read_text()
    assert "&lt;b&gt;R&amp;D" in page
    assert "<b>" not in page
    assert page.count("none registered") == 1


def test_a_port_is_four_digits(routed: Command) -> None:
    assert "2704 for Los Angeles" in routed("contacts", "--port", "LAX", code=2).stderr


def test_what_waits_is_listed_until_the_missing_piece_comes(command: Command) -> None:
    command("import", "parties", command.write("p.csv", "scac\nNVXA\n"))
    event = '{"scac": "NVXA", "bill_of_lading": "B1", "disposition_code": "%s", "action_at": "2026-07-14T08:12"}\n'
    other = event.replace("B1", "B2")
    command("ingest", command.write("e.jsonl", other % "1H" + event % "6H"))
    command("run", "--until-idle")
    rows = command.json("waiting", "list")
    assert [(row["bill_of_lading"], row["do_not_load"]) for row in rows] == [("B1", True), ("B2", False)]
    told = command("waiting", "list").stderr
    assert "1 of 2 must not be loaded" in told
    for looked in (told, command("bill", "show", "NVXAB1").stderr, command("explain", "NVXAB1").stderr):
        assert "NO_SAILING: no sailing matches its IMO number, carrier and voyage number: `snp-router import" in looked
