"""An HTTP server in the running event loop: for health and metrics, the schema registry, the console, the listener."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
import uvicorn
from h11 import IDLE, NEED_DATA, PAUSED, SEND_RESPONSE, SERVER, Connection, Event, RemoteProtocolError
from h11 import Request as RequestHead
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from router.background import start_background
from router.errors import AddressTaken, UsageError

MOST_CONNECTIONS: Final = 1000
"""Open connections cost memory. Beyond this limit the oldest idle one is closed; if all are answering
requests, a further one is answered with 503."""

HEAD_BYTES: Final = 65536
"""A request with a longer head is refused."""
KEEP_ALIVE_SECONDS: Final = 30
REQUEST_SECONDS = 30.0
"""A connection without a complete request within this time is closed, and one that takes nothing of its answer."""
DRAIN_SECONDS: Final = 1.0
"""Time at a stop for requests under way. Then their connections end, as if their clients had left."""
CANCEL_SECONDS: Final = 2
"""Time at a stop after which handlers that still wait for something are cancelled."""
LARGEST_PORT: Final = 65535
THIS_MACHINE: Final = "127.0.0.1"

_log = structlog.get_logger(__name__)


class TlsFiles(NamedTuple):
    """A server's certificate, with its chain, and its key, as PEM."""

    certificate: Path
    key: Path


class _Server(uvicorn.Server):
    """A server that leaves signals to the command (`router.cli.command.run`)."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _RestartableServer:
    """A server on a socket that stays open, so that a failure refuses no connection."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        self._config = config
        self._listener = listener
        self._server: _Server | None = None
        self._is_stopped = False
        self._app = config.loaded_app
        config.loaded_app = self._answer

    async def serve(self) -> None:
        """Serve until `stop`. Raises RuntimeError if the server ends by itself: uvicorn does if it can't start."""
        if self._is_stopped:
            return
        self._server = _Server(self._config)
        await self._server.serve(sockets=[self._listener.dup()])  # uvicorn closes it
        if not self._is_stopped:
            raise RuntimeError("the HTTP server ended by itself")

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request. One that is cancelled by the stop ends without a traceback."""
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._is_stopped:
                raise

    def stop(self) -> None:
        self._is_stopped = True
        if self._server is not None:
            self._server.should_exit = True


_FRAMING: Final = re.compile(
    rb"^(?:content-length|transfer-encoding):(.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE
)
"""Headers that say how long a request is, with their values as they came."""


class _Connection(Connection):
    """Refuses a request that says more than once how long it is (RFC 9112, 6.3), which h11 takes. A proxy that believes
    another length would pass a second request on in the body of the first."""

    def next_event(self) -> Event | type[NEED_DATA] | type[PAUSED]:
        before = self.trailing_data[0] if self.their_state is IDLE else b""
        event = super().next_event()
        if isinstance(event, RequestHead):
            head = before[: len(before) - len(self.trailing_data[0])]
            lengths = _FRAMING.findall(head)
            if len(lengths) > 1 or any(b"," in one for one in lengths):
                raise RemoteProtocolError("the request has more than one length")
        return event


class _Protocol(H11Protocol):
    """Closes connections that send no complete request within `REQUEST_SECONDS`, or read nothing of an answer, and at a
    stop all within `DRAIN_SECONDS`: pages with live notices never end by themselves. uvicorn has no such timeouts. Idle
    connections give way to new ones, so opening many keeps nobody else out. A malformed request is one line in the log
    and ends its connection, whatever was being answered on it."""

    _last_seen: RequestResponseCycle | None = None
    """The latest request at the previous check."""
    _made_at = 0.0
    _stalled: asyncio.TimerHandle | None = None
    """Set while more is to be sent than the client takes."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn = _Connection(SERVER, HEAD_BYTES)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._made_at = self.loop.time()
        if len(self.connections) >= MOST_CONNECTIONS:
            idle = [one for one in self.connections if one is not self and isinstance(one, _Protocol) and one.is_idle]
            if idle:
                min(idle, key=lambda one: one._made_at).transport.abort()
        self.loop.call_later(REQUEST_SECONDS, self._close_if_idle)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch_reading(self, left_before: int | None = None) -> None:
        """Close the connection once nothing more of what is to be sent has been taken since the last look."""
        left = self.transport.get_write_buffer_size()
        if left == left_before:
            self.transport.abort()
        else:
            self._stalled = self.loop.call_later(REQUEST_SECONDS, self._watch_reading, left)

    def _stop_watching(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(DRAIN_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        _log.info("malformed_request", address=self.client[0] if self.client else None)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # or its answer would be an error of the protocol's state
            self.cycle.message_event.set()
        if self.conn.our_state in (IDLE, SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """True while no request is being answered and the connection is open."""
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete)

    def _close_if_idle(self) -> None:
        if self.transport.is_closing():
            return
        if self.is_idle and self.cycle is self._last_seen:
            self.transport.close()
            return
        self._last_seen = self.cycle
        self.loop.call_later(REQUEST_SECONDS, self._close_if_idle)


def web_application(**options: Any) -> Starlette:
    """A web application, by Starlette's options, which never redirects for a slash: that goes where the request's Host
    header says. A client that goes away in the middle of its request leaves no trace."""
    handlers = {ClientDisconnect: _gone} | options.pop("exception_handlers", {})
    app = Starlette(**options, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response()  # nobody reads it


@asynccontextmanager
async def serving(app: ASGIApp, listen: str, tls: TlsFiles | None = None) -> AsyncIterator[str]:
    """Serve `app` at `listen` while the block runs, and yield the `host:port`.

    `listen` is `host:port`, or a port of 127.0.0.1; port 0 picks a free one. Plain HTTP without `tls`. Raises
    UsageError if the address is invalid or the certificate can't be used, AddressTaken if the address is in use.
    """
    host, port = address_of(listen)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        proxy_headers=False,  # uvicorn would take the client's address from any local connection's headers
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CANCEL_SECONDS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    try:
        config.load()
    except OSError as error:  # an error of TLS is one too
        raise UsageError(f"the certificate and key for {listen} can't be used: {error}") from error
    listener = _listening(host, port, listen)
    server = _RestartableServer(config, listener)
    task = start_background("serving HTTP", server.serve)
    bound = listener.getsockname()
    try:
        yield f"{bound[0]}:{bound[1]}"
    finally:
        server.stop()
        await asyncio.shield(asyncio.wait([task], timeout=2 * CANCEL_SECONDS))
        task.cancel()
        listener.close()


def _listening(host: str, port: int, listen: str) -> socket.socket:
    """A socket that queues connections which come before the server's first turn. Raises UsageError, AddressTaken."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressTaken(
                f"cannot listen on {listen}: another program uses it. Stop that one, or name another address"
            ) from error
        raise UsageError(
            f"cannot listen on {listen}: {error.strerror}. Name an address of this machine, and a port from 1024 on"
        ) from error


def is_of_this_machine(listen: str) -> bool:
    """True if only programs on this machine can connect to `host:port`. Raises UsageError."""
    host, _ = address_of(listen)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of `host:port`, or of a port alone, which is on this machine only. Raises UsageError."""
    host, _, port = (listen if ":" in listen else f"{THIS_MACHINE}:{listen}").rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > LARGEST_PORT:
        raise UsageError(f"{listen!r} is not an address to listen on: write host:port, or a port of 127.0.0.1: 9464")
    return host.strip("[]"), int(port)
