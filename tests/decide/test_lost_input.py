"""Input deleted before it was read: every bill that may lack an event is kept from release until somebody knows."""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import topics
from router.decide.bill import decide
from router.decide.registry import Context
from router.decide.rules import Rules
from router.model.inputs import Snapshot
from router.model.registry_values import LostInput
from router.task.announcements import LOST_TEXT
from tests.checking.harness import Harness, decoded
from tests.checking.samples import HOUSE, PARTIES, START, at, event, filing, on_container, sailing
from tests.decide.one_bill import OneBill, registry_of

ADDED, RELEASED, AUTHORISED = "55", "1C", "1J"


def lost(until: int = 30, begin: int = 5, **more: object) -> LostInput:
    values = {"topic": topics.DISPOSITIONS, "task": 0, "begin": begin, "end": 9, "since": at(10), "until": at(until)}
    return LostInput(**values | {"at": at(40), "by": "anna", "reason": "kept too short"} | more)  # type: ignore[arg-type]


def bill_after(*records: object, spans: tuple[LostInput, ...] = (lost(),)) -> OneBill:
    registry = registry_of()
    registry.lost = spans
    return OneBill(*records, registry=registry)  # type: ignore[arg-type]


def test_a_bill_from_before_the_end_of_the_span_is_in_doubt_whatever_adds_it_again() -> None:
    bill = bill_after(event(ADDED, 5), event(RELEASED, 50))
    assert (bill.status, bill.doubts) == ("RELEASE_UNCONFIRMED", ("HISTORY_INCOMPLETE",))
    bill.enter(event(ADDED, 60), event(RELEASED, 70))
    assert bill.doubts == ("HISTORY_INCOMPLETE",)


def test_a_bill_first_seen_later_is_whole_if_cbp_added_it_after_the_span() -> None:
    assert bill_after(event(ADDED, 31), event(RELEASED, 50)).status == "RELEASED"
    filed = bill_after(filing(), event(RELEASED, 50))
    assert (filed.status, filed.doubts) == ("RELEASE_UNCONFIRMED", ("HISTORY_INCOMPLETE",))


def test_it_authorises_nothing_and_holds_stay() -> None:
    assert bill_after(event(ADDED, 5), event(AUTHORISED, 50)).now.authorises == ()
    assert bill_after(event(ADDED, 31), event(AUTHORISED, 50)).now.authorises
    assert bill_after(event(ADDED, 5), event("1H", 50)).status == "HELD"


def test_a_removed_do_not_load_gives_no_leave_to_load() -> None:
    bill = bill_after(event(ADDED, 5), event("6H", 50))
    last = bill.enter(event("6I", 60))
    assert bill.holds == {}
    assert all("LADING" not in notice.fields["authorises"] for notice in last.notices)


def test_a_confirmation_ends_it_for_the_spans_that_were_known() -> None:
    bill = bill_after(event(ADDED, 5), event(RELEASED, 50))
    bill.confirm()
    assert bill.status == "RELEASED"
    bill.registry.lost = (lost(), lost(begin=20, until=80))
    bill.enter(event("1W", 90))
    assert "HISTORY_INCOMPLETE" in bill.doubts


def test_a_snapshot_from_after_the_span_ends_it_and_an_earlier_one_does_not() -> None:
    for minute, doubts in ((29, ("HISTORY_INCOMPLETE",)), (31, ())):
        bill = bill_after(event(ADDED, 5), Snapshot(filing(), at(minute), 100, at(20)))
        assert bill.doubts == doubts


def test_what_another_index_lost_is_no_doubt_but_is_stated_again() -> None:
    registry = registry_of()
    bill = OneBill(filing(), event(ADDED, 5), on_container("1H", 50), registry=registry)
    assert bill.last.facts
    assert not bill.enter(event("1W", 51)).facts
    registry.apply(lost(topic=topics.INDEX, of_index=True), 7)
    assert {fact.key for fact in bill.enter(event("1W", 52)).facts} == {*bill.state.index_facts}  # type: ignore[union-attr]
    assert bill.doubts == ()
    assert not bill.enter(event("1W", 53)).facts


EVENTS = st.lists(
    st.builds(event, st.sampled_from([ADDED, RELEASED, "1H", "1I", AUTHORISED, "4E", "69"]), st.integers(0, 60)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENTS, st.integers(0, 8), st.randoms(use_true_random=False))
def test_any_order_of_events_and_loss_ends_in_the_same_status(events: list, place: int, random: Random) -> None:  # type: ignore[type-arg]
    first = bill_after(*events)
    shuffled = [*events, *random.choices(events, k=2)]
    random.shuffle(shuffled)
    registry = registry_of()
    second = OneBill(*shuffled[:place], registry=registry)
    registry.lost = (lost(),)
    second.enter(*shuffled[place:])
    if second.bill is not None:
        last = decide(second.bill, event("1W", 200), Context(registry, Rules())).bill
        now = first.enter(event("1W", 200)).bill
        assert last is not None
        assert now is not None
        assert last.status == now.status


def test_recipients_hear_that_a_release_is_in_doubt_and_all_parties_of_the_span() -> None:
    harness = Harness(1, now=START)
    harness.roster(*PARTIES, sailing())
    harness.feed(filing(), event(ADDED, 5), event(RELEASED, 20))
    harness.pump()
    assert harness.status(HOUSE) == "RELEASED"
    judged = lost()
    harness.register(judged)
    harness.shards[0].go_on_without(judged)
    harness.transact(0)
    harness.pump()
    assert harness.status(HOUSE) == "RELEASE_UNCONFIRMED"
    last = harness.notices("NVXA", HOUSE)[-1]
    assert (last["status"], last["deliverable"], list(last["doubts"])) == (
        "RELEASE_UNCONFIRMED", False, ["HISTORY_INCOMPLETE"],
    )  # fmt: skip
    assert harness.kinds("NVXA", HOUSE)[-1] == "hold"
    (status,) = map(decoded, harness.records(topics.FEED_STATUS))
    assert (status["state"], status["since"], status["ended_at"]) == ("LOST", at(10), at(30))
    assert status["reason"] == LOST_TEXT
    harness.restart(0)
    assert harness.status(HOUSE) == "RELEASE_UNCONFIRMED"
    assert harness.shards[0].registry.lost == (judged,)
