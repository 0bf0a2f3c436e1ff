"""What is known of a bill: merged so that the order of arrival does not matter."""

from __future__ import annotations

from itertools import permutations

from router.decide.cargo_facts import Cargo, CargoFacts
from router.model.eastern import posted_minute
from router.model.inputs import Disposition, Filing, PaperBill
from router.model.limits import MOST_NAMED
from tests.checking.samples import BOX, OTHER_BOX, at, cargo, event, filing
from tests.decide.one_bill import OneBill


def known(*records: Disposition | Filing | PaperBill) -> Cargo:
    one = OneBill(*records)
    assert one.state is not None
    return one.state.facts.cargo()


def says(
    minute: int, port: str | None = None, received: int | None = None, code: str = "19", **more: object
) -> Disposition:
    when = at(minute if received is None else received)
    return event("19", minute, minute + 1, port_of_unlading=port, received_at=when, **more)


def test_of_what_events_said_the_one_posted_last_wins() -> None:
    for order in permutations([says(1, "1111"), says(2, "2222", received=2), says(3, received=9)]):
        assert known(*order).shipment.port_of_unlading == "2222"


def test_between_event_and_filing_the_one_received_last_wins() -> None:
    assert known(says(1, "1111"), filing(minute=5, port_of_unlading="2222")).shipment.port_of_unlading == "2222"
    assert (
        known(says(1, "1111", received=9), filing(minute=5, port_of_unlading="2222")).shipment.port_of_unlading
        == "1111"
    )


def test_of_two_filings_received_in_one_moment_the_same_one_counts_whichever_came_first() -> None:
    one, other = filing(minute=5, port_of_unlading="1111"), filing(minute=5, port_of_unlading=None)
    assert known(one, other) == known(other, one)
    paper, corrected = (PaperBill(filed, at(0), "CBPF1302", "J. Doe", received_at=at(5)) for filed in (one, other))
    assert known(paper, corrected) == known(corrected, paper)


def test_what_the_filing_leaves_open_events_fill() -> None:
    assert known(says(1, "1111"), filing(minute=5, port_of_unlading=None)).shipment.port_of_unlading == "1111"


def test_the_same_event_heard_again_after_the_filing_is_newer_than_it() -> None:
    event_, again = says(1, "1111", received=1, snps=("THRD",)), says(1, "1111", received=9, snps=("THRD",))
    filed = filing(minute=5, port_of_unlading="2222")
    for order in permutations([event_, again, filed]):
        merged = known(*order)
        assert merged.shipment.port_of_unlading == "1111"
        assert set(merged.snps) == {"OCNX", "SLTC", "THRD"}


def test_a_later_filing_replaces_the_earlier_one_whole_and_an_earlier_one_changes_nothing() -> None:
    early, late = filing(minute=1, port_of_unlading="1111"), filing(minute=2, port_of_unlading=None, snps=("THRD",))
    for order in ((early, late), (late, early)):
        assert known(*order).snps == ("THRD",)
        assert known(*order).shipment.port_of_unlading is None


def test_a_box_that_was_rolled_is_no_longer_the_bills() -> None:
    merged = known(says(1, container_numbers=(BOX,)), filing(minute=5, container_numbers=(OTHER_BOX,)))
    assert merged.shipment.container_numbers == (OTHER_BOX,)


def test_what_events_name_after_the_filing_comes_on_top() -> None:
    merged = known(filing(minute=1), says(5, snps=("THRD",), container_numbers=(OTHER_BOX,)))
    assert merged.snps == ("OCNX", "SLTC", "THRD")
    assert merged.shipment.container_numbers == (BOX, OTHER_BOX)


def test_a_filing_that_says_the_same_again_changes_nothing() -> None:
    one = OneBill(filing(minute=1))
    assert one.enter(filing(minute=2, source="again")).history is None


def test_who_needs_a_second_notify_party() -> None:
    assert cargo(bill_type="30").needs_snp("OCNX")
    assert cargo(carrier_scac="OCNX").needs_snp("NVXA")
    assert not cargo(carrier_scac="OCNX").needs_snp("OCNX")
    assert not cargo(bill_type="28", carrier_scac="SLTC").needs_snp("OCNX")


def test_events_can_not_make_a_bill_name_containers_without_end_and_the_latest_stay_in_any_order() -> None:
    named = [says(minute, container_numbers=(f"CSQU{minute:06d}",)) for minute in range(MOST_NAMED + 200)]
    kept = {one.shipment.container_numbers[0] for one in named[200:]}
    for order in (named, named[::-1]):
        facts = CargoFacts()
        for one in order:
            facts = facts.with_disposition(one, posted_minute(one.action_at))
        assert set(facts.cargo().shipment.container_numbers) == kept
