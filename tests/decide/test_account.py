"""The ledger: which holds and releases stand, whatever order the events came in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import permutations

import pytest

from router.decide.rules import Rules
from router.decide.status import (
    DELETED,
    DO_NOT_LOAD,
    HELD,
    NOT_RELEASED,
    ON_FILE,
    PARTIALLY_RELEASED,
    RELEASE_PREDATES_HOLD,
    RELEASE_UNCONFIRMED,
    RELEASED,
)
from router.model.eastern import DAY, MINUTE, to_milliseconds
from router.model.inputs import Disposition, Snapshot, SnapshotHold
from tests.checking.samples import BOX, BOX_KEY, OTHER_BOX, OTHER_BOX_KEY, at, event, filing, on_container
from tests.decide.one_bill import OneBill

ADDED = event("55", 0)
FEW = Rules(fold_after_events=8)


def bill(*events: Disposition) -> OneBill:
    return OneBill(ADDED, *events)


# A hold beats every release


def test_a_release_for_the_whole_bill_makes_it_deliverable() -> None:
    assert bill(event("1C", 1)).status == RELEASED


def test_a_hold_beats_a_release_whichever_came_first() -> None:
    assert bill(event("1C", 1), event("1H", 2)).status == HELD
    assert bill(event("1H", 1), event("1C", 2)).status == HELD


def test_a_removal_is_no_release() -> None:
    assert bill(event("1H", 1), event("1I", 2)).status == ON_FILE


def test_a_release_after_the_hold_counts_once_the_hold_is_lifted() -> None:
    assert bill(event("1H", 1), event("1C", 2), event("1I", 3)).status == RELEASED


def test_a_release_before_the_hold_counts_again_only_when_posted_anew() -> None:
    one = bill(event("1C", 1), event("1H", 2), event("1I", 3))
    assert (one.status, one.doubts) == (RELEASE_UNCONFIRMED, (RELEASE_PREDATES_HOLD,))
    one.enter(event("1C", 4))
    assert one.status == RELEASED


def test_or_at_once_where_the_setting_says_that_the_former_status_returns() -> None:
    events = (event("1C", 1), event("1H", 2), event("1I", 3))
    assert OneBill(ADDED, *events, rules=Rules(release_after_hold="previous")).status == RELEASED


def test_the_setting_holds_for_an_imported_snapshot_too() -> None:
    snapshot = Snapshot(filing(), at(5), 100, at(0), (SnapshotHold("1H", None, None, at(1)),))
    lifted = event("1I", 6)
    assert OneBill(snapshot, lifted).status == RELEASE_UNCONFIRMED
    assert OneBill(snapshot, lifted, rules=Rules(release_after_hold="previous")).status == RELEASED


# The events behind a hold


def events_behind(one: OneBill) -> dict[str | None, list[str]]:
    """Codes of the events behind each hold, by the hold's code."""
    assert one.state is not None
    codes = {event.id: f"{event.code} {event.posted - one.state.events[0].posted}" for event in one.state.events}
    return {hold.code: [codes[event.partition("+")[0]] for event in hold.events] for hold in one.now.holds}


def test_a_hold_names_the_events_that_placed_it() -> None:
    one = bill(event("1H", 1, 40), event("1H", 2, 40), event("2H", 3), event("1C", 4))
    assert events_behind(one) == {"1H": ["1H 1", "1H 2"], "2H": ["2H 3"]}
    one.enter(event("1I", 5))
    assert events_behind(one) == {"2H": ["2H 3"]}
    one.enter(event("1H", 6))
    assert events_behind(one)["1H"] == ["1H 6"]


def test_a_hold_sent_again_names_that_event_too_in_whatever_order_they_came() -> None:
    sent = (event("1H", 1, 40), event("1H", 3, 40, resent=True), event("1H", 4, 40, transaction_port="3001"))
    for order in permutations(sent):
        assert events_behind(bill(*order)) == {"1H": ["1H 1", "1H 3", "1H 4"]}


def test_a_hold_names_the_latest_of_many_events() -> None:
    one = bill(*(event("1H", minute, 1) for minute in range(1, 11)))
    assert events_behind(one) == {"1H": [f"1H {minute}" for minute in range(3, 11)]}


def test_the_holds_of_each_snapshot_have_an_id_of_their_own() -> None:
    hold = SnapshotHold("1H", None, None, None)
    one = OneBill(Snapshot(filing(), at(5), holds=(hold,)))
    first = one.now.holds[0].events
    one.enter(Snapshot(filing(), at(6), holds=(hold,)))
    assert len(first) == 1
    assert one.now.holds[0].events != first


