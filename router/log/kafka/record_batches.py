"""Fetched record batches, unpacked so that nothing anyone can write stops a reader.

aiokafka raises on a header whose key is not UTF-8, on an unknown or damaged compression, and it takes as much memory as
a batch asks for. After the exception it has moved on past records that it never handed out. Importing this module puts
`BatchRecords` in its place: it hands out what can be read of a batch, in order, and a `FaultyRecord` for what can't.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import decode_varint
from aiokafka.structs import ConsumerRecord, TopicPartition

LARGEST_BATCH: Final = 16 * 1024 * 1024
"""Bytes of a batch that is unpacked. The router's own have at most 4 MB, a stock producer's 1 MB."""
MOST_RECORDS: Final = 100_000
"""Records of a batch. Each takes half a kilobyte here, however small it was."""
MOST_HEADERS: Final = 1000

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
FRAME: Final = struct.Struct(">qi")
"""Beginning of each batch: its first offset, and the number of bytes after these twelve."""
FORMAT: Final = 2
"""Batches' only format since Kafka 3.0."""

COMPRESSION: Final = 0x07
LOG_APPEND_TIME: Final = 0x08
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
DECOMPRESSORS: Final[dict[int, Any]] = {GZIP: cramjam.gzip, LZ4: cramjam.lz4, ZSTD: cramjam.zstd}
XERIAL: Final = b"\x82SNAPPY\x00"
"""Beginning of snappy data in blocks, as Java clients write it."""
XERIAL_HEAD: Final = 16
BLOCK_SIZE: Final = struct.Struct(">i")

UNREADABLE: Final = (KafkaError, ValueError, IndexError, OverflowError, struct.error, cramjam.DecompressionError)


@dataclass
class FaultyRecord(ConsumerRecord):  # type: ignore[misc]
    """Takes the place of a record that can't be read, or of all from it to its batch's end. Key and value are there if
    they could be read."""

    fault: str


class BatchHead(NamedTuple):
    """The fields of a batch before its records, in the order of the format."""

    base_offset: int
    length: int
    leader_epoch: int
    format: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta


class FetchedBatches:
    """The batches of one answer to a fetch. The last may be cut, as brokers do; it is fetched again."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        return self._end() is not None

    def next_batch(self) -> memoryview:
        begin, end = self._at, self._end()
        assert end is not None
        self._at = end
        return self._data[begin:end]

    def _end(self) -> int | None:
        if len(self._data) - self._at < FRAME.size:
            return None
        _, length = FRAME.unpack_from(self._data, self._at)
        end: int = self._at + FRAME.size + max(0, length)
        return end if end <= len(self._data) else None


class BatchRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Records of the fetched batches of one partition, in order, without those of aborted transactions and markers."""

    next_fetch_offset: int
    """Offset behind what was handed out."""

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        while self._records.has_next():
            batch = self._records.next_batch()
            head = _head_of(batch)
            if fault := _fault_of(head, batch):
                yield self._faulty(head, fault)
            elif not self._is_passed(head, batch):
                yield from self._records_of(head, batch)
            self.next_fetch_offset = max(self.next_fetch_offset, head.last_offset + 1)

    def _is_passed(self, head: BatchHead, batch: memoryview) -> bool:
        """True for a marker, and for what was written in a transaction that was aborted."""
        if self._isolation_level == fetcher.READ_COMMITTED and head.producer_id >= 0:
            self._consume_aborted_up_to(head.base_offset)
            if head.attributes & CONTROL and self._is_abort_marker(batch):
                self._aborted_producers.discard(head.producer_id)
            if head.attributes & TRANSACTIONAL and head.producer_id in self._aborted_producers:
                return True
        return bool(head.attributes & CONTROL)

    def _is_abort_marker(self, batch: memoryview) -> bool:
        try:
            return bool(self._contains_abort_marker(DefaultRecordBatch(batch)))
        except UNREADABLE:  # a marker of a kind that only brokers know
            return False

    def _records_of(self, head: BatchHead, batch: memoryview) -> Iterator[ConsumerRecord]:
        try:
            plain = _uncompressed(head, batch)
        except UNREADABLE as error:
            yield self._faulty(head, str(error))
            return
        try:
            # Compressed headers could be millions; aiokafka does not bound them.
            if not head.attributes & COMPRESSION:
                next_offset = head.base_offset
                for number, record in enumerate(DefaultRecordBatch(plain)):
                    if not _is_own(record.offset, head, number, next_offset):
                        break
                    next_offset = record.offset + 1
                    if record.offset >= self.next_fetch_offset:  # a fetch may begin within a batch
                        self.next_fetch_offset = next_offset
                        yield self._consumer_record(self._tp, record)
                else:
                    return
        except UNREADABLE:
            pass  # what it did not hand out follows
        for record in _records_in(head, plain, self._tp):
            if record.offset >= self.next_fetch_offset:
                self.next_fetch_offset = record.offset + 1
                yield record

    def _faulty(self, head: BatchHead, fault: str) -> ConsumerRecord:
        """A record in the place of a whole batch."""
        whole = f"its batch can't be read: {fault}"
        return _record_of(self._tp, head.last_offset, head.max_timestamp, 0, None, None, (), whole)


