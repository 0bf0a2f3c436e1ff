"""A party that was down asks: the status now of all its open bills, once, while live notices go on."""

from __future__ import annotations

from typing import Final

import pytest

from router import topics
from router.model.registry_values import Party, Request, RequestDone
from tests.checking.harness import Harness, decoded
from tests.checking.replay import check
from tests.checking.samples import ABOARD, HOUSE, PARTIES, START, at, event, filing, sailing

BILLS: Final = tuple(f"NVXAHBL{number:09}" for number in range(12))
WINDOW = 14


@pytest.fixture
def harness() -> Harness:
    harness = Harness(3, now=START)
    harness.roster(*PARTIES, sailing())
    for bill in BILLS:
        harness.feed(filing(bill, snps=("SLTC",)), event("1H", 1, bill=bill))
    harness.pump()
    return harness


def ask(name: str = "q1", scac: str = "SLTC", minute: int = 60) -> Request:
    return Request(name, "RESYNC", scac, "J. Doe", at(minute))


def resynced(harness: Harness, scac: str = "SLTC") -> list[str]:
    notices = harness.notices(scac)
    return [notice["scac"] + notice["bill_of_lading"] for notice in notices if notice["cause"] == "RESYNC"]


def settle(harness: Harness) -> None:
    harness.pump()
    assert check(harness.records(topics.TIMELINE), harness.party_records(), harness.rules) == []


def registered(harness: Harness) -> list[str]:
    return [key for key in harness.latest(topics.REGISTRY) if key.startswith(("request:", "done:"))]


def test_all_its_open_bills_once_with_what_they_cover_and_to_nobody_else(harness: Harness) -> None:
    told = len(harness.party_records())
    harness.register(ask())
    settle(harness)
    assert sorted(resynced(harness)) == sorted(BILLS)
    assert len(harness.party_records()) == told + len(BILLS)
    notice = harness.notices("SLTC", BILLS[0])[-1]
    assert (notice["kind"], notice["cause"], len(notice["covers"])) == ("hold", "RESYNC", 1)


def test_records_of_it_are_gone_once_all_tasks_are_through(harness: Harness) -> None:
    harness.register(ask())
    settle(harness)
    assert registered(harness) == []
    assert {
        decoded(one)["task"] for one in harness.records(topics.REGISTRY) if b"done:q1" in one.key and one.value
    } == {
        0,
        1,
        2,
    }
    assert [shard.registry_duties.resyncs.running for shard in harness.shards] == [(), (), ()]


def test_an_alias_asks_for_its_party(harness: Harness) -> None:
    harness.roster(Party("SLTC", aliases=("SLTD",)))
    harness.register(ask(scac="SLTD"))
    settle(harness)
    assert len(resynced(harness)) == len(BILLS)


def test_a_second_one_while_one_runs_is_ignored_and_a_later_one_is_not(harness: Harness) -> None:
    harness.register(ask(), ask("q2"), ask())
    settle(harness)
    assert len(resynced(harness)) == len(BILLS)
    assert registered(harness) == []
    harness.register(ask("q3"))
    settle(harness)
    assert len(resynced(harness)) == 2 * len(BILLS)


def test_two_parties_may_ask_at_the_same_time(harness: Harness) -> None:
    harness.register(ask(), ask("q2", "NVXA"))
    settle(harness)
    assert len(resynced(harness)) == len(resynced(harness, "NVXA")) == len(BILLS)


def test_one_that_can_not_be_reached_gets_nothing_and_its_request_ends(harness: Harness) -> None:
    harness.roster(Party("SLTC", status="suspended"))
    harness.register(ask(), ask("q2", "ZZZZ"))
    settle(harness)
    assert resynced(harness) == []
    assert registered(harness) == []


def test_live_notices_go_on_meanwhile(harness: Harness) -> None:
    """A bounded number of bills a transaction; what is new comes before the rest of the walk."""
    harness.register(ask())
    for task in (0, 1, 2, 0, 1, 2):
        harness.transact(task, walk=1)
    assert 0 < len(resynced(harness)) < len(BILLS)
    harness.feed(*(event("1I", 90, bill=bill) for bill in BILLS))
    for task in range(3):
        harness.transact(task, walk=0)
    live = [notice["cause"] for notice in harness.notices("SLTC")][-len(BILLS) :]
    assert live == ["DISPOSITION"] * len(BILLS)
    settle(harness)
    assert sorted(resynced(harness)) == sorted(BILLS)


def test_bills_long_over_are_left_out_and_a_resync_does_not_keep_them(harness: Harness) -> None:
    gone, lately = BILLS[0], BILLS[1]
    harness.feed(event("1I", 5, bill=gone), event("1C", 6, bill=gone))
    harness.pump()
    harness.days_pass(10)
    harness.feed(event("1I", 5, bill=lately), event("1C", 6, bill=lately))
    harness.pump()
    harness.days_pass(WINDOW - 9)
    touched = harness.state(lately).touched  # type: ignore[union-attr]
    harness.register(ask())
    settle(harness)
    assert sorted(resynced(harness)) == sorted(set(BILLS) - {gone})
    assert harness.state(lately).touched == touched  # type: ignore[union-attr]


def test_vessels_and_bills_it_is_not_told_of_are_left_out(harness: Harness) -> None:
    harness.feed(event("AAD", 5, None, **ABOARD)._replace(scac=None, bill_of_lading=None))
    harness.feed(filing(HOUSE, snps=()), event("1K", 5))
    harness.pump()
    harness.register(ask(), ask("q2", "THRD"))
    settle(harness)
    assert sorted(resynced(harness)) == sorted(BILLS)
    assert resynced(harness, "THRD") == []


def test_whatever_restarts_in_the_middle_each_bill_is_told_once(harness: Harness) -> None:
    harness.register(ask(), ask("q2"))
    for turn in range(40):
        task = turn % 3
        harness.abandon(task, walk=1)
        harness.transact(task, records=1, walk=1)
        harness.restart(task)
    settle(harness)
    assert sorted(resynced(harness)) == sorted(BILLS)
    assert registered(harness) == []


def test_a_task_that_lags_behind_the_others_walks_too(harness: Harness) -> None:
    """It reads its request long after others were through, and the log was compacted meanwhile."""
    harness.register(ask())
    for _ in range(5):
        for task in (0, 1):
            harness.transact(task)
    harness.register(ask("q2"))
    for _ in range(5):
        harness.transact(0)
        harness.restart(2)
    settle(harness)
    assert sorted(resynced(harness)) == sorted(BILLS)


def test_who_is_through_is_counted_once(harness: Harness) -> None:
    harness.register(ask())
    harness.transact(0, walk=0)
    harness.register(RequestDone("q1", 1, 3, 0), RequestDone("q1", 1, 3, 0))
    harness.transact(0, walk=0)
    assert "request:q1" in registered(harness)
