"""A duty officer's work, in a real browser with a running router."""

from __future__ import annotations

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.console.installation import OPERATOR, PAGES, PASSWORD, VIEWER, Installation
from tests.desk.test_bill_index import BILL

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def routed(installation: Installation) -> Installation:
    """The installation with a running router."""
    installation.start("run")
    return installation


def log_in(page: Page, name: str = OPERATOR) -> None:
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Now", exact=True)).to_be_visible()


def do(page: Page, button: str) -> None:
    """Send a form, and confirm its preview."""
    page.get_by_role("button", name=button).first.click()
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_role("heading", name="Done: ")).to_be_visible()


def ingest(installation: Installation, name: str, *events: dict[str, object]) -> None:
    (installation.folder / name).write_text("".join(f"{json.dumps(event)}\n" for event in events))
    installation.command("ingest", name)


def hold(bill: str, posted: str, **more: object) -> dict[str, object]:
    number = {"scac": bill[:4], "bill_of_lading": bill[4:]}
    return number | {"disposition_code": "6H", "action_at": posted, "quantity": 1, "snps": ["SLTC"]} | more


def test_a_hold_arrives_on_the_open_page(page: Page, routed: Installation) -> None:
    log_in(page)
    ingest(routed, "hold.jsonl", hold("NVXALIVE01", "2026-07-30T12:00:00Z", port_of_unlading="2704"))
    row = page.locator("#notices tr", has_text="NVXALIVE01")
    expect(row).to_contain_text("DO NOT LOAD")
    expect(row).to_contain_text("HOLD SLTC")


def test_a_filter_shows_only_its_own_notices(page: Page, routed: Installation) -> None:
    log_in(page)
    page.goto("/?party=HARX")
    ingest(routed, "others.jsonl", hold("NVXALIVE02", "2026-07-30T12:10:00Z"))
    ingest(routed, "its.jsonl", hold("HARXLIVE03", "2026-07-30T12:11:00Z", snps=["HARX"]))
    expect(page.locator("#notices")).to_contain_text("HARXLIVE03")
    expect(page.locator("#notices")).not_to_contain_text("NVXALIVE02")


def test_search_finds_a_bill_by_its_container(page: Page, routed: Installation) -> None:
    log_in(page)
    page.get_by_label("Bill, container, entry, vessel").fill("CSQU3054383")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=BILL).click()
    main = page.locator("main")
    expect(main).to_contain_text("RELEASED")
    expect(main).to_contain_text("May be delivered at port 2704.")
    expect(main.locator("section[aria-labelledby=containers]")).to_contain_text("CSQU3054383released")
    expect(main).to_contain_text("issuer of the bill")
    expect(main).to_contain_text("posted 2026-07-14 12:12Z 07-14 05:12 PDT")  # UTC, and the time at the port


def test_a_sailing_shows_its_bills_by_status(page: Page, routed: Installation) -> None:
    log_in(page)
    page.get_by_role("link", name="Sailings").click()
    page.get_by_role("link", name="EXEMPLAR-026E").click()
    expect(page.get_by_role("img")).to_have_attribute("aria-label", "Bills by status: 1 held, 1 on file, 2 released")
    expect(page.locator("table").last).to_contain_text("OCNX")


def test_a_corrected_dead_letter_frees_its_bill(page: Page, routed: Installation) -> None:
    log_in(page)
    unknown = hold("NVXALIVE04", "2026-07-30T12:20:00Z", disposition_code="0?")
    ingest(routed, "unknown.jsonl", unknown)
    expect(page.locator("#notices")).to_contain_text("NVXALIVE04")
    page.get_by_role("link", name="Dead letters", exact=True).click()
    page.locator("tr", has_text="NVXALIVE04").get_by_role("link").first.click()
    expect(page.locator("pre mark")).to_contain_text("0?")
    page.get_by_label("Corrected").fill(json.dumps(unknown | {"disposition_code": "1A"}))
    do(page, "Retry")
    expect(page.get_by_role("heading", name="Done: Read the dead letter again")).to_be_visible()
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_role("row", name="alice dead-letters retry")).to_be_visible()
    page.goto("/bills/NVXALIVE04")
    page.wait_for_function("() => fetch(location).then(r => r.text()).then(t => !t.includes('UNKNOWN_CODE'))")


def test_a_dead_letter_that_is_no_message_is_dismissed(page: Page, routed: Installation) -> None:
    log_in(page)
    (routed.folder / "prices.txt").write_text("our own price list")
    routed.command("ingest", "prices.txt")
    page.goto("/dead-letters")
    page.wait_for_function("() => fetch(location).then(r => r.text()).then(t => t.includes('prices.txt'))")
    page.reload()
    page.locator("tr", has_text="prices.txt").get_by_role("link").first.click()
    page.get_by_label("Why it is no message").fill("a price list")
    do(page, "Dismiss")
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_role("row", name="alice dead-letters dismiss")).to_be_visible()


