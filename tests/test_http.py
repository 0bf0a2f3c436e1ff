"""Serving HTTP: who holds a connection and asks nothing holds it for a while only."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import chain, repeat

import pytest
from prometheus_client import CollectorRegistry

from router import http
from router.http import serving
from router.observe import Health, status_app

WHOLE = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("asked", [b"", WHOLE], ids=["nothing", "one request"])
@pytest.mark.parametrize("begun", [b"", b"GET /live HTTP/1.1\r\n"], ids=["silent", "dripping"])
async def test_who_sends_no_whole_request_is_let_go(
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


async def _read_to_end(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):  # of who is still sending
        await reader.read()
