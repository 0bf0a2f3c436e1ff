"""A watched folder on a real log: files are fed in side by side, moved, and read again if they change."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from router import topics
from router.codec import decode_value
from router.decide.codes import load_codes
from router.decide.rules import Rules
from router.engine import folder_intake
from router.engine.administration import rules_record
from router.engine.feed_activity import FeedMonitor
from router.engine.folder_intake import SizeClass, failure_report, ingest_folder
from router.engine.intake import Intake
from router.feeds.watched_folder import WatchedFolder
from router.log.interface import Log
from router.model.inputs import Disposition
from router.task.outputs import registry_output

LINE = {"scac": "NVXA", "bill_of_lading": "B1", "disposition_code": "1C", "action_at": "2026-07-14T08:12"}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


async def bills(log: Log, topic: str = topics.DISPOSITIONS) -> list[str | None]:
    batches = log.read([topic], until_end=True)
    found = [decode_value(record.value) async for batch in batches for record in batch if record.value is not None]
    return [event.bill_of_lading for event in found if isinstance(event, Disposition)]


def line(bill: str = "B1", **changes: object) -> str:
    return json.dumps(LINE | {"bill_of_lading": bill} | changes) + "\n"


class Watching:
    """A folder that is watched until the end of the test."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, Intake]] = []

    def report(self, path: Path, intake: Intake) -> None:
        self.reported.append((f"{path.parent.name}/{path.name}", intake))

    def __getitem__(self, name: str) -> Intake:
        """The latest intake at that place."""
        return dict(self.reported)[name]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                await asyncio.sleep(0.01)

    async def reports(self, *names: str) -> None:
        await self.until(lambda: {name for name, _ in self.reported} >= set(names))


@asynccontextmanager
async def watched(log: Log, inbox: Path) -> AsyncIterator[Watching]:
    watching, folder = Watching(), WatchedFolder(inbox, settle_seconds=0.05)
    running = asyncio.create_task(ingest_folder(log, folder, watching.report, FeedMonitor(log, "cbp", Rules())))
    yield watching
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_file_is_moved_by_outcome_once_its_events_are_on_the_log(log: Log, inbox: Path) -> None:
    (inbox / "1.jsonl").write_text(line())
    (inbox / "2.jsonl").write_text(line(quantity="many") + line())
    async with watched(log, inbox) as watching:
        await watching.reports("done/1.jsonl", "failed/2.jsonl")
    assert "record 1" in (inbox / "failed" / "2.jsonl.report.txt").read_text()
    assert len(await bills(log)) == 2


async def test_an_error_of_the_caller_ends_it(log: Log, inbox: Path) -> None:
    (inbox / "1.jsonl").write_text(line())

    class Enough(Exception):
        pass

    def report(path: Path, intake: Intake) -> None:
        raise Enough

    with pytest.raises(Enough):
        await ingest_folder(log, WatchedFolder(inbox, settle_seconds=0), report, FeedMonitor(log, "cbp", Rules()))


async def test_a_small_file_does_not_wait_for_huge_ones(log: Log, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_intake, "SIZE_CLASSES", (SizeClass(10_000, 2), SizeClass(float("inf"), 2)))
    huge = "".join(line(f"H{number}") for number in range(20_000))
    for name in ("h1.jsonl", "h2.jsonl"):
        (inbox / name).write_text(huge)
    async with watched(log, inbox) as watching:
        await watching.until(lambda: os.path.getsize(log.url.removeprefix("sqlite:///") + "-wal") > 1_000_000)
        (inbox / "small.jsonl").write_text(line("SMALL", disposition_code="6H"))
        await watching.reports("done/small.jsonl", "done/h1.jsonl", "done/h2.jsonl")
    assert watching.reported[0][0] == "done/small.jsonl"
    assert (await bills(log, topics.URGENT)) == ["SMALL"]