def test_a_hold_by_phone_is_placed_and_lifted(page: Page, routed: Installation) -> None:
    log_in(page)
    ingest(routed, "quiet.jsonl", hold("NVXALIVE05", "2026-07-30T12:30:00Z", disposition_code="55"))
    expect(page.locator("#notices")).to_contain_text("NVXALIVE05")
    page.goto("/bills/NVXALIVE05")
    page.locator("input[name=code]").fill("6H")
    page.get_by_label("Who at CBP").first.fill("duty officer, Los Angeles")
    do(page, "Enter")
    page.wait_for_function("() => fetch(location).then(r => r.text()).then(t => t.includes('Must not be loaded'))")
    page.reload()
    expect(page.locator("main")).to_contain_text("manual")
    page.locator("select[name=action]").select_option("LIFT")
    page.get_by_label("Who at CBP").first.fill("duty officer, Los Angeles")
    do(page, "Enter")
    page.wait_for_function("() => fetch(location).then(r => r.text()).then(t => !t.includes('Must not be loaded'))")


def test_a_hold_by_phone_is_placed_on_a_bill_that_is_not_known(page: Page, routed: Installation) -> None:
    log_in(page)
    page.goto("/search?q=NVXAUNSEEN1")
    page.locator("main input[name=code]").fill("6H")
    page.get_by_label("Who at CBP").fill("duty officer, Los Angeles")
    page.get_by_label("Manifest carrier").fill("SLTC")
    do(page, "Place the hold")
    expect(page.locator("main")).to_contain_text("Must not be loaded")
    expect(page.locator("main")).to_contain_text("SLTC")


def test_an_outage_is_declared_shown_on_every_page_and_ended(page: Page, routed: Installation) -> None:
    log_in(page)
    page.goto("/feeds")
    page.locator("input[name=reason]").fill("ACE is down")
    page.locator("main input[name=port]").fill("2704")
    do(page, "Declare")
    page.wait_for_function("() => fetch('/').then(r => r.text()).then(t => t.includes('no news is not clearance'))")
    page.goto("/feeds")
    do(page, "It is over")
    page.wait_for_function("() => fetch('/').then(r => r.text()).then(t => !t.includes('no news is not clearance'))")


def test_a_viewer_sees_the_same_and_cannot_act(page: Page, routed: Installation) -> None:
    log_in(page, VIEWER)
    page.goto(f"/bills/{BILL}")
    expect(page.locator("main")).to_contain_text("RELEASED")
    assert page.locator("main form[method=post]").count() == 0


def test_the_keyboard_reaches_the_content(page: Page, routed: Installation) -> None:
    """One step from the top of any page."""
    log_in(page)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "To the content"
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("id") == "main"


def violations(page: Page, **options: object) -> list[tuple[str, str]]:
    found = Axe().run(page, options=options).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found]


@pytest.mark.parametrize("width", [1440, *(pytest.param(width, marks=pytest.mark.slow) for width in (390, 1920, 2560))])
def test_the_pages_are_accessible(page: Page, routed: Installation, width: int) -> None:
    """By axe (WCAG 2 A and AA, and best practices), light and dark; and on a phone nothing is scrolled sideways."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/login")
    found = violations(page)
    log_in(page)
    for path in PAGES:
        page.emulate_media(color_scheme="light")
        page.goto(path)
        found += violations(page)
        page.emulate_media(color_scheme="dark")
        found += violations(page, runOnly=["color-contrast"])
        page.set_viewport_size({"width": 390, "height": 844})
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{path} has to be scrolled sideways"
        page.set_viewport_size({"width": width, "height": 900})
    assert found == []


def test_keys_search_move_and_help_and_can_be_switched_off(page: Page, routed: Installation) -> None:
    log_in(page)
    page.goto("/parties")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("j/?")
    expect(page.locator("#q")).to_have_value("j/?")
    page.locator("main").focus()
    links = page.locator("main tbody a")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    page.get_by_label("No single keys").check()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(links.nth(1)).not_to_be_focused()


def test_the_clock_beside_utc_is_the_readers_choice_and_stays(chrome: Browser, installation: Installation) -> None:
    context = chrome.new_context(base_url=installation.address, timezone_id="Asia/Tokyo", locale="en-US")
    page = context.new_page()
    log_in(page)
    page.goto(f"/bills/{BILL}")
    time = page.locator("ol.timeline time").first
    port = time.locator("small")
    beside = "element => getComputedStyle(element, '::after').content"

    expect(time).to_have_text(re.compile(r"\d\dZ"))
    expect(port).to_have_text(re.compile("P[DS]T"))
    assert time.evaluate(beside) == "none"
    page.get_by_label("Times in").select_option("own")
    expect(port).to_be_hidden()
    assert "GMT+9" in time.evaluate(beside)
    page.goto("/audit")
    time = page.locator("main time").first
    expect(time).to_contain_text("Z")
    assert "GMT+9" in time.evaluate(beside)
    page.get_by_label("Times in").select_option("utc")
    assert time.evaluate(beside) == "none"
    context.close()
