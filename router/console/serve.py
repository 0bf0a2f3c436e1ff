"""The console, started and stopped as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from router.console.access import Access
from router.console.app import console_app
from router.console.desk import Desk
from router.console.follower import Follower
from router.console.index import Index
from router.console.live import Hub
from router.console.settings import ConsoleSettings
from router.decide.rules import Rules
from router.http import serving
from router.log.interface import Log


@asynccontextmanager
async def serve_console(log: Log, rules: Rules, settings: ConsoleSettings, listen: str) -> AsyncIterator[str]:
    """Serve while the block runs; gives the address. Raises UsageError, LogError."""
    index, hub = Index(settings.index_file, rules), Hub()
    await index.open()
    follower = Follower(log, index, hub)
    desk = Desk(log, rules, index, hub, follower, Access(settings.access))
    following = asyncio.create_task(follower.run(), name="console: following")
    try:
        async with serving(console_app(desk), listen) as address:
            yield address
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await index.close()
