"""The command `handover`: everything since a time, for the next shift."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Final, NamedTuple

import typer
from rich.text import Text

from router.cli import printing
from router.cli.command import MOMENT, RowsFormatOption, option, read_log, with_rules
from router.cli.manual_commands import OUTAGE
from router.cli.printing import TABLE, Column, RecordFields, console, emit_rows, moment, number_of, say, styled, table
from router.clock import now_milliseconds
from router.decide.rules import Rules
from router.desk.handover import Handover, read_handover, section_rows
from router.errors import UsageError
from router.feeds.typed_times import typed_time
from router.log.interface import AdministeredLog
from router.model.eastern import EASTERN, MILLISECONDS, iso

SHOWN: Final = 50
"""Rows of each section in the text."""


def handover(
    context: typer.Context,
    since: Annotated[str, option("TIME", f"When the shift began. {MOMENT}")],
    until: Annotated[str | None, option("TIME", f"When it ended; default: now. {MOMENT}")] = None,
    limit: Annotated[
        int, option("ROWS", "Rows shown of each section; all are counted. JSON and CSV have all.", min=0)
    ] = SHOWN,
    form: RowsFormatOption = TABLE,
) -> None:
    """Show everything since a time, for the next shift: do-not-loads and who has read them, holds placed and ended,
    releases, outages, waiting bills, dead letters, deeds by hand, calls.

    Example:  [bold]snp-router handover --since 22:00[/bold]

    Times are those at which the router decided. Outages, waiting bills and dead letters that are open are shown as they
    are now, also those from before."""
    now = now_milliseconds()
    begin = typed_time("since", since, now)
    end = typed_time("until", until, now) if until is not None else now
    if end <= begin:
        raise UsageError(f"since: {iso(begin)} is not earlier than {iso(end)}; times without an offset are Eastern")

    async def work(log: AdministeredLog, rules: Rules) -> Handover:
        return await read_handover(log, rules, begin, end)

    found = read_log(context, with_rules(context, work), warns_if_behind=True)
    rows = section_rows(found)
    if form is not TABLE:
        emit_rows([{"section": name} | fields for name, section in rows.items() for fields in section], form)
        return
    out = console()
    out.print(Text(f"Handover from {_clocks(found.since)} to {_clocks(found.until)}", "bold"))
    for name, section in SECTIONS.items():
        out.print(Text(f"\n{section.counted(rows[name])}", "bold"), soft_wrap=True)
        if shown := rows[name][:limit]:
            out.print(table(section.columns, shown))
        for reason in dict.fromkeys(reason for row in shown for reason in row.get("unknown_because", ())):
            say(f"reading unknown: {reason}")
        if len(rows[name]) > limit:
            say(f"{len(rows[name]) - limit:,} more: --limit {len(rows[name])}, or --format csv")


def _clocks(milliseconds: int) -> str:
    """`07-14 02:00Z (07-13 22:00 Eastern)`."""
    utc = datetime.fromtimestamp(milliseconds // MILLISECONDS, UTC)
    return f"{utc:%m-%d %H:%M}Z ({utc.astimezone(EASTERN):%m-%d %H:%M} Eastern)"


class Section(NamedTuple):
    counted: Callable[[list[RecordFields]], str]
    """Heading with the counts."""
    columns: tuple[Column, ...]


def hold_name(hold: str | None) -> str:
    """`1H`, `6H on CSQU3054383`, `BOX on CSQU3054383` of a hold as the history has it."""
    if hold is None:
        return "all holds"
    kind, code, container, _ = hold.split(":")
    fields = {"kind": kind, "code": code or None, "container_number": container or None, "because_of": None}
    return printing.hold_text(fields)


def _do_not_loads(rows: list[RecordFields]) -> str:
    unread = sum(bool(row["not_read_by"] or row["unknown_of"]) for row in rows)
    standing = sum(row["stands"] for row in rows)
    return f"{number_of(len(rows), 'new do-not-load')}: {standing} standing, {unread} not known to be read by all"


def _readers(row: RecordFields) -> str:
    parts = (("read", "read_by"), ("NOT READ", "not_read_by"), ("unknown", "unknown_of"))
    return "; ".join(f"{text}: {', '.join(row[name])}" for text, name in parts if row[name]) or "nobody was notified"


def _releases(rows: list[RecordFields]) -> str:
    revoked = sum(row["revoked"] for row in rows)
    return f"{number_of(len(rows) - revoked, 'release')}, {revoked} taken back"


def _open_outages(rows: list[RecordFields]) -> str:
    return f"{number_of(len(rows), 'outage')}, {sum(row['ended_at'] is None for row in rows)} open"


def _waiting(rows: list[RecordFields]) -> str:
    stops = sum(row["do_not_load"] for row in rows)
    return f"{number_of(len(rows), 'bill')} waiting now, {number_of(stops, 'do-not-load')} among them"


def _count(noun: str, what: str = "") -> Callable[[list[RecordFields]], str]:
    return lambda rows: f"{number_of(len(rows), noun)}{what}"


def _time(name: str, field: str) -> Column:
    return Column(name, 12, lambda one: moment(one[field]))


def _audit_columns() -> Iterator[Column]:
    yield _time("at", "at")
    yield Column("by", None, lambda one: one["by"])
    yield Column("deed", None, lambda one: one["action"])
    yield Column("on", None, lambda one: one["subject"])
    yield Column("detail", None, lambda one: one["detail"] or "")


_BILL: Final = Column("bill", 17, lambda one: one["bill"])
_STATUS: Final = Column("status then", 19, lambda one: styled(one["status"]))
_HOLD: Final = (
    _time("at", "at"),
    _time("posted", "posted_at"),
    _BILL,
    Column("hold", None, lambda one: hold_name(one["hold"])),
    _STATUS,
    Column("cause", None, lambda one: one["cause"]),
)
SECTIONS: Final = {
    "do_not_load": Section(
        _do_not_loads,
        (
            _time("at", "at"),
            _time("posted", "posted_at"),
            _BILL,
            Column("code", 4, lambda one: one["code"] or ""),
            Column("status now", 19, lambda one: styled(one["status_now"])),
            Column("read by", None, _readers),
        ),
    ),
    "hold_placed": Section(_count("hold", " placed"), _HOLD),
    "hold_ended": Section(_count("hold", " ended"), _HOLD),
    "release": Section(
        _releases,
        (
            _time("at", "at"),
            _time("posted", "posted_at"),
            _BILL,
            Column("event", 12, lambda one: one["code"] or one["cause"]),
            _STATUS,
            Column("", None, lambda one: Text("taken back", "red") if one["revoked"] else ""),
        ),
    ),
    "outage": Section(_open_outages, OUTAGE),
    "waiting": Section(_waiting, printing.WAITING),
    "dead_letter": Section(_count("dead letter", " open now"), printing.DEAD_LETTER),
    "deed": Section(_count("deed", " by hand"), tuple(_audit_columns())),
    "call": Section(_count("call"), tuple(_audit_columns())),
}
