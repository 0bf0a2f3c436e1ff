"""Walks through all pages of a list in the desk's index, forwards and backwards."""

from __future__ import annotations

from typing import Any

from router.desk.bill_index import BillIndex
from router.desk.index_lists import Selection


async def forwards(index: BillIndex, selection: Selection[Any], size: int) -> list[Any]:
    """All rows, page by page; each page says where it stands in the whole."""
    rows: list[Any] = []
    after = None
    while True:
        page = await index.page(selection, after, size=size)
        assert page.first == (len(rows) + 1 if page.rows else 0)
        assert (page.before is None) == (not rows)
        rows += page.rows
        if page.after is None:
            assert len(rows) == page.total
            return rows
        after = page.after


async def backwards(index: BillIndex, selection: Selection[Any], size: int) -> list[Any]:
    """All rows, page by page from the last page to the first."""
    page = await index.page(selection, size=size)
    while page.after is not None:
        page = await index.page(selection, page.after, size=size)
    rows = list(page.rows)
    while page.before is not None:
        before = page
        page = await index.page(selection, before=page.before, size=size)
        assert page.first + len(page.rows) == before.first
        rows[:0] = page.rows
    assert len(rows) == page.total
    return rows
