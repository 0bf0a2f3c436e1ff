"""The trade's own stories, told on both logs: what a carrier's compliance desk would play on a router before it trusts
it. Each is in the module of its subject beside this one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import pytest

from router.decide.rules import Rules
from router.log.kafka import open_kafka_log
from router.log.url import open_log
from router.model.registry_values import Party
from tests.kafka.fixtures import QUICK, wipe
from tests.stories import deeds, downtime, recipients, status
from tests.stories.stage import Stage, Telling

STORIES: Final[tuple[Telling, ...]] = (*recipients.STORIES, *status.STORIES, *downtime.STORIES, *deeds.STORIES)
PARTIES: Final = (
    *(Party(scac, roles=("carrier",)) for scac in ("OCNX", "SLTC", "THRD")),
    *(Party(scac, roles=("nvocc",)) for scac in ("NVXA", "NVXB", "NVXC")),
)

Ends = Mapping[str, Exception | None]


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    async def told() -> Ends:
        async with open_log(f"sqlite:///{tmp_path_factory.mktemp('stories')}/snp.db") as log:
            return await Stage(log, Rules()).tell(STORIES, PARTIES)

    return asyncio.run(told())


@pytest.fixture(scope="module")
def on_kafka(kafka: str) -> Ends:
    async def told() -> Ends:
        await wipe(kafka)
        async with open_kafka_log(f"kafka://{kafka}", QUICK) as log:
            return await Stage(log, Rules()).tell(STORIES, PARTIES)

    return asyncio.run(told())


@pytest.mark.parametrize("story", [one.__name__ for one in STORIES])
def test_on_sqlite(story: str, on_sqlite: Ends) -> None:
    assert_well_ended(on_sqlite, story)


@pytest.mark.kafka
@pytest.mark.parametrize("story", [one.__name__ for one in STORIES])
def test_on_kafka(story: str, on_kafka: Ends) -> None:
    assert_well_ended(on_kafka, story)


def assert_well_ended(ends: Ends, story: str) -> None:
    if (error := ends[story]) is not None:
        raise error
