"""What crosses bills: boxes, masters and splits, through the index and never through another task's memory."""

from __future__ import annotations

from typing import Any

import pytest

from router import topics
from router.decide.boxes import Answer, IndexEntry, IndexGroup, answer, same_voyage
from router.model.inputs import Disposition, filing_fields, filing_of
from router.model.links import MORE_EVENTS, MOST_STOPPING_EVENTS, IndexFact, LinkFact
from tests.checking.harness import Harness
from tests.checking.samples import (
    ABOARD,
    BOX,
    HOUSE,
    MASTER,
    OTHER_BOX,
    OTHER_HOUSE,
    PARTIES,
    START,
    called,
    event,
    filing,
    on_container,
    sailing,
)

MINE = filing(HOUSE, master_bill=MASTER)
OTHERS = filing(OTHER_HOUSE, master_bill=MASTER)


@pytest.fixture
def router() -> Harness:
    harness = Harness(3, now=START)
    harness.roster(*PARTIES, sailing())
    return harness


def released(bill: str = HOUSE) -> Disposition:
    return event("1C", 1, bill=bill)


# Boxes


def test_a_do_not_load_on_one_bill_stops_the_box_for_every_bill_in_it(router: Harness) -> None:
    router.decide(MINE, OTHERS, released(), event("6H", 2, bill=OTHER_HOUSE))
    assert router.status(HOUSE) == "DO_NOT_LOAD"
    assert router.kinds("NVXA", HOUSE) == ["release", "hold"]


def test_a_hold_on_the_container_itself_stops_it_too(router: Harness) -> None:
    router.decide(MINE, OTHERS, released(), on_container("1H", 2, bill=OTHER_HOUSE))
    assert router.status(HOUSE) == "HELD"


def test_another_hold_of_one_bill_does_not_stop_the_others(router: Harness) -> None:
    router.decide(MINE, OTHERS, released(), event("1H", 2, bill=OTHER_HOUSE))
    assert router.status(HOUSE) == "RELEASED"


def test_when_the_box_is_free_the_bill_is_as_it_was(router: Harness) -> None:
    router.decide(MINE, OTHERS, released(), event("6H", 2, bill=OTHER_HOUSE), event("6I", 3, bill=OTHER_HOUSE))
    assert router.status(HOUSE) == "RELEASED"
    assert router.kinds("NVXA", HOUSE) == ["release", "hold", "release"]


def test_a_co_loader_hears_of_its_own_bill_and_nothing_of_the_other(router: Harness) -> None:
    router.decide(MINE, OTHERS, released(), event("6H", 2, bill=OTHER_HOUSE, remarks="OTHERS BUSINESS"))
    assert router.notices("NVXA", OTHER_HOUSE) == []
    notice = router.notices("NVXA", HOUSE)[-1]
    assert (notice["cause"], notice["event_id"], notice["disposition_code"]) == ("LINK", None, None)
    assert "CO_LOADER" in notice["roles"]
    (hold,) = notice["holds"]
    assert (hold["kind"], hold["code"], hold["container_number"]) == ("BOX", None, BOX)
    assert hold["placed_at"] is not None
    values = [record.value or b"" for record in router.records("snp.party.NVXA")]
    assert not any(OTHER_HOUSE[4:].encode() in value or b"6H" in value for value in values)


def events_behind(router: Harness, bill: str) -> set[str]:
    """Ids of the events behind a bill's holds."""
    known = router.bill(bill)
    assert known is not None
    return {event for hold in known.status.holds for event in hold.events}


def test_a_derived_hold_knows_the_events_behind_it_and_a_further_one_notifies_nobody(router: Harness) -> None:
    third = "THRDHBL000000001"
    router.decide(MINE, OTHERS, filing(third), event("6H", 2, bill=OTHER_HOUSE))
    heard = router.kinds("NVXA", HOUSE)
    router.decide(on_container("1H", 3, bill=third))
    assert events_behind(router, HOUSE) == events_behind(router, OTHER_HOUSE) | events_behind(router, third)
    assert len(events_behind(router, HOUSE)) == 2
    assert router.kinds("NVXA", HOUSE) == heard
    router.decide(event("6I", 4, bill=OTHER_HOUSE))
    assert len(events_behind(router, HOUSE)) == 1


def test_a_master_knows_the_events_of_its_houses(router: Harness) -> None:
    houses = [filing(bill, master_bill=MASTER, container_numbers=()) for bill in (HOUSE, OTHER_HOUSE)]
    router.decide(*houses, event("1H", 2), event("2H", 3), event("1H", 4, bill=OTHER_HOUSE))
    assert events_behind(router, MASTER) == events_behind(router, HOUSE) | events_behind(router, OTHER_HOUSE)
    assert len(events_behind(router, MASTER)) == 3


