"""A TCP proxy before a broker that makes the network fail on demand. The broker must advertise the proxy's port."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65_536


class Proxy:
    """Opened by `async with`. Listens on `port` and passes everything on to `target`, both ways."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.delay_seconds = 0.0
        """Each chunk waits so long on its way, in either direction."""
        self.lost_answer = asyncio.Event()
        """Set once `lose_answer_to` has met its request."""
        self._target = target
        self._unanswered: bytes | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._requests: set[asyncio.StreamReader] = set()
        """Where requests come from, in contrast to answers."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def stall(self) -> None:
        """Keep connections but pass nothing, like a broken route."""
        self._flowing.clear()

    def lose_answer_to(self, request: int) -> None:
        """Pass the next request of this kind (Kafka's number for it) and nothing after it in either direction. So the
        broker does it, and nobody learns of it."""
        self.lost_answer.clear()
        self._unanswered = request.to_bytes(2, "big")

    def cut(self) -> None:
        """Close every connection now. New ones pass."""
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        self._unanswered = None
        self.delay_seconds = 0.0
        self._flowing.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._requests.add(reader)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._writers.add(sink)
        try:
            with contextlib.suppress(OSError):
                while chunk := await source.read(_CHUNK_BYTES):
                    if self.delay_seconds:
                        await asyncio.sleep(self.delay_seconds)
                    await self._flowing.wait()
                    sink.write(chunk)
                    await sink.drain()
                    # A request begins with its length, four bytes, and its kind; clients write each at once.
                    if self._unanswered is not None and chunk[4:6] == self._unanswered and source in self._requests:
                        self.stall()
                        self._unanswered = None
                        self.lost_answer.set()
        finally:
            self._writers.discard(sink)
            self._requests.discard(source)
            sink.close()
