"""Outages as operators declare, change and end them, and their history. All of it lies in `snp.registry`."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from router import topics
from router.desk.views import NotFoundError
from router.engine.administration import AuditEntry, audit_output
from router.errors import InputError, UsageError
from router.feeds.forms import OutageForm, check_moment
from router.log.interface import Log, Record
from router.model.eastern import iso
from router.model.registry_values import DECLARED, LateTally, Outage, RegistryValue
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
