"""Guarantees of every log, as tests.

A log's own test module subclasses `LogContract` and gives it a fixture `logs`: a `Logs` on a new, empty log.

    class TestOurLog(LogContract):
        @pytest.fixture
        async def logs(self): ...
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Protocol

import pytest

from router import topics
from router.errors import DestinationMissing, FatalLogError, TaskMoved, TaskRetry
from router.log.interface import AdministeredLog, Log, Output, Record, Task, partition_of
from router.model.eastern import HOUR, MINUTE
from router.topics import BILLS, DISPOSITIONS, REGISTRY, TIMELINE, URGENT, TopicSpec

PARTITIONS = 3
PARTY, OTHER_PARTY = "snp.party.AAAA", "snp.party.BBBB"
INPUTS = (REGISTRY, URGENT, DISPOSITIONS)
PATIENCE_SECONDS = 30


class Logs(Protocol):
    """Clients of one log that was empty when the test began."""

    group: str
    """For `Log.work`: one that no other test used."""

    async def open(self) -> AdministeredLog:
        """Open one more client, with short retry pauses. The fixture closes it."""
        ...

    async def lose(self, client: Log) -> None:
        """Make the log take this working client for dead, so that another client's `work` soon gets its tasks. The
        client lives on and does not notice."""
        ...


def key_in(partition: int, number: int = 0) -> bytes:
    """Return a key of that partition; another one for each number."""
    candidates = (b"NVXA%06d" % candidate for candidate in range(10_000))
    fitting = [key for key in candidates if partition_of(key, PARTITIONS) == partition]
    return fitting[number]


def outputs(topic: str, count: int, *, key: bytes = b"NVXA1", first: int = 0) -> list[Output]:
    return [Output(topic, key, b"%d" % number) for number in range(first, first + count)]


def position_output(partition: int, **position: int) -> Output:
    return Output(BILLS, topics.POSITION_KEY + str(partition).encode(), json.dumps(position).encode())


async def everything(log: Log, *names: str, key: bytes | None = None) -> list[Record]:
    return [record async for batch in log.read(names, until_end=True, key=key) for record in batch]


async def values(log: Log, *names: str) -> list[bytes | None]:
    return [record.value for record in await everything(log, *names)]


async def restored(task: Task, *names: str) -> dict[bytes, bytes | None]:
    """Return the last record of each key, as the engine restores it."""
    return {record.key: record.value async for batch in task.restore(names or [BILLS]) for record in batch}


async def counted(task: Task) -> int:
    """Return the position that the outputs of these tests are counted in."""
    found = (await restored(task)).get(topics.POSITION_KEY + str(task.partition).encode())
    return int(json.loads(found)["count"]) if found else 0


async def work(logs: Logs, log: Log, run: Callable[[Task], Awaitable[None]], *, only: int | None = 0) -> None:
    """Work on one partition (or on all), within a time limit."""

    async def chosen(task: Task) -> None:
        if only is None or task.partition == only:
            await run(task)

    async with asyncio.timeout(PATIENCE_SECONDS):
        await log.work(INPUTS, chosen, group=logs.group)


class LogContract:
    @pytest.fixture
    async def log(self, logs: Logs) -> AdministeredLog:
        """Open a client, with all the topics these tests use."""
        client = await logs.open()
        many = [TopicSpec(name, PARTITIONS) for name in (URGENT, DISPOSITIONS, TIMELINE)]
        compacted = [TopicSpec(BILLS, PARTITIONS, compacted=True), TopicSpec(REGISTRY, 1, compacted=True)]
        await client.create_topics([*many, *compacted, TopicSpec(PARTY, 1), TopicSpec(OTHER_PARTY, 1)])
        return client

    # Topics

    async def test_topics_are_made_once_and_left_alone_afterwards(self, logs: Logs, log: AdministeredLog) -> None:
        await log.append(outputs(PARTY, 2))
        await log.create_topics([TopicSpec(PARTY, 5), TopicSpec("snp.party.NEWA", 1)])

        found = await log.topics()

        assert found[PARTY] == 1
        assert found["snp.party.NEWA"] == 1
        assert found[DISPOSITIONS] == PARTITIONS
        assert await values(log, PARTY) == [b"0", b"1"]

    # Appending and reading

    async def test_records_come_back_as_they_were_written(self, log: Log) -> None:
        before = time.time() * 1000 - 1000
        written = Output(PARTY, b"key", b"value \x00\xff", (("type", b"Hold"), ("type", b""), ("é", b"\x00")))
        await log.append([written, Output(PARTY, b"key", None), Output(PARTY, b"", b"")])

        first, second, third = await everything(log, PARTY)

        assert (first.topic, first.partition, first.key, first.value) == (PARTY, 0, b"key", written.value)
        assert first.headers == written.headers
        assert before < first.timestamp < time.time() * 1000 + 1000
        assert (second.value, second.headers) == (None, ())
        assert third.value == b""

    async def test_offsets_of_a_partition_grow_in_the_order_written(self, log: Log) -> None:
        for start in range(0, 30, 10):
            await log.append(outputs(PARTY, 10, first=start))

        records = await everything(log, PARTY)

        assert [record.value for record in records] == [b"%d" % number for number in range(30)]
        assert all(a.offset < b.offset for a, b in pairwise(records))
        again = await everything(log, PARTY)
        assert again == records

    async def test_a_key_has_one_partition(self, log: Log) -> None:
        keys = [b"NVXA%05d" % number for number in range(60)]
        await log.append([Output(DISPOSITIONS, key, key) for key in keys])

        records = await everything(log, DISPOSITIONS)

        assert {record.key for record in records} == set(keys)
        assert all(record.partition == partition_of(record.key, PARTITIONS) for record in records)

    async def test_a_reserved_key_lies_in_the_partition_it_names(self, log: Log) -> None:
        await log.append([position_output(partition, count=1) for partition in range(PARTITIONS)])

        assert sorted(record.partition for record in await everything(log, BILLS)) == list(range(PARTITIONS))

    async def test_end_offsets_are_where_the_next_record_goes_or_before(self, log: Log) -> None:
        assert await log.end_offsets(PARTY) == {0: 0}
        await log.append(outputs(PARTY, 3))
        end = (await log.end_offsets(PARTY))[0]
        await log.append(outputs(PARTY, 1, first=3))

        records = await everything(log, PARTY)

        assert records[2].offset < end <= records[3].offset
        assert set(await log.end_offsets(DISPOSITIONS)) == set(range(PARTITIONS))

    async def test_offsets_are_found_by_the_time_of_writing(self, log: Log) -> None:
        begin = int(time.time() * 1000) - 3 * HOUR
        assert await log.offsets_at(PARTY, begin) == {0: 0}
        times = [begin, begin + MINUTE, begin + MINUTE, begin + HOUR]
        await log.append([Output(PARTY, b"key", b"%d" % at, timestamp=at) for at in times])

        offsets = [record.offset for record in await everything(log, PARTY)]
        end = (await log.end_offsets(PARTY))[0]

        async def found(moment: int) -> int:
            return (await log.offsets_at(PARTY, moment))[0]

        assert [await found(moment) for moment in (0, begin, begin + 1, begin + MINUTE)] == [
            offsets[0], offsets[0], offsets[1], offsets[1],
        ]  # fmt: skip
        assert [await found(moment) for moment in (begin + HOUR, begin + HOUR + 1)] == [offsets[3], end]
        assert set(await log.offsets_at(DISPOSITIONS, begin)) == set(range(PARTITIONS))

    async def test_offsets_are_found_although_the_clock_was_set_back_by_hours(self, log: Log) -> None:
        begin = int(time.time() * 1000) - 12 * HOUR
        times = [begin + 5 * HOUR, *(begin + number * MINUTE for number in range(20))]
        await log.append([Output(PARTY, b"key", b"%d" % at, timestamp=at) for at in times])
        first = (await everything(log, PARTY))[0].offset

        assert await log.offsets_at(PARTY, begin + 4 * HOUR) == {0: first}

    async def test_a_missing_topic_is_named_and_nothing_is_appended(self, log: Log) -> None:
        with pytest.raises(DestinationMissing) as caught:
            await log.append([*outputs(PARTY, 2), *outputs("snp.party.NONE", 1)], atomic=True)

        assert caught.value.topics == ("snp.party.NONE",)
        assert await values(log, PARTY) == []

    async def test_an_atomic_append_can_be_read_when_it_returns(self, logs: Logs, log: Log) -> None:
        """The next command knows what one has registered."""
        reader = await logs.open()
        for number in range(1, 21):
            await log.append(outputs(PARTY, 1, first=number), atomic=True)
            assert len(await values(reader, PARTY)) == number

    async def test_a_reader_sees_all_of_an_atomic_append_or_nothing(self, logs: Logs, log: Log) -> None:
        reader = await logs.open()
        counts: list[int] = []

        async def look() -> None:
            while True:
                counts.append(len(await everything(reader, PARTY)))
                await asyncio.sleep(0)

        looking = asyncio.create_task(look())
        for start in range(0, 500, 50):
            await log.append(outputs(PARTY, 50, first=start), atomic=True)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

        assert all(count % 50 == 0 for count in counts)
        assert len(await everything(reader, PARTY)) == 500

    async def test_reading_by_key_finds_only_that_key(self, log: Log) -> None:
        for topic in (TIMELINE, BILLS):
            await log.append([Output(topic, b"NVXA%d" % (number % 7), b"%d" % number) for number in range(70)])

        timeline = await everything(log, TIMELINE, key=b"NVXA3")
        state = await everything(log, BILLS, key=b"NVXA3")

        assert [record.value for record in timeline] == [b"%d" % number for number in range(3, 70, 7)]
        assert state[-1].value == b"66"
        assert {record.key for record in state} == {b"NVXA3"}
        assert await everything(log, BILLS, TIMELINE, key=b"nobody") == []

    async def test_a_reader_from_now_sees_only_what_comes(self, logs: Logs, log: Log) -> None:
        await log.append(outputs(PARTY, 5))
        reader = await logs.open()
        tail = reader.read([PARTY], from_start=False)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await anext(tail) == []  # An empty batch: it has begun.
            await log.append(outputs(PARTY, 2, first=5))
            seen = [record.value for record in await anext(tail)]
            while len(seen) < 2:
                seen += [record.value for record in await anext(tail)]
        await tail.aclose()  # type: ignore[attr-defined]

        assert seen == [b"5", b"6"]

    async def test_a_reader_begins_where_it_left_off(self, log: Log) -> None:
        await log.append(outputs(PARTY, 10))
        await log.append(outputs(OTHER_PARTY, 3))
        records = [record async for batch in log.read([PARTY], until_end=True) for record in batch]
        left_off = {(PARTY, 0): records[6].offset + 1}

        reading = log.read([PARTY, OTHER_PARTY], until_end=True, begin=left_off)
        rest = [record async for batch in reading for record in batch]
        from_now = log.read([PARTY, OTHER_PARTY], until_end=True, from_start=False, begin=left_off)
        only_there = [record async for batch in from_now for record in batch]

        assert [record.value for record in rest if record.topic == PARTY] == [b"7", b"8", b"9"]
        assert [record.value for record in rest if record.topic == OTHER_PARTY] == [b"0", b"1", b"2"]
        assert [record.value for record in only_there] == [b"7", b"8", b"9"]

    async def test_two_groups_work_beside_each_other(self, logs: Logs, log: Log) -> None:
        """The second group writes no position of its own. The position of the first changes meanwhile."""

        async def moves(task: Task) -> None:
            await task.commit([position_output(0, count=1)])

        async def stays(task: Task) -> None:
            await task.commit(outputs(OTHER_PARTY, 1))
            await work(logs, log, moves)
            await task.commit(outputs(OTHER_PARTY, 1, first=1))

        async with asyncio.timeout(PATIENCE_SECONDS):
            await log.work([PARTY], stays, group=f"{logs.group}-beside")

        assert await values(log, OTHER_PARTY) == [b"0", b"1"]

    async def test_a_group_that_never_committed_has_read_nothing(self, logs: Logs, log: AdministeredLog) -> None:
        await log.append(outputs(PARTY, 1))
        assert not await log.committed(f"{logs.group}-idle", [PARTY])

    async def test_reading_until_the_end_ends_although_more_is_written(self, logs: Logs, log: Log) -> None:
        await log.append(outputs(PARTY, 100))
        reading = log.read([PARTY, OTHER_PARTY], until_end=True)
        first = await anext(reading)
        await log.append(outputs(PARTY, 100, first=100))

        rest = [record async for batch in reading for record in batch]

        assert [record.value for record in [*first, *rest]] == [b"%d" % number for number in range(100)]

    # Compaction

    async def test_a_compacted_topic_keeps_the_last_record_of_each_key(self, log: Log) -> None:
        await log.append(outputs(BILLS, 3, key=b"NVXA1") + outputs(BILLS, 2, key=b"NVXA2"))
        await log.append(outputs(BILLS, 2, key=b"NVXA1", first=3))

        last = {record.key: record.value for record in await everything(log, BILLS)}

        assert last == {b"NVXA1": b"4", b"NVXA2": b"1"}

    async def test_a_key_written_again_while_it_is_being_read_is_not_missed(self, log: Log) -> None:
        keys = {b"NVXA%06d" % number for number in range(2500)}  # More than a batch of the embedded log.
        await log.append([Output(BILLS, key, b"1") for key in keys])
        reading = log.read([BILLS], until_end=True)
        seen = {record.key for record in await anext(reading)}
        await log.append([Output(BILLS, key, b"2") for key in keys - seen])

        seen |= {record.key async for batch in reading for record in batch}

        assert seen == keys

    async def test_a_tombstone_takes_the_key_away_and_a_tail_sees_it(self, logs: Logs, log: Log) -> None:
        gone, kept = key_in(0), key_in(0, 1)
        await log.append([Output(BILLS, gone, b"1"), Output(BILLS, kept, b"1")])
        await log.append([Output(BILLS, gone, None)])
        state: list[dict[bytes, bytes | None]] = []

        async def run(task: Task) -> None:
            state.append(await restored(task))

        await work(logs, log, run)

        assert {key: value for key, value in state[0].items() if value is not None} == {kept: b"1"}
        assert (await everything(log, BILLS, key=gone))[-1].value is None
        await log.append([Output(BILLS, gone, b"2")])
        assert (await everything(log, BILLS, key=gone))[-1].value == b"2"

    # Tasks: restoring and polling

    async def test_every_partition_is_a_task_and_work_ends_when_all_have_returned(self, logs: Logs, log: Log) -> None:
        seen: list[int] = []
        met = asyncio.Barrier(PARTITIONS)

        async def run(task: Task) -> None:
            await met.wait()  # All at the same time.
            seen.append(task.partition)

        await work(logs, log, run, only=None)

        assert sorted(seen) == list(range(PARTITIONS))

    async def test_a_task_restores_its_own_partition_in_batches(self, logs: Logs, log: Log) -> None:
        keys = [b"NVXA%05d" % number for number in range(12_000)]
        for start in range(0, len(keys), 4000):
            await log.append([Output(BILLS, key, key) for key in keys[start : start + 4000]])
        batches: list[list[Record]] = []

        async def run(task: Task) -> None:
            batches.extend([batch async for batch in task.restore([BILLS])])

        await work(logs, log, run, only=1)

        assert [key for batch in batches for key in (record.key for record in batch)] == [
            key for key in keys if partition_of(key, PARTITIONS) == 1
        ]
        assert len(batches) >= 1

    async def test_of_what_waits_earlier_topics_come_first(self, logs: Logs, log: Log) -> None:
        key = key_in(0)
        await log.append(outputs(DISPOSITIONS, 3, key=key))
        await log.append(outputs(URGENT, 3, key=key))
        await log.append([Output(REGISTRY, b"party", b"0"), Output(DISPOSITIONS, key_in(1), b"another task's")])
        polled: list[Record] = []

        async def run(task: Task) -> None:
            position: dict[str, int] = {}
            while len(polled) < 7:
                records = await task.poll(position, 2, 5)
                assert len(records) <= 2
                polled.extend(records)
                position |= {record.topic: record.offset + 1 for record in records}
            assert await task.poll(position, 2, 0) == []

        await work(logs, log, run)

        assert [record.topic for record in polled] == [REGISTRY, *3 * [URGENT], *3 * [DISPOSITIONS]]
        assert [record.value for record in polled] == [b"0", *2 * [b"0", b"1", b"2"]]

    async def test_polling_begins_where_the_position_says(self, logs: Logs, log: Log) -> None:
        await log.append(outputs(DISPOSITIONS, 6, key=key_in(0)) + outputs(URGENT, 1, key=key_in(0)))
        offset = [record.offset for record in await everything(log, DISPOSITIONS)][4]

        async def run(task: Task) -> None:
            records = await task.poll({DISPOSITIONS: offset}, 100, 5)
            while len(records) < 3:
                records += await task.poll({r.topic: r.offset + 1 for r in records}, 100, 5)
            # The topic that the position lacks is read from its beginning.
            assert [(record.topic, record.value) for record in records] == [
                (URGENT, b"0"),
                (DISPOSITIONS, b"4"),
                (DISPOSITIONS, b"5"),
            ]

        await work(logs, log, run)

    async def test_records_polled_and_not_acted_on_are_polled_again(self, logs: Logs, log: Log) -> None:
        await log.append(outputs(URGENT, 2, key=key_in(0)) + outputs(DISPOSITIONS, 8, key=key_in(0)))
        again: list[Record] = []

        async def run(task: Task) -> None:
            polled: list[Record] = []
            while len(polled) < 6:
                polled += await task.poll({r.topic: r.offset + 1 for r in polled}, 6 - len(polled), 5)
            position = {record.topic: record.offset + 1 for record in polled[:4]}
            while len(again) < 6:
                again.extend(await task.poll(position | {r.topic: r.offset + 1 for r in again}, 10, 5))
            assert again[:2] == polled[4:]

        await work(logs, log, run)

        assert [record.value for record in again] == [b"2", b"3", b"4", b"5", b"6", b"7"]

    async def test_a_task_sees_what_waits_of_one_input_without_polling(self, logs: Logs, log: Log) -> None:
        await log.append(outputs(DISPOSITIONS, 3, key=key_in(0)))

        async def run(task: Task) -> None:
            (last,) = (await task.poll({}, 3, 5))[-1:]
            position = {DISPOSITIONS: last.offset + 1}
            assert not task.has_waiting(URGENT, position)
            await log.append(outputs(URGENT, 1, key=key_in(0)))
            while not task.has_waiting(URGENT, position):
                await asyncio.sleep(0.01)
            (urgent,) = await task.poll(position, 3, 5)
            assert not task.has_waiting(URGENT, position | {URGENT: urgent.offset + 1})

        await work(logs, log, run)

    async def test_a_task_that_has_read_all_of_its_inputs_is_at_their_ends(self, logs: Logs, log: Log) -> None:
        """The end of a transaction has an offset on Kafka and is no record."""
        for number in range(3):
            await log.append([Output(REGISTRY, b"party", b"%d" % number)], atomic=True)
        await log.append(outputs(URGENT, 2, key=key_in(0)), atomic=True)
        await log.append(outputs(DISPOSITIONS, 2, key=key_in(0)))

        async def ends(task: Task) -> dict[str, int]:
            found = {topic: await log.end_offsets(topic) for topic in INPUTS}
            return {topic: found[topic][0 if topic == REGISTRY else task.partition] for topic in INPUTS}

        async def run(task: Task) -> None:
            position: dict[str, int] = {}
            while task.passed(position) != await ends(task):
                polled = await task.poll(position, 100, 0.1)
                before = position | {record.topic: record.offset for record in reversed(polled)}
                assert {topic: task.passed(before)[topic] for topic in before} == before, "they are not acted on"
                position |= {record.topic: record.offset + 1 for record in polled}
            at_end = task.passed(position)
            await log.append(outputs(DISPOSITIONS, 1, key=key_in(0)), atomic=True)
            assert (await ends(task))[DISPOSITIONS] > at_end[DISPOSITIONS]
            assert task.passed(position) == at_end

        await work(logs, log, run)

    async def test_a_poll_waits_for_its_time_and_no_longer(self, logs: Logs, log: Log) -> None:
        async def run(task: Task) -> None:
            began = time.monotonic()
            assert await task.poll({}, 10, 0.3) == []
            assert time.monotonic() - began > 0.2

        await work(logs, log, run)

    async def test_a_waiting_poll_returns_when_another_client_appends(self, logs: Logs, log: Log) -> None:
        feed = await logs.open()

        async def run(task: Task) -> None:
            polling = asyncio.create_task(task.poll({}, 10, 3600))
            await asyncio.sleep(0.1)
            await feed.append(outputs(DISPOSITIONS, 1, key=key_in(0)))
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert [record.value for record in await polling] == [b"0"]

        await work(logs, log, run)

    # Tasks: committing

    async def test_a_commit_is_seen_whole_by_a_tailing_reader(self, logs: Logs, log: Log) -> None:
        reader, size, commits = await logs.open(), 40, 12
        counts: list[int] = []

        async def tail() -> None:
            seen = 0
            async for batch in reader.read([PARTY]):
                seen += len(batch)
                counts.append(len(await everything(reader, PARTY)))
                if seen == size * commits:
                    return

        async def run(task: Task) -> None:
            for number in range(commits):
                both = outputs(PARTY, size) + outputs(TIMELINE, size, key=key_in(number % PARTITIONS))
                await task.commit([*both, position_output(0, count=number + 1)])
                await asyncio.sleep(0.002)

        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(tail(), work(logs, log, run))

        assert all(count % size == 0 for count in counts)
        assert len(await everything(reader, TIMELINE)) == size * commits

    async def test_state_and_position_are_restored_as_committed(self, logs: Logs, log: Log) -> None:
        bill = key_in(0)

        async def first(task: Task) -> None:
            assert await counted(task) == 0
            for number in range(1, 4):
                state = Output(BILLS, bill, b"state %d" % number)
                await task.commit([*outputs(PARTY, 2), state, position_output(0, count=number)])

        async def second(task: Task) -> None:
            assert await counted(task) == 3
            assert (await restored(task))[bill] == b"state 3"

        await work(logs, log, first)
        await work(logs, await logs.open(), second)

    async def test_missing_destinations_are_all_named_and_nothing_is_written(self, logs: Logs, log: Log) -> None:
        async def run(task: Task) -> None:
            nowhere = [*outputs("snp.party.NONE", 2), *outputs("snp.party.NOTA", 1)]
            with pytest.raises(DestinationMissing) as caught:
                await task.commit([*outputs(PARTY, 1), *nowhere, position_output(0, count=1)])
            assert sorted(caught.value.topics) == ["snp.party.NONE", "snp.party.NOTA"]
            assert await values(log, PARTY) == []
            await task.commit([*outputs(PARTY, 1, first=7), position_output(0, count=1)])  # Still usable.

        await work(logs, log, run)

        assert await values(log, PARTY) == [b"7"]

    async def test_a_destination_made_later_is_found(self, logs: Logs, log: Log) -> None:
        other = await logs.open()

        async def run(task: Task) -> None:
            with pytest.raises(DestinationMissing):
                await task.commit(outputs("snp.party.LATE", 1))
            await other.create_topics([TopicSpec("snp.party.LATE", 1)])
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    try:
                        return await task.commit(outputs("snp.party.LATE", 1))
                    except DestinationMissing:  # A log may know it a moment later.
                        await asyncio.sleep(0.1)

        await work(logs, log, run)

        assert await values(other, "snp.party.LATE") == [b"0"]

    async def test_the_later_owner_wins_and_the_earlier_learns_that_the_task_moved(self, logs: Logs, log: Log) -> None:
        other = await logs.open()
        began, taken = asyncio.Event(), asyncio.Event()
        moved: list[int] = []

        async def earlier(task: Task) -> None:
            if moved:
                return
            count = await counted(task)
            await task.commit([*outputs(PARTY, 1, first=count), position_output(0, count=count + 1)])
            began.set()
            await taken.wait()
            try:
                await task.commit([*outputs(PARTY, 1, first=99), position_output(0, count=99)])
            except TaskMoved:
                moved.append(task.partition)
                raise

        async def later(task: Task) -> None:
            count = await counted(task)
            await task.commit([*outputs(PARTY, 1, first=count), position_output(0, count=count + 1)])
            taken.set()

        async def take_over() -> None:
            await began.wait()
            await logs.lose(log)
            await work(logs, other, later)

        await asyncio.gather(work(logs, log, earlier), take_over())

        assert moved == [0]
        assert await values(other, PARTY) == [b"0", b"1"]

    async def test_a_task_that_retries_is_opened_anew_at_its_last_commit(self, logs: Logs, log: Log) -> None:
        async def run(task: Task) -> None:
            count = await counted(task)
            await task.commit([*outputs(PARTY, 1, first=count), position_output(0, count=count + 1)])
            if count < 3:
                raise TaskRetry("again")

        await work(logs, log, run)

        assert await values(log, PARTY) == [b"0", b"1", b"2", b"3"]

    async def test_a_fatal_error_ends_the_work_and_cancels_the_other_tasks(self, logs: Logs, log: Log) -> None:
        cancelled: list[int] = []
        waiting = asyncio.Semaphore(0)

        async def run(task: Task) -> None:
            if task.partition == 0:
                for _ in range(PARTITIONS - 1):
                    await waiting.acquire()
                raise FatalLogError("stop")
            try:
                waiting.release()
                await asyncio.sleep(PATIENCE_SECONDS)
            except asyncio.CancelledError:
                cancelled.append(task.partition)
                raise

        with pytest.raises(FatalLogError, match="stop"):
            await work(logs, log, run, only=None)

        assert sorted(cancelled) == [1, 2]

    async def test_inputs_that_are_not_there_are_fatal(self, logs: Logs, log: Log) -> None:
        async def run(task: Task) -> None:
            raise AssertionError("there is nothing to work on")

        with pytest.raises(FatalLogError, match=r"cbp\.nothing"):
            await log.work(["cbp.nothing", DISPOSITIONS], run, group=logs.group)

    async def test_cancelled_work_ends_within_a_bound_and_the_next_goes_on(self, logs: Logs, log: Log) -> None:
        enough = asyncio.Event()

        async def run(task: Task) -> None:
            count = await counted(task)
            while True:
                await task.commit([*outputs(PARTY, 3), position_output(0, count=count + 1)])
                count += 1
                if count == 3:
                    enough.set()

        working = asyncio.create_task(work(logs, log, run))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await enough.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await working
        assert await self.position_of(logs, await logs.open()) * 3 == len(await everything(log, PARTY))

    @pytest.mark.parametrize("steps", [(0, 1, 2, 3, 4), (5, 6, 8, 12, 20)])
    async def test_a_commit_cancelled_at_any_await_is_all_or_nothing(
        self, logs: Logs, log: Log, steps: Sequence[int]
    ) -> None:
        remaining = list(steps)

        async def run(task: Task) -> None:
            count = await counted(task)
            assert len(await everything(log, PARTY)) == count * 20
            if not remaining:
                return
            whole = [*outputs(PARTY, 20), position_output(0, count=count + 1)]
            await cancel_after(remaining.pop(0), task.commit(whole))
            raise TaskRetry("cancelled: what happened is for the restored position to tell")

        await work(logs, log, run)

        assert await self.position_of(logs, log) * 20 == len(await everything(log, PARTY))

    async def position_of(self, logs: Logs, log: Log) -> int:
        """Return the position as the next owner restores it."""
        found: list[int] = []

        async def run(task: Task) -> None:
            found.append(await counted(task))

        await work(logs, log, run)
        return found[-1]


async def cancel_after(steps: int, step: Awaitable[None]) -> None:
    """Cancel a step after a number of turns of the event loop, a little later each time."""
    running = asyncio.ensure_future(step)
    for _ in range(steps):
        await asyncio.sleep(0 if steps < 5 else 0.0003)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
