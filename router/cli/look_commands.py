"""`snp-router tail`: a party's notices as they come, or what else the router writes.

`snp-router bill` and `explain`: one bill, and who is told of it.

`snp-router waiting`: bills that not everyone who should be told could be told about.

`snp-router unread`: what stops cargo and has not been read by whom it stops.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import nullcontext
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from router import topics
from router.cli import printing
from router.cli.invocation import (
    BillArgument,
    ExitCode,
    Format,
    FormatOption,
    Session,
    console,
    emit,
    hint_if_behind,
    run,
    say,
    session_of,
    waiting,
)
from router.cli.printing import grid
from router.clock import now_milliseconds
from router.desk.alerts import Alert, Raised, alert_for, settle_alerts
from router.desk.receipts import DO_NOT_LOAD, HELD, NOT_DELIVERABLE, Stop, Unread, read_unread, sentence
from router.desk.settling import Confirmed, confirm
from router.desk.views import BillView, Explained, bill_fields, explain, find_party, key_from, read_bill
from router.desk.waiting import read_waiting
from router.engine.administration import read_registry
from router.errors import UsageError
from router.log.interface import Log, Record
from router.model.eastern import MINUTE, iso
from router.model.identifiers import is_vessel_key, split_bill_key
from router.plain import plain_value


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
        columns = _COLUMNS.get(topic, printing.NOTICE)
        out = console()
        if form is Format.TABLE:
            out.print(printing.header_line(columns), soft_wrap=True)
        words = f"following {topic}" + ("" if from_start else " from now on (with --from-start: from its beginning)")
        with nullcontext() if until_end else waiting(words, out if form is Format.TABLE else None):
            async for record in _records(log, topic, from_start=from_start, until_end=until_end):
                fields = _fields(record)
                if topic in _COLUMNS or fields["kind"] in kinds:
                    if form is Format.JSON:
                        emit(fields)
                    else:
                        out.print(
                            printing.line(columns, fields, out.width if out.is_terminal else None), soft_wrap=True
                        )


_COLUMNS = {
    topics.TIMELINE: printing.TIMELINE,
    topics.DEAD_LETTERS: printing.DEAD_LETTER,
    topics.WAITING: printing.WAITING,
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


def _fields(record: Record) -> printing.Fields:
    if record.value is not None:
        return plain_value(record.value)
    key = record.key.decode()
    scac, number = (None, None) if is_vessel_key(key) else split_bill_key(key)
    over: printing.Fields = {"reasons": [], "parties": [], "status": None, "do_not_load": False, "since": None}
    return {"scac": scac, "bill_of_lading": number} | over


bill_app = typer.Typer(no_args_is_help=True, help="Show a bill, or settle what is in doubt about it.")


@bill_app.command("show")
def show_bill(context: typer.Context, bill: BillArgument, form: FormatOption = Format.TABLE) -> None:
    """A bill's status now, its holds and releases, what is known of it, who was told, and its history.

    Example:  [bold]snp-router bill show NVXAHBL000012345[/bold]
    """
    fields = bill_fields(run(_read(session_of(context), key_from(bill))))
    if form is Format.JSON:
        emit(fields)
    else:
        console().print(printing.bill_panel(fields))
        for note in printing.missing_notes(fields["waiting"]):
            say(note)


@bill_app.command("confirm")
def confirm_bill(
    context: typer.Context,
    bill: BillArgument,
    by: Annotated[str, typer.Option(help="Who says so.")],
    reason: Annotated[str, typer.Option(help="On what ground.")],
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Cover this event only; may be repeated. Without it: all the bill has now."),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Settle a bill's doubts, and end holds that stand for events nobody could read, by an operator's word.

    Example:  [bold]snp-router bill confirm NVXAHBL000012345 --by "J. Doe" --reason "CBP port office, by phone"[/bold]

    What comes later, and every hold of CBP's, still blocks.
    """
    confirmed = run(_confirm(session_of(context), key_from(bill), by, reason, event or []))
    if form is Format.JSON:
        emit({key: list(value) for key, value in confirmed._asdict().items()})
        return
    contradictions = ("what contradicts CBP",) if confirmed.contradictions else ()
    settled = ", ".join((*confirmed.doubts, *(f"{kind} hold" for kind in confirmed.holds), *contradictions))
    console().print(f"confirmed: {settled}; {len(confirmed.covers)} events covered")
    if confirmed.letters:
        console().print(f"dead letters settled: {', '.join(confirmed.letters)}")
    say("`snp-router run` applies it and tells the parties")


