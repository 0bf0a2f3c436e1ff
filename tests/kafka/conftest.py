from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.faults.workers import NEVER_LOGGED
from tests.kafka.fixtures import KafkaLogs, wipe


@pytest.fixture
def no_error_is_lost(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The test leaves no error that nobody took; asyncio says so once it is thrown away."""
    yield
    gc.collect()
    said = [line.getMessage() for phase in ("setup", "call", "teardown") for line in caplog.get_records(phase)]
    lost = [text for text in said if any(one in text for one in NEVER_LOGGED)]
    assert not lost, lost


@pytest.fixture
async def logs(kafka: str) -> AsyncIterator[KafkaLogs]:
    """Open clients of an empty broker."""
    await wipe(kafka)
    async with AsyncExitStack() as stack:
        yield KafkaLogs(kafka, stack)
