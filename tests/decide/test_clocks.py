"""Clocks that are wrong: ticks that jump, feeds and messages of another day. They make nobody forget or release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import topics
from router.clock import DAY, MINUTE
from router.decide.recipients.registry import MOST_ELAPSED, Registry
from router.model.registry import LateTally, Outage, RegistryNote
from tests.checking.harness import Harness, decoded
from tests.checking.samples import HOUSE, OTHER_HOUSE, PARTIES, START, event, filing, sailing

YEAR = 366 * DAY


@pytest.fixture
def router() -> Harness:
    harness = Harness(now=START)
    harness.roster(*PARTIES, sailing())
    return harness


# Ticks


@pytest.mark.parametrize("back", [True, False], ids=["and is set right", "and stays so"])
def test_a_clock_that_is_a_year_ahead_forgets_nothing(router: Harness, back: bool) -> None:
    router.feed(filing(), event("6H", 1), filing(OTHER_HOUSE, container_numbers=()), event("1C", 1, bill=OTHER_HOUSE))
    router.pump()
    for minute in range(3):
        router.tick(START + (0 if back and minute else YEAR) + minute * MINUTE)
        router.pump()
    assert (router.status(HOUSE), router.status(OTHER_HOUSE)) == ("DO_NOT_LOAD", "RELEASED")


def test_a_router_that_was_stopped_for_weeks_goes_on_by_itself_and_no_bill_is_the_older_for_it(router: Harness) -> None:
    router.feed(filing(), event("1C", 1))
    router.pump()
    router.tick(START + 89 * DAY)
    router.pump()
    assert router.shards[0].registry.now == START + 89 * DAY
    assert router.status(HOUSE) == "RELEASED"


@given(st.lists(st.one_of(st.integers(), st.integers(START, START + 2 * YEAR)), min_size=1))
def test_a_tick_is_worth_a_day_at_most_and_time_never_goes_back(moments: list[int]) -> None:
    registry = Registry()
    registry.apply(RegistryNote("tick", "tick", START))
    for moment in moments:
        before = registry.elapsed
        registry.apply(RegistryNote("tick", "tick", moment))
        assert before <= registry.elapsed <= before + MOST_ELAPSED
        assert registry.now == moment


def test_a_restart_or_a_transaction_thrown_away_makes_no_time_go_by_twice(router: Harness) -> None:
    router.feed(event("1C", 1))
    router.pump()
    for minute in (10, 5, 20):
        router.tick(START + minute * MINUTE)
        router.abandon(0)
    router.pump()
    router.restart(0)
    registry = router.shards[0].registry
    assert (registry.now, registry.elapsed) == (START + 20 * MINUTE, START + 25 * MINUTE)


def test_a_bill_that_is_forgotten_although_it_is_stopped_is_on_the_operators_list(router: Harness) -> None:
    router.feed(filing(), event("6H", 1), filing(OTHER_HOUSE, container_numbers=()), event("1C", 1, bill=OTHER_HOUSE))
    for day in range(367):
        router.tick(START + day * DAY)
        router.pump()
    assert (router.state(HOUSE), router.state(OTHER_HOUSE)) == (None, None)
    (entry,) = map(decoded, router.records(topics.AUDIT))
    assert (entry["subject"], entry["action"]) == (HOUSE, "forget")
    assert entry["detail"] == "DO_NOT_LOAD (6H); nothing was heard of it for 365 days"


def test_a_feed_whose_clock_is_ahead_does_not_keep_an_outage_from_being_over(router: Harness) -> None:
    outage = Outage("o1", "DECLARED", START)
    router.register(
        outage, outage._replace(ended_at=START + MINUTE), LateTally("o1", "r1", 1, 0, 0, None, START + YEAR)
    )
    for day in range(1, 3):
        router.tick(START + day * DAY)
        router.pump()
    assert [decoded(one)["state"] for one in router.records(topics.FEED_STATUS)][-1] == "RECOVERED"
