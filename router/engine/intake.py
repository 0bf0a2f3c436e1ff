"""Where on the log an event goes. Pure; run again, the same events give the same records, and identity absorbs them.

Feeding in: files, folders, standard input and a watched folder onto the log, in constant memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import structlog

from router import topics
from router.clock import growing_pauses, now_milliseconds
from router.codec import encode_value
from router.decide.codes import CodeTable
from router.decide.identity import event_key
from router.engine.feed_activity import FeedActivityLog
from router.errors import InputError, TaskRetry, UsageError
from router.feeds.formats import read_events
from router.feeds.watched_folder import WatchedFolder
from router.log.interface import Headers, Log, Output
from router.model.identifiers import bill_key
from router.model.inputs import PLACE, DeadLetter, Disposition, Filing, ManualEvent, PaperBill, Snapshot

URGENT_HEADERS: Final[Headers] = (("urgent", b"1"),)
"""On both copies of an urgent event, so that the second isn't counted as a repetition by CBP."""


def addressed(event: Disposition | DeadLetter | ManualEvent, urgent: Callable[[Disposition], bool]) -> list[Output]:
    """The records for one event, the urgent copy first.

    `urgent` says whether a disposition places, blocks, takes back or is unknown: such events, and those that can't be
    read, go past a backlog; so do holds relayed by hand. What can't even be told which bill it is about goes to the
    dead letters alone.
    """
    value = encode_value(event)
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


BATCH_RECORDS: Final = 2000
BATCH_BYTES: Final = 4_000_000
"""A dead letter may be a megabyte: batches are bounded by size too."""
CHUNK_BYTES: Final = 1 << 16
KEPT_PROBLEMS: Final = 1000
"""How many problems a summary names; all of them are in the dead letters."""

STANDARD_INPUT: Final = Path("-")

RETRY_PAUSES: Final = 0.5, 30.0
"""The first and the longest, in seconds."""

T = TypeVar("T")

Progress = Callable[[int], None]
"""Told how many bytes were read since the last call."""


class Attempt(Protocol):
    """Takes a step that may be done again, once or until it works."""

    async def __call__(self, step: Callable[[], Awaitable[T]]) -> T: ...


_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Intake:
    """What was fed in. New or repeated is not for the feed to say: the ledger knows, and `run` reports it."""

    files: int = 0
    events: int = 0
    urgent: int = 0
    dead_letters: int = 0
    problems: list[str] = field(default_factory=list)
    """The first dead letters: where, and why."""
    notes: list[str] = field(default_factory=list)
    """What was odd but stopped nothing."""

    def count(self, event: Disposition | DeadLetter, *, urgent: bool) -> None:
        if isinstance(event, DeadLetter):
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
        self.problems = (self.problems + other.problems)[:KEPT_PROBLEMS]
        self.notes = (self.notes + other.notes)[:KEPT_PROBLEMS]


class Batches:
    """Records on their way to the log; appended when enough have come together."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._outputs: list[Output] = []
        self._bytes = 0

    def add(self, outputs: Iterable[Output]) -> bool:
        """Whether it is time to `flush`."""
        for output in outputs:
            self._outputs.append(output)
            self._bytes += len(output.value or b"")
        return len(self._outputs) >= BATCH_RECORDS or self._bytes >= BATCH_BYTES

    async def flush(self) -> None:
        if self._outputs:
            await self._log.append(self._outputs)
        self._outputs, self._bytes = [], 0


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The files named, and those in the folders named, the oldest name first; `-` is standard input.

    Raises UsageError for what isn't there.
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
    """A file's bytes, or those of standard input, step by step. Raises UsageError."""
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


async def once(step: Callable[[], Awaitable[T]]) -> T:
    return await step()


async def _until_it_works(step: Callable[[], Awaitable[T]]) -> T:
    pauses = growing_pauses(*RETRY_PAUSES)
    while True:
        try:
            return await step()
        except (TaskRetry, OSError) as error:
            pause = next(pauses)
            _log.warning("feeding_in_waits", reason=str(error), again_in_seconds=pause)
            await asyncio.sleep(pause)


async def take_in(
    log: Log,
    path: Path,
    codes: CodeTable,
    progress: Progress | None = None,
    *,
    source: str | None = None,
    received_at: int | None = None,
    hearing: FeedActivityLog | None = None,
    attempt: Attempt = once,
) -> Intake:
    """Feed in one file, under the name `source`, as received at a moment (now). What can't be read goes to the dead
    letters. `hearing` notes that its feed was heard, and what came late. Each step on the log goes through `attempt`.

    Raises UsageError, LogError; done again after a failure, it adds nothing that is there already.
    """
    intake = Intake(files=1)
    batches = Batches(log)

    def urgent(event: Disposition) -> bool:
        return codes.is_urgent(event.disposition_code, event.reversal)

    received_at = now_milliseconds() if received_at is None else received_at
    heard = await attempt(partial(hearing.begin_file, received_at)) if hearing is not None else None
    chunks = chunks_of(path, progress)
    if heard is not None:
        chunks = heard.listen(chunks)
    for event in read_events(chunks, source or name_of(path), received_at, note=intake.notes.append):
        outputs = addressed(event, urgent)
        intake.count(event, urgent=outputs[0].topic == topics.URGENT)
        if heard is not None:
            heard.note(event, received_at)
        if batches.add(outputs):
            await attempt(batches.flush)
    await attempt(batches.flush)
    if heard is not None:
        await attempt(partial(heard.end, received_at))
    return intake


async def take_in_watched(
    log: Log, folder: WatchedFolder, codes: CodeTable, told: Callable[[Path, Intake], None], hearing: FeedActivityLog
) -> None:
    """Feed in each file that is completed in the folder, until cancelled; `told` hears of each, with its new place.

    A file goes to `failed/` if anything in it could not be read; what could be read is on the log all the same. Where
    the log fails for now, or the disk is full, it goes on from there as soon as that is over.
    """
    async for path in folder.files():
        try:
            intake = await take_in(log, path, codes, hearing=hearing, attempt=_until_it_works)
        except UsageError as error:
            intake = Intake(files=1, problems=[str(error)])
        if path.exists():
            told(await _until_it_works(partial(_moved, folder, path, intake)), intake)


async def _moved(folder: WatchedFolder, path: Path, intake: Intake) -> Path:
    return folder.move_failed(path, report_of(intake)) if intake.problems else folder.move_done(path)


def report_of(intake: Intake) -> str:
    """What lies beside a failed file."""
    head = f"events {intake.events}, urgent {intake.urgent}, dead letters {intake.dead_letters}\n"
    more = intake.dead_letters - len(intake.problems)
    tail = [f"and {more} more: see `snp-router dead-letters list`"] if more > 0 else []
    return head + "".join(f"{line}\n" for line in (*intake.problems, *tail))


@dataclass(slots=True)
class ImportCount:
    """What came of a table of filings or bills."""

    count: int = 0
    problems: list[InputError] = field(default_factory=list)


async def take_in_filings(log: Log, values: Iterable[Filing | Snapshot | PaperBill | InputError]) -> ImportCount:
    """Append filings, snapshots or paper bills under their bills; rows that can't be read are returned."""
    taken = ImportCount()
    batches = Batches(log)
    for value in values:
        if isinstance(value, InputError):
            taken.problems.append(value)
            continue
        taken.count += 1
        filing = value if isinstance(value, Filing) else value.filing
        key = bill_key(filing.scac, filing.bill_of_lading).encode()
        if batches.add([Output(topics.FILINGS, key, encode_value(value))]):
            await batches.flush()
    await batches.flush()
    return taken
