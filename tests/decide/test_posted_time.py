"""The order of a bill's events by posted time: seconds, zones, and the two nights on which clocks change."""

from __future__ import annotations

from datetime import datetime
from itertools import permutations, product
from json import dumps
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.decide.bill_state import assess_bill
from router.decide.rules import Rules
from router.errors import InputError
from router.feeds.disposition_files import read_jsonl
from router.feeds.x12 import read_x12
from router.model.eastern import DAY, iso, posted_minute, to_milliseconds
from router.model.inputs import RELEASE, DeadLetter, Disposition, Snapshot
from tests.checking.harness import Harness
from tests.checking.samples import (
    BOX,
    HOUSE,
    OTHER_HOUSE,
    PARTIES,
    QUANTITY,
    START,
    at,
    dead_letter,
    event,
    filing,
    on_container,
    sailing,
)
from tests.decide.one_bill import DEFAULT_RULES, OneBill
from tests.decide.test_manual_events import said

MONTHS_LATER: Final = START + 200 * DAY
"""Receipt of messages that are read here, so that none is dated in the future."""
RELEASED_BEFORE: Final = (event("55", 0), event("1C", 1))


def posted(code: str, minute: int, second: int | None, **more: Any) -> Disposition:
    """Posted at that second, or by a message without seconds."""
    return event(code, minute, action_at=at(minute) + (second or 0) * 1000, action_second=second, **more)


def x12(*events: tuple[str, str, str, str], bill: str = HOUSE) -> list[Disposition]:
    """Events of an X12 message: date, time, code and zone each."""
    segments = ["ST*350*0001", "M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L", "P4*2704*20260728"]
    for date, time, code, zone in events:
        segments.append(f"X4*{bill[4:]}*{QUANTITY}***{date}*{time}*{code}**{bill[:4]}********{zone}")
    segments.append(f"SE*{len(segments) + 1}*0001")
    content = "".join(segment + "~" for segment in segments).encode()
    return [one for one in read_x12([content], "FILE", MONTHS_LATER) if isinstance(one, Disposition)]


# Seconds


def test_a_hold_and_its_removal_within_one_minute_are_in_the_order_of_their_seconds() -> None:
    placed, removed = posted("1H", 5, 10), posted("1I", 5, 50)
    for order in ((placed, removed), (removed, placed)):
        assert OneBill(event("55"), *order).status == "ON_FILE"
    placed, removed = posted("1H", 5, 50), posted("1I", 5, 10)
    for order in ((placed, removed), (removed, placed)):
        assert OneBill(event("55"), *order).status == "HELD"


def test_x12_times_of_six_places_have_seconds() -> None:
    day = "20260714"
    lifted = x12((day, "0700", "55", "ET"), (day, "091510", "1H", "ET"), (day, "091550", "1I", "ET"))
    assert OneBill(*lifted).status == "ON_FILE"
    assert OneBill(*reversed(lifted)).status == "ON_FILE"
    held = x12((day, "0700", "55", "ET"), (day, "091550", "1H", "ET"), (day, "091510", "1I", "ET"))
    assert OneBill(*held).status == "HELD"


@pytest.mark.parametrize(
    ("hold", "removal", "stands"),
    [
        *((None, None, True), (None, 59, True), (None, 30, True), (0, None, True), (1, None, True), (30, 30, True)),
        *((29, 30, False), (0, 59, False), (58, 59, False)),
    ],
)
def test_without_seconds_a_stop_counts_as_the_last_and_a_removal_as_the_first(
    hold: int | None, removal: int | None, stands: bool
) -> None:
    bill = OneBill(posted("1I", 5, removal), posted("1H", 5, hold))
    assert bool(bill.holds) == stands


@pytest.mark.parametrize(("release", "hold", "doubtful"), [(50, 10, False), (10, 50, True), (None, 10, True)])
def test_a_release_of_the_same_minute_is_fresh_only_if_its_second_is_later(
    release: int | None, hold: int, doubtful: bool
) -> None:
    bill = OneBill(event("55"), posted("1H", 5, hold), posted("1C", 5, release), event("1I", 9))
    assert (bill.status == "RELEASE_UNCONFIRMED") == doubtful


def test_seconds_are_no_part_of_an_events_identity() -> None:
    bill = OneBill(posted("1H", 5, None, quantity=40))
    for second in (10, 50, None):
        assert bill.enter(posted("1H", 5, second, quantity=40)).notices == ()
    assert bill.holds == {("1H", None): 40}


