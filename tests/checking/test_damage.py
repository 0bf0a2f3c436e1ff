"""Damage of one place in a valid message: it may stop cargo, never free it or tell anybody more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from router.feeds.bounded_input import ReadResult
from router.feeds.formats import read_events
from router.model.inputs import Disposition
from tests.checking import damage

ROUNDS = 8
TRIALS_OF_ROUND = 60
"""`python -m benchmarks.damage` tries as many as there is time for."""


@pytest.mark.parametrize("number", range(ROUNDS))
def test_one_edit_frees_nothing_tells_nobody_more_and_loses_no_readable_stop(number: int) -> None:
    trials = [damage.trial(number * TRIALS_OF_ROUND + index) for index in range(TRIALS_OF_ROUND)]
    assert [tried for tried in trials if tried is not None and tried.faults] == []
    assert sum(tried is not None for tried in trials) > TRIALS_OF_ROUND // 2


def certain(*arguments: Any, **options: Any) -> Iterator[ReadResult]:
    for event in read_events(*arguments, **options):
        yield event._replace(uncertain=None) if isinstance(event, Disposition) else event


def silent(*arguments: Any, **options: Any) -> Iterator[ReadResult]:
    return (event for event in read_events(*arguments, **options) if isinstance(event, Disposition))


@pytest.mark.parametrize("reader", [certain, silent])
def test_the_judge_finds_a_reader_that_trusts_damage(monkeypatch: pytest.MonkeyPatch, reader: Any) -> None:
    monkeypatch.setattr(damage, "read_events", reader)
    assert any((tried := damage.trial(seed)) is not None and tried.faults for seed in range(300))
