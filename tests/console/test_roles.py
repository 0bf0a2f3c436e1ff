"""Each role may do what its table says and nothing else; an address that no table names fails."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from router import topics
from router.console import AccessSettings, ConsoleSettings
from router.console.application import ALL_ROUTES, serve_console
from router.console.sessions import ADMIN, OPERATOR, ROLES, VIEWER, User, Users
from router.engine.administration import import_parties, prepare
from router.log.interface import AdministeredLog
from router.log.url import open_log
from router.model.registry_values import Party
from tests.console.test_outage_day import route
from tests.desk.installation import RULES

LEAST_ROLE: Final = {
    "/bills": OPERATOR,
    "/bills/{bill}/by-hand": OPERATOR,
    "/bills/{bill}/clear": OPERATOR,
    "/bills/{bill}/confirm": OPERATOR,
    "/dead-letters/{letter}/accept": OPERATOR,
    "/dead-letters/{letter}/dismiss": OPERATOR,
    "/dead-letters/{letter}/retry": OPERATOR,
    "/holds": OPERATOR,
    "/looked": VIEWER,
    "/outages": OPERATOR,
    "/outages/{outage}/change": OPERATOR,
    "/outages/{outage}/end": OPERATOR,
    "/outages/{outage}/match": OPERATOR,
    "/outages/{outage}/paper": OPERATOR,
    "/parties/{party}/called": OPERATOR,
    "/parties/{party}/live": ADMIN,
    "/parties/{party}/resync": OPERATOR,
    "/parties/{party}/suspend": ADMIN,
    "/users": ADMIN,
    "/users/log-out": ADMIN,
    "/users/remove": ADMIN,
    "/users/role": ADMIN,
}
"""The least role of each address that takes a form; also in docs/console.md."""
EVERYBODYS: Final = {"/login", "/logout"}
ADMINS_PAGES: Final = {"/users"}

PASSWORD: Final = "correct horse battery"
NAMES: Final = {VIEWER: "victor", OPERATOR: "olga", ADMIN: "adam"}


class Console:
    """The console's addresses, and a logged-in user of each role."""

    def __init__(self, address: str, log: AdministeredLog, users: Users) -> None:
        self.log, self.users = log, users
        self.clients = {
            role: aiohttp.ClientSession(f"http://{address}", cookie_jar=aiohttp.CookieJar(unsafe=True))
            for role in ROLES
        }

    async def log_in(self, role: str, password: str = PASSWORD) -> int:
        data = {"name": NAMES[role], "password": password}
        async with self.clients[role].post("/login", data=data, allow_redirects=False) as answer:
            return answer.status

    async def get(self, role: str, path: str) -> tuple[int, str]:
        async with self.clients[role].get(path, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def send(self, role: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
        _, page = await self.get(role, "/")
        (csrf, *_) = re.findall('name="csrf" value="([^"]+)"', page)
        async with self.clients[role].post(path, data={"csrf": csrf} | (fields or {})) as answer:
            return answer.status, await answer.text()

    async def do(self, path: str, fields: dict[str, str]) -> str:
        """Do an admin's deed; return the page with the receipt."""
        status, preview = await self.send(ADMIN, path, fields)
        assert status == 200, preview
        assert fields.get("password", "no password") not in preview
        (token,) = re.findall('name="previewed" value="([^"]+)"', preview)
        kept = dict(re.findall(r'<textarea name="([^"]+)" hidden>\n(.*?)</textarea>', preview, re.DOTALL))
        status, page = await self.send(ADMIN, path, kept | {"previewed": token})
        assert (status, "Done: " in page) == (200, True), page
        return page

    async def audited(self) -> list[str]:
        """Names, actions and subjects of the deeds on users and parties."""
        found = []
        async for batch in self.log.read([topics.AUDIT], until_end=True):
            found += [record.value or b"" for record in batch]
        return [text.decode(errors="replace") for text in found]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Console]:
    users = Users(folder / "users.json")
    for role, name in NAMES.items():
        users.put(name, role, PASSWORD)
    access = AccessSettings(users_file=folder / "users.json", secure_cookie=False)
    settings = ConsoleSettings(index_file=folder / "index.db", access=access)
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        await prepare(log, 1)
        await import_parties(log, [Party("SLTC", status="certifying"), Party("NVXA")])
        async with serve_console(log, RULES, settings, "127.0.0.1:0") as address:
            console = Console(address, log, users)
            try:
                for role in ROLES:
                    assert await console.log_in(role) == 303
                yield console
            finally:
                for client in console.clients.values():
                    await client.close()


def addresses(method: str) -> set[str]:
    """The addresses of the console's routes that take this method."""
    return {route.path for route in ALL_ROUTES if method in getattr(route, "methods", ())}


def test_each_address_that_takes_a_form_has_its_role() -> None:
    assert addresses("POST") - EVERYBODYS == set(LEAST_ROLE)


def test_the_documentation_has_the_same_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "console.md").read_text()
    (table,) = re.findall(r"<!-- roles -->\n(.*?)\n<!-- end of roles -->", text, re.DOTALL)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    written = {path: role for _, role, paths in rows for path in re.findall("`(/[^`]*)`", paths)}
    assert written == LEAST_ROLE


