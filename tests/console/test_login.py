"""Logging in: guessing is slowed down, nobody is locked out by it, and all of it is audited."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser
from requests.adapters import HTTPAdapter

from tests.console.installation import OPERATOR, PASSWORD, VIEWER, Client, Installation


def test_logging_in_needs_no_scripts(installation: Installation, chrome: Browser) -> None:
    page = chrome.new_context(java_script_enabled=False).new_page()
    page.goto(installation.address)
    page.fill("#name", VIEWER)
    page.fill("#password", PASSWORD)
    page.click("text=Log in")
    assert page.url == f"{installation.address}/"
    assert "Notices" in page.content()


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