def test_of_several_seconds_a_stop_keeps_the_latest_and_a_removal_the_earliest() -> None:
    holds = [posted("1H", 5, second) for second in (10, 40)]
    removals = [posted("1I", 5, second) for second in (20, 50)]
    for order in (holds + removals, removals + holds, [holds[1], removals[1], holds[0], removals[0]]):
        assert OneBill(*order).holds == {("1H", None): QUANTITY}


def test_a_copy_with_seconds_tells_the_order_of_one_without() -> None:
    """CAMIR has no seconds, X12 may; both may come."""
    bill = OneBill(event("55"), posted("1H", 5, None), posted("1I", 5, None))
    assert bill.status == "HELD"
    bill.enter(posted("1H", 5, 10))
    assert bill.status == "HELD"
    bill.enter(posted("1I", 5, 50))
    assert bill.status == "ON_FILE"
    assert bill.notified["NVXA"] == "change"


def test_the_later_quantity_of_a_minute_counts_if_its_seconds_tell() -> None:
    assert OneBill(posted("56", 5, 10, quantity=100), posted("56", 5, 50, quantity=80)).now.manifested_quantity == 80
    assert OneBill(posted("56", 5, 10, quantity=80), posted("56", 5, 50, quantity=100)).now.manifested_quantity == 100
    for unknown in (80, 100):
        bill = OneBill(posted("56", 5, None, quantity=unknown), posted("56", 5, 50, quantity=180 - unknown))
        assert bill.now.manifested_quantity == 100, "their order is unknown, so the larger counts"


_second = st.none() | st.sampled_from((0, 10, 30, 59))
_events = st.builds(
    posted,
    st.sampled_from(("1H", "1I", "1C", "4E", "55", "56", "54", "1A", "1B", "1J", "83")),
    st.integers(0, 2),
    _second,
    quantity=st.sampled_from((40, 60, 100)),
)


def assert_order_is_irrelevant(events: list[Disposition], random: Random) -> None:
    first = OneBill(filing(), *events)
    shuffled = [*events, *random.choices(events or [event("55")], k=3 if events else 0)]
    random.shuffle(shuffled)
    second = OneBill(filing(), *shuffled)
    assert second.now == first.now
    assert second.state.events == first.state.events  # type: ignore[union-attr]
    assert assess_bill(second.state, DEFAULT_RULES).status == second.now, "nothing was kept that no longer holds"  # type: ignore[arg-type]


@given(st.lists(_events, max_size=10), st.randoms(use_true_random=False))
def test_the_same_events_in_any_order_seconds_or_none_end_in_the_same_status(
    events: list[Disposition], random: Random
) -> None:
    assert_order_is_irrelevant(events, random)


@given(st.sampled_from((10, 30)), _second, _second)
def test_a_copy_without_seconds_or_with_others_frees_nothing_more(
    second: int, hold: int | None, removal: int | None
) -> None:
    """A hold of several copies is lifted only if a removal's second is after all of the hold's."""
    holds, removals = [second, hold], [31, removal]
    bill = OneBill(*(posted("1H", 5, one) for one in holds), *(posted("1I", 5, one) for one in removals))
    latest = max(one for one in holds if one is not None)
    earliest = min(one for one in removals if one is not None)
    assert bool(bill.holds) == (earliest <= latest)


def test_a_release_by_hand_has_its_place_among_the_seconds_of_cbps_events() -> None:
    for second, status in ((10, "RELEASE_UNCONFIRMED"), (50, "RELEASED")):
        word = said(RELEASE, 5)._replace(said_at=at(5) + second * 1000)
        assert OneBill(event("55"), word, posted("1H", 5, 30), event("1I", 6)).status == status


def test_a_letter_keeps_that_no_seconds_were_given() -> None:
    for second in (None, 0, 30):
        (letter,) = OneBill().enter(posted("ZZ", 5, second)).letters
        (again,) = read_jsonl([letter.content], "letter", START)
        assert isinstance(again, Disposition)
        assert (again.action_second, again.action_at) == (second, at(5) + (second or 0) * 1000)


# Zones


