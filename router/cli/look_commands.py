"""Commands that only look, besides `tail`: `bill show`, `explain`, `waiting list`, `unread`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from router.cli import printing
from router.cli.command import (
    BillArgument,
    FormatOption,
    RowsFormatOption,
    exit_if,
    option,
    read_log,
    with_rules,
)
from router.cli.printing import (
    CSV,
    JSON,
    TABLE,
    WAITING,
    RecordFields,
    console,
    emit,
    emit_rows,
    grid,
    number_of,
    say,
    say_what_is_missing,
)
from router.clock import now_milliseconds
from router.codec import Fields
from router.desk.bill_views import (
    BillView,
    ExplainedParty,
    bill_fields,
    explain,
    explain_party,
    key_from,
    missed_decisions,
    read_bill,
    read_waiting,
    sailing_reasons,
    waiting_by_reason,
)
from router.desk.remedies import MISSING
from router.desk.unread_notices import (
    DO_NOT_LOAD,
    HELD,
    NOT_DELIVERABLE,
    READING_UNKNOWN,
    Alert,
    Stop,
    UnreadNotices,
    alert_for,
    read_unread,
    sentence,
    unknown_sentence,
    update_alerts,
)
from router.engine.administration import read_registry
from router.errors import UsageError
from router.log.interface import AdministeredLog
from router.model.eastern import MINUTE, iso
from router.presentation import plain


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
    form: RowsFormatOption = TABLE,
) -> None:
    """Explain who is notified of a bill and by which rule, who is not and why, and what the bill waits for.

    Example:  [bold]snp-router explain NVXAHBL000012345[/bold]

    One ground a line: the party, its role by it, the rule, and when it applies. It applies always, or while a hold or
    a do-not-load stands. A ground on which no notice follows has the reason instead of the last notice. If the sailing
    is not found surely, each reason is a line of its own.

    With --party, a party that nothing connects with the bill has a line for each rule, with what it would take. Of a
    party that was notified before, the decisions since are counted of which others were notified."""
    view = _bill_view(context, bill)
    explained = explain(view) if party is None else [explain_party(view, party.upper())]
    fields = explanation_fields(view, explained)
    if party is not None:
        fields["missed"] = [decision_fields(entry) for entry in missed_decisions(view, explained[0].recipient)]
    if form is JSON:
        emit(fields)
        return
    if form is CSV:
        emit_rows(list(ground_rows(fields)), form)
        return
    console().print(explanation_table(fields))
    if fields.get("missed"):
        console().print(missed_text(fields), soft_wrap=True)
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
        grounds = [ground._asdict() for ground in one.grounds]
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
    for number, ground in enumerate(party["grounds"]):
        reason = ground["reason"] or ""
        outcome = Text(reason)
        if last is not None and number == 0:
            outcome = Text(": ").join(filter(None, (printing.styled(last["kind"]), outcome)))
        yield party["recipient"], ground["role"] or "", ground["rule"], WHEN_TEXT[ground["scope"]], outcome


def ground_rows(fields: RecordFields) -> Iterator[RecordFields]:
    """One record a ground: the party, whether it was notified, and its last notice with each."""
    for is_notified, parties in ((True, fields["notified"]), (False, fields["not_notified"])):
        for party in parties:
            last = party.get("last_notice") or {"kind": None, "at": None}
            for ground in party["grounds"]:
                shared = {"bill": fields["bill"], "recipient": party["recipient"], "notified": is_notified}
                yield shared | ground | {"last_notice": last["kind"], "last_notice_at": last["at"]}


def decision_fields(entry: Fields) -> RecordFields:
    """A decision of the timeline in short, with those it notified."""
    shown = plain("timeline-entry", entry)
    names = ("at", "action_at", "disposition_code", "cause", "status")
    return {name: shown[name] for name in names} | {"notified": [one["recipient"] for one in shown["notified"]]}


def missed_text(fields: RecordFields) -> str:
    """`RIVL was not notified of 2 decisions, the latest 1C of 07-29 13:16Z, which went to NVXA, SLTC`."""
    missed = fields["missed"]
    latest, party = missed[-1], (fields["notified"] or fields["not_notified"])[0]
    since = " since its last notice" if fields["notified"] else ""
    what = f"{latest['disposition_code'] or latest['cause']} of {printing.moment(latest['action_at'] or latest['at'])}"
    count = printing.number_of(len(missed), "decision")
    to = ", ".join(latest["notified"])
    return f"{party['recipient']} was not notified of {count}{since}, the latest {what}, which went to {to}"


waiting_app = typer.Typer(no_args_is_help=True, help="Bills with recipients that could not be notified yet.")


WAITING_SHOWN: Final = 20
"""Bills of each group in the text."""
LIMIT_HELP: Final = "Bills shown of each group; all are counted. JSON and CSV have all."


@waiting_app.command("list")
def list_waiting(
    context: typer.Context,
    missing: Annotated[
        list[str] | None, option("WHAT", "Only bills that lack this, such as NO_SNP; may be repeated.")
    ] = None,
    limit: Annotated[int, option("BILLS", LIMIT_HELP, min=0)] = WAITING_SHOWN,
    form: RowsFormatOption = TABLE,
) -> None:
    """List the bills that wait for a party, a topic, a sailing or a second notify party, grouped by what is missing,
    with the remedy: do-not-loads first.

    Example:  [bold]snp-router waiting list --missing NO_SNP --limit 100[/bold]

    Their notices are sent when the missing piece is imported (`snp-router import`). Until then telephone the parties
    that were not notified, about do-not-loads first. A bill that lacks two things is in both groups."""
    wanted = _reasons(missing or [])
    found = read_log(context, read_waiting, warns_if_behind=True)
    rows = [row for row in found if not wanted or wanted & set(row["reasons"])]
    if form is not TABLE:
        emit_rows(rows, form)
        return
    if not rows:
        say(f"no bill waits for that; {number_of(len(found), 'bill')} for something else" if found else "no bill waits")
        return
    out = console()
    out.print(_waiting_counts(rows), soft_wrap=True)
    for reason, group in waiting_by_reason(rows).items():
        if not wanted or reason in wanted:
            out.print(Text(f"\n{reason}: {_waiting_counts(group)}", "bold"), soft_wrap=True)
            if reason in MISSING:
                say(f"{reason}: {MISSING[reason]}")
            if limit:
                out.print(printing.table(WAITING, group[:limit]))
            if len(group) > limit:
                say(f"{len(group) - limit:,} more: --missing {reason} --limit {len(group)}, or --format csv")
    if do_not_loads := sum(row["do_not_load"] for row in rows):
        say(f"{do_not_loads:,} of {len(rows):,} must not be loaded: telephone the parties that were not notified")


def _reasons(given: list[str]) -> set[str]:
    """Raises UsageError."""
    words = {word.upper().replace("-", "_") for word in given}
    if unknown := sorted(words - MISSING.keys()):
        raise UsageError(f"nothing is missing by the name {', '.join(unknown)}: use {', '.join(MISSING)}")
    return words


def _waiting_counts(rows: Sequence[RecordFields]) -> str:
    """`12 bills wait, 3 must not be loaded`."""
    stopped = sum(row["do_not_load"] for row in rows)
    wait = "wait" if len(rows) != 1 else "waits"
    return f"{number_of(len(rows), 'bill')} {wait}, {stopped:,} must not be loaded"


UNREAD_ALERTS: Final = "unread:"
"""Ids of the alerts that `unread` raises begin with it."""
STOP_KINDS: Final = (DO_NOT_LOAD, HELD, NOT_DELIVERABLE)
"""The gravest first."""
THRESHOLD_HELP: Final = """Say whom to call about each stop unread for N minutes or longer, and about offsets that can't
be believed. End with 1 if there is any, or if reading is unknown. Raises and ends alerts on snp.alerts."""


def unread(
    context: typer.Context,
    threshold_minutes: Annotated[int | None, option("N", THRESHOLD_HELP, min=0)] = None,
    form: RowsFormatOption = TABLE,
) -> None:
    """Show how many do-not-loads and holds each party has not read, and how old they are.

    Example:  [bold]snp-router unread --threshold-minutes 10[/bold]

    A notice is read when the party's production group has committed it or its webhook has accepted it. A stop that a
    later notice ended is not listed. What a party has read is unknown if its group or webhook is behind the end or
    before the beginning of its topic."""
    now = now_milliseconds()

    async def work(log: AdministeredLog) -> list[UnreadNotices]:
        found = await read_unread(log, await read_registry(log))
        if threshold_minutes is not None:
            alerts = [_alert(one, stop, now) for one in found for stop in _overdue(one, threshold_minutes, now)]
            alerts += [_unknown_alert(one, now) for one in found if one.receipt.disbelieved is not None]
            unknown = {one.party.id for one in found if not one.is_known}
            raised = await update_alerts(log, UNREAD_ALERTS, alerts, now, unknown)
            if raised.new or raised.ended:
                say(f"alerts: {len(raised.new)} raised, {len(raised.ended)} ended")
        return found

    found = read_log(context, work)
    overdue = [(one, stop) for one in found for stop in _overdue(one, threshold_minutes or 0, now)]
    if form is not TABLE:
        rows = [_unread_fields(one, [stop for other, stop in overdue if other is one], now) for one in found]
        emit_rows(rows if form is JSON else [row for fields in rows for row in _stop_rows(fields)], form)
    else:
        _print_unread(found, now)
        for one, stop in overdue if threshold_minutes is not None else ():
            console().print(sentence(one.party, stop, now), soft_wrap=True)
        for one in found if threshold_minutes is not None else ():
            if one.receipt.disbelieved is not None:
                console().print(unknown_sentence(one), soft_wrap=True)
    exit_if(threshold_minutes is not None and (overdue or not all(one.is_known for one in found)))


def _alert(one: UnreadNotices, stop: Stop, now: int) -> Alert:
    id = f"{UNREAD_ALERTS}{one.party.id}:{stop.bill}"
    alert = alert_for(one.party, id, stop.kind, stop.since, now, sentence(one.party, stop, now))
    return alert._replace(bill=stop.bill, notice_id=stop.notice_id)


def _unknown_alert(one: UnreadNotices, now: int) -> Alert:
    return alert_for(one.party, f"{UNREAD_ALERTS}{one.party.id}", READING_UNKNOWN, now, now, unknown_sentence(one))


def _overdue(one: UnreadNotices, minutes: int, now: int) -> Iterator[Stop]:
    """The gravest first, then the oldest."""
    stops = sorted(one.stops.values(), key=lambda stop: (STOP_KINDS.index(stop.kind), stop.since))
    return (stop for stop in stops if stop.age(now) >= minutes * MINUTE)


def _print_unread(found: Sequence[UnreadNotices], now: int) -> None:
    for why in dict.fromkeys(one.receipt.unknown for one in found if not one.is_known):
        parties = ", ".join(one.party.id for one in found if one.receipt.unknown == why)
        console().print(f"{parties}: unknown: {why}", soft_wrap=True)
    behind = [one for one in found if one.notices]
    if not behind:
        if known := [one.party.id for one in found if one.is_known]:
            console().print(f"{', '.join(known)}: everything is read")
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
        "unread_notices": one.notices if one.is_known else None,
        "unknown": one.receipt.unknown,
        "stops": [
            {"bill": stop.bill, "kind": stop.kind, "since": iso(stop.since), "notice_id": stop.notice_id,
             "minutes": stop.age(now) // MINUTE, "text": sentence(one.party, stop, now)}
            for stop in stops
        ],
    }  # fmt: skip


def _stop_rows(fields: RecordFields) -> Iterator[RecordFields]:
    """One record an unread stop, and one for a party that has none."""
    of_party = {name: value for name, value in fields.items() if name != "stops"}
    none = dict.fromkeys(("bill", "kind", "since", "notice_id", "minutes", "text"))
    for stop in fields["stops"] or [none]:
        yield of_party | stop
