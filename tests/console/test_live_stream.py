"""The stream to open browsers: what changed, and which do-not-loads are new; a slow browser delays nobody."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from router.console import live_stream
from router.console.live_stream import MOST_STOPS, MOST_SUBSCRIBERS, LiveStream
from router.desk.index_notices import IndexedEntry


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(live_stream, "BEAT_SECONDS", 0.02)


def entry(bill: str, *, stops_anew: bool = False) -> IndexedEntry:
    return IndexedEntry({"bill": bill}, "OCEAN EXEMPLAR", "2704", stops_anew)


async def test_a_browser_hears_at_once_and_goes_on_hearing_while_nothing_changes() -> None:
    live = LiveStream()
    with live.subscribed("alice") as beats:
        first, second = await anext(beats), await anext(beats)
    assert first == second
    assert first.revision == live.revision


async def test_a_change_has_another_revision_also_after_a_restart() -> None:
    live = LiveStream()
    with live.subscribed("alice") as beats:
        before = await anext(beats)
        live.publish()
        after = await anext(beats)
    assert after.revision > before.revision
    await asyncio.sleep(0.01)
    assert LiveStream().revision > after.revision


async def test_every_browser_is_told_of_a_new_do_not_load_once() -> None:
    live = LiveStream()
    with live.subscribed("alice") as one, live.subscribed("alice") as other:
        await anext(one)
        live.publish([entry("A"), entry("B", stops_anew=True)])
        assert [stop.bill for stop in (await anext(one)).stops] == ["B"]
        assert (await anext(one)).stops == ()
        assert [stop.bill for stop in (await anext(other)).stops] == ["B"]


@pytest.mark.parametrize(("browsers", "pause"), [(1, 2), (10, 2), (50, 10), (MOST_SUBSCRIBERS, 15)])
async def test_many_browsers_together_fetch_no_more_pages_than_a_few(browsers: int, pause: float) -> None:
    live = LiveStream()
    with ExitStack() as stack:
        streams = [stack.enter_context(live.subscribed("alice")) for _ in range(browsers)]
        assert (await anext(streams[-1])).pause == pause


async def test_a_slow_browser_is_told_of_the_newest() -> None:
    live = LiveStream()
    with live.subscribed("alice") as beats:
        live.publish([entry(str(number), stops_anew=True) for number in range(MOST_STOPS + 5)])
        stops = (await anext(beats)).stops
    assert [stop.bill for stop in stops] == [str(number) for number in range(5, MOST_STOPS + 5)]


async def test_closing_ends_every_stream() -> None:
    live = LiveStream()
    with live.subscribed("alice") as beats:
        await anext(beats)
        live.close()
        assert [beat async for beat in beats] == []


def test_a_browser_that_left_frees_its_place() -> None:
    live = LiveStream()
    for _ in range(2 * MOST_SUBSCRIBERS):
        with live.subscribed("alice"):
            assert live.has_room_for("alice")
    live.publish([entry("A", stops_anew=True)])


def test_the_number_of_browsers_is_limited() -> None:
    live = LiveStream()
    opened = [live.subscribed(f"user {number}") for number in range(MOST_SUBSCRIBERS)]
    for one in opened:
        one.__enter__()
    assert not live.has_room_for("alice")


async def test_a_user_with_very_many_browsers_makes_room_for_the_others() -> None:
    """Those that are ended free their places at once, and need not read anything for it."""
    live = LiveStream()
    with ExitStack() as stack:
        deaf = [stack.enter_context(live.subscribed("alice")) for _ in range(MOST_SUBSCRIBERS)]
        assert not live.has_room_for("alice")
        for _ in range(20):
            assert live.has_room_for("bob")
            beats = stack.enter_context(live.subscribed("bob"))
            assert (await anext(beats)).revision == live.revision
        assert [beat async for beat in deaf[0]] == []
        assert (await anext(deaf[20])).revision == live.revision
