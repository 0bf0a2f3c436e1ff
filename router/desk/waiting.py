"""What waits: bills that not everyone who should be told could be told about."""

from __future__ import annotations

from typing import Any

from router import topics
from router.log.interface import Log
from router.presentation import plain_value


async def read_waiting(log: Log) -> list[dict[str, Any]]:
    """Every bill that is incomplete, as in `schemas/waiting.avsc`: do-not-loads first, then the oldest."""
    waiting: dict[bytes, bytes | None] = {}
    async for batch in log.read([topics.WAITING], until_end=True):
        waiting.update((record.key, record.value) for record in batch)
    rows = [plain_value(value) for value in waiting.values() if value is not None]
    return sorted(rows, key=lambda row: (not row["do_not_load"], row["since"], row["scac"], row["bill_of_lading"]))
