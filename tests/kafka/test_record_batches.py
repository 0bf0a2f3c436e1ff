"""Unpacking fetched batches: whatever was written, its neighbours before and after it are handed out, in order."""

from __future__ import annotations

import gzip
import random
import struct

import cramjam
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.codec import snappy_encode
from aiokafka.consumer import fetcher
from aiokafka.structs import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from router.log.kafka.record_batches import LARGEST_BATCH, MOST_RECORDS, BatchRecords, FaultyRecord, FetchedBatches
from tests.kafka.batches import NOW, Raw, batch, batch_of, record

AT = TopicPartition("cbp.dispositions", 0)
CODECS = {
    1: gzip.compress,
    2: lambda data: snappy_encode(data),
    3: lambda data: bytes(cramjam.lz4.compress(data)),
    4: lambda data: bytes(cramjam.zstd.compress(data)),
}


def unpacked(data: bytes, fetch_offset: int = 0, aborted: list[tuple[int, int]] | None = None) -> list[ConsumerRecord]:
    """The records of one answer of a broker, as aiokafka's fetcher asks for them."""
    found = FetchedBatches(data)
    return list(BatchRecords(AT, found, aborted, fetch_offset, None, None, True, fetcher.READ_COMMITTED))


def brief(records: list[ConsumerRecord]) -> list[tuple[int, bytes | None, bool]]:
    return [(one.offset, one.value, isinstance(one, FaultyRecord)) for one in records]


def test_the_client_in_use_unpacks_with_it() -> None:
    assert fetcher.PartitionRecords is BatchRecords
    assert fetcher.MemoryRecords is FetchedBatches
    assert AIOKafkaConsumer.__module__ == "aiokafka.consumer.consumer"


ANY_RECORD = st.builds(
    Raw,
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=50),
    headers=st.lists(st.tuples(st.none() | st.binary(max_size=8), st.none() | st.binary(max_size=8)), max_size=3),
    timestamp_delta=st.integers(-(2**62), 2**62),
    header_count=st.none() | st.integers(-3, 2**20),
    trailing=st.just(b"") | st.binary(min_size=1, max_size=4),
)


@given(st.lists(ANY_RECORD, min_size=1, max_size=8), st.integers(0, 4), st.integers(0, 8))
@settings(max_examples=300)
def test_each_record_is_handed_out_in_its_place_or_is_faulty_in_its_place(
    records: list[Raw], codec: int, fetch_offset: int
) -> None:
    payload = b"".join(record(raw, number) for number, raw in enumerate(records))
    attributes = codec
    if codec:
        payload = CODECS[codec](payload)
    data = batch_of([Raw(value=b"before")]) + batch(payload, len(records), base_offset=1, attributes=attributes)
    data += batch_of([Raw(value=b"after")], base_offset=1 + len(records))
    found = unpacked(data, fetch_offset)
    assert [one.offset for one in found] == list(range(min(fetch_offset, len(records) + 2), len(records) + 2))
    for one in found:
        if isinstance(one, FaultyRecord):
            raw = records[one.offset - 1]
            assert raw.trailing or raw.header_count is not None or any(not is_text(name) for name, _ in raw.headers)
            assert (one.key, one.value) == (raw.key, raw.value), "what could be read of it is kept"
        elif 1 <= one.offset <= len(records):
            raw = records[one.offset - 1]
            assert (one.key, one.value) == (raw.key, raw.value)
            assert [value for _, value in one.headers] == [value for _, value in raw.headers]
    if fetch_offset <= len(records) + 1:
        assert found[-1].value == b"after"


@given(st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 9), min_size=1, max_size=8), st.sampled_from([0, 1]))
@settings(max_examples=300)
def test_an_offset_that_a_record_names_falsely_moves_no_reader_and_hides_no_neighbour(
    deltas: list[int], codec: int
) -> None:
    """Brokers look at the offsets of compressed batches only."""
    payload = b"".join(record(Raw(value=b"%d" % number), delta) for number, delta in enumerate(deltas))
    data = batch_of([Raw(value=b"before")])
    data += batch(gzip.compress(payload) if codec else payload, len(deltas), base_offset=1, attributes=codec)
    reader = BatchRecords(AT, FetchedBatches(data), None, 0, None, None, True, fetcher.READ_COMMITTED)
    found = list(reader)
    assert [(one.offset, one.value) for one in found[1:]] == [(n + 1, b"%d" % n) for n in range(len(deltas))]
    assert [isinstance(one, FaultyRecord) for one in found[1:]] == [n != delta for n, delta in enumerate(deltas)]
    assert reader.next_fetch_offset == len(deltas) + 1


def test_a_compacted_batch_keeps_its_gaps() -> None:
    kept = b"".join(record(Raw(value=b"%d" % delta), delta) for delta in (2, 5))
    found = unpacked(batch(kept, 2, last_delta=9) + batch_of([Raw(value=b"after")], base_offset=10))
    assert brief(found) == [(2, b"2", False), (5, b"5", False), (10, b"after", False)]


def is_text(name: bytes | None) -> bool:
    try:
        return name is not None and name.decode() is not None
    except UnicodeDecodeError:
        return False


@given(st.binary(max_size=80), st.integers(0, 15), st.integers(-5, 200_000), st.integers(0, 2**31 - 10))
@settings(max_examples=500)
def test_a_batch_of_any_bytes_stops_nothing_before_or_after_it(
    payload: bytes, attributes: int, count: int, last_delta: int
) -> None:
    data = batch_of([Raw(value=b"before")])
    data += batch(payload, count, base_offset=1, attributes=attributes, last_delta=last_delta)
    data += batch_of([Raw(value=b"after")], base_offset=2 + last_delta)
    found = unpacked(data)
    assert found[0].value == b"before"
    assert (found[-1].value, found[-1].offset) == (b"after", 2 + last_delta)
    assert [one.offset for one in found] == sorted({one.offset for one in found})


