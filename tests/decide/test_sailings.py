"""A bill's sailing: merged from port calls, positively found, assumed and kept; and who is notified on its ground."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router import topics
from router.decide.audience import audience_of
from router.decide.registry import Registry
from router.decide.roster import voyage_of
from router.decide.sailing_reasons import roster_notes, roster_problems, unfound
from router.model.inputs import Shipment
from router.model.registry_values import Line, PortCall, Request, Sailing
from tests.checking.harness import Harness
from tests.checking.samples import ABOARD, HOUSE, IMO, PARTIES, START, event, filing

OTHER_IMO: Final = "9321483"
OPERATOR: Final = Line("OCNX", "operator", "026E", "holds")
SLOTS: Final = Line("SLTC", "charterer", "S26E", "own")
ON_SLOTS: Final = ABOARD | {"carrier_scac": "SLTC", "voyage_number": "S26E"}


def rotation(
    name: str, *calls: str | tuple[str, str], lines: tuple[Line, ...] = (OPERATOR, SLOTS), **more: Any
) -> Sailing:
    at = tuple(PortCall(None, call) if isinstance(call, str) else PortCall(*call) for call in calls)
    return Sailing(name, more.pop("imo_number", IMO), more.pop("vessel_name", "OCEAN EXEMPLAR"), at, lines, **more)


def roster(*sailings: Sailing) -> Registry:
    registry = Registry()
    for value in (*PARTIES, *sailings):
        registry.apply(value)
    return registry


def found(registry: Registry, today: str | None = None, **shipment: Any) -> tuple[str | None, str | None]:
    """Ids of the sailing positively found, and of the one assumed."""
    finding = registry.roster.find(voyage_of(Shipment(**(ON_SLOTS | shipment))), today)
    return finding.found and finding.found.sailing_id, finding.assumed and finding.assumed.sailing_id


# Port calls of one rotation


def test_records_of_two_port_calls_are_one_sailing_and_each_call_keeps_its_date() -> None:
    """Form 3171 is filed per port: one roster record a call, three days apart."""
    calls = (rotation("LAX", ("2704", "2026-07-28")), rotation("OAK", ("2811", "2026-07-31")))
    for order in permutations(calls):
        registry = roster(*order)
        assert found(registry) == ("LAX", None)
        assert found(registry, arrival_date="2026-07-31", port_of_unlading="2811") == ("LAX", None)
        (merged,) = registry.roster.sailings().values()
        assert merged.calls == (PortCall("2704", "2026-07-28"), PortCall("2811", "2026-07-31"))
        assert [line.scac for line in merged.lines] == ["OCNX", "SLTC"]
        assert registry.roster.sailing("OAK") == merged


def test_the_same_voyage_number_three_weeks_later_is_another_sailing() -> None:
    registry = roster(rotation("FIRST", "2026-07-28"), rotation("SECOND", "2026-08-18"))
    assert found(registry) == ("FIRST", None)
    assert found(registry, arrival_date="2026-08-20") == ("SECOND", None)


@pytest.mark.parametrize(
    ("other", "merges"),
    [
        (rotation("B", "2026-08-05", lines=(OPERATOR,)), True),
        (rotation("B", "2026-08-05", lines=(OPERATOR._replace(voyage_number="26E"), SLOTS)), True),
        (rotation("B", lines=(OPERATOR, SLOTS)), True),
        (rotation("B", "2026-08-12"), False),
        (rotation("B", "2026-07-30", lines=(OPERATOR._replace(voyage_number="027E"), SLOTS)), False),
        (rotation("B", "2026-07-30", lines=(OPERATOR, SLOTS._replace(voyage_number="S27E"))), False),
        (rotation("B", "2026-07-30", lines=(OPERATOR._replace(scac="THRD"), SLOTS)), False),
        (rotation("B", "2026-07-30", imo_number=OTHER_IMO), False),
    ],
)
def test_records_are_one_sailing_by_ship_operator_voyage_numbers_and_dates(other: Sailing, merges: bool) -> None:
    registry = roster(rotation("A", "2026-07-28"), other)
    assert (len(registry.roster.sailings()) == 1) == merges


def test_a_merged_sailing_has_the_first_lading_date_and_the_widest_scope_of_its_records() -> None:
    one = rotation("A", "2026-07-28", first_lading_date="2026-07-12")
    other = rotation("B", "2026-07-31", lines=(OPERATOR, SLOTS._replace(scope="holds")), first_lading_date="2026-07-14")
    (merged,) = roster(other, one).roster.sailings().values()
    assert merged.first_lading_date == "2026-07-12"
    assert [line.scope for line in merged.lines] == ["holds", "holds"]


def test_a_record_that_is_corrected_leaves_the_sailing_that_it_was_part_of() -> None:
    registry = roster(rotation("A", "2026-07-28"), rotation("B", "2026-07-31"))
    registry.apply(rotation("B", "2026-09-30"))
    assert {name: one.dates for name, one in registry.roster.sailings().items()} == {
        "A": ("2026-07-28",),
        "B": ("2026-09-30",),
    }


# Positively found


@pytest.mark.parametrize(
    "shipment",
    [
        {},
        {"voyage_number": "0S26E"},
        {"arrival_date": None},
        {"arrival_date": "2026-08-11"},
        {"vessel_name": None},
        {"carrier_scac": "OCNX", "voyage_number": "26E"},
        {"carrier_scac": "OCNX", "voyage_number": "0026E"},
    ],
)
def test_a_sailing_is_positively_found_by_ship_and_the_manifest_carrier_s_own_number(shipment: dict[str, Any]) -> None:
    assert found(roster(rotation("A", "2026-07-28")), **shipment) == ("A", None)


@pytest.mark.parametrize(
    ("sent", "registered"), [("LONGV", "LONGVOYAGE"), ("0LONG", "LONGVOYAGE"), ("LONGV", "0LONGVOYAGE")]
)
def test_a_number_cut_to_five_places_is_the_carrier_s_own(sent: str, registered: str) -> None:
    registry = roster(rotation("A", "2026-07-28", lines=(OPERATOR, SLOTS._replace(voyage_number=registered))))
    assert found(registry, voyage_number=sent) == ("A", None)
    assert found(registry, voyage_number=sent[:4]) == (None, "A")


def test_of_two_that_fit_neither_is_positively_found() -> None:
    """One ship's loops of ten days, each with the charterer's same number."""
    first = rotation("A", "2026-07-25")
    second = rotation("B", "2026-08-04", lines=(OPERATOR._replace(voyage_number="027E"), SLOTS))
    assert found(roster(first, second)) == (None, "A")


# Assumed


@pytest.mark.parametrize(
    "shipment",
    [
        pytest.param({"imo_number": None}, id="CAMIR without IMO number, conditional there"),
        pytest.param({"imo_number": "9074728"}, id="an IMO number that fails its check digit"),
        pytest.param({"carrier_scac": "MISS"}, id="manifest carrier missing from the roster"),
        pytest.param({"carrier_scac": None}, id="no carrier"),
        pytest.param({"voyage_number": "S99E"}, id="a wrong voyage number"),
        pytest.param({"voyage_number": "026E"}, id="another line's voyage number"),
        pytest.param({"voyage_number": None, "carrier_scac": None}, id="ship and date alone"),
        pytest.param({"voyage_number": None, "arrival_date": None}, id="ship and carrier alone"),
        pytest.param({"carrier_scac": "MISS", "arrival_date": None}, id="ship and another line's number"),
    ],
)
def test_a_sailing_of_the_ship_is_assumed(shipment: dict[str, Any]) -> None:
    assert found(roster(rotation("A", "2026-07-28")), **shipment) == (None, "A")


@pytest.mark.parametrize(
    "shipment",
    [
        pytest.param({"imo_number": OTHER_IMO}, id="another ship"),
        pytest.param({"imo_number": None, "vessel_name": "ANOTHER SHIP"}, id="another ship by name"),
        pytest.param({"arrival_date": "2026-08-12"}, id="more than 14 days from its call"),
        pytest.param({"carrier_scac": "MISS", "voyage_number": "X", "arrival_date": None}, id="the ship alone"),
    ],
)
def test_nothing_is_assumed_of_another_ship_or_time(shipment: dict[str, Any]) -> None:
    assert found(roster(rotation("A", "2026-07-28")), **shipment) == (None, None)


def test_of_several_the_nearest_date_is_assumed_then_the_port_of_call() -> None:
    other = (OPERATOR._replace(voyage_number="027E"),)
    registry = roster(rotation("A", ("2704", "2026-07-20")), rotation("B", ("2811", "2026-07-30"), lines=other))
    assert found(registry, carrier_scac="MISS", arrival_date="2026-07-24") == (None, "A")
    assert found(registry, carrier_scac="MISS", arrival_date="2026-07-26") == (None, "B")
    assert found(registry, carrier_scac="MISS", arrival_date="2026-07-25") == (None, "A")
    assert found(registry, carrier_scac="MISS", arrival_date="2026-07-25", port_of_unlading="2811") == (None, "B")


def test_without_an_arrival_date_the_next_arrival_is_assumed_and_no_past_one() -> None:
    other = (OPERATOR._replace(voyage_number="027E"), SLOTS._replace(voyage_number="S27E"))
    registry = roster(rotation("A", "2026-07-20"), rotation("B", "2026-08-30", lines=other))
    wrong = {"voyage_number": "WRONG", "arrival_date": None}
    assert found(registry, "2026-07-10", **wrong) == (None, "A")
    assert found(registry, "2026-07-21", **wrong) == (None, "B")
    assert found(registry, "2026-08-31", **wrong) == (None, None)


def test_a_vessel_name_with_two_imo_numbers_waits_with_an_alarm() -> None:
    harness = with_roster(rotation("A", "2026-07-28"), rotation("B", "2026-07-28", imo_number=OTHER_IMO))
    harness.decide(event("6H", 1, **ON_SLOTS | {"imo_number": None}))
    assert harness.notices("OCNX") == []
    assert harness.latest(topics.WAITING)[HOUSE]["reasons"] == ("VESSEL_AMBIGUOUS", "NO_SNP")


def with_roster(*sailings: Sailing) -> Harness:
    harness = Harness(now=START)
    harness.roster(*PARTIES, *sailings)
    return harness


UNSURE: Final = ON_SLOTS | {"voyage_number": "WRONG", "snps": ("SLTC",)}


def test_the_operator_of_an_assumed_sailing_gets_stops_their_changes_and_their_ends_alone() -> None:
    harness = with_roster(rotation("A", "2026-07-28", lines=(OPERATOR._replace(scope="all"), SLOTS)))
    codes = ("55", "6H", "19", "2H", "6I", "1C", "2I", "1C", "1H")
    harness.decide(*(event(code, minute, **UNSURE) for minute, code in enumerate(codes)))
    assert [one["disposition_code"] for one in harness.notices("OCNX")] == ["6H", "2H", "6I", "2I", "1H"]
    assert harness.kinds("OCNX") == ["hold", "hold", "change", "change", "hold"]
    assert all("SAILING_ASSUMED" in one["flags"] for one in harness.notices("OCNX"))
    assert harness.latest(topics.WAITING)[HOUSE]["reasons"] == ("SAILING_ASSUMED",)


def test_an_assumed_sailing_discloses_the_stop_alone() -> None:
    harness = with_roster(rotation("A", "2026-07-28"))
    secret = {"entry_number": "AB100045215", "remarks": "CALL", "manifest_sequence_number": "000001"}
    harness.decide(event("6H", 1, **UNSURE, **secret, container_numbers=("CSQU3054383",), master_bill="SLTCMB1"))
    (notice,) = harness.notices("OCNX")
    shown = {name: value for name, value in notice.items() if value not in (None, (), False)}
    own = {"kind", "notice_id", "event_id", "cause", "flags", "recipient", "roles", "recipient_voyage_number"}
    about = {"scac", "bill_of_lading", "container_numbers", "vessel_name", "imo_number", "do_not_load", "holds"}
    assert shown.keys() - own == about | {"disposition_code", "code_meaning", "action_at"}
    (hold,) = notice["holds"]
    assert {name for name, value in hold.items() if value is not None} == {"code", "kind", "placed_at", "meaning"}


def test_a_release_is_no_release_to_a_line_that_may_not_be_aboard() -> None:
    harness = with_roster(rotation("A", "2026-07-28"))
    harness.decide(
        event("55", 0, **UNSURE), event("1H", 1, **UNSURE), event("1C", 2, **UNSURE), event("1I", 3, **UNSURE)
    )
    harness.decide(event("1C", 4, **UNSURE))
    assert harness.status(HOUSE) == "RELEASED"
    assert harness.kinds("OCNX") == ["hold", "change"]


def test_a_line_s_scope_governs_what_an_assumed_sailing_gives_it() -> None:
    for scope, heard in (("own", []), ("do-not-load", ["6H"]), ("holds", ["1H", "6H"])):
        harness = with_roster(rotation("A", "2026-07-28", lines=(OPERATOR._replace(scope=scope), SLOTS)))
        harness.decide(event("1H", 1, **UNSURE), event("6H", 2, **UNSURE))
        assert [one["disposition_code"] for one in harness.notices("OCNX")] == heard


# Kept


def test_a_typing_error_in_the_voyage_dismisses_nobody() -> None:
    """6H with voyage S26E, then 56 with S26: the operator stays, and gets the next hold in full."""
    harness = with_roster(rotation("A", "2026-07-28"))
    harness.decide(event("6H", 1, **ON_SLOTS), event("56", 2, **ON_SLOTS | {"voyage_number": "S26"}), event("2Q", 3))
    assert [one["disposition_code"] for one in harness.notices("OCNX")] == ["6H", "56", "2Q"]
    assert harness.notices("OCNX")[-1]["voyage_number"] == "S26"
    assert "NO_LONGER_NOTIFIED" not in {one["cause"] for one in harness.notices("OCNX")}


def test_an_amended_filing_with_a_typing_error_dismisses_nobody() -> None:
    harness = with_roster(rotation("A", "2026-07-28"))
    filed = {**ON_SLOTS, "snps": ("SLTC",)}
    harness.decide(
        filing(**filed), event("6H", 1), filing(minute=2, **filed | {"voyage_number": "S26"}), event("2Q", 3)
    )
    assert [one["disposition_code"] for one in harness.notices("OCNX")] == ["6H", "2Q"]


def test_the_identifiers_of_a_late_event_find_the_sailing_that_a_later_one_got_wrong() -> None:
    for order in permutations((event("6H", 1, **ON_SLOTS), event("56", 2, **ON_SLOTS | {"voyage_number": "S26"}))):
        harness = with_roster(rotation("A", "2026-07-28"))
        harness.decide(*order)
        state = harness.state(HOUSE)
        assert state is not None
        assert state.sailing is not None
        assert state.sailing.sailing_id == "A"
        assert harness.notices("OCNX")[-1]["status"] == "DO_NOT_LOAD"


def test_a_bill_that_moved_to_another_ship_leaves_the_first_one_s_parties_although_it_is_stopped() -> None:
    other = (Line("THRD", "operator", "T9", "holds"), SLOTS._replace(voyage_number="S99"))
    harness = with_roster(
        rotation("A", "2026-07-28"), rotation("B", "2026-08-20", imo_number=OTHER_IMO, vessel_name="B", lines=other)
    )
    moved = {"imo_number": OTHER_IMO, "vessel_name": "B", "voyage_number": "S99", "arrival_date": "2026-08-20"}
    harness.decide(event("6H", 1, **ON_SLOTS), event("56", 2, **ON_SLOTS | moved), event("2Q", 3))
    assert [one["cause"] for one in harness.notices("OCNX")] == ["DISPOSITION", "NO_LONGER_NOTIFIED"]
    assert [one["disposition_code"] for one in harness.notices("THRD")][-1] == "2Q"


def test_a_move_that_is_not_positively_found_adds_the_other_operator_and_dismisses_nobody() -> None:
    other = (Line("THRD", "operator", "T9", "holds"),)
    harness = with_roster(
        rotation("A", "2026-07-28"), rotation("B", "2026-08-20", imo_number=OTHER_IMO, vessel_name="B", lines=other)
    )
    moved = {"imo_number": OTHER_IMO, "vessel_name": "B", "voyage_number": "S99", "arrival_date": "2026-08-20"}
    harness.decide(event("6H", 1, **ON_SLOTS), event("56", 2, **ON_SLOTS | moved), event("2Q", 3))
    assert [one["disposition_code"] for one in harness.notices("OCNX")][-1] == "2Q"
    assert [one["disposition_code"] for one in harness.notices("THRD")][-1] == "2Q"
    assert harness.latest(topics.WAITING)[HOUSE]["reasons"] == ("SAILING_ASSUMED", "NO_SNP")


def test_a_line_that_an_import_drops_leaves_at_once_or_after_the_end_of_a_stop() -> None:
    third = Line("THRD", "charterer", "T26", "all")
    for stopped, last in ((False, "NO_LONGER_NOTIFIED"), (True, "DISPOSITION")):
        harness = with_roster(rotation("A", "2026-07-28", lines=(OPERATOR, SLOTS, third)))
        harness.decide(event("1H" if stopped else "55", 1, **ON_SLOTS))
        harness.roster(rotation("A", "2026-07-28"))
        harness.pump()
        assert harness.notices("THRD")[-1]["cause"] == last
    harness.decide(event("1I", 2))
    assert (harness.notices("THRD")[-1]["disposition_code"], harness.notices("THRD")[-1]["holds"]) == ("1I", ())
    harness.decide(event("1C", 3))
    assert harness.notices("THRD")[-1]["cause"] == "NO_LONGER_NOTIFIED"


def test_a_sailing_registered_under_another_id_too_stays_the_same() -> None:
    harness = with_roster(rotation("B", "2026-07-28"))
    harness.decide(event("6H", 1, **ON_SLOTS))
    harness.roster(rotation("A", "2026-07-30"))
    harness.pump()
    harness.decide(event("2Q", 2))
    assert [one["cause"] for one in harness.notices("OCNX")] == ["DISPOSITION"] * 2


def test_the_operator_of_an_assumed_sailing_leaves_when_the_right_one_is_found() -> None:
    other = (Line("THRD", "operator", "T9", "holds"), SLOTS)
    harness = with_roster(
        rotation("A", "2026-07-28"), rotation("B", "2026-07-28", imo_number=OTHER_IMO, vessel_name="B", lines=other)
    )
    harness.decide(
        event("6H", 1, **UNSURE), event("56", 2, **UNSURE | {"imo_number": OTHER_IMO, "voyage_number": "S26E"})
    )
    assert [one["cause"] for one in harness.notices("OCNX")] == ["DISPOSITION", "NO_LONGER_NOTIFIED"]
    assert [one["cause"] for one in harness.notices("THRD")] == ["CATCH_UP"]


def test_the_operator_of_a_ship_named_in_error_leaves_when_the_bill_is_found_on_its_own_again() -> None:
    """One 56 with another ship's IMO number: its operator gets the stop, and no later one of a competitor's bill."""
    other = (Line("THRD", "operator", "T9", "holds"),)
    wrong = ON_SLOTS | {"imo_number": OTHER_IMO, "vessel_name": "B"}
    for between in ((), (event("1J", 3, **wrong | {"imo_number": "9241061"}),)):
        harness = with_roster(
            rotation("A", "2026-07-28"), rotation("B", "2026-07-28", imo_number=OTHER_IMO, vessel_name="B", lines=other)
        )
        harness.decide(event("6H", 1, **ON_SLOTS), event("56", 2, **wrong), *between)
        harness.decide(event("2Q", 4, **ON_SLOTS), event("1H", 5, **ON_SLOTS))
        assert harness.notices("THRD")[-1]["cause"] == "NO_LONGER_NOTIFIED"
        assert "2Q" not in {one.get("disposition_code") for one in harness.notices("THRD")}
        assert [one["disposition_code"] for one in harness.notices("OCNX")][-2:] == ["2Q", "1H"]


# Reasons


@pytest.mark.parametrize(
    ("shipment", "reasons"),
    [
        ({"imo_number": None}, ["the bill has no IMO number"]),
        ({"imo_number": "9074728"}, ["IMO number 9074728 fails its check digit"]),
        ({"carrier_scac": "MISS"}, ["its manifest carrier MISS is not in the roster of A"]),
        ({"carrier_scac": None}, ["the bill has no manifest carrier"]),
        ({"voyage_number": None}, ["the bill has no voyage number"]),
        ({"voyage_number": "S99E"}, ["voyage number S99E is not SLTC's S26E"]),
        ({"arrival_date": "2026-08-17"}, ["arrival 2026-08-17 is 20 days from every call"]),
        (
            {"voyage_number": "S99E", "arrival_date": "2026-08-17"},
            ["voyage number S99E is not SLTC's S26E", "arrival 2026-08-17 is 20 days from every call"],
        ),
    ],
)
def test_each_reason_against_a_sailing_is_given(shipment: dict[str, Any], reasons: list[str]) -> None:
    voyage = voyage_of(Shipment(**(ON_SLOTS | shipment)))
    general, against = unfound(voyage, roster(rotation("A", "2026-07-28")))
    assert general == []
    assert [(one.sailing_id, found) for one, found in against] == [("A", reasons)]


def test_a_reason_names_the_other_sailing_that_fits_as_well() -> None:
    second = rotation("B", "2026-08-04", lines=(OPERATOR._replace(voyage_number="027E"), SLOTS))
    _, against = unfound(voyage_of(Shipment(**ON_SLOTS)), roster(rotation("A", "2026-07-25"), second))
    assert [reasons for _, reasons in against] == [["B fits as well"], ["A fits as well"]]


@pytest.mark.parametrize(
    ("shipment", "reason"),
    [
        ({"imo_number": OTHER_IMO}, "no sailing is registered for IMO number 9321483"),
        ({"imo_number": None, "vessel_name": None}, "the bill names no vessel"),
        ({"imo_number": None, "vessel_name": "B"}, "no sailing is registered for vessel name B"),
    ],
)
def test_a_vessel_that_is_not_known_is_the_reason(shipment: dict[str, Any], reason: str) -> None:
    registry = roster(rotation("A", "2026-07-28"))
    assert unfound(voyage_of(Shipment(**(ON_SLOTS | shipment))), registry) == ([reason], [])


def test_two_imo_numbers_of_a_name_are_the_reason_and_a_problem_of_the_roster() -> None:
    registry = roster(rotation("A", "2026-07-28"), rotation("B", "2026-07-28", imo_number=OTHER_IMO))
    ((reason,), _) = unfound(voyage_of(Shipment(**(ON_SLOTS | {"imo_number": None}))), registry)
    assert reason == "two IMO numbers are registered for the vessel name OCEAN EXEMPLAR: 9074729, 9321483"
    assert [*roster_problems(registry)] == [
        "vessel name OCEAN EXEMPLAR has the IMO numbers 9074729, 9321483: bills without IMO number wait"
    ]


def test_the_roster_s_overlaps_are_problems_and_its_merged_records_are_notes() -> None:
    second = rotation("C", "2026-08-04", lines=(OPERATOR._replace(voyage_number="027E"), SLOTS))
    registry = roster(rotation("A", "2026-07-25"), rotation("B", "2026-07-28"), second)
    assert [*roster_problems(registry)] == [
        "sailings A and C overlap: bills of SLTC with voyage number S26E fit both, so neither is found surely"
    ]
    assert [*roster_notes(registry)] == ["sailing A: one rotation of the records A, B, arrivals 2026-07-25, 2026-07-28"]


# Always


DAMAGE: Final[tuple[dict[str, Any], ...]] = (
    {"imo_number": None},
    {"imo_number": "9074720"},
    {"voyage_number": "0S26E"},
    {"voyage_number": "S26"},
    {"voyage_number": None},
    {"carrier_scac": "MISS"},
    {"carrier_scac": None},
    {"arrival_date": None},
    {"arrival_date": "2026-08-08"},
    {"arrival_date": "2026-07-17"},
    {"vessel_name": None},
)
damaged = st.lists(st.sampled_from(DAMAGE), max_size=2)
CODES: Final = ("6H", "2Q", "1H", "1I", "6I", "56", "55", "1C", "4A")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CODES), damaged), min_size=1, max_size=8))
def test_no_stop_is_lost_to_the_operator_by_damaged_identifiers(steps: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """A stop reaches whoever would get it with complete data: its hold, or the status now, before the next event.

    Unless the ship can't be told, which is listed as waiting. No party is dismissed while a stop stands.
    """
    whole, torn = (with_roster(rotation("A", "2026-07-28")) for _ in range(2))
    for minute, (code, damage) in enumerate(steps):
        shipment = dict(ON_SLOTS)
        for one in damage:
            shipment |= one
        whole.decide(event(code, minute, **ON_SLOTS))
        torn.decide(event(code, minute, **shipment))
        bill = torn.bill(HOUSE)
        assert bill is not None
        audience = audience_of(HOUSE, bill.cargo, False, torn.shards[0].registry)
        if whole.kinds("OCNX") and bill.status.stopped and (bill.state.sailing or audience.assumed):
            assert [hold["code"] for hold in torn.notices("OCNX")[-1]["holds"]] == [
                hold["code"] for hold in whole.notices("OCNX")[-1]["holds"]
            ]
        if bill.state.sailing is None:
            assert torn.latest(topics.WAITING)[HOUSE]["reasons"]
        if bill.status.stopped:
            assert not any(one["cause"] == "NO_LONGER_NOTIFIED" for one in torn.notices("OCNX")[-1:])
    for party in ("THRD", "NVXB"):
        assert not torn.notices(party), "no ground covers it"
    for notice in torn.notices("OCNX"):
        assert notice["status"] is None or torn.state(HOUSE).sailing is not None  # type: ignore[union-attr]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_records_merge_to_the_same_sailings_in_any_order(days: list[int], random: Random) -> None:
    records = [rotation(f"R{day}", f"2026-0{7 + day // 31}-{day % 31 + 1:02d}") for day in days]
    first = roster(*records).roster.sailings()
    random.shuffle(records)
    assert roster(*records).roster.sailings() == first


def test_a_party_that_lost_its_ground_may_ask_for_a_resync_while_the_stop_stands() -> None:
    harness = with_roster(rotation("A", "2026-07-28"))
    filed = {**ON_SLOTS, "snps": ("NVXB",)}
    harness.decide(filing(**filed), event("6H", 1), filing(minute=2, **filed | {"snps": ("SLTC",)}))
    harness.register(Request("q1", "RESYNC", "NVXB", "me", START))
    harness.pump()
    assert [one["cause"] for one in harness.notices("NVXB")] == ["DISPOSITION", "RESYNC"]
    assert harness.notices("NVXB")[-1]["status"] is None
