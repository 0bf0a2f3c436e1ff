"""Stops that a duty officer must call about: unread, and not over by a later notice. Alerts: raised and ended once."""

from __future__ import annotations

from pathlib import Path

import pytest

from router import topics
from router.desk.receipts import Receipt
from router.desk.unread_notices import (
    DO_NOT_LOAD,
    HELD,
    NOT_DELIVERABLE,
    Alert,
    UnreadNotices,
    alert_for,
    read_alerts,
    sentence,
    update_alerts,
    whom_to_call,
)
from router.engine.administration import prepare
from router.log.interface import Log
from router.log.url import open_log
from router.model.eastern import DAY, MINUTE
from router.model.inputs import Confirmation
from router.model.registry_values import Party
from tests.checking.harness import Harness
from tests.checking.samples import HOUSE, PARTIES, START, event, filing, sailing

NVXA = Party("NVXA", contact_name="Import desk", contact_phone="+1-555-0130")


@pytest.fixture
def harness() -> Harness:
    harness = Harness(1, now=START)
    harness.roster(*PARTIES, sailing())
    harness.feed(filing())
    return harness


def unread(harness: Harness, *codes: str, read: int = 0) -> UnreadNotices:
    """NVXA's unread notices after events with these codes, a minute apart; it has read the first `read` of them."""
    for minute, code in enumerate(codes):
        harness.feed(event(code, minute))
        harness.pump()
    records = harness.records(NVXA.topic)
    found = UnreadNotices(NVXA, Receipt(records[read].offset if read < len(records) else len(records)))
    for record in records:
        found.add(record._replace(timestamp=record.offset))
    return found


@pytest.mark.parametrize(
    ("codes", "read", "stops"),
    [
        (["6H"], 0, {HOUSE: DO_NOT_LOAD}),
        (["6H"], 1, {}),
        (["1H"], 0, {HOUSE: HELD}),
        (["55", "1C"], 0, {}),
        (["6H", "6I"], 0, {}),  # lifted, so over, though neither was read
        (["6H", "1H", "6I"], 0, {HOUSE: HELD}),  # the do-not-load is over, the hold stands
        (["1H", "6H"], 1, {HOUSE: DO_NOT_LOAD}),
        (["1H", "1C"], 1, {}),  # it knows the hold: that a 1C came with it changes nothing
        (["55", "1C", "1H"], 2, {HOUSE: HELD}),
        (["55", "1C", "1H", "1I"], 2, {HOUSE: NOT_DELIVERABLE}),  # lifted, but it still believes in the old release
        (["55", "1C", "1H", "1I", "1C"], 2, {}),
        (["55", "1C", "4A"], 2, {HOUSE: NOT_DELIVERABLE}),
        (["55", "1C", "4A", "1C"], 2, {}),
    ],
)
def test_stops_to_call_about(harness: Harness, codes: list[str], read: int, stops: dict[str, str]) -> None:
    found = unread(harness, *codes, read=read)
    assert {bill: stop.kind for bill, stop in found.stops.items()} == stops


def test_a_stop_is_as_old_as_the_notice_that_began_it(harness: Harness) -> None:
    (stop,) = unread(harness, "1H", "3H", "1C").stops.values()
    assert stop.since == 0
    (graver,) = unread(harness, "6H").stops.values()
    assert graver.since > stop.since


def test_a_confirmation_that_frees_the_bill_ends_the_stop(harness: Harness) -> None:
    found = unread(harness, "55", "1C", "1H", "1I", read=2)
    assert found.stops
    state = harness.state(HOUSE)
    assert state is not None
    harness.feed(
        Confirmation(
            HOUSE[:4], HOUSE[4:], tuple(state.event_ids), "me", "by phone", START, doubts=("RELEASE_PREDATES_HOLD",)
        )
    )
    harness.pump()
    found.add(harness.records(NVXA.topic)[-1])
    assert not found.stops


def test_samples_are_not_counted() -> None:
    harness = Harness(1, now=START)
    harness.roster(Party("SLTC", status="certifying"))
    harness.pump()
    found = UnreadNotices(Party("SLTC"), Receipt())
    for record in harness.records(f"{topics.PARTY_PREFIX}SLTC"):
        found.add(record)
    assert (found.notices, found.stops) == (0, {})


