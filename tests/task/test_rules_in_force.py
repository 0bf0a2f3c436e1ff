"""The rules in the registry: each task decides by those at its place in it, whatever else it was started with."""

from __future__ import annotations

import pytest

from router import topics
from router.decide.rules import Rules, settings_of
from router.decide.status import RELEASE_UNCONFIRMED, RELEASED
from router.errors import FatalLogError
from router.log.interface import Record
from router.model.inputs import Disposition
from router.model.registry_values import RulesRecord
from router.task.shard import Shard
from tests.checking.harness import Harness
from tests.checking.replay import check
from tests.checking.samples import HOUSE, OTHER_HOUSE, START, event, filing


def exam(bill: str, minute: int = 1) -> list[Disposition]:
    """A release, then an exam that ends."""
    return [event("1C", minute, bill=bill), event("7H", minute + 1, bill=bill), event("7I", minute + 2, bill=bill)]


def test_every_task_follows_a_change_and_no_bill_changes_by_it() -> None:
    """Under `fresh`, NVXA's bill waits for a person after its exam. It goes on waiting under `previous`, under which
    NVXB's bill, examined later, does not wait."""
    router = Harness(2, now=START)
    router.decide(filing(), filing(OTHER_HOUSE), *exam(HOUSE))
    router.change_rules(release_after_hold="previous")
    router.days_pass(1)
    assert router.status(HOUSE) == RELEASE_UNCONFIRMED
    router.decide(*exam(OTHER_HOUSE, 2000))
    assert router.status(OTHER_HOUSE) == RELEASED
    for task in range(2):
        router.restart(task)
    router.decide(event("1M", 2010), event("1M", 2010, bill=OTHER_HOUSE))
    assert (router.status(HOUSE), router.status(OTHER_HOUSE)) == (RELEASE_UNCONFIRMED, RELEASED)
    assert check(router.records(topics.TIMELINE), router.party_records(), router.rules) == []


def test_a_task_that_lags_decides_by_the_rules_at_its_place() -> None:
    router = Harness(1, now=START)
    router.decide(filing())
    router.feed(*exam(HOUSE))
    router.transact(0)  # before the change
    router.change_rules(release_after_hold="previous")
    router.pump()
    assert router.status(HOUSE) == RELEASE_UNCONFIRMED


def test_a_router_with_other_settings_decides_by_the_registry() -> None:
    router = Harness(1, Rules(release_after_hold="previous"), now=START)
    router.change_rules(release_after_hold="fresh")
    router.pump()
    router.decide(filing(), *exam(HOUSE))
    assert router.status(HOUSE) == RELEASE_UNCONFIRMED


def test_of_two_changes_at_once_the_first_counts_after_compaction_too() -> None:
    router = Harness(1, now=START)
    router.change_rules(release_after_hold="previous")
    late = RulesRecord(2, "late", settings_of(Rules(release_after_hold="fresh")), START, "another", "the other way")
    router.register(late)
    router.pump()
    router.restart(0)
    assert router.shards[0].rules.release_after_hold == "previous"
    assert [record.by for record in router.shards[0].registry.rules_records] == ["me", "me"]


def test_a_restarted_task_keeps_the_rules_when_its_first_transaction_is_abandoned() -> None:
    router = Harness(1, now=START)
    router.change_rules(release_after_hold="previous")
    router.decide(filing(), event("1C", 1), event("7H", 2))
    router.restart(0)
    router.feed(event("7I", 3))
    router.abandon(0)
    assert router.shards[0].rules.number == 2
    router.pump()
    assert router.status(HOUSE) == RELEASED


def test_rules_that_this_version_cannot_follow_stop_the_process_with_nothing_decided() -> None:
    router = Harness(1, now=START)
    router.register(RulesRecord(1, "new", settings_of(Rules()) | {"moon_phase": "full"}, START, "me", "a new version"))
    router.feed(*exam(HOUSE))
    with pytest.raises(FatalLogError, match="moon_phase"):
        router.pump()


def test_a_transaction_thrown_away_takes_back_the_change() -> None:
    router = Harness(1, now=START)
    router.pump()
    router.change_rules(release_after_hold="previous")
    router.abandon(0)
    assert router.shards[0].rules.number == 1
    router.pump()
    assert router.shards[0].rules.number == 2


def test_a_registry_of_an_older_position_has_the_rules_of_that_position() -> None:
    shard = Shard(Rules(), 0, 1)
    router = Harness(1, now=START)
    router.change_rules(release_after_hold="previous")
    records: list[Record] = router.log[topics.REGISTRY, 0]
    for record in records[:-1]:
        shard.load_registry(record)
    assert (shard.rules.number, shard.rules.release_after_hold) == (1, "fresh")
    shard.load_registry(records[-1])
    assert (shard.rules.number, shard.rules.release_after_hold) == (2, "previous")
