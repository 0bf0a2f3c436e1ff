"""Pages fit every window, a stop is told without colour, and paper has all that it must."""

from __future__ import annotations

import io
import re

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from router.model.identifiers import container_check_digit
from tests.console.installation import PAGES, Installation
from tests.console.test_browser import hold, ingest, log_in
from tests.desk.test_bill_index import BILL

expect.set_options(timeout=20_000)

LISTED = 60
"""Do-not-loads of one sailing: more than a sheet of paper has room for."""
ABOARD = {
    "vessel_name": "OCEAN EXEMPLAR", "imo_number": "9074729", "voyage_number": "S26E", "carrier_scac": "SLTC",
    "port_of_unlading": "2704", "arrival_date": "2026-07-28",
}  # fmt: skip
HEAVY, HELD, PARTIAL = "NVXAHEAVY00001", "HARXHELD000001", "HARXPARTIAL001"

MISFITS = """() => {
  const root = document.documentElement;
  const found = root.scrollWidth > root.clientWidth ? [`the page by ${root.scrollWidth - root.clientWidth}`] : [];
  for (const one of document.querySelectorAll("main *, header *")) {
    const fits = one.scrollWidth <= one.clientWidth + 1 || getComputedStyle(one).overflowX === "visible";
    if (fits || !one.clientWidth || one.closest("pre, .unseen, thead, dialog")) continue;
    found.push(`${one.tagName} ${one.textContent.trim().slice(0, 40)}`);
  }
  return found;
}"""
"""Elements that are cut off or have to be scrolled sideways; content of a dead letter may."""


def box(number: int) -> str:
    serial = f"CSQU{number:06}"
    return f"{serial}{container_check_digit(serial)}"


def listed(number: int) -> dict[str, object]:
    return hold(f"NVXALISTED{number:03}", "2026-07-14T12:00:00Z", container_numbers=[box(number)], **ABOARD)


@pytest.fixture(scope="module")
def laden(installation: Installation) -> Installation:
    """The installation with a bill of many boxes, holds and decisions, bills of other statuses, and a long list."""
    boxes = [box(900 + number) for number in range(40)]
    whole = {"quantity": 400, "snps": ["SLTC", "HARX"], "container_numbers": boxes}
    of_harx = ABOARD | {"carrier_scac": "HARX", "voyage_number": "HX026", "snps": [], "quantity": 10}
    ingest(
        installation,
        "laden.jsonl",
        hold(HEAVY, "2026-07-10T12:00:00Z", disposition_code="55", **ABOARD, **whole),
        *(
            hold(HEAVY, f"2026-07-11T{n % 24:02}:{n:02}:00Z", disposition_code=code, container_level=True,
                 remarks="DESCRIPTION VAGUE", **ABOARD, **whole | {"container_numbers": [boxes[n]], "quantity": 10})
            for n in range(40) for code in ("1H", "6H", "7H")[: n % 3 + 1]
        ),
        hold(HELD, "2026-07-10T12:00:00Z", disposition_code="55", **of_harx),
        hold(HELD, "2026-07-11T12:00:00Z", disposition_code="1H", **of_harx),
        hold(PARTIAL, "2026-07-10T12:00:00Z", disposition_code="55", **of_harx),
        hold(PARTIAL, "2026-07-11T12:00:00Z", disposition_code="1C", **(of_harx | {"quantity": 4})),
        *map(listed, range(LISTED)),
    )  # fmt: skip
    installation.command("run", "--until-idle")
    return installation


@pytest.fixture
def desk(page: Page, laden: Installation) -> Page:
    log_in(page)
    page.goto("/sailings/EXEMPLAR-026E/do-not-loads")
    page.wait_for_function(
        f"() => fetch(location).then(r => r.text()).then(t => t.includes('{listed(LISTED - 1)['bill_of_lading']}'))"
    )
    return page


def printed(page: Page, path: str) -> list[str]:
    """The text of each page on paper."""
    page.goto(path)
    return [one.extract_text() for one in PdfReader(io.BytesIO(page.pdf(format="Letter"))).pages]


@pytest.mark.parametrize(
    ("bill", "verdict", "kind"),
    [(HEAVY, "Must not be loaded.", "stop"), (HELD, "May not be delivered.", "bad"),
     (PARTIAL, "May not be delivered.", "doubtful"), (BILL, "May be delivered at port 2704.", "good")],
)  # fmt: skip
def test_a_verdict_is_seen_at_once_and_not_by_its_colour_only(desk: Page, bill: str, verdict: str, kind: str) -> None:
    desk.set_viewport_size({"width": 390, "height": 844})
    desk.goto(f"/bills/{bill}")
    band = desk.locator(".verdict")
    expect(band).to_contain_text(verdict)
    expect(band).to_have_class(f"verdict {kind}")
    place = band.bounding_box()
    assert place is not None
    assert place["y"] + place["height"] < 844
    assert band.evaluate("one => getComputedStyle(one, '::before').clipPath").startswith("polygon")


def test_a_row_on_a_phone_names_its_cells(desk: Page) -> None:
    desk.set_viewport_size({"width": 390, "height": 844})
    desk.goto("/bills?vessel=OCEAN+EXEMPLAR&status=DO_NOT_LOAD")
    cell = desk.locator("table.bills tbody tr").first.locator("td.since")
    assert cell.evaluate("one => getComputedStyle(one, '::before').content") == '"Since "'
    expect(desk.get_by_role("link", name="Arrival")).to_be_visible()


def test_a_bill_is_printed_on_one_page_and_says_what_it_leaves_out(desk: Page) -> None:
    (text,) = printed(desk, f"/bills/{HEAVY}")
    assert "Must not be loaded." in text
    assert "page 1 of 1" in text
    assert re.search(r"And \d+ more of 40: see the console", text)
    assert "Who at CBP" not in text
    assert len(printed(desk, f"/bills/{BILL}")) == 1


def test_the_do_not_load_list_is_printed_whole_with_its_heading_on_each_page(desk: Page) -> None:
    pages = printed(desk, "/sailings/EXEMPLAR-026E/do-not-loads")
    assert len(pages) > 1
    for number, text in enumerate(pages, 1):
        assert f"page {number} of {len(pages)}" in text
        assert re.search(r"Do not load: OCEAN EXEMPLAR, EXEMPLAR-026E. As of \d{4}-", text)
    whole = "".join(pages)
    assert [n for n in range(LISTED) if f"NVXALISTED{n:03}" not in whole or box(n) not in whole] == []
    assert whole.count("\N{BALLOT BOX}") >= LISTED


def test_lists_and_the_handover_are_printed_without_their_forms(desk: Page) -> None:
    assert "NVXALISTED000" in "".join(printed(desk, "/bills?vessel=OCEAN+EXEMPLAR&status=DO_NOT_LOAD"))
    text = "".join(printed(desk, "/handover?since=2026-07-01T00:00"))
    assert "new do-not-load" in text
    assert "Log out" not in text


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 768, 1920, 2560])
def test_nothing_is_cut_off_at_any_width(desk: Page, width: int) -> None:
    desk.set_viewport_size({"width": width, "height": 900})
    for path in (*PAGES, f"/bills/{HEAVY}", f"/bills/{HELD}", "/holds"):
        desk.goto(path)
        assert desk.evaluate(MISFITS) == [], path
