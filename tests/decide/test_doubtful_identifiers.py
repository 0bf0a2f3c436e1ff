"""Containers that can't be recognised, and bill numbers that begin with their own SCAC."""

from __future__ import annotations

from typing import Any

import pytest

from router import topics
from router.decide.waiting import CONTAINER_UNKNOWN
from tests.checking.harness import Harness
from tests.checking.samples import BOX, HOUSE, OTHER_BOX, PARTIES, START, event, filing, on_container, sailing
from tests.decide.one_bill import OneBill

UNKNOWN = "CSQU 54383"
OTHER_DIGIT = "CSQU3054384"
"""With a check digit that is not its own: it may be another container's number."""
FILED = filing(bill_type="30", container_numbers=(BOX, OTHER_BOX))
PREFIXED = "NVXANVXAHBL1"
PLAIN = "NVXAHBL1"


@pytest.fixture
def router() -> Harness:
    harness = Harness(now=START)
    harness.roster(*PARTIES, sailing())
    return harness


# Containers


def test_a_stop_on_a_container_given_twice_stops_that_container() -> None:
    one = OneBill(FILED, on_container("1H", 1, f"{BOX}{BOX}"))
    assert {box.number: box.stopped for box in one.now.containers} == {BOX: True, OTHER_BOX: False}


@pytest.mark.parametrize("container", [UNKNOWN, OTHER_DIGIT])
def test_a_stop_on_an_unknown_container_stops_each_of_the_bill_and_waits_until_it_ends(
    router: Harness, container: str
) -> None:
    router.decide(FILED, event("1C", 1), on_container("6H", 2, container))
    bill = router.bill(HOUSE)
    assert bill is not None
    assert all(box.stopped and box.do_not_load for box in bill.status.containers)
    waiting = router.latest(topics.WAITING)[HOUSE]
    assert (waiting["reasons"], waiting["do_not_load"]) == ((CONTAINER_UNKNOWN,), True)
    router.decide(on_container("6I", 3, container))
    assert HOUSE not in router.latest(topics.WAITING)


def test_it_waits_until_an_operator_has_cleared_it() -> None:
    one = OneBill(FILED, on_container("1H", 1, UNKNOWN))
    assert one.state is not None
    assert CONTAINER_UNKNOWN in one.state.waiting
    one.clear("1H")
    assert CONTAINER_UNKNOWN not in one.state.waiting


@pytest.mark.parametrize("container", [UNKNOWN, OTHER_DIGIT])
@pytest.mark.parametrize("code", ["1C", "4C", "1B", "1W", "1J", "1X"])
def test_a_release_or_authority_for_an_unknown_container_allows_nothing(code: str, container: str) -> None:
    one = OneBill(filing(bill_type="28"), on_container(code, 1, container, quantity=100))
    assert (one.now.deliverable, one.now.authorises) == (False, ())
    assert not any(box.released or box.authorises for box in one.now.containers)
    assert "INPUT_UNCERTAIN" in one.doubts


# Numbers that begin with their own SCAC


def held(code: str = "1H", minute: int = 2, **more: Any) -> Any:
    return event(code, minute, bill=PREFIXED, **more)


def test_a_stop_on_it_stops_the_bill_without_the_prefix_for_as_long(router: Harness) -> None:
    router.decide(filing(PLAIN), event("1C", 1, bill=PLAIN), filing(PREFIXED, container_numbers=()), held())
    assert router.status(PLAIN) == "HELD"
    (hold,) = router.notices("NVXA", PLAIN)[-1]["holds"]
    assert (hold["kind"], hold["meaning"], hold["because_of"]) == (
        "HOUSE",
        "the same number with its SCAC in front is held",
        PREFIXED,
    )
    router.decide(held("1I", 3))
    assert router.kinds("NVXA", PLAIN) == ["release", "hold", "release"]


def test_a_do_not_load_on_it_is_one_on_the_bill_without_the_prefix(router: Harness) -> None:
    router.decide(filing(PLAIN), event("19", 1, bill=PLAIN), held("6H"))
    assert router.status(PLAIN) == "DO_NOT_LOAD"


def test_the_bill_without_the_prefix_may_come_later_and_stops_nothing_itself(router: Harness) -> None:
    router.decide(held(), filing(PLAIN), event("1H", 3, bill=PLAIN))
    assert router.status(PLAIN) == "HELD"
    router.decide(held("1I", 4))
    assert router.status(PREFIXED) == "ON_FILE"
    assert [hold["kind"] for hold in router.notices("NVXA", PLAIN)[-1]["holds"]] == ["CBP"]


def test_its_number_is_shown_to_its_own_parties_only(router: Harness) -> None:
    router.decide(filing(PLAIN, snps=("THRD",)), event("1C", 1, bill=PLAIN), held(snps=("SLTC",)))
    shown = {party: router.notices(party, PLAIN)[-1]["holds"][0]["because_of"] for party in ("NVXA", "THRD")}
    assert shown == {"NVXA": PREFIXED, "THRD": None}
    assert router.notices("SLTC", PLAIN) == []


def test_it_is_flagged(router: Harness) -> None:
    router.decide(held(), event("1H", 2, bill=PLAIN))
    assert "IDENTIFIER_DOUBTFUL" in router.notices("NVXA", PREFIXED)[0]["flags"]
    assert "IDENTIFIER_DOUBTFUL" not in router.notices("NVXA", PLAIN)[0]["flags"]
