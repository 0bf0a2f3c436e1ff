"""The commands that ask the desk's index."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.cli.conftest import BILL, Command


def lines(output: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("words", [("CSQU", "305438-3"), ("csqu305438",), ("NVXA", "HBL000012345"), ("12345",)])
def test_find_takes_numbers_as_they_are_written(routed: Command, words: tuple[str, ...]) -> None:
    assert BILL in routed("find", *words).stdout


def test_find_has_all_kinds_in_json(routed: Command) -> None:
    found = lines(routed("find", "OCEAN", "EXEMPLAR", "--format", "json").stdout)
    assert {one["found"] for one in found} >= {"vessel", "sailing"}


def test_bills_are_listed_by_facets_with_the_count_of_the_rest(routed: Command) -> None:
    shown = routed("bills", "--vessel", "Ocean Exemplar", "--limit", 1)
    assert "HARXHX5550001" in shown.stdout  # held, so it comes first
    assert "3 more: --limit 4" in shown.stderr
    everything = lines(routed("bills", "--format", "json").stdout)
    released = lines(routed("bills", "--status", "released", "--format", "json").stdout)
    assert {one["bill"] for one in released} == {one["bill"] for one in everything if one["status"] == "RELEASED"}
    rows = list(csv.DictReader(io.StringIO(routed("bills", "--format", "csv").stdout)))
    assert [row["bill"] for row in rows] == [one["bill"] for one in everything]


def test_a_facet_that_selects_nothing_is_wrong_usage(routed: Command) -> None:
    assert "is none of" in routed("bills", "--status", "stopped", code=2).stderr
    assert "is no day" in routed("bills", "--arriving", "soon", code=2).stderr


def test_bills_that_nobody_has_are_said_to_be_none(routed: Command) -> None:
    assert "no bill fits" in routed("bills", "--vessel", "NO SUCH SHIP").stderr


def test_a_box_shows_every_bill_in_it(routed: Command) -> None:
    shown = routed("box", "CSQU", "305438-3").stdout
    assert "CSQU 305438-3" in shown
    assert BILL in shown
    (fields,) = lines(routed("box", "csqu305438", "--format", "json").stdout)
    assert fields["container_number"] == "CSQU3054383"
    rows = list(csv.DictReader(io.StringIO(routed("box", "csqu305438", "--format", "csv").stdout)))
    assert [row["bill"] for row in rows] == [bill["bill"] for bill in fields["bills"]]  # type: ignore[attr-defined]


def test_a_number_that_is_no_container_is_wrong_usage(routed: Command) -> None:
    assert "check digit of CSQU305438 is 3" in routed("box", "CSQU3054384", code=2).stderr
