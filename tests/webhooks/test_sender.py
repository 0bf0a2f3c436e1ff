"""One attempt: the request, its outcome, and above all the addresses that are never contacted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from router.webhooks.sender import DELIVERED, DOWN, GONE, REFUSED, Outcome, is_allowed, open_sender
from tests.webhooks.endpoint import Endpoint, quick, serving

BODY = '{"data": {"bill_of_lading": "B1"}}'
HEADERS = {"webhook-id": "n1"}


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    async with serving(tmp_path, trustme.CA()) as made:
        yield made


async def post(folder: Path, url: str, **changes: Any) -> Outcome:
    async with open_sender(quick(folder, **changes)) as sender:
        return await sender.post(url, BODY, HEADERS)


async def test_a_notice_is_posted_over_verified_tls(endpoint: Endpoint, tmp_path: Path) -> None:
    assert await post(tmp_path, endpoint.url) == Outcome(DELIVERED)
    (taken,) = endpoint.posts
    assert taken.headers["content-type"] == "application/json"
    assert taken.text == BODY


async def test_an_untrusted_certificate_is_refused(endpoint: Endpoint, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    outcome = await post(tmp_path, endpoint.url, ca_file=tmp_path / "other.pem")
    assert (outcome.kind, "certificate verify failed" in outcome.detail) == (DOWN, True)
    assert not endpoint.posts


@pytest.mark.parametrize(
    ("status", "kind"), [(204, DELIVERED), (400, REFUSED), (401, REFUSED), (410, GONE), (429, DOWN), (503, DOWN)]
)
async def test_the_status_decides_the_outcome(endpoint: Endpoint, tmp_path: Path, status: int, kind: str) -> None:
    endpoint.answer = lambda post: web.Response(status=status, text="what\x1b[31m happened")
    outcome = await post(tmp_path, endpoint.url)
    assert outcome.kind == kind
    assert "\x1b" not in outcome.detail


async def test_retry_after_is_respected_within_bounds(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda post: web.Response(status=429, headers={"retry-after": "120"})
    assert (await post(tmp_path, endpoint.url)).retry_after == 120
    endpoint.answer = lambda post: web.Response(status=503, headers={"retry-after": "99999999"})
    assert (await post(tmp_path, endpoint.url)).retry_after == 3600


async def test_a_redirect_is_not_followed(endpoint: Endpoint, tmp_path: Path) -> None:
    for target in ("http://169.254.169.254/latest/meta-data/", endpoint.url):
        endpoint.answer = lambda post, to=target: web.Response(status=307, headers={"location": to})
        outcome = await post(tmp_path, endpoint.url)
        assert (outcome.kind, "not followed" in outcome.detail) == (DOWN, True)
    assert len(endpoint.posts) == 2


async def test_nothing_is_posted_unencrypted_unless_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path) as plain:
        assert (await post(tmp_path, plain.url, ca_file=None)).kind == DOWN
        assert not plain.posts
        assert (await post(tmp_path, plain.url, ca_file=None, allow_http=True)).kind == DELIVERED


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "[::ffff:169.254.169.254]", "10.0.0.1", "0.0.0.0"]
)
async def test_an_address_that_is_not_public_is_not_contacted(tmp_path: Path, host: str) -> None:
    outcome = await post(tmp_path, f"https://{host}:9/", allowed_networks=(), ca_file=None)
    assert outcome.kind == DOWN
    assert "not a public address" in outcome.detail


async def test_a_rebound_name_is_checked_by_the_address_connected_to(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the connection counts, whatever the name resolved to before."""
    port = int(endpoint.url.split(":")[2].partition("/")[0])
    where = ["127.0.0.1"]
    real = socket.getaddrinfo

    def look_up(host: str, *rest: Any, **more: Any) -> Any:
        return real(where[0] if host == "rebound.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = f"https://rebound.example:{port}/"
    assert (await post(tmp_path, url)).kind == DELIVERED  # while loopback is allowed
    outcome = await post(tmp_path, url, allowed_networks=())
    assert "127.0.0.1 is not a public address" in outcome.detail
    where[0] = "169.254.169.254"
    assert "169.254.169.254 is not a public address" in (await post(tmp_path, url)).detail
    assert len(endpoint.posts) == 1


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("64:ff9b::a9fe:a9fe", False),  # 169.254.169.254 through NAT64
        ("2002:7f00:1::", False),  # 127.0.0.1 through 6to4
        ("::ffff:10.1.2.3", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("64:ff9b:1::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("fec0::1", False),
        ("5f00::1", False),
        ("3fff::1", False),
        ("192.88.99.1", False),
        ("::ffff:8.8.8.8", True),
    ],
)
def test_public_addresses_are_allowed_and_others_are_not(address: str, allowed: bool) -> None:
    assert is_allowed(ip_address(address), ()) == allowed


def test_an_allowed_network_is_allowed_in_every_notation() -> None:
    ours = (ip_network("10.1.0.0/16"),)
    assert is_allowed(ip_address("10.1.2.3"), ours)
    assert is_allowed(ip_address("::ffff:10.1.2.3"), ours)
    assert not is_allowed(ip_address("10.2.2.3"), ours)


@pytest.mark.parametrize("url", ["https://[", "https://a]b/", "https://a\u2100b/", "https://x:99999/", "https:///x"])
async def test_an_invalid_url_is_an_outcome_not_an_error(tmp_path: Path, url: str) -> None:
    assert await post(tmp_path, url, ca_file=None) == Outcome(DOWN, "webhook_url is not a valid URL")


async def test_endpoints_that_never_answer_or_never_stop_answering_time_out(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 no\r\ntransfer-encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")
                await writer.drain()

    for behave, word in ((silent, "no answer within 0.5 s"), (endless, "answered 500: xxx")):
        server = await asyncio.start_server(behave, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        outcome = await post(tmp_path, url, allow_http=True, ca_file=None, attempt_seconds=0.5)
        assert outcome.kind == DOWN
        assert outcome.detail.startswith(word)
        assert len(outcome.detail) < 300
        server.close()
