"""`hold clear` and `bill confirm`."""

from __future__ import annotations

import json

import pytest

from router.demo.story import FILES
from tests.cli.conftest import BILL, Command, event_line

BY = ("--by", "J. Doe")
WHY = ("--source", "CBP Los Angeles", "--reason", "removal lost", "--ticket", "4711", *BY)


def held(command: Command) -> None:
    """A bill whose hold's removal was lost."""
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    held = event_line(disposition_code="1H", action_at="2026-07-15T08:00")
    released = event_line(disposition_code="1C", action_at="2026-07-15T09:00", quantity=120)
    command("ingest", "-", stdin=held + released)
    command("run", "--until-idle")


def test_a_confirmation_ends_what_is_in_doubt_and_no_hold_of_cbp(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    command("ingest", "-", stdin=event_line(disposition_code="QQ") + event_line(disposition_code="1H"))
    command("run", "--until-idle")
    (bill,) = command.json("bill", "show", BILL)
    assert {hold["kind"] for hold in bill["holds"]} == {"UNKNOWN_CODE", "CBP"}
    (unknown,) = (hold for hold in bill["holds"] if hold["kind"] == "UNKNOWN_CODE")
    words = ("--by", "J. Doe", "--reason", "by phone")
    command("bill", "confirm", BILL, *words, "--event", "0" * 24, code=3)
    (confirmed,) = command.json("bill", "confirm", BILL, *words, "--event", unknown["id"])
    assert (confirmed["doubts"], confirmed["covers"]) == (["UNKNOWN_CODE"], [unknown["id"]])
    assert len(confirmed["letters"]) == 1
    assert command("dead-letters", "list", "--format", "json", code=1).stdout == ""
    command("run", "--until-idle")
    (after,) = command.json("bill", "show", BILL)
    assert [hold["code"] for hold in after["holds"]] == ["1H"]
    refused = command("bill", "confirm", BILL, *words, code=2)
    assert "nothing to confirm" in refused.stderr


def test_a_hold_whose_removal_named_another_scope_is_shown_with_its_way_out(command: Command) -> None:
    command.set_up()
    on_box = event_line(disposition_code="1H", container_numbers=["CSQU3054383"], container_level=True)
    command("ingest", "-", stdin=on_box + event_line(disposition_code="1I", action_at="2026-07-16T11:00"))
    command("run", "--until-idle")
    (bill,) = command.json("bill", "show", BILL)
    (hold,) = bill["holds"]
    assert "REMOVAL_UNMATCHED" in bill["flags"]
    assert hold["removal_unmatched"] == bill["timeline"][-1]["event_id"]
    assert "`snp-router hold clear`" in command("bill", "show", BILL).stdout


def test_a_hold_is_cleared_and_another_person_has_to_confirm_it(command: Command) -> None:
    held(command)
    (hold,) = command.json("bill", "show", BILL)[0]["holds"]
    event = ("--event", hold["events"][0][:12])
    assert hold["events"][0][:12] in command("bill", "show", BILL).stdout
    (seen,) = command.json("hold", "clear", BILL, *event, *WHY, "--preview")
    assert (seen["holds"][0]["code"], seen["status"], seen["doubts"]) == (
        *("1H", "RELEASE_UNCONFIRMED"),
        ["CLEARED_BY_HAND"],
    )
    shown = command("hold", "clear", BILL, *event, *WHY)
    assert "ended: CBP 1H on the whole bill" in shown.stdout
    assert f"another person has to confirm it: `snp-router bill confirm {BILL}`" in shown.stderr
    command("run", "--until-idle")
    (bill,) = command.json("bill", "show", BILL)
    assert (bill["holds"], bill["doubts"], bill["cleared"][0]["code"]) == ([], ["CLEARED_BY_HAND"], "1H")
    assert "another person has to confirm it" in command("bill", "show", BILL).stdout
    refused = command("bill", "confirm", BILL, "--by", "A. Roe", "--reason", "seen", code=2)
    assert "another person has to confirm that" in refused.stderr, "another --by is no other person"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "name the events of the hold with --event, or give --all with --kind"),
        (("--all",), 2, "give --kind"),
        (("--all", "--kind", "CBP"), 2, "is cleared by the ids of its events"),
        (("--all", "--kind", "BOX"), 2, "has no such hold"),
        (("--all", "--kind", "NONSENSE"), 2, "kind"),
        (("--event", "0" * 24), 3, "has the event"),
    ],
)
def test_a_clearance_names_its_holds(command: Command, words: tuple[str, ...], code: int, says: str) -> None:
    held(command)
    assert says in command("hold", "clear", BILL, *words, *WHY, code=code).stderr


def test_many_bills_are_listed_and_confirmed_as_listed(command: Command) -> None:
    held(command)
    later = event_line(disposition_code="2H", action_at="2026-07-16T09:00")
    command("ingest", "-", stdin=later + event_line(disposition_code="2I", action_at="2026-07-17T09:00"))
    command("ingest", "-", stdin=event_line(disposition_code="1I", action_at="2026-07-17T09:00"))
    command("run", "--until-idle")
    (figures,) = command.json("check")
    assert figures["unconfirmed_releases"] == {"now": 1, "last_month": 1, "bills_of_last_month": 4}
    doubt = ("bill", "confirm", "--doubt", "RELEASE_PREDATES_HOLD")
    assert "give --preview FILE" in command(*doubt, *BY, "--reason", "x", code=2).stderr
    (row,) = command.json(*doubt, "--hold-code", "2H", "--preview", "bills.json")
    assert (row["bill"], row["doubts"]) == (BILL, ["RELEASE_PREDATES_HOLD"])
    assert json.loads((command.folder / "bills.json").read_text()) == [row]
    confirm = ("bill", "confirm", "--previewed", "bills.json", *BY, "--reason", "CBP's list")
    assert command.json(*confirm) == [{"confirmed": [BILL], "skipped": []}]
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["status"] == "RELEASED"
    assert f"skipped: {BILL}: changed since the preview" in command(*confirm, code=1).stderr


@pytest.mark.parametrize("text", ["{}", "[{}]", "[1]", "no json"])
def test_a_file_that_is_no_preview_is_refused(command: Command, text: str) -> None:
    command.set_up()
    (command.folder / "bills.json").write_text(text)
    refused = command("bill", "confirm", "--previewed", "bills.json", *BY, "--reason", "CBP's list", code=2)
    assert "is no file of `bill confirm --preview`" in refused.stderr
