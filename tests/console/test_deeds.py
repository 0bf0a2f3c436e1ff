"""Forms of the bill's page: a hold is cleared by one user and confirmed by another, on what the page showed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp

from router.console import AccessSettings, ConsoleSettings
from router.console.application import serve_console
from router.console.sessions import OPERATOR, Users
from router.engine.administration import prepare
from router.engine.intake import event_outputs
from router.engine.worker import Worker
from router.feeds.formats import read_events
from router.log.interface import Log
from router.log.url import open_log
from router.model.inputs import Disposition
from tests.cli.conftest import BILL, event_line
from tests.desk.installation import QUICK, RULES

PASSWORD = "correct horse battery"
EVENTS = (
    {"disposition_code": "55", "action_at": "2026-07-15T07:00", "quantity": 120},
    {"disposition_code": "1H", "action_at": "2026-07-15T08:00"},
    {"disposition_code": "1C", "action_at": "2026-07-15T09:00", "quantity": 120},
)
WHY = {"source": "J. Smith, CBP", "reason": "removal lost", "ticket": "4711"}


class Page:
    """The bill's page as a logged-in operator sees it."""

    def __init__(self, address: str) -> None:
        self.client = aiohttp.ClientSession(f"http://{address}", cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def log_in(self, name: str) -> None:
        await self.client.post("/login", data={"name": name, "password": PASSWORD})

    async def shown(self, text: str) -> str:
        """The page once it shows the text."""
        async with asyncio.timeout(20):
            while True:
                async with self.client.get(f"/bills/{BILL}") as answer:
                    page = await answer.text()
                if text in page:
                    return page
                await asyncio.sleep(0.05)

    async def send(self, form: str, page: str, **fields: str) -> tuple[int, str]:
        """Send a form as that page has it, with this user's own token."""
        pages = {"csrf": await self.shown("csrf"), "seen": page}
        hidden = {name: re.findall(rf'name="{name}" value="([^"]+)"', one)[-1] for name, one in pages.items()}
        async with self.client.post(f"/bills/{BILL}/{form}", data=hidden | fields, allow_redirects=False) as answer:
            return answer.status, await answer.text()


async def route(log: Log, *events: dict[str, object]) -> None:
    lines = "".join(event_line(**event) for event in events).encode()
    read = [one for one in read_events((lines,), "events.jsonl", 0) if isinstance(one, Disposition)]
    await log.append([output for one in read for output in event_outputs(one, RULES.codes.is_urgent)], atomic=True)
    await Worker(log, RULES, QUICK, until_idle=True).run()


async def test_one_user_clears_and_another_confirms(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json")
    for name in ("anna", "ben"):
        users.put(name, OPERATOR, PASSWORD)
    access = AccessSettings(users_file=tmp_path / "users.json", secure_cookie=False)
    settings = ConsoleSettings(index_file=tmp_path / "index.db", access=access)
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        await route(log, *EVENTS)
        async with serve_console(log, RULES, settings, "127.0.0.1:0") as address:
            anna, ben = Page(address), Page(address)
            try:
                await anna.log_in("anna")
                await ben.log_in("ben")
                old = await anna.shown("sent no removal")
                assert (await anna.send("clear", old, hold="0", **WHY))[0] == 303
                await route(log)
                page = await anna.shown("cleared by console:anna")
                code, text = await ben.send("clear", old, hold="0", **WHY)
                assert (code, "has changed since you saw it" in text) == (422, True)
                code, text = await anna.send("confirm", page, reason="by phone")
                assert (code, "another person has to confirm that" in text) == (422, True)
                assert (await ben.send("confirm", page, reason="by phone"))[0] == 303
                await route(log)
                await ben.shown("May be delivered")
            finally:
                await anna.client.close()
                await ben.client.close()
