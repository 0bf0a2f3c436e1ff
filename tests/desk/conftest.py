from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.demo.story import set_up
from router.log.interface import AdministeredLog
from router.log.url import open_log


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AdministeredLog]:
    """A log with the demo's parties, sailings and filings."""
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await set_up(opened)
        yield opened