# Pairs


def test_only_its_own_pair_lifts_a_hold() -> None:
    one = bill(event("1G", 1), event("2H", 1), event("1I", 2))
    assert one.holds == {("1G", None): 100, ("2H", None): 100}
    one.enter(event("1F", 3))
    assert one.holds == {("2H", None): 100}


def test_other_agencies_holds_stay() -> None:
    assert bill(event("1H", 1), event("FX", 1), event("1I", 2)).holds == {("FX", None): 100}


@pytest.mark.parametrize(("place", "lift"), [("6H", "6I"), ("2Q", "4Q"), ("2R", "4R")])
def test_a_do_not_load_ends_by_its_own_removal_only(place: str, lift: str) -> None:
    one = bill(event(place, 1))
    assert one.status == DO_NOT_LOAD
    others = [code for code in ("6I", "4Q", "4R", "1I", "4O", "4P") if code != lift]
    one.enter(*(event(code, 2) for code in others), event("CAE", 3), event("1C", 4))
    assert one.status == DO_NOT_LOAD
    one.enter(event(lift, 5))
    assert not one.now.do_not_load


# Quantities


def test_forty_and_sixty_held_and_sixty_lifted_leave_forty() -> None:
    one = bill(event("1H", 1, 40), event("1H", 2, 60), event("1I", 3, 60))
    assert one.holds == {("1H", None): 40}


def test_a_hold_on_the_whole_bill_posted_twice_is_lifted_once() -> None:
    assert bill(event("1H", 1), event("1H", 2), event("1I", 3)).holds == {}


def test_a_removal_without_quantity_ends_the_hold() -> None:
    assert bill(event("1H", 1, 40), event("1H", 2, 60), event("1I", 3, None)).holds == {}


def test_a_hold_without_quantity_is_on_all_pieces() -> None:
    one = bill(event("1H", 1, None), event("1I", 2, 60))
    assert one.holds == {("1H", None): 40}


def test_zero_pieces_mean_no_quantity() -> None:
    assert bill(event("1H", 1, 0)).holds == {("1H", None): None}


def test_of_an_unknown_quantity_nothing_can_be_taken_off() -> None:
    assert OneBill(event("1H", 1, None), event("1I", 2, 60)).status == HELD


def test_the_bills_quantity_is_never_what_another_event_affects() -> None:
    assert OneBill(event("1C", 1, 60), filing()).status == PARTIALLY_RELEASED
    assert OneBill(event("1C", 1, 100)).now.manifested_quantity is None


@pytest.mark.parametrize("code", ["55", "56", "69"])
def test_the_latest_55_56_or_69_gives_the_quantity(code: str) -> None:
    assert OneBill(filing(), event(code, 1, 120)).now.manifested_quantity == 120


def test_of_two_quantities_in_one_minute_the_larger_counts_whichever_came_first() -> None:
    events = [event("55", 0, 100), event("56", 0, 90), event("1C", 1, 90)]
    for order in permutations(events):
        assert OneBill(*order).status == PARTIALLY_RELEASED


def test_an_authority_for_one_container_is_none_for_the_bill() -> None:
    one = bill(on_container("1W", 1))
    assert (one.status, one.now.authorises) == (ON_FILE, ())
    one.enter(event("1W", 2))
    assert one.now.authorises == ("PERMIT_TO_TRANSFER",)


def test_without_one_the_filing_does_and_a_later_filing_replaces_it() -> None:
    one = OneBill(event("1C", 1), filing())
    assert one.status == RELEASED
    one.enter(filing(minute=5, manifested_quantity=150))
    assert one.status == PARTIALLY_RELEASED


def test_a_raised_quantity_makes_a_release_partial() -> None:
    assert bill(event("1C", 1), event("56", 2, 150)).status == PARTIALLY_RELEASED


def test_releases_add_up_to_the_whole_bill() -> None:
    one = bill(event("1C", 1, 60))
    assert (one.status, one.now.authorises, one.now.released_quantity) == (
        PARTIALLY_RELEASED,
        ("PARTIAL_DELIVERY",),
        60,
    )
    one.enter(event("1C", 2, 40))
    assert one.status == RELEASED


# Scopes


