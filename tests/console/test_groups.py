"""The table of notices shows the decisions of one event as one group."""

from __future__ import annotations

from router.console.rendering import bill_of, cause_of, rendered
from router.desk.index_notices import IndexedEntry
from router.presentation import by_cause


def entry(bill: str, code: str | None, event: str | None, caused_by: str | None = None) -> IndexedEntry:
    fields = {"bill": bill, "at": 0, "disposition_code": code, "cause": "LINK", "sequence": 1, "status": "DO_NOT_LOAD"}
    return IndexedEntry({**fields, "event_id": event, "caused_by": caused_by, "notified": []}, "EXEMPLAR", "2704")


def test_a_stopped_box_is_one_group_below_a_line_that_counts_its_bills() -> None:
    """6H on one bill, newest first: nine other bills in the box are stopped by its event."""
    others = [entry(f"NVXBHBL{number}", None, None, "e6h") for number in range(9)]
    entries = [*others, entry("NVXAHBL1", "6H", "e6h"), entry("SLTCREG1", "1C", "e1c")]
    table = rendered("groups.html", groups=by_cause(entries, cause_of, bill_of))
    assert table.count('<tr class="group">') == 1
    assert "10 decisions by one event: 6H</th>" in table
    assert table.count('<tr id="n-') == 11
    assert table.index("10 decisions") < table.index("NVXBHBL0") < table.index("NVXAHBL1") < table.index("SLTCREG1")
