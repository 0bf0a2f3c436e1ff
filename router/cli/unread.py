"""`snp-router unread`: what stops cargo and has not been read by whom it stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

import typer

from router.cli.exit_codes import ExitCode
from router.cli.session import Format, FormatOption, Session, console, emit, run, say, session_of
from router.cli.show import grid
from router.clock import now_milliseconds
from router.desk.unread_notices import (
    DO_NOT_LOAD,
    HELD,
    NOT_DELIVERABLE,
    Alert,
    AlertChanges,
    Stop,
    UnreadNotices,
    alert_for,
    read_unread,
    sentence,
    update_alerts,
)
from router.engine.administration import read_registry
from router.model.eastern import MINUTE, iso

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
            emit(_fields(one, [stop for other, stop in overdue if other is one], now))
    else:
        _print(found, now)
        for one, stop in overdue if threshold_minutes is not None else ():
            console().print(sentence(one.party, stop, now), soft_wrap=True)
        for why in dict.fromkeys(one.receipt.unknown for one in found if one.receipt.unknown):
            parties = ", ".join(one.party.scac for one in found if one.receipt.unknown == why)
            say(f"{parties}: nobody can tell what is read: {why}")
    if threshold_minutes is not None and overdue:
        raise typer.Exit(ExitCode.PROBLEMS)


async def _look(session: Session, threshold_minutes: int | None, now: int) -> list[UnreadNotices]:
    async with session.reading() as log:
        found = await read_unread(log, await read_registry(log))
        if threshold_minutes is not None:
            alerts = [_alert(one, stop, now) for one in found for stop in _overdue(one, threshold_minutes, now)]
            _say_changes(await update_alerts(log, PREFIX, alerts, now))
        return found


def _alert(one: UnreadNotices, stop: Stop, now: int) -> Alert:
    id = f"{PREFIX}{one.party.scac}:{stop.bill}"
    alert = alert_for(one.party, id, stop.kind, stop.since, now, sentence(one.party, stop, now))
    return alert._replace(bill=stop.bill, notice_id=stop.notice_id)


def _say_changes(raised: AlertChanges) -> None:
    if raised.new or raised.ended:
        say(f"alarms: {len(raised.new)} raised, {len(raised.ended)} ended")


def _overdue(one: UnreadNotices, minutes: int, now: int) -> Iterator[Stop]:
    """The gravest first, then the oldest."""
    order = (DO_NOT_LOAD, HELD, NOT_DELIVERABLE)
    stops = sorted(one.stops.values(), key=lambda stop: (order.index(stop.kind), stop.since))
    return (stop for stop in stops if stop.age(now) >= minutes * MINUTE)


def _print(found: Sequence[UnreadNotices], now: int) -> None:
    behind = [one for one in found if one.notices]
    followed = [one.party.scac for one in found if not one.receipt.unknown]
    if not behind:
        words = f"{', '.join(followed)}: everything is read" if followed else "no party's reading can be followed"
        console().print(words)
        return
    headings = ("party", "do-not-loads", "holds", "no longer deliverable", "oldest", "notices in all", "call")
    console().print(grid(headings, (_cells(one, now) for one in behind)))


def _cells(one: UnreadNotices, now: int) -> tuple[str, ...]:
    oldest = f"{max(stop.age(now) for stop in one.stops.values()) // MINUTE} min" if one.stops else ""
    counts = (str(one.count(kind) or "") for kind in (DO_NOT_LOAD, HELD, NOT_DELIVERABLE))
    return one.party.scac, *counts, oldest, str(one.notices), one.party.contact_phone or ""


def _fields(one: UnreadNotices, stops: Sequence[Stop], now: int) -> dict[str, Any]:
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
