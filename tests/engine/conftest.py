"""A log with two tasks, for what is fed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.engine.administration import prepare
from router.log.interface import Log
from router.log.url import open_log


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await prepare(opened, 2)
        yield opened
