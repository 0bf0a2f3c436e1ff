"""Bills whose filing and CBP differ in quantity, as `snp-router check` lists them."""

from __future__ import annotations

from dataclasses import replace

from router.decide.rules import Rules
from router.desk.checked_bills import (
    MOST_NAMED,
    CheckedBills,
    DifferingQuantity,
    IndicatorUse,
    differing_quantity,
    read_bills,
)
from router.desk.unconfirmed_releases import NO_UNCONFIRMED
from router.engine.administration import read_registry
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.log.interface import Log
from tests.checking.samples import HOUSE, event, filing
from tests.decide.one_bill import OneBill
from tests.desk.installation import QUICK, RULES


def of(bill: OneBill) -> DifferingQuantity | None:
    assert bill.state is not None
    return differing_quantity(bill.state)


def test_the_latest_of_cbps_quantities_beside_the_filings() -> None:
    bill = OneBill(filing(), event("55", 1, 100))
    assert of(bill) is None
    bill.enter(event("56", 3, 90), event("1C", 4, 80), event("56", 2, 70))
    assert of(bill) == DifferingQuantity(HOUSE, 100, 90)
    bill.enter(filing(minute=9, manifested_quantity=90))
    assert of(bill) is None


def test_without_a_filing_or_cbps_quantity_there_is_nothing_to_compare() -> None:
    assert of(OneBill(event("55", 1, 100))) is None
    assert of(OneBill(filing(), event("1C", 1, 90))) is None
    assert of(OneBill(filing(), event("56", 1, 90, uncertain="MESSAGE"))) is None


def test_a_quantity_in_the_sums_is_cbps() -> None:
    news = [event("1M", minute, remarks=str(minute)) for minute in range(2, 30)]
    assert of(OneBill(filing(), event("56", 1, 90), *news, rules=replace(Rules(), fold_after_events=8))) == (
        HOUSE,
        100,
        90,
    )


def test_the_notes_name_some_and_count_the_others() -> None:
    many = tuple(DifferingQuantity(f"NVXAH{number:03}", 100, 90) for number in range(MOST_NAMED + 3))
    notes = CheckedBills(NO_UNCONFIRMED, many).quantity_notes()
    assert notes[0].startswith("bill NVXAH000: its filing declares 100 pieces, CBP's latest 55, 56 or 69 says 90")
    assert notes[-1] == "and 3 more bills of which CBP has another quantity"


async def test_the_uses_of_x420_are_counted_with_the_rule_to_set(log: Log) -> None:
    filled = [event("1C", 1, indicator="Y"), event("1C", 2, indicator="Y"), event("1H", 3, indicator="N")]
    for one in (*filled, event("1C", 4)):
        await log.append(event_outputs(one, RULES.codes.is_urgent))
    await Worker(log, RULES, QUICK, until_idle=True).run()
    bills = await read_bills(log, await read_registry(log))
    assert bills.indicators == (IndicatorUse("N", "1H", 1), IndicatorUse("Y", "1C", 2))
    unknown, known = bills.indicator_notes(replace(RULES, x420_meanings={"Y": "resent"}))
    assert "X420 = N on 1 events of code 1H" in unknown
    assert 'rules.x420_meanings = {"N" = "none"}' in unknown
    assert known.endswith("takes it as resent")
