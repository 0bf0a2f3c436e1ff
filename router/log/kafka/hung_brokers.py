"""Connections that notice a broker which hangs: a stopped process, a frozen machine, a route that loses everything.

Such a broker's connections stay open, so aiokafka waits for each answer until the request's deadline, also for an
answer that says who leads a partition instead. A deadline short enough would cut off requests that take long for good
reasons: a write waits for its replicas, a member for its group. So a request that waits makes us ask the same broker
for a sign of life, on a connection of its own. Without one, all requests to it end, and aiokafka asks other brokers.
Importing this module makes every client of aiokafka use `WatchedConnection`, and ask hung brokers last.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

import structlog
from aiokafka import client
from aiokafka.conn import AIOKafkaConnection, CloseReason, collect_hosts
from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError

Address = tuple[str, int]

WAIT_SECONDS: Final = 1.0
"""A request that waits longer makes us ask for a sign of life."""
WAIT_AGAIN_SECONDS: Final = 3.0
"""Until we ask again, if the broker gave a sign of life."""
SIGN_SECONDS: Final = 2.5
"""Longest time for connecting, with log-in. A broker that takes longer hangs."""
SILENT_PAUSE_SECONDS: Final = 0.3
"""Longest time that a new connection to a hung broker costs: others may be waiting for it."""

_log = structlog.get_logger(__name__)


class Broker:
    """One broker's address, shared by all connections to it in one event loop."""

    def __init__(self, address: Address) -> None:
        self.is_silent = False
        """It took too long for a sign of life when it was last asked."""
        self._address = address
        self._asking: asyncio.Task[None] | None = None

    async def gives_sign(self, options: dict[str, Any], seconds: float) -> bool:
        """Ask for a sign of life and wait for it up to `seconds`. Those who ask at the same time ask once."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(options))
        asking = self._asking
        await asyncio.wait({asking}, timeout=seconds)
        if asking.done():
            if self._asking is asking:
                self._asking = None  # it would keep the event loop alive
            asking.result()
        return not self.is_silent

    async def _ask(self, options: dict[str, Any]) -> None:
        connection = AIOKafkaConnection(*self._address, **options)
        try:
            async with asyncio.timeout(SIGN_SECONDS):
                await connection.connect()
        except TimeoutError:
            self.note_silence()
        except (OSError, KafkaError):  # a refusal is a sign of life, and a connection that is cut ends by itself
            self.is_silent = False
        else:
            self.is_silent = False
        finally:
            connection.close()

    def note_silence(self) -> None:
        if not self.is_silent:
            _log.warning("broker_silent", address=":".join(map(str, self._address)))
        self.is_silent = True


_brokers: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Address, Broker]]] = WeakKeyDictionary()


def broker_at(address: Address) -> Broker:
    known = _brokers.setdefault(asyncio.get_running_loop(), {})
    return known.setdefault(address, Broker(address))


def hosts_of(bootstrap: str) -> list[tuple[str, int, Any]]:
    """Return the addresses in the order to try them: first those that answered when last asked."""
    return sorted(collect_hosts(bootstrap), key=lambda found: broker_at(found[:2]).is_silent)


class WatchedConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection whose requests end with RequestTimedOutError when its broker hangs."""

    def __init__(self, host: str, port: int, *, on_close: Any = None, **options: Any) -> None:
        super().__init__(host, port, on_close=on_close, **options)
        self._options = options
        self._broker = broker_at((host, port))
        self._watching: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None

    async def connect(self) -> Any:
        if self._broker.is_silent and not await self._broker.gives_sign(self._options, SILENT_PAUSE_SECONDS):
            raise KafkaConnectionError(f"the broker at {self.host}:{self.port} hangs: it does not answer")
        try:
            async with asyncio.timeout(SIGN_SECONDS):
                return await super().connect()
        except TimeoutError:
            self._broker.note_silence()
            raise

    def send(self, request: Any, expect_response: bool = True) -> Any:
        answer = super().send(request, expect_response=expect_response)
        if self._watching is None and self._asking is None:
            self._watch(WAIT_SECONDS)
        return answer

    def close(self, reason: Any = None, exc: Any = None) -> Any:
        if self._watching is not None:
            self._watching.cancel()
        if self._asking is not None and self._asking is not asyncio.current_task():
            self._asking.cancel()
        return super().close(reason, exc)

    def _watch(self, seconds: float) -> None:
        """Look after a while whether the request that waits longest still waits."""
        if self._requests:
            self._watching = self._loop.call_later(seconds, self._look, self._requests[0])

    def _look(self, waited: Any) -> None:
        self._watching = None
        if self._requests and self._requests[0] is waited:
            self._asking = self._loop.create_task(self._end_if_silent())
        else:
            self._watch(WAIT_SECONDS)

    async def _end_if_silent(self) -> None:
        alive = await self._broker.gives_sign(self._options, 2 * SIGN_SECONDS)
        self._asking = None
        if alive:
            self._watch(WAIT_AGAIN_SECONDS)
            return
        for *_, answer in self._requests:
            if not answer.done():
                answer.set_exception(RequestTimedOutError())
        self.close(reason=CloseReason.CONNECTION_TIMEOUT)


async def _connected(host: str, port: int, **options: Any) -> WatchedConnection:
    connection = WatchedConnection(host, port, **options)
    await connection.connect()
    return connection


client.create_conn = _connected
client.AIOKafkaClient.hosts = property(lambda self: hosts_of(self._bootstrap_servers))
