"""The containers of a bill, since a gate lets out containers (CBP Trade Act FAQ, vessel mode, section 8)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.decide import status as words
from router.decide.container_status import MOST_LISTED
from router.decide.rules import Rules
from router.decide.status import ContainerStatus
from router.model.identifiers import container_key
from router.model.inputs import Disposition
from tests.checking.samples import BOX, BOX_KEY, OTHER_BOX, dead_letter, event, filing, on_container
from tests.decide.one_bill import OneBill
from tests.decide.test_entries import posted
from tests.decide.test_status import BOX_NOT_TO_BE_LOADED

FILED = filing(container_numbers=(BOX, OTHER_BOX))
PERMIT, IN_BOND, EXAM, LADING = "PERMIT_TO_TRANSFER", "IN_BOND_MOVEMENT", "EXAM_TRANSFER", "LADING"


def bill(*records: Any, rules: Rules | None = None) -> OneBill:
    """A bill of two containers, filed."""
    return OneBill(FILED, *records, rules=rules or Rules())


def box(one: OneBill, number: str = BOX) -> ContainerStatus:
    (found,) = (each for each in one.now.containers if each.number == number)
    return found


def released(one: OneBill) -> set[str]:
    return {each.number for each in one.now.containers if each.released}


def authorised(one: OneBill) -> dict[str, tuple[str, ...]]:
    return {each.number: each.authorises for each in one.now.containers if each.authorises}


# Listed


def test_each_container_is_listed_once_as_written_on_the_bill() -> None:
    one = bill(on_container("1H", 1, BOX_KEY), on_container("1H", 1, "HLXU8765433"))
    assert [each.number for each in one.now.containers] == sorted((BOX, OTHER_BOX, "HLXU8765433"))


def test_a_bill_without_containers_lists_none() -> None:
    assert OneBill(event("55", 0), event("1C", 1)).now.containers == ()


def test_of_too_many_containers_those_that_something_names_are_listed() -> None:
    many = tuple(f"AAAU{number:06}" for number in range(MOST_LISTED + 50))
    one = OneBill(filing(container_numbers=many), on_container("1H", 1, many[-1]))
    assert len(one.now.containers) == MOST_LISTED
    assert [each.number for each in one.now.containers if each.stopped] == [many[-1]]


# Stopped


def test_a_hold_on_one_container_stops_that_one_and_one_on_the_bill_stops_all() -> None:
    assert [each.stopped for each in bill(on_container("1H", 1)).now.containers] == [True, False]
    assert [each.stopped for each in bill(event("1H", 1)).now.containers] == [True, True]


def test_a_container_that_another_bill_stops_is_stopped_here_too() -> None:
    one = bill(event("1C", 1), BOX_NOT_TO_BE_LOADED)
    assert (box(one).stopped, box(one).do_not_load, box(one).released) == (True, True, False)
    assert (box(one, OTHER_BOX).stopped, box(one, OTHER_BOX).released) == (False, True)


def test_what_cannot_be_read_stops_every_container() -> None:
    assert all(each.stopped for each in bill(event("1C", 1), dead_letter()).now.containers)


# Released


def test_a_release_of_the_whole_bill_releases_every_container() -> None:
    assert released(bill(event("1C", 1))) == {BOX, OTHER_BOX}
    assert released(bill(event("1C", 1, 60))) == set()
    assert released(bill(event("1C", 1, 60), event("1C", 2, 40))) == {BOX, OTHER_BOX}


def test_a_release_that_names_a_container_releases_that_one_only() -> None:
    one = bill(on_container("1C", 1))
    assert (one.status, released(one), one.now.authorises) == (words.PARTIALLY_RELEASED, {BOX}, ())
    one = bill(on_container("1C", 1, quantity=100))
    assert (one.status, released(one)) == (words.PARTIALLY_RELEASED, {BOX})


def test_a_release_of_some_pieces_of_the_only_container_does_not_let_it_out() -> None:
    one = OneBill(filing(container_numbers=(BOX,)), on_container("1C", 1, quantity=40, entry_number="A"))
    assert (one.status, released(one)) == (words.PARTIALLY_RELEASED, set())
    one.enter(on_container("1C", 2, quantity=60, entry_number="B"))
    assert (one.status, released(one)) == (words.RELEASED, {BOX})
    one.enter(on_container("4E", 3, quantity=60, entry_number="B"))
    assert (one.status, released(one)) == (words.PARTIALLY_RELEASED, set())


def test_a_bill_is_released_once_the_examined_container_is_released_again() -> None:
    examined = [event("1C", 1), on_container("7H", 2, quantity=60), on_container("7I", 3, quantity=60)]
    one = bill(*examined)
    assert (one.status, released(one)) == (words.RELEASE_UNCONFIRMED, {OTHER_BOX})
    one.enter(on_container("1C", 4, quantity=60))
    assert (one.status, released(one)) == (words.RELEASED, {BOX, OTHER_BOX})
    one.enter(on_container("7H", 5, OTHER_BOX, quantity=40), on_container("7I", 6, OTHER_BOX, quantity=40))
    assert (one.status, released(one)) == (words.RELEASE_UNCONFIRMED, {BOX})
    elsewhere = bill(*examined, on_container("1C", 4, quantity=60, transaction_port="3901"))
    assert not elsewhere.now.deliverable
    only = OneBill(filing(container_numbers=(BOX,)), *examined, on_container("1C", 4, quantity=60))
    assert (only.now.deliverable, released(only)) == (False, set())


def test_releases_of_all_containers_release_the_bill_if_the_pieces_add_up() -> None:
    one = bill(on_container("1C", 1, BOX, quantity=60), on_container("1C", 2, OTHER_BOX, quantity=40))
    assert (one.status, released(one)) == (words.RELEASED, {BOX, OTHER_BOX})
    one = bill(on_container("1C", 1, BOX), on_container("1C", 2, OTHER_BOX))
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (words.QUANTITY_UNKNOWN,))
    assert released(one) == {BOX, OTHER_BOX}


def test_a_hold_on_box_2_leaves_the_release_of_box_1_alone() -> None:
    one = bill(event("1C", 1))
    before = box(one)
    one.enter(on_container("1H", 2, OTHER_BOX))
    assert (one.status, box(one), released(one)) == (words.HELD, before, {BOX})
    one.enter(on_container("1I", 3, OTHER_BOX))
    assert (one.status, box(one), released(one)) == (words.RELEASE_UNCONFIRMED, before, {BOX})
    one.enter(on_container("1C", 4, OTHER_BOX))
    assert (box(one), released(one)) == (before, {BOX, OTHER_BOX})


def test_a_hold_on_the_bill_makes_the_release_of_every_container_stale() -> None:
    one = bill(on_container("1C", 1), event("1H", 2))
    assert released(one) == set()
    one.enter(event("1I", 3))
    assert released(one) == set()
    one.enter(on_container("1C", 4))
    assert released(one) == {BOX}


@pytest.mark.parametrize(
    ("records", "doubt"),
    [
        ((event("1C", 1, transaction_port="1303"),), words.PORT_DIFFERS),
        ((on_container("1C", 1, transaction_port="1303"),), words.PORT_DIFFERS),
        ((event("1C", 1, None),), words.QUANTITY_UNKNOWN),
        ((event("1C", 1), event("1H", 2), event("1I", 3)), words.RELEASE_PREDATES_HOLD),
    ],
)
def test_a_release_in_doubt_releases_no_container(records: tuple[Disposition, ...], doubt: str) -> None:
    one = bill(*records)
    assert doubt in one.doubts
    assert released(one) == set()
    one.confirm()
    assert released(one) >= {BOX}


def test_without_the_beginning_of_its_history_no_container_is_allowed_anything() -> None:
    one = OneBill(event("69", 0, container_numbers=(BOX,)), on_container("1C", 1), on_container("1W", 1))
    assert (released(one), authorised(one)) == (set(), {})
    one.enter(FILED)
    assert (released(one), authorised(one)) == ({BOX}, {BOX: (PERMIT,)})


def test_a_release_of_a_container_counts_where_the_container_arrived() -> None:
    arrival = on_container("13", 1, BOX, transaction_port="3901")
    one = bill(arrival, *(on_container("1C", 2, number, transaction_port="3901") for number in (BOX, OTHER_BOX)))
    assert released(one) == {BOX}


def test_a_withdrawn_part_leaves_the_container_unreleased() -> None:
    one = bill(on_container("1C", 1, quantity=60), on_container("4E", 2, quantity=20))
    assert released(one) == set()
    one.enter(on_container("1C", 3, quantity=60))
    assert released(one) == {BOX}


def test_the_1c_of_an_empty_releases_its_container() -> None:
    assert released(OneBill(filing(bill_type="12"), event("1C", 1, None))) == {BOX}


@pytest.mark.parametrize("end", [event("54", 2), event("51", 2)])
def test_a_bill_that_is_over_releases_nothing(end: Disposition) -> None:
    assert released(bill(event("1C", 1), end)) == set()


# Authorities


@pytest.mark.parametrize(("give", "take", "authority"), [("1W", "83", PERMIT), ("1J", "95", IN_BOND)])
def test_a_permit_for_one_container_is_for_that_one_until_it_is_taken_back(
    give: str, take: str, authority: str
) -> None:
    one = bill(on_container(give, 1))
    assert (one.status, one.now.authorises, authorised(one)) == (words.ON_FILE, (), {BOX: (authority,)})
    one.enter(on_container(give, 2, OTHER_BOX))
    assert (one.status, one.now.authorises) == (words.MOVEMENT_AUTHORISED, (authority,))
    one.enter(on_container(take, 3, OTHER_BOX))
    assert (one.now.authorises, authorised(one)) == ((), {BOX: (authority,)})
    one.enter(event(take, 4))
    assert authorised(one) == {}


def test_a_permit_of_the_bill_taken_back_for_one_container_stands_for_the_other() -> None:
    one = bill(event("1W", 1), on_container("83", 2))
    assert (one.now.authorises, authorised(one)) == ((), {OTHER_BOX: (PERMIT,)})
    one.enter(on_container("1W", 3))
    assert (one.now.authorises, set(authorised(one))) == ((PERMIT,), {BOX, OTHER_BOX})


def test_a_hold_on_one_container_blocks_the_permit_of_that_one() -> None:
    one = bill(event("1W", 1), on_container("1H", 2))
    assert (one.now.authorises, authorised(one)) == ((), {OTHER_BOX: (PERMIT,)})


def test_to_the_exam_a_held_container_may_go() -> None:
    assert authorised(bill(on_container("1H", 1), on_container("1X", 2))) == {BOX: (EXAM,)}


def test_a_permit_for_part_of_the_pieces_is_for_no_container_that_it_does_not_name() -> None:
    one = bill(event("1J", 1, 60, entry_number="IB1"))
    assert (one.now.authorises, authorised(one)) == ((), {})
    one.enter(event("1J", 2, 60, entry_number="IB1"))
    assert authorised(one) == {}
    one.enter(event("1J", 3, 40, entry_number="IB2"))
    assert (one.now.authorises, set(authorised(one))) == ((IN_BOND,), {BOX, OTHER_BOX})


def test_lading_is_allowed_for_the_container_whose_do_not_load_ended() -> None:
    one = bill(event("6H", 1, container_numbers=(BOX, OTHER_BOX), container_level=True))
    one.enter(on_container("6I", 2))
    fields = one.last.notices[0].fields
    assert fields["do_not_load"]
    assert {each["number"]: each["authorises"] for each in fields["containers"]} == {BOX: (LADING,), OTHER_BOX: ()}


# Exported


def test_an_exported_container_is_gone_and_the_bill_is_closed_when_all_are() -> None:
    one = bill(event("1C", 1), on_container("52", 2))
    assert (one.status, released(one)) == (words.RELEASED, {OTHER_BOX})
    one.enter(on_container("52", 3, OTHER_BOX))
    assert (one.status, released(one)) == (words.CLOSED, set())
    one.enter(on_container("68", 4))
    assert released(one) == {BOX}


@pytest.mark.parametrize("code", ["66", "67"])
def test_an_export_of_the_whole_bill_taken_back_reopens_each_container(code: str) -> None:
    one = bill(event("1C", 1), on_container("52", 2), on_container("52", 3, OTHER_BOX), event(code, 4))
    assert (one.status, released(one)) == (words.RELEASED, {BOX, OTHER_BOX})


@pytest.mark.parametrize("end", ["51", "54"])
def test_neither_a_bill_that_is_over_nor_its_containers_may_move(end: str) -> None:
    one = bill(event("1A", 1), event(end, 2), event("1X", 3))
    assert (one.now.authorises, authorised(one)) == ((), {})


def test_an_export_of_an_unnamed_container_closes_nothing() -> None:
    assert bill(event("1C", 1), event("52", 2)).status == words.RELEASED


# Notices


def test_notices_show_the_containers() -> None:
    one = bill(on_container("1C", 1))
    shown = one.last.notices[0].fields["containers"]
    free = {"number": BOX, "stopped": False, "do_not_load": False, "authorises": (), "released": True}
    assert shown == [free, free | {"number": OTHER_BOX, "released": False}]


def test_a_filing_that_only_names_a_container_is_no_news() -> None:
    one = bill(event("1H", 1))
    one.enter(filing(minute=5, container_numbers=(BOX, OTHER_BOX, "HLXU8765433")))
    assert len(one.now.containers) == 3
    assert one.notified == {}


def test_a_box_whose_own_release_was_reduced_is_released_with_the_last_piece_of_the_bill() -> None:
    """80 of one entry's 100 pieces, and 20 of the 40 that another released in the box, are all 100."""
    first, second = {"entry_type": "01", "entry_number": "ABC12345676"}, {"entry_number": "XYZ99999990"}
    one = bill(event("1C", 1, 100, **first), on_container("1C", 2, BOX, quantity=40, **second), event("4E", 3, 20))
    assert one.now.deliverable
    assert released(one) == {BOX, OTHER_BOX}


# Always


@settings(deadline=None)
@given(st.lists(posted, max_size=10))
def test_a_hold_on_box_2_never_changes_box_1(events: list[Disposition]) -> None:
    one = bill(*events)
    before = box(one)
    one.enter(on_container("1H", 7, OTHER_BOX))
    assert box(one) == before
    one.enter(on_container("1I", 8, OTHER_BOX))
    assert box(one) == before


@settings(deadline=None)
@given(st.lists(posted, max_size=10))
def test_what_the_bill_allows_every_container_allows(events: list[Disposition]) -> None:
    one = bill(*events)
    for each in one.now.containers:
        assert set(one.now.authorises) - {"PARTIAL_DELIVERY"} <= set(each.authorises)
        assert each.released or not one.now.deliverable
        assert each.stopped == any(container in (None, container_key(each.number)) for _, container in one.holds)
        assert not (each.stopped and each.released)
