"""Releases of several entries on one bill, and which of them a revocation takes back.

Sources: CAMIR V19, appendix D (4A, 4E, 14-16); CBP Trade Act FAQ, vessel mode, section 25.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.decide.rules import Rules
from router.decide.status import (
    HELD,
    NOT_RELEASED,
    PARTIALLY_RELEASED,
    RELEASE_PREDATES_HOLD,
    RELEASE_UNCONFIRMED,
    RELEASED,
)
from router.model.inputs import Disposition
from tests.checking.samples import BOX, BOX_KEY, OTHER_BOX, OTHER_BOX_KEY, event, on_container
from tests.decide.one_bill import OneBill

ADDED = event("55", 0)
RETURNS = Rules(release_after_hold="previous")
A, B = "ABC12345676", "XYZ99999990"


def of(entry: str | None, code: str, minute: int, quantity: int | None = 100, **more: Any) -> Disposition:
    return event(code, minute, quantity, entry_number=entry, **more)


def bill(*events: Disposition, rules: Rules | None = None) -> OneBill:
    return OneBill(ADDED, *events, rules=rules or Rules())


def standing(one: OneBill) -> dict[tuple[str | None, str | None], int | None]:
    """(entry, container) to pieces released."""
    return {(lot.entry_number, lot.container): lot.quantity for lot in one.account.releases}


# Withdrawn entries


def test_the_broker_withdraws_one_of_two_entries_and_the_other_stands() -> None:
    one = bill(of(A, "1C", 1), of(B, "1C", 2), of(A, "4E", 3))
    assert standing(one) == {(B, None): 100}
    assert one.status == RELEASED


def test_an_entry_replaced_in_one_minute_stands_whichever_message_came_first() -> None:
    for order in permutations((of(A, "1C", 1), of(A, "4E", 5), of(B, "1C", 5))):
        assert standing(bill(*order)) == {(B, None): 100}


def test_a_withdrawal_that_names_no_entry_takes_all() -> None:
    for nothing in (None, "0000000000"):
        one = bill(of(A, "1C", 1, 60), of(B, "1C", 2, 40), of(nothing, "4E", 3))
        assert (standing(one), one.status) == ({}, NOT_RELEASED)


def test_a_late_withdrawal_leaves_what_was_posted_since() -> None:
    for order in permutations((of(A, "1C", 1), of(A, "4E", 2), of(A, "1C", 3))):
        assert bill(*order).status == RELEASED


def test_a_release_of_an_unknown_entry_may_be_the_withdrawn_one() -> None:
    assert bill(of(None, "1C", 1), of(A, "4E", 2)).status == NOT_RELEASED


@pytest.mark.parametrize("written", ["ABC-1234567-6", "ABC 1234567 6", "abc12345676"])
def test_an_entry_is_the_same_however_it_is_written(written: str) -> None:
    assert bill(of(A, "1C", 1), of(B, "1C", 1), of(written, "4E", 2)).status == RELEASED
    assert bill(of(A, "1C", 1), of(written, "4E", 2)).status == NOT_RELEASED
    assert bill(of(A, "1C", 1, 50), of(written, "1C", 1, 50)).now.released_quantity == 50


@pytest.mark.parametrize(("code", "left"), [("15", {(B, None): 100}), ("16", {(B, None): 100}), ("4A", {})])
def test_15_and_16_take_the_entry_named_and_4a_all(code: str, left: dict[tuple[str | None, str | None], int]) -> None:
    assert standing(bill(of(A, "1C", 1), of(B, "1C", 2), of(A, code, 3))) == left


def test_a_release_reversed_takes_back_its_own_entry() -> None:
    assert standing(bill(of(A, "1C", 1), of(B, "1C", 2), of(A, "1C", 3, reversal=True))) == {(B, None): 100}


def test_so_many_pieces_are_taken_from_the_entry_named() -> None:
    one = bill(of(A, "1C", 1, 60), of(B, "1C", 2, 40), of(A, "4E", 3, 50))
    assert standing(one) == {(A, None): 10, (B, None): 40}


def test_more_pieces_than_the_entry_has_take_none_of_another() -> None:
    one = bill(of(A, "1C", 1, 60), of(B, "1C", 2, 40), of(A, "4E", 3, 90))
    assert standing(one) == {(B, None): 40}


def test_pieces_of_an_entry_not_named_are_taken_from_each_that_it_may_be() -> None:
    one = bill(of(A, "1C", 1, 60), of(B, "1C", 2, 40), of(None, "4E", 3, 50))
    assert standing(one) == {(A, None): 10}


def test_a_withdrawal_in_sums_takes_the_same() -> None:
    few = Rules(fold_after_events=8)
    flood = [event("19", minute, minute + 1) for minute in range(10, 30)]
    one = OneBill(ADDED, of(A, "1C", 1, 50), of(B, "1C", 2, 50), of(A, "1C", 4, 50), *flood, rules=few)
    one.enter(of(A, "4E", 3))
    assert standing(one) == {(B, None): 50, (A, None): 50}


# The exam of an entry


def test_the_withdrawal_of_another_entry_ends_no_exam() -> None:
    one = bill(of(A, "1A", 1), of(B, "1C", 2), of(B, "4E", 3))
    assert one.status == HELD
    one.enter(of(A, "4E", 4))
    assert one.status == NOT_RELEASED


def test_of_two_exams_the_other_entrys_is_still_demanded() -> None:
    one = bill(of(A, "1A", 1), of(B, "1A", 2), of(A, "1B", 3))
    assert one.status == HELD
    one.enter(of(B, "1B", 4))
    assert one.status == RELEASED


# Added up, and replaced


def test_the_releases_of_all_entries_add_up_to_no_more_than_the_bill() -> None:
    assert bill(of(A, "1C", 1, 60), of(B, "1C", 2, 40)).status == RELEASED
    assert bill(of(A, "1C", 1, 60), of(B, "1C", 2, 60)).now.released_quantity == 100


def test_after_a_hold_the_next_release_of_an_entry_replaces_it() -> None:
    """CBP says again what it had released; counted twice, sixty pieces would release a hundred."""
    one = bill(of(A, "1C", 1, 60), event("1H", 2), event("1I", 3), of(A, "1C", 4, 60), rules=RETURNS)
    assert (one.status, one.now.released_quantity) == (PARTIALLY_RELEASED, 60)


def test_after_an_exam_too() -> None:
    one = bill(of(A, "1C", 1, 60), of(A, "1A", 2, 60), of(A, "1B", 3, 60), rules=RETURNS)
    assert (one.status, one.now.released_quantity) == (PARTIALLY_RELEASED, 60)


def test_after_a_revocation_too() -> None:
    assert bill(of(A, "1C", 1, 60), of(A, "4E", 2, 20), of(A, "1C", 3, 60)).now.released_quantity == 60


def test_without_one_they_add_up() -> None:
    assert bill(of(A, "1C", 1, 60), of(A, "1C", 2, 40)).status == RELEASED


def test_a_stop_between_leaves_another_entry_alone() -> None:
    one = bill(of(A, "1C", 1, 60), event("1H", 2), event("1I", 3), of(B, "1C", 4, 40), rules=RETURNS)
    assert one.status == RELEASED


def test_a_release_of_an_unknown_entry_may_be_the_earlier_one_again() -> None:
    one = bill(of(A, "1C", 1, 60), event("1H", 2), event("1I", 3), of(None, "1C", 4, 60), rules=RETURNS)
    assert one.now.released_quantity == 60


# By container


def on(box: str, entry: str | None, code: str, minute: int, quantity: int | None = None) -> Disposition:
    return on_container(code, minute, box, quantity=quantity, entry_number=entry)


def test_releases_of_all_containers_add_up() -> None:
    assert bill(on(BOX, A, "1C", 1, 60), on(OTHER_BOX, A, "1C", 2, 40)).status == RELEASED


def test_a_hold_on_one_container_makes_no_release_of_another_stale() -> None:
    one = bill(on(BOX, A, "1C", 1, 60), on(OTHER_BOX, A, "1C", 1, 40), on_container("1H", 2, OTHER_BOX))
    one.enter(on_container("1I", 3, OTHER_BOX))
    assert (one.status, one.doubts) == (RELEASE_UNCONFIRMED, (RELEASE_PREDATES_HOLD,))
    assert [lot.container for lot in one.account.releases if lot.stale_by] == [OTHER_BOX_KEY]
    one.enter(on(OTHER_BOX, A, "1C", 4, 40))
    assert one.status == RELEASED


def test_a_release_of_the_bill_is_stale_only_for_the_container_that_was_held() -> None:
    one = bill(of(A, "1C", 1), on_container("1H", 2), on_container("1I", 3))
    assert one.status == RELEASE_UNCONFIRMED
    assert [list(lot.stale_by) for lot in one.account.releases] == [[BOX_KEY]]


def test_a_revocation_on_one_container_leaves_the_release_of_another() -> None:
    one = bill(on(BOX, A, "1C", 1, 60), on(OTHER_BOX, A, "1C", 1, 40), on(BOX, A, "4E", 2))
    assert standing(one) == {(A, OTHER_BOX_KEY): 40}


def test_on_the_bill_it_takes_the_releases_of_all_containers() -> None:
    assert standing(bill(on(BOX, A, "1C", 1, 60), on(OTHER_BOX, A, "1C", 1, 40), of(A, "4E", 2))) == {}


def test_on_one_container_it_takes_a_release_of_the_whole_bill() -> None:
    """The bill is no longer released whole, and how many pieces the container has is unknown."""
    assert bill(of(A, "1C", 1), on(BOX, A, "4E", 2)).status == NOT_RELEASED


def test_the_pieces_of_several_containers_are_nobodys_share() -> None:
    one = bill(on_container("1C", 1, BOX, OTHER_BOX, quantity=100))
    assert standing(one) == {(None, BOX_KEY): None, (None, OTHER_BOX_KEY): None}


# In any order

entries = st.sampled_from((None, A, B))
posted = st.builds(
    lambda entry, code, minute, quantity, box, reversal: of(
        entry,
        code,
        minute,
        quantity,
        reversal=reversal,
        **({"container_numbers": (box,), "container_level": True} if box else {}),
    ),
    entries,
    st.sampled_from(("1C", "1C", "1C", "1B", "1A", "4E", "4A", "15", "14", "1H", "1I", "1W", "83")),
    st.integers(0, 6),
    st.sampled_from((None, 40, 60, 100)),
    st.sampled_from((None, None, BOX, OTHER_BOX)),
    st.sampled_from((False, False, False, True)),
)


@settings(deadline=None)
@given(st.lists(posted, max_size=10), st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_the_same(events: list[Disposition], random: Any) -> None:
    first = OneBill(ADDED, *events)
    shuffled = [ADDED, *events, *random.choices([ADDED, *events], k=2)]
    random.shuffle(shuffled)
    second = OneBill(*shuffled)
    assert (second.now, second.account) == (first.now, first.account)


@settings(deadline=None)
@given(st.lists(posted, max_size=10))
def test_withdrawing_an_entry_never_touches_another(events: list[Disposition]) -> None:
    one = OneBill(ADDED, *events)
    others = [lot for lot in one.account.releases if lot.entry_number == B]
    one.enter(of(A, "4E", 7))
    assert [lot for lot in one.account.releases if lot.entry_number == B] == others
    assert all(lot.entry_number == B for lot in one.account.releases)
