"""Feeds events in: from files, folders, standard input and a watched folder onto the log, in constant memory.

Feeding the same input in again gives the same records; the tasks recognise them by their identity.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import structlog

from router import topics
from router.clock import growing_pauses, now_milliseconds
from router.codec import encode_value
from router.decide.audience import is_nvoccs_empty
from router.decide.identity import event_key
from router.decide.rules import Rules
from router.engine.administration import read_registry
from router.engine.feed_activity import FeedMonitor
from router.errors import InputError, TaskRetry, UsageError
from router.feeds.bounded_input import OtherMessage, ReadResult
from router.feeds.formats import read_events
from router.feeds.watched_folder import WatchedFolder
from router.log.interface import Headers, Log, Output
from router.model.identifiers import bill_key
from router.model.inputs import PLACE, DeadLetter, Disposition, Filing, ManualEvent, PaperBill, Snapshot

BATCH_RECORDS: Final = 2000
BATCH_BYTES: Final = 4_000_000
"""Bounds a batch too: a dead letter may be a megabyte."""
CHUNK_BYTES: Final = 1 << 16
KEPT_PROBLEMS: Final = 1000
"""Problems that a summary names; the dead letters hold all of them."""
RETRY_PAUSES: Final = 0.5, 30.0
"""The first and the longest pause between two attempts, in seconds."""

NVOCCS_EMPTY: Final = (
    "bill {} has the type empty, but an NVOCC files it: only carriers declare empty containers. Correct its bill_type; "
    "or, if the filer is a carrier, its roles (`snp-router import parties`)"
)

STANDARD_INPUT: Final = Path("-")

URGENT_HEADERS: Final[Headers] = (("urgent", b"1"),)
"""Marks both copies of an urgent event, so that the second is not counted as a duplicate of CBP's."""

T = TypeVar("T")

Progress = Callable[[int], None]
"""Called with the number of bytes read since the last call."""

_log = structlog.get_logger(__name__)


def event_outputs(
    event: Disposition | Filing | DeadLetter | ManualEvent, urgent: Callable[[Disposition], bool]
) -> list[Output]:
    """The log records of one event, the urgent copy first.

    These go past a backlog: dispositions that `urgent` accepts, events that could not be parsed, and holds placed by
    hand. An event whose bill is unknown goes to the dead letters alone.
    """
    value = encode_value(event)
    if isinstance(event, Filing):
        return [Output(topics.FILINGS, bill_key(event.scac, event.bill_of_lading).encode(), value)]
    if isinstance(event, Disposition):
        key = event_key(event).encode()
        if not urgent(event):
            return [Output(topics.DISPOSITIONS, key, value)]
    elif isinstance(event, ManualEvent):
        key = bill_key(event.scac, event.bill_of_lading).encode()
        if event.action != PLACE:
            return [Output(topics.DISPOSITIONS, key, value)]
    elif event.scac is None or event.bill_of_lading is None:
        return [Output(topics.DEAD_LETTERS, event.id.encode(), value)]
    else:
        key = bill_key(event.scac, event.bill_of_lading).encode()
    return [Output(topic, key, value, URGENT_HEADERS) for topic in (topics.URGENT, topics.DISPOSITIONS)]


@dataclass(slots=True)
class Intake:
    """The summary of one or more files. The feed can't tell new events from duplicates; the summary of `run` does."""

    files: int = 0
    events: int = 0
    urgent: int = 0
    dead_letters: int = 0
    filings: int = 0
    others: Counter[str] = field(default_factory=Counter)
    """Messages of known kinds that are not for the router, by name."""
    problems: list[str] = field(default_factory=list)
    """The first dead letters, each with its place and reason."""
    notes: list[str] = field(default_factory=list)
    """Oddities that stopped nothing."""

    def count(self, event: ReadResult, *, urgent: bool = False) -> None:
        if isinstance(event, OtherMessage):
            self.others[event.name] += 1
        elif isinstance(event, Filing):
            self.filings += 1
        elif isinstance(event, DeadLetter):
            self.dead_letters += 1
            if len(self.problems) < KEPT_PROBLEMS:
                self.problems.append(f"{event.source}: {event.reason}")
        else:
            self.events += 1
            self.urgent += urgent

    def add(self, other: Intake) -> None:
        self.files += other.files
        self.events += other.events
        self.urgent += other.urgent
        self.dead_letters += other.dead_letters
        self.filings += other.filings
        self.others += other.others
        self.problems = (self.problems + other.problems)[:KEPT_PROBLEMS]
        self.notes = (self.notes + other.notes)[:KEPT_PROBLEMS]