@given(st.data())
@settings(max_examples=300)
def test_one_changed_byte_of_a_batch_costs_its_own_records_only(data: st.DataObject) -> None:
    """A byte of what the checksum covers: a broker refuses it, a disk can change it."""
    middle = bytearray(batch_of([Raw(value=b"m%d" % number) for number in range(4)], base_offset=1))
    place = data.draw(st.integers(17, len(middle) - 1))
    if 23 <= place < 27:
        return  # the offset of its last record: what comes behind is then not known
    middle[place] ^= data.draw(st.integers(1, 255))
    found = unpacked(batch_of([Raw(value=b"before")]) + middle + batch_of([Raw(value=b"after")], base_offset=5))
    assert brief(found) == [(0, b"before", False), (4, None, True), (5, b"after", False)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("filling", [bytes, random.Random(1).randbytes], ids=["zeros", "noise"])
def test_every_compression_is_read(codec: int, filling: object) -> None:
    assert callable(filling)
    records = [Raw(key=b"%d" % number, value=filling(3000), headers=[(b"h", b"v")]) for number in range(200)]
    payload = b"".join(record(raw, number) for number, raw in enumerate(records))
    found = unpacked(batch(CODECS[codec](payload), len(records), attributes=codec))
    assert [(one.key, one.value, one.headers) for one in found] == [
        (raw.key, raw.value, (("h", b"v"),)) for raw in records
    ]


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_is_one_faulty_record_and_takes_no_memory(codec: int) -> None:
    payload = CODECS[codec](record(Raw(value=bytes(4 * LARGEST_BATCH)), 0))
    data = batch(payload, 5, attributes=codec) + batch_of([Raw(value=b"after")], base_offset=5)
    found = unpacked(data)
    assert brief(found) == [(4, None, True), (5, b"after", False)]
    assert "bytes when decompressed" in found[0].fault


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_of_millions_of_records_or_headers_is_faulty(codec: int) -> None:
    many = b"".join(record(Raw(None, None), number) for number in range(1000)) * 1000
    crowd = batch(CODECS[codec](many), 1_000_000, attributes=codec)
    assert brief(unpacked(crowd)) == [(999_999, None, True)]
    assert f"more than {MOST_RECORDS:,}" in unpacked(crowd)[0].fault
    headers = record(Raw(value=b"kept", headers=[(b"", None)] * 1_000_000), 0)
    assert brief(unpacked(batch(CODECS[codec](headers), 1, attributes=codec))) == [(0, b"kept", True)]


@pytest.mark.parametrize("codec", [*CODECS, 5, 6, 7])
def test_damaged_and_unknown_compression_is_faulty(codec: int) -> None:
    whole = CODECS.get(codec, bytes)(record(Raw(), 0))
    for damaged in (b"", b"\x00", whole[: len(whole) // 2], bytes(reversed(whole))):
        data = batch(damaged, 1, attributes=codec) + batch_of([Raw(value=b"after")], base_offset=1)
        assert brief(unpacked(data)) == [(0, None, True), (1, b"after", False)]


@pytest.mark.parametrize("magic", [0, 1, 3, 127])
def test_a_batch_in_another_format_is_faulty(magic: int) -> None:
    old = bytearray(batch_of([Raw()]))
    old[16] = magic
    found = unpacked(bytes(old) + batch_of([Raw(value=b"after")], base_offset=1))
    assert brief(found) == [(0, None, True), (1, b"after", False)]
    assert f"format {magic}" in found[0].fault


@pytest.mark.parametrize("timestamp", [-(2**63), -1, 0, 2**63 - 1])
def test_any_time_is_read(timestamp: int) -> None:
    assert [one.value for one in unpacked(batch_of([Raw()], timestamp=timestamp))] == [b"value"]


# Transactions


def marker(offset: int, producer_id: int, kind: bytes) -> bytes:
    return batch_of(
        [Raw(key=kind, value=b"\x00\x00\x00\x00\x00\x00")], base_offset=offset, attributes=0x30, producer_id=producer_id
    )


ABORT, COMMIT = struct.pack(">hh", 0, 0), struct.pack(">hh", 0, 1)


def test_an_aborted_transaction_is_passed_and_a_committed_one_read() -> None:
    data = batch_of([Raw(value=b"aborted")], base_offset=0, attributes=0x10, producer_id=7)
    data += batch_of([Raw(value=b"other")], base_offset=1, attributes=0x10, producer_id=8)
    data += marker(2, 7, ABORT) + marker(3, 8, COMMIT)
    data += batch_of([Raw(value=b"next")], base_offset=4, attributes=0x10, producer_id=7)
    assert [one.value for one in unpacked(data, aborted=[(7, 0)])] == [b"other", b"next"]


@pytest.mark.parametrize("kind", [b"", b"\x00", b"\xff" * 40, struct.pack(">hh", 9, 9)])
def test_a_marker_of_an_unknown_kind_is_passed(kind: bytes) -> None:
    data = marker(0, 7, kind) + batch_of([Raw(value=b"after")], base_offset=1)
    assert [one.value for one in unpacked(data)] == [b"after"]


def test_the_cut_end_of_an_answer_is_left_for_the_next_fetch() -> None:
    whole = batch_of([Raw(value=b"whole")])
    next_one = batch_of([Raw(value=b"next")], base_offset=1)
    for length in range(len(next_one)):
        assert [one.value for one in unpacked(whole + next_one[:length])] == [b"whole"]
    assert not FetchedBatches(next_one[:-1]).has_next()
    assert NOW
