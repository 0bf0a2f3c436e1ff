"""Clocks of other machines are flagged, and falsify no latency."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, prepare
from router.engine.arrivals import AHEAD, KEPT_SECONDS, Arrivals
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.log.kafka.reader import LATEST_TIME
from router.log.sqlite import open_sqlite_log
from router.model.eastern import CLOCKS_DIFFER, MINUTE
from router.model.inputs import Disposition
from router.model.registry_values import Party
from tests.deploy.fired import fired, scrape

HOUR = 60 * MINUTE
NOW = 1_800_000_000_000


def test_what_arrived_before_anything_was_read_is_unknown() -> None:
    arrivals = Arrivals(0)
    assert not arrivals.is_credible(NOW - 5, NOW)
    assert arrivals.difference([NOW - 5], NOW) is None
    assert arrivals.difference([NOW + HOUR], NOW) == HOUR, "nothing arrives in the future"


@pytest.mark.parametrize(
    ("off", "difference"),
    [(0, 0), (AHEAD, 0), (AHEAD + 1, AHEAD + 1), (-CLOCKS_DIFFER // 2, 0), (HOUR, HOUR), (-HOUR, CLOCKS_DIFFER - HOUR)],
)
def test_a_difference_is_at_least_as_large_as_it_is_shown(off: int, difference: int) -> None:
    arrivals = Arrivals(0)
    arrivals.complete(time.monotonic())
    assert arrivals.difference([NOW, NOW + off], NOW) == pytest.approx(difference, abs=50)
    assert arrivals.is_credible(NOW + off, NOW) is (difference == 0)


def test_the_largest_difference_stays_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals(0)
    arrivals.complete(time.monotonic())
    with capture_logs() as lines:
        for _ in range(3):
            assert arrivals.difference([NOW + HOUR], NOW) == HOUR
            assert arrivals.difference([NOW], NOW) == HOUR, "a tick a minute must be enough to see it"
    assert [line["event"] for line in lines] == ["clocks_differ"]
    later = time.monotonic() + KEPT_SECONDS + 1
    monkeypatch.setattr("router.engine.arrivals.time.monotonic", lambda: later)
    arrivals.complete(later)
    assert arrivals.difference([NOW], NOW) == 0


@pytest.mark.parametrize("absurd", [0, 1, 1_790_000_000, LATEST_TIME])
def test_a_time_that_no_clock_shows_is_no_difference(absurd: int) -> None:
    arrivals = Arrivals(0)
    arrivals.complete(time.monotonic())
    with capture_logs() as lines:
        assert arrivals.difference([absurd], NOW) is None
        assert arrivals.difference([absurd, NOW], NOW) == 0
        assert arrivals.difference([absurd, NOW + HOUR], NOW) == HOUR, "the others count"
    assert not arrivals.is_credible(absurd, NOW)
    assert len(lines) == 1


@pytest.mark.parametrize("off", [-HOUR, HOUR])
async def test_a_feed_whose_clock_is_an_hour_off(off: int, tmp_path: Path) -> None:
    rules = Rules()
    async with open_sqlite_log(str(tmp_path / "snp.db")) as log:
        await prepare(log, 1)
        await append_tick(log)
        await import_parties(log, [Party("NVXA")])
        worker = Worker(log, rules)
        figures = worker.metrics.registry

        async def feed(number: int, code: str, ahead: int = 0) -> None:
            event = Disposition("NVXA", f"B{number}", code, now_milliseconds(), 10, received_at=now_milliseconds())
            outputs = event_outputs(event, rules.codes.is_urgent)
            await log.append([one._replace(timestamp=now_milliseconds() + ahead) for one in outputs])

        async def until(condition: Callable[[], bool]) -> None:
            async with asyncio.timeout(10):
                while not condition():
                    await asyncio.sleep(0.02)

        running = asyncio.create_task(worker.run())
        await until(lambda: not worker.health.unready())
        await asyncio.sleep(1.2)  # a poll that found nothing
        await feed(1, "7H")
        await until(lambda: worker.totals.counts["events"] == 1)
        before = scrape(figures)
        assert before["snp_end_to_end_latency_seconds_count", ()] == 1, "a hold is on two topics and one event"
        await feed(2, "7H", off)
        await feed(3, "1C", off)
        await until(lambda: worker.totals.counts["events"] == 3)
        await asyncio.sleep(0.1)
        after = scrape(figures)
        running.cancel()
        await asyncio.wait([running])
    assert after["snp_end_to_end_latency_seconds_count", ()] == 1
    assert after["snp_end_to_end_latency_seconds_sum", ()] < 5, "an hour is no latency"
    assert after["snp_latency_unknown_total", ()] - before["snp_latency_unknown_total", ()] == 2
    difference = after["snp_clock_difference_seconds", (("task", "0"),)]
    assert 3000 < abs(difference) <= 3600
    assert (difference > 0) is (off > 0)
    assert fired(before, after, tmp_path) == {"SnpClocksDiffer", "SnpLagUnknown"}, "nobody measures the lag here"
