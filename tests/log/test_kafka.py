"""The Kafka log keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.kafka.fixtures import KafkaLogs, wipe
from tests.log.contract import LogContract

pytestmark = pytest.mark.kafka


class TestKafkaLog(LogContract):
    @pytest.fixture
    async def logs(self, kafka: str) -> AsyncIterator[KafkaLogs]:
        await wipe(kafka)
        async with AsyncExitStack() as stack:
            yield KafkaLogs(kafka, stack)
