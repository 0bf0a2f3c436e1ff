"""The five questions on Kafka; with the marker `slow` at full size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.console import night
from tests.console.five_questions import FiveQuestions
from tests.console.installation import Installation
from tests.kafka.fixtures import wipe

pytestmark = pytest.mark.kafka

FEW = 500


@pytest.fixture(scope="module", params=[FEW, pytest.param(night.BILLS, marks=pytest.mark.slow)])
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def installation(kafka: str, size: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    night.in_a_thread(lambda: wipe(kafka))
    made = Installation(tmp_path_factory.mktemp("night"), f"kafka://{kafka}")
    made.environment |= {"SNP_KAFKA__REPLICATION_FACTOR": "1", "SNP_PARTITIONS": "2"}
    made.command("topics", "create")
    yield made
    made.stop()


class TestOnKafka(FiveQuestions):
    pass
