"""What crosses bills: boxes, masters and splits, through the index and never through another task's memory."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from router import topics
from router.decide.boxes import Answer, IndexEntry, IndexGroup, answer, same_voyage
from router.decide.status import Assessment
from router.model.inputs import Disposition, Filing, filing_fields, filing_of
from router.model.links import MORE_EVENTS, MOST_STOPS, IndexFact, LinkFact, Stop
from tests.checking.harness import Harness
from tests.checking.samples import (
    ABOARD,
    BOX,
    BOX_KEY,
    HOUSE,
    MASTER,
    OTHER_BOX,
    OTHER_BOX_KEY,
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
    assert (notice["cause"], notice["disposition_code"]) == ("LINK", None)
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
    stops = (Stop("A", ("e1",), since=7),)
    stopping = facts[0]._replace(stops=stops)
    assert told(group, stopping) == [LinkFact(bill, "container:X", "BOX", True, stops) for bill in "BC"]
    assert group.entries["B"] == IndexEntry(facts[1], Answer(stops))
    assert told(group, stopping) == []
    assert [link.active for link in told(group, stopping._replace(present=False))] == [False, False]


def test_however_many_bills_stop_a_box_at_once_each_other_is_told_once() -> None:
    group = IndexGroup()
    facts = [stopping(f"NVXA{number}", 1000 - number) for number in range(1000)]
    assert len(told(group, *facts)) == 1000
    assert len(told(group, *(fact._replace(stops=()) for fact in facts))) == 1000


def test_a_link_names_as_many_events_as_fit_and_that_there_are_more() -> None:
    group = IndexGroup()
    facts = [stopping(f"B{n:03}", n) for n in range(60)]
    facts[59] = facts[59]._replace(stops=(facts[59].stops[0]._replace(do_not_load=True),))
    links = {link.bill: link for link in told(group, *facts, WHERE)}
    assert links["A"].events == (*(f"event of B{n:03}" for n in range(MOST_STOPS)), MORE_EVENTS)
    assert links["B000"].events == (*(f"event of B{n:03}" for n in range(1, MOST_STOPS + 1)), MORE_EVENTS)
    assert [stop.do_not_load for stop in links["A"].stops] == [False] * MOST_STOPS + [True]
    links = {link.bill: link for link in told(group, *(fact._replace(stops=()) for fact in facts[:30]))}
    assert links["A"].events == tuple(f"event of B{n:03}" for n in range(30, 60))


def stopping(bill: str, since: int) -> IndexFact:
    return WHERE._replace(bill=bill, stops=(Stop(bill, (f"event of {bill}",), since=since),))


def test_bills_of_one_box_on_as_many_voyages_are_not_all_compared_with_each_other_for_each_fact() -> None:
    group = IndexGroup()
    days = [f"20{26 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}" for number in range(400)]
    facts = [stopping(day, 1)._replace(arrival_date=day) for day in days]
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


def house(bill: str = HOUSE, *containers: str) -> Filing:
    return filing(bill, master_bill=MASTER, container_numbers=containers)


def master(*containers: str, **more: Any) -> Filing:
    return filing(MASTER, bill_type="28", snps=(), container_numbers=containers, **more)


def holds_of(router: Harness, bill: str) -> list[tuple[str, str | None, bool]]:
    """Kind, container and do-not-load of a bill's holds."""
    known = router.bill(bill)
    assert known is not None
    return [(hold.kind, hold.container_number, hold.do_not_load) for hold in known.status.holds]


