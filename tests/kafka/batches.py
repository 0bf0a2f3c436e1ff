"""Record batches as bytes, well-formed or not, and the request that sends them: what a hostile client can write."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.record.util import calc_crc32c, encode_varint

NOW = 1_790_000_000_000
PRODUCE, PRODUCE_VERSION = 0, 3


class Raw(NamedTuple):
    """A record before it is laid out."""

    key: bytes | None = b"key"
    value: bytes | None = b"value"
    headers: Sequence[tuple[bytes | None, bytes | None]] = ()
    timestamp_delta: int = 0
    header_count: int | None = None
    """Another count than there are headers."""
    trailing: bytes = b""


def varint(number: int) -> bytes:
    out = bytearray()
    encode_varint(number, out.append)
    return bytes(out)


def field(value: bytes | None) -> bytes:
    return varint(-1) if value is None else varint(len(value)) + value


def record(raw: Raw, offset_delta: int) -> bytes:
    """A record with its length before it."""
    body = b"\x00" + varint(raw.timestamp_delta) + varint(offset_delta) + field(raw.key) + field(raw.value)
    body += varint(len(raw.headers) if raw.header_count is None else raw.header_count)
    body += b"".join(field(name) + field(value) for name, value in raw.headers) + raw.trailing
    return varint(len(body)) + body


def batch(
    payload: bytes, count: int, *, base_offset: int = 0, attributes: int = 0, last_delta: int | None = None,
    timestamp: int = NOW, crc: int | None = None, producer_id: int = -1, sequence: int = -1,
) -> bytes:  # fmt: skip
    """A batch around a payload, which may be compressed (`attributes` says so)."""
    last = count - 1 if last_delta is None else last_delta
    body = struct.pack(
        ">hiqqqhii", attributes, last, timestamp, timestamp, producer_id, 0 if producer_id >= 0 else -1, sequence, count
    )
    body += payload
    checksum = calc_crc32c(body) if crc is None else crc
    return struct.pack(">qiibI", base_offset, len(body) + 9, 0, 2, checksum) + body


def batch_of(records: Sequence[Raw], **options: Any) -> bytes:
    payload = b"".join(record(raw, number) for number, raw in enumerate(records))
    return batch(payload, len(records), **options)


def produce(bootstrap: str, topic: str, records: bytes, partition: int = 0) -> int:
    """Send bytes as a batch, as any client may, to the partition's leader. Returns the broker's error code."""
    name = topic.encode()
    body = struct.pack(">hhi", -1, -1, 5000) + struct.pack(">ih", 1, len(name)) + name
    body += struct.pack(">iii", 1, partition, len(records)) + records
    request = struct.pack(">hhih", PRODUCE, PRODUCE_VERSION, 1, -1) + body
    host, _, port = bootstrap.split(",")[0].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as answers:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", answers.read(4))
        answer = answers.read(size)
    at = 4 + 4 + 2 + len(name) + 4 + 4  # correlation, topics, name, partitions, partition
    (code,) = struct.unpack_from(">h", answer, at)
    return int(code)
