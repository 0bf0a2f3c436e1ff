"""The HTTP server: idle connections are closed, and addresses that it can't listen on are named."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from router import http
from router.errors import AddressTaken, UsageError
from router.http import address_of, serving, web_application
from router.observe import Health
from router.status import status_app

GENEROUS_SECONDS = 10
LONG_BYTES = 20_000_000
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


@pytest.mark.parametrize("begun", [b"", b"GET /live HTTP/1.1\r\n", WHOLE], ids=["silent", "begun", "kept alive"])
async def test_idle_connections_keep_nobody_out(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 10)
    async with serving(status_app(CollectorRegistry(), Health()), "127.0.0.1:0") as address:
        host, _, port = address.rpartition(":")
        idle = []
        for _ in range(25):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(begun)
            if begun == WHOLE:
                assert b"200 OK" in await asyncio.wait_for(reader.readline(), GENEROUS_SECONDS)
            idle.append(writer)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(WHOLE)
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), GENEROUS_SECONDS)
        for one in [*idle, writer]:
            one.close()


async def test_an_address_in_use_is_named() -> None:
    app = status_app(CollectorRegistry(), Health())
    async with serving(app, "127.0.0.1:0") as address:
        with pytest.raises(AddressTaken, match=f"cannot listen on {address}: another program uses it"):
            async with serving(app, address):
                pass


@pytest.mark.parametrize("listen", ["127.0.0.1:²", "127.0.0.1:" + "9" * 5000, "127.0.0.1:-1", "nowhere"])
def test_an_invalid_address_is_refused(listen: str) -> None:
    with pytest.raises(UsageError, match="is not an address to listen on"):
        address_of(listen)


def test_a_port_alone_is_open_to_this_machine_only() -> None:
    assert address_of("9464") == ("127.0.0.1", 9464)
    assert address_of("0.0.0.0:9464") == ("0.0.0.0", 9464)


MALFORMED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "no target": b"GET\r\n\r\n",
    "empty lines": b"\r\n" * 50,
    "a length that is no number": b"GET /live HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n",
    "a chunk without size": b"POST /live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    "a chunk without size, read": b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    "no host": b"GET /live HTTP/1.1\r\n\r\n",
    "a zero in the target": b"GET /\x00\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "two hosts": b"GET /live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a long header": b"GET /live HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "after a good one": WHOLE + b"\x00\x00\r\n\r\n",
    "while a good one is answered": b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n\x00\x00\r\n\r\n",
    "while an answer is sent": b"GET /sending HTTP/1.1\r\nHost: a\r\n\r\n\x00\x00\r\n\r\n",
}
CUT = {
    "a head": b"GET /live HT",
    "a body": b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
    "a body in chunks": b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
}


def app_that_reads_and_waits() -> Starlette:
    async def body(request: Request) -> Response:
        return Response(await request.body())

    async def slow(_: Request) -> Response:
        await asyncio.sleep(0.1)
        return Response("late")

    async def sending(_: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            for _ in range(3):
                yield "piece"
                await asyncio.sleep(0.05)

        return StreamingResponse(pieces())

    return web_application(
        routes=[
            Route("/live", slow),
            Route("/body", body, methods=["POST"]),
            Route("/slow", slow),
            Route("/sending", sending),
        ]
    )


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_makes_one_line_and_no_traceback(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    lines = await lines_after(sent, caplog, cut=False)
    assert [(line["event"], line["log_level"], line["address"]) for line in lines] == [
        ("malformed_request", "info", "127.0.0.1")
    ]


SECOND = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecond"
TWO_LENGTHS = {
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two equal lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nfirst",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nfirst",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nfirst",
    "a folded list": b"Content-Length: 5\r\n , 5\r\n\r\nfirst",
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in chunks": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"Content-Length : 5\r\n\r\nfirst",
    "a sign": b"Content-Length: +5\r\n\r\nfirst",
}


@pytest.mark.parametrize("framing", TWO_LENGTHS.values(), ids=TWO_LENGTHS)
@pytest.mark.parametrize("before", [b"", SECOND], ids=["first", "later"])
async def test_a_request_with_two_lengths_is_refused_and_ends_its_connection(before: bytes, framing: bytes) -> None:
    """A proxy before the server may believe the other length: what follows would be a request of its own here."""
    sent = before + b"POST /body HTTP/1.1\r\nHost: a\r\n" + framing + SECOND
    async with serving(app_that_reads_and_waits(), "127.0.0.1:0") as address:
        answers = await answers_to(sent, address)
    codes = re.findall(rb"HTTP/1.1 (\d+) ", answers)
    assert codes == ([b"200"] if before else []) + [b"400"]


async def test_a_body_that_looks_like_two_lengths_is_none() -> None:
    body = b"\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    request = b"POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with serving(app_that_reads_and_waits(), "127.0.0.1:0") as address:
        answer = await answers_to(request, address)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(body)


@pytest.mark.parametrize("sent", CUT.values(), ids=CUT)
async def test_a_client_that_goes_away_leaves_no_traceback(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert await lines_after(sent, caplog, cut=True) == []


UNENDED = {
    "a head": CUT["a head"],
    "a body": CUT["a body"],
    "an answer without end": b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n",
    "an answer that nobody reads": b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n",
    "an answer that hangs": b"GET /hanging HTTP/1.1\r\nHost: a\r\n\r\n",
}


def app_that_never_ends() -> Starlette:
    async def body(request: Request) -> Response:
        return Response(await request.body())

    async def endless(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"piece"
                await asyncio.sleep(0.05)

        return StreamingResponse(pieces())

    async def flood(_: Request) -> Response:
        return StreamingResponse(repeat(b"x" * 1_000_000))

    async def long(_: Request) -> Response:
        return StreamingResponse(repeat(bytes(LONG_BYTES // 20), 20))

    async def hanging(_: Request) -> Response:
        await asyncio.Event().wait()
        return Response()

    return web_application(
        routes=[
            Route("/long", long),
            Route("/body", body, methods=["POST"]),
            Route("/endless", endless),
            Route("/flood", flood),
            Route("/hanging", hanging),
        ]
    )


@pytest.mark.parametrize("sent", UNENDED.values(), ids=UNENDED)
async def test_a_stop_waits_for_no_client_and_leaves_no_traceback(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(app_that_never_ends(), "127.0.0.1:0") as address:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        await asyncio.sleep(0.2)
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < GENEROUS_SECONDS
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    await _read_to_end(reader)
    writer.close()


async def test_an_answer_that_nobody_reads_ends_and_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 10)
    async with serving(app_that_never_ends(), "127.0.0.1:0") as address:
        host, _, port = address.rpartition(":")
        deaf = []
        for _ in range(12):
            reader, writer = await asyncio.open_connection(host, int(port), limit=1)
            writer.write(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
            deaf.append((reader, writer))
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not await _is_served(host, int(port)):
                await asyncio.sleep(0.05)
        for reader, writer in deaf:
            await _read_to_end(reader)
            writer.close()


async def test_an_answer_that_is_read_slowly_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.3)
    async with serving(app_that_never_ends(), "127.0.0.1:0") as address:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.write(b"GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        came = 0
        while piece := await asyncio.wait_for(reader.read(1_000_000), GENEROUS_SECONDS):
            came += len(piece)
            await asyncio.sleep(0.001)
        writer.close()
    assert came > LONG_BYTES


async def answers_to(sent: bytes, address: str) -> bytes:
    """All that the server sends until it closes the connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    answers = await asyncio.wait_for(reader.read(), GENEROUS_SECONDS)
    writer.close()
    return answers


