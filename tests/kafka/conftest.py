from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.kafka.fixtures import KafkaLogs, wipe


@pytest.fixture
async def logs(kafka: str) -> AsyncIterator[KafkaLogs]:
    """Open clients of an empty broker."""
    await wipe(kafka)
    async with AsyncExitStack() as stack:
        yield KafkaLogs(kafka, stack)
