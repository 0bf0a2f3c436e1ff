"""Every list of the console has its count, all its pages and all its rows as CSV: nothing is cut without a word."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio

from router import topics
from router.engine.administration import AuditEntry, audit_output, import_parties, import_sailings
from router.log.interface import AdministeredLog, Output
from router.model.inputs import DeadLetter
from router.model.registry_values import Line, Outage, Party, PortCall, Sailing
from router.task.outputs import letter_output, registry_output
from tests.console.desk import Desk, desk
from tests.desk.installation import route
from tests.desk.test_bill_query import NOW
from tests.desk.test_notice_lists import timeline

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 230
"""More rows than two pages."""


class Listed(NamedTuple):
    """A list of the console, and the truth about it."""

    path: str
    column: str
    """The column of its export that names a row."""
    names: set[str]
    row: str
    """Pattern of a row on its page, with the name as a group."""


def scac(first: str, number: int) -> str:
    return f"{first}{chr(65 + number // 26)}{chr(65 + number % 26)}X"


def parties() -> list[Party]:
    return [Party(scac("P", number), f"Party {number}", webhook_url="https://p.test/") for number in range(MANY)]


def sailings() -> list[Sailing]:
    made = []
    for number in range(MANY):
        calls = (PortCall("2704", f"2099-{number % 12 + 1:02}-{number % 27 + 1:02}"),)
        made.append(Sailing(f"SAIL{number}", f"{9000000 + number}", f"VESSEL {number}", calls, ()))
    lines = tuple(Line(scac("L", number), "charterer", None, "own") for number in range(MANY))
    return [made[0]._replace(lines=lines), *made[1:]]


async def fill(log: AdministeredLog) -> None:
    await import_parties(log, parties())
    await import_sailings(log, sailings())
    letters = [
        letter_output(DeadLetter(f"{number:032x}", "unreadable", "file", "x12", b"?", 1, received_at=number + 1))
        for number in range(MANY)
    ]
    deeds = [audit_output(AuditEntry(number, f"user{number}", "hold clear", "NVXAHBL1")) for number in range(MANY)]
    decisions = [
        Output(topics.TIMELINE, one.key, one.value)
        for one in (
            *(timeline(number, (f"NVXAHBL{number}", 0, [("PAAX", "hold")], False)) for number in range(MANY)),
            *(timeline(number, ("NVXALONG", number, [], False)) for number in range(MANY)),
        )
    ]
    outages = [
        registry_output(Outage(f"o{number}", "DECLARED", NOW - number, reason=f"reason {number}", ended_at=NOW))
        for number in range(MANY)
    ]
    await import_parties(log, [Party("NVXA", webhook_url="https://nvxa.test/")])
    await log.append([*letters, *deeds, *decisions, *outages])


def stops() -> str:
    """Do-not-loads on many bills of a party that reads none of them, and of one that is not registered."""
    fields = {"disposition_code": "6H", "action_at": "2026-07-30T12:00:00Z", "quantity": 1}
    return "".join(
        json.dumps({"scac": bill[:4], "bill_of_lading": bill[4:], **fields}) + "\n"
        for bill in sorted(UNREAD_BILLS | WAITING_BILLS)
    )


NOTIFIED_BILLS = {f"NVXAHBL{number}" for number in range(MANY)}
UNREAD_BILLS = {f"NVXASTOP{number}" for number in range(MANY)}
WAITING_BILLS = {f"ZZZASTOP{number}" for number in range(MANY)}
BILL_OF_A_ROW = r'row"><a class="bill" href="/bills/(\w+)">'

LISTS = (
    Listed("/parties", "party", {"NVXA", *(one.id for one in parties())}, r'row"><a href="/parties/(\w+)">'),
    Listed("/sailings", "sailing", {one.sailing_id for one in sailings()}, r'row"><a href="/sailings/(\w+)">'),
    Listed(
        "/sailings/SAIL0/lines", "scac", {one.scac for one in sailings()[0].lines}, r'row"><a href="/parties/(\w+)">'
    ),
    Listed("/notices", "bill", NOTIFIED_BILLS | UNREAD_BILLS, r'<tr id="n-(\w+)-'),
    Listed("/outages", "id", {f"o{number}" for number in range(MANY)}, r'<a href="/outages/(o\d+)">'),
    Listed("/new-do-not-loads?since=0", "bill", UNREAD_BILLS | WAITING_BILLS, BILL_OF_A_ROW),
    Listed("/unread?party=NVXA&kind=do-not-load", "bill", UNREAD_BILLS, BILL_OF_A_ROW),
    Listed("/bills?do_not_load=yes&sort=bill", "bill", UNREAD_BILLS | WAITING_BILLS, BILL_OF_A_ROW),
    Listed("/waiting?text=ZZZA", "bill_of_lading", {f"STOP{n}" for n in range(MANY)}, r'href="/bills/ZZZA(\w+)"'),
    Listed("/notices?party=PAAX&kind=hold", "bill", NOTIFIED_BILLS, r'<tr id="n-(NVXAHBL\d+)-'),
    Listed("/bills/NVXALONG/history", "remarks", {f"remark {n}" for n in range(MANY)}, r"1H: (remark \d+)<"),
    Listed("/dead-letters", "id", {f"{number:032x}" for number in range(MANY)}, r'href="/dead-letters/(\w+)">'),
    Listed("/audit?text=user", "by", {f"user{number}" for number in range(MANY)}, r"<td>(user\d+)</td>"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def many(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("many")
    (folder / "stops.jsonl").write_text(stops())
    async with desk(folder) as (log, anna):
        await fill(log)
        await route(log, folder / "stops.jsonl")
        await anna.shown(f"of {MANY} sailings", "/sailings")
        await anna.shown(f"of {MANY + 1} parties", "/parties")
        await anna.shown(f"of {MANY} deeds", "/audit?text=user")
        await anna.shown(f"of {2 * MANY} decisions", "/notices")
        await anna.shown(f"of {MANY} unread", "/unread?party=NVXA")
        await anna.shown(f"of {MANY} waiting", "/waiting?text=ZZZA")
        yield anna


def linked(page: str, name: str) -> str | None:
    """The address of the pager's link of that name."""
    found = re.search(rf'<a href="([^"]*)"[^>]*>{name}</a>', page)
    return html.unescape(found[1]) if found else None


