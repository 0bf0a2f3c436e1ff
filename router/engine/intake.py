"""Feeds events in: from files, pipes and standard input onto the log, in constant memory.

Feeding the same input in again gives the same records; the tasks recognise them by their identity.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from router import topics
from router.background import held_up_steps
from router.clock import growing_pauses, now_milliseconds
from router.codec import encode_value
from router.decide.audience import is_nvoccs_empty
from router.decide.identity import event_key
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.engine.administration import read_registry
from router.engine.feed_activity import FeedMonitor, FileActivity
from router.errors import InputError, TaskRetry
from router.feeds.bounded_input import OtherMessage, ReadOptions, ReadResult, UnreadableInput
from router.feeds.disposition_files import JSONL
from router.feeds.formats import read_events
from router.feeds.input_files import NOTHING_YET, InputFile, Progress
from router.harmless_text import json_line
from router.log.interface import Log, Output
from router.model.identifiers import bill_key
from router.model.inputs import (
    PLACE,
    DeadLetter,
    Disposition,
    Filing,
    ManualEvent,
    PaperBill,
    Snapshot,
    filing_fields,
)
from router.task.input_records import URGENT_HEADERS

BATCH_RECORDS: Final = 2000
BATCH_BYTES: Final = 4_000_000
"""Bounds a batch too: a dead letter may be a megabyte."""
KEPT_PROBLEMS: Final = 1000
"""Problems that a summary names; the dead letters hold all of them."""
QUIET_SECONDS: Final = 60.0
"""Time without data after which a message in a pipe counts as cut. Rules and bounds of one input begin anew."""
RETRY_PAUSES: Final = 0.5, 30.0
"""The first and the longest pause between two attempts, in seconds."""

NVOCCS_EMPTY: Final = (
    "bill {} has the type empty, but an NVOCC files it: only carriers declare empty containers. Correct its bill_type; "
    "or, if the filer is a carrier, its roles (`snp-router import parties`)"
)

_OF_THE_FEED: Final = frozenset({"received_at", "source"})
"""Fields that differ each time a record is fed in."""

T = TypeVar("T")

Admission = Callable[[Iterator[ReadResult]], Iterator[ReadResult]]

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


def checked(event: T, registry: Registry) -> T | DeadLetter:
    """The event; for the filing of an empty by an NVOCC a dead letter that holds it."""
    if not (isinstance(event, Filing) and is_nvoccs_empty(event, registry)):
        return event
    refused = NVOCCS_EMPTY.format(bill_key(event.scac, event.bill_of_lading))
    reason = f"{refused}. Then import the content with `snp-router import filings -`"
    content = UnreadableInput(record_line(filing_fields(event)))
    return content.dead_letter(reason, event.source or "", JSONL, event.received_at)


def record_line(fields: dict[str, Any]) -> bytes:
    """A record as JSON that can be fed in again, the same whenever it comes. Times stay UTC milliseconds: a text would
    have seconds."""
    known = {name: value for name, value in fields.items() if value is not None and name not in _OF_THE_FEED}
    return json_line(known).encode() + b"\n"


@dataclass(slots=True)
class Intake:
    """The summary of one or more inputs. The feed can't tell new events from duplicates; the summary of `run` does."""

    files: int = 0
    events: int = 0
    urgent: int = 0
    dead_letters: int = 0
    in_doubt: int = 0
    """Dead letters of whole messages whose events were taken as uncertain."""
    filings: int = 0
    others: Counter[str] = field(default_factory=Counter)
    """Messages of known kinds that are not for the router, by name."""
    problems: list[str] = field(default_factory=list)
    """The first dead letters, each with its place and reason."""
    notes: list[str] = field(default_factory=list)
    """Oddities that stopped nothing."""
    refused: list[str] = field(default_factory=list)
    """Files that were not read, each with the reason."""

    def count(self, event: ReadResult, *, urgent: bool = False) -> None:
        if isinstance(event, OtherMessage):
            self.others[event.name] += 1
        elif isinstance(event, Filing):
            self.filings += 1
        elif isinstance(event, DeadLetter) and event.times > 1:
            if len(self.notes) < KEPT_PROBLEMS:
                self.notes.append(f"{event.source}: the same part, or others like it, came {event.times:,} times")
        elif isinstance(event, DeadLetter):
            self.dead_letters += 1
            self.in_doubt += event.in_doubt
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
        self.in_doubt += other.in_doubt
        self.filings += other.filings
        self.others += other.others
        self.problems = (self.problems + other.problems)[:KEPT_PROBLEMS]
        self.notes = (self.notes + other.notes)[:KEPT_PROBLEMS]
        self.refused += other.refused


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


async def ingest_file(
    log: Log,
    path: Path,
    rules: Rules,
    progress: Progress | None = None,
    *,
    source: str | None = None,
    received_at: int | None = None,
    monitor: FeedMonitor | None = None,
) -> Intake:
    """Feed in one file that an operator named. See `ingest_chunks`."""
    file = InputFile(path)
    return await ingest_chunks(
        log, file.chunks(progress), source or file.name, rules, received_at=received_at, monitor=monitor
    )


