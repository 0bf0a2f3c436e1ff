"""Files as they really come: damaged, wrapped, of another system, or with numbers that a spreadsheet has changed.

Each is ingested and routed. The bill's status and the notices of each party decide.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.conftest import Command

INPUTS = Path(__file__).parent / "inputs"
PARTIES = ("OCNX", "SLTC", "HARX", "NVXA", "NVXB")


class Route:
    """One file on a fresh log with the demo's parties and sailing."""

    def __init__(self, command: Command, file: str) -> None:
        self._command = command
        command.set_up()
        (self.intake,) = command.json("ingest", INPUTS / file)
        command("run", "--until-idle")

    def bill(self, key: str) -> dict[str, Any]:
        (shown,) = self._command.json("bill", "show", key)
        return shown

    def notices(self, party: str, key: str) -> list[dict[str, Any]]:
        found = self._command.json("tail", "--party", party, "--until-end")
        return [one for one in found if one["scac"] + one["bill_of_lading"] == key]

    def parties_told(self, key: str) -> set[str]:
        return {party for party in PARTIES if self.notices(party, key)}

    def letters(self) -> list[dict[str, Any]]:
        return self._command.json("dead-letters", "list")


class Expected(NamedTuple):
    file: str
    bill: str
    status: str
    told: set[str] | None = None
    """Every party that hears of the bill; None: not looked at."""


CASES = (
    Expected("lost-terminator-hold/in.x12", "HARXGLUE00000001", "HELD"),
    Expected("leak-to-next-bills-snp/in.x12", "NVXALEAKA0000001", "HELD", {"NVXA", "HARX", "OCNX"}),
    Expected("leak-to-next-bills-snp/in.x12", "NVXBLEAKB0000001", "HELD"),
    Expected("leak-to-next-bills-snp/lower.x12", "NVXALEAKA0000001", "HELD", {"NVXA", "HARX", "OCNX", "SLTC"}),
    Expected("leak-to-next-bills-snp/lower.x12", "NVXBLEAKB0000001", "HELD", {"NVXB", "HARX", "OCNX"}),
    Expected("time-zone-ut/ut.x12", "HARXZONE00000001", "RELEASE_UNCONFIRMED"),
    Expected("time-zone-ut/control.x12", "HARXZONE00000002", "RELEASE_UNCONFIRMED"),
    Expected("json-epoch-seconds/seconds.jsonl", "HARXSECS00000001", "HELD"),
    Expected("json-epoch-seconds/control.jsonl", "HARXSECS00000002", "RELEASE_UNCONFIRMED"),
    Expected("bill-with-scac-in-front/in.x12", "NVXAHBL000012345", "DO_NOT_LOAD"),
    Expected("bill-with-scac-in-front/in.jsonl", "NVXAHBL000012345", "DO_NOT_LOAD"),
    Expected("bill-dash-blank-scientific/in.x12", "NVXBHBL000067890", "DO_NOT_LOAD"),
    Expected("x12-in-80-columns/crlf.x12", "NVXAWRAP00000001", "HELD", {"NVXA", "HARX", "OCNX", "SLTC"}),
    Expected(
        "x12-in-80-columns/fixed80-blank-filled.x12", "NVXAWRAP00000001", "HELD", {"NVXA", "HARX", "OCNX", "SLTC"}
    ),
    Expected("ack-sets-in-same-mailbox/in.x12", "NVXAWRAP00000001", "HELD", {"NVXA", "HARX", "OCNX", "SLTC"}),
    Expected("fall-back-zones/in.x12", "HARXFALL00000001", "RELEASED"),
    Expected("fall-back-zones/in.x12", "HARXFALL00000002", "HELD"),
    Expected("fall-back-zones/in.x12", "HARXSPRG00000001", "RELEASED"),
    Expected("ebcdic-utf16/ebcdic.x12", "NVXAWRAP00000001", "HELD"),
    Expected("ebcdic-utf16/utf16.x12", "NVXAWRAP00000001", "HELD"),
    Expected("nbsp-before-segment/in.x12", "NVXAWRAP00000001", "HELD", {"NVXA", "HARX", "OCNX", "SLTC"}),
    Expected("ta1-before-gs/in.x12", "NVXAFORM00000001", "HELD", {"NVXA", "HARX", "OCNX", "SLTC"}),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}:{case.bill}")
def test_the_bill_and_its_parties(command: Command, case: Expected) -> None:
    route = Route(command, case.file)
    bill = route.bill(case.bill)
    assert bill["status"] == case.status
    if case.told is not None:
        assert route.parties_told(case.bill) == case.told


def test_a_bill_glued_to_another_is_held_and_both_are_kept(command: Command) -> None:
    route = Route(command, "lost-terminator-hold/in.x12")
    assert {hold["kind"] for hold in route.bill("HARXGLUE00000001")["holds"]} == {"UNREADABLE"}
    assert all(notice["kind"] != "release" for notice in route.notices("HARX", "HARXGLUE00000001"))
    assert any(letter["bill_of_lading"] == "GLUE00000001" for letter in route.letters())


def test_the_next_bills_party_hears_nothing_of_the_bill_before(command: Command) -> None:
    route = Route(command, "leak-to-next-bills-snp/in.x12")
    assert route.notices("NVXB", "NVXALEAKA0000001") == []
    assert [notice["kind"] for notice in route.notices("NVXB", "NVXBLEAKB0000001")] == ["hold"]


@pytest.mark.parametrize("file", ["bill-with-scac-in-front/in.x12", "bill-with-scac-in-front/in.jsonl"])
def test_a_repaired_number_is_flagged(command: Command, file: str) -> None:
    route = Route(command, file)
    assert "IDENTIFIER_DOUBTFUL" in route.notices("NVXA", "NVXAHBL000012345")[-1]["flags"]


@pytest.mark.parametrize("file", ["bill-with-scac-in-front", "bill-dash-blank-scientific"])
def test_a_table_with_such_numbers_is_refused_row_by_row(command: Command, file: str) -> None:
    command.set_up()
    (done,) = command.json("import", "filings", INPUTS / file / "filings.csv", code=1)
    rows = (INPUTS / file / "filings.csv").read_text().splitlines()[1:]
    assert done["taken_in"] == 0
    assert len(done["problems"]) == len(rows)


def test_messages_for_others_are_counted_and_named(command: Command) -> None:
    route = Route(command, "ack-sets-in-same-mailbox/in.x12")
    assert route.letters() == []
    assert route.intake["others"] == {"997": 1}


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("letter-as-terminator/latin1.x12", "terminator"),
        ("letter-as-terminator/utf8.x12", "terminator"),
        ("isa16-missing/in.x12", "ISA16"),
    ],
)
def test_an_envelope_that_is_not_read_is_explained(command: Command, file: str, word: str) -> None:
    route = Route(command, file)
    letters = route.letters()
    if not letters:
        assert route.bill("NVXAFORM00000001")["status"] == "HELD"
        return
    assert any(word in letter["reason"] for letter in letters)


def test_the_hold_of_a_repeated_hour_is_shown_at_its_moment(command: Command) -> None:
    route = Route(command, "fall-back-zones/in.x12")
    assert [hold["placed_at"] for hold in route.bill("HARXFALL00000002")["holds"]] == ["2026-11-01T06:05:00Z"]
