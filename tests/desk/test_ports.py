"""The local time of each U.S. port."""

from __future__ import annotations

import csv
from importlib.resources import files
from zoneinfo import available_timezones

import pytest

from router.desk.ports import port_names, ports, zone_of


@pytest.mark.parametrize(
    ("port", "zone"),
    [
        ("2704", "America/Los_Angeles"), ("2709", "America/Los_Angeles"), ("4601", "America/New_York"),
        ("1401", "America/New_York"), ("1601", "America/New_York"), ("1703", "America/New_York"),
        ("2002", "America/Chicago"), ("5301", "America/Chicago"), ("1901", "America/Chicago"),
        ("3001", "America/Los_Angeles"), ("3126", "America/Anchorage"), ("3201", "Pacific/Honolulu"),
        ("4909", "America/Puerto_Rico"), ("5101", "America/Puerto_Rico"), ("0101", "America/New_York"),
    ],
)  # fmt: skip
def test_a_seaport_has_its_own_time(port: str, zone: str) -> None:
    found = zone_of(port)
    assert found is not None
    assert found.key == zone


@pytest.mark.parametrize(
    ("port", "zone", "neighbour"),
    [
        ("1819", "America/Chicago", "1801"), ("2008", "America/New_York", "2006"), ("2402", "America/Denver", "2403"),
        ("2907", "America/Boise", "2904"), ("3302", "America/Los_Angeles", "3301"),
        ("3904", "America/Chicago", "3984"), ("4116", "America/Chicago", "4115"),
    ],
)  # fmt: skip
def test_ports_of_one_district_may_have_different_times(port: str, zone: str, neighbour: str) -> None:
    found, other = zone_of(port), zone_of(neighbour)
    assert found is not None
    assert other is not None
    assert found.key == zone != other.key


def test_a_port_that_the_table_lacks_has_its_district_s_time_only_where_that_is_sure() -> None:
    assert "1699" not in ports()
    found = zone_of("1699")
    assert found is not None
    assert found.key == "America/New_York", "all of South Carolina has one time"
    for unsure in ("1899", "2099", "2499", "3399", "3999", "4199"):
        assert unsure not in ports()
        assert zone_of(unsure) is None


@pytest.mark.parametrize("port", [None, "", "27", "270", "27041", "6000", "9999", "vwxy"])
def test_what_is_no_known_port_has_no_time(port: str | None) -> None:
    assert zone_of(port) is None


def test_every_row_names_a_zone_of_the_tz_database_and_its_basis() -> None:
    assert {clock.zone for clock in ports().values()} <= available_timezones()
    assert {clock.basis for clock in ports().values()} == {"state", "place"}
    assert all(len(port) in (2, 4) and port.isdigit() for port in ports())
    by_state: dict[str, set[str]] = {}
    for clock in ports().values():
        if clock.basis == "state":
            by_state.setdefault(clock.state, set()).add(clock.zone)
    assert all(len(zones) == 1 for zones in by_state.values())


def test_every_port_of_an_area_has_a_time() -> None:
    table = files("router.decide").joinpath("port_areas.csv").read_text().splitlines()
    ports = {row["port"] for row in csv.DictReader(line for line in table if not line.startswith("#"))}
    assert "2704" in ports
    assert {port for port in ports if zone_of(port) is None} == set()


def test_a_port_has_the_name_of_its_place() -> None:
    assert port_names()["2704"] == "Los Angeles, CA"
    assert "9999" not in port_names()
