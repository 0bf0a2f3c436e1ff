"""Live notices: each browser receives those that pass its filter, and a slow one delays nobody."""

from __future__ import annotations

from router.console.live_notices import MOST_ROWS, MOST_SUBSCRIBERS, LiveNotices, NoticeFilter
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


def bill_of(entry: IndexedEntry) -> str:
    return str(entry.fields["bill"])


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


async def test_a_slow_browser_learns_how_many_rows_it_missed() -> None:
    live = LiveNotices(bill_of)
    with live.subscribed(NoticeFilter()) as subscription:
        live.publish([entry(str(number), ("SLTC", "hold")) for number in range(MOST_ROWS + 30)])
        update = await anext(subscription.updates())
    assert len(update.rows) == MOST_ROWS
    assert update.missed == 30
    assert update.rows[-1] == str(MOST_ROWS + 29), "the newest are kept"


async def test_a_browser_that_left_receives_nothing_and_frees_its_place() -> None:
    live = LiveNotices(bill_of)
    for _ in range(2 * MOST_SUBSCRIBERS):
        with live.subscribed(NoticeFilter()):
            assert not live.is_full
    live.publish([HELD])


def test_the_number_of_browsers_is_limited() -> None:
    live = LiveNotices(bill_of)
    opened = [live.subscribed(NoticeFilter()) for _ in range(MOST_SUBSCRIBERS)]
    for one in opened:
        one.__enter__()
    assert live.is_full
