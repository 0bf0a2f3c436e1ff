"""Look-up, a port's contacts, status and resync of registered parties."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.decide.port_areas import load_port_areas
from router.decide.registry import Registry
from router.desk.bill_views import NotFoundError
from router.desk.registered_parties import (
    CALLS_THERE,
    NO_SAILING,
    PORT_NOT_KNOWN,
    ask_resync,
    change_status,
    contacts,
    find_party,
)
from router.engine.administration import import_parties, prepare
from router.errors import UsageError
from router.log.url import open_log
from router.model.registry_values import Line, Party, PortCall, Sailing

AREAS = load_port_areas()


def aboard(sailing_id: str, arrival: str | None, ports: tuple[str, ...], *scacs: str) -> Sailing:
    lines = tuple(Line(scac, "charterer", None, "own") for scac in scacs)
    calls = tuple(PortCall(port, arrival) for port in ports) or (PortCall(None, arrival),)
    return Sailing(sailing_id, "9074729", "OCEAN EXEMPLAR", calls, lines)


def registry(*values: Party | Sailing) -> Registry:
    made = Registry()
    for value in values:
        made.apply(value)
    return made


def test_a_line_is_listed_once_under_its_first_ground() -> None:
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
        AREAS,
    )
    assert [(one.id, one.ground) for one in found] == [
        ("OCNX", CALLS_THERE),
        ("SLTC", CALLS_THERE),
        ("HARX", PORT_NOT_KNOWN),
        ("NVXA", NO_SAILING),
    ]
    assert [one.name for one in found] == ["Ocean", None, "Harbour", "Consolidators"]


def test_an_alias_counts_as_its_party_and_the_latest_ships_come_first() -> None:
    (found,) = contacts(
        registry(
            Party("OCNX", "Ocean", aliases=("OCNY",)),
            aboard("S1", "2026-07-28", ("2704",), "OCNX", "OCNY"),
            aboard("S2", "2026-08-28", ("2704",), "OCNY"),
            aboard("S3", None, ("2704",), "OCNY"),
        ),
        "2704",
        AREAS,
    )
    assert (found.id, [sailing.sailing_id for sailing in found.sailings]) == ("OCNX", ["S3", "S2", "S1"])


def test_los_angeles_and_long_beach_are_one_place() -> None:
    (found,) = contacts(registry(aboard("S1", None, ("2704",), "OCNX")), "2709", AREAS)
    assert found.ground == CALLS_THERE


async def test_a_party_is_found_by_its_alias_and_others_are_refused_with_a_message(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        with pytest.raises(NotFoundError, match=r"party OCNX is not registered; registered are none \(`snp-router imp"):
            await find_party(log, "OCNX")
        ocean, harbour = Party("OCNX", aliases=("OCNY",)), Party("HARX", status="external")
        await import_parties(log, [ocean, harbour])
        assert (await find_party(log, "ocny")).topic == "snp.party.OCNX"
        with pytest.raises(NotFoundError, match="party NONE is not registered; registered are HARX, OCNX"):
            await find_party(log, "NONE")
        with pytest.raises(UsageError, match="party HARX is external; import it again"):
            await change_status(log, harbour, "live")
        assert await change_status(log, ocean, "suspended")
        with pytest.raises(UsageError, match="party OCNX is suspended and gets no notices; make it live before"):
            await ask_resync(log, "OCNX", "J. Doe", 0)
