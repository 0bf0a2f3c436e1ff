"""Outages as operators declare, change and end them, and their history. All of it lies in `snp.registry`.

What to do while a system is down, with what is known filled in.

The steps are those of CBP's 24-hour / Trade Act FAQ, vessel mode (revised 11 August 2008), section 27, in our own
words. Numbers and addresses are of that year: a port's own word goes first.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, NamedTuple

from router import topics
from router.decide.registry import Registry
from router.desk.bill_views import NotFoundError
from router.desk.paper_bills import ON_PAPER, PaperView, permission_words
from router.desk.registered_parties import CALLS_THERE, contacts, latest_first
from router.engine.administration import AuditEntry, audit_output
from router.errors import InputError, UsageError
from router.feeds.by_hand import OutageForm, check_moment
from router.log.interface import Log, Record
from router.model.eastern import DAY, iso
from router.model.registry_values import DECLARED, LateTally, Outage, RegistryValue, Sailing
from router.plain import plain
from router.task.input_records import registry_value
from router.task.outputs import registry_output

ID_BYTES = 4


class OutageView(NamedTuple):
    """One outage with what came late of it."""

    outage: Outage
    late: LateTally | None
    """All runs of the feeds together."""


async def declare(log: Log, form: OutageForm, now: int) -> Outage:
    """`snp-router run` announces it. Raises UsageError."""
    check_moment("since", form.since, now)
    _check_return(form.until, now)
    outage = Outage(
        secrets.token_hex(ID_BYTES),
        DECLARED,
        form.since,
        form.mode,
        form.feed,
        form.port,
        form.carrier,
        form.reason,
        form.ticket,
        form.by,
        form.until,
    )
    deed = AuditEntry(now, form.by, "outage declare", outage.id, form.reason)
    await log.append([registry_output(outage), audit_output(deed)])
    return outage


def _check_return(until: int | None, now: int) -> None:
    if until is not None and until <= now:
        raise UsageError("until: that is over; leave it out if nobody knows, or correct it")


async def change(
    log: Log,
    outage_id: str,
    by: str,
    now: int,
    *,
    reason: str | None = None,
    ticket: str | None = None,
    until: int | None = None,
) -> Outage:
    """What is learnt later, such as the ticket's number; the parties are told. Raises NotFoundError, UsageError."""
    _check_return(until, now)
    old = await find_open(log, outage_id)
    new = old._replace(reason=reason or old.reason, ticket=ticket or old.ticket, until=until or old.until)
    if new == old:
        raise UsageError(f"outage {old.id}: that changes nothing")
    deed = AuditEntry(
        now, by, "outage change", old.id, "; ".join(filter(None, (reason, ticket, iso(until) if until else None)))
    )
    await log.append([registry_output(new), audit_output(deed)])
    return new


async def end(log: Log, outage_id: str, by: str, at: int, now: int) -> Outage:
    """It is over as of `at`. Raises NotFoundError, UsageError."""
    outage = await find_open(log, outage_id)
    check_moment("at", at, now)
    if at < outage.began_at:
        raise UsageError(f"outage {outage.id} began at {iso(outage.began_at)}: it can't have ended before")
    ended = outage._replace(ended_at=at, ended_by=by)
    await log.append([registry_output(ended), audit_output(AuditEntry(now, by, "outage end", outage.id, iso(at)))])
    return ended


async def find_open(log: Log, outage_id: str) -> Outage:
    """The one that is open and whose id begins so. Raises NotFoundError, UsageError where several do."""
    outages = [view.outage for view in await read_outages(log)]
    found = [outage for outage in outages if outage.id.startswith(outage_id)]
    still = [outage for outage in found if outage.ended_at is None]
    if len(still) == 1:
        return still[0]
    if len(still) > 1:
        raise UsageError(f"{len(still)} open outages have ids that begin with {outage_id}: write more of it")
    if found:
        raise UsageError(f"outage {found[0].id} is over already, since {iso(found[0].ended_at or 0)}")
    raise NotFoundError(f"there is no outage {outage_id}: see `snp-router outage list --all`")


async def read_outages(log: Log) -> list[OutageView]:
    """All there ever were, the latest first."""
    outages: dict[str, Outage] = {}
    tallies: dict[tuple[str, str], LateTally] = {}
    async for batch in log.read([topics.REGISTRY], until_end=True):
        for record in batch:
            value = _value(record)
            if isinstance(value, Outage):
                outages[value.id] = value
            elif isinstance(value, LateTally):
                tallies[value.outage, value.run] = value
    latest = sorted(outages.values(), key=lambda outage: (outage.began_at, outage.id), reverse=True)
    return [
        OutageView(outage, _together([one for one in tallies.values() if one.outage == outage.id])) for outage in latest
    ]


def _value(record: Record) -> RegistryValue | None:
    try:
        return registry_value(record)
    except InputError:
        return None  # by another program: `run` says so


def _together(tallies: list[LateTally]) -> LateTally | None:
    if not tallies:
        return None
    oldest = [tally.oldest_posted for tally in tallies if tally.oldest_posted is not None]
    return LateTally(
        tallies[0].outage,
        "",
        sum(tally.events for tally in tallies),
        sum(tally.do_not_loads for tally in tallies),
        sum(tally.holds for tally in tallies),
        min(oldest, default=None),
        max(tally.at for tally in tallies),
    )


