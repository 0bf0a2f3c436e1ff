"""Commands by which an operator ends holds and doubts: `hold clear`, `bill confirm`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, get_args

import typer

from router.cli import command, printing
from router.cli.command import (
    ByOption,
    FormatOption,
    RowsFormatOption,
    TicketOption,
    exit_if,
    flag,
    option,
    read_log,
    with_rules,
)
from router.cli.manual_commands import hold_app as hold_app
from router.cli.printing import CSV, JSON, TABLE, Column, RecordFields, console, emit, number_of, say
from router.codec import encode_value
from router.decide.notices import hold_fields
from router.decide.rules import Rules
from router.desk.bill_views import key_from
from router.desk.clearances import Cleared, clear, place_of
from router.desk.confirmations import (
    BillFilter,
    Confirmed,
    Operator,
    PreviewedBill,
    SkippedBill,
    confirm,
    confirm_previewed,
    preview,
    preview_bill,
)
from router.engine.administration import os_account
from router.errors import UsageError
from router.feeds.forms import ClearanceForm, checked
from router.log.interface import AdministeredLog
from router.model.vocabulary import Doubt
from router.presentation import plain_value

DOUBTS: Final[tuple[Doubt, ...]] = get_args(Doubt)


@hold_app.command("clear")
def clear_hold(
    context: typer.Context,
    bill: command.BillArgument,
    by: ByOption,
    source: Annotated[str, option("NAME", "Who at CBP said that the hold has ended.")],
    reason: Annotated[str, option("TEXT", "On what evidence; it is recorded.")],
    event: Annotated[
        list[str] | None, option("ID", "Event that placed the hold, or its first characters; may be repeated.")
    ] = None,
    kind: Annotated[str | None, option("KIND", "BOX, UNKNOWN_CODE, UNREADABLE, MANUAL, HOUSE or CBP.")] = None,
    everything: Annotated[bool, flag("--all", "All holds of that kind; not HOUSE, not CBP.")] = False,
    container: Annotated[str | None, option("NUMBER", "One container, if an event holds several.")] = None,
    ticket: TicketOption = None,
    previewed: Annotated[bool, flag("--preview", "Show what it would end; write nothing.")] = False,
    form: FormatOption = TABLE,
) -> None:
    """End a hold where CBP said outside its messages that it has ended, in an operator's name.

    Example:  [bold]snp-router hold clear NVXAHBL000012345 --event 3f9c12aa --source "CBP Los Angeles"
    --reason "removal lost in the outage" --ticket 4711 --by "J. Doe"[/bold]

    Ids of events: `bill show`. Holds that CBP sent are cleared one at a time; then another person has to confirm the
    bill (`bill confirm`). A hold placed or sent again later stands again."""
    key = key_from(bill)
    if everything == bool(event):
        raise UsageError("name the events of the hold with --event, or give --all with --kind")
    if everything and kind is None:
        raise UsageError("--all clears the holds of one kind: give --kind")
    fields = {
        "kind": kind and kind.upper(), "events": tuple(event or ()), "container": container, "source": source,
        "reason": reason, "ticket": ticket, "by": by,
    }  # fmt: skip
    entered, user = checked(ClearanceForm, fields), os_account()

    async def work(log: AdministeredLog, rules: Rules) -> Cleared:
        await command.warn_if_behind(log)
        return await clear(log, rules, key, entered, user=user, preview=previewed)

    _report_cleared(read_log(context, with_rules(context, work)), key, form, previewed)


def _report_cleared(cleared: Cleared, key: str, form: printing.OutputFormat, previewed: bool) -> None:
    after = cleared.after
    if form is JSON:
        holds = [hold_fields(hold, cleared.cargo, hold.seen_bill(None)) for hold in cleared.holds]
        consequences = {"status": after.status, "doubts": list(after.doubts), "do_not_load": after.do_not_load}
        notices = [one._asdict() for one in cleared.notices]
        fields = plain_value(encode_value(cleared.clearance))
        emit(fields | {"holds": holds, "notices": notices, "letters": list(cleared.letters)} | consequences)
        return
    out = console()
    for hold in cleared.holds:
        name = " ".join(filter(None, (hold.kind, hold.code)))
        scope = hold.container_number or "the whole bill"
        part = ", in part: later placements stand" if place_of(hold) in map(place_of, after.holds) else ""
        out.print(f"{'would end' if previewed else 'ended'}: {name} on {scope}{part}")
    doubts = f", in doubt: {', '.join(after.doubts)}" if after.doubts else ""
    out.print(f"{key}: {after.status}{doubts}")
    for one in cleared.notices:
        out.print(f"  {one.kind.upper()} to {one.recipient}")
    if cleared.needs_second_person:
        say(f"another person has to confirm it: `snp-router bill confirm {key}`, as another user of this machine")
    if not previewed:
        say("`snp-router run` applies it and sends the notices; start it if it is not running")


def confirm_bill(
    context: typer.Context,
    by: ByOption,
    bill: Annotated[list[str] | None, command.argument("BILL", command.BILL_HELP)] = None,
    reason: Annotated[str | None, option("TEXT", "On what evidence; it is recorded.")] = None,
    event: Annotated[list[str] | None, option("ID", "This event only; may be repeated. Default: all so far.")] = None,
    doubt: Annotated[
        list[str] | None, option("DOUBT", "This doubt only; may be repeated. Without BILL: of all bills that fit.")
    ] = None,
    carrier: Annotated[str | None, option("SCAC", "Without BILL: bills on this carrier's manifest.")] = None,
    vessel: Annotated[str | None, option("NAME", "Without BILL: bills on this vessel; name or IMO number.")] = None,
    port: Annotated[str | None, option("PORT", "Without BILL: bills for this port of unlading.")] = None,
    hold_code: Annotated[str | None, option("CODE", "Without BILL: bills with such a hold after the release.")] = None,
    preview_file: Annotated[
        Path | None, option("FILE", "List the bills and write them to this file; confirm nothing.", "--preview")
    ] = None,
    previewed: Annotated[Path | None, option("FILE", "Confirm the bills of this file, as they were.")] = None,
    form: RowsFormatOption = TABLE,
) -> None:
    """End a bill's doubts, contradictions and holds for unreadable or unknown events, in an operator's name.

    Example:  [bold]snp-router bill confirm NVXAHBL000012345 --by "J. Doe" --reason "CBP port office, by phone"[/bold]

    Many bills at once, first listed, then confirmed as listed:

    [bold]snp-router bill confirm --doubt RELEASE_PREDATES_HOLD --port 2704 --preview bills.json[/bold]
    [bold]snp-router bill confirm --previewed bills.json --by "J. Doe" --reason "CBP's list"[/bold]

    Holds that CBP sent still stop the bill, and so does whatever comes later. Bills that changed since are skipped."""
    filters = {"carrier": carrier, "vessel": vessel, "port": port, "hold_code": hold_code}
    if (bill is not None) + (previewed is not None) + (bill is None and bool(doubt)) != 1:
        raise UsageError("name a bill, or give --doubt with --preview, or --previewed with the file of a preview")
    if (bill is not None or previewed is not None) and any(filters.values()):
        raise UsageError("--carrier, --vessel, --port and --hold-code select bills by --doubt: leave out BILL")
    if form is CSV and preview_file is None:
        raise UsageError("--format csv prints the table of --preview: give that, or --format json")
    if preview_file is not None:
        found = read_log(context, with_rules(context, lambda log, rules: _preview(log, rules, bill, doubt, filters)))
        _report_preview(found, preview_file, form)
        return
    if reason is None:
        raise UsageError("a confirmation needs --reason; many bills are listed first, with --preview FILE")
    operator = Operator(by, os_account(), reason)
    if previewed is not None:
        bills = _read_preview(previewed)
        done = read_log(context, with_rules(context, lambda log, rules: confirm_previewed(log, rules, bills, operator)))
        _report_bulk(*done, form)
        return
    if bill is None:
        raise UsageError("many bills are listed first: give --preview FILE, then --previewed FILE")
    key, events, doubts = key_from(bill), event or [], doubt or []

    async def work(log: AdministeredLog, rules: Rules) -> Confirmed:
        return await confirm(log, rules, key, operator, events=events, doubts=doubts)

    _report_confirmed(read_log(context, with_rules(context, work)), form)


async def _preview(
    log: AdministeredLog, rules: Rules, bill: list[str] | None, doubts: list[str] | None, filters: dict[str, str | None]
) -> list[PreviewedBill]:
    if bill is not None:
        return [await preview_bill(log, rules, key_from(bill))]
    (doubt, *others) = doubts or [""]
    if others:
        raise UsageError("list bills by one doubt at a time")
    return await preview(log, rules, BillFilter(_doubt(doubt), **filters))


def _doubt(word: str) -> Doubt:
    for doubt in DOUBTS:
        if doubt == word.upper():
            return doubt
    raise UsageError(f"there is no doubt {word}: use {', '.join(DOUBTS)}")


PREVIEW: Final = (
    Column("bill", 16, lambda one: one["bill"]),
    Column("status", None, lambda one: one["status"]),
    Column("to confirm", None, lambda one: ", ".join(one["doubts"])),
)


def _report_preview(found: list[PreviewedBill], file: Path, form: printing.OutputFormat) -> None:
    rows: list[RecordFields] = [{**one._asdict(), "doubts": list(one.doubts)} for one in found]
    file.write_text(json.dumps(rows, indent=1) + "\n")
    printing.print_rows(PREVIEW, rows, form, empty="no bill fits", title="To confirm")
    if form is TABLE:
        say(f"{number_of(len(found), 'bill')} written to {file}: confirm them with --previewed {file}")


def _read_preview(file: Path) -> list[PreviewedBill]:
    try:
        rows = json.loads(file.read_text())
        if not isinstance(rows, list):
            raise ValueError("it is not a list of bills")
        return [PreviewedBill(row["bill"], row["status"], tuple(row["doubts"]), row["seen"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is no file of `bill confirm --preview`: {error}") from error


def _report_bulk(confirmed: list[Confirmed], skipped: list[SkippedBill], form: printing.OutputFormat) -> None:
    if form is JSON:
        emit({"confirmed": [one.bill for one in confirmed], "skipped": [one._asdict() for one in skipped]})
    else:
        console().print(f"confirmed: {number_of(len(confirmed), 'bill')}")
        for one in skipped:
            say(f"skipped: {one.bill}: {one.reason}")
        say("`snp-router run` applies it and sends the notices; start it if it is not running")
    exit_if(skipped)


def _report_confirmed(confirmed: Confirmed, form: printing.OutputFormat) -> None:
    if form is JSON:
        emit({name: list(value) if isinstance(value, tuple) else value for name, value in confirmed._asdict().items()})
        return
    console().print(f"confirmed: {', '.join(confirmed.doubts)}; {number_of(len(confirmed.covers), 'event')} covered")
    if confirmed.letters:
        console().print(f"dead letters resolved: {', '.join(confirmed.letters)}")
    say("`snp-router run` applies it and sends the notices; start it if it is not running")
