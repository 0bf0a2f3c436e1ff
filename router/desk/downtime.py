"""Outages: declared, changed and ended by operators, their history, and the checklist to follow meanwhile.

Outages are records of `snp.registry`; `snp-router run` announces them.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, NamedTuple

from router import topics
from router.decide.port_areas import PortAreas
from router.decide.registry import Registry
from router.desk.bill_views import NotFoundError
from router.desk.paper_bills import ON_PAPER, PaperView, lading_clock
from router.desk.registered_parties import CALLS_THERE, contacts, latest_first
from router.engine.administration import AuditEntry, audit_output
from router.errors import InputError, UsageError
from router.feeds.forms import OutageForm, check_moment
from router.log.interface import Log
from router.model.eastern import DAY, iso
from router.model.registry_values import DECLARED, LateTally, Outage, PortCall, Sailing
from router.presentation import plain
from router.task.input_records import registry_value
from router.task.outputs import registry_output

OUTAGE_ID_BYTES: Final = 4


class OutageView(NamedTuple):
    """One outage with the count of its late events."""

    outage: Outage
    late: LateTally | None
    """Sum over all runs of the feeds; None if nothing came late."""


async def declare(log: Log, form: OutageForm, now: int) -> Outage:
    """Declare an outage. Raises UsageError."""
    check_moment("since", form.since, now)
    _check_return(form.until, now)
    outage = Outage(
        secrets.token_hex(OUTAGE_ID_BYTES), DECLARED, form.since, mode=form.mode, feed=form.feed, port=form.port,
        carrier=form.carrier, reason=form.reason, ticket=form.ticket, declared_by=form.by, until=form.until,
    )  # fmt: skip
    await _write(log, outage, AuditEntry(now, form.by, "outage declare", outage.id, form.reason))
    return outage


async def change(
    log: Log,
    outage_id: str,
    by: str,
    now: int,
    *,
    reason: str | None = None,
    ticket: str | None = None,
    until: int | None = None,
    preview: bool = False,
) -> Outage:
    """Change an open outage, for example to add the ticket number. With `preview` write nothing. Raises NotFoundError,
    UsageError."""
    _check_return(until, now)
    old = await find_open(log, outage_id)
    new = old._replace(reason=reason or old.reason, ticket=ticket or old.ticket, until=until or old.until)
    if new == old:
        raise UsageError(f"outage {old.id} has these values already: give a new reason, ticket or time of return")
    if preview:
        return new
    detail = "; ".join(filter(None, (reason, ticket, iso(until) if until else None)))
    await _write(log, new, AuditEntry(now, by, "outage change", old.id, detail))
    return new


async def end(log: Log, outage_id: str, by: str, at: int, now: int, *, preview: bool = False) -> Outage:
    """End an outage as of `at`, UTC milliseconds. With `preview` write nothing. Raises NotFoundError, UsageError."""
    outage = await find_open(log, outage_id)
    check_moment("at", at, now)
    if at < outage.began_at:
        raise UsageError(f"outage {outage.id} cannot end before it began at {iso(outage.began_at)}: give a later time")
    ended = outage._replace(ended_at=at, ended_by=by)
    if preview:
        return ended
    await _write(log, ended, AuditEntry(now, by, "outage end", outage.id, iso(at)))
    return ended


def _check_return(until: int | None, now: int) -> None:
    if until is not None and until <= now:
        raise UsageError("until: the expected return is in the past; correct it, or leave it out if it is unknown")


async def _write(log: Log, outage: Outage, deed: AuditEntry) -> None:
    await log.append([registry_output(outage), audit_output(deed)], atomic=True)


async def find_open(log: Log, outage_id: str) -> Outage:
    """Return the open outage whose id begins with `outage_id`.

    Raises NotFoundError; UsageError if several are open or the outage is over.
    """
    found = [view.outage for view in await read_outages(log) if view.outage.id.startswith(outage_id)]
    still = [outage for outage in found if outage.ended_at is None]
    if len(still) == 1:
        return still[0]
    if len(still) > 1:
        raise UsageError(f"{len(still)} open outages have an id that begins with {outage_id!r}: give more of it")
    if found:
        raise UsageError(f"outage {found[0].id} is over already, since {iso(found[0].ended_at or 0)}")
    raise NotFoundError(f"outage {outage_id} is unknown: see `snp-router outage list --all`")


async def read_outages(log: Log) -> list[OutageView]:
    """Read all outages, open and over, the latest first."""
    outages: dict[str, Outage] = {}
    tallies: dict[str, dict[str, LateTally]] = {}
    async for batch in log.read([topics.REGISTRY], until_end=True):
        for record in batch:
            try:
                value = registry_value(record)
            except InputError:
                continue  # `run` skips and logs it
            if isinstance(value, Outage):
                outages[value.id] = value
            elif isinstance(value, LateTally):
                tallies.setdefault(value.outage, {})[value.run] = value
    latest = sorted(outages.values(), key=lambda outage: (outage.began_at, outage.id), reverse=True)
    return [OutageView(outage, _sum(list(tallies.get(outage.id, {}).values()))) for outage in latest]


def _sum(tallies: list[LateTally]) -> LateTally | None:
    if not tallies:
        return None
    oldest = [tally.oldest_posted for tally in tallies if tally.oldest_posted is not None]
    return LateTally(
        tallies[0].outage,
        run="",
        events=sum(tally.events for tally in tallies),
        do_not_loads=sum(tally.do_not_loads for tally in tallies),
        holds=sum(tally.holds for tally in tallies),
        oldest_posted=min(oldest, default=None),
        at=max(tally.at for tally in tallies),
    )


def outage_fields(view: OutageView) -> dict[str, Any]:
    """Fields of an outage for JSON, tables and pages."""
    late = plain("late-tally", view.late._asdict()) if view.late is not None else None
    if late is not None:
        del late["outage"], late["run"]
    return plain("outage", view.outage._asdict()) | {"late": late}


# The checklists. A carrier's own outage has CBP's procedure: the steps of the 24-hour / Trade Act FAQ, vessel mode
# (revised 11 August 2008), section 27, in our own words. Its numbers and addresses are of that year. For an outage of
# CBP or of a port there is no such procedure, and silence permits nothing.

FAQ_SOURCE: Final = "CBP, 24-hour / Trade Act FAQ, vessel mode, revised 11 August 2008, section 27; in our own words"
OWN_SOURCE: Final = "Our own list: CBP's FAQ, section 27, has a procedure for a carrier's own outage only"
PORTS_OWN: Final = (
    "Follow the port's own procedure, which takes precedence (`import procedures`): each port handles it differently."
)
HELP_DESK: Final = "1-866-530-4172"
"""The number of 2008 (section 27)."""


class ChecklistField(NamedTuple):
    name: str
    value: str
    """Empty if it is to be filled in by hand."""


class ChecklistStep(NamedTuple):
    who: str
    what: str
    fields: tuple[ChecklistField, ...] = ()


class Checklist(NamedTuple):
    source: str
    """Origin of its steps."""
    steps: tuple[ChecklistStep, ...]


def checklist(
    registry: Registry,
    views: list[OutageView],
    paper: list[PaperView],
    port: str,
    carrier: str | None,
    now: int,
    areas: PortAreas,
) -> Checklist:
    """Return the steps for one port during the outage of `carrier`, or of CBP where that is None."""
    known = _Known(registry, views, paper, port, carrier, now, areas)
    if carrier is None:
        return Checklist(OWN_SOURCE, _steps_without_cbp(known))
    return Checklist(FAQ_SOURCE, _steps_of_carrier(known))


class _Known:
    """An outage at a port, as fields of its checklist."""

    def __init__(
        self,
        registry: Registry,
        views: list[OutageView],
        paper: list[PaperView],
        port: str,
        carrier: str | None,
        now: int,
        areas: PortAreas,
    ) -> None:
        outage = _open_outage(views, port, carrier, areas)
        self.port = port
        self.reason = ChecklistField("reason", (outage.reason if outage else None) or "")
        self.ticket = ChecklistField("ticket number", (outage.ticket if outage else None) or "")
        self.since = ChecklistField("since", iso(outage.began_at) if outage else "")
        self.expected = ChecklistField("expected return", iso(outage.until) if outage and outage.until else "")
        self.days = ChecklistField("days so far", "" if outage is None else str((now - outage.began_at) // DAY))
        self.people = tuple(
            ChecklistField(one.id, ", ".join(filter(None, (one.contact_name, one.contact_phone, one.contact_email))))
            for one in contacts(registry, port, areas)
            if one.ground == CALLS_THERE and carrier in (None, one.id)
        )
        self.ships = tuple(_ship(sailing) for sailing in _under_way(registry, port, carrier, now, areas))
        self.waiting = [view for view in paper if view.state == ON_PAPER]
        self.on_paper = ChecklistField("on paper now", str(len(self.waiting)))
        self.clocks = _clocks(self.waiting, now)
        self.procedures = tuple(
            ChecklistField(f"port {one.port}", ", ".join(filter(None, (one.procedure, one.telephone))))
            for one in (registry.procedures[number] for number in sorted(registry.procedures))
            if areas.same(one.port, port)
        ) or (ChecklistField(f"port {port}", ""),)


def _steps_of_carrier(known: _Known) -> tuple[ChecklistStep, ...]:
    step = ChecklistStep
    return (
        step("all", f"Call your CBP client representative, or the help desk ({HELP_DESK} in 2008). Note the ticket "
             "number and enter it with `outage declare --ticket` or `outage change`.",
             (known.ticket, known.since, known.expected)),
        step("all", "E-mail CBP's manifest branch: a contact person and the expected return.",
             (*known.people, known.expected)),
        step("all", "If the outage lasts more than a day, report on each business day.", (known.days,)),
        step("carrier", "Telephone each port of discharge of the ships under way.", known.ships),
        step("carrier", PORTS_OWN, known.procedures),
        step("carrier", "Deliver a paper CBPF 1302 for every shipment, cargo that stays aboard included, 24 hours "
             "before lading, to each U.S. port of unlading, and to the CSI site if there is one. Fax and other "
             "electronic messages do not count. Enter each with `paper add`.", (known.on_paper,)),
        step("carrier", "Give the ports a name and a telephone number for do-not-loads and holds, day and night "
             f"(`contacts --port {known.port} --html`).", known.people),
        step("carrier", "Without a do-not-load 24 hours after delivery you may load, under this procedure only "
             "(`paper list`). Enter holds by telephone at once (`hold place`).", known.clocks),
        step("carrier", "After the return, send all cargo data and the sailing's date and time electronically. Then "
             "use `paper matches`, `paper match` and `outage end`."),
        step("NVOCC", "Use another service, or give your data to a carrier that files electronically."),
        step("service centre", "Instruct your clients."),
    )  # fmt: skip


def _steps_without_cbp(known: _Known) -> tuple[ChecklistStep, ...]:
    step = ChecklistStep
    return (
        step("all", "Note what CBP says of the outage and enter it with `outage declare` or `outage change`.",
             (known.reason, known.since, known.expected, known.ticket, known.days)),
        step("all", "No news is not clearance: load, move and deliver nothing on the ground that no hold arrived."),
        step("all", PORTS_OWN, known.procedures),
        step("desk", "Telephone the parties whose ships call at the port "
             f"(`contacts --port {known.port} --html`).", known.people),
        step("carrier", "Ask the port about the cargo of the ships under way.", known.ships),
        step("desk", "Enter each hold, do-not-load and release that CBP gives by telephone, by e-mail or on paper at "
             "once (`hold place`, `release`). A bill need not be known yet."),
        step("desk", "Enter each manifest that the port takes on paper (`paper add`).", (known.on_paper,)),
        step("desk", "After the return use `outage end`. Events may still come late until the parties get "
             "`RECOVERED`."),
    )  # fmt: skip


def _open_outage(views: list[OutageView], port: str, carrier: str | None, areas: PortAreas) -> Outage | None:
    fitting = (
        view.outage
        for view in views
        if view.outage.ended_at is None
        and view.outage.stops_ocean
        and (view.outage.port is None or areas.same(view.outage.port, port))
        and view.outage.carrier == carrier
    )
    return next(fitting, None)


def _under_way(registry: Registry, port: str, carrier: str | None, now: int, areas: PortAreas) -> list[Sailing]:
    """Sailings to the port that had not arrived by yesterday; unknown dates and ports count."""
    yesterday = iso(now - DAY)[:10]
    return [
        sailing
        for sailing in latest_first(registry.roster.sailings().values())
        if (not sailing.calls or any(_is_to_come(call, port, yesterday, areas) for call in sailing.calls))
        and (carrier is None or any(registry.party_id(line.scac) == carrier for line in sailing.lines))
    ]


def _is_to_come(call: PortCall, port: str, yesterday: str, areas: PortAreas) -> bool:
    return (call.port is None or areas.same(call.port, port)) and (call.arrival_date or yesterday) >= yesterday


def _ship(sailing: Sailing) -> ChecklistField:
    voyages = ", ".join(f"{line.scac} {line.voyage_number or '?'}" for line in sailing.lines)
    arrival, ports = sailing.arrival_date or "unknown", ", ".join(sailing.ports) or "?"
    return ChecklistField(sailing.vessel_name or sailing.imo_number, f"arrives {arrival}, ports {ports}; {voyages}")


def _clocks(waiting: list[PaperView], now: int) -> tuple[ChecklistField, ...]:
    over = sum(view.delivered_at + DAY <= now and not view.do_not_load for view in waiting)
    stopped = [view for view in waiting if view.do_not_load]
    counts = (ChecklistField("24 hours are over", str(over)), ChecklistField("must not be loaded", str(len(stopped))))
    return (*counts, *(ChecklistField(view.bill, lading_clock(view, now)) for view in stopped))
