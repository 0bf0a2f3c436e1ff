"""An outage day in a real browser with a running router, without a shell."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.console.installation import Installation
from tests.console.test_browser import do, log_in

expect.set_options(timeout=20_000)

FILED = """scac,bill_of_lading,carrier_scac,imo_number,voyage_number,container_numbers
SLTC,E1,SLTC,9074729,S26E,MSCU000001
"""


@pytest.fixture(scope="module")
def routed(installation: Installation) -> Installation:
    installation.start("run")
    return installation


def enter(page: Page, form: str, **fields: str) -> None:
    for name, value in fields.items():
        page.locator(f"#{form}-form [name={name}]").fill(value)


def test_a_day_without_cbp_needs_no_shell(page: Page, routed: Installation) -> None:
    log_in(page)
    page.goto("/feeds")
    enter(page, "declare", reason="cyberattack", carrier="SLTC", port="2704", until="5h")
    do(page, "Declare")
    page.get_by_role("link", name="cyberattack").click()
    expect(page.get_by_role("heading", name="Checklist for port 2704")).to_be_visible()
    page.get_by_role("link", name="outage change").first.click()
    enter(page, "change", ticket="4711")
    do(page, "Change")
    expect(page.locator("dl").first).to_contain_text("4711")
    expect(page.locator(".checklist")).to_contain_text("ticket number: 4711")
    for number in (1, 2):
        page.get_by_role("link", name="paper add").first.click()
        enter(page, "paper", bill=f"SLTCPAPER{number}", delivered_at="3h", imo_number="9074729", voyage_number="S26E")
        enter(page, "paper", container_numbers=f"MSCU00000{number}", snps="HARX")
        do(page, "Register")
        expect(page.get_by_role("row", name=f"SLTCPAPER{number}")).to_contain_text("min left")
    expect(page.get_by_role("heading", name="On paper: 2")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("link", name="Enter a hold that CBP gives by telephone").click()
    enter(page, "place", bill="SLTCPAPER1", code="6H", source="duty officer, Los Angeles")
    do(page, "Place the hold")
    expect(page.locator("main")).to_contain_text("Must not be loaded")
    (routed.folder / "filed.csv").write_text(FILED)
    routed.command("import", "filings", "filed.csv")  # the line's own system, which is back
    page.goto("/feeds")
    page.get_by_role("link", name="cyberattack").click()
    expect(page.locator(".checklist")).to_contain_text("must not be loaded: 1")
    page.get_by_role("link", name="Propose matches").click()
    while not page.get_by_role("row", name="SLTCPAPER1 SLTCE1").count():  # once the filing is routed
        page.reload()
    expect(page.get_by_role("row", name="SLTCPAPER1 SLTCE1")).to_contain_text("containers")
    do(page, "Match")
    expect(page.get_by_role("row", name="SLTCPAPER1")).to_contain_text("filed as SLTCE1")
    do(page, "It is over")
    expect(page.locator("#change-form")).to_have_count(0)
    expect(page.get_by_text("no news is not clearance")).to_have_count(0)
    page.goto("/bills/SLTCE1")
    expect(page.locator("main")).to_contain_text("Must not be loaded")
    page.goto("/audit")
    done = re.findall(
        "outage declare|outage change|paper add|paper match|outage end", page.locator("main").inner_text()
    )
    assert done == ["outage end", "paper match", "paper add", "paper add", "outage change", "outage declare"]
