"""The diagram of a bill's life."""

from __future__ import annotations

from typing import Any

from router.console.lifeline import NARROWEST, WIDTH, Span, lifeline
from router.model.eastern import HOUR, iso

NOW = 1_800_000_000_000
STOPPING = frozenset({"6H"})


def entry(posted: int, *holds: str, status: str = "HELD", late: int = 0, notified: int = 1) -> dict[str, Any]:
    """An entry of the history, posted and decided so many hours after the first one."""
    return {
        "action_at": iso(NOW + posted * HOUR), "at": iso(NOW + (posted + late) * HOUR), "holds": list(holds),
        "status": status, "status_before": "ON_FILE", "disposition_code": "1H", "cause": "DISPOSITION",
        "notified": [{"kind": "hold", "recipient": "SLTC"}] * notified,
    }  # fmt: skip


def test_a_hold_lasts_from_its_posted_time_until_its_removals() -> None:
    life = lifeline([entry(0), entry(2, "CBP:1H::"), entry(6), entry(10)], STOPPING, NOW + 99 * HOUR)
    assert life is not None
    (bar,) = life.bars
    assert (bar.name, bar.span, bar.late, bar.is_do_not_load) == ("1H whole bill", Span(200, 400), None, False)
    assert (life.began, life.ended) == (iso(NOW), iso(NOW + 10 * HOUR)), "it ends with the last event"


def test_a_standing_hold_lasts_until_now() -> None:
    life = lifeline([entry(0), entry(5, "CBP:6H:CSQU3054383:")], STOPPING, NOW + 10 * HOUR)
    assert life is not None
    (bar,) = life.bars
    assert (bar.name, bar.span, bar.ended, bar.is_do_not_load) == ("6H CSQU3054383", Span(500, 500), None, True)


def test_the_time_until_a_late_hold_was_known_is_marked() -> None:
    life = lifeline([entry(0, "CBP:1H::", late=4), entry(10)], STOPPING, NOW)
    assert life is not None
    assert life.bars[0].late == Span(0, 400)


def test_a_hold_placed_again_has_two_bars_and_a_short_one_can_be_seen() -> None:
    life = lifeline([entry(0, "CBP:1H::"), entry(0), entry(5000, "CBP:1H::"), entry(10_000)], STOPPING, NOW)
    assert life is not None
    assert [bar.span for bar in life.bars] == [Span(0, NARROWEST), Span(500, 500)]


def test_releases_and_notices_are_ticks() -> None:
    life = lifeline([entry(0, notified=0), entry(5, status="RELEASED"), entry(10)], STOPPING, NOW)
    assert life is not None
    assert [tick.place for tick in life.releases] == [500]
    assert [tick.place for tick in life.notices] == [500, WIDTH]


def test_a_bill_without_history_has_none() -> None:
    assert lifeline([], STOPPING, NOW) is None