async def ingest_chunks(
    log: Log,
    chunks: Iterator[bytes],
    source: str,
    rules: Rules,
    *,
    received_at: int | None = None,
    monitor: FeedMonitor | None = None,
    admit: Admission | None = None,
    keep_trying: bool = False,
) -> Intake:
    """Feed in one input under the name `source`, as received at `received_at` (default: now).

    `admit` may replace results of the reader by others; it is used in another thread.

    Records are appended in batches, and as soon as an empty chunk tells that no more input has come yet. `monitor`
    records the activity of the feed; the rules are then those in force when the input begins. With `keep_trying` a step
    that fails for now is repeated until it works. Raises UsageError, LogError; after a failure call it again, it
    duplicates nothing.
    """
    feeding = _Feeding(log, chunks, source, rules, received_at, monitor, admit, keep_trying)
    thread = ThreadPoolExecutor(1, thread_name_prefix="feeding")
    reading = asyncio.get_running_loop().run_in_executor(thread, feeding.read)
    try:
        return await asyncio.shield(reading)
    finally:
        feeding.stop()
        while not reading.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([reading])
        reading.exception()
        thread.shutdown(wait=False)


class _Stopped(Exception):
    """The caller no longer waits. Never leaves this module."""


class _Feeding:
    """One input on its way to the log. `read` runs in a thread of its own, so that no input waits for another: the
    interpreter gives each thread its turn."""

    def __init__(
        self,
        log: Log,
        chunks: Iterator[bytes],
        source: str,
        rules: Rules,
        received_at: int | None,
        monitor: FeedMonitor | None,
        admit: Admission | None,
        keep_trying: bool,
    ) -> None:
        self._admit = admit or iter
        self._chunks, self._source, self._rules, self._monitor = chunks, source, rules, monitor
        self._follows_clock = received_at is None
        self._received_at = now_milliseconds() if received_at is None else received_at
        self._activity: FileActivity | None = None
        self._batches = Batches(log)
        self._intake = Intake(files=1)
        self._keep_trying = keep_trying
        self._loop = asyncio.get_running_loop()
        self._step: asyncio.Task[Any] | None = None
        """The step that the thread waits for."""
        self._is_stopped = False

    def stop(self) -> None:
        """End the thread at its next chunk or step. Call it in the event loop."""
        self._is_stopped = True
        if self._step is not None:
            self._step.cancel()

    def read(self) -> Intake:
        for chunk in self._chunks:
            if self._is_stopped:
                raise _Stopped
            if chunk != NOTHING_YET:
                self._read_until_quiet(chunk)
        return self._intake

    def _read_until_quiet(self, first: bytes) -> None:
        if self._follows_clock:
            self._received_at = now_milliseconds()
        self._begin_activity()
        rules = self._rules if self._monitor is None else self._monitor.rules
        intake, begun = self._intake, self._received_at
        events = read_events(self._arriving(first), self._source, begun, ReadOptions(rules, intake.notes.append))
        for event in self._admit(map(self._checked, events)):
            if isinstance(event, OtherMessage):
                intake.count(event)
                continue
            if self._received_at != begun:
                event = event._replace(received_at=self._received_at)
            outputs = event_outputs(event, rules.codes.is_urgent)
            intake.count(event, urgent=outputs[0].topic == topics.URGENT)
            if self._activity is not None and not isinstance(event, Filing):
                self._activity.add(event, self._received_at)
            if self._batches.add(outputs):
                self._wait_for(self._batches.flush)
        self._catch_up()

    def _checked(self, event: ReadResult) -> ReadResult:
        return event if self._monitor is None else checked(event, self._monitor.registry)

    def _arriving(self, first: bytes) -> Iterator[bytes]:
        """The chunks until a pipe is quiet for long. All that was read is on the log before more input is awaited."""
        quiet_since, is_pipe = time.monotonic(), False
        for chunk in chain((first,), self._chunks):
            if self._is_stopped:
                raise _Stopped
            if is_pipe and self._follows_clock:
                self._received_at = now_milliseconds()
            if self._activity is not None:
                self._activity.hash(chunk)
            yield chunk
            if chunk != NOTHING_YET:
                quiet_since = time.monotonic()
                continue
            is_pipe = True
            self._catch_up()
            self._begin_activity()
            if time.monotonic() - quiet_since >= QUIET_SECONDS:
                return

    def _begin_activity(self) -> None:
        if self._monitor is not None and self._activity is None:
            self._activity = self._wait_for(partial(self._monitor.begin_file, self._received_at))

    def _catch_up(self) -> None:
        """Append what was read, and record the activity, if there was any."""
        self._wait_for(self._batches.flush)
        if self._activity is not None and self._activity.is_any:
            self._wait_for(partial(self._activity.end, self._received_at))
            self._activity = None

    def _wait_for(self, step: Callable[[], Awaitable[T]]) -> T:
        """The result of a step in the event loop. Called in the thread."""
        return asyncio.run_coroutine_threadsafe(self._take(step), self._loop).result()

    async def _take(self, step: Callable[[], Awaitable[T]]) -> T:
        if self._is_stopped:
            raise _Stopped
        self._step = asyncio.current_task()
        return await attempt(step, keep_trying=self._keep_trying)


async def attempt(step: Callable[[], Awaitable[T]], *, keep_trying: bool = True) -> T:
    """The result of a step, which is repeated while it fails for now."""
    pauses = growing_pauses(*RETRY_PAUSES)
    with held_up_steps() as held_up:
        while True:
            try:
                return await step()
            except (TaskRetry, OSError) as error:
                if not keep_trying:
                    raise
                pause = next(pauses)
                held_up(f"feeding in waits: {error}")
                _log.warning("feeding_in_waits", reason=str(error), again_in_seconds=pause)
                await asyncio.sleep(pause)


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
