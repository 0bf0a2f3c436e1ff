"""`rules show` and `rules apply`, and the refusal of a router whose settings differ."""

from __future__ import annotations

import pytest

from router.demo.story import FILES
from tests.cli.conftest import BILL, Command, event_line

PREVIOUS = '[rules]\nrelease_after_hold = "previous"\nrelease_after_hold_exceptions = {"6H" = "fresh"}\n'
BY = ("--by", "J. Doe", "--reason", "exams need no new release here")


@pytest.fixture
def running(command: Command) -> Command:
    """A router ran, and the demo's bill waits: its release was posted before a hold that ended."""
    command.set_up()
    command("run", "--until-idle")
    return command


def test_there_are_no_rules_before_the_first_router(command: Command) -> None:
    command.set_up()
    assert "the first `snp-router run` takes those of the settings" in command("rules", "show").stderr
    assert "no rules are in force yet" in command("rules", "apply", *BY, "--yes", code=2).stderr


def test_the_first_router_writes_the_rules_of_its_settings(command: Command) -> None:
    command.write("snp-router.toml", PREVIOUS)
    command.set_up()
    command("run", "--until-idle")
    (shown,) = command.json("rules", "show")
    assert shown["number"] == 1
    assert shown["rules"]["release_after_hold"] == "previous"
    assert shown["rules"]["release_after_hold_exceptions"] == "6H = fresh"
    assert [one["reason"] for one in shown["history"]] == ["the settings of the first router"]


def test_a_router_whose_settings_differ_refuses_and_says_how_to_go_on(running: Command) -> None:
    running.write("snp-router.toml", PREVIOUS)
    refusal = running("run", "--until-idle", code=2).stderr
    assert "release_after_hold: in force is fresh, the settings say previous" in refusal
    assert "`snp-router rules apply`, or take these lines out" in refusal
    problems = running.json("check", code=1)[0]["problems"]
    assert any(one.startswith("settings: release_after_hold is previous, in force is fresh") for one in problems)
    running.write("snp-router.toml", "[rules]\nlate_after_minutes = 60\n")
    running("run", "--until-idle")


def test_rules_are_shown_first_then_put_in_force_by_name(running: Command) -> None:
    running.write("snp-router.toml", PREVIOUS)
    assert "give --yes" in running("rules", "apply", *BY, code=2).stderr
    applied = running("rules", "apply", *BY, "--yes").stdout
    assert "release_after_hold: fresh -> previous\n" in applied
    assert "release_after_hold_exceptions: none -> 6H = fresh\n" in applied
    assert "rules 2 are in force" in applied
    running("run", "--until-idle")
    (shown,) = running.json("rules", "show")
    assert [(one["number"], one["by"]) for one in shown["history"]][1:] == [(2, "J. Doe")]
    assert "rules 2: release_after_hold = previous, but fresh for 6H" in running("check").stdout
    assert "nothing changes" in running("rules", "apply", *BY, "--yes").stdout


def test_rules_that_the_settings_lack_stay_as_they_are(running: Command) -> None:
    running.write("snp-router.toml", PREVIOUS)
    running("rules", "apply", *BY, "--yes")
    running.write("snp-router.toml", "[rules]\nlate_after_minutes = 90\n")
    assert "release_after_hold" not in running("rules", "apply", *BY, "--yes").stdout
    (shown,) = running.json("rules", "show")
    assert (shown["rules"]["release_after_hold"], shown["rules"]["late_after_minutes"]) == ("previous", "90")


def test_a_bill_that_waits_is_counted_and_goes_on_waiting(running: Command) -> None:
    """1C, an exam, its end: under `fresh` the bill waits, also after the change. `bill confirm` ends that."""
    running("ingest", FILES / "1-on-file.x12")
    for minute, code in enumerate(("1C", "7H", "7I")):
        posted = 1_784_200_000_000 + minute * 60_000
        running("ingest", "-", stdin=event_line(disposition_code=code, action_at=posted, quantity=120))
    running("run", "--until-idle")
    waiting = running.json("bill", "show", BILL)[0]["doubts"]
    assert "RELEASE_PREDATES_HOLD" in waiting
    running.write("snp-router.toml", PREVIOUS)
    assert "RELEASE_PREDATES_HOLD 1" in running("rules", "apply", *BY, "--yes").stdout
    running("run", "--until-idle")
    assert running.json("bill", "show", BILL)[0]["doubts"] == waiting
    running("bill", "confirm", BILL, "--by", "J. Doe", "--reason", "the port office, by phone")
    running("run", "--until-idle")
    assert running.json("bill", "show", BILL)[0]["doubts"] == []


def test_own_codes_are_part_of_the_rules_row_by_row(running: Command) -> None:
    running.write("codes.csv", "code,meaning,agency,effect\nQQ,an informal note,CBP,INFO\n")
    running.write("snp-router.toml", '[rules]\ndisposition_codes = "codes.csv"\n')
    assert "disposition_codes.QQ: in force is none" in running("run", "--until-idle", code=2).stderr
    assert "disposition_codes.QQ: none -> INFO: an informal note\n" in running("rules", "apply", *BY, "--yes").stdout
    (running.folder / "codes.csv").unlink()
    (running.folder / "snp-router.toml").unlink()
    running("run", "--until-idle")  # the rows are in the registry
    assert "+codes.csv" in running("check").stdout
