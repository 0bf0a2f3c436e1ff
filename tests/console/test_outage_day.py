"""An outage day on the console: its deeds, each previewed and audited, and a form that keeps its errors."""

from __future__ import annotations

import re
from pathlib import Path

from router.clock import now_milliseconds
from router.desk.downtime import read_outages
from router.desk.paper_bills import read_paper_bills
from router.engine.administration import import_parties
from router.engine.intake import append_filings, event_outputs
from router.engine.worker import Worker
from router.feeds.formats import read_events
from router.feeds.tables import read_filings
from router.log.interface import AdministeredLog
from router.model.eastern import HOUR, iso
from router.model.inputs import Disposition
from router.model.registry_values import Party
from tests.cli.conftest import event_line
from tests.console.desk import Desk, desk
from tests.desk.installation import QUICK, RULES

CARGO = {"imo_number": "9074729", "voyage_number": "S26E", "container_numbers": "SLCU000001", "snps": "HARX"}
FILED = b"""scac,bill_of_lading,carrier_scac,imo_number,voyage_number,container_numbers
SLTC,E1,SLTC,9074729,S26E,SLCU000001
"""


async def route(log: AdministeredLog, *events: dict[str, object]) -> None:
    lines = "".join(event_line(**event) for event in events).encode()
    read = [one for one in read_events((lines,), "events.jsonl", 0) if isinstance(one, Disposition)]
    await log.append([output for one in read for output in event_outputs(one, RULES.codes.is_urgent)], atomic=True)
    await Worker(log, RULES, QUICK, until_idle=True).run()


async def declared(log: AdministeredLog, anna: Desk) -> str:
    """The address of an outage of SLTC, just declared."""
    await import_parties(log, [Party("SLTC"), Party("HARX")])
    await anna.shown("HARX", "/parties")
    await anna.do("/outages", {"reason": "cyberattack", "carrier": "SLTC", "until": "2h"})
    (view,) = await read_outages(log)
    await anna.shown("cyberattack", "/feeds")
    return f"/outages/{view.outage.id}"


async def test_the_ticket_and_the_return_are_added_later(tmp_path: Path) -> None:
    async with desk(tmp_path) as (log, anna):
        address = await declared(log, anna)
        now = now_milliseconds()
        (view,) = await read_outages(log)
        assert abs((view.outage.until or 0) - now - 2 * HOUR) < HOUR, "a span counts from the preview on"
        preview, page = await anna.do(f"{address}/change", {"reason": "cyberattack", "ticket": "4711", "until": "5h"})
        assert "Ticket: 4711." in preview
        assert "<dt>Ticket</dt><dd>4711</dd>" in page
        (view,) = await read_outages(log)
        assert (view.outage.ticket, (view.outage.until or 0) > now + 4 * HOUR) == ("4711", True)
        status, page = await anna.send(f"{address}/change", {"ticket": "4712", "until": "last week"})
        assert (status, 'value="4712"' in page, 'value="last week"' in page) == (422, True, True)
        status, page = await anna.send(f"{address}/change", {"reason": "cyberattack", "ticket": "4711"})
        assert (status, "has these values already" in page) == (422, True)
        status, page = await anna.send(f"{address}/end", {"at": "1h"})
        assert (status, "cannot end before it began" in page, 'value="1h"' in page) == (422, True, True)
        await anna.do(f"{address}/end", {})
        assert 'id="end-form"' not in await anna.get(address)
        await anna.shown("outage end", "/audit")


async def test_a_bill_on_paper_is_registered_and_matched(tmp_path: Path) -> None:
    async with desk(tmp_path) as (log, anna):
        address = await declared(log, anna)
        bill = {"bill": "SLTC PAPER1", "carrier_scac": "SLTC", "ticket": "4711", **CARGO}
        status, page = await anna.send(f"{address}/paper", bill)
        assert (status, "Delivered to CBP is empty" in page) == (422, True)
        assert 'value="SLTC PAPER1"' in page
        preview, _ = await anna.do(f"{address}/paper", bill | {"delivered_at": "3h"})
        assert "Register 1 bill on paper?" in preview
        await route(log)
        page = await anna.get(address)
        assert re.search("SLTCPAPER1.*20 h 5[89] min left.*SLCU000001.*on paper", page)
        held = {"scac": "SLTC", "bill_of_lading": "PAPER1", "disposition_code": "6H", "container_numbers": []}
        await route(log, held)
        assert "DO NOT LOAD" in await anna.get(address)
        await append_filings(log, read_filings((FILED,), "filed.csv", 0))
        await route(log)
        await anna.shown("SLTCE1", "/bills")
        page = await anna.get(f"{address}?propose=yes")
        assert "SLTCPAPER1 SLTCE1</textarea>" in page
        await anna.shown("HARX", "/bills/SLTCPAPER1")
        preview, _ = await anna.do(f"{address}/match", {"pairs": "SLTCPAPER1 SLTCE1\nSLTCPAPER1 SLTCNOSUCH\n"})
        assert "Match 1 paper bill?" in preview
        assert "paper bill SLTCPAPER1" in preview
        assert "once, marked REISSUE: HARX, SLTC." in preview
        assert "bill NOSUCH of SLTC is unknown" in preview
        await route(log)
        assert "filed as <a" in await anna.get(address)
        audit = await anna.shown("paper match", "/audit")
        assert "<td>paper add</td>" in audit
        status, page = await anna.send(f"{address}/match", {"pairs": "SLTCPAPER1"})
        assert (status, "is not a pair" in page, "SLTCPAPER1</textarea>" in page) == (422, True, True)


async def test_a_whole_table_is_registered_but_its_rows_with_a_problem(tmp_path: Path) -> None:
    async with desk(tmp_path) as (log, anna):
        address = await declared(log, anna)
        table = "scac,bill_of_lading,delivered_at\nSLTC,P1,2026-07-01T10:00\nSLTC,P2,yesterday\n"
        status, page = await anna.send(f"{address}/paper", {"table": table})
        assert (status, "delivered_at" in page, "SLTC,P1,2026" in page) == (422, True, True)
        recent = table.replace("2026-07-01T10:00", iso(now_milliseconds() - 5 * HOUR))
        preview, _ = await anna.do(f"{address}/paper", {"table": recent})
        assert "Register 1 bill on paper?" in preview
        assert "Left out: " in preview
        await route(log)
        assert [one.bill for one in await read_paper_bills(log, RULES)] == ["SLTCP1"]
        status, page = await anna.send(f"{address}/paper", {"table": recent, "bill": "SLTCP2"})
        assert (status, "name one bill, or paste a table" in page) == (422, True)
