"""Routine trade ends in `Release` without a person: every flow of tests/checking/routine.py, arriving in any order."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.decide.rules import PREVIOUS, Rules
from router.decide.status import RELEASE_PREDATES_HOLD, RELEASE_UNCONFIRMED, RELEASED
from router.model.eastern import DAY
from tests.checking.harness import Fed, Harness
from tests.checking.routine import AFTER_RELEASE, PARTIES, ROUTINE, Flow, Shipment, shipment
from tests.checking.samples import START

numbers = st.integers(0, 10_000)


def harness_of(rules: Rules) -> Harness:
    harness = Harness(rules=rules, now=START - 10 * DAY)
    harness.roster(*PARTIES)
    return harness


def lived(one: Shipment, records: list[Fed], rules: Rules) -> Harness:
    harness = harness_of(rules)
    harness.roster(one.voyage.sailing())
    harness.feed(*records)
    harness.pump()
    return harness


def in_order(one: Shipment) -> list[Fed]:
    return sorted(one.records, key=lambda record: record.received_at)


@pytest.mark.parametrize("flow", [pytest.param(flow, id=flow.__name__) for flow in ROUTINE])
@settings(max_examples=20, deadline=None)
@given(number=numbers)
def test_routine_trade_ends_in_a_release_without_a_person(flow: Flow, number: int) -> None:
    one = shipment(flow, number)
    harness = lived(one, in_order(one), Rules())
    for bill in one.freed:
        assert harness.status(bill) == RELEASED
        assert harness.kinds(bill[:4], bill)[-1] == "release"


@pytest.mark.parametrize("flow", [pytest.param(flow, id=flow.__name__) for flow in AFTER_RELEASE])
@settings(max_examples=20, deadline=None)
@given(number=numbers)
def test_an_exam_after_the_release_ends_in_a_release_if_what_came_before_counts_again(flow: Flow, number: int) -> None:
    one = shipment(flow, number)
    previous = lived(one, in_order(one), Rules(release_after_hold=PREVIOUS))
    fresh = lived(one, in_order(one), Rules())
    for bill in one.freed:
        assert previous.status(bill) == RELEASED
        assert fresh.status(bill) == RELEASE_UNCONFIRMED
        assert fresh.notices(bill[:4], bill)[-1]["doubts"] == (RELEASE_PREDATES_HOLD,)


@pytest.mark.parametrize("flow", [pytest.param(flow, id=flow.__name__) for flow in ROUTINE])
@settings(max_examples=20, deadline=None)
@given(number=numbers, random=st.randoms(use_true_random=False))
def test_routine_trade_ends_so_in_any_order_of_arrival(flow: Flow, number: int, random: Random) -> None:
    one = shipment(flow, number)
    records = [*one.records, *random.choices(one.records, k=3)]
    random.shuffle(records)
    harness = lived(one, records, Rules())
    assert {bill: harness.status(bill) for bill in one.freed} == dict.fromkeys(one.freed, RELEASED)