def explain_bill(context: typer.Context, bill: BillArgument, form: FormatOption = Format.TABLE) -> None:
    """Who is told of a bill and by which rule, who is not and why, and what it waits for.

    Example:  [bold]snp-router explain NVXAHBL000012345[/bold]
    """
    view = run(_read(session_of(context), key_from(bill)))
    explained = explain(view)
    if form is Format.JSON:
        emit(_explained_fields(view, explained))
        return
    console().print(explained_table(view.key, explained))
    if view.state.waiting:
        console().print(f"\nwaiting: {', '.join(view.state.waiting)}", style="yellow")
        for note in printing.missing_notes(view.state.waiting):
            say(note)


async def _read(session: Session, key: str) -> BillView:
    async with session.reading() as log:
        view = await read_bill(log, session.settings.decision_rules(), key)
        await hint_if_behind(log)
        return view


async def _confirm(session: Session, key: str, by: str, reason: str, events: list[str]) -> Confirmed:
    async with session.reading() as log:
        return await confirm(log, session.settings.decision_rules(), key, by=by, reason=reason, events=events)


def _explained_fields(view: BillView, explained: list[Explained]) -> dict[str, Any]:
    told = [
        {"recipient": one.recipient, "roles": list(one.roles), "rules": list(one.rules), "last_notice": one.last_notice}
        for one in explained
        if one.told
    ]
    not_told = [
        {"recipient": one.recipient, "roles": list(one.roles), "rules": list(one.rules), "reason": one.reason}
        for one in explained
        if not one.told
    ]
    sailing = view.audience.sailing
    return {
        "bill": view.key,
        "sailing_id": sailing.sailing_id if sailing else None,
        "told": told,
        "not_told": not_told,
        "waiting": list(view.state.waiting),
    }


def explained_table(key: str, explained: list[Explained]) -> Table:
    headings = ("party", "told", "as", "by rule", "last notice, or why not")
    return printing.grid(headings, map(_explained_cells, explained), f"who is told of {key}")


def _explained_cells(one: Explained) -> tuple[str | Text, ...]:
    why = printing.kind_text(one.last_notice["kind"]) if one.last_notice else one.reason or ""
    mark = Text("yes", "green") if one.told else Text("no", "red")
    return one.recipient, mark, "\n".join(one.roles), "\n".join(one.rules), why


waiting_app = typer.Typer(no_args_is_help=True, help="Bills that could not be told to everyone yet.")


