"""From files to notices: import, ingest, run, tail."""

from __future__ import annotations

import json
from pathlib import Path

from router import codec
from router.demo.story import FILES
from tests.cli.conftest import BILL, CO_LOADED, Command


def test_an_import_says_what_changed(command: Command) -> None:
    (first,) = command.json("import", "parties", FILES / "parties.csv")
    assert first["added"] == ["OCNX", "SLTC", "HARX", "NVXA", "NVXB"]
    changed = command.write("changed.csv", "scac,name\nNVXA,New Name\nNVXC,Third\n")
    (second,) = command.json("import", "parties", changed)
    assert (second["added"], second["changed"], second["unchanged"]) == (["NVXC"], ["NVXA"], [])


def test_rows_that_cannot_be_read_are_named_and_the_others_go_in(command: Command) -> None:
    wrong = command.write("wrong.csv", "scac,status,colour\nNVXA,live,red\nNV1,live,\nNVXB,asleep,\n")
    (done,) = command.json("import", "parties", wrong, code=1)
    assert done["added"] == ["NVXA"]
    assert [problem["place"] for problem in done["problems"]] == [
        f"{wrong}: row 3, column 'scac'",
        f"{wrong}: row 4, column 'status'",
    ]
    assert any("colour" in note for note in done["notes"])


def test_no_party_can_take_over_the_scac_of_another(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "scac,aliases\nNVXA,NVXZ\n"))
    (done,) = command.json("import", "parties", command.write("b.csv", "scac,aliases\nNVXB,NVXZ\n"), code=1)
    assert done["added"] == []
    assert "NVXZ already stands for the party NVXA" in done["problems"][0]["reason"]


def test_what_is_fed_in_is_summed_up_and_routing_says_what_was_new(command: Command) -> None:
    command.set_up()
    files = sorted(FILES.glob("[1-9]-*"))
    taken = json.loads(command.process("ingest", *files, "--format", "json").stdout)
    assert (taken["files"], taken["events"], taken["urgent"], taken["dead_letters"]) == (7, 14, 3, 0)
    routed = json.loads(command.process("run", "--until-idle", "--format", "json").stdout)
    assert (routed["events"], routed["dead_letters"]) == (14, 0)
    command("ingest", *files)
    (again,) = command.json("run", "--until-idle")
    assert (again["events"], again["hold"], again["change"], again["release"]) == (0, 0, 0, 0)


def test_one_event_can_be_found_in_the_log_lines_by_its_id(command: Command) -> None:
    command.set_up()
    command("ingest", *sorted(FILES.glob("[1-9]-*")))
    lines = [json.loads(line) for line in command.process("--verbose", "run", "--until-idle").stderr.splitlines()]
    notice = next(
        one for one in command.json("tail", "--party", "SLTC", "--until-end") if one["disposition_code"] == "6H"
    )
    (line,) = [line for line in lines if line.get("event_id") == notice["event_id"]]
    assert (line["event"], line["level"], line["status"]) == ("bill_decided", "debug", "DO_NOT_LOAD")
    assert "SLTC:hold" in line["told"]


def test_a_party_reads_its_notices_with_the_schema_s_names(routed: Command) -> None:
    notices = routed.json("tail", "--party", "NVXA", "--until-end")
    names = [field["name"] for field in codec.raw_schema("hold")["fields"]]
    assert all(list(notice) == ["kind", *names] for notice in notices)
    posted = {notice["disposition_code"]: notice["action_at"] for notice in notices}
    assert posted["6H"] == "2026-07-14T12:12:00Z"
    assert notices[-1]["status"] == "RELEASED"
    assert {notice["bill_of_lading"] for notice in notices} == {"HBL000012345"}


def test_tail_can_be_narrowed_to_a_kind(routed: Command) -> None:
    holds = routed.json("tail", "--party", "OCNX", "--until-end", "--kind", "hold")
    assert holds
    assert {notice["kind"] for notice in holds} == {"hold"}


def test_tail_takes_an_alias_for_its_party(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "scac,aliases\nNVXA,NVXZ\n"))
    assert command.json("tail", "--party", "nvxz", "--until-end") == []


def test_tail_shows_the_timeline_with_the_input_as_fields(routed: Command) -> None:
    entries = routed.json("tail", "--timeline", "--until-end")
    stop = next(entry for entry in entries if entry["disposition_code"] == "6H")
    assert stop["input"]["record"] == "disposition"
    assert stop["input"]["action_at"] == "2026-07-14T12:12:00Z"
    assert {telling["recipient"] for telling in stop["told"]} >= {"NVXA", "SLTC", "OCNX", "HARX"}


def test_tables_are_for_people(routed: Command) -> None:
    shown = routed("tail", "--party", "NVXB", "--until-end").stdout
    assert "DO_NOT_LOAD" in shown
    assert CO_LOADED in shown
    assert BILL not in shown


def test_what_waits_is_shown_until_the_piece_comes(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "scac\nNVXA\n"))
    command("ingest", FILES / "1-on-file.x12")
    command("run", "--until-idle")
    waiting = {row["bill_of_lading"]: row for row in command.json("tail", "--waiting", "--until-end")}
    assert "SLTC" in waiting["HBL000012345"]["parties"]
    command.set_up()
    command("run", "--until-idle")
    left = {row["bill_of_lading"] for row in command.json("tail", "--waiting", "--until-end")}
    assert "HBL000012345" not in left


def test_standard_input_and_folders_are_fed_in(command: Command) -> None:
    command.set_up()
    (command.folder / "inbox").mkdir()
    for name in ("1-on-file.x12", "2-do-not-load.camir"):
        (command.folder / "inbox" / name).write_text((FILES / name).read_text())
    assert "2 files: 4 events, 1 urgent" in command("ingest", "inbox").stdout
    line = {"scac": "NVXA", "bill_of_lading": "HBL000012345", "disposition_code": "6I", "action_at": "2026-07-15T16:55"}
    assert "1 event, 0 urgent" in command("ingest", "-", stdin=json.dumps(line)).stdout


def test_a_snapshot_of_bills_lets_one_begin_in_the_middle(command: Command, tmp_path: Path) -> None:
    command.set_up()
    header = (
        "scac,bill_of_lading,status_at,manifested_quantity,released_quantity,release_posted_at,holds,snps,surprise\n"
    )
    row = "NVXA,MIDDLE1,2026-07-20T12:00,10,,,1H//10/2026-07-19T09:00,SLTC,x\n"
    (done,) = command.json("import", "bills", command.write("bills.csv", header + row))
    assert done["taken_in"] == 1
    assert any("surprise" in note for note in done["notes"])
    command("run", "--until-idle")
    (bill,) = command.json("bill", "show", "NVXAMIDDLE1")
    assert (bill["status"], bill["holds"][0]["placed_at"]) == ("HELD", "2026-07-19T13:00:00Z")


def test_the_registry_can_be_read_back(routed: Command) -> None:
    assert {party["scac"] for party in routed.json("parties")} == {"OCNX", "SLTC", "HARX", "NVXA", "NVXB"}
    (sailing,) = routed.json("sailings")
    assert [line["scope"] for line in sailing["lines"]] == ["holds", "own", "do-not-load"]
    assert "EXEMPLAR-026E" in routed("sailings").stdout
    assert "Example Consolidators" in routed("parties").stdout