async def test_each_role_may_do_what_the_table_says_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as console:
        for path, least in LEAST_ROLE.items():
            tried = re.sub(r"\{\w+\}", "NOSUCH", path)
            for role in ROLES:
                status, page = await console.send(role, tried)
                is_refused = status == 403
                assert is_refused == (ROLES.index(role) < ROLES.index(least)), f"{role} {path}: {status}"
                assert f"ask an {least}" in page or not is_refused, page
        for path in ADMINS_PAGES:
            assert [(await console.get(role, path))[0] for role in ROLES] == [403, 403, 200]
        _, page = await console.get(OPERATOR, "/parties/SLTC")
        assert "once an admin makes it live" in page


async def test_an_admin_adds_changes_logs_out_and_removes_users(tmp_path: Path) -> None:
    async with opened(tmp_path) as console:
        added = {"name": "nora", "role": OPERATOR, "password": " spaces at both ends "}
        assert "nora" in await console.do("/users", added)
        assert console.users.check("nora", added["password"]) == User("nora", OPERATOR)
        await console.do("/users/role", {"name": "olga", "role": VIEWER})
        assert (await console.get(OPERATOR, "/"))[0] == 303, "another role ends the sessions"
        await console.log_in(OPERATOR)
        await console.do("/users/log-out", {"name": "olga"})
        assert (await console.get(OPERATOR, "/"))[0] == 303
        assert await console.log_in(OPERATOR) == 303, "a log-out takes nothing away"
        await console.do("/users/remove", {"name": "olga"})
        assert (await console.get(OPERATOR, "/"))[0] == 303
        assert await console.log_in(OPERATOR) == 401
        await console.do("/users", {"name": "victor", "role": VIEWER, "password": "another long password"})
        assert console.users.check("victor", PASSWORD) is None
        audit = "\n".join(await console.audited())
        for action in ("console user add", "console user role", "console user log-out", "console user remove"):
            assert action in audit
        assert added["password"].strip() not in audit


async def test_an_admin_can_lock_nobody_out_by_a_slip(tmp_path: Path) -> None:
    async with opened(tmp_path) as console:
        own = {"name": "adam"}
        refused = "this is your own account"
        for path, fields in (
            ("/users/remove", own),
            ("/users/role", own | {"role": VIEWER}),
            ("/users", own | {"role": VIEWER, "password": PASSWORD}),
        ):
            status, page = await console.send(ADMIN, path, fields)
            assert (status, refused in page) == (422, True), path
        status, page = await console.send(ADMIN, "/users", {"name": "nora", "role": VIEWER, "password": "short"})
        assert (status, "the password has 5 characters" in page, 'value="nora"' in page) == (422, True, True)
        assert 'value="short"' not in page
        forged = {"name": "nora", "role": ADMIN, "sealed": "x", "previewed": "x"}
        status, page = await console.send(ADMIN, "/users", forged)
        assert (status, "the preview is missing" in page) == (422, True)


async def test_an_admin_makes_a_party_live_and_suspends_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as console:
        await route(console.log, {"snps": ["SLTC"], "disposition_code": "6H"})
        while "Make SLTC live" not in (page := (await console.get(ADMIN, "/waiting"))[1]):
            pass
        assert 'action="/parties/SLTC/live"' in page
        assert "ask an admin to make SLTC live" in (await console.get(OPERATOR, "/waiting"))[1]
        assert "Make it live" in (await console.get(ADMIN, "/parties/SLTC"))[1]
        status, preview = await console.send(ADMIN, "/parties/SLTC/live")
        assert (status, "whether SLTC has read its samples: " in preview) == (200, True), preview
        assert "1 waiting bill with its name." in preview
        assert "at most 1, 1 of them must not be loaded" in preview
        await console.do("/parties/SLTC/live", {})
        while "Suspend it" not in (await console.get(ADMIN, "/parties/SLTC"))[1]:
            pass
        status, page = await console.send(ADMIN, "/parties/SLTC/live")
        assert (status, "party SLTC is live" in page) == (422, True)
        await console.do("/parties/SLTC/suspend", {})
        audit = [text for text in await console.audited() if "party live" in text or "party suspended" in text]
        assert len(audit) == 2
        assert all("adam" in text for text in audit)
