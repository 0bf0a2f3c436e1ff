"""Commits of unknown outcome count if, and only if, the log has them."""

from __future__ import annotations

from collections import Counter

import pytest

from router import topics
from router.engine.uncertain_commits import UncertainCommits
from router.log.interface import Log, Output, Record
from router.model.vocabulary import Tally

TASK = 1
TALLY: Tally = Counter(events=3)


def transaction(position: bytes = b"behind it") -> list[Output]:
    """Everything but its name is what another router would write that decides the same records."""
    decided = Output(topics.TIMELINE, b"NVXAHBL1", b"decided")
    return [decided, Output(topics.BILLS, topics.position_key(TASK), position)]


class Router:
    """The counts of one router."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.counts: Tally = Counter()
        self.commits = UncertainCommits(log, self.counts.update)

    async def commit(self, *, is_made: bool = True) -> None:
        """Commit without learning the outcome."""
        outputs = self.commits.named(transaction())
        if is_made:
            await self._log.append(outputs)
        self.commits.add(TASK, outputs, TALLY)

    async def restore(self) -> None:
        async for batch in self._log.read([topics.BILLS], until_end=True):
            self.commits.read(TASK, batch)
        self.commits.restored(TASK)


@pytest.fixture
def ours(log: Log) -> Router:
    return Router(log)


@pytest.fixture
def other(log: Log) -> Router:
    return Router(log)


async def test_one_that_was_made_counts_once(ours: Router) -> None:
    await ours.commit()
    for _ in range(2):
        await ours.restore()
    assert ours.counts == TALLY


async def test_one_that_was_not_made_never_counts(ours: Router) -> None:
    await ours.commit(is_made=False)
    await ours.restore()
    await ours.commit(is_made=False)
    await ours.restore()
    assert not ours.counts


async def test_the_same_position_written_by_another_router_is_not_ours(ours: Router, other: Router) -> None:
    await ours.commit(is_made=False)
    await other.commit()
    await ours.restore()
    assert not ours.counts


async def test_each_of_several_counts_for_itself(ours: Router) -> None:
    await ours.commit(is_made=False)
    await ours.commit()
    await ours.restore()
    assert ours.counts == TALLY


async def test_each_task_has_its_own(ours: Router) -> None:
    other_task = Record(topics.BILLS, 0, 0, topics.position_key(0), b"behind it", (), 0)
    await ours.commit()
    ours.commits.read(0, [other_task])
    ours.commits.restored(0)
    await ours.restore()
    assert ours.counts == TALLY


async def test_one_whose_task_went_to_another_router_is_looked_for_there(ours: Router) -> None:
    await ours.commit()
    await ours.commits.look([TASK])
    await ours.restore()
    assert ours.counts == TALLY


async def test_it_is_looked_for_until_another_router_has_committed(ours: Router, other: Router) -> None:
    """Until then an open transaction may hide it."""
    outputs = ours.commits.named(transaction())
    ours.commits.add(TASK, outputs, TALLY)
    await ours.commits.look([TASK])
    await ours._log.append(outputs)
    await ours.commits.look([TASK])
    assert ours.counts == TALLY

    await ours.commit(is_made=False)
    await other.commit()
    await ours.commits.look([TASK])
    await ours._log.append(outputs)
    assert ours.counts == TALLY
