"""Hash chains: each entry of `snp.timeline` and `snp.audit-seals` has its number and the digest of the one before.

Each task chains the entries of its own partitions. The head is part of its position, written in the same transaction,
so a chain has no gap whatever dies. A chain covers keys, values, numbers and order; it covers neither offsets nor times
of writing, which `snp-router move` changes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from router import topics
from router.log.interface import Output, Record

CHAINED: Final = (topics.TIMELINE, topics.AUDIT_SEALS)
"""Topics whose entries are chained."""
LINK_HEADER: Final = "link"
_NUMBER: Final = struct.Struct(">Q")
_SIZES: Final = struct.Struct(">II")
_DIGEST_SIZE: Final = sha256().digest_size


class ChainHead(NamedTuple):
    """The last entry of a chain."""

    number: int = 0
    """Entries so far: the first one has number 1."""
    digest: bytes = bytes(_DIGEST_SIZE)


class Link(NamedTuple):
    """The header of a chained entry."""

    number: int
    previous: bytes
    """Digest of the entry before."""

    def packed(self) -> bytes:
        return _NUMBER.pack(self.number) + self.previous


def link_of(record: Record) -> Link | None:
    """The link that a record carries; None if it has none, or an invalid one."""
    for name, value in record.headers:
        if name == LINK_HEADER and len(value) == _NUMBER.size + _DIGEST_SIZE:
            return Link(_NUMBER.unpack_from(value)[0], value[_NUMBER.size :])
    return None


def digest_of(link: Link, key: bytes, value: bytes | None) -> bytes:
    """Digest of an entry: of its link, its key and its value."""
    return sha256(link.packed() + _content(key, value)).digest()


def content_digest(key: bytes, value: bytes | None) -> bytes:
    """Digest of a record that carries no link."""
    return sha256(_content(key, value)).digest()


def _content(key: bytes, value: bytes | None) -> bytes:
    value = value or b""
    return b"".join((_SIZES.pack(len(key), len(value)), key, value))


class Chains:
    """The chains of one task's partitions. `heads`, by topic, is part of its position."""

    def __init__(self) -> None:
        self.heads: Mapping[str, ChainHead] = {}
        self._committed: Mapping[str, ChainHead] = {}

    def restore(self, heads: Mapping[str, ChainHead]) -> None:
        self.heads = self._committed = heads

    def link(self, outputs: Iterable[Output]) -> Iterator[Output]:
        """The outputs of a transaction, with links on those that are chained."""
        heads = dict(self._committed)
        for output in outputs:
            if output.topic in CHAINED:
                head = heads.get(output.topic, ChainHead())
                link = Link(head.number + 1, head.digest)
                heads[output.topic] = ChainHead(link.number, digest_of(link, output.key, output.value))
                output = output._replace(headers=(*output.headers, (LINK_HEADER, link.packed())))
            yield output
        self.heads = heads

    def commit(self) -> None:
        self._committed = self.heads

    def abandon(self) -> None:
        self.heads = self._committed