def test_a_release_posted_in_universal_time_does_not_outlive_a_later_hold() -> None:
    """16:30 UT is 12:30 Eastern: before the hold of 13:00."""
    day = "20260714"
    others = ((day, "0700", "55", "ET"), (day, "1300", "1H", "ET"), (day, "1400", "1I", "ET"))
    for release in ((day, "1630", "1C", "UT"), (day, "1230", "1C", "ET"), (day, "0930", "1C", "PT")):
        bill = OneBill(*x12(*others, release))
        assert (bill.status, bill.doubts) == ("RELEASE_UNCONFIRMED", ("RELEASE_PREDATES_HOLD",))


def test_one_event_in_two_zones_is_one_event() -> None:
    day = "20260714"
    eastern, universal = x12((day, "0812", "1H", "ET"), (day, "1212", "1H", "UT"))
    assert OneBill(eastern).enter(universal).history is None


def local(code: str, minute: int = 5, received: int = 60, **more: Any) -> Disposition:
    """Posted by a clock whose zone tells nothing."""
    return event(code, minute, unknown_zone="LT", received_at=at(received), **more)


@pytest.mark.parametrize("code", ["1C", "1I", "6I", "1J", "1B", "55", "56", "11"])
def test_in_an_unknown_zone_nothing_frees_and_the_bill_is_stopped(code: str) -> None:
    bill, without = OneBill(*RELEASED_BEFORE, event("1H", 30)), OneBill(*RELEASED_BEFORE, event("1H", 30))
    decision = bill.enter(local(code))
    assert bill.account == without.account
    assert [hold.kind for hold in bill.now.holds] == ["CBP", "UNREADABLE"]
    (letter,) = decision.letters
    assert "zone LT" in letter.reason
    assert (letter.bill_of_lading, letter.disposition_code, letter.received_at) == (HOUSE[4:], code, at(60))
    assert bill.notified["NVXA"] == "hold"
    assert bill.enter(local(code, received=90)).history is None, "the same again adds nothing"


@pytest.mark.parametrize("code", ["1H", "6H", "1A", "4E"])
def test_in_an_unknown_zone_a_stop_counts_as_itself_at_the_time_it_was_received(code: str) -> None:
    bill = OneBill(*RELEASED_BEFORE)
    decision = bill.enter(local(code))
    assert decision.letters == ()
    assert bill.status in ("HELD", "DO_NOT_LOAD", "NOT_RELEASED")
    assert {hold.kind for hold in bill.now.holds} <= {"CBP"}
    assert all(hold.placed == posted_minute(at(60)) for hold in bill.now.holds)
    assert bill.now.do_not_load == (code == "6H")
    if code == "1H":
        bill.enter(event("1I", 59))
        assert bill.status == "HELD", "it may have been posted after that"
        bill.enter(event("1I", 61))
        assert bill.status == "RELEASE_UNCONFIRMED"


def test_a_stop_in_an_unknown_zone_that_comes_again_places_nothing_again() -> None:
    first, again = local("1H"), local("1H", received=90)
    for order in ((first, event("1I", 70), again), (again, event("1I", 70), first)):
        assert OneBill(event("55"), *order).status == "ON_FILE"


def test_a_container_keeps_its_own_hold_in_an_unknown_zone() -> None:
    placed = on_container("1H", 5, unknown_zone="LT", received_at=at(60))
    assert list(OneBill(placed).holds) == [("1H", placed.container_numbers[0][:10])]


def test_the_letter_of_an_unknown_zone_frees_when_its_moment_is_known() -> None:
    bill = OneBill(*RELEASED_BEFORE, event("1H", 30))
    (letter,) = bill.enter(local("1I")).letters
    (again,) = read_jsonl([letter.content], "letter", at(90))
    assert isinstance(again, Disposition)
    assert [one.id for one in bill.enter(again._replace(retry_of=letter.id)).letters] == [letter.id]
    assert bill.status == "HELD", "it still tells no moment"
    bill.enter(event("1I", 40, retry_of=letter.id))
    assert (bill.status, bill.holds) == ("RELEASE_UNCONFIRMED", {})


def test_an_operator_can_confirm_what_an_unknown_zone_stopped() -> None:
    bill = OneBill(*RELEASED_BEFORE, local("1I"))
    bill.confirm(*bill.state.unparsed)  # type: ignore[union-attr]
    assert bill.status == "RELEASED"


