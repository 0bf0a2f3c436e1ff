"""Seals of the audit: task 0 reads `snp.audit` and chains one seal for each entry on `snp.audit-seals`.

Whoever acts writes the entry together with the deed, so no writer can know the entry before its own. A seal holds the
entry's digest. Until it is written, some seconds later on a running router, nothing proves the entry.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import structlog
from msgspec import Struct

from router import codec, topics
from router.codec.packed import Packed
from router.engine.backlog import unread_part
from router.errors import InputError, LogError
from router.log.interface import AdministeredLog, Output, Record
from router.task.chains import content_digest
from router.task.shard import Shard

LOOK_SECONDS: Final = 5.0
"""Between two looks at the audit."""
MOST_SEALED: Final = 500
"""Entries sealed in one transaction."""
LONGEST_SUBJECT: Final = 100

_log = structlog.get_logger(__name__)


class AuditSeal(Struct, frozen=True, array_like=True):
    """A record of `snp.audit-seals`. Time and subject name an entry that is missing."""

    at: int
    """Time of the entry, UTC milliseconds; of its writing, if it can't be read."""
    subject: str
    digest: bytes


AUDIT_SEAL: Final = Packed(38, "audit-seal", AuditSeal)


def seal_of(record: Record) -> AuditSeal:
    """The seal of an entry of `snp.audit`, whatever its bytes are."""
    subject = record.key.decode(errors="replace")[:LONGEST_SUBJECT]
    return AuditSeal(entry_time(record), subject, content_digest(record.key, record.value))


def entry_time(record: Record) -> int:
    try:
        name, fields = codec.decode(record.value or b"")
    except InputError:
        return record.timestamp
    at: int = fields["at"] if name == "audit-entry" else record.timestamp
    return at


class _Read(NamedTuple):
    offset: int
    seal: AuditSeal


class AuditSealing:
    """Lives as long as this process has task 0 open."""

    def __init__(self, log: AdministeredLog, shard: Shard) -> None:
        self._log = log
        self._shard = shard
        self._read: list[_Read] = []
        """Read, and not yet in a committed transaction."""
        self._in_transaction = 0
        self._looked_until = -1
        """End of the audit at the last look. An open transaction moves it again when it ends."""

    @property
    def is_due(self) -> bool:
        return bool(self._read)

    def outputs(self) -> list[Output]:
        """The seals of the entries read; moves the task's position past them. Call again if the transaction is
        abandoned, and `committed` once it is committed."""
        sealed = self._read[:MOST_SEALED]
        self._in_transaction = len(sealed)
        if sealed:
            self._shard.position[topics.AUDIT] = sealed[-1].offset + 1
        return [Output(topics.AUDIT_SEALS, one.seal.subject.encode(), AUDIT_SEAL.encode(one.seal)) for one in sealed]

    def committed(self) -> None:
        del self._read[: self._in_transaction]
        self._in_transaction = 0

    async def keep_looking(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Read what was written to the audit since the last look. If the log fails, the next look reads it."""
        try:
            extent = (await self._log.extents([topics.AUDIT])).get(topics.AUDIT)
            if extent is None or extent.stop == self._looked_until or self._read:
                return
            begin = unread_part(extent, self._shard.position.get(topics.AUDIT, 0)).start
            async for batch in self._log.read([topics.AUDIT], until_end=True, begin={(topics.AUDIT, 0): begin}):
                self._read += [_Read(record.offset, seal_of(record)) for record in batch]
                if len(self._read) >= MOST_SEALED:
                    return
            self._looked_until = extent.stop
        except LogError as error:
            _log.warning("audit_not_sealed", reason=str(error))
