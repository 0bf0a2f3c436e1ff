"""A console in the test's own process, and its pages as a logged-in operator sees them."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from router.console import AccessSettings, ConsoleSettings
from router.console.application import serve_console
from router.console.sessions import OPERATOR, Users
from router.engine.administration import prepare
from router.log.interface import AdministeredLog
from router.log.url import open_log
from tests.desk.installation import RULES

PASSWORD = "correct horse battery"


class Desk:
    def __init__(self, address: str) -> None:
        self.address = f"http://{address}"
        self.client = aiohttp.ClientSession(self.address, cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str) -> str:
        async with self.client.get(path) as answer:
            return await answer.text()

    async def shown(self, text: str, path: str) -> str:
        """The page once it shows the text."""
        page = ""
        try:
            async with asyncio.timeout(20):
                while text not in (page := await self.get(path)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{path} never showed {text!r}:\n{page}") from None
        return page

    async def send(self, path: str, fields: dict[str, str]) -> tuple[int, str]:
        """The answer to a form, with this session's token."""
        (csrf, *_) = re.findall('name="csrf" value="([^"]+)"', await self.get("/"))
        async with self.client.post(path, data={"csrf": csrf} | fields) as answer:
            return answer.status, await answer.text()

    async def do(self, path: str, fields: dict[str, str]) -> tuple[str, str]:
        """Send a form and confirm its preview; return both, the second with the receipt."""
        status, preview = await self.send(path, fields)
        assert status == 200, preview
        (token,) = re.findall('name="previewed" value="([^"]+)"', preview)
        sent = re.findall(r'<textarea name="([^"]+)" hidden>\n(.*?)</textarea>', preview, re.DOTALL)
        kept = {name: html.unescape(value) for name, value in sent}
        status, page = await self.send(path, fields | kept | {"previewed": token})
        assert (status, "Done: " in page) == (200, True), page
        return preview, page


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[tuple[AdministeredLog, Desk]]:
    """An empty log, and an operator's desk on it."""
    Users(folder / "users.json").put("anna", OPERATOR, PASSWORD)
    access = AccessSettings(users_file=folder / "users.json", secure_cookie=False)
    made = ConsoleSettings(index_file=folder / "index.db", access=access)
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        await prepare(log, 1)
        async with serve_console(log, RULES, made, "127.0.0.1:0") as address:
            anna = Desk(address)
            try:
                await anna.client.post("/login", data={"name": "anna", "password": PASSWORD})
                yield log, anna
            finally:
                await anna.client.close()