async def walk(desk: Desk, path: str, row: str, direction: str) -> list[str]:
    """The names on a page and all those after it, or before it."""
    names: list[str] = []
    step: str | None = path
    while step is not None:
        page = await desk.get(step)
        shown = re.findall(row, page)
        counted = re.search(r"<caption>([\d,]+) to ([\d,]+) of ([\d,]+)", page)
        if counted:
            first, last, _ = (int(number.replace(",", "")) for number in counted.groups())
            assert len(shown) == last - first + 1
        names = [*names, *shown] if direction == "Next" else [*shown, *names]
        step = linked(page, direction)
    return names


@pytest.mark.parametrize("listed", LISTS, ids=lambda one: one.path)
async def test_the_pages_of_a_list_and_its_export_are_all_its_rows(many: Desk, listed: Listed) -> None:
    names = await walk(many, listed.path, listed.row, "Next")
    assert len(names) == len(listed.names)
    assert set(names) == listed.names
    page = await many.get(listed.path)
    address = re.search(r'href="([^"]*\.csv[^"]*)" download', page)
    assert address is not None
    rows = list(csv.DictReader(io.StringIO(await many.get(html.unescape(address[1])))))
    assert sorted(row[listed.column] for row in rows) == sorted(listed.names)
    assert [row[listed.column] for row in rows] == names or listed.column == "name"


async def test_a_page_in_the_middle_leads_back_to_the_first(many: Desk) -> None:
    second = linked(await many.get("/parties?sort=name&order=desc"), "Next")
    assert second is not None
    assert "sort=name&order=desc" in second, "the order stays"
    page = await many.get(second)
    assert f"101 to 200 of {MANY + 1} parties" in page
    assert linked(page, "First") == "/parties?sort=name&order=desc"
    previous = linked(page, "Previous")
    assert previous is not None
    assert f"1 to 100 of {MANY + 1} parties" in await many.get(previous)


async def test_a_list_is_filtered_before_it_is_paged(many: Desk) -> None:
    page = await many.get("/parties?text=Party+229")
    assert "<caption>1 parties</caption>" in page
    assert "PIVX" in page
    assert "<caption>1 sailings</caption>" in await many.get("/sailings?text=vessel+229")


async def test_an_address_that_selects_nothing_says_why(many: Desk) -> None:
    assert "status &#39;dead&#39; is none of" in await many.get("/parties?status=dead")
    assert "names no place in this list" in await many.get("/sailings?after=x")


async def test_an_old_notice_is_found_by_its_filter_on_the_first_page(many: Desk) -> None:
    page = await many.get("/?party=PAAX")
    assert f'The latest 50 of <a href="/notices?party=PAAX">{MANY} decisions with notices</a> that fit' in page
    older = linked(page, "Older")
    assert older is not None
    assert f"51 to 150 of {MANY} decisions" in await many.get(older)
    assert "0 decisions with notices</a> that fit." in await many.get("/?party=PAAX&kind=release")


async def test_each_group_of_a_search_leads_to_all_it_found(many: Desk) -> None:
    page = await many.get("/search?q=NVXASTOP")
    found = re.search(rf'The first 10 of <a href="([^"]*)">all {MANY}</a>; <a href="([^"]*)" download>as CSV', page)
    assert found is not None
    assert f"Bills 1 to 100 of {MANY}" in await many.get(html.unescape(found[1]))
    rows = csv.DictReader(io.StringIO(await many.get(html.unescape(found[2]))))
    assert {row["bill"] for row in rows} == UNREAD_BILLS
    assert f"{MANY} found" in await many.get("/search?q=VESSEL+"), "vessels of sailings are not cut"
