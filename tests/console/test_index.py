"""The console's own copy: made from the topics, and the same however often it is cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import topics
from router.console.index import FOLLOWED, Index
from router.decide.rules import Rules
from router.log.interface import Record
from router.log.url import open_log

BILL = "NVXAHBL000012345"


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    made = Index(tmp_path / "index.db", Rules())
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def records(demo_log: Path) -> list[Record]:
    """All that the demo left on its log."""
    async with open_log(f"sqlite:///{demo_log}") as log:
        return [record async for batch in log.read(FOLLOWED, until_end=True) for record in batch]


async def test_it_knows_what_the_topics_say(index: Index, records: list[Record]) -> None:
    entries = await index.take(records)
    assert len(entries) == sum(record.topic == topics.TIMELINE for record in records)
    assert await index.statuses() == {"RELEASED": 2, "HELD": 1, "ON_FILE": 3}
    assert (await index.history(BILL))[-1]["status"] == "RELEASED"
    assert [entry.fields["bill"] for entry in await index.recent(3)]


@pytest.mark.parametrize("size", [1, 7])
async def test_cut_off_anywhere_it_goes_on_where_it_was(
    tmp_path: Path, index: Index, records: list[Record], size: int
) -> None:
    await index.take(records)
    cut = Index(tmp_path / "cut.db", Rules())
    await cut.open()
    for start in range(0, len(records), size):
        await cut.take(records[start : start + size])
        await cut.close()
        cut = Index(tmp_path / "cut.db", Rules())
        await cut.open()
    assert await cut.progress() == await index.progress()
    assert await cut.statuses() == await index.statuses()
    assert await cut.history(BILL) == await index.history(BILL)
    await cut.close()


async def test_the_same_records_again_change_nothing(index: Index, records: list[Record]) -> None:
    await index.take(records)
    before = (await index.statuses(), await index.search("CSQU"), await index.history(BILL))
    await index.take(records)
    assert (await index.statuses(), await index.search("CSQU"), await index.history(BILL)) == before


@pytest.mark.parametrize(
    ("text", "by"),
    [
        (BILL, "bill"),
        ("HBL000012345", "bill"),
        ("csqu305", "container"),
        ("OCEAN EX", "vessel"),
        ("9074729", "vessel"),
        ("SLTCMB7781234", "master bill"),
    ],
)
async def test_a_bill_is_found_by_what_people_have_at_hand(
    index: Index, records: list[Record], text: str, by: str
) -> None:
    await index.take(records)
    found = {one.bill: one.by for one in await index.search(text)}
    assert found[BILL] == by


async def test_a_bill_that_is_forgotten_is_found_no_more(index: Index, records: list[Record]) -> None:
    await index.take(records)
    last = max(record.offset for record in records)
    await index.take([Record(topics.BILLS, 0, last + 1, BILL.encode(), None, (), 0)])
    assert BILL not in {one.bill for one in await index.search("CSQU")}
    assert (await index.statuses())["RELEASED"] == 1
    assert await index.state(BILL) is None
