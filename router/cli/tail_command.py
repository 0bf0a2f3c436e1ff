"""The command `tail`: a party's notices, or the router's own records, as they are written."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext, suppress
from enum import StrEnum
from typing import Annotated, Final, NamedTuple, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from router import topics
from router.cli import printing
from router.cli.command import MOMENT, RowsFormatOption, exit_if_unread, flag, option, read_log
from router.cli.printing import JSON, TABLE, WAITING, RecordFields, console, emit, line, number_of
from router.clock import now_milliseconds
from router.desk.registered_parties import find_party
from router.errors import UsageError
from router.feeds.typed_times import typed_time
from router.log.interface import AdministeredLog, Record
from router.model.eastern import CLOCKS_DIFFER, iso
from router.model.identifiers import is_vessel_key, split_bill_key
from router.presentation import by_cause, plain, plain_value
from router.task.outputs import timeline_fields

T = TypeVar("T")


class NoticeKind(StrEnum):
    HOLD = "hold"
    CHANGE = "change"
    RELEASE = "release"


def tail(
    context: typer.Context,
    party: Annotated[str | None, option("ID", "Notices of this party, by its id or one of its aliases.")] = None,
    timeline: Annotated[bool, flag("--timeline", "Decisions on all bills.")] = False,
    dead_letters: Annotated[bool, flag("--dead-letters", "Content that could not be read.")] = False,
    waiting: Annotated[bool, flag("--waiting", "Bills with recipients not notified yet.")] = False,
    from_start: Annotated[bool, flag("--from-start", "Begin with the records that are there.")] = False,
    until_end: Annotated[bool, flag("--until-end", "Show the records that are there, then stop.")] = False,
    kind: Annotated[
        list[NoticeKind] | None, option("hold|change|release", "Only notices of this kind; may be repeated.")
    ] = None,
    since: Annotated[str | None, option("TIME", f"Only what was written at this time or later. {MOMENT}")] = None,
    until: Annotated[str | None, option("TIME", f"Only what was written before this time, then stop. {MOMENT}")] = None,
    each: Annotated[bool, flag("--each", "Show each notice for itself, not in groups of one cause.")] = False,
    form: RowsFormatOption = TABLE,
) -> None:
    """Follow a party's notices, or the router's own records, as they are written; Ctrl-C stops.

    Example:  [bold]snp-router tail --party NVXA --from-start --kind hold --format json[/bold]

    A time without a day is the last such time: --since 22:00 shows the records since ten in the evening, Eastern, and
    follows. Of states (--dead-letters, --waiting) it shows those that changed in that time.

    Notices of one event, such as a hold on a box of many bills, are shown as one group. In JSON they share event_id."""
    given = {topics.TIMELINE: timeline, topics.DEAD_LETTERS: dead_letters, topics.WAITING: waiting}
    chosen = [topic for topic, is_given in given.items() if is_given]
    if len(chosen) + (party is not None) != 1:
        raise UsageError("name one of --party ID, --timeline, --dead-letters, --waiting")
    if kind and party is None:
        raise UsageError("--kind applies to notices: give --party too")
    span = _span_of(since, until, now_milliseconds())
    if span.begin is not None and from_start:
        raise UsageError("give --since or --from-start: each says where to begin")
    until_end = until_end or span.end is not None
    begins = from_start or until_end or span.begin is not None
    unread: list[str] | None = [] if until_end else None

    async def work(log: AdministeredLog) -> None:
        topic = chosen[0] if chosen else (await find_party(log, party or "")).topic
        columns, in_csv = OWN_RECORDS.get(topic, printing.NOTICE), printing.CsvPrinter()
        out = console()
        if form is TABLE:
            heading = "  ".join(column.name.ljust(column.width or 0) for column in columns)
            out.print(heading, style="dim", soft_wrap=True)
        text = f"following {topic}" + ("" if begins else " from now on (--from-start shows earlier records too)")
        with nullcontext() if until_end else printing.until_stopped(text, out if form is TABLE else None):
            records = _records(log, topic, span, from_start=begins, until_end=until_end, unread=unread)
            async for gathered in gather(records, GATHER_SECONDS, MOST_GATHERED):
                rows = [_record_fields(one) for one in gathered]
                if kind:
                    rows = [one for one in rows if one["kind"] in kind]
                if form is not TABLE:
                    for fields in rows:
                        emit(fields) if form is JSON else in_csv.row(fields)
                    continue
                is_grouped = topic not in OWN_RECORDS and not each
                groups = by_cause(rows, _event_of, _bill_of) if is_grouped else [[one] for one in rows]
                for group in groups:
                    _print_group(group, columns, out)

    read_log(context, work, is_service=not until_end)
    exit_if_unread(unread or ())


def _event_of(notice: RecordFields) -> str | None:
    event: str | None = notice["event_id"]
    return event


def _bill_of(notice: RecordFields) -> tuple[str | None, str | None]:
    return notice["scac"], notice["bill_of_lading"]


def _print_group(group: list[RecordFields], columns: Sequence[printing.Column], out: Console) -> None:
    """A record, or the notices of one cause below a line that counts them."""
    width = out.width if out.is_terminal else None
    if len(group) == 1:
        out.print(line(columns, group[0], width), soft_wrap=True)
        return
    kinds = Counter(kind for kind, _ in {(one["kind"], _bill_of(one)) for one in group})
    codes = {one["disposition_code"] for one in group} - {None}
    text = ", ".join(f"{kind.upper()} of {number_of(count, 'bill')}" for kind, count in kinds.items())
    out.print(Text(f"{text}, by one event{': ' if codes else ''}{', '.join(sorted(codes))}", "bold"), soft_wrap=True)
    for one in group:
        out.print(Text("  ").append_text(line(columns, one, width and width - 2)), soft_wrap=True)


async def gather(records: AsyncIterator[T], seconds: float, most: int) -> AsyncIterator[list[T]]:
    """The records in lists, of those that came within so many seconds of the first, at most `most`."""
    waited = asyncio.ensure_future(anext(records))
    gathered: list[T] = []
    deadline = 0.0
    try:
        while True:
            left = max(0.0, deadline - time.monotonic()) if gathered else None
            done, _ = await asyncio.wait({waited}, timeout=left)
            if done:
                try:
                    gathered.append(waited.result())
                except StopAsyncIteration:
                    break
                waited = asyncio.ensure_future(anext(records))
                deadline = time.monotonic() + seconds if len(gathered) == 1 else deadline
            if not done or len(gathered) >= most:
                yield gathered
                gathered = []
        if gathered:
            yield gathered
    finally:
        waited.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await waited


GATHER_SECONDS: Final = 0.5
"""Tasks commit within it what one event causes, unless they are behind."""
MOST_GATHERED: Final = 2000

OWN_RECORDS: Final = {
    topics.TIMELINE: printing.TIMELINE, topics.DEAD_LETTERS: printing.DEAD_LETTER, topics.WAITING: WAITING,
}  # fmt: skip
"""Columns of the topics that are not a party's."""