def _head_of(batch: memoryview) -> BatchHead:
    """The batch's head. Of a batch in another format, only its place is read."""
    if len(batch) < HEADER.size or batch[16] != FORMAT:
        offset, length = FRAME.unpack_from(batch)
        return BatchHead(offset, length, 0, batch[16] if len(batch) > 16 else 0, 0, 0, 0, -1, -1, -1, -1, -1, 0)
    return BatchHead(*HEADER.unpack_from(batch))


def _fault_of(head: BatchHead, batch: memoryview) -> str | None:
    """Reason why nothing that the batch's head says can be believed."""
    if head.format != FORMAT:
        return f"it has the format {head.format}, and only {FORMAT} is read"
    if not DefaultRecordBatch(batch).validate_crc():
        return "its checksum is wrong"
    return None


def _uncompressed(head: BatchHead, batch: memoryview) -> memoryview:
    """The batch with its records as they were before compression. Raises one of UNREADABLE."""
    if not 0 <= head.records <= MOST_RECORDS:
        raise ValueError(f"it has {head.records:,} records, more than {MOST_RECORDS:,}")
    if head.records > head.last_offset_delta + 1:
        raise ValueError(f"it has {head.records:,} records for {head.last_offset_delta + 1:,} offsets")
    codec = head.attributes & COMPRESSION
    if not codec:
        return batch
    records = batch[HEADER.size :]
    if codec == SNAPPY:
        plain = _snappy(records)
    elif codec in DECOMPRESSORS:
        plain = _decompressed(DECOMPRESSORS[codec], records)
    else:
        raise ValueError(f"no compression has the number {codec}")
    return memoryview(bytes(batch[: HEADER.size]) + plain)


def _decompressed(codec: Any, data: memoryview) -> bytes:
    """Decompress into a buffer that doesn't grow. Raises cramjam.DecompressionError, ValueError."""
    usual = min(LARGEST_BATCH, max(1_000_000, 20 * len(data)))
    for size in dict.fromkeys((usual, LARGEST_BATCH)):
        buffer = bytearray(size)
        try:
            return bytes(memoryview(buffer)[: codec.decompress_into(data, buffer)])
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise
    raise ValueError(f"it has more than {LARGEST_BATCH:,} bytes when decompressed")


def _snappy(data: memoryview) -> bytes:
    """Decompress snappy data, in blocks or not. Raises cramjam.DecompressionError, ValueError, struct.error."""
    if bytes(data[: len(XERIAL)]) != XERIAL:
        blocks = [data]
    else:
        blocks, at = [], XERIAL_HEAD
        while at < len(data):
            (size,) = BLOCK_SIZE.unpack_from(data, at)
            at += BLOCK_SIZE.size
            if not 0 <= size <= len(data) - at:
                raise ValueError("a block of it is cut")
            blocks.append(data[at : at + size])
            at += size
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > LARGEST_BATCH:
        raise ValueError(f"it has more than {LARGEST_BATCH:,} bytes when decompressed")
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _records_in(head: BatchHead, plain: memoryview, at: TopicPartition) -> Iterator[ConsumerRecord]:
    """The records of a batch, each for itself: one that can't be read is a faulty one, and so is all that follows a
    length that can't be right."""
    position = HEADER.size
    last_offset = head.base_offset - 1
    for number in range(head.records):
        try:
            length, begin = decode_varint(plain, position)
            position = begin + length
            if length < 0 or position > len(plain):
                raise ValueError(f"its length {length:,} is more than what follows")
        except UNREADABLE as error:
            fault = f"record {number + 1} of its batch can't be read, nor what follows it: {error}"
            yield _record_of(at, head.last_offset, head.max_timestamp, 0, None, None, (), fault)
            return
        record = _record_in(head, number, plain[begin:position], at, last_offset + 1)
        last_offset = record.offset
        yield record
    if position != len(plain):
        fault = f"{len(plain) - position:,} bytes follow the last record of its batch"
        if last_offset < head.last_offset:
            yield _record_of(at, head.last_offset, head.max_timestamp, 0, None, None, (), fault)


