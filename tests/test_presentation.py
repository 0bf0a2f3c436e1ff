"""Notices in groups of one cause, as screens show them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.presentation import by_cause

Notice = tuple[str | None, str, int]
"""Cause, bill, and its place among all."""

notices = st.lists(st.tuples(st.sampled_from((None, "e1", "e2", "e3")), st.sampled_from("ABC"))).map(
    lambda drawn: [(*one, place) for place, one in enumerate(drawn)]
)


def groups_of(given: list[Notice]) -> list[list[Notice]]:
    return by_cause(given, lambda one: one[0], lambda one: one[1])


def test_ten_notices_of_one_event_are_one_group_though_others_came_between() -> None:
    drawn: list[Notice] = [("box", f"bill {number}", number) for number in range(10)]
    drawn.insert(4, ("other", "another", 99))
    assert [len(group) for group in groups_of(drawn)] == [10, 1]


def test_no_bills_later_notice_stands_above_its_earlier_one() -> None:
    """A released by e1 after it was held by e2: the release is not shown above the hold."""
    drawn: list[Notice] = [("e1", "B", 0), ("e2", "A", 1), ("e1", "A", 2)]
    assert groups_of(drawn) == [[drawn[0]], [drawn[1]], [drawn[2]]]


@given(notices)
def test_every_notice_is_shown_once_in_the_order_of_its_bill(drawn: list[Notice]) -> None:
    groups = groups_of(drawn)
    shown = [notice for group in groups for notice in group]
    assert sorted(shown, key=lambda one: one[2]) == drawn
    for bill in "ABC":
        places = [place for _, about, place in shown if about == bill]
        assert places == sorted(places)
    assert all(len({cause for cause, _, _ in group}) == 1 for group in groups)
    assert all(len(group) == 1 for group in groups if group[0][0] is None)
