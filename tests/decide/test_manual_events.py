"""What CBP says by phone: it stands until it is lifted by hand or CBP confirms it, and never beats what CBP sent."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from router.decide.identity import BillRecord
from router.decide.rules import Rules
from router.model.eastern import MINUTE
from router.model.inputs import ManualEvent, Shipment
from tests.checking.samples import ABOARD, BOX, BOX_KEY, HOUSE, IMO, at, event, filing, on_container
from tests.decide.one_bill import OneBill

DAY_MINUTES = 24 * 60


def said(action: str, minute: int = 0, code: str | None = None, name: str = "m", **more: Any) -> ManualEvent:
    """Relayed by phone so many minutes after START."""
    usual = {"source": "CBP, Los Angeles", "ticket": "INC1", "received_at": at(minute)}
    words = (f"{name}{minute}", action, at(minute), "J. Doe", "phone")
    return ManualEvent(HOUSE[:4], HOUSE[4:], *words, disposition_code=code, **usual | more)


def kinds(bill: OneBill) -> list[tuple[str, str | None]]:
    return [(hold.kind, hold.code) for hold in bill.now.holds]


def flags(bill: OneBill) -> tuple[str, ...]:
    return bill.last.history.flags


def waits(bill: OneBill) -> tuple[str, ...]:
    return bill.last.waiting.reasons if bill.last.waiting else ()


# Placing


def test_a_hold_by_phone_reaches_everyone_at_once_and_says_that_it_is_manual() -> None:
    bill = OneBill(filing(), said("PLACE", 5, "6H"))
    assert bill.status == "DO_NOT_LOAD"
    assert kinds(bill) == [("MANUAL", "6H")]
    assert bill.notified == dict.fromkeys(("NVXA", "OCNX", "SLTC", "THRD"), "hold")
    assert flags(bill) == ("MANUAL",)
    (notice, *_) = bill.last.notices
    assert notice.cause == "OPERATOR"
    assert (notice.fields["disposition_code"], notice.fields["action_at"]) == ("6H", at(5))


def test_the_same_word_again_changes_nothing() -> None:
    bill = OneBill(filing(), said("PLACE", 5, "6H"))
    assert bill.enter(said("PLACE", 5, "6H")).history is None


def test_a_hold_by_phone_of_a_code_that_is_not_in_the_table_stands_like_any() -> None:
    assert OneBill(filing(), said("PLACE", 0, "Z?")).status == "HELD"


def test_a_hold_by_phone_stands_on_a_container_only_if_it_names_it() -> None:
    bill = OneBill(filing(), said("PLACE", 0, "1H", container_number=BOX))
    assert bill.holds == {("1H", BOX_KEY): None}


def test_a_hold_by_phone_never_makes_a_release_stale() -> None:
    bill = OneBill(filing(), event("1C", 1), said("PLACE", 5, "1H"), said("LIFT", 9))
    assert (bill.status, bill.doubts) == ("RELEASED", ())


def test_a_word_that_was_relayed_late_says_so() -> None:
    assert flags(OneBill(filing(), said("PLACE", 0, "1H", received_at=at(90)))) == ("MANUAL", "LATE")


# On a bill of which nothing is known yet

KNOWN = Shipment(carrier_scac="OCNX", imo_number=IMO, voyage_number="026E", arrival_date="2026-07-28")


def test_a_hold_by_phone_on_an_unknown_bill_reaches_its_filer_and_whom_the_operator_names() -> None:
    bill = OneBill(said("PLACE", 5, "6H"))
    assert (bill.status, bill.notified) == ("DO_NOT_LOAD", {"NVXA": "hold"})
    named = OneBill(said("PLACE", 5, "6H", snps=("SLTC",), shipment=KNOWN))
    assert named.notified == dict.fromkeys(("NVXA", "OCNX", "SLTC", "THRD"), "hold")
    bill.enter(filing())
    assert bill.notified == {"NVXA": "change"} | dict.fromkeys(("OCNX", "SLTC", "THRD"), "hold")


def test_cbp_s_message_confirms_it_and_its_removal_ends_it() -> None:
    bill = OneBill(said("PLACE", 5, "6H", snps=("SLTC",), shipment=KNOWN))
    bill.enter(event("6H", 4))
    assert (kinds(bill), set(bill.notified.values())) == ([("CBP", "6H")], {"change"})
    bill.enter(event("6I", 30))
    assert bill.now.holds == ()
    assert "SLTC" in bill.notified


@pytest.mark.parametrize("facts", [filing(), event("1K", 1, **ABOARD)], ids=["filing", "event"])
@pytest.mark.parametrize("first", [True, False])
def test_what_the_operator_names_completes_filings_and_messages_and_never_replaces_them(
    facts: BillRecord, *, first: bool
) -> None:
    slip = Shipment(carrier_scac="THRD", imo_number="8000000", voyage_number="999X", manifest_sequence_number="000007")
    records = [facts, said("PLACE", 5, "6H", shipment=slip)]
    bill = OneBill(*(records if first else records[::-1]))
    assert bill.bill is not None
    shipment = bill.bill.cargo.shipment
    assert (shipment.carrier_scac, shipment.imo_number, shipment.voyage_number) == ("OCNX", IMO, "026E")


# Confirmed


@pytest.mark.parametrize("minutes", [0, 30, -30, DAY_MINUTES, -DAY_MINUTES])
def test_the_electronic_hold_within_a_day_is_the_same_one_in_whichever_order_they_come(minutes: int) -> None:
    relayed, sent = said("PLACE", 5000, "6H"), event("6H", 5000 + minutes)
    for records in ((relayed, sent), (sent, relayed)):
        bill = OneBill(filing(), *records)
        assert kinds(bill) == [("CBP", "6H")]
        assert set(bill.notified.values()) == {"change"}, "nothing was added: it was confirmed"


@pytest.mark.parametrize(
    "sent",
    [
        event("6H", 5001 + DAY_MINUTES),
        event("1H", 5000),
        on_container("6H", 5000),
    ],
    ids=["too late", "another code", "another scope"],
)
def test_otherwise_both_stand(sent: BillRecord) -> None:
    bill = OneBill(filing(), said("PLACE", 5000, "6H"), sent)
    assert [kind for kind, _ in kinds(bill)] == ["CBP", "MANUAL"]
    assert bill.notified["NVXA"] == "hold"


def test_one_electronic_hold_confirms_one_word() -> None:
    bill = OneBill(filing(), said("PLACE", 0, "1H"), said("PLACE", 60, "1H"), event("1H", 50))
    assert kinds(bill) == [("CBP", "1H"), ("MANUAL", "1H")]
    assert bill.now.holds[1].placed == bill.now.holds[0].placed - 50, "the nearer is the one"  # type: ignore[operator]


def test_a_hold_on_two_containers_confirms_a_word_on_each() -> None:
    words = [said("PLACE", minute, "1H", container_number=box) for minute, box in ((0, BOX), (1, "MSKU9070323"))]
    bill = OneBill(filing(), *words, on_container("1H", 2, BOX, "MSKU9070323"))
    assert kinds(bill) == [("CBP", "1H")] * 2


def test_once_confirmed_cbp_ends_it() -> None:
    bill = OneBill(filing(), said("PLACE", 0, "6H"), event("6H", 60), event("6I", 90))
    assert (bill.status, flags(bill)) == ("ON_FILE", ())


def test_a_confirmed_word_stays_confirmed_when_its_event_is_folded() -> None:
    rules = Rules(fold_after_events=8)
    later = [event("1K", 10 + minute) for minute in range(20)]
    bill = OneBill(filing(), said("PLACE", 0, "6H"), event("6H", 1), event("6I", 2), *later, rules=rules)
    assert bill.state is not None
    assert bill.state.fold_line is not None
    assert kinds(bill) == []


# Lifting and releasing


@pytest.mark.parametrize("code", [None, "6H", "6I"])
def test_a_lift_by_phone_ends_what_was_placed_by_phone(code: str | None) -> None:
    bill = OneBill(filing(), said("PLACE", 0, "6H"), said("LIFT", 5, code))
    assert bill.status == "ON_FILE"
    assert bill.notified["NVXA"] == "change"
    assert "LADING" in bill.last.notices[0].fields["authorises"]


@pytest.mark.parametrize(
    "lift",
    [said("LIFT", 5, "1H"), said("LIFT", 5, container_number=BOX), said("LIFT", 0, name="same moment")],
    ids=["another code", "another scope", "not after it"],
)
def test_a_lift_of_something_else_ends_nothing(lift: ManualEvent) -> None:
    assert OneBill(filing(), said("PLACE", 0, "6H"), lift).status == "DO_NOT_LOAD"


def test_a_lift_ends_as_many_pieces_as_it_names() -> None:
    bill = OneBill(filing(), said("PLACE", 0, "1H"), said("LIFT", 5, quantity=40))
    assert bill.holds == {("1H", None): 60}
    bill.enter(said("LIFT", 6, quantity=60))
    assert bill.now.holds == ()


def test_a_release_by_phone_releases_where_nothing_stands_and_is_marked_until_cbp_sends_it() -> None:
    bill = OneBill(filing(), said("RELEASE", 5))
    assert (bill.status, flags(bill)) == ("RELEASED", ("MANUAL",))
    assert bill.notified["NVXA"] == "release"
    bill.enter(event("DV", 6))
    assert "MANUAL" in flags(bill)
    bill.enter(event("1C", 30))
    assert (bill.status, flags(bill), bill.notified["NVXA"]) == ("RELEASED", (), "change")


def test_a_release_by_phone_and_the_same_from_cbp_count_once() -> None:
    records = (said("RELEASE", 5, quantity=60), event("1C", 30, 60))
    for order in permutations(records):
        assert OneBill(filing(), *order).now.released_quantity == 60


def test_it_counts_once_also_if_the_word_was_folded_before_cbp_sent_it() -> None:
    rules = Rules(fold_after_events=8)
    later = [event("1K", 10 + minute) for minute in range(20)]
    bill = OneBill(filing(), said("RELEASE", 5, quantity=60), *later, rules=rules)
    assert bill.now.released_quantity == 60
    bill.enter(event("1C", 40, 60))
    assert (bill.now.released_quantity, bill.status) == (60, "PARTIALLY_RELEASED")


def test_a_release_by_phone_taken_back_by_cbp_is_gone() -> None:
    assert OneBill(filing(), said("RELEASE", 5), event("4E", 30)).status == "NOT_RELEASED"


def test_a_release_by_phone_ends_no_exam_and_no_hold_of_cbp() -> None:
    assert OneBill(filing(), event("1A", 1), said("RELEASE", 5, "1B")).status == "HELD"
    assert OneBill(filing(), event("1H", 1), said("RELEASE", 5)).status == "HELD"


def test_after_a_release_by_phone_a_later_take_back_holds_as_if_it_had_not_been_said() -> None:
    bill = OneBill(filing(), event("1A", 1), event("1B", 2), said("RELEASE", 5, "1C"), event("4A", 6))
    assert bill.status == "HELD"


# Contradictions


def test_a_lift_by_phone_of_what_cbp_holds_is_flagged_and_the_hold_stands() -> None:
    bill = OneBill(filing(), said("PLACE", 0, "6H"), event("6H", 30), said("LIFT", 60))
    assert bill.status == "DO_NOT_LOAD"
    assert flags(bill) == ("MANUAL", "CONTRADICTION")
    assert "CONTRADICTION" in waits(bill)


def test_a_release_by_phone_of_what_cbp_holds_is_flagged_and_the_hold_stands() -> None:
    bill = OneBill(filing(), event("1H", 1), said("RELEASE", 5))
    assert (bill.status, "CONTRADICTION" in flags(bill)) == ("HELD", True)


def test_a_removal_by_cbp_of_what_was_only_phoned_is_flagged_and_the_hold_stands_until_cbp_sends_it_too() -> None:
    bill = OneBill(filing(), said("PLACE", 0, "6H"), event("6I", 60))
    assert (bill.status, "CONTRADICTION" in flags(bill)) == ("DO_NOT_LOAD", True)
    bill.enter(event("6H", 1))
    assert (bill.status, flags(bill), waits(bill)) == ("ON_FILE", (), ())


@pytest.mark.parametrize(
    "settles",
    [event("6I", 70), said("PLACE", 70, "6H"), event("6H", 70)],
    ids=["CBP removes it", "placed by phone again", "placed by CBP again"],
)
def test_a_later_word_settles_it(settles: BillRecord) -> None:
    bill = OneBill(filing(), event("6H", 30), said("LIFT", 60), settles)
    assert "CONTRADICTION" not in flags(bill)
    assert "CONTRADICTION" not in waits(bill)


def test_an_operator_settles_it_and_the_hold_stands_still() -> None:
    bill = OneBill(filing(), event("6H", 30), said("LIFT", 60))
    assert bill.state is not None
    bill.confirm(*bill.state.relayed)
    assert bill.bill.relayed.contradictions == ()
    assert bill.status == "DO_NOT_LOAD"


# In any order


def test_in_any_order_and_repeated_the_same() -> None:
    records: tuple[BillRecord, ...] = (
        said("PLACE", 0, "6H"),
        event("6H", 30),
        said("LIFT", 45),
        event("6I", 60),
        said("RELEASE", 70, quantity=100),
        event("1C", 90),
    )
    states = {
        (bill.status, bill.doubts, bill.now.holds, bill.now.released_quantity)
        for order in permutations(records)
        for bill in [OneBill(filing(), *order, *order[:2])]
    }
    assert states == {("RELEASED", (), (), 100)}


def test_what_was_said_is_kept_by_the_millisecond() -> None:
    """Placed by mistake and lifted in the same minute."""
    lift = said("LIFT", 0, name="x")
    assert OneBill(filing(), said("PLACE", 0, "6H"), lift._replace(said_at=at(0) + MINUTE // 2)).status == "ON_FILE"
