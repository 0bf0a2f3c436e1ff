"""What is said of an outage: on `snp.feed-status`, which every party may read; of a line's own only to the parties of
its sailings, on their topics. Decided in the task of partition 0, from the registry alone."""

from __future__ import annotations

from collections.abc import Iterator

from router import codec, topics
from router.decide.audience import ROLE_ABOARD, ROLES, Disclosure, Recipient
from router.decide.bill_state import BillState
from router.decide.cargo_facts import Cargo
from router.decide.consequences import FEED_BEHIND, Decision
from router.decide.identity import decision_id, notice_id
from router.decide.notices import CHANGE, OPERATOR, Entered, Subject
from router.decide.outages import RECOVERED, RECOVERING, Announcement, OutageWatch
from router.decide.recipients import Notice, Shared
from router.decide.registry import SAME_ROTATION_DAYS, Registry
from router.decide.status import Assessment
from router.log.interface import Output
from router.model.eastern import DAY, iso
from router.model.identifiers import outage_key
from router.model.registry_values import Outage
from router.model.vocabulary import Flag, Role


def decision_on(announcement: Announcement, registry: Registry) -> Decision:
    """As of a bill, under the outage's own key and number, so that it lies in the history like any."""
    state, watched = announcement
    key = outage_key(watched.outage.id)
    decision = decision_id(registry.secret, key, watched.announced)
    subject = Subject(remarks=_words(announcement), action_at=watched.outage.began_at)
    after = Assessment(state, False, False, (), (), (), None, None, None)
    flags: tuple[Flag, ...] = () if state in (RECOVERING, RECOVERED) else (FEED_BEHIND,)
    told: tuple[Notice, ...] = ()
    if watched.outage.carrier is not None and state != RECOVERED:
        shared = Shared(Cargo(carrier_scac=watched.outage.carrier), subject, after, (), flags)
        told = tuple(
            Notice(shared, member, CHANGE, OPERATOR, notice_id(decision, member.scac))
            for member in _aboard_its_sailings(watched.outage, registry)
        )
    entered = Entered(BillState(key, watched.announced), OPERATOR, subject)
    return Decision(entered.state, entered, None, after, flags, told, id=decision)


def _words(announcement: Announcement) -> str:
    state, (outage, *_) = announcement
    who = f"{outage.carrier}'s own systems" if outage.carrier else "the feed"
    if state == RECOVERED:
        return f"{who}: nothing late comes any more"
    if state == RECOVERING:
        return f"{who} work again since {iso(outage.ended_at or 0)}; what was missed may still come late"
    until = f", expected back {iso(outage.until)}" if outage.until is not None else ""
    ticket = f", ticket {outage.ticket}" if outage.ticket else ""
    return f"{who} are down since {iso(outage.began_at)}: {outage.reason or 'no reason given'}{until}{ticket}. " + (
        "No news is not clearance."
    )


def _aboard_its_sailings(outage: Outage, registry: Registry) -> Iterator[Recipient]:
    """Every party with a line aboard a sailing of the line that hasn't long arrived; live, and with a topic."""
    line = registry.party_scac(outage.carrier or "")
    oldest = _day(outage.began_at)
    roles: dict[str, set[Role]] = {}
    for sailing in registry.sailings.values():
        aboard = {registry.party_scac(one.scac): one.role for one in sailing.lines}
        if line in aboard and (sailing.arrival_date is None or sailing.arrival_date >= oldest):
            for scac, role in aboard.items():
                roles.setdefault(scac, set()).add(ROLE_ABOARD[role])
    for scac in sorted(roles):
        party = registry.parties.get(scac)
        if party is not None and party.status == "live" and party.topic not in registry.missing_topics:
            ordered = tuple(role for role in ROLES if role in roles[scac])
            yield Recipient(scac, ordered, Disclosure.FULL, "all", None, party.topic, None)


def _day(milliseconds: int) -> str:
    """So long before that moment a sailing's arrival may lie."""
    return iso(milliseconds - SAME_ROTATION_DAYS * DAY).partition("T")[0]


def feed_status(announcement: Announcement, now: int) -> Output:
    """Do-not-loads first. Who declared it is not for the parties."""
    state, watched = announcement
    outage = watched.outage
    datum = {
        "outage": outage.id,
        "state": state,
        "at": now,
        "since": outage.began_at,
        "ended_at": outage.ended_at,
        "mode": outage.mode,
        "feed": outage.feed,
        "port": outage.port,
        "reason": outage.reason,
        "until": outage.until,
        "ticket": outage.ticket,
    }
    return Output(topics.FEED_STATUS, outage.id.encode(), codec.encode("feed-status", datum | _late(state, watched)))


def _late(state: str, watched: OutageWatch) -> dict[str, int | None]:
    if state != RECOVERED:
        return dict.fromkeys(("late_do_not_loads", "late_holds", "late_events", "oldest_posted"))
    tallies = watched.tallies
    return {
        "late_do_not_loads": sum(tally.do_not_loads for tally in tallies),
        "late_holds": sum(tally.holds for tally in tallies),
        "late_events": sum(tally.events for tally in tallies),
        "oldest_posted": min((one.oldest_posted for one in tallies if one.oldest_posted is not None), default=None),
    }
