"""Live notices to many browsers: each gets what it asked for, and a slow one costs nobody anything."""

from __future__ import annotations

from router.console.index import Entry
from router.console.live import KEPT, MOST_WATCHERS, Filter, Hub


def entry(
    bill: str, *told: tuple[str, str], status: str = "HELD", vessel: str | None = None, port: str = "2704"
) -> Entry:
    tellings = [{"recipient": recipient, "kind": kind} for recipient, kind in told]
    return Entry({"bill": bill, "status": status, "told": tellings}, vessel, port)


HELD = entry("A", ("SLTC", "hold"), ("OCNX", "hold"), vessel="OCEAN EXEMPLAR")
STOPPED = entry("B", ("HARX", "hold"), status="DO_NOT_LOAD", port="1001")
FREE = entry("C", ("SLTC", "release"), status="RELEASED")
UNTOLD = entry("D")


def bill_of(entry: Entry) -> str:
    return str(entry.fields["bill"])


def wanted(given: Filter) -> str:
    return "".join(one.fields["bill"] for one in (HELD, STOPPED, FREE, UNTOLD) if given.wants(one))


def test_each_filter_lets_its_own_through() -> None:
    assert wanted(Filter()) == "ABC", "what nobody was told is no notice"
    assert wanted(Filter(party="SLTC")) == "AC"
    assert wanted(Filter(kind="release")) == "C"
    assert wanted(Filter(vessel="EXEMPLAR")) == "A"
    assert wanted(Filter(port="1001")) == "B"
    assert wanted(Filter(do_not_load=True)) == "B"
    assert wanted(Filter(party="SLTC", kind="hold")) == "A"


async def test_a_browser_that_does_not_keep_up_is_told_how_much_it_missed() -> None:
    hub = Hub(bill_of)
    with hub.watching(Filter()) as watcher:
        hub.tell([entry(str(number), ("SLTC", "hold")) for number in range(KEPT + 30)])
        delivery = await anext(watcher.deliveries())
    assert len(delivery.rows) == KEPT
    assert delivery.missed == 30
    assert delivery.rows[-1] == str(KEPT + 29), "the newest are kept"


async def test_who_has_left_is_told_nothing_more() -> None:
    hub = Hub(bill_of)
    for _ in range(2 * MOST_WATCHERS):
        with hub.watching(Filter()):
            assert not hub.is_full
    hub.tell([HELD])


def test_there_is_a_most() -> None:
    hub = Hub(bill_of)
    opened = [hub.watching(Filter()) for _ in range(MOST_WATCHERS)]
    for one in opened:
        one.__enter__()
    assert hub.is_full
