"""Arrivals in bond: the places at which a release counts, proof that cargo is in the U.S., authorities that end."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.decide import status as words
from router.model.inputs import Disposition
from tests.checking.harness import Harness
from tests.checking.samples import (
    BOX,
    HOUSE,
    MASTER,
    OTHER_BOX,
    OTHER_HOUSE,
    PARTIES,
    START,
    event,
    filing,
    on_container,
    sailing,
)
from tests.decide.one_bill import OneBill

CHICAGO, KANSAS_CITY = "3901", "4501"
FILED = filing(bill_type="30", container_numbers=(BOX, OTHER_BOX))
"""Unladen at Los Angeles, 2704."""


def there(code: str, minute: int, port: str | None = CHICAGO, *boxes: str, **more: object) -> Disposition:
    """An event at a port, Chicago if none is named, of the whole bill or of boxes."""
    if boxes:
        return on_container(code, minute, *boxes, transaction_port=port, **more)
    return event(code, minute, transaction_port=port, **more)


# A bill moves in bond from Los Angeles to Chicago.


def test_a_release_at_the_destination_after_the_arrival() -> None:
    one = OneBill(FILED, event("1J", 1))
    assert one.now.authorises == (words.IN_BOND,)
    one.enter(there("12", 2))
    assert one.now.authorises == ()
    one.enter(there("1C", 3))
    assert (one.status, one.now.deliverable_at) == (words.RELEASED, CHICAGO)
    assert set(one.notified.values()) == {"release"}


def test_a_release_before_the_arrival_counts_once_it_is_recorded() -> None:
    one = OneBill(FILED, event("1J", 1), there("1C", 2))
    assert (one.status, one.doubts, one.now.deliverable_at) == (words.RELEASE_UNCONFIRMED, (words.PORT_DIFFERS,), None)
    assert set(one.notified.values()) == {"change"}
    one.enter(there("12", 3))
    assert (one.status, one.now.deliverable_at) == (words.RELEASED, CHICAGO)
    assert set(one.notified.values()) == {"release"}


@pytest.mark.parametrize("code", ["63", "64"])
def test_an_arrival_taken_back_takes_the_release_with_it(code: str) -> None:
    one = OneBill(FILED, there("12", 1), there("1C", 2), there(code, 3))
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (words.PORT_DIFFERS,))
    assert set(one.notified.values()) == {"hold"}


def test_an_arrival_changed_to_another_port_moves_the_place() -> None:
    one = OneBill(FILED, there("12", 1), there("1C", 2), there("58", 3, KANSAS_CITY))
    assert one.doubts == (words.PORT_DIFFERS,)
    one.enter(there("1C", 4, KANSAS_CITY))
    assert (one.status, one.now.deliverable_at) == (words.RELEASED, KANSAS_CITY)


def test_a_change_of_an_arrival_that_nobody_saw_is_no_arrival() -> None:
    assert OneBill(FILED, there("58", 1), there("1C", 2)).doubts == (words.PORT_DIFFERS,)


@pytest.mark.parametrize("port", [None, "39O1", "57035"])
def test_an_arrival_without_a_readable_port_is_no_place(port: str | None) -> None:
    assert OneBill(FILED, there("12", 1, port), there("1C", 2)).doubts == (words.PORT_DIFFERS,)


def test_a_declared_destination_frees_nothing() -> None:
    declared = FILED._replace(shipment=FILED.shipment._replace(in_bond_destination=CHICAGO))
    one = OneBill(declared, there("1C", 1, in_bond_destination=CHICAGO))
    assert one.doubts == (words.PORT_DIFFERS,)
    assert one.bill is not None
    assert one.bill.cargo.shipment.in_bond_destination == CHICAGO


def test_the_arrivals_port_counts_whatever_was_declared() -> None:
    declared = FILED._replace(shipment=FILED.shipment._replace(in_bond_destination=KANSAS_CITY))
    assert OneBill(declared, there("12", 1), there("1C", 2)).now.deliverable_at == CHICAGO


def test_the_port_of_unlading_stays_a_place() -> None:
    one = OneBill(FILED, there("12", 1), event("1C", 2))
    assert (one.status, one.now.deliverable_at) == (words.RELEASED, "2704")
    assert OneBill(FILED, there("12", 1), there("1C", 2, "2709")).now.deliverable_at == "2704"


def test_a_release_where_the_bill_is_not_known_to_be_is_no_release() -> None:
    one = OneBill(event("55", 0), there("1C", 1))
    assert one.doubts == (words.PORT_DIFFERS,)
    one.enter(event("19", 2, port_of_unlading=CHICAGO))
    assert (one.status, one.now.deliverable_at) == (words.RELEASED, CHICAGO)


@pytest.mark.parametrize("port", [None, "57035"])
def test_cargo_that_stays_aboard_is_not_delivered_abroad(port: str | None) -> None:
    """A foreign port of unlading, Schedule K, is no place of release."""
    one = OneBill(filing(port_of_unlading="57035"), there("1C", 1, port))
    assert one.doubts == (words.PORT_DIFFERS,)


def test_releases_at_two_places_are_not_one() -> None:
    one = OneBill(FILED, there("12", 1), event("1C", 2, 60), there("1C", 3, quantity=40))
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (words.PORT_DIFFERS,))
    one.enter(there("1C", 4, quantity=60))
    assert (one.status, one.now.deliverable_at) == (words.RELEASED, CHICAGO)


def test_a_release_at_another_place_is_a_release_again() -> None:
    one = OneBill(FILED, there("12", 1), event("1C", 2), there("1C", 3))
    assert (one.now.deliverable_at, set(one.notified.values())) == (CHICAGO, {"release"})
    assert {notice.fields["deliverable_at"] for notice in one.last.notices} == {CHICAGO}
    one.enter(there("64", 4))
    assert (one.now.deliverable_at, set(one.notified.values())) == ("2704", {"release"})
    one.enter(event("1C", 5))
    assert set(one.notified.values()) == {"change"}


def test_an_operator_confirms_the_place_of_the_release() -> None:
    one = OneBill(FILED, there("1C", 1))
    one.confirm()
    assert (one.status, one.now.deliverable_at) == (words.RELEASED, CHICAGO)


def test_a_hold_there_stops_it() -> None:
    one = OneBill(FILED, there("12", 1), there("1C", 2), there("1G", 3))
    assert (one.status, one.now.deliverable_at) == (words.HELD, None)


# Its two boxes travel apart.


def test_a_box_that_arrived_is_not_the_bill() -> None:
    one = OneBill(FILED, there("13", 1, CHICAGO, BOX), there("1C", 2))
    assert one.doubts == (words.PORT_DIFFERS,)
    one.enter(there("13", 3, CHICAGO, OTHER_BOX))
    assert (one.status, one.now.deliverable_at) == (words.RELEASED, CHICAGO)
    one.enter(there("65", 4, CHICAGO, BOX))
    assert one.doubts == (words.PORT_DIFFERS,)


def test_a_container_arrival_that_names_none_is_no_arrival() -> None:
    assert OneBill(FILED, there("13", 1), there("1C", 2)).doubts == (words.PORT_DIFFERS,)


def test_a_container_arrival_taken_back_without_its_name_may_be_any() -> None:
    assert OneBill(FILED, there("12", 1), there("1C", 2), there("65", 3)).doubts == (words.PORT_DIFFERS,)


def test_the_bill_has_not_arrived_while_one_box_was_moved() -> None:
    one = OneBill(FILED, there("12", 1), there("59", 2, KANSAS_CITY, BOX), there("1C", 3))
    assert one.doubts == (words.PORT_DIFFERS,)


def test_a_boxs_arrival_ends_the_bills_authority_for_all_of_it() -> None:
    one = OneBill(FILED, event("1J", 1), there("13", 2, CHICAGO, BOX))
    assert one.now.authorises == ()
    one.enter(event("1J", 3))
    assert one.now.authorises == (words.IN_BOND,)


# Authorities to move


@pytest.mark.parametrize("end", ["11", "12", "BE", "1S", "1U", "50", "51"])
@pytest.mark.parametrize("code", ["1J", "1W", "1X", "1Z"])
def test_authorities_end_with_the_movement(code: str, end: str) -> None:
    assert OneBill(event("55", 0), event(code, 1)).now.authorises
    for order in permutations((event(code, 1), event(end, 2))):
        assert OneBill(event("55", 0), *order).now.authorises == ()
    assert OneBill(event("55", 0), event(end, 1), event(code, 2), event("67", 3)).now.authorises


@pytest.mark.parametrize("code", ["19", "86", "64", "1R", "BD"])
def test_and_with_nothing_else(code: str) -> None:
    assert OneBill(event("55", 0), event("1W", 1), event(code, 2)).now.authorises


# A do-not-load, and the ship's arrival


@pytest.mark.parametrize("code", ["11", "12", "1B", "1S", "1U", "BE"])
@pytest.mark.parametrize("stop", ["6H", "2Q", "2R"])
def test_cargo_shown_in_the_us_is_held_and_must_still_not_be_loaded(stop: str, code: str) -> None:
    one = OneBill(FILED, event(stop, 1))
    assert one.status == words.DO_NOT_LOAD
    one.enter(event(code, 2))
    assert (one.status, one.now.do_not_load) == (words.HELD, True)


@pytest.mark.parametrize("code", ["19", "17", "86", "1C", "1J", "AC"])
def test_neither_the_ships_arrival_nor_a_release_shows_it_there(code: str) -> None:
    one = OneBill(FILED, event("6H", 1), event(code, 2, arrival_date="2026-07-10"))
    assert (one.status, one.now.do_not_load) == (words.DO_NOT_LOAD, True)


def test_only_an_event_after_the_do_not_load_shows_it_there() -> None:
    one = OneBill(FILED, event("12", 1), event("6H", 1))
    assert one.status == words.DO_NOT_LOAD
    one.enter(event("12", 2))
    assert one.status == words.HELD
    one.enter(event("6H", 3))
    assert one.status == words.DO_NOT_LOAD


def test_a_box_in_the_us_says_nothing_of_the_other() -> None:
    one = OneBill(FILED, event("6H", 1), there("13", 2, CHICAGO, BOX))
    assert one.status == words.DO_NOT_LOAD
    one.enter(there("13", 3, CHICAGO, OTHER_BOX))
    assert one.status == words.HELD
    one.enter(on_container("6H", 4, BOX))
    assert one.status == words.DO_NOT_LOAD
    one.enter(there("13", 5, CHICAGO, OTHER_BOX))
    assert one.status == words.DO_NOT_LOAD
    one.enter(there("13", 6, CHICAGO, BOX))
    assert one.status == words.HELD


# The same across bills: two houses in one box, under one master


@pytest.fixture
def router() -> Harness:
    harness = Harness(3, now=START)
    harness.roster(*PARTIES, sailing())
    harness.decide(
        filing(master_bill=MASTER), filing(OTHER_HOUSE, master_bill=MASTER), event("6H", 1, bill=OTHER_HOUSE)
    )
    return harness


def words_for(router: Harness) -> list[str | None]:
    return [router.status(bill) for bill in (OTHER_HOUSE, HOUSE, MASTER)]


def test_a_do_not_load_of_another_bill_is_held_once_that_bills_cargo_is_in_the_us(router: Harness) -> None:
    assert words_for(router) == [words.DO_NOT_LOAD, words.DO_NOT_LOAD, words.DO_NOT_LOAD]
    router.decide(on_container("13", 2, bill=OTHER_HOUSE, transaction_port=CHICAGO))
    assert words_for(router) == [words.HELD, words.HELD, words.HELD]
    assert all(notice["do_not_load"] for bill in (HOUSE, MASTER) for notice in router.notices("OCNX", bill)[-1:])
    router.decide(event("6H", 3, bill=OTHER_HOUSE))
    assert words_for(router) == [words.DO_NOT_LOAD, words.DO_NOT_LOAD, words.DO_NOT_LOAD]


def test_or_once_an_event_of_this_bill_shows_the_box_there(router: Harness) -> None:
    router.decide(on_container("13", 0, transaction_port=CHICAGO))
    assert words_for(router) == [words.DO_NOT_LOAD, words.DO_NOT_LOAD, words.DO_NOT_LOAD]
    router.decide(on_container("13", 2, transaction_port=CHICAGO))
    assert words_for(router) == [words.DO_NOT_LOAD, words.HELD, words.DO_NOT_LOAD]


@pytest.mark.parametrize("arrival", ["11", "12", "13"])
@pytest.mark.parametrize("taken_back", ["63", "64", "65", "reversal"])
def test_an_arrival_taken_back_shows_nothing_any_more(arrival: str, taken_back: str) -> None:
    """An arrival entered for the wrong bill: the box is still abroad."""
    boxes = (BOX, OTHER_BOX) if arrival == "13" else ()
    one = OneBill(FILED, event("6H", 1), there(arrival, 2, CHICAGO, *boxes))
    assert one.status == words.HELD
    if taken_back == "reversal":
        one.enter(there(arrival, 3, CHICAGO, *boxes, reversal=True))
    else:
        one.enter(there(taken_back, 3, CHICAGO, *boxes))
    assert one.status == words.DO_NOT_LOAD
    one.enter(there(arrival, 4, CHICAGO, *boxes))
    assert one.status == words.HELD


# In any order

_arrivals = st.builds(
    lambda code, minute, port, boxes: there(code, minute, port, *boxes),
    st.sampled_from(["11", "12", "13", "57", "58", "59", "63", "64", "65", "1J", "1C", "6H", "1B", "51", "67", "55"]),
    st.integers(1, 6),
    st.sampled_from([CHICAGO, KANSAS_CITY, "2704", None]),
    st.sampled_from([(), (), (BOX,), (OTHER_BOX,), (BOX, OTHER_BOX)]),
)


@given(st.lists(_arrivals, max_size=8), st.randoms(use_true_random=False))
def test_arrivals_and_their_removals_in_any_order_give_the_same_status(
    events: list[Disposition], random: Random
) -> None:
    expected = OneBill(FILED, *events).now
    shuffled = random.sample(events, len(events))
    assert OneBill(FILED, *shuffled, *random.sample(events, len(events) // 2)).now == expected


@given(st.lists(_arrivals, max_size=8), st.sampled_from([CHICAGO, KANSAS_CITY, "2704"]))
def test_a_declared_destination_alone_releases_nothing_more(events: list[Disposition], destination: str) -> None:
    declared = [event._replace(shipment=event.shipment._replace(in_bond_destination=destination)) for event in events]
    without, with_it = OneBill(FILED, *events), OneBill(FILED, *declared)
    assert with_it.now == without.now
    assert with_it.notified == without.notified


@given(st.lists(_arrivals, max_size=8))
def test_a_release_says_where_and_only_where_the_bill_may_be(events: list[Disposition]) -> None:
    one = OneBill(FILED, *events)
    assert (one.now.deliverable_at is not None) == one.now.deliverable
    arrived = {
        event.transaction_port for event in events if event.disposition_code in ("11", "12", "13", "57", "58", "59")
    }
    assert one.now.deliverable_at in {None, "2704", *arrived}


def test_what_moved_before_the_arrival_is_no_part_of_a_later_authority() -> None:
    one = OneBill(FILED, event("1J", 1, 60, entry_number="V1"), there("12", 2), there("1J", 3, quantity=40))
    assert one.now.authorises == ()
    assert [box.authorises for box in one.now.containers] == [(), ()]
    one.enter(there("1J", 4, quantity=60, entry_number="V3"))
    assert one.now.authorises == (words.IN_BOND,)


@pytest.mark.parametrize(
    ("arrived", "given", "authorises"), [(10, 30, True), (30, 10, False), (10, 10, False), (None, 30, False)]
)
def test_an_authority_of_the_arrivals_minute_stands_if_its_second_is_later(
    arrived: int | None, given: int, authorises: bool
) -> None:
    for records in permutations([there("12", 2, action_second=arrived), event("1J", 2, action_second=given)]):
        assert OneBill(FILED, *records).now.authorises == ((words.IN_BOND,) if authorises else ())
