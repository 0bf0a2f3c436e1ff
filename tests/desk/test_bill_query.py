"""Lists of bills: equal to a recount from the states under any facets, and paged without gap or repetition."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router import topics
from router.codec.packed import BILL_STATE
from router.decide.bill import decide
from router.decide.bill_state import AssessedBill
from router.decide.registry import Context, Registry
from router.decide.roster import cut_name
from router.decide.rules import Rules
from router.desk import bill_index
from router.desk.bill_index import MANY, BillIndex, IndexedBill
from router.desk.bill_query import (
    ORDERS,
    STATUSES,
    BillQuery,
    Cursor,
    arrival_days,
    beyond_sql,
    condition_of,
    cursor_of,
    query_of,
)
from router.desk.index_records import standing_since
from router.desk.receipts import Receipt
from router.desk.unread_notices import DO_NOT_LOAD, Stop, UnreadNotices
from router.errors import UsageError
from router.log.interface import Record
from router.model.eastern import DAY, HOUR
from router.model.identifiers import container_key
from router.model.inputs import Disposition, Shipment
from router.model.registry_values import Line, Party, PortCall, Sailing

RULES = Rules()
NOW = 1_785_000_000_000
"""2026-07-25."""
TODAY, TOMORROW, NEXT = "2026-07-25", "2026-07-26", "2026-07-30"
VESSELS = ("OCEAN EXEMPLAR", "ocean  exemplar", "A VESSEL WITH A VERY LONG NAME", None)
BOXES = ("CSQU3054383", "CSQU305438", "MSCU1234565", "TGHU0000012")
SAILING = Sailing(
    "S1", "9074729", "OCEAN EXEMPLAR", (PortCall("2704", TOMORROW),), (Line("SLTC", "operator", "026E", "all"),)
)


def registry() -> Registry:
    made = Registry()
    made.apply(Party("RIVL", aliases=("RIVX",)))
    made.apply(SAILING)
    return made


@cache
def life(codes: tuple[str, ...], vessel: str | None, day: str | None, port: str | None, box: str) -> AssessedBill:
    """A bill to which events of these codes came, an hour apart."""
    shipment = Shipment("SLTC", "9074729", vessel, "026E", None, port, day, None, "SLTCMB7781234", None, (box,))
    bill = None
    for number, code in enumerate(codes):
        event = Disposition(
            "NVXA", "HBL1", code, NOW - (9 - number) * HOUR, 10, snps=("RIVL",), shipment=shipment, received_at=NOW,
            entry_number="12345678901" if code == "1C" else None,
        )  # fmt: skip
        bill = decide(bill, event, Context(registry(), RULES)).bill
    assert bill is not None
    return bill


LIVES = st.builds(
    life,
    st.sampled_from([("55",), ("55", "1H"), ("55", "6H"), ("1C",), ("55", "1C"), ("55", "1C", "1H"), ("6H", "1C")]),
    st.sampled_from(VESSELS),
    st.sampled_from([TODAY, TOMORROW, NEXT, None]),
    st.sampled_from(["2704", "1303", None]),
    st.sampled_from(BOXES),
)
WRITES = st.lists(st.tuples(st.sampled_from([f"NVXAHBL{n}" for n in range(12)]), LIVES | st.none()), max_size=30)
QUERIES = st.fixed_dictionaries(
    {"sort": st.sampled_from(list(ORDERS)), "order": st.sampled_from(["", "desc"])},
    optional={
        "status": st.sampled_from([*STATUSES, "HELD,DO_NOT_LOAD"]),
        "do_not_load": st.just("yes"),
        "vessel": st.sampled_from(["9074729", "Ocean Exemplar", "A VESSEL WITH A VERY LONG NAME", "OTHER"]),
        "arriving": st.sampled_from(["today", "tomorrow", "week", "past", "unknown", f"{TOMORROW}..{NEXT}"]),
        "port": st.sampled_from(["2704", "1303"]),
        "voyage": st.sampled_from(["26E", "0026E", "27E"]),
        "party": st.sampled_from(["NVXA", "RIVL", "RIVX", "SLTC", "NONE"]),
        "hold": st.sampled_from(["1H", "6H"]),
        "doubt": st.sampled_from(["HISTORY_INCOMPLETE", "RELEASE_PREDATES_HOLD"]),
        "unread": st.sampled_from(["any", "do-not-load", "hold"]),
        "age": st.sampled_from(["under-8h", "over-8h"]),
        "container": st.sampled_from(["CSQU 305438-3", "csqu305438", "MSCU*", "*3054*"]),
        "bill": st.sampled_from(["NVXA HBL1", "HBL1", "HBL*", "*BL1*"]),
        "entry": st.sampled_from(["123-4567890-1", "9*"]),
        "master": st.sampled_from(["SLTC MB7781234", "MB*"]),
    },
)


def records(writes: list[tuple[str, AssessedBill | None]]) -> list[Record]:
    """The states as the router writes them, each under its own key."""
    from msgspec.structs import replace

    return [
        Record(
            topics.BILLS, 0, offset, key.encode(),
            None if bill is None else BILL_STATE.encode(replace(bill.state, key=key)), (), NOW,
        )
        for offset, (key, bill) in enumerate(writes)
    ]  # fmt: skip


UNREAD_BILL = "NVXAHBL1"


def unread() -> list[UnreadNotices]:
    stop = Stop(UNREAD_BILL, DO_NOT_LOAD, NOW, "n", was_released=False)
    return [UnreadNotices(Party("RIVL"), Receipt(), 1, {UNREAD_BILL}, {UNREAD_BILL: stop})]


def fits(query: BillQuery, key: str, bill: AssessedBill) -> bool:
    """The facets' meaning, told again from the state."""
    status, shipment = bill.status, bill.cargo.shipment
    since = standing_since(bill)
    box = container_key(shipment.container_numbers[0])
    numbers = {
        "bill": {key, key[4:]},
        "container": {box},
        "entry": {event.entry_number for event in bill.state.events if event.entry_number},
        "master": {"SLTCMB7781234"},
    }
    day = shipment.arrival_date
    arrives = True
    if query.arriving:
        first, last = arrival_days(query.arriving, NOW)
        arrives = first <= (day or "") <= last
        if query.arriving not in ("past", "unknown") and bill.state.kept_sailing_id == "S1":
            arrives = arrives or (shipment.port_of_unlading == "2704" and first <= TOMORROW <= last)
    parties = {"NVXA", "SLTC", "RIVL", *bill.state.last_notices}
    party = {"RIVX": "RIVL"}.get(query.party or "", query.party)
    ages = {"under-8h": since >= NOW - 8 * HOUR, "over-8h": since <= NOW - 8 * HOUR, None: True}
    vessels = {shipment.imo_number, cut_name(shipment.vessel_name or "")}
    return all((
        not query.status or status.status in query.status,
        not query.do_not_load or status.do_not_load,
        not query.vessel or cut_name(query.vessel) in vessels,
        arrives,
        query.port in (None, shipment.port_of_unlading),
        query.voyage is None or query.voyage.lstrip("0") == "26E",
        query.party is None or party in parties,
        query.hold is None or query.hold in {hold.code for hold in status.holds},
        query.doubt is None or query.doubt in status.doubts,
        query.unread is None or (key == UNREAD_BILL and query.unread != "hold"),
        ages[query.age],
        *(
            getattr(query, kind) is None or any(like(getattr(query, kind), one, kind) for one in found)
            for kind, found in numbers.items()
        ),
    ))  # fmt: skip


