"""Faults that a desk once had: pages that were old, cut off or silent, and said nothing of it."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from router.console.actions import ACTIONS
from router.console.deeds import Deed
from tests.console.installation import Installation
from tests.console.test_browser import BILL, hold, ingest, log_in
from tests.console.test_live_pages import violations
from tests.kafka.broker import free_ports
from tests.kafka.proxy import Proxy

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def routed(installation: Installation) -> Installation:
    """The installation with a running router."""
    installation.start("run")
    return installation


@contextmanager
def window(chrome: Browser, address: str) -> Iterator[Page]:
    """A browser of its own, whose complaints about a console that is away don't count."""
    context = chrome.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(30_000)
    try:
        yield context.new_page()
    finally:
        context.close()


class Cable:
    """The way from browsers to the console, which can be cut; it runs in a thread of its own."""

    def __init__(self, installation: Installation) -> None:
        (port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        self._proxy = Proxy(port, int(installation.address.rpartition(":")[2]))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Cable:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.__aenter__(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
        asyncio.run_coroutine_threadsafe(self._proxy.__aexit__(None, None, None), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Nothing passes, and what was connected is no more."""
        self._do(self._proxy.stall)
        self._do(self._proxy.cut)

    def heal(self) -> None:
        self._do(self._proxy.heal)

    def _do(self, deed: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(deed)


SILENT_STREAM = "window.SharedWorker = class { port = { postMessage() {} }; };"
"""A stream that never says anything, not even that it is lost."""


def test_a_page_turns_amber_after_half_a_minute_and_red_after_two(chrome: Browser, routed: Installation) -> None:
    """By its own clock, whatever the stream says."""
    with window(chrome, routed.address) as page:
        page.add_init_script(SILENT_STREAM)
        page.clock.install()
        log_in(page)
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
        as_of = page.locator("#as-of")
        page.clock.fast_forward(5_000)  # it may have been 20 seconds old
        expect(as_of).to_have_class("as-of fresh")
        page.clock.fast_forward(30_000)
        expect(as_of).to_have_class("as-of amber")
        expect(as_of).to_contain_text("Behind: something later may be missing.")
        page.clock.resume()  # axe uses the page's clock
        assert violations(page) == []
        page.clock.fast_forward(90_000)
        expect(as_of).to_have_class("as-of red")
        expect(as_of).to_contain_text(re.compile(r"[2-9] minutes ago"))
        assert violations(page) == []
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(as_of).to_be_in_viewport()


def test_a_console_that_hangs_is_seen_and_followed_again(chrome: Browser, routed: Installation) -> None:
    """No answer, and no error that a browser would tell of."""
    with window(chrome, routed.address) as page:
        log_in(page)
        expect(page.locator("#as-of")).to_have_class("as-of fresh")
        routed.consoles[-1].send_signal(signal.SIGSTOP)
        try:
            expect(page.locator("#as-of")).to_contain_text("Cut off: the console does not answer")
        finally:
            routed.consoles[-1].send_signal(signal.SIGCONT)
        expect(page.locator("#as-of")).to_have_class("as-of fresh")
        ingest(routed, "hung.jsonl", hold("NVXAHUNG01", "2026-07-30T12:00:00Z"))
        expect(page.locator("#notices")).to_contain_text("NVXAHUNG01")


def test_a_stream_that_is_cut_goes_on_where_it_was(chrome: Browser, routed: Installation) -> None:
    with Cable(routed) as cable, window(chrome, cable.address) as page:
        log_in(page)
        expect(page.locator("#as-of")).to_have_class("as-of fresh")
        page.evaluate("window.isTheSame = true")
        cable.cut()
        expect(page.locator("#as-of")).to_contain_text("Cut off: the console does not answer")
        ingest(routed, "cut.jsonl", hold("NVXACUT001", "2026-07-30T12:00:00Z"))
        assert "NVXACUT001" not in page.locator("main").inner_text()
        cable.heal()
        expect(page.locator("#notices")).to_contain_text("NVXACUT001")
        expect(page.locator("section[aria-labelledby=new]")).to_contain_text("NVXACUT001")
        expect(page.locator("#as-of")).to_have_class("as-of fresh")
        assert page.evaluate("window.isTheSame"), "without a reload"


def test_a_restarted_console_finds_its_browsers_logged_in_and_their_forms_filled(
    chrome: Browser, routed: Installation
) -> None:
    with window(chrome, routed.address) as page:
        log_in(page)
        page.goto(f"/bills/{BILL}")
        page.locator("input[name=ticket]").first.fill("4711")
        expect(page.locator("#as-of")).to_have_class("as-of fresh")
        console, port = routed.consoles[-1], routed.address.rpartition(":")[2]
        console.send_signal(signal.SIGTERM)
        console.wait(30)
        expect(page.locator("#as-of")).to_contain_text("Cut off: the console does not answer")
        assert violations(page) == []
        routed.start_console(port)
        ingest(routed, "restart.jsonl", hold(BILL, "2026-07-30T12:00:00Z", disposition_code="1H"))
        expect(page.locator("h1")).to_contain_text("HELD")
        expect(page.locator("#as-of")).to_have_class("as-of fresh")
        expect(page.locator("input[name=ticket]").first).to_have_value("4711")
        ingest(routed, "undone.jsonl", hold(BILL, "2026-07-30T12:01:00Z", disposition_code="1I"))


def test_banners_come_and_go_on_an_open_page(page: Page, routed: Installation) -> None:
    log_in(page)
    page.goto("/sailings")
    banner = page.locator(".alarm", has_text="no news is not clearance")
    expect(page.locator("#as-of")).to_have_class("as-of fresh")
    routed.command("outage", "declare", "--mode", "rail", "--reason", "ACE is down")
    expect(banner).to_contain_text("rail: declared down")
    assert violations(page) == []
    (outage,) = re.findall(r"[0-9a-f-]{8,}", routed.command("outage", "list", "--format", "json"))[:1]
    routed.command("outage", "end", outage)
    expect(banner).to_have_count(0)


def test_the_table_stands_still_while_one_has_scrolled_into_it(page: Page, routed: Installation) -> None:
    log_in(page)
    page.set_viewport_size({"width": 1440, "height": 300})
    page.mouse.move(5, 5)
    page.evaluate("scrollTo(0, document.getElementById('notices').getBoundingClientRect().top + scrollY + 40)")
    ingest(routed, "scrolled.jsonl", *(hold(f"NVXASCROL{n}", "2026-07-30T12:00:00Z") for n in range(3)))
    expect(page.locator("#news")).to_have_text("3 new: show them")
    assert "NVXASCROL0" not in page.locator("#notices").inner_text()
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("#notices")).to_contain_text("NVXASCROL0")
    expect(page.locator("#news")).to_be_hidden()


def test_a_hidden_tab_fetches_nothing_until_it_is_seen(page: Page, routed: Installation) -> None:
    log_in(page)
    expect(page.locator("#as-of")).to_have_class("as-of fresh")
    set_hidden(page, hidden=True)
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    shown = page.locator("#as-of").get_attribute("data-revision")
    ingest(routed, "hidden.jsonl", hold("NVXAHIDDEN", "2026-07-30T12:00:00Z"))
    page.wait_for_function("async () => (await fetch('/bills/NVXAHIDDEN')).ok", polling=500)
    page.wait_for_timeout(3_000)  # longer than the shortest pause between two fetches
    assert [url for url in asked if "NVXAHIDDEN" not in url] == []
    assert page.locator("#as-of").get_attribute("data-revision") == shown
    set_hidden(page, hidden=False)
    expect(page.locator("#notices")).to_contain_text("NVXAHIDDEN")


def set_hidden(page: Page, *, hidden: bool) -> None:
    """Headless tabs are all in front: the page is told what a browser would tell it."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_hold_that_could_not_be_read_leads_to_its_dead_letter(page: Page, routed: Installation) -> None:
    ingest(routed, "unread.jsonl", hold("NVXAUNREAD", "2026-07-30T12:00:00Z", disposition_code="0?"))
    log_in(page)
    expect(page.locator("#notices")).to_contain_text("NVXAUNREAD")
    page.goto("/bills/NVXAUNREAD")
    page.locator("section[aria-labelledby=holds]").get_by_role("link", name="its dead letter").click()
    expect(page.locator("pre mark")).to_contain_text("0?")


def test_every_deed_is_previewed() -> None:
    """By the one way that all of them go. A call that was made is only noted."""
    unseen = [route.path for route in ACTIONS if not isinstance(getattr(route.endpoint, "__self__", None), Deed)]
    assert unseen == ["/parties/{party}/called"]
