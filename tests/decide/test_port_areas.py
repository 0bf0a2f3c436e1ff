"""Port areas: ports that count as one place of release, as data with a source in each row."""

from __future__ import annotations

import pytest

from router.decide.port_areas import load_port_areas, port_rows
from router.errors import UsageError
from router.model.identifiers import is_valid_port

USUAL = load_port_areas()


def test_a_row_without_a_source_that_was_read_is_off() -> None:
    assert all(row.source and is_valid_port(row.port) for row in port_rows())
    assert not [row for row in port_rows() if row.on and row.source == "not read"]


@pytest.mark.parametrize("ports", [("2704", "2709"), ("2811", "2809"), ("3001", "3002"), ("4601", "1001")])
def test_areas_that_are_on_by_default(ports: tuple[str, str]) -> None:
    assert USUAL.same(*ports)
    assert USUAL.same(*ports[::-1])


@pytest.mark.parametrize("ports", [("2704", "2811"), ("3001", "2709"), ("4601", "4602"), ("1401", "1402")])
def test_other_ports_are_places_of_their_own(ports: tuple[str, str]) -> None:
    assert not USUAL.same(*ports)


def test_a_rule_turns_on_an_area_of_the_table_or_adds_one() -> None:
    areas = load_port_areas(("Norfolk and Newport News", "2002 2004"))
    assert areas.same("1401", "1402")
    assert areas.same("2002", "2004")
    assert areas.same("2704", "2709")


def test_areas_that_share_a_port_are_one() -> None:
    areas = load_port_areas(("2709 2713", "2713 2712", "3901 3902"))
    assert areas.same("2704", "2712")
    assert not areas.same("2704", "3901")
    assert ("2704", "2709", "2712", "2713") in areas.members()


@pytest.mark.parametrize("text", ["Chicago", "2704", "2704 USLAX", ""])
def test_what_is_neither_an_area_nor_ports_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither two or more Schedule D ports nor one of Houston and Galveston"):
        load_port_areas((text,))
