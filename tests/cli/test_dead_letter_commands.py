"""`dead-letters`."""

from __future__ import annotations

import json

from router.demo.story import FILES
from tests.cli.conftest import BILL, Command, event_line


def test_a_dead_letter_is_kept_shown_and_retried_after_a_correction(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    taken = command("ingest", "-", stdin=event_line(action_at="2026-02-30T10:00") + "garbage\n")
    assert "2 dead letters" in taken.stdout
    assert "2026-02-30" in taken.stderr
    command("run", "--until-idle")
    letters = command.json("dead-letters", "list")
    stopping = next(letter for letter in letters if letter["bill_of_lading"])
    assert "content" not in stopping
    (whole,) = command.json("dead-letters", "show", stopping["id"][:8])
    assert json.loads(whole["content"])["action_at"] == "2026-02-30T10:00"
    assert command.json("bill", "show", BILL)[0]["status"] == "HELD"

    results = command.json("dead-letters", "retry", "--all", code=1)
    assert not any(result["retried"] for result in results)
    command.write("corrected.jsonl", event_line(disposition_code="3I"))
    (result,) = command.json("dead-letters", "retry", stopping["id"][:8], "--with", "corrected.jsonl")
    assert (result["retried"], result["events"]) == (True, 1)
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["holds"] == []
    assert stopping["id"] not in {letter["id"] for letter in command.json("dead-letters", "list")}
    resolution = {letter["id"]: letter["resolution"] for letter in command.json("dead-letters", "list", "--all")}
    assert resolution[stopping["id"]] == "RETRIED"


def test_a_dead_letter_is_dismissed_unless_it_stops_a_bill(command: Command) -> None:
    command.set_up()
    command("ingest", "-", stdin="price,list\n1,2\n")
    command("ingest", "-", stdin=event_line(disposition_code="QQ"))
    command("run", "--until-idle")
    letters = {letter["bill_of_lading"]: letter["id"] for letter in command.json("dead-letters", "list")}
    command("dead-letters", "dismiss", letters[None][:8], "--reason", "our own price list")
    assert [letter["bill_of_lading"] for letter in command.json("dead-letters", "list")] == [BILL[4:]]
    resolution = {letter["id"]: letter["resolution"] for letter in command.json("dead-letters", "list", "--all")}
    assert resolution[letters[None]] == "DISMISSED"
    stops = command("dead-letters", "dismiss", letters[BILL[4:]], "--reason", "in the way", code=2)
    assert f"bill confirm {BILL}" in stops.stderr
    again = command("dead-letters", "dismiss", letters[None], "--reason", "once more", code=2)
    assert "resolved already" in again.stderr


def test_dead_letters_of_an_unknown_code_are_retried_after_it_was_added(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    command("ingest", "-", stdin=event_line(disposition_code="QQ"))
    command("run", "--until-idle")
    command.write("codes.csv", "code,meaning,agency,effect\nQQ,an informal note,CBP,INFO\n")
    command.write("snp-router.toml", '[rules]\ndisposition_codes = "codes.csv"\n')
    command("rules", "apply", "--by", "me", "--reason", "CBP's new code", "--yes")
    (result,) = command.json("dead-letters", "retry", "--all")
    assert result["retried"]
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["holds"] == []


def test_a_message_in_doubt_is_accepted_and_never_just_retried(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    command("ingest", "-", stdin=(FILES / "3-lading-allowed.camir").read_text().replace("00007", "00009"))
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["status"] == "DO_NOT_LOAD"
    (letter,) = command.json("dead-letters", "list")
    assert (letter["in_doubt"], letter["bill_of_lading"]) == (True, None)
    assert command.json("dead-letters", "retry", "--all") == []
    deed = ("--by", "me", "--reason", "CBP meant it so")
    (accepted,) = command.json("dead-letters", "accept", letter["id"][:8], *deed)
    assert accepted == {"id": letter["id"], "events": 1, "frees": [BILL], "unreadable": []}
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["status"] == "ON_FILE"
    assert command.json("dead-letters", "list") == []


def test_many_equal_parts_are_one_line_with_a_count(command: Command) -> None:
    command.set_up()
    taken = command("ingest", "-", stdin="{}\n" * 500)
    assert "1 dead letter" in taken.stdout
    command("run", "--until-idle")
    (letter,) = command.json("dead-letters", "list")
    assert letter["times"] == 500
    assert "(500 times)" in command("dead-letters", "list").stdout
