"""The stream of notices from a SQLite file, for trying out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.client import notices
from router.codec import decode_value
from router.errors import UsageError
from router.log.interface import Log
from router.log.url import open_log
from router.model.registry_values import RESYNC, Request
from router.topics import TopicSpec
from tests.client.notice_samples import PARTY, TOPIC, outputs

REQUESTS = f"snp.request.{PARTY}"
PATIENCE_SECONDS = 20


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await opened.create_topics([TopicSpec(TOPIC, 1), TopicSpec(REQUESTS, 1)])
        yield opened


async def test_each_run_starts_at_the_oldest_notice_and_then_waits_for_more(log: Log) -> None:
    await log.append(outputs(5))
    for run in (1, 2):
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for notice in notices(log.url, party=PARTY.lower(), group="not used here"):
                seen.append(notice.notice_id)
                if len(seen) == 5 * run:
                    await log.append(outputs(5))
                if len(seen) == 5 * run + 5:
                    break
        assert seen == [f"{number:08x}" for number in range(5)] * (run + 1)


async def test_a_resync_is_requested_on_the_partys_own_topic(log: Log) -> None:
    await notices(log.url, party=PARTY).resync()
    batches = [batch async for batch in log.read([REQUESTS], until_end=True)]
    (record,) = (record for batch in batches for record in batch)
    assert record.value is not None
    request = decode_value(record.value)
    assert isinstance(request, Request)
    assert (request.kind, request.scac) == (RESYNC, PARTY)


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        notices(f"sqlite:///{tmp_path}/other.db", party=PARTY)
    assert not list(tmp_path.iterdir())


async def test_an_unknown_party_is_refused(log: Log) -> None:
    with pytest.raises(UsageError, match=r"no topic snp\.party\.NOPE"):
        async for _ in notices(log.url, party="NOPE"):
            pass
