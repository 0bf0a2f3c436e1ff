"""Paper bills: their state, the clock after delivery, and the match with electronic bills."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.clock import now_milliseconds
from router.decide.cargo_facts import CargoFacts
from router.decide.rules import Rules
from router.desk.paper_bills import PaperView, lading_clock, match, propose_matches, read_paper_bills
from router.engine.administration import prepare
from router.engine.intake import append_filings
from router.engine.worker import Worker, WorkSettings
from router.errors import UsageError
from router.log.interface import Log
from router.log.url import open_log
from router.model.eastern import DAY, MINUTE
from router.model.inputs import Filing, PaperBill, Shipment

RULES = Rules()
SHIP: dict[str, Any] = {"carrier_scac": "SLTC", "imo_number": "9074729", "voyage_number": "S26E"}


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await prepare(opened, 2)
        yield opened


def filing(number: str, container: str | None, quantity: int) -> Filing:
    containers = (container,) if container else ()
    shipment = Shipment(container_numbers=containers, **SHIP)
    return Filing("SLTC", number, shipment=shipment, manifested_quantity=quantity)


async def route(log: Log, *filings: Filing | PaperBill) -> None:
    await append_filings(log, filings)
    await Worker(log, RULES, WorkSettings(idle_seconds=0.05), until_idle=True).run()


async def test_matches_are_proposed_and_the_first_match_counts(log: Log) -> None:
    now = now_milliseconds()
    papers = [filing("P1", "CSQU3054383", 10), filing("P2", None, 20)]
    await route(log, *(PaperBill(one, now, "CBPF1302", "J. Doe", received_at=now) for one in papers))
    await route(log, filing("E1", "CSQU3054383", 11), filing("E2", None, 20), filing("E3", None, 21))
    proposals = {one.paper: (one.electronic, one.agrees, one.differs) for one in await propose_matches(log, RULES)}
    assert proposals == {
        "SLTCP1": ("SLTCE1", ("issuer", "carrier", "sailing", "containers"), ("quantity",)),
        "SLTCP2": ("SLTCE2", ("issuer", "carrier", "sailing", "quantity"), ()),
    }
    with pytest.raises(UsageError, match="SLTCE1 was never on paper: see `snp-router paper list`"):
        await match(log, RULES, "SLTCE1", "SLTCE2", "J. Doe", now)
    with pytest.raises(UsageError, match="SLTCP1 needs no match with itself: a filing under its own number is reco"):
        await match(log, RULES, "SLTCP1", "SLTCP1", "J. Doe", now)
    await match(log, RULES, "SLTCP1", "SLTCE1", "J. Doe", now)
    await route(log, filing("P2", None, 20))
    states = {view.bill: (view.state, view.filed_as) for view in await read_paper_bills(log, RULES)}
    assert states == {"SLTCP1": ("FILED_AS", "SLTCE1"), "SLTCP2": ("FILED", None)}
    with pytest.raises(UsageError, match="SLTCP1 is matched already, with SLTCE1: the first match counts"):
        await match(log, RULES, "SLTCP1", "SLTCE2", "J. Doe", now)
    assert await propose_matches(log, RULES) == []


async def test_every_bill_that_may_be_the_filing_is_proposed(log: Log) -> None:
    now = now_milliseconds()
    paper = PaperBill(filing("P1", "CSQU3054383", 10), now, "CBPF1302", "J. Doe", received_at=now)
    await route(log, paper, *(filing(f"E{number}", "CSQU3054383", 10) for number in range(9)))
    assert [one.electronic for one in await propose_matches(log, RULES)] == [f"SLTCE{number}" for number in range(9)]


@pytest.mark.parametrize(
    ("minutes", "do_not_load", "text"),
    [(30, False, "23 h 30 min left"), (24 * 60 + 61, False, "24 h over, 1 h ago"), (30, True, "DO NOT LOAD")],
)
def test_the_clock_after_delivery_yields_to_a_do_not_load(minutes: int, do_not_load: bool, text: str) -> None:
    cargo = CargoFacts().cargo()
    view = PaperView("SLTCP1", "ON_PAPER", None, DAY, "CBPF1302", None, "ON_FILE", do_not_load, cargo, None)
    assert lading_clock(view, DAY + minutes * MINUTE) == text
