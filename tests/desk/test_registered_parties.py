"""Whom a port can call: each party once, those who surely are concerned first."""

from __future__ import annotations

from router.decide.registry import Registry
from router.desk.registered_parties import CALLS_THERE, NO_SAILING, PORT_NOT_KNOWN, contacts
from router.model.registry_values import Line, Party, Sailing


def aboard(sailing_id: str, arrival: str | None, ports: tuple[str, ...], *scacs: str) -> Sailing:
    lines = tuple(Line(scac, "charterer", None, "own") for scac in scacs)
    return Sailing(sailing_id, "9074729", "OCEAN EXEMPLAR", arrival, lines, ports)


def registry(*values: Party | Sailing) -> Registry:
    made = Registry()
    for value in values:
        made.apply(value)
    return made


def test_a_line_is_listed_once_under_the_surest_ground() -> None:
    found = contacts(
        registry(
            Party("OCNX", "Ocean", contact_phone="1"),
            Party("HARX", "Harbour"),
            Party("NVXA", "Consolidators"),
            aboard("S1", "2026-07-28", ("2704",), "OCNX", "SLTC"),
            aboard("S2", "2026-08-28", (), "OCNX", "HARX"),
            aboard("S3", "2026-08-30", ("5301",), "HARX"),
        ),
        "2704",
    )
    assert [(one.scac, one.ground) for one in found] == [
        ("OCNX", CALLS_THERE),
        ("SLTC", CALLS_THERE),
        ("HARX", PORT_NOT_KNOWN),
        ("NVXA", NO_SAILING),
    ]
    assert [one.name for one in found] == ["Ocean", None, "Harbour", "Consolidators"]


def test_an_alias_is_its_party_and_its_latest_ships_come_first() -> None:
    (found,) = contacts(
        registry(
            Party("OCNX", "Ocean", aliases=("OCNY",)),
            aboard("S1", "2026-07-28", ("2704",), "OCNX", "OCNY"),
            aboard("S2", "2026-08-28", ("2704",), "OCNY"),
            aboard("S3", None, ("2704",), "OCNY"),
        ),
        "2704",
    )
    assert (found.scac, [sailing.sailing_id for sailing in found.sailings]) == ("OCNX", ["S3", "S2", "S1"])


def test_los_angeles_and_long_beach_are_one_place() -> None:
    (found,) = contacts(registry(aboard("S1", None, ("2704",), "OCNX")), "2709")
    assert found.ground == CALLS_THERE
