"""The schedule of deliveries, played through without a clock."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from router.desk.receipts import WebhookState
from router.log.interface import Record
from router.model.eastern import DAY
from router.webhooks.delivery_schedule import WINDOW, DeliverySchedule, PendingNotice
from router.webhooks.sender import DELIVERED, DOWN, GONE, REFUSED, Outcome
from router.webhooks.webhook_settings import WebhookSettings


class ShortPauses(WebhookSettings):
    first_pause_seconds: ClassVar[float] = 1
    longest_pause_seconds: ClassVar[float] = 8


SETTINGS = ShortPauses(concurrent_posts=3, give_up_days=2)
OK, BAD, OUT = Outcome(DELIVERED), Outcome(REFUSED, "answered 400"), Outcome(DOWN, "answered 503")


def schedule(*bills: str, state: WebhookState | None = None, first: int = 0) -> DeliverySchedule:
    made = DeliverySchedule(state or WebhookState("NVXA"), SETTINGS, lambda: 1.0)
    for offset, bill in enumerate(bills, first):
        made.add(Record("snp.party.NVXA", 0, offset, bill.encode(), b"", (), 0), f"n{offset}")
    return made


def started(made: DeliverySchedule, now: int = 0) -> list[PendingNotice]:
    found = []
    while (one := made.next(now)) is not None:
        found.append(one)
    return found


def ids(pending: list[PendingNotice]) -> list[str]:
    return [one.notice_id for one in pending]


def test_bills_go_in_parallel_and_each_in_its_order() -> None:
    made = schedule("A", "A", "B", "C", "D")
    first = started(made)
    assert ids(first) == ["n0", "n2", "n3"]
    made.record_outcome(first[0], OK, 0)
    assert ids(started(made)) == ["n1"]


def test_a_refused_notice_delays_its_own_bill_only_and_is_tried_again() -> None:
    made = schedule("A", "A", "B")
    a, b = started(made)
    made.record_outcome(a, BAD, 0)
    made.record_outcome(b, OK, 0)
    assert made.wake_at() == 1000
    assert started(made, 999) == []
    (again,) = started(made, 1000)
    assert (again.notice_id, made.state.refused[0].error) == ("n0", "answered 400")
    made.record_outcome(again, OK, 1000)
    assert ids(started(made, 1000)) == ["n1"]


def test_an_endpoint_that_is_down_is_probed_with_one_notice_after_growing_pauses() -> None:
    made = schedule("A", "B", "C", "D")
    for one in started(made):
        made.record_outcome(one, OUT, 0)
    pauses = []
    now = 0
    for _ in range(4):
        wake_at = made.wake_at()
        assert wake_at is not None
        pauses.append(wake_at - now)
        now = wake_at
        (one,) = started(made, now)
        made.record_outcome(one, OUT, now)
    assert pauses == [4000, 8000, 8000, 8000]
    assert (made.state.failing_since, made.state.attempts) == (0, 7)
    now += 8000
    (one,) = started(made, now)
    made.record_outcome(one, OK, now)
    assert len(started(made, now)) == 3
    assert made.state.failing_since is None


def test_gone_stops_it_until_an_operator_s_order() -> None:
    made = schedule("A", "B")
    for one in started(made):
        made.record_outcome(one, Outcome(GONE, "answered 410"), 0)
    assert made.state.disabled == "its endpoint answered 410 and is gone for good"
    assert (started(made, 10**12), made.wake_at()) == ([], None)
    made.obey(paused=False, order_at=5)
    assert ids(started(made, 10)) == ["n0", "n1"]


def test_nothing_is_posted_while_paused() -> None:
    made = schedule("A")
    made.obey(paused=True, order_at=1)
    assert started(made) == []
    made.obey(paused=False, order_at=2)
    assert ids(started(made)) == ["n0"]


def test_an_endpoint_is_disabled_after_days_of_failures_with_nothing_lost() -> None:
    made = schedule("A")
    for now in (0, 2 * DAY, 2 * DAY + 10_000):
        (one,) = started(made, now)
        made.record_outcome(one, OUT, now)
    assert made.state.disabled == "no delivery for 2 days; last error: answered 503"
    assert made.state.open == (0,)


def test_a_notice_refused_for_days_is_set_aside_visibly_and_its_bill_goes_on() -> None:
    made = schedule("A", "A")
    for now in (0, 2 * DAY + 1):
        (one,) = started(made, now)
        made.record_outcome(one, BAD, now)
    assert made.state.set_aside == ("n0",)
    assert ids(started(made, 2 * DAY + 1)) == ["n1"]


def test_the_state_holds_exactly_the_offsets_still_to_be_delivered() -> None:
    made = schedule("A", "B", "C", first=10)
    a, b, c = started(made)
    made.record_outcome(b, OK, 0)
    made.record_outcome(a, BAD, 0)
    state = made.state
    assert (state.taken_to, state.open, state.receipt.begin) == (13, (10, 12), 10)
    again = schedule("A", "B", "C", "D", state=state, first=10)
    assert ids(started(again, 10**6)) == ["n10", "n12", "n13"]
    assert again.state.refused == state.refused
    assert c.in_flight


def test_offsets_not_added_again_yet_still_count_as_open() -> None:
    state = WebhookState("NVXA", taken_to=20, open=(3, 7))
    made = DeliverySchedule(state, SETTINGS, lambda: 1.0)
    assert made.state == state


def test_notices_in_memory_are_bounded() -> None:
    made = schedule(*["A"] * WINDOW)
    assert made.is_full
    made.record_outcome(started(made)[0], OK, 0)
    assert not made.is_full


def test_pauses_vary_by_chance() -> None:
    made = DeliverySchedule(WebhookState("NVXA"), SETTINGS, lambda: 0.0)
    made.add(Record("t", 0, 0, b"A", b"", (), 0), "n0")
    made.record_outcome(started(made)[0], OUT, 0)
    assert made.wake_at() == 500


@pytest.mark.parametrize("outcome", [OUT, BAD], ids=["down", "refused"])
def test_a_clock_that_is_set_back_makes_no_pause_longer(outcome: Outcome) -> None:
    made = schedule("A")
    made.record_outcome(started(made, 5 * DAY)[0], outcome, 5 * DAY)
    assert started(made, 0) == []
    assert made.wake_at() == 1000
    assert ids(started(made, 1000)) == ["n0"]


def test_paths_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    assert WebhookSettings().beside(tmp_path).secrets_directory == tmp_path / "webhook-secrets"
