"""The five questions of a desk, each answered within three interactions from the first page.

A module that has the class also has the fixtures `size`, a number of bills, and `installation`, with an empty log. With
the marker `slow` they are asked at every width and in the dark.
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from tests.console import night
from tests.console.installation import Client, Installation
from tests.console.night import LiveFeed, Night
from tests.console.test_browser import log_in
from tests.console.test_live_pages import violations

expect.set_options(timeout=30_000)

INTERACTIONS: Final = 3
INDEXED_SECONDS: Final = 300

VIEWS: Final = [
    pytest.param((1440, "light"), id="1440"),
    *(
        pytest.param((width, scheme), id=f"{width} {scheme}", marks=pytest.mark.slow)
        for width, scheme in ((1440, "dark"), (1920, "light"), (1920, "dark"), (390, "light"), (390, "dark"))
    ),
]


SHOWS_OR_LATER: Final = (
    "(number) => [...document.querySelectorAll('#notices a.bill')].some((one) => one.textContent.slice(4) >= number)"
)
"""True once the latest notices include this bill's, or all are later."""


class Desk(NamedTuple):
    installation: Installation
    truth: Night
    feed: LiveFeed
    session: StorageState


class Hands:
    """A person at the desk, who interacts with a page at most three times: a click, or typing and Enter."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.done: list[str] = []

    def click(self, what: Locator) -> None:
        self._count(f"click {what}")
        what.click()

    def enter(self, text: str, where: Locator) -> None:
        self._count(f"type {text}")
        where.fill(text)
        where.press("Enter")

    def search(self, text: str) -> None:
        self.enter(text, self.page.get_by_label("Bill, container, entry, vessel"))

    def _count(self, interaction: str) -> None:
        self.done.append(interaction)
        assert len(self.done) <= INTERACTIONS, self.done


def bills_in(table: Locator) -> list[str]:
    return table.locator("a.bill").all_inner_texts()


class FiveQuestions:
    @pytest.fixture(scope="module")
    @classmethod
    def desk(cls, installation: Installation, size: int, chrome: Browser) -> Iterator[Desk]:
        """The morning after the night: everything is indexed, and the feed goes on."""
        truth = night.prepare_night(installation, size)
        installation.add_users()
        installation.start_console()
        client = Client(installation.address)
        client.log_in()
        until = time.monotonic() + INDEXED_SECONDS
        while "being built" in (page := client.get("/").text) or "<b>?</b>" in page:
            assert time.monotonic() < until, page
            time.sleep(0.2)
        context = chrome.new_context(base_url=installation.address)
        log_in(context.new_page())
        session = context.storage_state()
        context.close()
        with night.live_feed(installation) as feed:
            yield Desk(installation, truth, feed, session)

    @pytest.fixture(params=VIEWS)
    def hands(self, request: pytest.FixtureRequest, desk: Desk, chrome: Browser) -> Iterator[Hands]:
        """The first page, just opened. In the end the answer fits, and the browser complained of nothing."""
        width, scheme = request.param
        context = chrome.new_context(
            base_url=desk.installation.address, storage_state=desk.session, color_scheme=scheme,
            viewport={"width": width, "height": 900},
        )  # fmt: skip
        context.set_default_timeout(30_000)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/")
        yield Hands(page)
        assert complaints == []
        if request.node.get_closest_marker("slow"):  # else axe is asked about each page elsewhere, with shorter tables
            assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        context.close()

    def test_which_do_not_loads_are_unread_by_whom_and_whom_do_i_call(self, hands: Hands, desk: Desk) -> None:
        page, unread = hands.page, desk.truth.unread
        everything = sum(map(len, unread.values()))
        expect(page.locator(".tiles")).to_contain_text(f"{everything} unread by {len(unread)} parties")
        expect(page.locator("ul.cards > li")).to_have_count(len(unread))
        for party, bills in unread.items():
            card = page.locator(f"#card-{party}")
            name, phone = night.PARTIES[party]
            expect(card).to_contain_text(name)
            expect(card).to_contain_text(f"{len(bills)} unread do-not-loads")
            expect(card.get_by_role("link", name=phone)).to_have_attribute("href", f"tel:{phone.replace(' ', '')}")
        assert sorted(bills_in(page.locator("#card-HARX"))) == sorted(unread["HARX"])
        hands.click(page.locator("#card-SLTC").get_by_role("link", name=re.compile(r"and \d+ more")))
        expect(page.get_by_role("heading", name="SLTC Slot Charterer")).to_be_visible()
        assert sorted(bills_in(page.locator("main table"))) == sorted(unread["SLTC"])

    def test_what_is_the_status_of_a_box(self, hands: Hands, desk: Desk) -> None:
        page = hands.page
        hands.search(night.BOX)
        hands.click(page.get_by_role("link", name="All of the box CSQU3054383"))
        expect(page.get_by_role("heading", name=f"Box {night.BOX}")).to_be_visible()
        expect(page.locator(".verdict")).to_have_text("Stopped: by 2 of 2 known bills.")
        for bill, allows in desk.truth.in_box.items():
            row = page.locator("main tr", has=page.get_by_role("link", name=bill, exact=True)).first
            expect(row.locator("td").first).to_have_text(allows)
        expect(page.locator("main")).to_contain_text("7H non-intrusive inspection (NII or VACIS) hold")

    def test_why_did_a_party_not_hear_of_it(self, hands: Hands, desk: Desk) -> None:
        page, bill = hands.page, desk.truth.not_told_of
        hands.search(f"{bill[:4]} {bill[4:]}")
        hands.click(page.get_by_role("link", name=bill, exact=True))
        hands.enter(night.NOT_TOLD, page.get_by_label("Was another party notified, and why?"))
        asked = page.locator("section[aria-labelledby=asked]")
        expect(asked).to_contain_text(f"{night.NOT_TOLD} was not notified")
        expect(asked).to_contain_text(f"charterer, aboard 00-{night.VOYAGE}, granted only its own bills")

    def test_all_held_bills_on_a_vessel_that_arrives_tomorrow(self, hands: Hands, desk: Desk) -> None:
        page, held = hands.page, desk.truth.held
        hands.search(night.VESSEL)
        aboard = page.locator("section[aria-labelledby=vessels] tr", has_text=night.VESSEL)
        hands.click(aboard.get_by_role("link", name=str(len(held) + night.HELD_LATER), exact=True))
        hands.enter("tomorrow", page.get_by_label("Arriving"))
        expect(page.locator("caption")).to_contain_text(f"Bills 1 to 100 of {len(held)}")
        assert page.locator("table.bills tbody th").all_inner_texts() == held[:100]
        link = page.get_by_role("link", name=f"All {len(held)} as CSV").get_attribute("href")
        rows = list(csv.DictReader(io.StringIO(page.request.get(link or "").text())))
        assert [row["bill"] for row in rows] == held
        assert {(row["status"], row["arrival_date"]) for row in rows} == {("HELD", desk.truth.tomorrow)}

    def test_what_happened_while_i_slept(self, hands: Hands, desk: Desk) -> None:
        page, truth = hands.page, desk.truth
        hands.click(page.get_by_role("link", name="Handover"))
        hands.enter(truth.since, page.get_by_label("Since"))
        hands.enter(truth.until, page.get_by_label("Until"))

        def rows(section: str) -> Locator:
            return page.locator(f"section[aria-labelledby={section}] tbody tr")

        for section, bills in [
            ("do_not_load", truth.stopped),
            ("hold_placed", truth.stopped),
            ("hold_ended", truth.allowed),
            ("release", truth.released),
        ]:
            expect(rows(section)).to_have_count(len(bills))
            assert sorted(rows(section).locator("a.bill").all_inner_texts()) == sorted(bills)
        for row in rows("do_not_load").all():
            expect(row.locator("b")).to_have_text("SLTC")
            expect(row).to_contain_text(", ".join(sorted(night.HAVE_READ)))
        expect(rows("dead_letter")).to_have_count(1)
        expect(rows("dead_letter")).to_contain_text("prices.txt")
        expect(page.locator("#outage")).to_have_text("Outages: none")

    def test_the_feed_goes_on_beside_all_this(self, hands: Hands, desk: Desk) -> None:
        latest = str(desk.feed.fed[-1]["bill_of_lading"])
        hands.page.wait_for_function(SHOWS_OR_LATER, arg=latest)
        expect(hands.page.locator("#as-of")).to_have_class("as-of fresh")
        assert hands.done == []