def like(pattern: str, word: str, kind: str) -> bool:
    part = pattern.strip("*")
    if pattern.startswith("*"):
        return part in word
    if pattern.endswith("*"):
        return word.startswith(part)
    return word == (container_key(part) if kind == "container" else part)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(max_examples=60, deadline=None)
@given(
    writes=WRITES, fields=QUERIES, size=st.integers(1, 5), batch=st.integers(1, 7), many=st.sampled_from([0, MANY])
)  # fmt: skip
def test_a_list_is_a_recount_and_its_pages_cover_each_row_once(
    folder: Path, writes: list[tuple[str, AssessedBill | None]], fields: dict[str, str], size: int, batch: int,
    many: int,
) -> None:  # fmt: skip
    async def check() -> None:
        (folder / "index.db").unlink(missing_ok=True)
        index = BillIndex(folder / "index.db")
        await index.open()
        try:
            written = records(writes)
            for start in range(0, len(written), batch):
                await index.write_records(written[start : start + batch], RULES)
            await index.write_unread(unread())
            last = dict(writes)
            query = query_of(fields)
            expected = {key for key, bill in last.items() if bill is not None and fits(query, key, bill)}
            everything = [row async for row in index.every_bill(query, registry(), NOW)]
            assert {row.bill for row in everything} == expected
            assert len(everything) == len(expected)
            assert await index.count(query, registry(), NOW) == len(expected)
            forwards = await paged(index, query, size)
            assert forwards == everything
            assert await paged_back(index, query, size) == everything
            statuses = [bill.status.status for bill in last.values() if bill is not None]
            assert await index.statuses() == {one: statuses.count(one) for one in set(statuses)}
        finally:
            await index.close()
            for name in ("index.db", "index.db-wal", "index.db-shm"):
                (folder / name).unlink(missing_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bill_index, "MANY", many)
        asyncio.run(check())