def removal_flags(one: OneBill) -> list[str]:
    """Flags of the latest event that say that a removal lifted nothing."""
    return [flag for flag in one.last.history.flags if flag in ("HOLD_UNSEEN", "REMOVAL_UNMATCHED")]


def test_a_removal_for_the_bill_leaves_the_hold_on_a_container_and_is_flagged() -> None:
    one = bill(on_container("1H", 1), event("1I", 2))
    assert one.holds == {("1H", BOX_KEY): None}
    assert removal_flags(one) == ["REMOVAL_UNMATCHED"]


def test_a_removal_for_a_container_leaves_the_hold_on_the_bill_and_other_containers() -> None:
    one = bill(event("1H", 1), on_container("1H", 1, BOX, OTHER_BOX), on_container("1I", 2))
    assert one.holds == {("1H", None): 100, ("1H", OTHER_BOX_KEY): None}


def test_a_container_is_the_same_with_and_without_its_check_digit() -> None:
    assert bill(on_container("1H", 1, BOX), on_container("1I", 2, BOX_KEY)).holds == {}


def test_a_removal_of_a_hold_never_seen_releases_nothing_and_is_flagged() -> None:
    one = bill(event("1I", 1))
    assert one.status == ON_FILE
    assert removal_flags(one) == ["HOLD_UNSEEN"]


@pytest.mark.parametrize(
    ("placed", "lifted"),
    [((), (BOX,)), ((BOX,), ()), ((BOX,), (OTHER_BOX,)), ((BOX, OTHER_BOX), ()), ((), (BOX, OTHER_BOX))],
)
def test_a_removal_that_names_another_scope_lifts_nothing(placed: tuple[str, ...], lifted: tuple[str, ...]) -> None:
    one = bill(event("1H", 1, container_numbers=placed, container_level=bool(placed)))
    stood = one.holds
    one.enter(event("1I", 2, container_numbers=lifted, container_level=bool(lifted)))
    assert (one.holds, removal_flags(one)) == (stood, ["REMOVAL_UNMATCHED"])


def test_a_removal_that_lifts_something_is_never_flagged() -> None:
    one = bill(event("1H", 1), on_container("1H", 1, OTHER_BOX), event("1I", 2))
    assert (one.holds, removal_flags(one)) == ({("1H", OTHER_BOX_KEY): None}, [])
    one = bill(on_container("1H", 1, BOX), on_container("1I", 2, BOX, OTHER_BOX))
    assert (one.holds, removal_flags(one)) == ({}, [])


@pytest.mark.parametrize(("stop", "end"), [("1A", "1B"), ("1A", "4C"), ("A3", "A1")])
def test_an_event_that_ends_a_block_in_another_scope_is_flagged(stop: str, end: str) -> None:
    one = bill(on_container(stop, 1), event(end, 2))
    assert (one.holds, removal_flags(one)) == ({(stop, BOX_KEY): None}, ["REMOVAL_UNMATCHED"])
    one = bill(on_container(stop, 1), on_container(end, 2))
    assert (one.holds, removal_flags(one)) == ({}, [])
    assert removal_flags(bill(event(end, 2))) == [], "nothing to end is no news of it"


def test_118_of_120_lifted_leave_two_held_and_no_flag() -> None:
    one = OneBill(event("55", 0, 120), event("1H", 1, 120), event("1I", 2, 118))
    assert (one.holds, removal_flags(one)) == ({("1H", None): 2}, [])


def test_a_removal_is_matched_to_what_stood_at_its_time() -> None:
    one = bill(on_container("1H", 5), event("1I", 2))
    assert removal_flags(one) == ["HOLD_UNSEEN"]


# Sent again


def test_a_hold_sent_again_adds_nothing() -> None:
    assert bill(event("1H", 1, 40), event("1H", 2, 40, resent=True)).holds == {("1H", None): 40}


def test_it_does_not_make_a_release_stale_that_came_since() -> None:
    assert bill(event("1H", 1), event("1C", 2), event("1H", 3, resent=True), event("1I", 4)).status == RELEASED


def test_it_places_where_its_hold_does_not_stand() -> None:
    assert bill(event("1H", 1, 40, resent=True)).holds == {("1H", None): 40}


def test_which_of_first_sending_and_sending_again_came_first_does_not_matter() -> None:
    first, again = event("1H", 2, 60), event("1H", 2, 60, resent=True)
    both = [OneBill(ADDED, event("1H", 1, 40), *pair).holds for pair in ((first, again), (again, first))]
    assert both == [{("1H", None): 100}] * 2