def test_a_bill_known_only_from_its_filing_is_told_of_the_box_and_of_its_end(router: Harness) -> None:
    router.decide(MINE, OTHERS, event("6H", 2, bill=OTHER_HOUSE))
    assert router.kinds("NVXA", HOUSE) == ["hold"]
    router.decide(event("6I", 3, bill=OTHER_HOUSE))
    assert router.kinds("NVXA", HOUSE) == ["hold", "change"]


def test_a_derived_hold_is_never_passed_on(router: Harness) -> None:
    third = "THRDB1"
    router.decide(MINE, OTHERS, filing(third, container_numbers=(OTHER_BOX,)))
    router.decide(filing(HOUSE, minute=5, container_numbers=(BOX, OTHER_BOX)), event("6H", 6, bill=OTHER_HOUSE))
    assert (router.status(HOUSE), router.status(third)) == ("DO_NOT_LOAD", "ON_FILE")


def test_a_bill_that_is_rolled_out_of_a_stopped_box_is_free(router: Harness) -> None:
    router.decide(MINE, OTHERS, released(), event("6H", 2, bill=OTHER_HOUSE))
    router.decide(filing(HOUSE, minute=9, container_numbers=(OTHER_BOX,)))
    assert router.status(HOUSE) == "RELEASED"
    router.decide(filing(HOUSE, minute=10, container_numbers=(BOX,)))
    assert router.status(HOUSE) == "DO_NOT_LOAD"


def test_a_bill_that_stops_a_box_and_leaves_it_frees_the_others(router: Harness) -> None:
    router.decide(MINE, OTHERS, released(), event("6H", 2, bill=OTHER_HOUSE))
    router.decide(filing(OTHER_HOUSE, minute=9, container_numbers=(OTHER_BOX,)))
    assert router.status(HOUSE) == "RELEASED"


def test_the_same_box_on_another_sailing_is_another_box(router: Harness) -> None:
    router.roster(sailing(sailing_id="S2", imo_number="9321483", calls=called("2026-08-20")))
    other = filing_of(filing_fields(OTHERS) | {"imo_number": "9321483", "arrival_date": "2026-08-20"})
    router.decide(MINE, other, released(), event("6H", 2, bill=OTHER_HOUSE))
    assert router.status(HOUSE) == "RELEASED"


