"""Open pages follow the console, say when they can't, and recover by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.console.installation import OPERATOR, Client, Installation
from tests.console.test_browser import hold, ingest, log_in

expect.set_options(timeout=30_000)

TABS = 12


@pytest.fixture(scope="module")
def routed(installation: Installation) -> Installation:
    """The installation with a running router, and one party whose reading is followed."""
    (installation.folder / "followed.csv").write_text(
        "id,name,status,contact_name,contact_phone,webhook_url\n"
        "SLTC,Slot Charterer,live,Duty desk,+1 555 0100,https://slot.example/notices\n"
    )
    installation.command("import", "parties", "followed.csv")
    installation.start("run")
    return installation


@pytest.fixture
def browser(chrome: Browser, routed: Installation) -> Iterator[BrowserContext]:
    """A browser whose complaints about a console that is away don't count."""
    context = chrome.new_context(base_url=routed.address, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(30_000)
    yield context
    context.close()


def violations(page: Page) -> list[tuple[str, str]]:
    return [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page).response["violations"]]


def test_everything_on_the_page_follows_and_says_as_of_when(page: Page, routed: Installation) -> None:
    log_in(page)
    expect(page.locator("#as-of")).to_have_class("as-of fresh")
    expect(page.locator("#as-of")).to_contain_text(re.compile(r"As of \d\d:\d\d:\d\dZ, \d+ s ago"))
    before = page.locator(".tiles li").first.inner_text()
    ingest(routed, "tiles.jsonl", hold("NVXATILES1", "2026-07-30T12:00:00Z"))
    expect(page.locator("#notices")).to_contain_text("NVXATILES1")
    expect(page.locator(".tiles li").first).not_to_contain_text(before)
    expect(page.locator("section[aria-labelledby=stopped]")).to_contain_text("NVXATILES1")
    expect(page.locator("section[aria-labelledby=new]")).to_contain_text("NVXATILES1")
    assert violations(page) == []


def test_other_pages_follow_too(page: Page, routed: Installation) -> None:
    log_in(page)
    ingest(routed, "follow.jsonl", hold("NVXAFOLLOW", "2026-07-30T12:00:00Z"))
    expect(page.locator("#notices")).to_contain_text("NVXAFOLLOW")
    page.goto("/bills/NVXAFOLLOW")
    page.locator("input[name=ticket]").first.fill("4711")
    ingest(routed, "lifted.jsonl", hold("NVXAFOLLOW", "2026-07-30T13:00:00Z", disposition_code="6I"))
    expect(page.locator("h1")).not_to_contain_text("DO NOT LOAD")
    expect(page.locator("input[name=ticket]").first).to_have_value("4711")


def test_the_table_stands_still_under_the_mouse_and_counts_what_is_new(page: Page, routed: Installation) -> None:
    log_in(page)
    page.locator("#notices").hover()
    ingest(routed, "hover.jsonl", *(hold(f"NVXAHOVER{n}", "2026-07-30T12:00:00Z") for n in range(3)))
    expect(page.locator("#news")).to_have_text(re.compile(r"[1-9]\d* new: show them"))
    expect(page.locator(".tiles")).to_be_visible()
    assert "NVXAHOVER0" not in page.locator("#notices").inner_text()
    assert "NVXAHOVER0" in page.locator("section[aria-labelledby=stopped]").inner_text(), "all else goes on"
    assert violations(page) == []
    page.locator("#news").click()
    expect(page.locator("#notices")).to_contain_text("NVXAHOVER0")
    expect(page.locator("#news")).to_be_hidden()


