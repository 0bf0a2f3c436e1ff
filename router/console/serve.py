"""The console, started and stopped as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from router.console.access import Access
from router.console.app import console_app
from router.console.desk import Desk
from router.console.figures import DeskFigures
from router.console.follower import Follower
from router.console.index import Index
from router.console.live import Hub
from router.console.page import row_of
from router.console.settings import ConsoleSettings
from router.console.watching import keep_watching
from router.decide.rules import Rules
from router.http import serving
from router.log.interface import Log
from router.observe import status_app


@asynccontextmanager
async def serve_console(
    log: Log, rules: Rules, settings: ConsoleSettings, listen: str, status_listen: str | None = None
) -> AsyncIterator[str]:
    """Serve while the block runs; gives the address. Raises UsageError, LogError.

    At `status_listen`, where it is given, `/metrics`, `/live` and `/ready` are answered: to who may not log in.
    """
    index, hub = Index(settings.index_file, rules), Hub(row_of)
    await index.open()
    follower = Follower(log, index, hub)
    desk = Desk(log, rules, index, hub, follower, Access(settings.access))
    figures = DeskFigures()
    at_work = [
        asyncio.create_task(follower.run(), name="console: following"),
        asyncio.create_task(keep_watching(desk, figures), name="console: watching"),
    ]
    try:
        async with AsyncExitStack() as stack:
            if status_listen is not None:
                await stack.enter_async_context(serving(status_app(figures.registry, follower), status_listen))
            yield await stack.enter_async_context(serving(console_app(desk), listen))
    finally:
        for task in at_work:
            task.cancel()
        await asyncio.wait(at_work)
        await index.close()