WHERE = IndexFact("container:X", "A", True, imo_number="9074729", arrival_date="2026-07-28")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"sailing_id": "S1"}, {"sailing_id": "S1", "arrival_date": "2026-12-01"}, True),
        ({"sailing_id": "S1"}, {"sailing_id": "S2"}, True),
        ({"sailing_id": "S1"}, {"sailing_id": "S2", "arrival_date": "2026-08-18"}, False),
        ({"sailing_id": "S1"}, {"sailing_id": "S2", "imo_number": "9321483"}, False),
        ({"sailing_id": "S1"}, {}, True),
        ({}, {"imo_number": "9321483"}, False),
        ({}, {"arrival_date": "2026-07-30"}, True),
        ({}, {"arrival_date": "2026-08-28"}, False),
        ({}, {"arrival_date": None}, True),
        ({}, {"imo_number": None}, True),
        ({}, {"imo_number": None, "arrival_date": None}, True),
    ],
)
def test_boxes_are_told_apart_by_sailing_or_by_ship_and_date_and_in_doubt_are_the_same(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    first, second = WHERE._replace(**one), WHERE._replace(bill="B", **other)
    assert same_voyage(first, second) == same_voyage(second, first) == same


def told(group: IndexGroup, *facts: IndexFact) -> list[LinkFact]:
    for fact in facts:
        group.enter(fact)
    return answer(group, WHERE.key)[1]


def test_the_index_answers_only_who_hears_something_new() -> None:
    group = IndexGroup()
    facts = [WHERE._replace(bill=bill) for bill in "ABC"]
    assert told(group, *facts) == []
    stopping = facts[0]._replace(stopped=True, since=7)
    assert told(group, stopping) == [LinkFact(bill, "container:X", "BOX", True, False, 7) for bill in "BC"]
    assert group.entries["B"] == IndexEntry(facts[1], Answer(True, False, 7))
    assert told(group, stopping) == []
    assert [link.active for link in told(group, stopping._replace(present=False))] == [False, False]


def test_however_many_bills_stop_a_box_at_once_each_other_is_told_once() -> None:
    group = IndexGroup()
    facts = [WHERE._replace(bill=f"NVXA{number}", stopped=True, since=1000 - number) for number in range(1000)]
    assert len(told(group, *facts)) == 1000
    assert len(told(group, *(fact._replace(stopped=False) for fact in facts))) == 1000


def test_a_link_names_as_many_events_as_fit_and_that_there_are_more() -> None:
    group = IndexGroup()
    facts = [WHERE._replace(bill=f"NVXA{n:03}", stopped=True, since=n, events=(f"e{n:03}",)) for n in range(40)]
    links = {link.bill: link.events for link in told(group, *facts, WHERE)}
    assert links["A"] == (*(f"e{n:03}" for n in range(MOST_STOPPING_EVENTS)), MORE_EVENTS)
    assert links["NVXA000"] == (*(f"e{n:03}" for n in range(1, MOST_STOPPING_EVENTS + 1)), MORE_EVENTS)
    ended = [fact._replace(stopped=False, since=None, events=()) for fact in facts[:10]]
    links = {link.bill: link.events for link in told(group, *ended)}
    assert links["A"] == tuple(f"e{n:03}" for n in range(10, 40))


def test_bills_of_one_box_on_as_many_voyages_are_not_all_compared_with_each_other_for_each_fact() -> None:
    group = IndexGroup()
    days = [f"20{26 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}" for number in range(400)]
    facts = [WHERE._replace(bill=day, arrival_date=day, stopped=True) for day in days]
    assert len(told(group, *facts)) == len(days)


# Masters and houses


def test_a_master_is_held_while_any_house_is(router: Harness) -> None:
    houses = [filing(bill, master_bill=MASTER, container_numbers=()) for bill in (HOUSE, OTHER_HOUSE)]
    router.decide(*houses, filing(MASTER, container_numbers=(), bill_type="28"), event("1Z", 1, bill=MASTER))
    assert router.status(MASTER) == "MOVEMENT_AUTHORISED"
    router.decide(event("1H", 2), event("1H", 3, bill=OTHER_HOUSE))
    assert router.status(MASTER) == "HELD"
    notice = router.notices("OCNX", MASTER)[-1]
    assert [(hold["kind"], hold["code"]) for hold in notice["holds"]] == [("HOUSE", None)]
    router.decide(event("1I", 4))
    assert router.status(MASTER) == "HELD"
    router.decide(event("1I", 5, bill=OTHER_HOUSE))
    assert router.status(MASTER) == "MOVEMENT_AUTHORISED"


def test_a_master_that_is_not_known_yet_is_held_when_it_comes(router: Harness) -> None:
    router.decide(filing(master_bill=MASTER, container_numbers=()), event("1H", 1))
    router.decide(event("1Z", 2, bill=MASTER))
    assert router.status(MASTER) == "HELD"


def test_a_hold_on_the_master_does_not_go_down_to_the_houses(router: Harness) -> None:
    router.decide(filing(master_bill=MASTER, container_numbers=()), released(), event("1H", 2, bill=MASTER))
    assert router.status(HOUSE) == "RELEASED"


# Splits


def test_a_split_is_linked_on_both_bills_and_takes_no_hold_along(router: Harness) -> None:
    split = "NVXAHBL000012999"
    router.decide(filing(container_numbers=()), event("1H", 1))
    router.decide(event("55", 2, bill=split, original_bill=HOUSE, **ABOARD))
    assert router.status(split) == "ON_FILE"
    assert router.notices("NVXA", split)[-1]["original_bill"] == HOUSE
    state = router.state(HOUSE)
    assert state is not None
    assert [link.other_bill for link in state.links.values()] == [split]


# A vessel's own events


def vessel_event(code: str = "DV", **more: Any) -> Disposition:
    return event(code, 1, None, **ABOARD | more)._replace(scac=None, bill_of_lading=None)


def test_a_vessels_event_is_one_change_for_each_party_aboard(router: Harness) -> None:
    router.decide(vessel_event())
    for scac in ("OCNX", "SLTC", "THRD"):
        (notice,) = router.notices(scac)
        assert (notice["kind"], notice["disposition_code"], notice["imo_number"]) == ("change", "DV", "9074729")
        empty = ("scac", "bill_of_lading", "status", "deliverable", "do_not_load", "released_quantity")
        assert [notice[name] for name in empty] == [None] * len(empty)
    assert router.notices("NVXA") == []
    assert router.latest(topics.WAITING) == {}


def test_a_vessels_event_of_an_unknown_sailing_is_told_when_the_sailing_comes(router: Harness) -> None:
    router.decide(vessel_event(imo_number="9321483"))
    assert router.kinds("OCNX") == []
    router.roster(sailing(sailing_id="S2", imo_number="9321483"))
    router.pump()
    assert [one["cause"] for one in router.notices("OCNX")] == ["CATCH_UP"]
