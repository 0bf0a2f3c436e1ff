"""Announcements of outages: on `snp.feed-status`, which every party may read; those of a line's own outage only on the
topics of its sailings' parties, and of the filers whose open bills name it.

The task of partition 0 decides them, from the registry alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from router import codec, topics
from router.decide.audience import FILER, ROLE_ABOARD, ROLES, Disclosure, Recipient
from router.decide.cargo_facts import Cargo
from router.decide.consequences import FEED_BEHIND, Decision, HistoryEntry, Notified
from router.decide.identity import decision_id, notice_id
from router.decide.notices import CHANGE, OPERATOR, Notice, notice_fields
from router.decide.outages import LOST, RECOVERED, RECOVERING, Announcement, OutageWatch, procedures_for
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.log.interface import Output
from router.model.eastern import DAY, iso
from router.model.identifiers import outage_key
from router.model.inputs import Disposition, Shipment
from router.model.registry_values import Outage, PortProcedure
from router.model.vocabulary import Flag, Role

OVER: Final = (RECOVERING, RECOVERED, LOST)
"""States of an outage that has ended."""

DAYS_ASHORE: Final = 30
"""Days from a sailing's last call after which its parties are not concerned by an outage."""


LOST_TEXT: Final = (
    "messages of this time were lost before they were read, and never come. No news is not clearance: a bill that may "
    "lack one is not released until CBP's status of it is confirmed"
)


def decision_on(announcement: Announcement, registry: Registry, rules: Rules) -> Decision:
    """The decision under the outage's own key and number, so that it is in the history like a bill's."""
    state, watch, _ = announcement
    outage = watch.outage
    key = outage_key(outage.id)
    decision = decision_id(registry.secret, key, watch.announced)
    event = Disposition(None, None, "", outage.began_at, remarks=_text(announcement, registry, rules))
    flags: tuple[Flag, ...] = (FEED_BEHIND,) if state not in OVER and outage.stops_ocean else ()
    notices: tuple[Notice, ...] = ()
    if outage.carrier is not None and state != RECOVERED:
        cargo = Cargo(shipment=Shipment(carrier_scac=outage.carrier))
        fields = notice_fields(key, cargo, event, None, None, (), (), flags, OPERATOR, (), rules)
        notices = tuple(
            Notice(fields, recipient, CHANGE, OPERATOR, notice_id(decision, recipient.id))
            for recipient in _concerned(announcement, registry)
        )
    history = HistoryEntry(
        key,
        watch.announced,
        OPERATOR,
        None,
        None,
        event.action_at,
        event.remarks,
        duplicate=False,
        status_before=None,
        status=state,
        flags=flags,
        holds=(),
        decision_id=decision,
        notified=tuple(Notified(one.recipient.id, one.kind, OPERATOR, one.recipient.roles) for one in notices),
        waiting=(),
        rules=rules.number,
    )
    return Decision(None, history, notices)


def _procedures(announcement: Announcement, registry: Registry, rules: Rules) -> list[PortProcedure]:
    """Requirements of the ports while the outage lasts."""
    lasts = announcement.state not in OVER
    return procedures_for(announcement.watch.outage, registry.procedures, rules.port_areas) if lasts else []


def _text(announcement: Announcement, registry: Registry, rules: Rules) -> str:
    state, (outage, *_), _ = announcement
    system = f"{outage.carrier}'s own systems" if outage.carrier else "the feed"
    if state == LOST:
        return LOST_TEXT
    if state == RECOVERED:
        return f"{system}: recovery complete, no late events come any more"
    if state == RECOVERING:
        return f"{system} work again since {iso(outage.ended_at or 0)}; missed events may still come late"
    until = f", expected back {iso(outage.until)}" if outage.until is not None else ""
    ticket = f", ticket {outage.ticket}" if outage.ticket else ""
    reason = outage.reason or "no reason given"
    text = f"{system} are down since {iso(outage.began_at)}: {reason}{until}{ticket}. No news is not clearance."
    procedures = _procedures(announcement, registry, rules) if outage.port is not None else []
    return " ".join([text, *(f"Port {one.port}: {one.procedure} {one.telephone or ''}".rstrip() for one in procedures)])


def _concerned(announcement: Announcement, registry: Registry) -> Iterator[Recipient]:
    """Live parties aboard the carrier's sailings, and filers of open bills that name it; of these, if new ones were
    reported, only those who were not told before."""
    watch, new_filers = announcement.watch, announcement.new_filers
    roles = _aboard_its_sailings(watch.outage, registry)
    for filer in watch.filers - new_filers:
        roles.setdefault(registry.party_id(filer), set()).add(FILER)
    told = frozenset(roles) if new_filers else frozenset()
    for filer in new_filers:
        roles.setdefault(registry.party_id(filer), set()).add(FILER)
    for party_id in sorted(roles.keys() - told):
        party = registry.reachable_party(party_id)
        if party is not None:
            ordered = tuple(role for role in ROLES if role in roles[party_id])
            yield Recipient(party_id, ordered, Disclosure.FULL, "all", None, party.topic, None)


def _aboard_its_sailings(outage: Outage, registry: Registry) -> dict[str, set[Role]]:
    """Roles of the parties aboard the carrier's sailings, but those that arrived long before the outage."""
    carrier = registry.party_id(outage.carrier or "")
    oldest = iso(outage.began_at - DAYS_ASHORE * DAY).partition("T")[0]
    roles: dict[str, set[Role]] = {}
    for sailing in registry.roster.sailings().values():
        aboard = {registry.party_id(one.scac): one.role for one in sailing.lines}
        if carrier in aboard and (sailing.last_arrival_date is None or sailing.last_arrival_date >= oldest):
            for party_id, role in aboard.items():
                roles.setdefault(party_id, set()).add(ROLE_ABOARD[role])
    return roles


def feed_status(announcement: Announcement, registry: Registry, rules: Rules) -> Output:
    """The announcement to all parties, late do-not-loads first, without the operator who declared it."""
    state, watch, _ = announcement
    outage = watch.outage
    datum = {
        "outage": outage.id,
        "state": state,
        "at": registry.now,
        "since": outage.began_at,
        "ended_at": outage.ended_at,
        "mode": outage.mode,
        "feed": outage.feed,
        "port": outage.port,
        "reason": LOST_TEXT if state == LOST else outage.reason,
        "until": outage.until,
        "ticket": outage.ticket,
        "procedures": [one._asdict() for one in _procedures(announcement, registry, rules)],
    }
    return Output(
        topics.FEED_STATUS, outage.id.encode(), codec.encode("feed-status", datum | _late_counts(state, watch))
    )


def _late_counts(state: str, watch: OutageWatch) -> dict[str, int | None]:
    if state != RECOVERED:
        return dict.fromkeys(("late_do_not_loads", "late_holds", "late_events", "oldest_posted"))
    tallies = watch.tallies
    return {
        "late_do_not_loads": sum(tally.do_not_loads for tally in tallies),
        "late_holds": sum(tally.holds for tally in tallies),
        "late_events": sum(tally.events for tally in tallies),
        "oldest_posted": min((one.oldest_posted for one in tallies if one.oldest_posted is not None), default=None),
    }