class Batches:
    """Collects records and appends them in batches."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._outputs: list[Output] = []
        self._bytes = 0

    def add(self, outputs: Iterable[Output]) -> bool:
        """Returns whether the batch is full; then call `flush`."""
        for output in outputs:
            self._outputs.append(output)
            self._bytes += len(output.value or b"")
        return len(self._outputs) >= BATCH_RECORDS or self._bytes >= BATCH_BYTES

    async def flush(self) -> None:
        if self._outputs:
            await self._log.append(self._outputs)
        self._outputs, self._bytes = [], 0


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths` and those in the folders among them, by name. `-` is standard input.

    Raises UsageError if a path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if path == STANDARD_INPUT or path.is_file():
            files.append(path)
        elif path.is_dir():
            files.extend(sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")))
        else:
            raise UsageError(f"there is no file or folder {path}")
    return files


def chunks_of(path: Path, progress: Progress | None = None) -> Iterator[bytes]:
    """The bytes of a file or of standard input. Raises UsageError if it can't be read."""
    try:
        # named twice, standard input has nothing more the second time
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                if progress is not None:
                    progress(len(chunk))
                yield chunk
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error


def name_of(path: Path) -> str:
    return "standard input" if path == STANDARD_INPUT else str(path)


async def ingest_file(
    log: Log,
    path: Path,
    rules: Rules,
    progress: Progress | None = None,
    *,
    source: str | None = None,
    received_at: int | None = None,
    monitor: FeedMonitor | None = None,
    keep_trying: bool = False,
) -> Intake:
    """Feed in one file under the name `source`, as received at `received_at` (default: now).

    `monitor` records the activity of its feed. With `keep_trying` a step that fails for now is repeated until it works.
    Raises UsageError, LogError; after a failure call it again, it duplicates nothing.
    """
    intake = Intake(files=1)
    batches = Batches(log)
    attempt = partial(_attempt, keep_trying=keep_trying)

    received_at = now_milliseconds() if received_at is None else received_at
    activity = await attempt(partial(monitor.begin_file, received_at)) if monitor is not None else None
    chunks = chunks_of(path, progress)
    if activity is not None:
        chunks = activity.hash_chunks(chunks)
    for event in read_events(chunks, source or name_of(path), received_at, rules=rules, note=intake.notes.append):
        if isinstance(event, OtherMessage):
            intake.count(event)
            continue
        outputs = event_outputs(event, rules.codes.is_urgent)
        intake.count(event, urgent=outputs[0].topic == topics.URGENT)
        if activity is not None and not isinstance(event, Filing):
            activity.add(event, received_at)
        if batches.add(outputs):
            await attempt(batches.flush)
    await attempt(batches.flush)
    if activity is not None:
        await attempt(partial(activity.end, received_at))
    return intake


async def _attempt(step: Callable[[], Awaitable[T]], *, keep_trying: bool = True) -> T:
    pauses = growing_pauses(*RETRY_PAUSES)
    while True:
        try:
            return await step()
        except (TaskRetry, OSError) as error:
            if not keep_trying:
                raise
            pause = next(pauses)
            _log.warning("feeding_in_waits", reason=str(error), again_in_seconds=pause)
            await asyncio.sleep(pause)


async def ingest_folder(
    log: Log, folder: WatchedFolder, rules: Rules, report: Callable[[Path, Intake], None], monitor: FeedMonitor
) -> None:
    """Feed in each completed file of the folder until cancelled. `report` is called with each file's new place.

    A file with an unreadable part goes to `failed/`, though its readable parts are on the log. While the log fails or
    the disk is full, it waits and goes on by itself.
    """
    async for path in folder.files():
        try:
            intake = await ingest_file(log, path, rules, monitor=monitor, keep_trying=True)
        except UsageError as error:
            intake = Intake(files=1, problems=[str(error)])
        if path.exists():
            report(await _attempt(partial(_move, folder, path, intake)), intake)


async def _move(folder: WatchedFolder, path: Path, intake: Intake) -> Path:
    return folder.move_failed(path, failure_report(intake)) if intake.problems else folder.move_done(path)


def failure_report(intake: Intake) -> str:
    """The text of the report beside a failed file."""
    head = f"events {intake.events}, urgent {intake.urgent}, dead letters {intake.dead_letters}\n"
    more = intake.dead_letters - len(intake.problems)
    tail = [f"and {more} more: see `snp-router dead-letters list`"] if more > 0 else []
    return head + "".join(f"{line}\n" for line in (*intake.problems, *tail))


@dataclass(slots=True)
class ImportCount:
    """The outcome of importing a table of filings or bills."""

    count: int = 0
    problems: list[InputError] = field(default_factory=list)


async def append_filings(log: Log, values: Iterable[Filing | Snapshot | PaperBill | InputError]) -> ImportCount:
    """Append filings, snapshots and paper bills under their bills' keys. Returns the rows that could not be read, and
    those of empties filed by an NVOCC, which are refused."""
    imported = ImportCount()
    batches = Batches(log)
    registry = await read_registry(log)
    for value in values:
        if isinstance(value, InputError):
            imported.problems.append(value)
            continue
        filing = value if isinstance(value, Filing) else value.filing
        key = bill_key(filing.scac, filing.bill_of_lading)
        if is_nvoccs_empty(filing, registry):
            imported.problems.append(InputError(NVOCCS_EMPTY.format(key), place=filing.source or ""))
            continue
        imported.count += 1
        if batches.add([Output(topics.FILINGS, key.encode(), encode_value(value))]):
            await batches.flush()
    await batches.flush()
    return imported
