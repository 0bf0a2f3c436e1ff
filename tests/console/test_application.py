"""The served console: trusted proxies, the end of a session, and a damaged file of users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from router.console import AccessSettings, ConsoleSettings, live_notices
from router.console.application import serve_console
from router.console.sessions import VIEWER, Users
from router.decide.rules import Rules
from router.engine.administration import prepare
from router.log.url import open_log

PASSWORD = "correct horse battery"


@asynccontextmanager
async def served(folder: Path, *proxies: str, tls: tuple[str, ...] = ()) -> AsyncIterator[aiohttp.ClientSession]:
    access = AccessSettings(
        users_file=folder / "users.json", proxy_addresses=proxies, tls_proxy_addresses=tls, secure_cookie=False
    )
    settings = ConsoleSettings(index_file=folder / "index.db", access=access)
    async with open_log(f"sqlite:///{folder}/snp.db") as log:
        await prepare(log, 1)
        async with (
            serve_console(log, Rules(), settings, "127.0.0.1:0") as address,
            aiohttp.ClientSession(f"http://{address}", cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,
        ):
            yield client


async def status(client: aiohttp.ClientSession, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.get("/", headers=named, allow_redirects=False) as answer:
        return answer.status


async def test_a_client_cannot_claim_to_be_the_proxy(tmp_path: Path) -> None:
    async with served(tmp_path, "192.0.2.7") as client:
        assert await status(client, X_Forwarded_For="192.0.2.7", X_Forwarded_User="root") == 303


@pytest.mark.parametrize("seen", ["192.0.2.7", "unknown"])
async def test_a_proxys_account_of_its_own_client_changes_nothing(tmp_path: Path, seen: str) -> None:
    async with served(tmp_path, "127.0.0.1") as client:
        assert await status(client, X_Forwarded_For=seen, X_Forwarded_User="alice") == 200


@pytest.mark.parametrize(
    ("tls", "others"), [(("127.0.0.1",), 401), ((), 429)], ids=["a trusted proxy", "anybody's header"]
)
async def test_wrong_passwords_count_by_the_address_that_a_trusted_proxy_names(
    tmp_path: Path, tls: tuple[str, ...], others: int
) -> None:
    async def answer(number: int, address: str) -> int:
        given = {"name": f"name{number}", "password": "wrong"}
        async with client.post("/login", data=given, headers={"X-Forwarded-For": address}) as answered:
            return answered.status

    async with served(tmp_path, tls=tls) as client:
        for number in range(20):
            assert await answer(number, "198.51.100.7") == 401
        assert await answer(20, "198.51.100.7") == 429
        assert await answer(21, "192.0.2.1") == others


def test_a_proxy_either_logs_users_in_or_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        AccessSettings(proxy_addresses=("10.0.0.1",), tls_proxy_addresses=("10.0.0.1",))


async def test_an_open_page_ends_when_its_user_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_notices, "KEEP_ALIVE_SECONDS", 0.05)
    users = Users(tmp_path / "users.json")
    users.put("temp", VIEWER, PASSWORD)
    async with served(tmp_path) as client:
        await client.post("/login", data={"name": "temp", "password": PASSWORD})
        async with client.get("/live-notices") as answer:
            assert await answer.content.readline() == b": here\n"
            users.remove("temp")
            await answer.content.read()  # to its end


async def test_a_damaged_file_of_users_lets_nobody_in_and_stops_nothing(tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json")
    users.put("temp", VIEWER, PASSWORD)
    async with served(tmp_path) as client:
        await client.post("/login", data={"name": "temp", "password": PASSWORD})
        assert await status(client) == 200
        (tmp_path / "users.json").write_text("{")
        assert await status(client) == 503