@pytest.mark.parametrize("code", ["1C", "1I", "1H"])
def test_an_event_in_an_unknown_zone_overtakes_a_backlog(code: str) -> None:
    assert DEFAULT_RULES.codes.is_urgent(local(code))


# The nights on which clocks change

AUTUMN: Final = "20261101"
SPRING: Final = "20260308"


def shown(bill: OneBill) -> dict[str, Any]:
    """The last decision's notice, its times as text."""
    fields = dict(bill.last.notices[0].fields)
    fields["holds"] = [hold | {"placed_at": iso(hold["placed_at"])} for hold in fields["holds"]]
    times = ("action_at", "release_posted_at")
    return fields | {name: fields[name] and iso(fields[name]) for name in times}


def test_a_hold_of_autumns_second_pass_is_shown_as_of_its_moment() -> None:
    bill = OneBill(*x12(("20261030", "0700", "55", "ET"), (AUTUMN, "0105", "1H", "ES")))
    assert shown(bill)["action_at"] == "2026-11-01T06:05:00Z"
    assert [hold["placed_at"] for hold in shown(bill)["holds"]] == ["2026-11-01T06:05:00Z"]


@pytest.mark.parametrize(
    ("time", "zone", "moment"),
    [("0105", "ED", "05:05:00"), ("0105", "ES", "06:05:00"), ("0105", "ET", "05:05:00"), ("0605", "UT", "06:05:00")],
)
def test_times_of_the_repeated_hour_are_shown_as_written(time: str, zone: str, moment: str) -> None:
    bill = OneBill(*x12(("20261030", "0700", "55", "ET"), (AUTUMN, time, "1C", zone)))
    assert shown(bill)["release_posted_at"] == f"2026-11-01T{moment}Z"
    bill.enter(filing(snps=("THRD",)))  # the status now, from the ledger
    assert shown(bill)["action_at"] == f"2026-11-01T{moment}Z"


def test_an_arrival_in_bond_of_the_second_pass_is_kept_as_of_its_moment() -> None:
    (arrival,) = x12((AUTUMN, "0105", "12", "ES"))
    bill = OneBill(event("55"), arrival._replace(transaction_port="3901"))
    assert [iso(one.posted * 60_000) for one in bill.account.places[None]] == ["2026-11-01T06:05:00Z"]


def test_since_when_another_bill_stops_the_box_is_its_own_moment() -> None:
    (hold,) = x12((AUTUMN, "0105", "1H", "ES"))
    harness = Harness(2, now=MONTHS_LATER)
    harness.roster(*PARTIES, sailing())
    harness.decide(filing(OTHER_HOUSE), filing(), event("55", bill=OTHER_HOUSE))
    harness.decide(hold._replace(container_numbers=(BOX,)))
    (box,) = harness.notices("NVXB", OTHER_HOUSE)[-1]["holds"]
    assert (box["kind"], iso(box["placed_at"])) == ("BOX", "2026-11-01T06:05:00Z")


def autumn(*events: tuple[str, str, str]) -> list[Disposition]:
    """Time, code and zone of events on the night on which clocks are set back, after a 55 and a 1C before."""
    before = (("20261030", "0700", "55", "ET"), (AUTUMN, "0010", "1C", "ET"))
    return x12(*before, *((AUTUMN, *one) for one in events))


@pytest.mark.parametrize(
    ("hold", "removal", "release", "status"),
    [
        ("ED", "ES", "ES", "RELEASED"),
        ("ET", "ET", "ET", "HELD"),
        ("", "", "", "HELD"),
        ("ET", "ES", "ES", "HELD"),
        ("ED", "ET", "ES", "HELD"),
        ("ED", "ES", "ET", "RELEASE_UNCONFIRMED"),
        ("ES", "ES", "ES", "HELD"),
    ],
)
def test_where_the_zone_is_written_it_tells_the_pass_of_the_repeated_hour(
    hold: str, removal: str, release: str, status: str
) -> None:
    """Without it a stop counts in the second pass, and what frees in the first."""
    events = autumn(("0150", "1H", hold), ("0110", "1I", removal), ("0120", "1C", release))
    for order in (events, events[::-1]):
        assert OneBill(*order).status == status


def test_universal_time_tells_the_pass_too() -> None:
    assert OneBill(*autumn(("0550", "1H", "UT"), ("0610", "1I", "UT"), ("0120", "1C", "ES"))).status == "RELEASED"


