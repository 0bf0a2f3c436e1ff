"""`handover`."""

from __future__ import annotations

import csv
import io
import re

import pytest

from router.cli.handover_command import hold_name
from tests.cli.conftest import BILL, Command


def test_handover_counts_each_section_and_shows_its_rows(routed: Command) -> None:
    shown = routed("handover", "--since", "1h").stdout
    assert re.search(r"^Handover from \d\d-\d\d \d\d:\d\dZ \(\d\d-\d\d \d\d:\d\d Eastern\) to ", shown)
    counts = re.findall(r"^\d.*$", shown, re.MULTILINE)
    headings = [line for line in counts if not re.match(r"\d\d-\d\d ", line)]
    assert headings == [
        "3 new do-not-loads: 0 standing, 2 not known to be read by all", "4 holds placed", "4 holds ended",
        "2 releases, 0 taken back", "0 outages, 0 open", "0 bills waiting now, 0 do-not-loads among them",
        "0 dead letters open now", "2 deeds by hand", "0 calls",
    ]  # fmt: skip
    assert re.search(rf"{BILL}  6H +RELEASED +unknown: NVXA, SLTC, OCNX, HARX", shown)


def test_handover_of_a_quiet_time_is_empty(routed: Command) -> None:
    shown = routed("handover", "--since", "3h", "--until", "2h").stdout
    assert "0 new do-not-loads: 0 standing" in shown
    assert routed.json("handover", "--since", "3h", "--until", "2h") == []


def test_a_cut_section_says_how_many_rows_are_left_out_and_how_to_get_them(routed: Command) -> None:
    done = routed("handover", "--since", "1h", "--limit", "1")
    assert "4 holds placed" in done.stdout
    assert "2 more: --limit 3, or --format csv" in done.stderr


def test_json_and_csv_have_every_row_with_its_section(routed: Command) -> None:
    rows = routed.json("handover", "--since", "1h", "--limit", "1")
    sections = [row["section"] for row in rows]
    assert sections.count("do_not_load") == 3
    assert list(dict.fromkeys(sections)) == ["do_not_load", "hold_placed", "hold_ended", "release", "deed"]
    in_csv = list(csv.DictReader(io.StringIO(routed("handover", "--since", "1h", "--format", "csv").stdout)))
    assert [row["section"] for row in in_csv] == sections
    assert in_csv[0]["unknown_of"] == "NVXA; SLTC; OCNX; HARX"


@pytest.mark.parametrize(
    ("span", "says"),
    [
        (("--since", "tonight"), "since: 'tonight' is not a time"),
        (("--since", "2099-01-01T00:00Z"), "is not earlier than"),
        (("--since", "1h", "--until", "2h"), "is not earlier than"),
    ],
)
def test_handover_refuses_a_stretch_that_can_t_be(routed: Command, span: tuple[str, ...], says: str) -> None:
    assert says in routed("handover", *span, code=2).stderr


@pytest.mark.parametrize(
    ("hold", "name"),
    [
        ("CBP:1H::", "1H"), ("CBP:6H:CSQU3054383:5", "6H on CSQU3054383"), ("BOX::CSQU305438:", "BOX on CSQU305438"),
        ("UNREADABLE:::", "UNREADABLE"), (None, "all holds"),
    ],
)  # fmt: skip
def test_a_hold_is_named_as_elsewhere(hold: str | None, name: str) -> None:
    assert hold_name(hold) == name