def _is_own(offset: int, head: BatchHead, number: int, first: int) -> bool:
    """True if the record of that number, from 0, can lie at an offset: not before `first`, and with an offset of the
    batch left for each record behind it. Brokers store others too: a reader that believed them would go on behind the
    end of the log, or pass neighbours over."""
    return first <= offset <= head.last_offset - (head.records - number - 1)


def _record_in(
    head: BatchHead, number: int, data: memoryview, at: TopicPartition, expected_offset: int
) -> ConsumerRecord:
    """The record of that number, from 0. Its offset is `expected_offset` if it names none that can be its own."""
    timestamp, offset = head.max_timestamp, expected_offset
    key: bytes | None = None
    value: bytes | None = None
    fault: str | None = None
    headers: list[tuple[str, bytes | None]] = []
    try:
        since, position = decode_varint(data, 1)
        if not head.attributes & LOG_APPEND_TIME:
            timestamp = head.first_timestamp + since
        delta, position = decode_varint(data, position)
        if named_rightly := _is_own(head.base_offset + delta, head, number, expected_offset):
            offset = head.base_offset + delta
        key, position = _bytes_at(data, position)
        value, position = _bytes_at(data, position)
        headers, position = _headers_at(data, position)
        if position != len(data):
            raise ValueError(f"{len(data) - position:,} bytes follow its headers")
        if not named_rightly:
            raise ValueError(f"it names an offset that is not its own, {delta:,} from its batch's first")
    except UNREADABLE as error:
        fault, headers = f"the record can't be read: {error}", []
    return _record_of(at, offset, timestamp, head.attributes & LOG_APPEND_TIME, key, value, tuple(headers), fault)


def _bytes_at(data: memoryview, position: int) -> tuple[bytes | None, int]:
    length, begin = decode_varint(data, position)
    if length < 0:
        return None, begin
    if length > len(data) - begin:
        raise ValueError(f"a field of {length:,} bytes has only {len(data) - begin:,}")
    return bytes(data[begin : begin + length]), begin + length


def _headers_at(data: memoryview, position: int) -> tuple[list[tuple[str, bytes | None]], int]:
    count, position = decode_varint(data, position)
    if not 0 <= count <= MOST_HEADERS:
        raise ValueError(f"it has {count:,} headers, more than {MOST_HEADERS:,}")
    headers = []
    for _ in range(count):
        name, position = _bytes_at(data, position)
        if name is None:
            raise ValueError("a header has no name")
        value, position = _bytes_at(data, position)
        try:
            headers.append((name.decode(), value))
        except UnicodeDecodeError:
            raise ValueError(f"the name of a header, {name[:20]!r}, is not UTF-8") from None
    return headers, position


def _record_of(
    at: TopicPartition, offset: int, timestamp: int, timestamp_type: int, key: bytes | None, value: bytes | None,
    headers: tuple[tuple[str, bytes | None], ...], fault: str | None,
) -> ConsumerRecord:  # fmt: skip
    sizes = (len(key) if key is not None else -1, len(value) if value is not None else -1)
    fields = (at.topic, at.partition, offset, timestamp, int(bool(timestamp_type)), key, value, None, *sizes, headers)
    return ConsumerRecord(*fields) if fault is None else FaultyRecord(*fields, fault)


fetcher.MemoryRecords = FetchedBatches
fetcher.PartitionRecords = BatchRecords