def test_a_house_that_must_not_be_loaded_is_a_do_not_load_on_its_master(router: Harness) -> None:
    """The house names no container, so any of the master's may be the one. The operator hears of it on the master,
    whose boxes it knows, and which house it is."""
    router.decide(house(), house(OTHER_HOUSE), master(BOX, OTHER_BOX), event("6H", 1))
    assert router.status(MASTER) == "DO_NOT_LOAD"
    assert holds_of(router, MASTER) == [("HOUSE", None, True)]
    for party in ("OCNX", "THRD"):
        notice = router.notices(party, MASTER)[-1]
        assert (notice["kind"], notice["do_not_load"], notice["container_numbers"]) == ("hold", True, (BOX, OTHER_BOX))
        assert [hold["because_of"] for hold in notice["holds"]] == [HOUSE]
        assert not_to_load(notice) == {BOX: True, OTHER_BOX: True}
    assert router.status(OTHER_HOUSE) == "ON_FILE", "a derived hold is never passed on"
    assert router.notices("NVXB", OTHER_HOUSE) == []
    router.decide(event("6I", 2))
    assert router.status(MASTER) == "ON_FILE"
    assert router.notices("THRD", MASTER)[-1]["do_not_load"] is False


def not_to_load(notice: dict[str, Any]) -> dict[str, bool]:
    return {box["number"]: box["do_not_load"] for box in notice["containers"]}


def test_a_house_that_names_its_container_stops_that_one_of_the_master(router: Harness) -> None:
    router.decide(house(), master(BOX, OTHER_BOX), event("6H", 1))
    router.decide(filing(minute=2, master_bill=MASTER, container_numbers=(OTHER_BOX,)))
    assert router.status(MASTER) == "DO_NOT_LOAD"
    whole, of_box = ("HOUSE", None, False), ("HOUSE", OTHER_BOX_KEY, True)
    assert [hold for hold in holds_of(router, MASTER) if hold[0] == "HOUSE"] == [whole, of_box]
    assert not_to_load(router.notices("OCNX", MASTER)[-1]) == {BOX: False, OTHER_BOX: True}


def test_a_do_not_load_on_one_container_of_a_house_is_one_on_that_container_of_the_master(router: Harness) -> None:
    router.decide(house(HOUSE, BOX, OTHER_BOX), master(BOX, OTHER_BOX), on_container("6H", 1, BOX))
    of_houses = [hold for hold in holds_of(router, MASTER) if hold[0] == "HOUSE"]
    assert of_houses == [("HOUSE", None, False), ("HOUSE", BOX_KEY, True)]


def test_a_container_of_a_house_that_the_master_does_not_name_may_be_any_of_the_masters(router: Harness) -> None:
    router.decide(house(HOUSE, BOX), master(OTHER_BOX), event("6H", 1))
    assert holds_of(router, MASTER) == [("HOUSE", None, True)]


def test_a_master_loses_its_do_not_load_with_the_last_house_that_has_one(router: Harness) -> None:
    router.decide(house(), house(OTHER_HOUSE), master(), event("1H", 1), event("2Q", 2, bill=OTHER_HOUSE))
    assert (router.status(MASTER), router.kinds("OCNX", MASTER)) == ("DO_NOT_LOAD", ["hold", "hold"])
    router.decide(event("4Q", 3, bill=OTHER_HOUSE))
    assert (router.status(MASTER), router.kinds("OCNX", MASTER)) == ("HELD", ["hold", "hold", "change"])
    assert router.notices("OCNX", MASTER)[-1]["authorises"] == ("LADING",)


@pytest.mark.parametrize("code", ["1G", "2G", "3G", "77", "78", "79"])
def test_a_house_held_at_the_destination_does_not_stop_its_masters_move_there(router: Harness, code: str) -> None:
    router.decide(house(), house(OTHER_HOUSE), master(), event("1J", 1, bill=MASTER), event(code, 2))
    assert router.status(MASTER) == "HELD"
    assert router.notices("OCNX", MASTER)[-1]["authorises"] == ("IN_BOND_MOVEMENT",)
    router.decide(event("1H", 3, bill=OTHER_HOUSE))
    assert assessed(router, MASTER).authorises == (), "the other house is held at the port of unlading"
    router.decide(event("1I", 4, bill=OTHER_HOUSE))
    assert assessed(router, MASTER).authorises == ("IN_BOND_MOVEMENT",)


