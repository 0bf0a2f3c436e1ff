"""A party's reading: over the last day as a diagram, and of each notice of a bill. What nobody saw is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.console.reading_lag import HEIGHT, WIDTH, Span, reading_lag
from router.demo.story import FILES, set_up
from router.desk.index_reading import Observation
from router.desk.receipts import WebhookState, state_output
from router.engine.administration import import_parties
from router.model.eastern import HOUR, MINUTE
from router.model.registry_values import Party
from tests.console.desk import desk
from tests.desk.installation import BILL, route

UNTIL = 1_785_000_000_000 // MINUTE * MINUTE + 30_000
"""Half a minute into the last minute of the diagram."""


def seen(minutes_ago: int, notices: int | None, oldest: int | None = None) -> Observation:
    at = UNTIL - minutes_ago * MINUTE
    return Observation(at, notices, None if notices is None else int(oldest is not None), oldest)


def test_without_observations_all_is_unknown() -> None:
    lag = reading_lag([], UNTIL)
    assert (lag.unknown, lag.unknown_minutes, lag.unread, lag.ages, lag.last) == (
        (Span(0, WIDTH),),
        WIDTH,
        "",
        "",
        None,
    )


def test_before_the_start_between_and_while_the_reader_is_lost_is_unknown() -> None:
    lag = reading_lag([seen(9, 0), seen(8, 4), seen(7, None), seen(3, 2), seen(2, 2), seen(1, 0)], UNTIL)
    assert lag.unknown == (Span(0, WIDTH - 10), Span(WIDTH - 8, 4))
    assert lag.most_unread == 4
    assert lag.last == seen(1, 0)


def test_the_greatest_is_at_the_top_and_zero_has_no_area() -> None:
    lag = reading_lag([seen(3, 4), seen(2, 2), seen(1, 0), seen(0, 0)], UNTIL)
    left = WIDTH - 4
    assert lag.unread == f"M{left} {HEIGHT}H{left}V0H{left + 1}V50H{left + 2}V{HEIGHT}Z"
    assert lag.ages == ""


def test_the_age_of_the_oldest_do_not_load_grows() -> None:
    began = UNTIL - 2 * HOUR
    lag = reading_lag([seen(minutes, 1, began) for minutes in range(60, -1, -1)], UNTIL)
    assert lag.longest_age == 2 * HOUR
    assert lag.unread.count("M") == lag.ages.count("M") == 1


async def test_the_pages_show_what_was_observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.console.backend.REFRESH_SECONDS", 0.1)
    async with desk(tmp_path) as (log, anna):
        await set_up(log)
        await import_parties(log, [Party("NVXA", webhook_url="https://nvxa.test/")])
        await route(log, FILES / "1-on-file.x12")
        page = await anna.shown("not read at <time", f"/bills/{BILL}")
        assert "reading unknown" in page, "of the parties whose reader nobody can follow"
        page = await anna.get("/parties/NVXA")
        assert "Its reading, the last 24 hours" in page
        assert 'class="p-unknown"' in page
        assert 'class="f-on_file" d="M' in page
        await log.append([state_output(WebhookState("NVXA", taken_to=1))])  # in the same minute, or in the next one
        await anna.shown("<small>read b", f"/bills/{BILL}")
        await anna.shown("<small>read b", f"/bills/{BILL}/history")
        page = await anna.get("/parties/HARX")
        assert "Unread notices: unknown; unknown for 1440 of 1440 minutes" in page
