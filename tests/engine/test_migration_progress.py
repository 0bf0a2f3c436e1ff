"""The progress of a move: each record of the file is counted once in each of two steps. Brokers are in
tests/kafka/test_move.py; here another file takes their place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, cast

from router.clock import now_milliseconds
from router.demo.story import FILES, set_up
from router.engine.migration import move
from router.log.interface import AdministeredLog, Output
from router.log.kafka import KafkaLog
from router.log.sqlite import SqliteSettings
from router.log.sqlite.file import open_migration_source
from router.log.url import open_log
from tests.desk.installation import route


class FileAsTarget:
    """A SQLite log with the one method that only Kafka's has."""

    def __init__(self, log: AdministeredLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @asynccontextmanager
    async def producer(self, transactional_id: str) -> AsyncIterator[FileAsTarget]:
        yield self

    async def commit(self, outputs: Sequence[Output]) -> None:
        await self._log.append(outputs, atomic=True)


async def test_progress_of_each_step_grows_to_the_number_of_records(tmp_path: Path) -> None:
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await set_up(log)
        await route(log, FILES / "1-on-file.x12")
    reports: list[tuple[str, int, int]] = []
    async with (
        open_migration_source(str(tmp_path / "snp.db"), SqliteSettings()) as source,
        open_log(f"sqlite:///{tmp_path}/target.db") as target,
    ):
        count = await source.count()
        moved = await move(
            source, cast(KafkaLog, FileAsTarget(target)), now_milliseconds(), lambda *report: reports.append(report)
        )
    assert moved.records > 0
    steps = {step: [report[1:] for report in found] for step, found in groupby(reports, lambda report: report[0])}
    assert list(steps) == ["copying", "comparing"]
    for counts in steps.values():
        assert counts[-1] == (count, count)
        assert all(before <= after and total == count for (before, total), (after, _) in pairwise(counts))
