"""The leader of a partition is the one of the highest epoch that counts."""

from __future__ import annotations

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from router.log.kafka.leaders import NO_LEADER, Told, agreed

AT = TopicPartition("snp.bills", 0)
REPLICAS = frozenset({1, 2, 3})


def told(epoch: int, leader: int, replicas: frozenset[int] = REPLICAS) -> dict[TopicPartition, Told]:
    return {AT: Told(epoch, leader, replicas)}


@given(st.permutations([1, 2, 3]), st.integers(1, 5), st.sets(st.sampled_from([1, 2, 3]), min_size=2))
def test_whoever_was_frozen_any_two_answers_name_the_leader_of_what_was_written(
    brokers: list[int], epoch: int, answering: set[int]
) -> None:
    """A write counts once the leader and one more replica have it: both know the epoch."""
    leader, follower, frozen = brokers
    known = {leader: told(epoch, leader), follower: told(epoch, leader), frozen: told(epoch - 1, frozen)}
    assert agreed({broker: known[broker] for broker in answering}) == {AT: leader}


def test_one_answer_of_three_is_not_believed() -> None:
    assert agreed({1: told(4, 1)}) == {AT: NO_LEADER}


def test_the_only_replica_is_believed() -> None:
    assert agreed({1: told(0, 1, frozenset({1}))}) == {AT: 1}


def test_a_broker_that_is_no_replica_counts_only_by_its_epoch() -> None:
    two = frozenset({1, 2})
    assert agreed({1: told(1, 1, two), 2: told(1, 1, two), 3: told(2, 2, two)}) == {AT: 2}
    assert agreed({1: told(1, 1, two), 3: told(1, 1, two)}) == {AT: NO_LEADER}


def test_an_epoch_without_a_leader_is_no_reason_to_ask_the_former_one() -> None:
    assert agreed({1: told(1, 1), 2: told(2, NO_LEADER), 3: told(2, NO_LEADER)}) == {AT: NO_LEADER}


def test_nobody_answers_for_nothing() -> None:
    assert agreed({}) == {}