ANSWERED_BY_ITS_INDEX = [
    {"arriving": "past"}, {"port": "2704"}, {"age": "over-7d"}, {"voyage": "026E"}, {"vessel": "9074729"},
    {"status": "HELD"},
]  # fmt: skip


@pytest.mark.parametrize("fields", ANSWERED_BY_ITS_INDEX, ids=str)
async def test_the_bills_that_fit_a_facet_are_counted_in_its_index_alone(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    index = BillIndex(tmp_path / "index.db")
    await index.open()
    await index.close()
    query = query_of(fields)
    condition = condition_of(query, registry(), NOW)
    place = beyond_sql(query, Cursor(1, "NVXAHBL1"), is_counted=True)
    counts = [
        (f"SELECT concern, count(*) FROM bills WHERE {condition.sql} GROUP BY +concern", condition.values),
        (f"SELECT count(*) FROM bills WHERE {condition.sql} AND {place.sql}", (*condition.values, *place.values)),
    ]
    with closing(sqlite3.connect(tmp_path / "index.db")) as file:
        for sql, values in counts:
            plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert "USING COVERING INDEX" in plan[0], plan


async def paged(index: BillIndex, query: BillQuery, size: int) -> list[IndexedBill]:
    """All rows, page by page, by the cursors as an address has them."""
    rows: list[IndexedBill] = []
    after = None
    while True:
        page = await index.bills(query, registry(), NOW, after=after, size=size)
        assert page.first == (len(rows) + 1 if page.rows else 0)
        rows += page.rows
        assert page.total == sum(page.by_status.values())
        if page.after is None:
            assert len(rows) == page.total
            return rows
        after = cursor_of(page.after.token(), query)


async def paged_back(index: BillIndex, query: BillQuery, size: int) -> list[IndexedBill]:
    """All rows, from the last page back to the first."""
    page = await index.bills(query, registry(), NOW, size=size)
    while page.after is not None:
        page = await index.bills(query, registry(), NOW, after=page.after, size=size)
    rows = list(page.rows)
    while page.before is not None:
        page = await index.bills(query, registry(), NOW, before=page.before, size=size)
        rows = [*page.rows, *rows]
    return rows


@given(QUERIES)
@settings(max_examples=50, deadline=None)
def test_an_address_says_all_of_a_query(fields: dict[str, str]) -> None:
    query = query_of(fields)
    assert query_of(query.fields()) == query


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "STOPPED"}, {"doubt": "NONE"}, {"flag": "RED"}, {"unread": "all"}, {"age": "old"},
        {"arriving": "soon"}, {"arriving": "2026-02-30"}, {"sort": "colour"}, {"bill": "*"}, {"container": "**"},
    ],
)  # fmt: skip
def test_a_value_that_selects_nothing_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"none of|is no day|names nothing"):
        query_of(fields)


@pytest.mark.parametrize("token", ["", "x", "W10", "WyJhIiwxXQ", "WzEsImEiXQ==", "WzFlOTksImEiXQ"])
def test_a_cursor_that_no_page_gave_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="names no place"):
        cursor_of(token, query_of({"sort": "port"}))


def test_days_are_those_of_cbps_clock() -> None:
    midnight = NOW - NOW % DAY  # 20:00 of the day before in New York
    assert arrival_days("today", midnight)[0] == "2026-07-24"
    assert arrival_days("week", NOW) == (TODAY, "2026-07-31")