async def test_a_small_file_does_not_wait_for_a_reader_that_yields_nothing(log: Log, inbox: Path) -> None:
    """An interchange is judged as a whole: its reader yields no event before its end."""
    segments = "X4*HBL1*1***20260714*0812*1C**NVXA~" * 400_000
    (inbox / "huge.x12").write_text(f"ST*350*0001~M10*OCNX*O*US*9074729*V*1*1***L~P4*2704*20260801~{segments}")
    async with watched(log, inbox) as watching:
        await asyncio.sleep(0.3)
        (inbox / "small.jsonl").write_text(line("SMALL", disposition_code="6H"))
        await watching.reports("done/small.jsonl")
        assert [name for name, _ in watching.reported] == ["done/small.jsonl"]


async def test_an_upload_that_pauses_is_read_again_from_its_start(log: Log, inbox: Path) -> None:
    async with watched(log, inbox) as watching:
        with (inbox / "a.jsonl").open("w") as upload:
            upload.write(line("B1"))
            upload.flush()
            await watching.reports("done/a.jsonl")
            upload.write(line("B2"))
            upload.flush()
            await watching.until(lambda: len(watching.reported) == 2)
            upload.write(line("B3") + "garbage\n")
        await watching.reports("failed/a.jsonl")
    assert [intake.events for _, intake in watching.reported] == [1, 2, 3]
    assert [len(intake.notes) for _, intake in watching.reported] == [0, 1, 1]
    assert "read again from its start" in (inbox / "failed" / "a.jsonl.report.txt").read_text()
    assert set(await bills(log)) == {"B1", "B2", "B3"}


async def test_a_file_that_changes_while_it_is_read_stays_until_it_was_read_whole(log: Log, inbox: Path) -> None:
    text = "".join(line(f"H{number}") for number in range(20_000))
    (inbox / "a.jsonl").write_text(text)
    async with watched(log, inbox) as watching:
        await watching.until(lambda: os.path.getsize(log.url.removeprefix("sqlite:///") + "-wal") > 1_000_000)
        with (inbox / "a.jsonl").open("a") as more:
            more.write(line("LAST"))
        await watching.reports("inbox/a.jsonl", "done/a.jsonl")
    assert "it changed while it was read" in watching["inbox/a.jsonl"].notes[0]
    assert "LAST" in await bills(log)


async def test_a_link_is_refused_and_said_and_a_folder_too(log: Log, inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (inbox / "a.x12").symlink_to(tmp_path / "secret")
    (inbox / "b.x12").mkdir()
    async with watched(log, inbox) as watching:
        await watching.reports("failed/a.x12", "inbox/b.x12")
    assert "symbolic link" in (inbox / "failed" / "a.x12.report.txt").read_text()
    assert "is a folder" in watching["inbox/b.x12"].refused[0]
    assert [record async for batch in log.read([topics.DEAD_LETTERS], until_end=True) for record in batch] == []


async def test_each_file_is_read_by_the_rules_in_force(log: Log, inbox: Path) -> None:
    async with watched(log, inbox) as watching:
        (inbox / "1.jsonl").write_text(line(disposition_code="QQ"))
        await watching.reports("done/1.jsonl")
        codes = load_codes(written(inbox.parent / "codes.csv", "code,meaning,agency,effect\nQQ,a note,CBP,INFO\n"))
        first = Rules()
        for rules in (first, replace(first, codes=codes, number=2, earlier=(first,))):
            await log.append([registry_output(rules_record(rules, 0, "me", "new code"))])
        (inbox / "2.jsonl").write_text(line(disposition_code="QQ"))
        await watching.reports("done/2.jsonl")
    assert (watching["done/1.jsonl"].urgent, watching["done/2.jsonl"].urgent) == (1, 0)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_failure_report_names_the_first_problems_and_counts_the_others() -> None:
    report = failure_report(Intake(1, 5, 0, 3, problems=["here: wrong"]))
    assert report.splitlines() == [
        "events 5, urgent 0, dead letters 3",
        "here: wrong",
        "and 2 more: see `snp-router dead-letters list`",
    ]
