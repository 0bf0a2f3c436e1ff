"""Serving HTTP inside our own loop: one way for health and figures, schemas and the console."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from router.errors import UsageError

MOST_CONNECTIONS: Final = 1000
"""Beyond, a request is answered with 503: what is open costs memory."""

KEEP_ALIVE_SECONDS: Final = 30
REQUEST_SECONDS = 30.0
"""Who has not asked anything whole for so long is let go, however slowly it goes on asking."""
DRAIN_SECONDS: Final = 2
MOST_PORT: Final = 65535


class _Server(uvicorn.Server):
    """Signals are the command's business (`router.cli.command.run`), not the server's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """Holds no place for who connects and sends no request, or one byte of it now and then: uvicorn alone would."""

    _answered: RequestResponseCycle | None = None
    """The request that was the last one at the last look."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(REQUEST_SECONDS, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self.cycle is self._answered:
            self.transport.close()
            return
        self._answered = self.cycle
        self.loop.call_later(REQUEST_SECONDS, self._look)


@asynccontextmanager
async def serving(app: ASGIApp, listen: str) -> AsyncIterator[str]:
    """Serve `app` at `listen` (`host:port`; port 0: any free one) while the block runs. Gives the address, `host:port`.

    Raises UsageError where the address is none, or is taken.
    """
    host, port = address_of(listen)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        proxy_headers=False,  # uvicorn would believe whoever connects from this machine who the client is
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    try:
        listener = config.bind_socket()
    except (OSError, SystemExit) as error:  # uvicorn ends the process where an address is taken
        raise UsageError(f"{listen} can't be listened on: it is taken, or no address of this machine") from error
    listener.listen()  # who connects before the first turn of the loop waits instead of being refused
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name=f"serving {listen}")
    bound = listener.getsockname()
    try:
        yield f"{bound[0]}:{bound[1]}"
    finally:
        server.should_exit = True
        await asyncio.shield(asyncio.wait([task], timeout=2 * DRAIN_SECONDS))
        listener.close()


def address_of(listen: str) -> tuple[str, int]:
    """Raises UsageError."""
    host, _, port = listen.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > MOST_PORT:
        raise UsageError(f"{listen!r} is no address to listen on: write host:port, as 127.0.0.1:9464")
    return host.strip("[]"), int(port)
