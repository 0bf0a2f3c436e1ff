"""A broker that accepts connections and answers nothing costs little, and is asked again once it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError
from aiokafka.protocol.metadata import MetadataRequest

from router.errors import TaskRetry
from router.log.kafka import hung_brokers, open_kafka_log
from router.log.kafka.hung_brokers import Broker, WatchedConnection, broker_at, hosts_of
from tests.kafka.broker import Cluster, free_ports
from tests.kafka.fixtures import QUICK, require_java
from tests.kafka.proxy import Proxy


@asynccontextmanager
async def black_hole() -> AsyncIterator[int]:
    """A port that takes everything and answers nothing."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung_brokers, "SIGN_SECONDS", 0.5)
    monkeypatch.setattr(hung_brokers, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(hung_brokers, "SILENT_PAUSE_SECONDS", 0.05)


async def test_the_first_connection_waits_and_later_ones_fail_soon() -> None:
    async with black_hole() as port:
        with pytest.raises(TimeoutError):
            await WatchedConnection("127.0.0.1", port).connect()
        began = time.monotonic()
        with pytest.raises(KafkaConnectionError, match=f"127.0.0.1:{port} hangs"):
            await WatchedConnection("127.0.0.1", port).connect()
        assert time.monotonic() - began < 0.5
        assert hosts_of(f"127.0.0.1:{port},127.0.0.1:1")[0][1] == 1  # it is asked last


async def test_a_closed_port_is_no_broker_that_hangs() -> None:
    (port,) = free_ports(1)
    with pytest.raises(OSError, match=str(port)):
        await WatchedConnection("127.0.0.1", port).connect()
    assert not broker_at(("127.0.0.1", port)).is_silent
    assert await Broker(("127.0.0.1", port)).gives_sign({}, 1)


async def test_a_log_whose_only_broker_hangs_may_answer_later() -> None:
    """It is no matter of passwords, which would be for good."""
    async with black_hole() as port:
        with pytest.raises(TaskRetry, match="don't hang"):
            async with open_kafka_log(f"kafka://127.0.0.1:{port}", QUICK):
                pass


@pytest.mark.kafka
async def test_a_request_ends_when_its_broker_hangs_and_the_broker_is_used_again_afterwards(tmp_path: Path) -> None:
    require_java()
    (port,) = free_ports(1)
    cluster = Cluster(tmp_path, advertised=(port,))
    async with Proxy(port, cluster.port) as proxy:
        try:
            await asyncio.to_thread(cluster.start)
            hung_brokers.SIGN_SECONDS = 2.0  # type: ignore[misc] # a busy machine's real broker needs some
            connection = WatchedConnection("127.0.0.1", port)
            await connection.connect()
            proxy.stall()
            with pytest.raises(RequestTimedOutError):
                await connection.send(MetadataRequest())
            assert not connection.connected()
            assert broker_at(("127.0.0.1", port)).is_silent
            proxy.heal()
            async with asyncio.timeout(30):
                while not await broker_at(("127.0.0.1", port)).gives_sign({}, 1):
                    pass
            again = WatchedConnection("127.0.0.1", port)
            await again.connect()
            again.close()
        finally:
            await asyncio.to_thread(cluster.stop)
