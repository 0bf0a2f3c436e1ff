"""Clocks that are wrong: ticks that jump, feeds and messages of another day. They make nobody forget or release."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import topics
from router.decide.registry import MOST_ELAPSED, Registry
from router.feeds.disposition_files import read_jsonl
from router.model.eastern import DAY, MINUTE, to_milliseconds
from router.model.inputs import Disposition
from router.model.registry_values import LateTally, Outage, RegistryNote
from tests.checking.harness import Harness, decoded
from tests.checking.replay import check
from tests.checking.samples import HOUSE, OTHER_HOUSE, PARTIES, START, at, dead_letter, event, filing, sailing
from tests.decide.one_bill import OneBill
from tests.decide.test_manual_events import said

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
def test_a_tick_is_worth_an_hour_at_most_and_time_never_goes_back(moments: list[int]) -> None:
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
    router.days_pass(366)
    assert (router.state(HOUSE), router.state(OTHER_HOUSE)) == (None, None)
    (entry,) = map(decoded, router.records(topics.AUDIT))
    assert (entry["subject"], entry["action"]) == (HOUSE, "forget")
    assert entry["detail"] == "DO_NOT_LOAD (6H); no record of it for 365 days"


def test_a_feed_whose_clock_is_ahead_does_not_keep_an_outage_from_being_over(router: Harness) -> None:
    outage = Outage("o1", "DECLARED", START)
    router.register(
        outage, outage._replace(ended_at=START + MINUTE), LateTally("o1", "r1", 1, 0, 0, None, START + YEAR)
    )
    router.days_pass(2)
    assert [decoded(one)["state"] for one in router.records(topics.FEED_STATUS)][-1] == "RECOVERED"


# Events dated in the future

AHEAD = 2 * 24 * 60
"""Minutes: two days."""
USUAL = (event("55", 1), event("1H", 2), event("1I", 3), event("1C", 4))


def to_come(code: str, **more: Any) -> Disposition:
    """Posted two days after it came, as it says."""
    return event(code, AHEAD, received_at=START, **more)


def kinds(bill: OneBill) -> list[str]:
    return [hold.kind for hold in bill.now.holds]


@pytest.mark.parametrize("code", ["1C", "1I", "6I", "55", "54", "4A", "1H", "6H", "56", "Z?"])
def test_what_is_dated_in_the_future_stops_the_bill_and_bears_on_nothing_else(code: str) -> None:
    bill, without = OneBill(to_come(code), *USUAL), OneBill(*USUAL)
    assert (bill.status, kinds(bill)) == ("DO_NOT_LOAD" if code == "6H" else "HELD", ["UNREADABLE"])
    assert bill.account == without.account
    assert bill.state.facts == without.state.facts
    later = event("6H", 5), event("6I", 6)
    bill.enter(*later)
    assert bill.account == OneBill(*USUAL, *later).account


def test_its_letter_says_why_and_can_be_retried_as_it_is_once_the_clock_is_right() -> None:
    bill = OneBill(*USUAL)
    (letter,) = bill.enter(to_come("6H")).letters
    assert bill.notified["NVXA"] == "hold"
    assert "2026-07-16T12:00:00Z, but was received at 2026-07-14T12:00:00Z" in letter.reason
    (again,) = read_jsonl([letter.content], "letter", at(AHEAD + 1))
    assert isinstance(again, Disposition)
    bill.enter(again._replace(retry_of=letter.id))
    assert (bill.status, kinds(bill)) == ("DO_NOT_LOAD", ["CBP"])


def test_retried_while_it_is_still_to_come_it_stops_the_bill_as_before() -> None:
    bill = OneBill(*USUAL)
    (letter,) = bill.enter(to_come("1C")).letters
    again = to_come("1C", retry_of=letter.id)._replace(received_at=at(1))
    assert [one.id for one in bill.enter(again).letters] == [letter.id], "the retry settled it"
    assert (bill.notified, kinds(bill)) == ({}, ["UNREADABLE"])
    bill.confirm(*bill.state.unparsed)
    assert bill.status == "RELEASED"


def test_what_was_mended_but_for_its_date_stands_in_the_place_of_what_it_mends() -> None:
    bill = OneBill(*USUAL, dead_letter())
    (letter,) = bill.enter(to_come("1H", retry_of=dead_letter().id)).letters
    assert len(bill.now.holds) == 1
    bill.enter(event("1H", 5, retry_of=letter.id))
    assert kinds(bill) == ["CBP"]


def test_a_day_is_what_clocks_and_their_zones_may_differ() -> None:
    assert kinds(OneBill(event("6H", 24 * 60, received_at=START))) == ["CBP"]
    assert kinds(OneBill(event("6H", 24 * 60 + 1, received_at=START))) == ["UNREADABLE"]


@pytest.mark.parametrize("code", ["1C", "6H", "Z?"])
def test_of_two_copies_the_one_that_came_in_time_counts_whichever_comes_first(code: str) -> None:
    early, late = to_come(code), to_come(code)._replace(received_at=at(AHEAD))
    one, other = OneBill(*USUAL, early, late), OneBill(*USUAL, late, early)
    alone = OneBill(*USUAL, late)
    assert one.holds == other.holds == alone.holds
    assert one.status == other.status == alone.status


def test_a_transmission_dated_in_the_future_makes_no_event_too_old() -> None:
    bill = OneBill(event("6H", 1, transmitted_at=START + YEAR))
    assert bill.status == "DO_NOT_LOAD"


@pytest.mark.parametrize("hours", [1, 24 * 365])
def test_a_filing_by_a_clock_that_is_ahead_has_not_the_say_over_what_comes_later(router: Harness, hours: int) -> None:
    """An hour ahead may be right; a year is not believed."""
    router.feed(filing(minute=hours * 60, snps=("SLTC",)))
    router.pump()
    router.feed(event("1H", 2, snps=("THRD",)))
    router.pump()
    assert bool(router.notices("THRD")) == (hours > 24)
    router.feed(filing(minute=3, snps=("NVXB",)))
    router.pump()
    assert bool(router.notices("NVXB")) == (hours > 24)
    assert check(router.records(topics.TIMELINE), router.party_records(), router.rules) == []


def test_a_lift_said_by_a_clock_that_is_ahead_ends_nothing_that_is_placed_later(router: Harness) -> None:
    ahead = said("LIFT", YEAR // MINUTE, "6H")
    router.decide(filing(), ahead._replace(id="ahead", received_at=ahead.said_at), said("PLACE", 5, "6H"))
    assert router.status(HOUSE) == "DO_NOT_LOAD"
    assert check(router.records(topics.TIMELINE), router.party_records(), router.rules) == []


@pytest.mark.parametrize(("placed", "lifted", "stands"), [("01:40", "01:50", True), ("00:40", "01:10", False)])
def test_a_hold_by_hand_outlives_a_lift_in_the_hour_that_autumn_repeats(placed: str, lifted: str, stands: bool) -> None:
    """Nobody can tell whether 1:40 was before or after 1:50: it was said twice."""
    words = [
        said(action, 0, "6H", action)._replace(said_at=to_milliseconds(datetime.fromisoformat(f"2026-11-01T{time}")))
        for action, time in (("PLACE", placed), ("LIFT", lifted))
    ]
    assert OneBill(filing(), *words).now.do_not_load == stands