def test_skipped_notices_count_as_unread(harness: Harness) -> None:
    unread(harness, "6H", "6I", "1H")
    records = harness.records(NVXA.topic)
    found = UnreadNotices(NVXA, Receipt(len(records), frozenset({0, 2})))
    for record in records:
        found.add(record)
    assert found.notices == 2


def test_the_sentence_has_party_stop_age_and_contact(harness: Harness) -> None:
    (stop,) = unread(harness, "6H").stops.values()
    assert sentence(NVXA, stop, stop.since + 11 * 60_000) == (
        "NVXA has not read the do-not-load on NVXAHBL000012345 for 11 minutes; call +1-555-0130 (Import desk)"
    )
    assert whom_to_call(Party("SLTC", contact_email="ops@sltc.example")) == (
        "no telephone number is registered; write to ops@sltc.example"
    )
    assert whom_to_call(Party("SLTC")) == "no 24-hour contact is registered (`snp-router import parties`)"


def test_a_notice_dated_by_a_clock_that_is_ahead_counts_as_a_day_old(harness: Harness) -> None:
    (stop,) = unread(harness, "6H").stops.values()
    assert stop.age(stop.since + 3 * MINUTE) == 3 * MINUTE
    assert stop.age(stop.since - 366 * DAY) == DAY


NOW = 1_784_030_400_000


def alert(bill: str, kind: str = "UNREAD_HOLD", now: int = NOW) -> Alert:
    party = Party("SLTC", contact_phone="+1-555-0110")
    return alert_for(party, f"unread:SLTC:{bill}", kind, NOW - 5, now, "SLTC has not read …")


async def written(log: Log) -> int:
    return sum([len(batch) async for batch in log.read([topics.ALERTS], until_end=True)])


@pytest.fixture
async def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/snp.db"


async def test_an_alert_is_raised_once_kept_and_ended_once(url: str) -> None:
    async with open_log(url) as log:
        await prepare(log, 1)
        first = await update_alerts(log, "unread:", [alert("A"), alert("B")], NOW)
        assert [one.id for one in first.new] == ["unread:SLTC:A", "unread:SLTC:B"]
        again = await update_alerts(log, "unread:", [alert("A", now=NOW + 9), alert("B")], NOW + 9)
        assert again == ((), ())
        over = await update_alerts(log, "unread:", [alert("B")], NOW + 10)
        assert [(one.id, one.ended_at) for one in over.ended] == [("unread:SLTC:A", NOW + 10)]
        assert await update_alerts(log, "unread:", [alert("B")], NOW + 11) == ((), ())
        standing = {id: one.ended_at for id, one in (await read_alerts(log)).items()}
        assert standing == {"unread:SLTC:A": NOW + 10, "unread:SLTC:B": None}


async def test_an_alert_that_grows_graver_or_begins_again_is_raised_again(url: str) -> None:
    async with open_log(url) as log:
        await prepare(log, 1)
        await update_alerts(log, "unread:", [alert("A")], NOW)
        graver = await update_alerts(log, "unread:", [alert("A", "UNREAD_DO_NOT_LOAD")], NOW + 1)
        assert [one.kind for one in graver.new] == ["UNREAD_DO_NOT_LOAD"]
        await update_alerts(log, "unread:", [], NOW + 2)
        assert len((await update_alerts(log, "unread:", [alert("A")], NOW + 3)).new) == 1


async def test_alerts_of_another_prefix_are_left_alone_and_old_ends_are_deleted(url: str) -> None:
    async with open_log(url) as log:
        await prepare(log, 1)
        webhook = alert_for(Party("NVXA"), "webhook:NVXA", "WEBHOOK_DISABLED", NOW, NOW, "…")
        await update_alerts(log, "webhook:", [webhook], NOW)
        await update_alerts(log, "unread:", [alert("A")], NOW)
        await update_alerts(log, "unread:", [], NOW + 1)
        await update_alerts(log, "unread:", [], NOW + 8 * DAY)
        assert list(await read_alerts(log)) == ["webhook:NVXA"]
