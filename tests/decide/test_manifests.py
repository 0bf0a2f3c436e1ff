"""Filings read from manifest messages (X12 309, CAMIR MI): they add to a bill, and narrow or free nothing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from router.decide import status as words
from router.decide.bill_state import LastNotice
from router.errors import InputError
from router.model.eastern import MINUTE, start_of_day
from router.model.inputs import Disposition, Filing, PaperBill
from router.model.limits import MOST_DECLARATIONS, MOST_NAMED
from router.model.registry_values import Line
from tests.checking.samples import BOX, IMO, OTHER_BOX, START, at, called, event, filing, on_container, sailing
from tests.decide.one_bill import OneBill, registry_of

LADING = "2026-07-16"
BEFORE_LADING = ((start_of_day(LADING) or 0) - START) // MINUTE - 1
OTHER_VOYAGE: dict[str, Any] = {"imo_number": "9321483", "vessel_name": "OTHER", "voyage_number": "900W"}


def original(minute: int = 0, **more: Any) -> Filing:
    return filing(minute=minute, **more)._replace(declared_in="ORIGINAL")


def amendment(minute: int = 0, **more: Any) -> Filing:
    return filing(minute=minute, **more)._replace(declared_in="AMENDMENT")


def last_notices(bill: OneBill) -> Mapping[str, LastNotice]:
    assert bill.state is not None
    return bill.state.last_notices


def one(*records: Any, lading: str | None = LADING) -> OneBill:
    return OneBill(*records, registry=registry_of(sailing(first_lading_date=lading)))


def test_it_adds_parties_and_containers_to_those_that_are_there() -> None:
    bill = one(filing(minute=0, snps=("OCNX",)), original(1, snps=("SLTC",), container_numbers=(OTHER_BOX,)))
    assert bill.bill is not None
    assert bill.bill.cargo.snps == ("OCNX", "SLTC")
    assert bill.bill.cargo.shipment.container_numbers == (BOX, OTHER_BOX)


@pytest.mark.parametrize("more", [original(3), amendment(3)], ids=["original", "amendment"])
def test_it_dismisses_nobody_and_drops_no_box_while_a_stop_stands(more: Filing) -> None:
    held = one(original(0), on_container("6H", 1, BOX, snps=("THRD",)))
    told = set(last_notices(held))
    narrower = more._replace(snps=("NVXB",), shipment=more.shipment._replace(**OTHER_VOYAGE, container_numbers=()))
    decision = held.enter(narrower)
    assert not [notice for notice in decision.notices if notice.cause == "NO_LONGER_NOTIFIED"]
    assert told <= set(last_notices(held))
    assert held.status == words.DO_NOT_LOAD
    assert held.bill is not None
    assert BOX in held.bill.cargo.shipment.container_numbers


def test_the_operator_of_an_assumed_sailing_stays_while_a_stop_stands() -> None:
    other = sailing(sailing_id="S2", calls=called("2026-08-05"), lines=(Line("THRD", "operator", "B1", "holds"),))
    bill = OneBill(
        event("6H", 1, imo_number=IMO, arrival_date="2026-07-28", snps=("NVXB",)), registry=registry_of(other)
    )
    assert last_notices(bill)["OCNX"].assumed
    decision = bill.enter(original(2, voyage_number="B1", carrier_scac="THRD"))
    assert bill.state is not None
    assert bill.state.kept_sailing_id == "S2"
    assert {"OCNX", "THRD"} <= set(last_notices(bill))
    assert not [notice for notice in decision.notices if notice.cause == "NO_LONGER_NOTIFIED"]


@pytest.mark.parametrize("order", [*permutations((0, 1, 2))])
def test_its_quantity_counts_if_it_is_the_larger_one(order: tuple[int, ...]) -> None:
    records = (original(1, manifested_quantity=120), amendment(2, manifested_quantity=100), event("1C", 5, 100))
    bill = one(*(records[index] for index in order))
    assert bill.status == words.PARTIALLY_RELEASED


def test_a_table_replaces_the_quantity_of_messages_before_it() -> None:
    bill = one(original(1, manifested_quantity=120), filing(minute=2), event("1C", 5, 100))
    assert bill.status == words.RELEASED
    bill.enter(amendment(6, manifested_quantity=120))
    assert bill.status == words.PARTIALLY_RELEASED


@pytest.mark.parametrize("filed", [filing(minute=9), original(9), amendment(9)], ids=["table", "original", "amendment"])
@pytest.mark.parametrize("code", ["55", "56", "69"])
def test_cbps_own_quantity_beats_any_filing_whichever_came_first(code: str, filed: Filing) -> None:
    records = (event("55", 0, 150), event(code, 1, 150), filed, event("1C", 20, 100))
    for order in permutations(records):
        bill = one(*order)
        assert bill.status == words.PARTIALLY_RELEASED
        assert bill.now.manifested_quantity == 150


def test_it_ends_no_bill_and_changes_no_type_that_is_known() -> None:
    loaded = one(original(0, bill_type="00"), event("1C", 5, None))
    loaded.enter(amendment(6, bill_type="12"))
    assert loaded.status != words.RELEASED
    turned = one(amendment(6, bill_type="12"), original(7, bill_type="00"), event("1C", 8, None))
    assert turned.status != words.RELEASED


def test_an_empties_manifest_makes_it_one() -> None:
    assert one(original(0, bill_type="12", manifested_quantity=None), event("1C", 5, None)).status == words.RELEASED


def test_an_amendment_makes_no_bill_an_empty_that_any_release_frees() -> None:
    empty = {"bill_type": "12", "manifested_quantity": None}
    partly = one(event("55", 0), event("1H", 1), amendment(2, **empty), event("1I", 3), event("1C", 4, quantity=60))
    assert (partly.status, partly.now.deliverable) == (words.PARTIALLY_RELEASED, False)
    assert one(amendment(2, **empty), event("1C", 4, quantity=60)).doubts


@pytest.mark.parametrize("declared", [original(5, manifested_quantity=1), amendment(5, manifested_quantity=1)])
@pytest.mark.parametrize("held", [60, None])
def test_its_quantity_ends_no_hold_of_which_a_part_was_removed(declared: Filing, held: int | None) -> None:
    stopped = event("6H", 1, held), event("6I", 2, 40)
    without = one(*stopped)
    assert without.status == words.DO_NOT_LOAD
    assert [one(*order).holds for order in permutations((*stopped, declared))] == [without.holds] * 6


def test_an_amendments_containers_may_not_be_all_of_the_bills() -> None:
    authorised = on_container("1W", 1, BOX)
    assert one(authorised, original(2)).now.authorises == ("PERMIT_TO_TRANSFER",)
    assert one(authorised, amendment(2)).now.authorises == ()


def test_it_only_fills_what_neither_events_nor_a_table_give() -> None:
    at_port: Disposition = event("19", 5, port_of_unlading="2704")
    for order in permutations((at_port, original(6, port_of_unlading="1303", master_bill="OCNXMB1"))):
        bill = one(*order)
        assert bill.bill is not None
        assert bill.bill.cargo.shipment.port_of_unlading == "2704"
        assert bill.bill.cargo.shipment.master_bill == "OCNXMB1"


def test_the_earliest_of_several_messages_stays() -> None:
    for order in permutations((original(1, voyage_number="026E"), amendment(2, voyage_number="900W"))):
        bill = one(*order)
        assert bill.bill is not None
        assert bill.bill.cargo.shipment.voyage_number == "026E"


# History


@pytest.mark.parametrize(
    ("filed", "complete"),
    [
        (original(BEFORE_LADING), True),
        (original(BEFORE_LADING + 1), False),
        (amendment(0), False),
        (filing(minute=BEFORE_LADING + 1), True),
    ],
    ids=["original", "original too late", "amendment", "table"],
)
def test_a_history_begins_with_an_original_received_before_the_first_lading(filed: Filing, complete: bool) -> None:
    for order in permutations((filed, event("1C", 20_000))):
        bill = one(*order)
        assert (words.HISTORY_INCOMPLETE not in bill.doubts) is complete
        assert (bill.status == words.RELEASED) is complete


def test_not_without_a_sailing_positively_found_or_its_date() -> None:
    assert one(original(0), event("1C", 5), lading=None).doubts == (words.HISTORY_INCOMPLETE,)
    elsewhere = {"voyage_number": "???", "imo_number": None}
    assert words.HISTORY_INCOMPLETE in one(original(0, **elsewhere), event("1C", 5)).doubts


def test_the_same_original_received_again_later_leaves_the_history_complete() -> None:
    bill = one(original(0), event("1C", 5))
    bill.enter(original(BEFORE_LADING + 60))
    assert bill.status == words.RELEASED


# On paper


def test_it_is_the_electronic_filing_of_a_paper_bill_in_any_order() -> None:
    paper = PaperBill(filing(minute=0, manifested_quantity=150), at(0), "CBPF1302", "J. Doe", received_at=at(0))
    for order in permutations((paper, original(5), event("1C", 9, 100))):
        assert one(*order).status == words.RELEASED


# Limits


def test_names_beyond_the_limit_are_refused_rather_than_push_out_a_box() -> None:
    many = tuple(f"CSQU{number:06d}" for number in range(MOST_NAMED))
    bill = one(on_container("6H", 0, BOX))
    with pytest.raises(InputError, match="more than 1,000 containers"):
        bill.enter(original(1, container_numbers=many))


def test_so_are_ever_new_contents() -> None:
    bill = one(*(amendment(minute, manifested_quantity=minute + 1) for minute in range(MOST_DECLARATIONS)))
    with pytest.raises(InputError, match="50 different ways"):
        bill.enter(amendment(99, manifested_quantity=1_000))
    assert bill.enter(amendment(99, manifested_quantity=1)).history is None or bill.status == words.ON_FILE
