"""Which notice may be tried when, played through without a clock."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from router.desk.webhooks import WebhookState
from router.log.interface import Record
from router.model.eastern import DAY
from router.webhooks.lanes import WINDOW, Lanes, Pending
from router.webhooks.sender import DELIVERED, DOWN, GONE, REFUSED, Outcome
from router.webhooks.settings import WebhookSettings


class QuickSettings(WebhookSettings):
    first_pause_seconds: ClassVar[float] = 1
    longest_pause_seconds: ClassVar[float] = 8


SETTINGS = QuickSettings(concurrent_posts=3, give_up_days=2)
OK, BAD, OUT = Outcome(DELIVERED), Outcome(REFUSED, "answered 400"), Outcome(DOWN, "answered 503")


def lanes(*bills: str, state: WebhookState | None = None, first: int = 0) -> Lanes:
    made = Lanes(state or WebhookState("NVXA"), SETTINGS, lambda: 1.0)
    for offset, bill in enumerate(bills, first):
        made.add(Record("snp.party.NVXA", 0, offset, bill.encode(), b"", (), 0), f"n{offset}")
    return made


def started(made: Lanes, now: int = 0) -> list[Pending]:
    found = []
    while (one := made.next(now)) is not None:
        found.append(one)
    return found


def ids(pending: list[Pending]) -> list[str]:
    return [one.notice_id for one in pending]


def test_bills_go_beside_each_other_and_each_in_its_order() -> None:
    made = lanes("A", "A", "B", "C", "D")
    first = started(made)
    assert ids(first) == ["n0", "n2", "n3"]
    made.settle(first[0], OK, 0)
    assert ids(started(made)) == ["n1"]


def test_what_is_refused_holds_up_its_bill_alone_and_is_tried_again() -> None:
    made = lanes("A", "A", "B")
    a, b = started(made)
    made.settle(a, BAD, 0)
    made.settle(b, OK, 0)
    assert made.wake_at() == 1000
    assert started(made, 999) == []
    (again,) = started(made, 1000)
    assert (again.notice_id, made.state.refused[0].error) == ("n0", "answered 400")
    made.settle(again, OK, 1000)
    assert ids(started(made, 1000)) == ["n1"]


def test_an_endpoint_that_is_down_is_asked_by_one_notice_after_pauses_that_grow() -> None:
    made = lanes("A", "B", "C", "D")
    for one in started(made):
        made.settle(one, OUT, 0)
    pauses = []
    now = 0
    for _ in range(4):
        wake_at = made.wake_at()
        assert wake_at is not None
        pauses.append(wake_at - now)
        now = wake_at
        (one,) = started(made, now)
        made.settle(one, OUT, now)
    assert pauses == [4000, 8000, 8000, 8000]
    assert (made.state.failing_since, made.state.attempts) == (0, 7)
    now += 8000
    (one,) = started(made, now)
    made.settle(one, OK, now)
    assert len(started(made, now)) == 3
    assert made.state.failing_since is None


def test_gone_stops_it_until_an_operator_s_word() -> None:
    made = lanes("A", "B")
    for one in started(made):
        made.settle(one, Outcome(GONE, "answered 410"), 0)
    assert made.state.disabled is not None
    assert (started(made, 10**12), made.wake_at()) == ([], None)
    made.obey(paused=False, order_at=5)
    assert ids(started(made, 10)) == ["n0", "n1"]


def test_paused_means_nothing_goes_out() -> None:
    made = lanes("A")
    made.obey(paused=True, order_at=1)
    assert started(made) == []
    made.obey(paused=False, order_at=2)
    assert ids(started(made)) == ["n0"]


def test_after_days_an_endpoint_is_given_up_with_nothing_lost() -> None:
    made = lanes("A")
    for now in (0, 2 * DAY, 2 * DAY + 10_000):
        (one,) = started(made, now)
        made.settle(one, OUT, now)
    assert made.state.disabled is not None
    assert made.state.open == (0,)


def test_after_days_of_refusal_a_notice_is_set_aside_visibly_and_its_bill_goes_on() -> None:
    made = lanes("A", "A")
    for now in (0, 2 * DAY + 1):
        (one,) = started(made, now)
        made.settle(one, BAD, now)
    assert made.state.set_aside == ("n0",)
    assert ids(started(made, 2 * DAY + 1)) == ["n1"]


def test_the_state_says_exactly_what_is_still_to_be_delivered() -> None:
    made = lanes("A", "B", "C", first=10)
    a, b, c = started(made)
    made.settle(b, OK, 0)
    made.settle(a, BAD, 0)
    state = made.state
    assert (state.taken_to, state.open, state.begin) == (13, (10, 12), 10)
    again = lanes("A", "B", "C", "D", state=state, first=10)
    assert ids(started(again, 10**6)) == ["n10", "n12", "n13"]
    assert again.state.refused == state.refused
    assert c.in_flight


def test_what_was_not_read_again_yet_still_counts_as_open() -> None:
    state = WebhookState("NVXA", taken_to=20, open=(3, 7))
    made = Lanes(state, SETTINGS, lambda: 1.0)
    assert made.state == state


def test_memory_is_bounded() -> None:
    made = lanes(*["A"] * WINDOW)
    assert made.is_full
    made.settle(started(made)[0], OK, 0)
    assert not made.is_full


def test_no_two_parties_pause_alike() -> None:
    lucky = Lanes(WebhookState("NVXA"), SETTINGS, lambda: 0.0)
    lucky.add(Record("t", 0, 0, b"A", b"", (), 0), "n0")
    lucky.settle(started(lucky)[0], OUT, 0)
    assert lucky.wake_at() == 500


def test_settings_are_seen_from_the_settings_file(tmp_path: Path) -> None:
    assert WebhookSettings().beside(tmp_path).secrets_directory == tmp_path / "webhook-secrets"
