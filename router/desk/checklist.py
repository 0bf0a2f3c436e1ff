"""What to do while a system is down, with what is known filled in.

The steps are those of CBP's 24-hour / Trade Act FAQ, vessel mode (revised 11 August 2008), section 27, in our own
words. Numbers and addresses are of that year: a port's own word goes first.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from router.decide.registry import Registry
from router.desk.contacts import CALLS_THERE, contacts, latest_first
from router.desk.outages import OutageView
from router.desk.paper import ON_PAPER, PaperView, permission_words
from router.model.eastern import DAY, iso
from router.model.registry_values import Outage, Sailing

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
