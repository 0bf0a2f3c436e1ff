"""The filter of the first page's notices."""

from __future__ import annotations

from router.console.notice_filter import NoticeFilter
from router.desk.index_records import IndexedEntry


def entry(
    bill: str, *notified: tuple[str, str], do_not_load: bool = False, vessel: str | None = None, port: str = "2704"
) -> IndexedEntry:
    recipients = [{"recipient": recipient, "kind": kind} for recipient, kind in notified]
    return IndexedEntry({"bill": bill, "do_not_load": do_not_load, "notified": recipients}, vessel, port)


HELD = entry("A", ("SLTC", "hold"), ("OCNX", "hold"), vessel="OCEAN EXEMPLAR")
STOPPED = entry("B", ("HARX", "hold"), do_not_load=True, port="1001")
FREE = entry("C", ("SLTC", "release"))
WITHOUT_RECIPIENTS = entry("D")


def matching(given: NoticeFilter) -> str:
    return "".join(one.fields["bill"] for one in (HELD, STOPPED, FREE, WITHOUT_RECIPIENTS) if given.matches(one))


def test_each_filter_passes_its_own_notices() -> None:
    assert matching(NoticeFilter()) == "ABC", "an entry without recipients is no notice"
    assert matching(NoticeFilter(party="SLTC")) == "AC"
    assert matching(NoticeFilter(kind="release")) == "C"
    assert matching(NoticeFilter(vessel="EXEMPLAR")) == "A"
    assert matching(NoticeFilter(port="1001")) == "B"
    assert matching(NoticeFilter(do_not_load=True)) == "B"
    assert matching(NoticeFilter(party="SLTC", kind="hold")) == "A"