def outage_fields(view: OutageView) -> dict[str, Any]:
    """For JSON, lines and pages."""
    late = plain("late-tally", view.late._asdict()) if view.late is not None else None
    if late is not None:
        del late["outage"], late["run"]
    return plain("outage", view.outage._asdict()) | {"late": late}


SOURCE: Final = "CBP, 24-hour / Trade Act FAQ, vessel mode, revised 11 August 2008, section 27; in our own words"
HELP_DESK: Final = "1-866-530-4172"
"""As of 2008 (section 27)."""


class Field(NamedTuple):
    name: str
    value: str
    """Empty: to be filled in by hand."""


class Step(NamedTuple):
    who: str
    what: str
    fields: tuple[Field, ...] = ()


def checklist(
    registry: Registry, views: list[OutageView], paper: list[PaperView], port: str, carrier: str | None, now: int
) -> list[Step]:
    """For one port, and for one carrier (or CBP itself being down)."""
    outage = _open_outage(views, port, carrier)
    here = [one for one in contacts(registry, port) if one.ground == CALLS_THERE and carrier in (None, one.scac)]
    names = tuple(
        Field(one.scac, ", ".join(filter(None, (one.contact_name, one.contact_phone, one.contact_email))))
        for one in here
    )
    under_way = tuple(_ship(sailing) for sailing in _under_way(registry, port, carrier, now))
    waiting = [view for view in paper if view.state == ON_PAPER]
    days = Field("days so far", _days(outage, now))
    said = (
        Field("ticket number", (outage.ticket if outage else None) or ""),
        Field("since", iso(outage.began_at) if outage else ""),
        Field("expected return", iso(outage.until) if outage and outage.until else ""),
    )
    return [
        Step("all", f"Call your client representative at CBP, or its help desk ({HELP_DESK} in 2008). Write down the "
             "ticket number; `outage declare --ticket`, or `outage change` later.", said),
        Step("all", "E-mail CBP's manifest branch whom to ask and when you expect to be back.", (*names, said[2])),
        Step("all", "If it lasts over a day: report on each business day.", (days,)),
        Step("carrier", "Telephone each port of discharge of the ships under way.", under_way),
        Step("carrier", "Hand in a CBPF 1302 on paper for every shipment, cargo that stays aboard included, 24 hours "
             "before lading, at each U.S. port of unlading, and at the CSI site where there is one. Fax and other "
             "electronic messages don't count. Note each with `paper add`.",
             (Field("on paper now", str(len(waiting))),)),
        Step("carrier", "Give the ports a name and a telephone number for do-not-loads and holds, day and night "
             f"(`contacts --port {port} --html`).", names),
        Step("carrier", "No do-not-load 24 hours after delivery: you may load, under this procedure only "
             "(`paper list`). Enter what is telephoned at once (`hold place`).", _clocks(waiting, now)),
        Step("carrier", "When it is back: send all cargo data and the sailing's date and time electronically, then "
             "`paper matches`, `paper match` and `outage end`."),
        Step("NVOCC", "Use another service, or hand your data to a carrier that files electronically."),
        Step("service centre", "Tell your clients what to do."),
    ]  # fmt: skip


def _open_outage(views: list[OutageView], port: str, carrier: str | None) -> Outage | None:
    fitting = (
        view.outage
        for view in views
        if view.outage.ended_at is None and view.outage.port in (None, port) and view.outage.carrier == carrier
    )
    return next(fitting, None)


def _under_way(registry: Registry, port: str, carrier: str | None, now: int) -> list[Sailing]:
    """Not arrived by yesterday, or nobody knows when; calling here, or nobody knows where."""
    yesterday = iso(now - DAY)[:10]
    return [
        sailing
        for sailing in latest_first(registry.sailings.values())
        if (sailing.arrival_date is None or sailing.arrival_date >= yesterday)
        and (not sailing.ports or port in sailing.ports)
        and (carrier is None or any(registry.party_scac(line.scac) == carrier for line in sailing.lines))
    ]


def _ship(sailing: Sailing) -> Field:
    voyages = ", ".join(f"{line.scac} {line.voyage_number or '?'}" for line in sailing.lines)
    name = sailing.vessel_name or sailing.imo_number
    return Field(
        name, f"arrives {sailing.arrival_date or 'unknown'}, ports {', '.join(sailing.ports) or '?'}; {voyages}"
    )


def _days(outage: Outage | None, now: int) -> str:
    return "" if outage is None else str((now - outage.began_at) // DAY)


def _clocks(waiting: list[PaperView], now: int) -> tuple[Field, ...]:
    over = sum(view.delivered_at + DAY <= now and not view.do_not_load for view in waiting)
    stopped = [view for view in waiting if view.do_not_load]
    counts = (Field("24 hours are over", str(over)), Field("must not be loaded", str(len(stopped))))
    return (*counts, *(Field(view.bill, permission_words(view, now)) for view in stopped))
