"""The five questions on SQLite, and what open pages say while so many bills are indexed anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.console import night
from tests.console.five_questions import Desk, FiveQuestions, Hands
from tests.console.installation import Installation
from tests.console.test_unknown import REASSURING


@pytest.fixture(scope="module")
def size() -> int:
    return night.BILLS


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("night"))
    yield made
    made.stop()


TABS = (
    "/", "/bills", f"/bills/{night.bill(night.BY_DAY, 'HTOM', 5)}", "/boxes/CSQU3054383", "/search?q=NIGHT+WATCH",
    "/sailings", f"/sailings/00-{night.VOYAGE}", "/parties", "/parties/SLTC", "/feeds", "/waiting", "/audit",
)  # fmt: skip
NOTES = """
    window.notes = [];
    window.reassuring = [];
    const look = () => {
        const note = document.querySelector("#page > .note")?.textContent ?? "";
        if (!note.includes("the index is being built")) return;
        if (notes.at(-1) !== note) notes.push(note);
        reassuring.push(...words.filter((one) => document.getElementById("main").innerText.includes(one)));
    };
    addEventListener("DOMContentLoaded", () => {
        look();
        new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
"""
"""Keeps what a page says while the index is being built."""
REBUILT_MILLISECONDS = 300_000
SHARE = re.compile(r"the index is being built, (\d+) % of [\d,]+ records are in it")


LISTS = (
    "/", "/bills?do_not_load=yes", "/search?q=DAY", "/sailings", f"/sailings/00-{night.VOYAGE}", "/parties/OCNX",
    "/waiting", "/audit",
)  # fmt: skip
TABLES = """() => [...document.querySelectorAll("main table:not(#notices)")].map((table) => {
    const around = (table.closest("section") ?? document.getElementById("main")).cloneNode(true);
    for (const rows of around.querySelectorAll("tbody")) rows.remove();
    return [table.querySelectorAll("tbody tr").length, around.textContent.replaceAll(",", "")];
})"""
"""The number of rows of each table, and the text around it. Notices as they happen are no list but a window."""
FEW_ROWS, MOST_ROWS = 15, 100


class TestOnSQLite(FiveQuestions):
    def test_no_list_is_cut_without_its_count_and_none_is_too_long(self, hands: Hands) -> None:
        for path in LISTS:
            hands.page.goto(path)
            for rows, text in hands.page.evaluate(TABLES):
                assert rows <= MOST_ROWS, path
                counts = [int(number) for number in re.findall(r"\b\d+\b", text)]
                if rows > FEW_ROWS:
                    counted = rows in counts or re.search(rf"\b{rows} of (all )?\d+", " ".join(text.split()))
                    assert counted, (path, rows, text)

    def test_open_tabs_say_how_far_the_index_is_and_go_on_by_themselves(self, desk: Desk, chrome: Browser) -> None:
        """Twelve tabs, while the console is stopped, loses its index, and is started again."""
        installation = desk.installation
        desk.feed.pause.set()
        context = chrome.new_context(base_url=installation.address, storage_state=desk.session)
        context.set_default_timeout(REBUILT_MILLISECONDS)
        context.add_init_script(f"const words = {json.dumps(REASSURING)};{NOTES}")
        tabs = {path: context.new_page() for path in TABS}
        for path, tab in tabs.items():
            tab.goto(path)
        headings = {path: tab.locator("h1").inner_text() for path, tab in tabs.items()}
        typed = [
            tabs["/feeds"].locator("input[name=reason]"),
            tabs[TABS[2]].locator("#by-hand-form input[name=ticket]"),
        ]
        for field in typed:
            field.fill("half typed")

        assert "Traceback" not in installation.end_console()
        for tab in tabs.values():
            expect(tab.locator("#as-of")).to_contain_text("Cut off: the console does not answer")
        for file in installation.folder.glob("snp-console.db*"):
            file.unlink()
        installation.start_console(installation.address.rpartition(":")[2])

        for path, tab in tabs.items():
            tab.wait_for_function("() => notes.length > 0")
            tab.wait_for_function("() => !document.querySelector('#page > .note')")
            expect(tab.locator("#as-of")).to_have_class("as-of fresh")
            assert tab.locator("h1").inner_text() == headings[path]
            assert tab.evaluate("reassuring") == []
        shares = [int(found[1]) for note in tabs["/"].evaluate("notes") if (found := SHARE.search(note))]
        assert shares, "with its progress"
        assert shares == sorted(shares)
        unread = desk.truth.unread
        expect(tabs["/"].locator(".tiles")).to_contain_text(f"{sum(map(len, unread.values()))} unread by 2 parties")
        for field in typed:
            expect(field).to_have_value("half typed")
        context.close()
