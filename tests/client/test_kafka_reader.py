"""The kit on a real broker: no notice is lost when readers, group members or brokers fail."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from router.client import NoticeStream, notices
from router.codec import decode_value
from router.errors import FatalLogError, InputError, UsageError
from router.log.interface import Output
from router.log.kafka import KafkaLog, open_kafka_log
from router.model.registry_values import RESYNC, Request
from router.topics import TopicSpec
from tests.client.notice_samples import PARTY, TOPIC, outputs
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import QUICK, require_java, wipe

pytestmark = pytest.mark.kafka

REQUESTS = f"snp.request.{PARTY}"
PATIENCE_SECONDS = 40
SHORT_SESSION = {"session_timeout_ms": 3000, "start_deadline_seconds": 10}
_numbers = itertools.count()


@pytest.fixture
def group() -> str:
    return f"snp.{PARTY}.test-{next(_numbers)}"


@pytest.fixture
async def log(kafka: str) -> AsyncIterator[KafkaLog]:
    await wipe(kafka)
    async with open_kafka_log(f"kafka://{kafka}", QUICK) as opened:
        await opened.create_topics([TopicSpec(TOPIC, 1), TopicSpec(REQUESTS, 1)])
        yield opened


def stream(log: KafkaLog, group: str, **changed: Any) -> NoticeStream:
    return notices(log.url, party=PARTY, group=group, **SHORT_SESSION | changed)


def ids(count: int, first: int = 0) -> list[str]:
    return [f"{number:08x}" for number in range(first, count)]


async def read(log: KafkaLog, group: str, count: int) -> list[str]:
    """The ids of the next `count` notices, all handled."""
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_SECONDS), stream(log, group) as opened:
        async for notice in opened:
            found.append(notice.notice_id)
            if len(found) == count:
                break
    return found


async def committed(log: KafkaLog, group: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=log.url.removeprefix("kafka://"))
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group)
        return int(offsets[TopicPartition(TOPIC, 0)].offset) if offsets else 0
    finally:
        await admin.close()


async def test_notices_come_in_order_and_a_group_resumes_where_it_stopped(log: KafkaLog, group: str) -> None:
    await log.append(outputs(30), atomic=True)
    assert await read(log, group, 10) == ids(10)
    assert await read(log, group, 20) == ids(30, first=10)
    assert await read(log, f"{group}-other", 30) == ids(30)


async def test_handled_notices_are_committed_once_there_is_no_backlog(log: KafkaLog, group: str) -> None:
    """A party's read receipt is its committed offset."""
    await log.append(outputs(3))

    async def read_on() -> None:
        async for _ in stream(log, group):
            pass

    reading = asyncio.create_task(read_on())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await committed(log, group) != 3:
            await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.wait([reading])


async def test_a_notice_whose_handling_fails_is_delivered_again(log: KafkaLog, group: str) -> None:
    await log.append(outputs(5))
    seen: list[str] = []

    async def work() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), stream(log, group) as opened:
            async for notice in opened:
                seen.append(notice.notice_id)
                _ = 1 // (3 - len(seen))

    with pytest.raises(ZeroDivisionError):
        await work()
    assert seen == ids(3)
    assert await read(log, group, 3) == ids(5, first=2)


async def test_notices_of_an_aborted_transaction_are_never_delivered(log: KafkaLog, group: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=log.url.removeprefix("kafka://"), transactional_id="test-aborts")
    await producer.start()
    await producer.begin_transaction()
    for output in outputs(5, seed=1):
        await producer.send_and_wait(output.topic, output.value, output.key)
    await producer.abort_transaction()
    await producer.stop()
    await log.append(outputs(9)[5:], atomic=True)
    assert await read(log, group, 4) == ids(9, first=5)


async def test_the_next_reader_gets_the_notice_that_a_killed_one_was_handling(log: KafkaLog, group: str) -> None:
    await log.append(outputs(20))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.client.killed_reader", log.url, PARTY, group, ids(8)[-1]],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout
    seen = [await asyncio.to_thread(process.stdout.readline) for _ in range(8)]
    assert [line.strip() for line in seen] == ids(8)
    process.kill()
    process.wait()
    found = await first_until(log, group, ids(20)[-1])
    assert found[-13:] == ids(20, first=7)  # the eighth again, and maybe those of the second before it
    assert found == ids(20, first=20 - len(found))


async def first_until(log: KafkaLog, group: str, last: str) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_SECONDS), stream(log, group) as opened:
        async for notice in opened:
            found.append(notice.notice_id)
            if notice.notice_id == last:
                break
    return found


