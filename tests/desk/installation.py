"""A log with the demo's parties, sailings and filings, and its router."""

from __future__ import annotations

from pathlib import Path

from router.decide.rules import Rules
from router.engine.intake import ingest_file
from router.engine.worker import Worker, WorkSettings
from router.log.interface import Log

RULES = Rules()
QUICK = WorkSettings(idle_seconds=0.05)
BILL = "NVXAHBL000012345"


async def route(log: Log, path: Path) -> None:
    """Ingest the file, and route until nothing is left."""
    await ingest_file(log, path, RULES)
    await Worker(log, RULES, QUICK, until_idle=True).run()