def test_a_hold_of_the_second_pass_stands_beside_events_without_a_pass() -> None:
    bill = OneBill(
        *x12(
            ("20261030", "0700", "55", "ET"),
            (AUTUMN, "0030", "1H", "ET"),
            (AUTUMN, "0115", "1I", "ET"),
            (AUTUMN, "0150", "1C", "ET"),
            (AUTUMN, "0105", "1H", "ES"),
        )
    )
    (hold,) = bill.now.holds
    assert (bill.status, iso(hold.placed * 60_000)) == ("HELD", "2026-11-01T06:05:00Z")  # type: ignore[operator]


def test_an_order_that_holds_in_both_passes_counts_without_a_zone() -> None:
    assert OneBill(*autumn(("0110", "1H", "ET"), ("0120", "1I", "ES"))).holds == {}
    assert OneBill(*autumn(("0110", "1H", "ED"), ("0120", "1I", "ET"))).holds == {}
    assert OneBill(*autumn(("0150", "1H", "ES"), ("0200", "1I", "ET"))).holds == {}


def test_seconds_tell_the_order_within_a_minute_of_a_pass() -> None:
    assert OneBill(*autumn(("011010", "1H", "ES"), ("011050", "1I", "ES"))).holds == {}
    assert OneBill(*autumn(("011050", "1H", "ES"), ("011010", "1I", "ES"))).holds
    assert OneBill(*autumn(("0110", "1H", "ES"), ("0110", "1I", "ES"))).holds


def test_events_of_both_passes_are_two_and_one_without_a_pass_is_a_copy_of_either() -> None:
    first, second, unknown = (
        one._replace(quantity=40)
        for one in x12((AUTUMN, "0110", "1H", "ED"), (AUTUMN, "0110", "1H", "ES"), (AUTUMN, "0110", "1H", "ET"))
    )
    for events, held in (
        ((first, second), 80),
        ((first, unknown), 40),
        ((second, unknown), 40),
        ((first, second, unknown), 80),
    ):
        for order in permutations(events):
            bill = OneBill(*order)
            assert bill.holds == {("1H", None): held}
            minutes = {one.placed for one in bill.now.holds}
            assert minutes == {max(posted_minute(one.action_at) for one in events)}


@pytest.mark.parametrize(("zone", "status"), [("ED", "RELEASED"), ("ES", "HELD")])
def test_of_two_copies_the_one_that_tells_its_pass_settles_it(zone: str, status: str) -> None:
    copies = autumn(("0150", "1H", ""), ("0110", "1I", "ES"), ("0120", "1C", "ES"), ("0150", "1H", zone))[1:]
    bill = OneBill(event("55"), *copies[:-1])
    assert bill.status == "HELD"
    decision = bill.enter(copies[-1])
    assert bill.status == status
    assert decision.history is None or "DUPLICATE" not in decision.history.flags
    for order in permutations(copies):
        assert OneBill(event("55"), *order).status == status


def test_a_copy_that_tells_the_pass_frees_too() -> None:
    """A release at 1:20 without a pass may be older than the hold of 1:30; as of the second pass it is not."""
    held = autumn(("0130", "1H", "ED"), ("0140", "1I", "ED"), ("0120", "1C", "ET"))
    bill = OneBill(*held)
    assert bill.status == "RELEASE_UNCONFIRMED"
    (copy,) = x12((AUTUMN, "0120", "1C", "ES"))
    bill.enter(copy)
    assert bill.status == "RELEASED"
    assert OneBill(copy, *held).status == "RELEASED"


def test_another_copy_without_the_pass_tells_nobody_anything() -> None:
    (told, untold) = x12((AUTUMN, "0105", "1H", "ES"), (AUTUMN, "0105", "1H", ""))
    assert OneBill(event("55"), told).enter(untold).notices == ()
    assert OneBill(event("55"), untold).enter(untold).history is None


def test_seconds_of_a_copy_without_the_pass_count() -> None:
    removal = ("011030", "1I", "ES")
    for hold, copy, stands in (("011010", "011050", True), ("011010", "011020", False)):
        for order in permutations(x12(*((AUTUMN, *one) for one in ((hold, "1H", "ES"), (copy, "1H", ""), removal)))):
            assert bool(OneBill(*order).holds) == stands


