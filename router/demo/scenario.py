"""The demo's story: its files in the order in which CBP would send them, each routed before the next comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from router import topics
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.demo.stage import FILES, MARK, PARTIES, PARTITIONS, WORK
from router.engine.administration import append_tick, import_parties, import_sailings, prepare
from router.engine.intake import append_filings, chunks_of, ingest_file
from router.engine.worker import Worker
from router.errors import FatalLogError, UsageError
from router.feeds.tables import read_filings, read_parties, read_sailings
from router.log.interface import Log
from router.log.url import SQLITE, open_log
from router.model.eastern import to_milliseconds
from router.model.registry_values import RegistryNote, party_topic
from router.plain import plain_value
from router.task.outputs import registry_output


class Step(NamedTuple):
    file: str
    received: datetime
    """When it comes, by the story's own clock (Eastern): what is told at once isn't late."""
    happens: str
    look: str
    """What to look at in the notices it makes."""


STEPS: Final = (
    Step(
        "1-on-file.x12",
        datetime(2026, 7, 10, 4, 12),
        "NVXA and NVXB each have cargo in one container on SLTC's slots; HARX has a box of its own.",
        "OCNX is named on no bill: it is told since it operates the ship, and SLTC and HARX charter on it.",
    ),
    Step(
        "2-do-not-load.camir",
        datetime(2026, 7, 14, 8, 14),
        "CBP orders NVXA's bill not to be loaded (6H). This message is CAMIR, the others are X12.",
        "NVXB shares the container: it learns that its own bill must not be loaded, and not why. "
        "HARX's agreement grants it every do-not-load aboard.",
    ),
    Step(
        "3-lading-allowed.camir",
        datetime(2026, 7, 15, 17, 0),
        "CBP lifts the order (6I).",
        "Not a release: what is allowed is lading.",
    ),
    Step(
        "4-arrival-and-release.x12",
        datetime(2026, 7, 28, 22, 30),
        "The ship arrives; NVXA's bill is released (1C).",
        "120 of 120 pieces at the bill's port and nothing stands against it: only then is it a RELEASE.",
    ),
    Step(
        "5-exam.x12",
        datetime(2026, 7, 29, 6, 55),
        "Next morning CBP wants to see the cargo after all (1H).",
        "Everyone who was told RELEASE hears HOLD.",
    ),
    Step(
        "6-exam-over.x12",
        datetime(2026, 7, 29, 9, 30),
        "The exam is over (1I), and CBP releases anew (1C).",
        "Lifting a hold is not releasing: after 1I the old release is in doubt, the fresh 1C settles it.",
    ),
    Step(
        "7-split.x12",
        datetime(2026, 7, 29, 11, 30),
        "HARX splits its bill; the original is held (1H), the part split off is released (1C).",
        "Each bill has its own holds; the link between them is shown on both.",
    ),
)


async def replace_demo_file(path: Path) -> None:
    """Make room for a new demo at `path`. Raises UsageError if what is there is no demo's file."""
    if _is_free(path):
        return
    if not _has_content(path) or not await _is_demo(path):
        raise UsageError(f"{path} is there and was not made by the demo: it is left alone. Name another file")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    return not path.exists()


def _has_content(path: Path) -> bool:
    """Opening an empty file as a log would make it one."""
    return path.is_file() and path.stat().st_size > 0


async def _is_demo(path: Path) -> bool:
    try:
        async with open_log(SQLITE + str(path)) as log:
            if topics.REGISTRY not in await log.topics():
                return False
            key = f"{MARK}:{MARK}".encode()
            return any([batch async for batch in log.read([topics.REGISTRY], until_end=True, key=key)])
    except FatalLogError:
        return False


async def set_up(log: Log) -> None:
    """Topics, parties, the sailing and the filings."""
    await prepare(log, PARTITIONS)
    await log.append([registry_output(RegistryNote(MARK, MARK, now_milliseconds()))])
    await append_tick(log)
    await import_parties(log, read_parties(chunks_of(FILES / "parties.csv"), "parties.csv").values)
    await import_sailings(log, read_sailings(chunks_of(FILES / "sailings.csv"), "sailings.csv").values)
    filed_at = to_milliseconds(datetime(2026, 7, 9, 18, 0))
    await append_filings(log, read_filings(chunks_of(FILES / "filings.csv"), "filings.csv", filed_at))


async def play(log: Log) -> AsyncIterator[tuple[Step, list[dict[str, Any]]]]:
    """Each step with the notices it made, party by party."""
    rules = Rules()
    seen = dict.fromkeys(PARTIES, 0)
    for step in STEPS:
        received_at = to_milliseconds(step.received)
        await ingest_file(log, FILES / step.file, rules.codes, source=step.file, received_at=received_at)
        await Worker(log, rules, WORK, until_idle=True).run()
        notices: list[dict[str, Any]] = []
        for scac in PARTIES:
            all_notices = await _notices(log, scac)
            notices += all_notices[seen[scac] :]
            seen[scac] = len(all_notices)
        yield step, notices


async def _notices(log: Log, scac: str) -> list[dict[str, Any]]:
    batches = log.read([party_topic(scac)], until_end=True)
    return [plain_value(record.value) async for batch in batches for record in batch if record.value is not None]
