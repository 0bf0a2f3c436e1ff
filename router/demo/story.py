"""The demo's story: files in the order in which CBP would send them, each routed before the next arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from router import topics
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.engine.administration import append_tick, import_parties, import_sailings, prepare
from router.engine.intake import append_filings, ingest_file
from router.engine.worker import Worker, WorkSettings
from router.errors import FatalLogError, UsageError
from router.feeds.input_files import InputFile
from router.feeds.tables import read_filings, read_parties, read_sailings
from router.files import remove_database
from router.log.interface import AdministeredLog
from router.log.url import SQLITE, open_log
from router.model.eastern import to_milliseconds
from router.model.registry_values import RegistryNote, party_topic
from router.presentation import plain_value
from router.task.outputs import registry_output

FILES: Final = Path(__file__).parent
PARTIES: Final = ("NVXA", "NVXB", "SLTC", "HARX", "OCNX")
PARTITIONS: Final = 4
MARK: Final = "demo"
"""Kind of the registry note by which a demo's file is recognised."""
WORK: Final = WorkSettings(idle_seconds=0.05)


class StoryStep(NamedTuple):
    file: str
    received: datetime
    """Eastern time of arrival in the story, soon after CBP posted it, so that no notice is LATE."""
    happens: str
    look: str
    """Remark on the notices."""


STEPS: Final = (
    StoryStep("1-on-file.x12", datetime(2026, 7, 10, 4, 12),
              "NVXA and NVXB each have cargo in one container on SLTC's slots; HARX has a container of its own.",
              "SLTC is the second notify party of both. OCNX runs the ship and is notified of holds only."),
    StoryStep("2-do-not-load.camir", datetime(2026, 7, 14, 8, 14),
              "CBP orders NVXA's bill not to be loaded (6H). This message is CAMIR, the others are X12.",
              "No bill names OCNX: it is notified as the operator, which is granted every hold aboard; "
              "HARX's agreement grants every do-not-load. NVXB shares the container: it learns that its own bill must "
              "not be loaded, but not why."),
    StoryStep("3-lading-allowed.camir", datetime(2026, 7, 15, 17, 0),
              "CBP lifts the order (6I).",
              "This is no release: it allows lading only."),
    StoryStep("4-arrival-and-release.x12", datetime(2026, 7, 28, 22, 30),
              "The ship arrives; CBP releases NVXA's bill (1C).",
              "A RELEASE, because all 120 pieces are released at the bill's port and no hold stands."),
    StoryStep("5-exam.x12", datetime(2026, 7, 29, 6, 55),
              "The next morning CBP wants to examine the cargo after all (1H).",
              "Every party that received the RELEASE receives a HOLD."),
    StoryStep("6-exam-over.x12", datetime(2026, 7, 29, 9, 30),
              "The exam is over (1I), and CBP releases the bill again (1C).",
              "Lifting a hold is not releasing. After 1I the earlier release is in doubt; the new 1C ends the doubt."),
    StoryStep("7-split.x12", datetime(2026, 7, 29, 11, 30),
              "HARX splits its bill. CBP holds the original (1H) and releases the split part (1C).",
              "Each bill has its own holds; each shows its link to the other."),
)  # fmt: skip


async def replace_demo_file(path: Path) -> None:
    """Remove an earlier demo's file from `path`. Raises UsageError for anything else there."""
    size = _size(path)
    if size is None:
        return
    if not size or not await _is_demo(path):  # opening an empty file as a log would make it one
        raise UsageError(f"{path} was not created by the demo and is left alone: name another file")
    remove_database(path)


def _size(path: Path) -> int | None:
    """Bytes of a file, 0 of anything else, None if there is nothing."""
    return (path.stat().st_size if path.is_file() else 0) if path.exists() else None


async def _is_demo(path: Path) -> bool:
    try:
        async with open_log(SQLITE + str(path)) as log:
            if topics.REGISTRY not in await log.topics():
                return False
            key = f"{MARK}:{MARK}".encode()
            return any([batch async for batch in log.read([topics.REGISTRY], until_end=True, key=key)])
    except FatalLogError:
        return False


async def set_up_registry(log: AdministeredLog, now: int) -> None:
    """Create the topics and register the demo's parties and sailing."""
    await prepare(log, PARTITIONS)
    await log.append([registry_output(RegistryNote(MARK, MARK, now))], atomic=True)
    await append_tick(log, now)
    await import_parties(log, read_parties(InputFile(FILES / "parties.csv").chunks(), "parties.csv").values)
    await import_sailings(log, read_sailings(InputFile(FILES / "sailings.csv").chunks(), "sailings.csv").values)


async def set_up(log: AdministeredLog) -> None:
    """Create the topics, and import the parties, the sailing and the filings."""
    await set_up_registry(log, now_milliseconds())
    filed_at = to_milliseconds(datetime(2026, 7, 9, 18, 0))
    await append_filings(log, read_filings(InputFile(FILES / "filings.csv").chunks(), "filings.csv", filed_at))


async def play(log: AdministeredLog) -> AsyncIterator[tuple[StoryStep, list[dict[str, Any]]]]:
    """Each step with its notices, party by party."""
    rules, unseen = Rules(), UnseenRecords(log)
    for step in STEPS:
        received_at = to_milliseconds(step.received)
        await ingest_file(log, FILES / step.file, rules, source=step.file, received_at=received_at)
        await Worker(log, rules, WORK, until_idle=True).run()
        yield step, await unseen.notices()


class UnseenRecords:
    """Reads topics as plain fields, each record once."""

    def __init__(self, log: AdministeredLog) -> None:
        self._log = log
        self._next: dict[str, int] = {}

    async def on(self, topic: str) -> list[dict[str, Any]]:
        begin = {(topic, 0): self._next.get(topic, 0)}
        found = []
        async for batch in self._log.read([topic], until_end=True, begin=begin):
            for record in batch:
                self._next[topic] = record.offset + 1
                found.append(plain_value(record.value or b""))
        return found

    async def notices(self) -> list[dict[str, Any]]:
        """New notices of all the demo's parties, party by party."""
        return [notice for party_id in PARTIES for notice in await self.on(party_topic(party_id))]
