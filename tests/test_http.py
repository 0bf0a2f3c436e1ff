"""The HTTP server: idle connections are closed, and addresses that it can't listen on are named."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import chain, repeat

import pytest
from prometheus_client import CollectorRegistry

from router import http
from router.errors import UsageError
from router.http import address_of, serving
from router.observe import Health, status_app

WHOLE = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("asked", [b"", WHOLE], ids=["nothing", "one request"])
@pytest.mark.parametrize("begun", [b"", b"GET /live HTTP/1.1\r\n"], ids=["silent", "dripping"])
async def test_a_connection_without_a_complete_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, asked: bytes, begun: bytes
) -> None:
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.1)
    async with serving(status_app(CollectorRegistry(), Health()), "127.0.0.1:0") as address:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(asked)
        if asked:
            assert b"200 OK" in await reader.readline()
        ended = asyncio.create_task(_read_to_end(reader))
        for piece in chain((begun,), repeat(b"X: y\r\n" if begun else b"")):
            if ended.done():
                break
            writer.write(piece)
            await asyncio.sleep(0.02)
        writer.close()


async def test_an_address_in_use_is_named() -> None:
    app = status_app(CollectorRegistry(), Health())
    async with serving(app, "127.0.0.1:0") as address:
        with pytest.raises(UsageError, match=f"cannot listen on {address}: another program uses it"):
            async with serving(app, address):
                pass


@pytest.mark.parametrize("listen", ["127.0.0.1:²", "127.0.0.1:" + "9" * 5000, "127.0.0.1:-1", "nowhere"])
def test_an_invalid_address_is_refused(listen: str) -> None:
    with pytest.raises(UsageError, match="is not an address to listen on"):
        address_of(listen)


async def _read_to_end(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):  # the server closed while we were sending
        await reader.read()
