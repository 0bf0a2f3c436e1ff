"""Events read from damaged input: they stop as any other, and free nothing until their message is read whole, or an
operator accepts or confirms it."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from router import topics
from router.decide.audience import Disclosure
from router.decide.codes import Effect, load_codes
from router.decide.identity import BillRecord
from router.decide.rules import Rules
from router.decide.waiting import BILL_UNCERTAIN
from router.desk.confirmations import BillFilter
from router.model.inputs import LIFT, PLACE, Disposition
from router.model.vocabulary import Uncertainty
from tests.checking.harness import Harness
from tests.checking.samples import BOX, HOUSE, PARTIES, START, dead_letter, event, filing, on_container, sailing
from tests.decide.one_bill import OneBill
from tests.decide.test_manual_events import said

FILED = filing(bill_type="30")
CODES = load_codes()


def damaged(code: str, minute: int, by: Uncertainty = "MESSAGE", **more: Any) -> Disposition:
    return event(code, minute, **more)._replace(uncertain=by)


def whole(one: Disposition) -> Disposition:
    return one._replace(uncertain=None)


# Stops count, what frees waits


@pytest.mark.parametrize("by", ["MESSAGE", "BILL"])
def test_a_stop_counts_as_itself(by: Uncertainty) -> None:
    assert OneBill(FILED, event("1C", 1), damaged("6H", 2, by)).status == "DO_NOT_LOAD"
    assert OneBill(FILED, event("1C", 1), damaged("1H", 2, by)).holds == {("1H", None): 100}
    assert OneBill(FILED, event("1C", 1), damaged("4A", 2, by)).status == "NOT_RELEASED"
    assert OneBill(FILED, event("1C", 1), damaged("54", 2, by)).status == "DELETED"
    assert OneBill(FILED, event("1C", 1), damaged("1C", 2, by, reversal=True)).status == "NOT_RELEASED"


def test_a_release_is_shown_unconfirmed_and_allows_nothing() -> None:
    one = OneBill(FILED, damaged("1C", 1))
    assert (one.status, one.doubts, one.now.deliverable) == ("RELEASE_UNCONFIRMED", ("INPUT_UNCERTAIN",), False)
    assert not any(box.released for box in one.now.containers)
    assert one.notified["NVXA"] == "change"


def test_an_authority_authorises_nothing() -> None:
    for code in ("1J", "1W", "1X", "1Z"):
        one = OneBill(filing(bill_type="28"), damaged(code, 1))
        assert (one.status, one.doubts, one.now.authorises) == ("ON_FILE", ("INPUT_UNCERTAIN",), ())


def test_a_removal_is_put_aside_and_shown_while_its_hold_stands() -> None:
    one = OneBill(FILED, event("1C", 1), event("1H", 2), damaged("1I", 3))
    assert (one.status, one.doubts) == ("HELD", ("RELEASE_PREDATES_HOLD", "INPUT_UNCERTAIN"))
    one.enter(event("1I", 4), event("1C", 5))
    assert (one.status, one.doubts) == ("RELEASED", ())


def test_a_release_ends_no_exam() -> None:
    assert OneBill(FILED, event("1A", 1), damaged("1B", 2)).status == "HELD"


def test_a_revocation_ends_no_exam() -> None:
    assert OneBill(FILED, event("1A", 1), damaged("14", 2)).status == "HELD"
    assert OneBill(FILED, event("1A", 1), event("14", 2)).status == "ON_FILE"


def test_a_release_does_not_hide_the_exam_by_which_an_override_holds() -> None:
    assert OneBill(FILED, event("1A", 1), event("1B", 2), damaged("1C", 3), event("4A", 4)).status == "HELD"


def test_a_release_replaces_no_interrupted_one() -> None:
    one = OneBill(FILED, event("1C", 1, quantity=60), event("1H", 2), event("1I", 3), damaged("1C", 4, quantity=40))
    assert one.now.released_quantity == 60
    assert one.enter(event("1C", 5))
    assert one.status == "RELEASED"


def test_a_quantity_is_put_aside() -> None:
    one = OneBill(FILED, event("1C", 1, quantity=60), damaged("56", 2, quantity=60))
    assert (one.status, one.now.manifested_quantity) == ("PARTIALLY_RELEASED", 100)
    assert "INPUT_UNCERTAIN" in one.doubts


def test_a_beginning_of_history_is_put_aside() -> None:
    one = OneBill(damaged("55", 1), event("1C", 2))
    assert (one.status, one.doubts) == (
        "RELEASE_UNCONFIRMED",
        ("QUANTITY_UNKNOWN", "HISTORY_INCOMPLETE", "INPUT_UNCERTAIN"),
    )
    one.enter(event("55", 1))
    assert (one.status, one.doubts) == ("RELEASED", ())


def test_an_arrival_is_put_aside() -> None:
    arrived = damaged("11", 2, transaction_port="1303")
    one = OneBill(FILED, event("1C", 1, transaction_port="1303"), arrived)
    assert (one.status, one.doubts) == ("RELEASE_UNCONFIRMED", ("PORT_DIFFERS", "INPUT_UNCERTAIN"))
    one.enter(whole(arrived))
    assert (one.status, one.now.deliverable_at) == ("RELEASED", "1303")


def test_an_arrival_moved_by_damaged_input_has_no_place() -> None:
    one = OneBill(FILED, event("11", 1, transaction_port="1303"), event("1C", 2, transaction_port="1303"))
    assert one.status == "RELEASED"
    one.enter(damaged("57", 3, transaction_port="1401"))
    assert (one.status, one.doubts) == ("RELEASE_UNCONFIRMED", ("PORT_DIFFERS",))


def test_what_shows_the_cargo_in_the_us_is_put_aside() -> None:
    assert OneBill(FILED, event("6H", 1), damaged("11", 2, transaction_port="2704")).status == "DO_NOT_LOAD"


def test_a_manual_release_is_not_replaced_by_a_damaged_one() -> None:
    by_phone = said("RELEASE", 2, code="1C")
    assert OneBill(FILED, by_phone).status == "RELEASED"
    assert OneBill(FILED, by_phone, damaged("1C", 3)).status == "RELEASED"


def test_a_removal_is_no_contradiction_of_a_manual_hold() -> None:
    one = OneBill(FILED, said(PLACE, 1, code="1H"), damaged("1I", 2))
    assert "CONTRADICTION" not in one.bill.confirmable_doubts()  # type: ignore[union-attr]
    one.enter(said(LIFT, 3, code="1H"))
    assert one.status == "ON_FILE"


def test_no_code_allows_more_from_damaged_input_than_without_it() -> None:
    """On bills that are held, examined, deleted, closed, released elsewhere or twice."""
    before: list[list[BillRecord]] = [
        [FILED],
        [event("69", 0)],
        [FILED, event("1H", 1), event("1A", 2)],
        [FILED, event("6H", 1)],
        [FILED, event("54", 1)],
        [FILED, event("1C", 1), event("50", 2)],
        [FILED, event("1C", 1, transaction_port="1303")],
        [FILED, event("1C", 1), event("1H", 2), event("1I", 3)],
        [FILED, event("1A", 1), event("1B", 2), event("4A", 3)],
        [FILED, *(event(code.code, 1) for code in CODES.codes.values() if code.effect is Effect.BLOCK)],
    ]
    for records in before:
        known = OneBill(*records)
        for code in CODES.codes:
            for reversal in (False, True):
                for more in ({}, {"container_numbers": (BOX,), "container_level": True}):
                    one = OneBill(*records)
                    one.enter(damaged(code, 9, transaction_port="1303", reversal=reversal, **more))
                    shown = one.now._replace(doubts=(), release_posted=None, released_quantity=0)
                    was = known.now._replace(doubts=(), release_posted=None, released_quantity=0)
                    if shown.status == "RELEASE_UNCONFIRMED":
                        shown = shown._replace(status=was.status)
                    assert not shown.allows_more_than(was), (records, code, reversal, more)


# The same event read whole


@pytest.mark.parametrize(
    "records",
    [
        (damaged("1C", 1), event("1C", 1)),
        (event("1H", 1), damaged("1I", 2), event("1I", 2), event("1C", 3)),
        (damaged("1C", 1, "BILL"), damaged("1C", 1), event("1C", 1)),
        (damaged("1J", 1), damaged("1H", 2), event("1I", 3), event("1J", 1)),
        (damaged("1C", 1)._replace(action_second=50), event("1C", 1)._replace(action_second=10), event("1H", 0)),
    ],
)
def test_it_ends_the_doubt_whichever_copy_comes_first(records: tuple[Disposition, ...]) -> None:
    ends = {(one.status, one.doubts) for one in (OneBill(FILED, *order) for order in permutations(records))}
    assert len(ends) == 1
    assert "INPUT_UNCERTAIN" not in ends.pop()[1]


def test_the_notice_of_the_whole_copy_is_about_the_event() -> None:
    one = OneBill(FILED, damaged("1C", 1))
    told = one.last.notices[0].fields["event_id"]
    one.enter(event("1C", 1, snps=("THRD",)))
    assert one.notified["NVXA"] == "release"
    assert one.notified["THRD"] == "release"
    fields = one.last.notices[0].fields
    assert (fields["event_id"], fields["disposition_code"], fields["cause"]) == (told, "1C", "DISPOSITION")


def test_a_whole_copy_that_changes_nothing_is_not_told_again() -> None:
    assert OneBill(FILED, damaged("1H", 1), event("1H", 1)).notified == {}


def test_a_damaged_copy_of_a_whole_event_changes_nothing() -> None:
    one = OneBill(FILED, event("1H", 1))
    state = one.state
    one.enter(damaged("1H", 1, snps=("THRD",), port_of_unlading="1303")._replace(action_second=40))
    assert one.last.history is None
    assert one.state is state


def test_a_hold_that_an_operator_cleared_stays_cleared_when_it_comes_whole() -> None:
    one = OneBill(FILED, damaged("1H", 1))
    one.clear("1H")
    one.enter(event("1H", 1))
    assert one.holds == {}


def test_confirming_ends_the_doubt() -> None:
    one = OneBill(FILED, event("1H", 1), damaged("1I", 2), damaged("1C", 3))
    one.confirm()
    assert (one.status, one.doubts) == ("RELEASED", ())


def test_confirming_in_bulk_finds_held_bills_too() -> None:
    wanted = BillFilter("INPUT_UNCERTAIN")
    for records in ((event("1H", 1), damaged("1I", 2)), (damaged("1C", 2),)):
        one = OneBill(FILED, *records)
        assert one.bill is not None
        assert wanted.matches(one.bill)


def test_beyond_the_bound_what_was_put_aside_is_folded_into_nothing() -> None:
    one = OneBill(FILED, damaged("1C", 1), damaged("1H", 2), rules=Rules(fold_after_events=8))
    one.enter(*(event("19", minute) for minute in range(3, 20)))
    assert one.status == "HELD"
    assert one.now.released_quantity == 0


# Facts and recipients


def test_a_damaged_message_completes_the_shipment_and_overrides_nothing() -> None:
    one = OneBill(FILED, event("1C", 1, transaction_port="1303"))
    one.enter(damaged("1H", 2, port_of_unlading="1303", manifest_sequence_number="000009", snps=("THRD",)))
    assert one.bill is not None
    assert one.bill.cargo.shipment.port_of_unlading == "2704"
    assert one.bill.cargo.shipment.manifest_sequence_number == "000009"
    assert one.notified["THRD"] == "hold"


def test_an_event_that_may_be_another_bills_is_told_to_nobody_new_and_shows_nothing_of_that_bill() -> None:
    one = OneBill(FILED)
    stray = damaged("1H", 2, "BILL", remarks="SECRET", entry_number="ABC12345676", snps=("THRD",), carrier_scac="THRD")
    one.enter(stray)
    assert set(one.notified) == {"NVXA", "OCNX", "SLTC"}
    for notice in one.last.notices:
        assert notice.recipient.disclosure <= Disclosure.AGREEMENT
        assert (notice.fields["remarks"], notice.fields["entry_number"]) == (None, None)
        assert "IDENTIFIER_DOUBTFUL" in notice.fields["flags"]


def test_a_status_now_is_never_about_such_an_event() -> None:
    stray = damaged("1H", 5, "BILL", entry_number="ABC12345676", container_numbers=(BOX,), container_level=True)
    one = OneBill(FILED, event("1C", 1), stray, filing(snps=("THRD",), minute=9))
    (notice,) = (notice for notice in one.last.notices if notice.recipient.id == "THRD")
    assert (notice.fields["disposition_code"], notice.fields["entry_number"]) == ("1C", None)


@pytest.fixture
def router() -> Harness:
    harness = Harness(now=START)
    harness.roster(*PARTIES, sailing())
    return harness


STRAY = damaged("6H", 1, "BILL", snps=("SLTC",))


def test_a_bill_that_only_damaged_input_names_is_held_listed_and_told_to_nobody(router: Harness) -> None:
    router.decide(STRAY)
    assert router.status(HOUSE) == "DO_NOT_LOAD"
    assert router.party_records() == []
    waiting = router.latest(topics.WAITING)[HOUSE]
    assert (waiting["reasons"], waiting["do_not_load"]) == ((BILL_UNCERTAIN,), True)


def test_an_unreadable_event_is_told_to_the_filer_of_a_bill_that_nothing_else_names(router: Harness) -> None:
    router.decide(dead_letter(code="6H"))
    (notice,) = router.notices("NVXA")
    assert (notice["kind"], notice["status"]) == ("hold", "DO_NOT_LOAD")


def test_an_unreadable_event_of_a_repaired_number_is_told_to_nobody_new(router: Harness) -> None:
    router.decide(dead_letter(code="6H")._replace(bill_in_doubt=True))
    assert router.status(HOUSE) == "DO_NOT_LOAD"
    assert router.party_records() == []


@pytest.mark.parametrize("naming", [event("19", 2), filing(), said(PLACE, 2, code="1H"), event("6H", 1)])
def test_once_something_certain_names_it_everyone_gets_the_status_now(router: Harness, naming: Any) -> None:
    router.decide(STRAY, naming)
    (notice,) = router.notices("NVXA")
    assert (notice["kind"], notice["status"]) == ("hold", "DO_NOT_LOAD")
    assert notice["covers"]
    assert BILL_UNCERTAIN not in router.latest(topics.WAITING).get(HOUSE, {"reasons": ()})["reasons"]


@pytest.mark.parametrize("scac", [";VXA", "N1XA", "N"])
def test_of_an_event_whose_issuer_is_no_scac_not_even_the_bill_is_certain(router: Harness, scac: str) -> None:
    router.decide(event("1H", 1, snps=("SLTC",))._replace(scac=scac))
    assert router.party_records() == []
    (waiting,) = router.latest(topics.WAITING).values()
    assert waiting["reasons"] == (BILL_UNCERTAIN,)


def test_an_operator_may_confirm_that_the_bill_is_meant(router: Harness) -> None:
    one = OneBill(damaged("6H", 1, "BILL"))
    assert one.notified == {}
    one.confirm()
    assert one.notified["NVXA"] == "hold"


def test_an_operator_may_end_what_is_no_bill() -> None:
    one = OneBill(damaged("6H", 1, "BILL"))
    assert one.state is not None
    assert one.state.waiting
    one.clear("6H")
    assert one.state.waiting == ()
    assert one.notified == {}


def test_a_bill_that_nothing_certain_names_is_shown_to_nobody_as_the_reason_of_a_stopped_box(router: Harness) -> None:
    router.decide(filing(), on_container("1H", 1, bill="NVXBHBL000067890")._replace(uncertain="BILL"))
    (hold,) = router.notices("NVXA")[-1]["holds"]
    assert (hold["kind"], hold["because_of"]) == ("BOX", None)
