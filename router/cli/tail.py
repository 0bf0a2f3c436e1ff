"""`snp-router tail`: a party's notices as they come, or what else the router writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from enum import StrEnum
from typing import Annotated

import typer

from router import topics
from router.cli import show
from router.cli.session import Format, FormatOption, Session, console, emit, run, session_of, waiting
from router.desk.registered_parties import find_party
from router.errors import UsageError
from router.log.interface import Log, Record
from router.model.identifiers import is_vessel_key, split_bill_key
from router.presentation import plain_value


class Kind(StrEnum):
    HOLD = "hold"
    CHANGE = "change"
    RELEASE = "release"


def tail(
    context: typer.Context,
    party: Annotated[str | None, typer.Option(metavar="SCAC", help="A party's notices; an alias will do.")] = None,
    timeline: Annotated[bool, typer.Option("--timeline", help="What was decided on each bill.")] = False,
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="What could not be read.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Bills of which somebody could not be told.")] = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="What is there already first.")] = False,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Show what is there already, then stop instead of following.")
    ] = False,
    kind: Annotated[list[Kind] | None, typer.Option(help="Only notices of this kind; may be repeated.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Follow a party's notices, or the router's own records, live; Ctrl-C stops.

    Example:  [bold]snp-router tail --party NVXA --from-start --kind hold --format json[/bold]
    """
    chosen = [name for name, given in ((topics.TIMELINE, timeline), (topics.DEAD_LETTERS, dead_letters),
                                       (topics.WAITING, waiting)) if given]  # fmt: skip
    if len(chosen) + (party is not None) != 1:
        raise UsageError("tail one of --party SCAC, --timeline, --dead-letters, --waiting")
    if kind and party is None:
        raise UsageError("--kind is for notices: use it with --party")
    kinds = frozenset(one.value for one in kind or Kind)
    start = from_start or until_end
    run(_follow(session_of(context), party, chosen, kinds, form, from_start=start, until_end=until_end))


async def _follow(
    session: Session,
    party: str | None,
    chosen: Sequence[str],
    kinds: frozenset[str],
    form: Format,
    *,
    from_start: bool,
    until_end: bool,
) -> None:
    async with session.reading() as log:
        topic = chosen[0] if chosen else (await find_party(log, party or "")).topic
        columns = _COLUMNS.get(topic, show.NOTICE)
        out = console()
        if form is Format.TABLE:
            out.print(show.header_line(columns), soft_wrap=True)
        words = f"following {topic}" + ("" if from_start else " from now on (with --from-start: from its beginning)")
        with nullcontext() if until_end else waiting(words, out if form is Format.TABLE else None):
            async for record in _records(log, topic, from_start=from_start, until_end=until_end):
                fields = _fields(record)
                if topic in _COLUMNS or fields["kind"] in kinds:
                    if form is Format.JSON:
                        emit(fields)
                    else:
                        out.print(show.line(columns, fields, out.width if out.is_terminal else None), soft_wrap=True)


_COLUMNS = {
    topics.TIMELINE: show.TIMELINE,
    topics.DEAD_LETTERS: show.DEAD_LETTER,
    topics.WAITING: show.WAITING,
}


async def _records(log: Log, topic: str, *, from_start: bool, until_end: bool) -> AsyncIterator[Record]:
    """Of topics that hold a state, up to now only what is true now; live, also that something no longer waits."""
    states: dict[bytes, Record] = {}
    async for batch in log.read([topic], from_start=from_start, until_end=until_end):
        for record in batch:
            if until_end and topic in (topics.DEAD_LETTERS, topics.WAITING):
                states[record.key] = record
            else:
                yield record
    for record in states.values():
        if record.value is not None:
            yield record


def _fields(record: Record) -> show.Fields:
    if record.value is not None:
        return plain_value(record.value)
    key = record.key.decode()
    scac, number = (None, None) if is_vessel_key(key) else split_bill_key(key)
    over: show.Fields = {"reasons": [], "parties": [], "status": None, "do_not_load": False, "since": None}
    return {"scac": scac, "bill_of_lading": number} | over