@waiting_app.command("list")
def list_waiting(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """What waits for a party, a topic, a sailing or a second notify party: do-not-loads on top, then the oldest.

    Example:  [bold]snp-router waiting list[/bold]

    Nothing of it is lost: it is sent when the missing piece comes (`snp-router import`). Until then somebody should
    telephone, above all about a do-not-load.
    """
    rows = run(_read_waiting(session_of(context)))
    if form is Format.JSON:
        for row in rows:
            emit(row)
        return
    if not rows:
        say("nothing waits")
        return
    console().print(printing.table(printing.WAITING, rows))
    for note in printing.missing_notes(reason for row in rows for reason in row["reasons"]):
        say(note)
    if alarms := sum(row["do_not_load"] for row in rows):
        say(f"{alarms} of {len(rows)} must not be loaded: telephone whoever was not told")


async def _read_waiting(session: Session) -> list[printing.Fields]:
    async with session.reading() as log:
        rows = await read_waiting(log)
        await hint_if_behind(log)
        return rows


PREFIX: Final = "unread:"


def unread(
    context: typer.Context,
    threshold_minutes: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Only what is unread for N minutes or more: say whom to call, raise or end the alarm on snp.alerts, "
            "and end with 1 if there is any.",
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Do-not-loads and holds that their parties have not read, how many and how old.

    Example:  [bold]snp-router unread --threshold-minutes 10[/bold]

    What a party has read is what its production group committed, or what its webhook took. What is over by a later
    notice, read or not, is not listed.
    """
    now = now_milliseconds()
    found = run(_look(session_of(context), threshold_minutes, now))
    overdue = [(one, stop) for one in found for stop in _overdue(one, threshold_minutes or 0, now)]
    if form is Format.JSON:
        for one in found:
            emit(_fields_unread(one, [stop for other, stop in overdue if other is one], now))
    else:
        _print(found, now)
        for one, stop in overdue if threshold_minutes is not None else ():
            console().print(sentence(one.party, stop, now), soft_wrap=True)
        for why in dict.fromkeys(one.receipt.unknown for one in found if one.receipt.unknown):
            parties = ", ".join(one.party.scac for one in found if one.receipt.unknown == why)
            say(f"{parties}: nobody can tell what is read: {why}")
    if threshold_minutes is not None and overdue:
        raise typer.Exit(ExitCode.PROBLEMS)


async def _look(session: Session, threshold_minutes: int | None, now: int) -> list[Unread]:
    async with session.reading() as log:
        found = await read_unread(log, await read_registry(log))
        if threshold_minutes is not None:
            alerts = [_alert(one, stop, now) for one in found for stop in _overdue(one, threshold_minutes, now)]
            _say_changes(await settle_alerts(log, PREFIX, alerts, now))
        return found


def _alert(one: Unread, stop: Stop, now: int) -> Alert:
    id = f"{PREFIX}{one.party.scac}:{stop.bill}"
    alert = alert_for(one.party, id, stop.kind, stop.since, now, sentence(one.party, stop, now))
    return alert._replace(bill=stop.bill, notice_id=stop.notice_id)


def _say_changes(raised: Raised) -> None:
    if raised.new or raised.ended:
        say(f"alarms: {len(raised.new)} raised, {len(raised.ended)} ended")


def _overdue(one: Unread, minutes: int, now: int) -> Iterator[Stop]:
    """The gravest first, then the oldest."""
    order = (DO_NOT_LOAD, HELD, NOT_DELIVERABLE)
    stops = sorted(one.stops.values(), key=lambda stop: (order.index(stop.kind), stop.since))
    return (stop for stop in stops if stop.age(now) >= minutes * MINUTE)


def _print(found: Sequence[Unread], now: int) -> None:
    behind = [one for one in found if one.notices]
    followed = [one.party.scac for one in found if not one.receipt.unknown]
    if not behind:
        words = f"{', '.join(followed)}: everything is read" if followed else "no party's reading can be followed"
        console().print(words)
        return
    headings = ("party", "do-not-loads", "holds", "no longer deliverable", "oldest", "notices in all", "call")
    console().print(grid(headings, (_cells(one, now) for one in behind)))


def _cells(one: Unread, now: int) -> tuple[str, ...]:
    oldest = f"{max(stop.age(now) for stop in one.stops.values()) // MINUTE} min" if one.stops else ""
    counts = (str(one.count(kind) or "") for kind in (DO_NOT_LOAD, HELD, NOT_DELIVERABLE))
    return one.party.scac, *counts, oldest, str(one.notices), one.party.contact_phone or ""


def _fields_unread(one: Unread, stops: Sequence[Stop], now: int) -> dict[str, Any]:
    return {
        "party": one.party.scac,
        "unread_notices": None if one.receipt.unknown else one.notices,
        "unknown": one.receipt.unknown,
        "stops": [
            {"bill": stop.bill, "kind": stop.kind, "since": iso(stop.since), "notice_id": stop.notice_id,
             "minutes": stop.age(now) // MINUTE, "text": sentence(one.party, stop, now)}
            for stop in stops
        ],
    }  # fmt: skip
