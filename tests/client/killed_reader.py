"""A party's program that a test kills: it prints each notice's id before handling it, and is stuck in one."""

from __future__ import annotations

import asyncio
import sys

from router.client import notices


async def read(url: str, party: str, group: str, stuck_at: str) -> None:
    async for notice in notices(url, party=party, group=group, session_timeout_ms=2000):
        print(notice.notice_id, flush=True)  # noqa: T201
        if notice.notice_id == stuck_at:
            await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(read(*sys.argv[1:5]))
