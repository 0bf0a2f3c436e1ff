"""The served console: trusted proxies, the end of a session, and a damaged file of users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from router.console import AccessSettings, ConsoleSettings, live_stream
from router.console.application import serve_console
from router.console.backend import Backend, ConsoleFigures, Follower
from router.console.sessions import VIEWER, Users
from router.decide.rules import Rules
from router.desk.receipts import WebhookState, state_output
from router.desk.unread_notices import read_unread
from router.engine.administration import import_parties, prepare
from router.log.url import open_log
from router.model.registry_values import Party
from router.status import LogProbe

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
    monkeypatch.setattr(live_stream, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(live_stream, "BEAT_SECONDS", 0.1)
    users = Users(tmp_path / "users.json")
    users.put("temp", VIEWER, PASSWORD)
    async with served(tmp_path) as client:
        await client.post("/login", data={"name": "temp", "password": PASSWORD})
        async with client.get("/live") as answer:
            assert (await answer.content.readline()).startswith(b"data: ")
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


async def test_unread_do_not_loads_have_no_figure_where_reading_is_unknown(tmp_path: Path) -> None:
    url = "https://example.test/"
    parties = [
        Party("NVXA", webhook_url=url),
        Party("NVXB", webhook_url=url),
        Party("SLTC"),
        Party("HARX", status="suspended"),
    ]
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        await import_parties(log, parties)
        await log.append([state_output(WebhookState("NVXB", taken_to=2**62))])
        absent = cast(Any, None)
        follower = Follower(log, Rules(), absent, absent)
        backend = Backend(log, absent, absent, follower, absent, LogProbe(log))
        for party in parties:
            backend.registry.apply(party)
        figures = ConsoleFigures(backend)

        def shown() -> dict[str, list[str]]:
            figures.refresh_unread()
            names = "snp_unread_unknown", "snp_unread_do_not_loads"
            samples = [sample for metric in figures.registry.collect() for sample in metric.samples]
            return {
                name: [f"{one.labels['party']} {one.value:g}" for one in samples if one.name == name] for name in names
            }

        all_unknown = {"snp_unread_unknown": ["NVXA 1", "NVXB 1", "SLTC 1"], "snp_unread_do_not_loads": []}
        assert shown() == all_unknown
        backend.unread, backend.unread_unknown = await read_unread(log, backend.registry), None
        assert shown() == {
            "snp_unread_unknown": ["NVXA 0", "NVXB 1", "SLTC 1"], "snp_unread_do_not_loads": ["NVXA 0"]
        }  # fmt: skip
        backend.unread_unknown = "the log does not answer"
        assert shown() == all_unknown