def test_a_quantity_of_an_unknown_pass_may_be_the_latest() -> None:
    def quantity(*events: tuple[str, int, str]) -> int | None:
        found = x12(*((AUTUMN, time, "56", zone) for time, _, zone in events))
        counted = [one._replace(quantity=pieces) for one, (_, pieces, _) in zip(found, events, strict=True)]
        return OneBill(*counted).now.manifested_quantity

    assert quantity(("0150", 100, "ED"), ("0110", 80, "ES")) == 80
    assert quantity(("0150", 100, ""), ("0110", 80, "ES")) == 100
    assert quantity(("0150", 80, ""), ("0110", 100, "ES")) == 100
    assert quantity(("0150", 100, ""), ("0200", 80, "")) == 80


def test_text_without_an_offset_tells_no_pass_and_with_one_it_does() -> None:
    def json(action_at: str | int, **more: Any) -> Disposition | DeadLetter:
        values = {"scac": HOUSE[:4], "bill_of_lading": HOUSE[4:], "disposition_code": "1H", "action_at": action_at}
        (one,) = read_jsonl([dumps(values | more).encode()], "FILE", MONTHS_LATER)
        return one

    for text, unknown in (
        ("2026-11-01T01:10", True),
        ("2026-11-01 01:10:30", True),
        ("2026-11-01T01:10-04:00", False),
        ("2026-11-01T05:10Z", False),
        (1_793_509_800_000, False),
        ("2026-11-01T02:10", False),
        ("2026-07-14T01:10", False),
    ):
        found = json(text)
        assert isinstance(found, Disposition)
        assert found.pass_unknown == unknown
    assert isinstance(json("2026-11-01T06:10Z", pass_unknown=True), DeadLetter)
    assert isinstance(json("2026-07-14T06:10Z", pass_unknown=True), DeadLetter)


def test_a_letter_keeps_that_the_pass_is_unknown() -> None:
    for zone in ("ET", "ED"):
        (odd,) = x12((AUTUMN, "0110", "ZZ", zone))
        (letter,) = OneBill().enter(odd).letters
        (again,) = read_jsonl([letter.content], "letter", MONTHS_LATER)
        assert isinstance(again, Disposition)
        assert (again.action_at, again.pass_unknown) == (odd.action_at, zone == "ET")


def test_an_unknown_pass_of_another_time_is_refused() -> None:
    with pytest.raises(InputError, match="pass"):
        OneBill(event("1H")._replace(pass_unknown=True))


def test_a_cleared_hold_does_not_come_back_when_a_copy_comes() -> None:
    (placed,) = x12((AUTUMN, "0110", "1H", "ED"))
    bill = OneBill(event("55"), placed)
    bill.clear("1H")
    bill.enter(placed._replace(pass_unknown=True))
    assert bill.holds == {}


def test_a_cleared_hold_of_an_unknown_pass_counts_again_once_it_is_known_as_of_the_second() -> None:
    """The safe side: somebody cleared an event of which there may have been two."""
    (placed,) = x12((AUTUMN, "0110", "1H", "ET"))
    for zone, stands in (("ED", False), ("ES", True)):
        bill = OneBill(event("55"), placed)
        bill.clear("1H")
        bill.enter(*x12((AUTUMN, "0110", "1H", zone)))
        assert bool(bill.holds) == stands


def test_a_release_by_hand_counts_at_its_own_moment_of_the_repeated_hour() -> None:
    for moment, status in (("05:40", "RELEASE_UNCONFIRMED"), ("06:20", "RELEASED")):
        said_at = to_milliseconds(datetime.fromisoformat(f"2026-11-01T{moment}+00:00"))
        word = said(RELEASE, 5)._replace(said_at=said_at, received_at=said_at)
        assert OneBill(event("55"), *x12((AUTUMN, "0110", "1H", "ES"), (AUTUMN, "0115", "1I", "ES")), word).status == (
            status
        )


_passes = st.builds(
    lambda code, minute, zone, quantity: x12((AUTUMN, minute, code, zone))[0]._replace(quantity=quantity),
    st.sampled_from(("1H", "1I", "1C", "4E", "55", "56", "54", "1A", "1B", "1J", "12", "63")),
    st.sampled_from(("0059", "0110", "0150", "015030", "0200")),
    st.sampled_from(("ED", "ES", "ET", "")),
    st.sampled_from((40, 60, 100)),
)


