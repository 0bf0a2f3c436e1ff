"""What is kept of a piece of input that can't be read: all of it if it is small, else its head, size and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from router.model.inputs import CONTENT_LIMIT, HEAD_SIZE, DeadLetter

PIECE_LIMIT: Final = 1 << 20
"""Longest X12 segment or JSON line that is read. CBP's longest segment is below 1 kB; what is longer than
this is a damaged file, and must not grow in memory."""

BLOCK_SIZE: Final = 1 << 17
"""Input is taken in steps of at most this many bytes, so that memory stays the same whatever is handed in."""

LOOP_SIZE: Final = 200_000
"""Characters of one event with all that stands under it: room for some 2,000 segments, as X12 allows. What follows from
an event, its history and its notices, has to stay below a record's limit too."""

REASON_SIZE: Final = 2_000
"""Characters: a reason may quote what it is about."""

ID_WIDTH: Final = 32
MASK: Final = "X"

Bill = tuple[str | None, str | None, str | None]
"""As much as could be read of issuer, bill number and disposition code."""

NO_BILL: Final[Bill] = (None, None, None)


class Evidence:
    """Bytes that grow; memory that doesn't. The same bytes give the same `id` however they were added."""

    def __init__(self, first: bytes = b"") -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self._kept = bytearray()
        self.add(first)

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._hash.update(data)
        if len(self._kept) <= CONTENT_LIMIT:
            self._kept += data[: CONTENT_LIMIT + 1]

    @property
    def id(self) -> str:
        return self._hash.hexdigest()[:ID_WIDTH]

    @property
    def content(self) -> bytes:
        return bytes(self._kept if self.size <= CONTENT_LIMIT else self._kept[:HEAD_SIZE])

    def letter(self, reason: str, source: str, kind: str, received_at: int, bill: Bill = NO_BILL) -> DeadLetter:
        """The dead letter for all that was added; `kind` is its format."""
        return DeadLetter(self.id, reason[:REASON_SIZE], source, kind, self.content, self.size, *bill, received_at)


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in steps that are never larger than `BLOCK_SIZE`."""
    for chunk in chunks:
        if len(chunk) <= BLOCK_SIZE:
            if chunk:
                yield chunk
            continue
        for start in range(0, len(chunk), BLOCK_SIZE):
            yield chunk[start : start + BLOCK_SIZE]
