"""The stored states of a task, and walking over them a few at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.task.bill_table import BillTable
from router.task.walks import Walk

KEYS = st.sets(st.text("ABC123", min_size=1, max_size=8), max_size=40)


def bills_of(keys: set[str]) -> BillTable:
    bills = BillTable()
    for key in keys:
        bills[key] = key.encode()
    return bills


@given(KEYS, st.integers(1, 7))
def test_a_walk_looks_at_every_bill_once_a_bounded_number_at_a_time(keys: set[str], limit: int) -> None:
    bills, walk, seen = bills_of(keys), Walk(1, ""), list[str]()
    while walk.cursor is not None:
        portion = walk.next(bills, limit)
        assert len(portion) <= limit
        seen += portion
    assert sorted(seen) == sorted(keys)


@given(KEYS, KEYS, st.integers(1, 7))
def test_a_walk_taken_up_elsewhere_goes_on_as_it_would_have(keys: set[str], more: set[str], limit: int) -> None:
    bills, walk = bills_of(keys), Walk(1, "")
    walk.next(bills, limit)
    for key in more:
        bills[key] = b""
    again = Walk(*walk.place)
    assert again.next(bills_of(keys | more), limit) == walk.next(bills, limit)


def test_a_bill_that_is_dropped_is_gone() -> None:
    bills = bills_of({"A", "B"})
    bills.drop("A")
    bills.drop("C")
    assert (bills.get("A"), bills.get("B"), len(bills)) == (None, b"B", 1)