# Exams and take-backs


def test_an_exam_blocks_until_it_is_released_after_it_or_overridden() -> None:
    for end in ("1B", "4C"):
        assert bill(event("1A", 1), event(end, 2)).status == RELEASED


def test_a_general_release_does_not_end_an_exam() -> None:
    assert bill(event("1A", 1), event("1C", 2)).status == HELD


def test_4a_after_1c_takes_the_release_back() -> None:
    assert bill(event("1C", 1), event("4A", 2)).status == NOT_RELEASED
    assert bill(event("1C", 1), event("4A", 2), event("1C", 3)).status == RELEASED


@pytest.mark.parametrize("before", [("1A",), ("1A", "1B"), ("1B",)])
def test_4a_after_1a_or_1b_holds_again_until_1b_or_4c(before: tuple[str, ...]) -> None:
    posted = [event(code, minute) for minute, code in enumerate(before, 1)]
    for end in ("1B", "4C"):
        one = bill(*posted, event("4A", 5), event("1C", 6))
        assert one.status == HELD
        one.enter(event(end, 7))
        assert one.status == RELEASED


def test_4e_takes_back_exams_and_releases() -> None:
    assert bill(event("1A", 1), event("4E", 2)).status == NOT_RELEASED
    assert bill(event("1C", 1), event("4E", 2)).status == NOT_RELEASED


def test_4e_takes_back_so_many_pieces() -> None:
    one = bill(event("1C", 1, 60), event("1C", 2, 40), event("4E", 3, 40))
    assert (one.status, one.now.released_quantity) == (PARTIALLY_RELEASED, 60)


def test_4e_takes_from_the_entry_that_it_names() -> None:
    first, second = event("1C", 1, 60, entry_number="A"), event("1C", 2, 40, entry_number="B")
    one = bill(first, second, event("4E", 3, 40, entry_number="A"))
    assert sorted((lot.entry_number, lot.quantity) for lot in one.account.releases) == [("A", 20), ("B", 40)]


@pytest.mark.parametrize(("code", "status"), [("14", RELEASED), ("15", NOT_RELEASED), ("16", NOT_RELEASED)])
def test_14_reverses_what_was_entered_15_and_16_what_was_released(code: str, status: str) -> None:
    assert bill(event("1C", 1), event(code, 2)).status == status
    assert bill(event("1A", 1), event("14", 2)).status == ON_FILE


@pytest.mark.parametrize(("give", "take"), [("1J", "95"), ("1W", "83"), ("1X", "84"), ("1Z", "4Z")])
def test_an_authority_stands_until_it_is_taken_back(give: str, take: str) -> None:
    one = bill(event(give, 1))
    assert one.now.authorises
    one.enter(event(take, 2))
    assert (one.now.authorises, one.status) == ((), NOT_RELEASED)


def test_a_permit_taken_back_leaves_a_release_alone() -> None:
    assert bill(event("1C", 1), event("1W", 2), event("83", 3)).status == RELEASED


def test_1q_is_no_release_for_delivery() -> None:
    assert bill(event("1Q", 1)).status == ON_FILE


def test_a_hold_over_a_release_with_a_document_hold() -> None:
    assert bill(event("1C", 1), event("5H", 2)).status == HELD


# Reversals


def test_a_release_reversed_is_no_release() -> None:
    assert bill(event("1C", 1), event("1C", 2, reversal=True)).status == NOT_RELEASED


def test_an_exam_release_reversed_demands_the_exam_again() -> None:
    assert bill(event("1A", 1), event("1B", 2), event("1B", 3, reversal=True)).holds == {("1A", None): 100}


def test_an_exam_reversed_blocks_no_longer() -> None:
    assert bill(event("1A", 1), event("1A", 2, reversal=True)).status == ON_FILE


def test_a_removal_reversed_places_again() -> None:
    assert bill(event("1H", 1), event("1I", 2), event("1I", 3, reversal=True)).holds == {("1H", None): 100}


# Deleted and added


def test_54_undoes_a_release_and_not_a_hold() -> None:
    assert bill(event("1C", 1), event("54", 2)).status == DELETED
    assert bill(event("1H", 1), event("54", 2)).status == HELD


def test_55_after_54_begins_anew_without_the_release_that_was() -> None:
    assert bill(event("1C", 1), event("54", 2), event("55", 3)).status == ON_FILE