def test_a_houses_box_held_at_the_destination_moves_there_under_each_bill_in_it(router: Harness) -> None:
    router.decide(house(HOUSE, BOX), house(OTHER_HOUSE, BOX), master(BOX))
    router.decide(event("1J", 1, bill=MASTER), event("1J", 1, bill=OTHER_HOUSE), on_container("1G", 2))
    for bill in (MASTER, OTHER_HOUSE):
        assert assessed(router, bill).authorises == ("IN_BOND_MOVEMENT",)
        assert [box.authorises for box in assessed(router, bill).containers] == [("IN_BOND_MOVEMENT",)]
    router.decide(on_container("1H", 3))
    assert [assessed(router, bill).authorises for bill in (MASTER, OTHER_HOUSE)] == [(), ()]


def assessed(router: Harness, bill: str) -> Assessment:
    known = router.bill(bill)
    assert known is not None
    return known.status


# The bill behind a hold, and the event


def test_each_sees_the_oldest_bill_behind_a_hold_that_it_is_notified_of_itself(router: Harness) -> None:
    third = "SLTCB1"
    router.decide(MINE, filing(OTHER_HOUSE, snps=("THRD",)), filing(third, snps=("NVXA",)))
    router.decide(event("6H", 2, bill=OTHER_HOUSE), event("6H", 3, bill=third))
    seen = {}
    for party in ("NVXA", "SLTC", "OCNX"):
        (hold,) = router.notices(party, HOUSE)[-1]["holds"]
        seen[party] = hold["because_of"]
    assert seen == {"NVXA": None, "SLTC": None, "OCNX": OTHER_HOUSE}, "known when the second stop came"
    router.decide(event("1H", 4))
    seen = {party: router.notices(party, HOUSE)[-1]["holds"][-1]["because_of"] for party in seen}
    assert seen == {"NVXA": third, "SLTC": third, "OCNX": OTHER_HOUSE}


def test_nobody_else_sees_the_number_of_the_bill_behind_a_hold(router: Harness) -> None:
    router.decide(MINE, OTHERS, event("6H", 2, bill=OTHER_HOUSE), event("1H", 3), event("6I", 4, bill=OTHER_HOUSE))
    assert router.notices("NVXA", HOUSE)
    values = [record.value or b"" for record in router.records("snp.party.NVXA")]
    assert not any(OTHER_HOUSE[4:].encode() in value for value in values)


def test_all_notices_of_one_cause_have_its_event_id(router: Harness) -> None:
    """One 6H, and its removal, on a box of three houses under one master."""
    third = "THRDHBL000000001"
    router.decide(*(house(bill, BOX) for bill in (HOUSE, OTHER_HOUSE, third)), master(BOX))
    for code, minute in (("6H", 1), ("6I", 2)):
        router.decide(event(code, minute))
        (own,) = {notice["event_id"] for notice in router.notices("NVXA", HOUSE)[-1:]}
        for party, bill in (("NVXB", OTHER_HOUSE), ("THRD", third), ("OCNX", MASTER)):
            notice = router.notices(party, bill)[-1]
            assert (notice["cause"], notice["event_id"], notice["covers"]) == ("LINK", own, ())


def test_bills_that_stop_a_box_at_once_give_the_latest_event_of_another_as_the_cause() -> None:
    group = IndexGroup()
    told(group, WHERE)
    facts = [stopping(bill, 1)._replace(caused_by=f"e{bill}") for bill in "BC"]
    assert {link.bill: link.caused_by for link in told(group, *facts)} == {"A": "eC", "B": "eC", "C": "eB"}
    assert all(entry.fact.caused_by is None for entry in group.entries.values())


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


SPLIT = "NVXAHBL000012999"
SPLIT_OFF = event("55", 2, bill=SPLIT, original_bill=HOUSE, **ABOARD)