def test_the_table_can_be_paused(page: Page, routed: Installation) -> None:
    log_in(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    ingest(routed, "paused.jsonl", hold("NVXAPAUSED", "2026-07-30T12:00:00Z"))
    expect(page.locator("#news")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    page.mouse.move(5, 5)
    expect(page.locator("#notices")).to_contain_text("NVXAPAUSED")


def test_a_screen_reader_is_told_of_faults_only(page: Page, routed: Installation) -> None:
    log_in(page)
    assert page.locator("#notices [aria-live], #notices [role=status], #as-of [aria-live]").count() == 0
    expect(page.locator("[role=status]#live-state")).to_have_text("")


def test_a_party_is_called_once_and_rings_again_after_a_later_do_not_load(page: Page, routed: Installation) -> None:
    log_in(page)
    ingest(routed, "call.jsonl", hold("NVXACALL01", "2026-07-30T12:00:00Z"))
    card = page.locator("#card-SLTC")
    expect(card).to_contain_text("NVXACALL01", timeout=60_000)
    expect(card.locator("a.phone")).to_have_attribute("href", "tel:+15550100")
    expect(page.locator(".tiles")).to_contain_text("by 1 party")
    expect(page).to_have_title(re.compile(r"^\([1-9]\d*\) Now"))
    assert violations(page) == []
    card.get_by_label("Who answered").fill("J. Smith")
    card.get_by_role("button", name="I called").click()
    expect(card).to_contain_text("Called by alice at")
    expect(card).to_contain_text("J. Smith")
    expect(card).to_have_class("called")
    ingest(routed, "again.jsonl", hold("NVXACALL02", "2026-07-30T12:05:00Z"))
    expect(card).to_contain_text("A do-not-load came since", timeout=60_000)
    page.goto("/audit")
    expect(page.get_by_role("row", name="alice call party SLTC J. Smith")).to_be_visible()


def test_new_do_not_loads_are_new_until_one_has_looked(page: Page, routed: Installation) -> None:
    log_in(page)
    ingest(routed, "new.jsonl", hold("NVXANEW001", "2026-07-30T12:00:00Z"))
    new = page.locator("section[aria-labelledby=new]")
    expect(new).to_contain_text("NVXANEW001")
    page.get_by_role("button", name="I have seen them").click()
    expect(page.locator("#stopped")).to_be_visible()
    expect(new).to_have_count(0)
    ingest(routed, "newer.jsonl", hold("NVXANEW002", "2026-07-30T12:00:00Z"))
    expect(new).to_contain_text("1 new do-not-load since you last looked")
    expect(new).not_to_contain_text("NVXANEW001")


def test_whoever_asked_is_alerted_to_a_new_do_not_load(browser: BrowserContext, routed: Installation) -> None:
    browser.add_init_script("""
        window.told = [];
        window.Notification = class {
            static permission = "granted";
            static async requestPermission() { return "granted"; }
            constructor(title, options) { window.told.push(`${title}: ${options.body}`); }
        };
    """)
    page = browser.new_page()
    log_in(page)
    bell = page.get_by_role("button", name="Alert me to new do-not-loads")
    expect(bell).to_have_attribute("aria-pressed", "false")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    ingest(routed, "ring.jsonl", hold("NVXARING01", "2026-07-30T12:00:00Z"))
    page.wait_for_function("() => window.told.some((text) => text.startsWith('Do not load: NVXARING01'))")


def test_many_tabs_share_one_stream(browser: BrowserContext, routed: Installation) -> None:
    """A browser opens at most six connections to one address."""
    first = browser.new_page()
    log_in(first)
    tabs = [first, *(browser.new_page() for _ in range(TABS - 1))]
    for tab in tabs[1:]:
        tab.goto("/")
    for tab in tabs:
        expect(tab.locator("#as-of")).to_contain_text("s ago")
    assert sum("/live_worker.js" in worker.url for tab in tabs for worker in tab.workers) <= 1


def test_a_page_says_that_it_is_logged_out_and_goes_on_after_the_log_in(
    browser: BrowserContext, routed: Installation
) -> None:
    page = browser.new_page()
    log_in(page)
    page.goto("/feeds")
    page.locator("input[name=reason]").fill("half typed")
    other = Client(routed.address)
    other.log_in(OPERATOR)
    other.post("/logout", {"csrf": other.csrf()})
    expect(page.locator("#as-of")).to_contain_text("You are logged out")
    expect(page.locator("#live-state")).to_have_text("You are logged out: nothing new is shown.")
    assert violations(page) == []
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Log in again").click()
    again = popup.value
    again.get_by_label("Name").fill(OPERATOR)
    again.get_by_label("Password").fill("correct horse battery staple")
    again.get_by_role("button", name="Log in").click()
    expect(again.get_by_role("heading", name="Feeds")).to_be_visible()
    expect(page.locator("#as-of")).to_have_class("as-of fresh")
    expect(page.locator("input[name=reason]")).to_have_value("half typed")
    page.get_by_role("button", name="Declare").click()
    expect(page.get_by_role("heading", name="Declare an outage?")).to_be_visible()
    expect(page.locator("main")).to_contain_text("half typed")


def test_a_page_says_that_it_is_cut_off_and_recovers_by_itself(browser: BrowserContext, routed: Installation) -> None:
    page = browser.new_page()
    log_in(page)
    expect(page.locator("#as-of")).to_have_class("as-of fresh")
    port = routed.address.rpartition(":")[2]
    routed.stop()
    expect(page.locator("#as-of")).to_contain_text("Cut off: the console does not answer")
    expect(page.locator("#as-of")).to_have_class("as-of amber")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("#as-of")).to_be_in_viewport()
    routed.start("run")
    routed.start_console(port)
    expect(page.locator("#as-of")).to_contain_text("As of")
    expect(page.locator("#as-of")).not_to_contain_text("Cut off", timeout=60_000)
    page.evaluate("scrollTo(0, 0)")
    ingest(routed, "after.jsonl", hold("NVXAAFTER1", "2026-07-30T12:00:00Z"))
    expect(page.locator("#notices")).to_contain_text("NVXAAFTER1", timeout=60_000)


def test_the_console_stops_quickly_and_quietly_with_browsers_attached(
    browser: BrowserContext, routed: Installation
) -> None:
    page = browser.new_page()
    log_in(page)
    expect(page.locator("#as-of")).to_contain_text("s ago")
    said = routed.end_console()
    assert "Traceback" not in said
    assert "CancelledError" not in said