def test_54_and_55_in_one_minute_are_one_act() -> None:
    assert bill(event("54", 2), event("55", 2)).status == ON_FILE


def test_a_hold_lives_through_54_and_55() -> None:
    assert bill(event("1H", 1), event("54", 2), event("55", 3)).status == HELD


# Order


def test_within_a_minute_what_stops_comes_last() -> None:
    assert bill(event("1H", 5), event("1I", 5)).status == HELD
    assert bill(event("1C", 5), event("4A", 5)).status == NOT_RELEASED
    assert bill(event("1A", 5), event("4E", 5)).status == HELD
    assert bill(event("1C", 5), event("54", 5)).status == DELETED


def test_in_the_hour_that_autumn_repeats_nobody_can_tell_so_what_stops_comes_last() -> None:
    half_past_one = to_milliseconds(datetime(2026, 11, 1, 1, 30))
    received = {"received_at": half_past_one + 120 * MINUTE}
    hold = event("1H", **received)._replace(action_at=half_past_one, pass_unknown=True)
    lift = event("1I", **received)._replace(action_at=half_past_one + 25 * MINUTE, pass_unknown=True)
    next_hour = event("1I", **received)._replace(action_at=half_past_one + 90 * MINUTE)
    assert bill(hold, lift).status == HELD
    assert bill(hold, next_hour).status == ON_FILE


def test_any_order_of_arrival_ends_the_same() -> None:
    events = [
        event("55", 0),
        event("1H", 2, 40),
        event("1C", 3),
        event("1I", 4, 40),
        event("4E", 5, 60),
        event("1C", 6, 60),
    ]
    ends = {
        (one.status, one.doubts, one.now.released_quantity)
        for order in permutations(events)
        if (one := OneBill(*order))
    }
    assert len(ends) == 1


def test_a_repeated_event_does_not_count_again() -> None:
    one = bill(event("1C", 1, 60), event("1C", 1, 60), event("1C", 1, 60, source="another file"))
    assert one.now.released_quantity == 60


# Folding


def flood(*posted: int) -> list[Disposition]:
    """Events that change nothing, one for each minute."""
    return [event("19", minute, minute + 1) for minute in posted]


def folded(*early: Disposition) -> OneBill:
    """A bill whose early events (posted before minute 10) were folded into sums."""
    one = OneBill(ADDED, *early, *flood(*range(10, 30)), rules=FEW)
    assert one.state is not None
    assert one.state.fold_line is not None
    assert not any(event.code in ("55", "1C", "1H") for event in one.state.events)
    return one


def test_folding_keeps_what_stands() -> None:
    assert folded(event("1C", 1)).status == RELEASED
    assert folded(event("1H", 1, 40)).holds == {("1H", None): 40}
    assert folded(event("1C", 1), event("1H", 2), event("1I", 3)).doubts == (RELEASE_PREDATES_HOLD,)


def test_a_state_never_holds_more_events_than_the_bound() -> None:
    one = OneBill(ADDED, *flood(*range(10, 200)), rules=FEW)
    assert one.state is not None
    assert len(one.state.events) <= FEW.fold_after_events


@pytest.mark.parametrize("code", ["1C", "1I"])
def test_what_was_posted_before_the_fold_never_lifts_or_releases(code: str) -> None:
    one = folded(event("1H", 1)) if code == "1I" else folded()
    before = one.status
    one.enter(event(code, 2))
    assert one.status == before
    assert "LATE" in one.last.history.flags


@pytest.mark.parametrize(("code", "status"), [("1H", HELD), ("6H", DO_NOT_LOAD), ("4A", NOT_RELEASED)])
def test_what_was_posted_before_the_fold_still_places_and_takes_back(code: str, status: str) -> None:
    one = folded(event("1C", 1))
    one.enter(event(code, 2))
    assert one.status == status
    assert "LATE" in one.last.history.flags


def test_a_fold_splits_no_minute_so_a_repeated_release_never_counts_twice() -> None:
    """Its fingerprint is gone with the fold; if its minute still counted, half a bill would be released twice."""
    half = [event("1C", 5, 50, entry_number=number) for number in ("A",)]
    same_minute = [event("19", 5, quantity) for quantity in range(1, 20)]
    one = OneBill(ADDED, *half, *same_minute, rules=FEW)
    for _ in range(3):
        one.enter(*half)
    assert one.status == PARTIALLY_RELEASED


