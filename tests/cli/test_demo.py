"""The demo: right, and careful with what is there."""

from __future__ import annotations

from router.demo.story import STEPS
from tests.cli.conftest import BILL, CO_LOADED, Command


def test_the_demo_tells_its_story_and_leaves_a_log_to_try_the_commands_on(command: Command) -> None:
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


def test_the_demo_replaces_only_a_demo(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "scac\nNVXA\n"))
    assert "left alone" in command("demo", "snp.db", code=2).stderr
    assert "left alone" in command("demo", command.write("empty.db", ""), code=2).stderr
    assert [party["scac"] for party in command.json("parties")] == ["NVXA"]


def test_an_outage_day_is_played_by_its_name(command: Command) -> None:
    shown = command("demo", "--scenario", "ace-down").stdout
    assert "everyone: DOWN since 07-14 12:00Z, port 2704: ACE is down (ticket 4711)" in shown
    assert "RECOVERED" in shown
    assert "ace-down, cyberattack, party-down" in command("demo", "--scenario", "flood", code=2).stderr
