"""`run`, `check` and `demo`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from router.demo.story import FILES, STEPS
from tests.cli.conftest import BILL, CO_LOADED, Command, Terminal


def test_one_event_can_be_found_in_the_log_lines_by_its_id(command: Command) -> None:
    command.set_up()
    command("ingest", *sorted(FILES.glob("[1-9]-*")))
    lines = [json.loads(line) for line in command.process("--verbose", "run", "--until-idle").stderr.splitlines()]
    notice = next(
        one for one in command.json("tail", "--party", "SLTC", "--until-end") if one["disposition_code"] == "6H"
    )
    (line,) = [line for line in lines if line.get("event_id") == notice["event_id"]]
    assert (line["event"], line["level"], line["status"]) == ("bill_decided", "debug", "DO_NOT_LOAD")
    assert "SLTC:hold" in line["notified"]


def test_check_finds_no_problems_in_the_demo_s_tables(command: Command) -> None:
    files = ("--parties", FILES / "parties.csv", "--sailings", FILES / "sailings.csv")
    shown = command("check", *files).stdout
    first, second = shown.splitlines()
    assert re.fullmatch(r"5 parties, 1 sailing, disposition codes of 20\d\d-\d\d: no problems", first)
    assert second == "rules 1: release_after_hold = fresh"


def test_check_names_each_problem_and_its_place(command: Command) -> None:
    parties = command.write("parties.csv", "id,contact_email\nOCNX,\n")
    rows = "sailing_id,imo_number,scac,role,voyage_number\nS1,9074728,OCNX,operator,\nS1,9074728,SLTC,charterer,X1\n"
    sailings = command.write("sailings.csv", rows)
    command.environment["SNP_LGO"] = "x"
    (checked,) = command.json("check", "--parties", parties, "--sailings", sailings, code=1)
    for expected in (
        "SNP_LGO",
        "party OCNX: no 24-hour contact",
        "SLTC is aboard but not",
        "check digit",
        "OCNX has no",
    ):
        assert any(expected in problem for problem in checked["problems"]), expected


def test_the_demo_plays_its_story_and_leaves_a_log_for_other_commands(command: Command) -> None:
    shown = command.process("demo").stdout
    assert all(step.happens in shown for step in STEPS)
    assert "LATE" not in shown
    assert max(map(len, shown.splitlines())) <= 120
    log = ("--log", "sqlite:///snp-demo.db")
    assert command.json("bill", "show", BILL, *log)[0]["status"] == "RELEASED"
    assert command.json("dead-letters", "list", *log) == []
    (told,) = (one for one in command.json("tail", "--party", "NVXB", "--until-end", "--kind", "hold", *log))
    assert (told["scac"] + told["bill_of_lading"], told["holds"][0]["kind"]) == (CO_LOADED, "BOX")
    assert told["disposition_code"] is None
    command("demo")


def test_the_demo_replaces_only_a_demo_s_file(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "id\nNVXA\n"))
    assert "left alone" in command("demo", "snp.db", code=2).stderr
    assert "left alone" in command("demo", command.write("empty.db", ""), code=2).stderr
    assert [party["id"] for party in command.json("parties")] == ["NVXA"]


def test_an_outage_day_is_played_by_its_name(command: Command) -> None:
    shown = command("demo", "--scenario", "ace-down").stdout
    assert "everyone: DOWN since 07-14 12:00Z, port 2704: ACE is down (ticket 4711)" in shown
    assert "RECOVERED" in shown
    assert command("demo", "--scenario", "party-down").stderr == "", "the story is told without log lines"
    assert "ace-down, cyberattack, party-down" in command("demo", "--scenario", "flood", code=2).stderr


def test_on_a_terminal_run_shows_what_it_routed(command: Command, terminal: Callable[..., Terminal]) -> None:
    run = terminal("run")
    assert run.shows("routing sqlite:///snp.db; Ctrl-C stops")
    command("ingest", FILES / "1-on-file.x12")
    assert run.shows("routed: 3 new events")


def test_workers_have_instance_ids_of_their_own(command: Command) -> None:
    command.environment |= {"SNP_LOG": "kafka://127.0.0.1:1", "SNP_KAFKA__GROUP_INSTANCE_ID": "router-1"}
    assert "leave it out with --workers" in command("run", "--workers", "2", code=2).stderr.lower()
