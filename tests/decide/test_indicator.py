"""X420, a yes/no condition of unknown meaning: an event with one frees nothing until a rule gives its meaning."""

from __future__ import annotations

from typing import Any

import pytest

from router.decide.rules import IndicatorMeaning, Rules
from router.model.inputs import Disposition
from tests.checking.samples import event, filing
from tests.decide.one_bill import OneBill

FILED = filing(bill_type="30")


def filled(code: str, minute: int, value: str = "Y", **more: Any) -> Disposition:
    return event(code, minute, indicator=value, **more)


def rules(meaning: IndicatorMeaning) -> Rules:
    return Rules(x420_meanings={"Y": meaning})


def test_without_a_rule_it_stops_but_does_not_free() -> None:
    assert OneBill(FILED, filled("1H", 1)).status == "HELD"
    assert OneBill(FILED, filled("1C", 1)).doubts == ("INPUT_UNCERTAIN",)
    assert OneBill(FILED, event("1H", 1), filled("1I", 2)).status == "HELD"
    assert OneBill(FILED, filled("1J", 1)).now.authorises == ()


def test_its_bill_and_its_facts_are_certain() -> None:
    one = OneBill(filled("1H", 1, snps=("THRD",), port_of_unlading="1303"))
    assert {"NVXA", "THRD"} <= one.notified.keys()
    assert one.bill is not None
    assert one.bill.cargo.shipment.port_of_unlading == "1303"


def test_the_same_event_without_it_ends_the_doubt() -> None:
    one = OneBill(FILED, filled("1C", 1), event("1C", 1))
    assert (one.status, one.doubts) == ("RELEASED", ())


def test_of_no_meaning_it_changes_nothing() -> None:
    assert OneBill(FILED, filled("1C", 1), rules=rules("none")).status == "RELEASED"


def test_a_value_that_no_rule_names_stays_unknown() -> None:
    assert OneBill(FILED, filled("1C", 1, "N"), rules=rules("none")).status == "RELEASE_UNCONFIRMED"


def test_a_hold_sent_again_is_not_a_new_hold() -> None:
    records = (FILED, event("1H", 1, quantity=40), filled("1H", 2, quantity=40))
    assert OneBill(*records, rules=rules("resent")).holds == {("1H", None): 40}
    assert OneBill(*records, rules=rules("none")).holds == {("1H", None): 80}


@pytest.mark.parametrize(("code", "status"), [("1C", "NOT_RELEASED"), ("1J", "NOT_RELEASED")])
def test_a_reversal_takes_back(code: str, status: str) -> None:
    assert OneBill(FILED, event(code, 1), filled(code, 2), rules=rules("reversal")).status == status


def test_an_event_is_judged_by_the_rules_under_which_it_came() -> None:
    one = OneBill(FILED, filled("1C", 1))
    one.rules = Rules(number=2, x420_meanings={"Y": "none"}, earlier=(one.rules,))
    one.enter(event("19", 2))
    assert one.status == "RELEASE_UNCONFIRMED"
    one.enter(filled("1C", 1))
    assert one.status == "RELEASED"
