"""A duty officer's questions about many bills, in a real browser with a running router."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.console.installation import Installation
from tests.console.test_browser import hold, ingest, log_in

expect.set_options(timeout=20_000)

STOPPED = 230
"""More do-not-loads than any page has."""
SHIP = {"vessel_name": "MANY BOXES", "imo_number": "9074729", "voyage_number": "77W", "carrier_scac": "SLTC"}


@pytest.fixture(scope="module")
def stopped(installation: Installation) -> Installation:
    """The installation with a running router, and many do-not-loads on one vessel."""
    installation.start("run")
    ingest(
        installation,
        "many.jsonl",
        *(
            hold(
                f"NVXAMANY{number:04}", "2026-07-30T12:00:00Z", port_of_unlading="2704",
                arrival_date="2026-08-02", container_numbers=[f"MSCU{number:06}"], **SHIP,
            )
            for number in range(STOPPED)
        ),
    )  # fmt: skip
    return installation


def all_indexed(page: Page) -> None:
    """Open the list of the vessel's do-not-loads once all are in it."""
    address = "/bills?vessel=MANY+BOXES&status=DO_NOT_LOAD&sort=bill"
    page.goto(address)
    page.wait_for_function(
        "([a, n]) => fetch(a).then(r => r.text()).then(t => t.includes(`of ${n},`))", arg=[address, STOPPED]
    )
    page.goto(address)


def shot(page: Page, name: str) -> None:
    """Keep a picture if a folder for them is named."""
    if folder := os.environ.get("SNP_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def bills_shown(page: Page) -> list[str]:
    return page.locator("table.bills tbody th").all_inner_texts()


def test_every_do_not_load_is_on_a_page(page: Page, stopped: Installation) -> None:
    log_in(page)
    all_indexed(page)
    shot(page, "bills")
    found: list[str] = []
    while True:
        found += bills_shown(page)
        following = page.get_by_role("link", name="Next")
        if not following.count():
            break
        following.click()
        page.wait_for_load_state()
    assert found == [f"NVXAMANY{number:04}" for number in range(STOPPED)]
    expect(page.locator("caption")).to_contain_text(f"Bills 201 to {STOPPED} of {STOPPED}")
    page.get_by_role("link", name="Previous").click()
    assert bills_shown(page) == found[100:200]


def test_all_rows_of_a_list_are_exported(page: Page, stopped: Installation) -> None:
    log_in(page)
    all_indexed(page)
    with page.expect_download() as download:
        page.get_by_role("link", name=f"All {STOPPED} as CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [row["bill"] for row in rows] == [f"NVXAMANY{number:04}" for number in range(STOPPED)]
    assert {(row["status"], row["holds"], row["arrival_date"]) for row in rows} == {("DO_NOT_LOAD", "6H", "2026-08-02")}


def test_held_bills_on_a_vessel_arriving_on_a_day_take_three_steps(page: Page, stopped: Installation) -> None:
    log_in(page)
    all_indexed(page)
    page.goto("/bills")
    page.get_by_label("Vessel or IMO").fill("many boxes")
    page.get_by_label("Arriving").fill("2026-08-02")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("caption")).to_contain_text(f"of {STOPPED}")
    expect(page.locator("table.bills tbody tr").first).to_contain_text("2704 Los Angeles, CA")
    wrong = page.request.get("/bills?vessel=many+boxes&arriving=soon")  # not the page: a 422 is an error there
    assert (wrong.status, "is no day" in wrong.text(), 'value="many boxes"' in wrong.text()) == (422, True, True)


def test_a_box_is_found_as_written_on_its_door(page: Page, stopped: Installation) -> None:
    log_in(page)
    page.get_by_label("Bill, container, entry, vessel").fill("CSQU 305438-3")
    page.keyboard.press("Enter")
    shot(page, "search")
    page.get_by_role("link", name="All of the box CSQU3054383").click()
    expect(page.get_by_role("heading", name="Box CSQU 305438-3")).to_be_visible()
    shot(page, "box")


def test_a_sailing_counts_its_bills_and_prints_its_do_not_loads(page: Page, stopped: Installation) -> None:
    log_in(page)
    page.goto("/sailings")
    expect(page.get_by_role("row", name="EXEMPLAR-026E")).to_contain_text("OCNX (operator)")
    shot(page, "sailings")
    page.get_by_role("link", name="EXEMPLAR-026E").click()
    expect(page.locator(".verdict")).to_contain_text("Arrived")
    shot(page, "sailing")
    page.get_by_role("link", name="Do-not-load list to print").click()
    page.emulate_media(media="print")
    expect(page.locator("header")).to_be_hidden()
    shot(page, "do-not-loads")


def test_selected_bills_are_confirmed_after_a_preview(page: Page, stopped: Installation) -> None:
    log_in(page)
    all_indexed(page)
    page.get_by_role("checkbox", name="Select NVXAMANY0000").check()
    page.get_by_role("checkbox", name="Select NVXAMANY0001").check()
    page.get_by_label("On what ground").fill("CBP's list")
    page.get_by_role("button", name="Preview 2 selected").click()
    expect(page.locator("main")).to_contain_text("2 of 2 bills")
    shot(page, "preview")
    for width in (390, 1300):
        page.set_viewport_size({"width": width, "height": 900})
        assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_role("heading", name="Done: Confirm 2 bills")).to_be_visible()
    expect(page.locator("main [role=status]")).to_contain_text("2 done, 0 left alone.")
    shot(page, "receipt")
    page.get_by_role("link", name="audit", exact=True).click()
    expect(page.get_by_role("row", name="alice bill confirm NVXAMANY0001")).to_be_visible()


def test_a_long_dead_letter_says_how_much_of_it_is_shown(page: Page, stopped: Installation) -> None:
    (stopped.folder / "long.txt").write_text("prices " * 20_000)
    stopped.command("ingest", "long.txt")
    log_in(page)
    page.goto("/dead-letters?text=long.txt")
    page.wait_for_function("() => fetch(location).then(r => r.text()).then(t => t.includes('as CSV'))")
    page.goto("/dead-letters?text=long.txt")
    page.locator("tr", has_text="long.txt").get_by_role("link").first.click()
    expect(page.locator("main")).to_contain_text("The first 100,000 characters of 140,000 bytes.")


@pytest.mark.parametrize("width", [1300, 390])
def test_a_full_list_is_accessible_and_fits(page: Page, stopped: Installation, width: int) -> None:
    log_in(page)
    all_indexed(page)
    page.set_viewport_size({"width": width, "height": 900})
    assert Axe().run(page).response["violations"] == []
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0
    shot(page, f"bills-{width}")
    height = page.locator("table.bills tbody tr").first.bounding_box()["height"]  # type: ignore[index]
    assert height < (110 if width == 1300 else 300)