@pytest.mark.parametrize("first", ["split", "hold"])
def test_a_split_is_flagged_while_its_original_is_held_as_a_whole(router: Harness, first: str) -> None:
    records = [SPLIT_OFF, event("1H", 1)]
    router.decide(filing(container_numbers=()), *(records if first == "split" else reversed(records)))
    notice = router.notices("NVXA", SPLIT)[-1]
    assert (notice["status"], notice["holds"]) == ("ON_FILE", ())
    assert "ORIGINAL_HELD" in notice["flags"]
    router.decide(event("1C", 3, bill=SPLIT))
    notice = router.notices("NVXA", SPLIT)[-1]
    assert (notice["kind"], "ORIGINAL_HELD" in notice["flags"]) == ("release", True)
    router.decide(event("1I", 4))
    notice = router.notices("NVXA", SPLIT)[-1]
    assert (notice["kind"], notice["cause"], "ORIGINAL_HELD" in notice["flags"]) == ("change", "LINK", False)
    assert notice["event_id"] == router.notices("NVXA", HOUSE)[-1]["event_id"]


def test_a_hold_on_one_container_of_the_original_flags_no_split(router: Harness) -> None:
    router.decide(filing(container_numbers=(BOX,)), SPLIT_OFF, on_container("1H", 3))
    assert "ORIGINAL_HELD" not in router.notices("NVXA", SPLIT)[-1]["flags"]


def test_a_split_hears_of_its_original_only_what_is_the_originals_own(router: Harness) -> None:
    """The original is a master whose house is held; a split of the split isn't flagged either."""
    again = "NVXAHBL000012998"
    router.decide(filing(OTHER_HOUSE, master_bill=HOUSE, container_numbers=()), SPLIT_OFF)
    router.decide(event("55", 3, bill=again, original_bill=SPLIT, **ABOARD), event("1H", 4, bill=OTHER_HOUSE))
    assert router.status(HOUSE) == "HELD"
    assert [router.state(bill).is_original_held for bill in (SPLIT, again)] == [False, False]  # type: ignore[union-attr]
    router.decide(event("1H", 5))
    assert [router.state(bill).is_original_held for bill in (SPLIT, again)] == [True, False]  # type: ignore[union-attr]


def test_a_split_filed_anew_without_its_original_is_no_longer_flagged(router: Harness) -> None:
    router.decide(
        filing(container_numbers=()), event("1H", 1), filing(SPLIT, original_bill=HOUSE, container_numbers=())
    )
    assert router.state(SPLIT).is_original_held  # type: ignore[union-attr]
    router.decide(filing(SPLIT, minute=5, container_numbers=()))
    assert not router.state(SPLIT).is_original_held  # type: ignore[union-attr]
    assert router.state(HOUSE).index_facts == {}  # type: ignore[union-attr]


# Any order


def links_of(router: Harness, *bills: str) -> dict[str, dict[str, LinkFact]]:
    states = {bill: router.state(bill) for bill in bills}
    return {bill: dict(sorted(state.links.items())) if state else {} for bill, state in states.items()}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_order_all_comes_in_and_however_many_tasks_there_are_the_links_are_the_same(seed: int) -> None:
    third = "THRDHBL000000001"
    records = [
        *(master(BOX, OTHER_BOX), house(HOUSE, BOX), house(OTHER_HOUSE), house(third, BOX, OTHER_BOX), SPLIT_OFF),
        *(event("1H", 1), event("6H", 3), event("1H", 4, resent=True, transaction_port="3001")),
        *(on_container("1H", 3, bill=third), event("6H", 4, bill=OTHER_HOUSE), event("6I", 5, bill=OTHER_HOUSE)),
        *(event("2G", 6, bill=OTHER_HOUSE), event("6H", 3, bill=third), event("6I", 9, bill=third)),
    ]
    bills = (MASTER, HOUSE, OTHER_HOUSE, third, SPLIT)
    results = []
    for partitions, random in ((3, None), (1 + seed % 4, Random(seed))):
        router = Harness(partitions, now=START)
        router.roster(*PARTIES, sailing())
        if random is not None:
            random.shuffle(records)
        router.feed(*records)
        router.pump(random)
        results.append(links_of(router, *bills))
    assert results[0] == results[1]
    assert {f"container:{BOX_KEY}", f"master:{MASTER}"} <= results[0][MASTER].keys()
    assert f"original:{HOUSE}" in results[0][SPLIT]


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