async def _is_served(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    line = await asyncio.wait_for(reader.readline(), GENEROUS_SECONDS)
    writer.close()
    return b" 200 " in line


async def lines_after(sent: bytes, caplog: pytest.LogCaptureFixture, *, cut: bool) -> Sequence[Mapping[str, Any]]:
    """The server's own lines after a connection sent this. Libraries must have no errors to report."""
    with capture_logs() as lines:
        async with serving(app_that_reads_and_waits(), "127.0.0.1:0") as address:
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            await asyncio.sleep(0.05)
            if not cut:
                await asyncio.wait_for(_read_to_end(reader), 5)
            writer.close()
            await asyncio.sleep(0.3)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    return lines


async def test_no_answer_sends_a_browser_where_the_host_header_says() -> None:
    async with serving(app_that_reads_and_waits(), "127.0.0.1:0") as address:
        host, _, port = address.rpartition(":")
        for path in ("/live/", "//evil.example/live", "/live//", "/body/"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            assert answer.startswith(b"HTTP/1.1 404"), path
            assert b"location" not in answer.lower()


def test_every_application_is_made_in_the_one_place_that_forbids_such_redirects() -> None:
    makers = {str(path) for path in Path("router").rglob("*.py") if re.search(r"\bStarlette\(", path.read_text())}
    assert makers == {"router/http.py"}


async def _read_to_end(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):  # the server closed while we were sending
        await reader.read()
