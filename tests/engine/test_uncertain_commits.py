"""A commit that nobody heard of is counted by what the restored position says of it."""

from __future__ import annotations

from collections import Counter

from router import topics
from router.engine.worker import UncertainCommits, position_in
from router.log.interface import Output

TALLY = Counter(events=3)


def transaction(position: bytes) -> list[Output]:
    decided = Output(topics.TIMELINE, b"NVXAHBL1", b"decided")
    return [decided, Output(topics.BILLS, topics.POSITION_KEY + b"2", position)]


def test_it_counts_if_its_own_position_is_restored_and_only_once() -> None:
    doubts = UncertainCommits()
    doubts.enter(2, transaction(b"behind it"), TALLY)
    assert doubts.settle(2, b"behind it") == TALLY
    assert not doubts.settle(2, b"behind it")


def test_it_does_not_count_if_the_position_is_where_it_was_or_that_of_another_owner() -> None:
    doubts = UncertainCommits()
    for restored in (None, b"before it", b"much further"):
        doubts.enter(2, transaction(b"behind it"), TALLY)
        assert not doubts.settle(2, restored)


def test_each_task_has_its_own() -> None:
    doubts = UncertainCommits()
    doubts.enter(2, transaction(b"behind it"), TALLY)
    assert not doubts.settle(1, b"behind it")
    assert position_in(transaction(b"behind it"), 1) is None