def test_after_a_fold_a_later_filing_still_gives_the_quantity() -> None:
    """Folded sums must not keep a quantity that was only filed."""
    one = OneBill(filing(), event("1C", 1), *flood(*range(10, 30)), rules=FEW)
    assert one.status == RELEASED
    one.enter(filing(minute=99, manifested_quantity=150))
    assert one.status == PARTIALLY_RELEASED


def test_a_snapshot_older_than_the_fold_takes_nothing_away() -> None:
    one = folded(event("1H", 5))
    one.enter(Snapshot(filing(), at(3), 100, at(3), (SnapshotHold("2H", None, None, at(2)),)))
    assert one.holds == {("1H", None): 100, ("2H", None): None}


def test_what_comes_late_from_before_a_snapshot_does_not_count() -> None:
    one = OneBill(Snapshot(filing(), at(50), 100, at(49)))
    one.enter(event("1H", 40))
    assert one.status == RELEASED
    assert "LATE" in one.last.history.flags


@pytest.mark.parametrize("begun", [OneBill, lambda *events: folded(*events)], ids=["kept", "folded"])
def test_a_snapshot_of_a_bill_that_has_events_ends_no_hold(begun: Callable[..., OneBill]) -> None:
    one = begun(event("1H", 5))
    one.enter(Snapshot(filing(), at(50), 100, at(49)))
    assert one.holds == {("1H", None): 100}
    one.enter(event("1H", 5))
    assert one.holds == {("1H", None): 100}, "a repeat"
    one.enter(event("1I", 60))
    assert one.status == RELEASED


@pytest.mark.parametrize("begun", [OneBill, lambda *events: folded(*events)], ids=["kept", "folded"])
def test_a_stop_that_comes_late_counts_though_a_snapshot_was_added_meanwhile(begun: Callable[..., OneBill]) -> None:
    one = begun(filing(), event("6H", 5), event("6I", 6))
    one.enter(Snapshot(filing(), at(50), 100, at(49)))
    assert one.status == RELEASED
    one.enter(event("2Q", 40))
    assert one.holds == {("2Q", None): 100}
    one.enter(event("2Q", 40), Snapshot(filing(), at(55), 100, at(49)), event("2Q", 40))
    assert one.holds == {("2Q", None): 100}
    one.enter(event("4Q", 60))
    assert one.holds == {}


def test_a_repeat_from_before_an_added_snapshot_brings_no_hold_back() -> None:
    one = OneBill(filing(), event("6H", 5), event("6I", 6), Snapshot(filing(), at(50)), event("6H", 5))
    assert one.holds == {}
    one.enter(Snapshot(filing(), at(55)), event("6H", 5))
    assert one.holds == {}


def test_a_snapshot_adds_to_what_is_known() -> None:
    one = OneBill(filing(), event("1H", 5), event("1I", 6), event("2H", 7, 40), event("1C", 8, 60))
    holds = (SnapshotHold("3H", None, None, at(20)), SnapshotHold("2H", None, 70, None))
    one.enter(Snapshot(filing(), at(50), 100, at(40), holds))
    assert one.holds == {("2H", None): 70, ("3H", None): None}
    one.enter(event("2I", 60), event("3I", 60))
    assert one.now.released_quantity == 100


def test_a_release_of_a_snapshot_is_stale_if_a_later_hold_is_known() -> None:
    one = OneBill(filing(), event("1H", 5), event("1I", 6))
    one.enter(Snapshot(filing(), at(50), 100, at(4)))
    assert (one.status, one.doubts) == (RELEASE_UNCONFIRMED, (RELEASE_PREDATES_HOLD,))


# Lives


def later(days: int, one: Disposition) -> Disposition:
    return one._replace(action_at=one.action_at + days * DAY, received_at=one.received_at + days * DAY)


def test_a_life_begins_with_its_55_whichever_event_comes_first() -> None:
    old, new = event("1C", 1), later(400, event("55", 0))
    assert bill(old, new).status == ON_FILE
    assert bill(new, old).status == ON_FILE


def test_a_hold_of_a_life_a_year_silent_does_not_reach_into_the_next() -> None:
    assert bill(event("1H", 1), later(400, event("55", 0))).status == ON_FILE
    assert bill(event("1H", 1), later(100, event("55", 0))).status == HELD


def test_a_late_event_from_before_the_fold_does_not_make_the_bill_seem_long_quiet() -> None:
    early = later(-400, event("1H", 0))
    one = folded(event("1C", 1))
    one.enter(early, event("55", 60))
    assert one.status == HELD