async def test_joining_and_leaving_members_lose_nothing_and_repeat_one_notice_each_at_most(
    log: KafkaLog, group: str
) -> None:
    """Two members join while the first works; then it is stopped while handling a notice, and another takes over."""
    last = ids(60)[-1]
    await log.append(outputs(60))
    bodies: list[tuple[int, str]] = []

    async def work(member: int) -> None:
        async for notice in stream(log, group):
            bodies.append((member, notice.notice_id))
            await asyncio.sleep(0.05)

    async with asyncio.timeout(PATIENCE_SECONDS):
        tasks = [asyncio.create_task(work(1))]
        while len(bodies) < 5:
            await asyncio.sleep(0.02)
        tasks += [asyncio.create_task(work(member)) for member in (2, 3)]
        while len(bodies) < 30:
            await asyncio.sleep(0.02)
        tasks[0].cancel()
        while last not in {notice_id for _, notice_id in bodies}:
            await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert sorted({notice_id for _, notice_id in bodies}) == ids(60)
    for member in (1, 2, 3):
        own = [notice_id for one, notice_id in bodies if one == member]
        assert own == sorted(set(own)), f"member {member} saw one twice or out of order"
    assert len(bodies) - 60 <= 4, bodies  # each rebalance may repeat the notice being handled


async def test_a_member_that_keeps_its_partition_is_given_no_notice_twice(log: KafkaLog, group: str) -> None:
    """A member with another topic joins while we handle a notice: we keep our partition, but read it again from the
    group's committed offset."""
    await log.append(outputs(10))
    other = AIOKafkaConsumer(bootstrap_servers=log.url.removeprefix("kafka://"), group_id=group)
    seen: list[str] = []
    async with asyncio.timeout(PATIENCE_SECONDS), stream(log, group) as opened:
        async for notice in opened:
            seen.append(notice.notice_id)
            if len(seen) == 5:
                await other.start()
                other.subscribe([REQUESTS])
                while not other.assignment():
                    await asyncio.sleep(0.05)
            if notice.notice_id == ids(10)[-1]:
                break
    await other.stop()
    assert seen == ids(10)
    assert await committed(log, group) == 10


async def test_a_killed_broker_that_returns_costs_no_notice(tmp_path: Path, group: str) -> None:
    require_java()
    cluster = Cluster(tmp_path)
    await asyncio.to_thread(cluster.start)
    try:
        async with open_kafka_log(f"kafka://{cluster.bootstrap}", QUICK) as log:
            await log.create_topics([TopicSpec(TOPIC, 1)])
            await log.append(outputs(10))
            seen: list[str] = []

            async def work() -> None:
                async for notice in stream(log, group):
                    seen.append(notice.notice_id)  # noqa: PERF401 - it never ends

            working = asyncio.create_task(work())
            async with asyncio.timeout(2 * PATIENCE_SECONDS):
                while len(seen) < 10:
                    await asyncio.sleep(0.05)
                cluster.nodes[0].kill()
                await asyncio.sleep(1)
                cluster.nodes[0].start()
                await asyncio.to_thread(cluster.wait_until_ready)
                await log.append(outputs(20)[10:])
                while ids(20)[-1] not in seen:
                    assert not working.done(), working
                    await asyncio.sleep(0.05)
            working.cancel()
            await asyncio.wait([working])
    finally:
        cluster.stop()
    assert sorted(set(seen)) == ids(20)


async def test_an_invalid_notice_is_named_and_not_skipped(log: KafkaLog, group: str) -> None:
    good, *_ = outputs(2)
    await log.append([good, Output(TOPIC, b"k", b"no record"), good])
    for _ in range(2):
        with pytest.raises(InputError, match=f"{TOPIC}, partition 0, offset 1"):
            await first_until(log, group, ids(2)[-1])


async def test_a_party_without_a_topic_is_refused(log: KafkaLog) -> None:
    with pytest.raises(FatalLogError, match=r"snp\.party\.NOPE"):
        async for _ in notices(log.url, party="NOPE", group="snp.NOPE.desk", **SHORT_SESSION):
            pass


async def test_an_unreachable_broker_is_named(group: str) -> None:
    with pytest.raises(FatalLogError, match=r"cannot log in to a broker at 127\.0\.0\.1:9"):
        async with notices("kafka://127.0.0.1:9", party=PARTY, group=group, **SHORT_SESSION):
            pass


def test_invalid_parameters_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"snp\.SLTC\.desk"):
        notices("kafka://127.0.0.1:9", party=PARTY)
    with pytest.raises(UsageError, match="names no log"):
        notices("http://127.0.0.1:9", party=PARTY)
    with pytest.raises(UsageError, match="sasl_pasword"):
        notices("kafka://127.0.0.1:9", party=PARTY, group="snp.SLTC.desk", sasl_pasword="secret")


async def test_a_resync_is_requested_on_the_partys_own_topic(log: KafkaLog, group: str) -> None:
    before = int(time.time() * 1000)
    await stream(log, group).resync()
    batches = [batch async for batch in log.read([REQUESTS], until_end=True)]
    (record,) = (record for batch in batches for record in batch)
    assert record.value is not None
    request = decode_value(record.value)
    assert isinstance(request, Request)
    assert (request.kind, request.scac, request.started_at) == (RESYNC, PARTY, None)
    assert before <= request.at <= time.time() * 1000


async def test_a_party_without_a_topic_for_requests_is_refused(log: KafkaLog) -> None:
    with pytest.raises(FatalLogError, match=r"snp\.request\.NOPE"):
        await notices(log.url, party="NOPE", group="snp.NOPE.desk", **SHORT_SESSION).resync()
