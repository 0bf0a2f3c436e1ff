"""Histories that begin with a nomination (69): complete only if no hold can have come before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from router.decide import status as words
from router.decide.rules import Rules
from router.model.eastern import DAY, MINUTE, start_of_day
from router.model.inputs import Disposition
from tests.checking.samples import ABOARD, MASTER, START, dead_letter, event, filing, sailing
from tests.decide.one_bill import OneBill, registry_of

LADING = "2026-07-16"
"""START is 8:00 on the 14th: more than 24 hours before this day begins."""
MINUTES_LEFT = ((start_of_day(LADING) or 0) - DAY - START) // MINUTE
REGISTRY = registry_of(sailing(first_lading_date=LADING))
HOUSE_ABOARD: dict[str, Any] = {**ABOARD, "master_bill": MASTER, "snps": ("SLTC",), "transaction_port": None}


def of_house(code: str, minute: int, **more: Any) -> Disposition:
    return event(code, minute, **(HOUSE_ABOARD | more))


RELEASED_LATER = of_house("1C", 20_000)


def one(*records: Any, rules: Rules | None = None, registry: Any = REGISTRY) -> OneBill:
    return OneBill(*records, rules=rules or Rules(), registry=registry)


def test_a_house_that_named_only_one_party_long_before_lading_has_no_earlier_history() -> None:
    bill = one(of_house("69", 0), RELEASED_LATER)
    assert (bill.status, bill.doubts) == (words.RELEASED, ())


def test_in_whatever_order_its_events_come() -> None:
    bill = one(RELEASED_LATER)
    assert words.HISTORY_INCOMPLETE in bill.doubts
    bill.enter(of_house("69", 0))
    assert (bill.status, bill.doubts) == (words.RELEASED, ())


@pytest.mark.parametrize(("minute", "complete"), [(MINUTES_LEFT, True), (MINUTES_LEFT + 1, False)])
def test_24_hours_before_the_day_of_the_first_lading(minute: int, complete: bool) -> None:
    assert (one(of_house("69", minute), RELEASED_LATER).status == words.RELEASED) is complete


@pytest.mark.parametrize(
    "records",
    [
        [of_house("1C", 0), RELEASED_LATER],
        [of_house("69", 1), of_house("19", 0), RELEASED_LATER],
        [of_house("69", 1), of_house("1I", 2), RELEASED_LATER],
        [of_house("69", 1, snps=("SLTC", "OCNX")), RELEASED_LATER._replace(snps=("SLTC", "OCNX"))],
        [of_house("69", 1), RELEASED_LATER._replace(snps=("OCNX",))],
        [of_house("69", 1, master_bill=None), event("1C", 20_000, **(HOUSE_ABOARD | {"master_bill": None}))],
        [of_house("69", 1, voyage_number="999"), event("1C", 20_000, **(HOUSE_ABOARD | {"voyage_number": "999"}))],
    ],
    ids=["no 69", "not the first", "a hold unseen", "several", "one more later", "no house", "no sailing"],
)
def test_otherwise_its_history_is_incomplete(records: list[Disposition]) -> None:
    bill = one(*records)
    assert bill.status == words.RELEASE_UNCONFIRMED
    assert words.HISTORY_INCOMPLETE in bill.doubts


def test_without_the_date_of_lading_it_is_incomplete() -> None:
    bill = one(of_house("69", 0), RELEASED_LATER, registry=registry_of())
    assert bill.doubts == (words.HISTORY_INCOMPLETE,)


def test_an_event_before_it_that_could_not_be_read_may_have_been_a_hold() -> None:
    bill = one(of_house("Z?", 0), of_house("69", 1), RELEASED_LATER)
    assert bill.state is not None
    bill.confirm(*bill.state.unparsed)
    assert bill.doubts == (words.HISTORY_INCOMPLETE,)


def test_one_after_it_is_confirmed_like_any() -> None:
    bill = one(of_house("69", 0), dead_letter(minute=5), RELEASED_LATER)
    assert bill.state is not None
    bill.confirm(*bill.state.unparsed)
    assert (bill.status, bill.doubts) == (words.RELEASED, ())


def test_a_hold_unseen_that_comes_after_all_completes_it() -> None:
    bill = one(of_house("69", 0), of_house("1I", 2), of_house("1C", 3))
    assert bill.doubts == (words.HISTORY_INCOMPLETE,)
    bill.enter(of_house("1H", 1))
    assert (bill.status, bill.doubts) == (words.RELEASED, ())


def test_a_rule_lets_it_begin_the_history_of_several_parties() -> None:
    several = ("SLTC", "OCNX")
    records = (of_house("69", 0, snps=several), RELEASED_LATER._replace(snps=several))
    rules = replace(Rules(), history_from_nomination_of_several=True)
    assert one(*records, rules=rules).status == words.RELEASED
    assert one(*records).status == words.RELEASE_UNCONFIRMED


def test_and_applies_to_nominations_that_come_under_it_only() -> None:
    several = ("SLTC", "OCNX")
    bill = one(of_house("69", 0, snps=several))
    bill.rules = replace(Rules(), number=2, history_from_nomination_of_several=True, earlier=(Rules(),))
    bill.enter(RELEASED_LATER._replace(snps=several))
    assert bill.doubts == (words.HISTORY_INCOMPLETE,)


def test_it_stays_complete_when_the_events_are_folded() -> None:
    rules = replace(Rules(), fold_after_events=8)
    events = [of_house("69", 0), *(of_house("1M", minute, remarks=str(minute)) for minute in range(1, 20))]
    assert one(*events, RELEASED_LATER, rules=rules).status == words.RELEASED
    unseen = [of_house("69", 0), of_house("1I", 1), *events[2:]]
    assert one(*unseen, RELEASED_LATER, rules=rules).doubts == (words.HISTORY_INCOMPLETE,)


def test_a_filing_still_completes_it() -> None:
    assert one(filing(), event("1C", 1)).status == words.RELEASED
