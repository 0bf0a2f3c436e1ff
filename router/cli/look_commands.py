"""Commands that only look: `tail`, `bill show`, `explain`, `waiting list`, `unread`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from router import topics
from router.cli import printing
from router.cli.command import BillArgument, FormatOption, exit_if, flag, option, read_log, with_rules
from router.cli.printing import (
    JSON,
    TABLE,
    WAITING,
    RecordFields,
    console,
    emit,
    grid,
    line,
    number_of,
    say,
    say_what_is_missing,
)
from router.clock import now_milliseconds
from router.desk.bill_views import (
    BillView,
    ExplainedParty,
    bill_fields,
    explain,
    explain_party,
    key_from,
    read_bill,
    read_waiting,
    sailing_reasons,
)
from router.desk.registered_parties import find_party
from router.desk.unread_notices import (
    DO_NOT_LOAD,
    HELD,
    NOT_DELIVERABLE,
    Alert,
    Stop,
    UnreadNotices,
    alert_for,
    read_unread,
    sentence,
    update_alerts,
)
from router.engine.administration import read_registry
from router.errors import UsageError
from router.log.interface import AdministeredLog, Record
from router.model.eastern import MINUTE, iso
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
    each: Annotated[bool, flag("--each", "Show each notice for itself, not in groups of one cause.")] = False,
    form: FormatOption = TABLE,
) -> None:
    """Follow a party's notices, or the router's own records, as they are written; Ctrl-C stops.

    Example:  [bold]snp-router tail --party NVXA --from-start --kind hold --format json[/bold]

    Notices of one event, such as a hold on a box of many bills, are shown as one group. In JSON they share event_id."""
    given = {topics.TIMELINE: timeline, topics.DEAD_LETTERS: dead_letters, topics.WAITING: waiting}
    chosen = [topic for topic, is_given in given.items() if is_given]
    if len(chosen) + (party is not None) != 1:
        raise UsageError("name one of --party ID, --timeline, --dead-letters, --waiting")
    if kind and party is None:
        raise UsageError("--kind applies to notices: give --party too")
    begins = from_start or until_end

    async def work(log: AdministeredLog) -> None:
        topic = chosen[0] if chosen else (await find_party(log, party or "")).topic
        columns = OWN_RECORDS.get(topic, printing.NOTICE)
        out = console()
        if form is TABLE:
            heading = "  ".join(column.name.ljust(column.width or 0) for column in columns)
            out.print(heading, style="dim", soft_wrap=True)
        text = f"following {topic}" + ("" if begins else " from now on (--from-start shows earlier records too)")
        with nullcontext() if until_end else printing.until_stopped(text, out if form is TABLE else None):
            records = _records(log, topic, from_start=begins, until_end=until_end)
            async for gathered in gather(records, GATHER_SECONDS, MOST_GATHERED):
                rows = [_record_fields(one) for one in gathered]
                if kind:
                    rows = [one for one in rows if one["kind"] in kind]
                if form is JSON:
                    for fields in rows:
                        emit(fields)
                    continue
                is_grouped = topic not in OWN_RECORDS and not each
                groups = by_cause(rows, _event_of, _bill_of) if is_grouped else [[one] for one in rows]
                for group in groups:
                    _print_group(group, columns, out)

    read_log(context, work)


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


async def _records(log: AdministeredLog, topic: str, *, from_start: bool, until_end: bool) -> AsyncIterator[Record]:
    """Records of a topic. For topics of states, `until_end` yields each key's last state only; a live reader also gets
    the record that ends a state."""
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


def _record_fields(record: Record) -> RecordFields:
    if record.value is not None:
        is_decision = record.topic == topics.TIMELINE
        return plain("timeline-entry", timeline_fields(record.value)) if is_decision else plain_value(record.value)
    key = record.key.decode()
    scac, number = (None, None) if is_vessel_key(key) else split_bill_key(key)
    ended: RecordFields = {"reasons": [], "parties": [], "status": None, "do_not_load": False, "since": None}
    return {"scac": scac, "bill_of_lading": number} | ended


bill_app = typer.Typer(no_args_is_help=True, help="Show a bill, or confirm what is in doubt about it.")


@bill_app.command("show")
def show_bill(context: typer.Context, bill: BillArgument, form: FormatOption = TABLE) -> None:
    """Show a bill: its status, holds and releases, what is known of it, its recipients and its history.

    Example:  [bold]snp-router bill show NVXAHBL000012345[/bold]"""
    fields = bill_fields(_bill_view(context, bill))
    if form is JSON:
        emit(fields)
    else:
        console().print(printing.bill_panel(fields))
        say_what_is_missing(fields["waiting"])


def explain_bill(
    context: typer.Context,
    bill: BillArgument,
    party: Annotated[str | None, option("ID", "Explain this party alone, also one that is not on the bill.")] = None,
    form: FormatOption = TABLE,
) -> None:
    """Explain who is notified of a bill and by which rule, who is not and why, and what the bill waits for.

    Example:  [bold]snp-router explain NVXAHBL000012345[/bold]

    One ground a line: the party, its role by it, the rule, and when it applies. It applies always, or while a hold or
    a do-not-load stands. A party that is not notified has the reason instead of its last notice. If the sailing is not
    found surely, each reason is a line of its own."""
    view = _bill_view(context, bill)
    fields = explanation_fields(view, explain(view) if party is None else [explain_party(view, party.upper())])
    if form is JSON:
        emit(fields)
        return
    console().print(explanation_table(fields))
    for text in sailing_lines(fields):
        console().print(text, soft_wrap=True, highlight=False)
    if view.bill.state.waiting:
        console().print(f"\nwaiting: {', '.join(view.bill.state.waiting)}", style="yellow")
        say_what_is_missing(view.bill.state.waiting)


def _bill_view(context: typer.Context, bill: list[str]) -> BillView:
    key = key_from(bill)
    return read_log(context, with_rules(context, lambda log, rules: read_bill(log, rules, key)), warns_if_behind=True)


def explanation_fields(view: BillView, explained: Iterable[ExplainedParty]) -> dict[str, Any]:
    """Parties notified and parties only considered, each with its grounds in the order of the rules."""
    notified, not_notified = [], []
    for one in explained:
        grounds = [{"role": ground.role, "rule": ground.rule, "scope": ground.scope} for ground in one.grounds]
        party = {"recipient": one.recipient, "grounds": grounds}
        if one.notified:
            notified.append({**party, "last_notice": one.last_notice})
        else:
            not_notified.append({**party, "reason": one.reason})
    sailing = view.audience.sailing
    return {
        "bill": view.key,
        "sailing_id": sailing.sailing_id if sailing else None,
        "sailing_assumed": view.audience.assumed.sailing_id if view.audience.assumed else None,
        "sailing_reasons": sailing_reasons(view),
        "notified": notified,
        "not_notified": not_notified,
        "waiting": list(view.bill.state.waiting),
    }


def sailing_lines(fields: RecordFields) -> Iterator[str]:
    """The sailing, and each reason why the bill's identifiers don't find one surely."""
    found, assumed, reasons = fields["sailing_id"], fields["sailing_assumed"], fields["sailing_reasons"]
    if found is not None:
        yield f"sailing {found}" + (
            ", found by an earlier message; the present one does not find it:" if reasons else ""
        )
    if assumed is not None:
        yield f"sailing {assumed} is assumed, so its operator gets stops alone:"
    elif found is None:
        yield "no sailing is found:"
    yield from (f"  {reason}" for reason in reasons)


WHEN_TEXT: Final = {"all": "always", "holds": "held", "do-not-load": "do-not-load", "never": "never"}


def explanation_table(fields: RecordFields) -> Table:
    headings = ("party", "role", "rule", "when", "last notice, or why none")
    rows = (cells for one in (*fields["notified"], *fields["not_notified"]) for cells in _explanation_cells(one))
    return grid(headings, rows, f"recipients of {fields['bill']}")


def _explanation_cells(party: RecordFields) -> Iterator[tuple[str | Text, ...]]:
    last = party.get("last_notice")
    outcome = party.get("reason") or "" if last is None else printing.styled(last["kind"])
    for ground in party["grounds"]:
        yield party["recipient"], ground["role"] or "", ground["rule"], WHEN_TEXT[ground["scope"]], outcome
        outcome = ""


waiting_app = typer.Typer(no_args_is_help=True, help="Bills with recipients that could not be notified yet.")


@waiting_app.command("list")
def list_waiting(context: typer.Context, form: FormatOption = TABLE) -> None:
    """List the bills that wait for a party, a topic, a sailing or a second notify party: do-not-loads first.

    Example:  [bold]snp-router waiting list[/bold]

    Their notices are sent when the missing piece is imported (`snp-router import`). Until then telephone the parties
    that were not notified, about do-not-loads first."""
    rows = read_log(context, read_waiting, warns_if_behind=True)
    printing.print_rows(WAITING, rows, form, empty="no bill waits")
    if form is JSON:
        return
    say_what_is_missing(reason for row in rows for reason in row["reasons"])
    if do_not_loads := sum(row["do_not_load"] for row in rows):
        say(f"{do_not_loads} of {len(rows)} must not be loaded: telephone the parties that were not notified")


UNREAD_ALERTS: Final = "unread:"
"""Ids of the alerts that `unread` raises begin with it."""
STOP_KINDS: Final = (DO_NOT_LOAD, HELD, NOT_DELIVERABLE)
"""The gravest first."""
THRESHOLD_HELP: Final = """Say whom to call about each stop unread for N minutes or longer, and end with 1 if there is
any. Raises and ends alerts on snp.alerts."""


def unread(
    context: typer.Context,
    threshold_minutes: Annotated[int | None, option("N", THRESHOLD_HELP, min=0)] = None,
    form: FormatOption = TABLE,
) -> None:
    """Show how many do-not-loads and holds each party has not read, and how old they are.

    Example:  [bold]snp-router unread --threshold-minutes 10[/bold]

    A notice is read when the party's production group has committed it or its webhook has accepted it. A stop that a
    later notice ended is not listed."""
    now = now_milliseconds()

    async def work(log: AdministeredLog) -> list[UnreadNotices]:
        found = await read_unread(log, await read_registry(log))
        if threshold_minutes is not None:
            alerts = [_alert(one, stop, now) for one in found for stop in _overdue(one, threshold_minutes, now)]
            raised = await update_alerts(log, UNREAD_ALERTS, alerts, now)
            if raised.new or raised.ended:
                say(f"alerts: {len(raised.new)} raised, {len(raised.ended)} ended")
        return found

    found = read_log(context, work)
    overdue = [(one, stop) for one in found for stop in _overdue(one, threshold_minutes or 0, now)]
    if form is JSON:
        for one in found:
            emit(_unread_fields(one, [stop for other, stop in overdue if other is one], now))
    else:
        _print_unread(found, now)
        for one, stop in overdue if threshold_minutes is not None else ():
            console().print(sentence(one.party, stop, now), soft_wrap=True)
        for why in dict.fromkeys(one.receipt.unknown for one in found if one.receipt.unknown):
            parties = ", ".join(one.party.id for one in found if one.receipt.unknown == why)
            say(f"{parties}: cannot track reading: {why}")
    exit_if(threshold_minutes is not None and overdue)


def _alert(one: UnreadNotices, stop: Stop, now: int) -> Alert:
    id = f"{UNREAD_ALERTS}{one.party.id}:{stop.bill}"
    alert = alert_for(one.party, id, stop.kind, stop.since, now, sentence(one.party, stop, now))
    return alert._replace(bill=stop.bill, notice_id=stop.notice_id)


def _overdue(one: UnreadNotices, minutes: int, now: int) -> Iterator[Stop]:
    """The gravest first, then the oldest."""
    stops = sorted(one.stops.values(), key=lambda stop: (STOP_KINDS.index(stop.kind), stop.since))
    return (stop for stop in stops if stop.age(now) >= minutes * MINUTE)


def _print_unread(found: Sequence[UnreadNotices], now: int) -> None:
    behind = [one for one in found if one.notices]
    tracked = [one.party.id for one in found if not one.receipt.unknown]
    if not behind:
        console().print(f"{', '.join(tracked)}: everything is read" if tracked else "no party's reading is tracked")
        return
    rows = []
    for one in behind:
        oldest = f"{max(stop.age(now) for stop in one.stops.values()) // MINUTE} min" if one.stops else ""
        counts = (str(one.count(kind) or "") for kind in STOP_KINDS)
        rows.append((one.party.id, *counts, oldest, str(one.notices), one.party.contact_phone or ""))
    headings = ("party", "do-not-loads", "holds", "no longer deliverable", "oldest", "unread notices", "call")
    console().print(grid(headings, rows))


def _unread_fields(one: UnreadNotices, stops: Sequence[Stop], now: int) -> RecordFields:
    return {
        "party": one.party.id,
        "unread_notices": None if one.receipt.unknown else one.notices,
        "unknown": one.receipt.unknown,
        "stops": [
            {"bill": stop.bill, "kind": stop.kind, "since": iso(stop.since), "notice_id": stop.notice_id,
             "minutes": stop.age(now) // MINUTE, "text": sentence(one.party, stop, now)}
            for stop in stops
        ],
    }  # fmt: skip
