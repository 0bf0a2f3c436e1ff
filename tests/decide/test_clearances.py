"""Holds that CBP ended outside the feed: `hold clear`, and the second person who confirms it."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from router.decide import status as words
from router.decide.identity import BillRecord
from router.decide.rules import Rules
from router.decide.status import CLEARED_BY_HAND
from router.model.inputs import Clearance, Confirmation, Snapshot, SnapshotHold
from router.model.links import MOST_STOPS, LinkFact, Stop, bounded_stops
from router.model.vocabulary import HoldKind
from tests.checking.harness import Harness
from tests.checking.samples import (
    BOX,
    BOX_KEY,
    HOUSE,
    MASTER,
    OTHER_BOX,
    OTHER_HOUSE,
    PARTIES,
    START,
    at,
    dead_letter,
    event,
    filing,
    on_container,
    sailing,
)
from tests.decide.one_bill import OneBill, clearance
from tests.decide.test_manual_events import said

TWO_PERSONS = "os:ben"
X, Y, Z = (Stop(OTHER_HOUSE, (name,), do_not_load=True, since=0) for name in "xyz")
BOX_STOPPED = LinkFact(HOUSE, f"container:{BOX_KEY}", "BOX", True, (X, Y))
FEW = Rules(fold_after_events=8)


def flood(*minutes: int) -> list[BillRecord]:
    return [event("1K", minute) for minute in minutes]


# A hold whose removal was lost


def test_a_hold_whose_removal_was_lost_ends_by_the_word_of_cbp_and_a_second_person() -> None:
    one = OneBill(filing(), event("1H", 1), event("1C", 2))
    one.clear("1H")
    assert (one.status, one.doubts, one.now.holds) == (words.RELEASE_UNCONFIRMED, (CLEARED_BY_HAND,), ())
    assert one.notified["NVXA"] == "change"
    assert one.last.history.flags == ("MANUAL",)
    one.confirm(user=TWO_PERSONS)
    assert (one.status, one.doubts, one.notified["NVXA"]) == (words.RELEASED, (), "release")


def test_a_release_before_the_hold_has_both_doubts_and_one_word_ends_both() -> None:
    one = OneBill(filing(), event("1C", 1), event("1H", 2))
    one.clear("1H")
    assert set(one.doubts) == {words.RELEASE_PREDATES_HOLD, CLEARED_BY_HAND}
    one.confirm(user=TWO_PERSONS)
    assert one.status == words.RELEASED


@pytest.mark.parametrize("user", ["os:anna", "console:anna", "console:ANNA", ""])
def test_the_person_who_cleared_it_can_not_be_the_second_one(user: str) -> None:
    one = OneBill(filing(), event("1H", 1), event("1C", 2))
    one.clear("1H", user="os:anna")
    one.confirm(user=user)
    assert (one.status, one.doubts) == (words.RELEASE_UNCONFIRMED, (CLEARED_BY_HAND,))


def test_unless_the_rule_of_four_eyes_is_off() -> None:
    one = OneBill(filing(), event("1H", 1), event("1C", 2), rules=Rules(four_eyes=False))
    one.clear("1H")
    assert one.status == words.RELEASE_UNCONFIRMED
    one.confirm(user="os:anna")
    assert one.status == words.RELEASED


def test_the_removal_that_comes_after_all_is_no_unseen_hold_and_ends_the_doubt() -> None:
    one = OneBill(filing(), event("1H", 1), event("1C", 2))
    one.clear("1H")
    one.enter(event("1I", 3))
    assert (one.status, one.last.history.flags) == (words.RELEASED, ())


# Nothing is allowed that the hold forbade, until then


def test_a_cleared_do_not_load_is_not_loaded_on_the_word_of_one() -> None:
    one = OneBill(filing(), event("6H", 1))
    one.clear("6H")
    assert (one.now.do_not_load, one.status, one.now.holds) == (True, words.DO_NOT_LOAD, ())
    assert set(one.notified) == {"NVXA", "OCNX", "SLTC", "THRD"}, "also the lines that hear of do-not-loads only"
    assert "LADING" not in one.last.notices[0].fields["authorises"]
    one.confirm(user=TWO_PERSONS)
    assert (one.now.do_not_load, one.status) == (False, words.ON_FILE)
    assert set(one.notified) == {"NVXA", "OCNX", "SLTC", "THRD"}
    assert "LADING" in one.last.notices[0].fields["authorises"]


def test_one_that_was_cleared_in_the_united_states_waits_for_its_second_person_like_any_hold() -> None:
    one = OneBill(filing(), event("6H", 1), event("12", 2, transaction_port="2704"), event("1C", 3))
    one.clear("6H")
    assert (one.status, one.now.do_not_load, one.doubts) == (words.RELEASE_UNCONFIRMED, True, (CLEARED_BY_HAND,))
    one.confirm(user=TWO_PERSONS)
    assert (one.status, one.now.do_not_load) == (words.RELEASED, False)


@pytest.mark.parametrize("code", ["1J", "1W"])
def test_it_is_not_moved_either(code: str) -> None:
    one = OneBill(filing(), event("1H", 1), event(code, 2))
    one.clear("1H")
    assert (one.status, one.now.authorises) == (words.ON_FILE, ())
    one.confirm(user=TWO_PERSONS)
    assert one.status == words.MOVEMENT_AUTHORISED


def test_nor_delivered_in_part() -> None:
    one = OneBill(filing(), event("1H", 1), event("1C", 2, 60))
    one.clear("1H")
    assert (one.status, one.now.authorises) == (words.PARTIALLY_RELEASED, ())


def test_the_box_stays_stopped_for_its_other_bills() -> None:
    one = OneBill(filing(), event("6H", 1))
    key = f"container:{BOX_KEY}"
    one.clear("6H")
    assert one.state.index_facts[key].do_not_load
    one.confirm(user=TWO_PERSONS)
    assert not one.state.index_facts[key].stopped


def test_who_is_new_to_the_bill_hears_that_it_must_not_be_loaded() -> None:
    one = OneBill(event("55", 0), event("6H", 1))
    one.clear("6H")
    one.enter(event("19", 5, snps=("SLTC",)))
    (notice,) = (notice for notice in one.last.notices if notice.recipient.id == "SLTC")
    assert (notice.kind, notice.fields["do_not_load"]) == ("hold", True)


# Which hold


def test_it_ends_what_was_placed_until_then_and_no_more() -> None:
    one = OneBill(filing(), event("1H", 1, 60), event("1H", 3, 20))
    first = one.now.holds[0].events[0]
    one.enter(clearance("CBP", first, disposition_code="1H"))
    assert one.holds == {("1H", None): 20}
    one.clear("1H")
    assert one.holds == {}


def test_one_box_of_two_that_one_event_holds() -> None:
    one = OneBill(filing(), on_container("1H", 1, BOX, OTHER_BOX))
    one.clear("1H", BOX)
    assert [hold.container_number for hold in one.now.holds] == ["MSKU907032"]


def test_the_pieces_that_an_incomplete_removal_left() -> None:
    one = OneBill(filing(manifested_quantity=120), event("1H", 1, 120), event("1I", 2, 118), event("1C", 3, 120))
    assert one.holds == {("1H", None): 2}
    one.clear("1H")
    assert one.doubts == (CLEARED_BY_HAND,)
    one.confirm(user=TWO_PERSONS)
    assert one.status == words.RELEASED


def test_a_repeat_does_not_bring_it_back_and_a_later_placement_does() -> None:
    one = OneBill(filing(), event("1H", 1), event("1C", 2))
    one.clear("1H")
    one.enter(event("1H", 1, received_at=at(90)))
    assert one.holds == {}
    one.enter(event("1H", 70))
    assert one.holds == {("1H", None): 100}


def test_a_hold_that_is_sent_again_counts_again() -> None:
    """CAMIR R02, position 69: port of discharge or vessel changed. It may have a posted time of its own, or not."""
    for again in (event("1H", 90, resent=True), event("1H", 1, resent=True, received_at=at(90))):
        one = OneBill(filing(), event("1H", 1), event("1C", 2))
        one.clear("1H")
        one.confirm(user=TWO_PERSONS)
        assert one.status == words.RELEASED
        one.enter(again)
        assert one.status == words.HELD
        one.clear("1H", minute=120)
        assert one.doubts == (CLEARED_BY_HAND,) if again.action_at == at(1) else CLEARED_BY_HAND in one.doubts
        one.enter(again)
        assert one.holds == {}


def test_the_copy_of_a_re_sent_hold_that_a_backlog_delayed_brings_nothing_back() -> None:
    sent_again = event("1H", 1, resent=True)
    one = OneBill(filing(), sent_again)
    one.clear("1H")
    one.enter(sent_again)
    assert one.holds == {}


def test_a_hold_sent_again_before_the_word_was_entered_is_not_ended_by_it() -> None:
    """The word was on the first sending; the second one overtook it, as urgent events do."""
    one = OneBill(filing(), event("1H", 1))
    first = one.now.holds[0].events[-1]
    one.enter(event("1H", 1, resent=True, received_at=at(90)))
    one.enter(clearance("CBP", first, disposition_code="1H"))
    assert one.holds == {("1H", None): 100}


def test_in_any_order_the_same() -> None:
    one = OneBill(filing(), event("1H", 1))
    cleared = clearance("CBP", one.now.holds[0].events[-1], disposition_code="1H")
    records = (event("1H", 1), event("1C", 2), event("2H", 3), event("2I", 4), cleared)
    outcomes = {
        (bill.status, bill.doubts) for order in permutations(records) for bill in [OneBill(filing(), *order, *order)]
    }
    assert outcomes == {(words.RELEASE_UNCONFIRMED, (words.RELEASE_PREDATES_HOLD, CLEARED_BY_HAND))}


def test_a_hold_in_the_sums_is_cleared_like_any() -> None:
    one = OneBill(filing(), event("1H", 1), event("1C", 2), *flood(*range(10, 30)), rules=FEW)
    assert one.state.fold_line is not None
    one.clear("1H")
    one.confirm(user=TWO_PERSONS)
    assert one.status == words.RELEASED
    one.enter(event("1H", 1))
    assert one.holds == {}
    one.enter(event("1I", 40))
    assert "HOLD_UNSEEN" not in one.last.history.flags


def test_a_hold_of_a_snapshot_is_cleared_like_any_and_alone() -> None:
    holds = (SnapshotHold("1H", None, None, at(1)), SnapshotHold("2H", None, None, at(1)))
    one = OneBill(Snapshot(filing(), at(5), holds=holds))
    one.clear("1H")
    assert set(one.holds) == {("2H", None)}


def test_an_exam_that_a_revoked_release_demands_again() -> None:
    one = OneBill(filing(), event("1B", 1), event("4A", 2))
    assert one.status == words.HELD
    one.clear("4A")
    assert (one.holds, one.doubts) == ({}, (CLEARED_BY_HAND,))


# Other kinds: one person is enough


def test_a_box_that_is_stopped_by_a_bill_that_was_deleted_and_filed_anew() -> None:
    one = OneBill(filing(), event("1C", 1), BOX_STOPPED)
    one.enter(clearance("BOX", "x"))
    assert one.status == words.DO_NOT_LOAD, "another event stops it as well"
    one.clear_all("BOX")
    assert (one.status, one.doubts, one.notified["NVXA"]) == (words.RELEASED, (), "release")
    one.enter(BOX_STOPPED._replace(active=False), BOX_STOPPED)
    assert one.status == words.RELEASED, "naming the box again brings none back"
    one.enter(BOX_STOPPED._replace(stops=(X, Y, Z)))
    assert one.status == words.DO_NOT_LOAD, "a stop placed later counts again"


def test_a_house_hold_ends_on_the_master_as_far_as_its_events_are_named() -> None:
    held = LinkFact(HOUSE, f"master:{HOUSE}", "HOUSE", True, (X,))
    one = OneBill(filing(), event("1C", 1), held)
    one.clear_all("HOUSE")
    assert one.status == words.RELEASED
    one.enter(held._replace(stops=(X, Y._replace(do_not_load=False))))
    assert one.status == words.HELD, "what is cleared no longer adds its do-not-load"
    one.enter(held._replace(stops=(X._replace(events=("x", "sent again")),)))
    assert one.status == words.DO_NOT_LOAD


def test_stops_beyond_those_that_a_link_names_are_not_cleared_with_them() -> None:
    many = bounded_stops(X._replace(events=(str(number),), since=number) for number in range(MOST_STOPS + 2))
    one = OneBill(filing(), event("1C", 1), BOX_STOPPED._replace(stops=many))
    one.clear_all("BOX")
    assert one.status == words.DO_NOT_LOAD


def test_what_could_not_be_read_and_what_is_unknown() -> None:
    one = OneBill(filing(), event("1C", 1), dead_letter("a"), dead_letter("b"), event("Z?", 2))
    one.clear_all("UNREADABLE")
    assert [hold.kind for hold in one.now.holds] == ["UNKNOWN_CODE"]
    one.clear_all("UNKNOWN_CODE")
    assert one.status == words.RELEASED
    one.enter(dead_letter("a"), event("Z?", 2))
    assert one.status == words.RELEASED, "the same again changes nothing"


def test_what_was_relayed_by_hand_and_a_contradiction_with_it() -> None:
    one = OneBill(filing(), said("PLACE", 0, "6H"), event("6I", 60), event("1C", 61))
    assert "CONTRADICTION" in one.last.history.flags
    one.clear_all("MANUAL")
    assert (one.status, one.bill.relayed.contradictions) == (words.RELEASED, ())


def test_a_contradiction_with_a_hold_of_cbp() -> None:
    one = OneBill(filing(), event("6H", 30), said("LIFT", 60))
    one.clear("6H", minute=70)
    assert one.bill.relayed.contradictions == ()


# Across bills


@pytest.fixture
def router() -> Harness:
    harness = Harness(2, now=START)
    harness.roster(*PARTIES, sailing())
    return harness


def cleared(router: Harness, bill: str, kind: HoldKind, *events: str, **more: Any) -> Clearance:
    given = events or tuple(event for hold in router.bill(bill).status.holds for event in hold.events)
    words = ("J. Smith, CBP Los Angeles", "by phone", "Anna", "os:anna", at(60))
    return Clearance(bill[:4], bill[4:], kind, given, *words, **more)


def confirmed(router: Harness, bill: str) -> Confirmation:
    found = router.bill(bill)
    doubts, covers = found.confirmable_doubts(), tuple(found.confirmable_ids())
    return Confirmation(bill[:4], bill[4:], covers, "Ben", "by phone", at(61), doubts, "os:ben")


def test_a_deleted_bill_s_do_not_load_ends_in_the_box_of_the_bill_filed_anew(router: Harness) -> None:
    """The description was mended under another number; the first one keeps its 6H, since deleting undoes no hold."""
    router.decide(filing(), event("6H", 1), event("54", 2), filing(OTHER_HOUSE), event("1C", 3, bill=OTHER_HOUSE))
    assert router.status(OTHER_HOUSE) == words.DO_NOT_LOAD
    router.decide(cleared(router, OTHER_HOUSE, "BOX"))
    assert (router.status(OTHER_HOUSE), router.kinds("NVXB")[-1]) == (words.RELEASED, "release")
    router.decide(filing(OTHER_HOUSE, 9), event("19", 10, bill=HOUSE))
    assert router.status(OTHER_HOUSE) == words.RELEASED, "naming the box again brings none back"
    router.decide(event("2Q", 11))
    assert router.status(OTHER_HOUSE) == words.DO_NOT_LOAD, "a stop placed later counts again"


def test_or_on_the_deleted_bill_itself_by_two_persons(router: Harness) -> None:
    router.decide(filing(), event("6H", 1), event("54", 2), filing(OTHER_HOUSE), event("1C", 3, bill=OTHER_HOUSE))
    router.decide(cleared(router, HOUSE, "CBP", disposition_code="6H"))
    assert router.status(OTHER_HOUSE) == words.DO_NOT_LOAD, "one person frees no other bill of the box"
    router.decide(confirmed(router, HOUSE))
    assert (router.status(HOUSE), router.status(OTHER_HOUSE)) == (words.DELETED, words.RELEASED)


def test_a_stop_that_is_sent_again_counts_again_in_the_box(router: Harness) -> None:
    """Also with the posted time of the first sending (CAMIR R02, position 69)."""
    router.decide(filing(), event("6H", 1), filing(OTHER_HOUSE), event("1C", 3, bill=OTHER_HOUSE))
    router.decide(cleared(router, OTHER_HOUSE, "BOX"))
    assert router.status(OTHER_HOUSE) == words.RELEASED
    router.decide(event("6H", 1, received_at=at(90)))
    assert router.status(OTHER_HOUSE) == words.RELEASED, "a repeat"
    router.decide(event("6H", 1, resent=True, received_at=at(90)))
    assert router.status(OTHER_HOUSE) == words.DO_NOT_LOAD


def test_a_house_hold_ends_on_the_master_alone(router: Harness) -> None:
    router.decide(filing(MASTER), filing(master_bill=MASTER), event("1H", 1), event("1C", 2, bill=MASTER))
    assert router.status(MASTER) == words.HELD
    router.decide(cleared(router, MASTER, "HOUSE"))
    assert (router.status(MASTER), router.status(HOUSE)) == (words.RELEASED, words.HELD)
    router.decide(event("2H", 9))
    assert router.status(MASTER) == words.HELD