class Span(NamedTuple):
    """A stretch of time, UTC milliseconds."""

    begin: int | None
    end: int | None
    """Exclusive. None for one that goes on."""

    def __contains__(self, moment: object) -> bool:
        assert isinstance(moment, int)
        return (self.begin is None or self.begin <= moment) and (self.end is None or moment < self.end)


def _span_of(since: str | None, until: str | None, now: int) -> Span:
    """Raises UsageError."""
    begin = typed_time("since", since, now) if since is not None else None
    end = typed_time("until", until, now) if until is not None else None
    for name, moment in (("since", begin), ("until", end)):
        if moment is not None and moment > now + CLOCKS_DIFFER:
            raise UsageError(f"{name}: {iso(moment)} is still to come; times without an offset are Eastern")
    if begin is not None and end is not None and end <= begin:
        raise UsageError(f"until: {iso(end)} is not later than since, {iso(begin)}")
    return Span(begin, end)


async def _records(
    log: AdministeredLog, topic: str, span: Span, *, from_start: bool, until_end: bool, unread: list[str] | None
) -> AsyncIterator[Record]:
    """Records of a topic within the span. For topics of states, `until_end` yields each key's last state only; a
    live reader also gets the record that ends a state."""
    states: dict[bytes, Record] = {}
    offsets = await log.offsets_at(topic, span.begin) if span.begin is not None else {}
    begin = {(topic, partition): offset for partition, offset in offsets.items()}
    reading = log.read([topic], from_start=from_start, until_end=until_end, begin=begin, unread=unread)
    async for batch in reading:
        for record in batch:
            if record.timestamp not in span:
                continue
            if until_end and topic in (topics.DEAD_LETTERS, topics.WAITING):
                states[record.key] = record
            else:
                yield record
    for record in states.values():
        if record.value is not None:
            yield record


def _record_fields(record: Record) -> RecordFields:
    if record.value is not None:
        is_decision = record.topic == topics.TIMELINE
        return plain("timeline-entry", timeline_fields(record.value)) if is_decision else plain_value(record.value)
    key = record.key.decode()
    scac, number = (None, None) if is_vessel_key(key) else split_bill_key(key)
    ended: RecordFields = {"reasons": [], "parties": [], "status": None, "do_not_load": False, "since": None}
    return {"scac": scac, "bill_of_lading": number} | ended
