"""While the disk is full, running commands wait; then they go on by themselves without a loss or a duplicate."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import ClassVar

import pytest

from router import topics
from router.decide.rules import Rules
from router.demo.story import FILES
from router.engine import intake
from router.engine.administration import append_tick, import_parties, import_sailings, prepare, write_first_rules
from router.engine.feed_activity import FeedMonitor
from router.engine.folder_intake import ingest_folder
from router.engine.intake import Intake, ingest_file
from router.engine.worker import Worker
from router.feeds.input_files import InputFile, files_in
from router.feeds.tables import read_parties, read_sailings
from router.feeds.watched_folder import WatchedFolder
from router.log.interface import Record
from router.log.sqlite import SqliteLog, SqliteSettings, open_sqlite_log
from tests.checking.replay import check, describe
from tests.deploy.fired import fired, scrape


class Quick(SqliteSettings):
    retry_pause_seconds: ClassVar[float] = 0.01
    longest_retry_pause_seconds: ClassVar[float] = 0.05


QUICK = Quick()
RULES = Rules()


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    async with open_sqlite_log(str(tmp_path / "snp.db"), QUICK) as opened:
        await prepare(opened, 2)
        await append_tick(opened)
        await write_first_rules(opened, RULES, 0)
        await import_parties(opened, read_parties(InputFile(FILES / "parties.csv").chunks(), "parties.csv").values)
        await import_sailings(opened, read_sailings(InputFile(FILES / "sailings.csv").chunks(), "sailings.csv").values)
        yield opened


@asynccontextmanager
async def full(log: SqliteLog) -> AsyncIterator[None]:
    """SQLite's own page limit raises the error of a full disk, on every machine."""

    def limit(pages: str) -> Callable[[sqlite3.Connection], None]:
        return lambda sqlite: sqlite.execute(f"PRAGMA max_page_count = {pages}").close()

    await log._writer.run(limit("1"))  # as many as there are
    yield
    await log._writer.run(limit("4294967294"))


async def records(log: SqliteLog, *names: str) -> list[Record]:
    return [record async for batch in log.read(names, until_end=True) for record in batch]


async def test_a_router_goes_on_when_there_is_room_again(
    log: SqliteLog, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for file in files_in([FILES]):
        if file.path.name[0].isdigit():
            await ingest_file(log, file.path, RULES)
    worker = Worker(log, RULES, until_idle=True)
    before = scrape(worker.metrics.registry)
    async with full(log):
        # The notices need more than the free space on the last pages.
        running = asyncio.create_task(worker.run())
        await logged(capsys, "the disk is full")
        assert not running.done()
        assert any("the disk is full" in reason for reason in worker.health.unready())
        assert worker.health.hanging() == [], "a restart would not help"
        assert {"SnpTaskFails", "SnpNothingCommitted"} <= fired(
            before, scrape(worker.metrics.registry), tmp_path, standstill=True
        )
    async with asyncio.timeout(30):
        await running
    parties = [name for name in await log.topics() if name.startswith(topics.PARTY_PREFIX)]
    notices = await records(log, *parties)
    faults = check(await records(log, topics.TIMELINE), notices, RULES)
    assert not faults, describe(faults)
    assert len(notices) > 20
    assert worker.totals.counts["events"] == len(await records(log, topics.DISPOSITIONS))


async def test_a_watched_folder_is_fed_in_once_there_is_room_again(
    log: SqliteLog, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "RETRY_PAUSES", (0.01, 0.05))
    lines = "".join(
        f'{{"scac": "NVXA", "bill_of_lading": "B{n}", "disposition_code": "1C", "action_at": "2026-07-14T08:12"}}\n'
        for n in range(3000)
    )
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.jsonl").write_text(lines)
    moved: list[str] = []

    def report(path: Path, intake: Intake) -> None:
        moved.append(f"{path.parent.name}/{path.name}")

    folder = WatchedFolder(tmp_path / "inbox", settle_seconds=0.01)
    async with full(log):
        watching = asyncio.create_task(ingest_folder(log, folder, report, FeedMonitor(log, "cbp", RULES)))
        await logged(capsys, "feeding_in_waits")
    async with asyncio.timeout(30):
        while not moved:
            await asyncio.sleep(0.01)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert moved == ["done/a.jsonl"]
    assert len(await records(log, topics.DISPOSITIONS)) == 3000


async def logged(capsys: pytest.CaptureFixture[str], words: str) -> None:
    seen = ""
    async with asyncio.timeout(30):
        while words not in seen:
            await asyncio.sleep(0.01)
            out, err = capsys.readouterr()
            seen += out + err