@given(st.lists(_passes, max_size=10), st.randoms(use_true_random=False))
def test_events_of_the_repeated_hour_in_any_order_end_in_the_same_status(
    events: list[Disposition], random: Random
) -> None:
    assert_order_is_irrelevant(events, random)


@given(
    st.lists(st.sampled_from(("1H", "1I", "1C", "4E")), min_size=1, max_size=5),
    st.permutations(("0105", "0115", "0125", "0135", "0145", "0155")),
    st.lists(st.sampled_from(("ED", "ES", "ET")), min_size=5, max_size=5),
)
def test_what_is_released_without_a_pass_is_released_whichever_was_meant(
    codes: list[str], times: list[str], zones: list[str]
) -> None:
    told = list(zip(times, codes, zones, strict=False))
    if OneBill(*autumn(*told)).status != "RELEASED":
        return
    for passes in product(*(("ED", "ES") if zone == "ET" else (zone,) for _, _, zone in told)):
        meant = [(time, code, zone) for (time, code, _), zone in zip(told, passes, strict=True)]
        assert OneBill(*autumn(*meant)).status == "RELEASED"


def test_a_fold_keeps_the_repeated_hour_whole_so_that_no_copy_counts_twice() -> None:
    rules = Rules(fold_after_events=8)
    untold, told = x12((AUTUMN, "0110", "1C", ""), (AUTUMN, "0110", "1C", "ES"))
    later = [
        event("19", quantity=pieces, action_at=MONTHS_LATER - DAY, received_at=MONTHS_LATER) for pieces in range(1, 20)
    ]
    bill = OneBill(event("55"), untold._replace(quantity=50), *later, rules=rules)
    assert bill.status == "PARTIALLY_RELEASED"
    bill.enter(told._replace(quantity=50))
    assert bill.status == "PARTIALLY_RELEASED"


def test_one_event_of_the_repeated_hour_with_and_without_its_zone_is_one_event() -> None:
    first, second = x12((AUTUMN, "0105", "1H", ""), (AUTUMN, "0105", "1H", "ES"))
    for order in ((first, second), (second, first)):
        (hold,) = OneBill(*order).now.holds
        assert iso(hold.placed * 60_000) == "2026-11-01T06:05:00Z"  # type: ignore[operator]


def test_a_snapshot_of_the_repeated_hour_takes_no_stop_away() -> None:
    """Nobody knows the pass of a message without a zone."""
    snapshot = Snapshot(filing(), to_milliseconds(datetime.fromisoformat("2026-11-01T06:10:00+00:00")))
    assert OneBill(snapshot, *x12((AUTUMN, "0150", "1H", ""))).status == "HELD"


def test_a_copy_frees_nothing_twice_beside_a_snapshot_of_the_repeated_hour() -> None:
    snapshot = Snapshot(filing(), to_milliseconds(datetime.fromisoformat("2026-11-01T06:00:00+00:00")))
    untold, told = (one._replace(quantity=50) for one in x12((AUTUMN, "0150", "1C", ""), (AUTUMN, "0150", "1C", "ES")))
    assert OneBill(event("55"), untold, snapshot, told).status == "PARTIALLY_RELEASED"


def test_the_hour_that_spring_skips_stays_between_its_neighbours() -> None:
    """A clock that was not set forward wrote 2:55. It counts as the moment of the change, 3:00 daylight time."""
    events = x12(
        ("20260306", "0700", "55", "ET"),
        (SPRING, "0255", "1H", "ET"),
        (SPRING, "0305", "1I", "ET"),
        (SPRING, "0306", "1C", "ET"),
    )
    bill = OneBill(*events)
    assert bill.status == "RELEASED"
    assert iso(events[1].action_at) == "2026-03-08T07:00:00Z"
    assert OneBill(*x12((SPRING, "0159", "1I", "ET"), (SPRING, "0210", "1H", "ET"))).status == "HELD"


def test_within_the_hour_that_spring_skips_stops_come_last() -> None:
    assert OneBill(*x12((SPRING, "0210", "1H", "ET"), (SPRING, "0255", "1I", "ET"))).status == "HELD"


def test_a_dead_letter_counts_from_its_receipt() -> None:
    letter: DeadLetter = dead_letter(minute=7)
    (hold,) = OneBill(letter).now.holds
    assert hold.placed == posted_minute(at(7))
