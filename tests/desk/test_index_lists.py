"""Lists of waiting bills, dead letters and the audit: each row on exactly one page, and a text that selects."""

from __future__ import annotations

from typing import Any

import pytest

from router import codec, topics
from router.decide.rules import Rules
from router.desk.bill_index import BillIndex, audit, dead_letters, waiting
from router.desk.index_lists import Selection
from router.engine.administration import AuditEntry
from router.errors import UsageError
from router.log.interface import Record
from router.model.inputs import DeadLetter
from tests.desk.walking import backwards, forwards

COUNT = 23


def record(topic: str, number: int, key: str, value: bytes) -> Record:
    return Record(topic, 0, number, key.encode(), value, (), number)


def written() -> list[Record]:
    made = []
    for number in range(COUNT):
        entry = AuditEntry(number, "anna" if number % 2 else "ben", "hold clear", f"NVXAHBL{number}")
        made.append(record(topics.AUDIT, number, "", codec.encode("audit-entry", entry._asdict())))
        letter = DeadLetter(f"{number:032}", f"reason {number % 3}", "file", "x12", b"?", 1, received_at=number // 2)
        made.append(record(topics.DEAD_LETTERS, number, letter.id, codec.encode_value(letter)))
        waiting = {
            "scac": "NVXA", "bill_of_lading": f"HBL{number}", "status": "HELD", "do_not_load": number % 5 == 0,
            "reasons": ["NO_SNP" if number % 2 else "NO_SAILING"], "parties": [], "since": number % 4,
        }  # fmt: skip
        made.append(record(topics.WAITING, number, f"NVXAHBL{number}", codec.encode("waiting", waiting)))
    return made


@pytest.fixture
async def index(index: BillIndex) -> BillIndex:
    await index.write_records(written(), Rules())
    return index


@pytest.mark.parametrize("size", [1, 4, COUNT, 100])
@pytest.mark.parametrize("selection", [audit(), dead_letters(), waiting()])
async def test_each_row_is_on_exactly_one_page(index: BillIndex, selection: Selection[Any], size: int) -> None:
    everything = await index.page(selection)
    assert (len(everything.rows), everything.total, everything.after) == (COUNT, COUNT, None)
    assert await forwards(index, selection, size) == list(everything.rows)
    assert await backwards(index, selection, size) == list(everything.rows)
    assert [row async for row in index.every_row(selection)] == list(everything.rows)


async def test_a_text_selects_by_any_field_and_is_counted(index: BillIndex) -> None:
    assert {entry.by for entry in (await index.page(audit("Anna"))).rows} == {"anna"}
    assert (await index.page(audit("anna"), size=1)).total == COUNT // 2
    assert (await index.page(dead_letters("REASON 1"))).total == len(range(1, COUNT, 3))
    assert {tuple(row["reasons"]) for row in (await index.page(waiting("no_snp"))).rows} == {("NO_SNP",)}
    assert (await index.page(waiting("%"))).total == 0


async def test_a_place_that_no_page_gave_is_refused(index: BillIndex) -> None:
    for token in ("x", "W10", "WzFd"):
        with pytest.raises(UsageError, match="names no place"):
            await index.page(waiting(), token)


async def test_waiting_bills_are_counted_by_what_is_missing(index: BillIndex) -> None:
    groups = await index.waiting_groups()
    assert [(one.reason, one.total, one.do_not_loads) for one in groups] == [("NO_SAILING", 12, 3), ("NO_SNP", 11, 2)]
    for one in groups:
        assert (await index.page(waiting(one.reason))).total == one.total
