from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.demo.story import set_up
from router.desk.bill_index import BillIndex
from router.log.interface import AdministeredLog
from router.log.url import open_log
from tests.console.installation import demo_into


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AdministeredLog]:
    """A log with the demo's parties, sailings and filings."""
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as opened:
        await set_up(opened)
        yield opened


@pytest.fixture(scope="session")
def demo_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a log in which the demo was routed."""
    return demo_into(tmp_path_factory.mktemp("demo"))


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[BillIndex]:
    """An index without any bill."""
    made = BillIndex(tmp_path / "index.db")
    await made.open()
    yield made
    await made.close()
