"""Logging in: guessing is slowed down, nobody is locked out by it, and all of it is audited."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from requests.adapters import HTTPAdapter

from tests.console.installation import OPERATOR, PASSWORD, VIEWER, Client, Installation
from tests.desk.test_bill_index import BILL


def test_logging_in_needs_no_scripts(installation: Installation, chrome: Browser) -> None:
    page = chrome.new_context(java_script_enabled=False).new_page()
    page.goto(installation.address)
    page.fill("#name", VIEWER)
    page.fill("#password", PASSWORD)
    page.click("text=Log in")
    assert page.url == f"{installation.address}/"
    assert "As they happen" in page.content()


def test_one_address_cannot_guess_under_many_names(client: Client) -> None:
    guesser = from_address(client, "127.0.0.5")
    answers = [guesser.log_in(f"name{number}", "guess").status_code for number in range(22)]
    assert answers == [401] * 20 + [429] * 2
    assert from_address(client, "127.0.0.6").log_in(VIEWER).status_code == 303


def test_log_ins_and_refusals_are_audited_with_name_and_address(client: Client) -> None:
    visitor = from_address(client, "127.0.0.7")
    visitor.log_in(VIEWER, "wrong")
    visitor.log_in(PASSWORD, "typed into the wrong field")
    visitor.log_in(VIEWER)

    def rows(text: str) -> list[str]:
        return [row for row in re.findall("<tr>.*?</tr>", text, re.DOTALL) if "127.0.0.7" in row]

    seen = eventually(lambda: visitor.get("/audit").text, lambda text: len(rows(text)) == 3)
    assert sum("console log-in refused" in row for row in rows(seen)) == 2
    assert "a name that is no user&#39;s" in seen
    assert PASSWORD not in seen


def test_nobody_can_lock_a_user_out(installation: Installation, client: Client) -> None:
    assert from_address(client, "127.0.0.2").log_in().status_code == 303
    guesser = from_address(client, "127.0.0.3")
    assert [guesser.log_in(OPERATOR, "guess").status_code for _ in range(7)] == [401] * 5 + [429] * 2
    assert from_address(client, "127.0.0.4").log_in().status_code == 429, "the name is guarded from unknown addresses"
    assert from_address(client, "127.0.0.2").log_in().status_code == 303


def test_a_restart_of_the_console_forgets_no_address(installation: Installation, client: Client) -> None:
    known = from_address(client, "127.0.0.8")
    assert known.log_in(VIEWER).status_code == 303
    eventually(lambda: known.get("/audit").text, lambda text: "127.0.0.8" in text)
    installation.stop()
    installation.start_console()
    guesser = from_address(Client(installation.address), "127.0.0.9")
    for _ in range(6):
        guesser.log_in(VIEWER, "guess")
    assert from_address(guesser, "127.0.0.10").log_in(VIEWER).status_code == 429
    assert from_address(guesser, "127.0.0.8").log_in(VIEWER).status_code == 303


def test_a_session_outlives_a_restart(installation: Installation, page: Page) -> None:
    enter(page, f"/bills/{BILL}", OPERATOR)
    port = installation.address.rpartition(":")[2]
    installation.stop()
    installation.start_console(port)
    page.reload()
    expect(page.get_by_role("heading", name=BILL)).to_be_visible()


def test_a_log_in_leads_to_the_page_that_was_asked_for(installation: Installation, page: Page) -> None:
    enter(page, "/search?q=NVXA+%26", VIEWER)
    assert page.url == f"{installation.address}/search?q=NVXA+%26"


def test_a_form_sent_after_the_end_of_the_session_goes_on_after_the_log_in(
    installation: Installation, chrome: Browser
) -> None:
    page = chrome.new_context(base_url=installation.address).new_page()  # it reports the refusal as an error
    enter(page, "/feeds", OPERATOR)
    other = Client(installation.address)
    other.log_in()
    other.post("/logout", {"csrf": other.csrf()})
    page.locator("input[name=reason]").fill('ACE is "down"')
    page.get_by_role("button", name="Declare").click()
    expect(page.get_by_role("alert")).to_contain_text("you are logged out")
    assert Axe().run(page).response["violations"] == []
    fill_in(page, OPERATOR)
    expect(page.locator("dl")).to_contain_text('ACE is "down"')
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Go on with it").click()
    expect(page.get_by_role("heading", name="Declare an outage?")).to_be_visible()
    expect(page.locator("main")).to_contain_text('ACE is "down"')


def test_a_page_of_ticked_bills_waits_for_the_log_in_too(client: Client) -> None:
    ticked = {f"bill:NVXA{number}": "yes" for number in range(100)}
    client.log_in()
    csrf = client.csrf()
    client.session.cookies.clear()
    asked = client.post("/bills?status=HELD", {"csrf": csrf, "reason": "CBP's list", **ticked})
    assert asked.status_code == 401
    kept = dict(re.findall(r'<textarea name="(kept[^"]+)" hidden>\n(.*?)</textarea>', asked.text))
    assert len(kept) == 101
    answer = client.post("/login", {"name": OPERATOR, "password": PASSWORD, "next": "/bills?status=HELD", **kept})
    assert answer.status_code == 200
    assert 'action="/bills?status=HELD"' in answer.text
    assert answer.text.count('name="bill:NVXA') == 100


def test_an_admin_adds_a_user_who_then_logs_in(installation: Installation, page: Page) -> None:
    installation.command("console", "user", "add", "adam", "--role", "admin", stdin=f"{PASSWORD}\n")
    enter(page, "/users", "adam")
    assert Axe().run(page).response["violations"] == []
    page.locator("#add-form").get_by_label("Name").fill("nora")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Add or change").click()
    assert PASSWORD not in page.content()
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Yes, do it").click()
    page.get_by_label("Role of nora").select_option("operator")
    page.get_by_role("button", name="Change: nora").click()
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_role("heading", name="Done: Make nora operator")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.get_by_role("button", name="Log out", exact=True).click()
    enter(page, "/holds", "nora")
    expect(page.get_by_role("button", name="Place the hold")).to_be_visible()
    expect(page.get_by_role("link", name="Users")).to_have_count(0)


def test_a_link_from_another_site_needs_no_second_log_in(installation: Installation, page: Page) -> None:
    """Browsers keep a strict cookie back from such a request."""
    enter(page, "/", VIEWER)
    other_site = installation.address.replace("127.0.0.1", "localhost")
    page.goto(f"{other_site}/login")
    link = f"{installation.address}/bills/{BILL}"
    page.evaluate("link => { location.href = link }", link)
    expect(page.get_by_role("heading", name=BILL)).to_be_visible()
    assert page.url == link


def enter(page: Page, path: str, name: str) -> None:
    page.goto(path)
    fill_in(page, name)


def fill_in(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def from_address(client: Client, address: str) -> Client:
    """A client on another address of this machine."""
    made = Client(client.address)
    made.session.mount("http://", SourceAddressAdapter(address))
    return made


class SourceAddressAdapter(HTTPAdapter):
    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **options)  # type: ignore[no-untyped-call]


def eventually(ask: Callable[[], str], holds: Callable[[str], bool]) -> str:
    deadline = time.monotonic() + 10
    while not holds(text := ask()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert holds(text)
    return text
