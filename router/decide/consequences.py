"""The consequences of an applied record: notices, index facts, waiting reasons and history.

Every cause (an event, a filing, a link, an operator, a change of the registry) ends here, in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from router.decide.audience import Audience, Recipient, audience_of
from router.decide.bill_state import AssessedBill, BillState, KeptSailing, assess_bill, cargo_of
from router.decide.boxes import alias_facts, changed_facts, facts_of, paper_facts, prefix_facts
from router.decide.cargo_facts import Cargo
from router.decide.identity import decision_id
from router.decide.manual_events import CONTRADICTION
from router.decide.notices import LADING, RESYNC, AppliedRecord, Notice
from router.decide.outages import is_behind
from router.decide.paper import REISSUED, own_stops, refiling_answer, refilings
from router.decide.recipients import Notifying, covered_ids, is_entitled, last_notices_after
from router.decide.registry import Registry
from router.decide.roster import same_name, voyage_of
from router.decide.rules import Rules
from router.decide.standing_holds import StandingHold
from router.decide.status import Assessment, ContainerStatus
from router.decide.waiting import SAILING_ASSUMED, WaitingReasons, lacks_snp, waiting_reasons, waiting_record
from router.model.eastern import MINUTE, posted_minute
from router.model.identifiers import key_without_prefix
from router.model.inputs import DeadLetter
from router.model.links import MOST_SEEN_BY, ORIGINAL, IndexFact, RefilingRecord
from router.model.vocabulary import Authority, Cause, Flag, Kind, Role

FEED_BEHIND: Final = "FEED_BEHIND"
"""Flag: an outage covers the bill, so no news is not clearance."""


_NO_FACTS: Final[tuple[IndexFact, ...]] = ()


class Notified(Struct, frozen=True, array_like=True):
    """A notice as the history names it."""

    recipient: str
    kind: Kind
    cause: Cause
    roles: tuple[Role, ...]


class HistoryEntry(Struct, frozen=True, array_like=True):
    """A decision in the history of its bill, vessel or outage."""

    bill: str
    sequence: int
    cause: Cause
    event_id: str | None
    disposition_code: str | None
    action_at: int | None
    remarks: str | None
    duplicate: bool
    status_before: str | None
    status: str
    """A `Status` of the bill or vessel; an outage has its own."""
    flags: tuple[Flag, ...]
    holds: tuple[str, ...]
    """Each as `kind:code:container:quantity`."""
    decision_id: str
    notified: tuple[Notified, ...]
    waiting: tuple[str, ...]
    """Parties that wait, each as `reason:party`."""
    rules: int
    """Number of the rules under which it was made."""
    caused_by: str | None = None
    """Id of another bill's event, or of a snapshot, that caused it."""
    do_not_load: bool = False
    """True if a do-not-load stands, whatever the status."""


class Decision(Struct, frozen=True, array_like=True):
    """The result of one record on its bill. `notices` are in the order in which they are sent."""

    bill: AssessedBill | None
    """The bill afterwards; None if nothing is kept of it."""
    history: HistoryEntry | None = None
    """None: the record changed nothing, and only `letters` may be filled."""
    notices: tuple[Notice, ...] = ()
    facts: tuple[IndexFact, ...] = ()
    links: tuple[RefilingRecord, ...] = ()
    letters: tuple[DeadLetter, ...] = ()
    waiting: WaitingReasons | None = None
    waiting_changed: bool = False


def conclude(before: AssessedBill | None, applied: AppliedRecord, registry: Registry, rules: Rules) -> Decision:
    """The decision on an applied record. `before` is the bill without it; None if it was unknown."""
    state = applied.state
    old = before.state if before is not None else BillState(state.key)
    was = before.status if before is not None and old.is_notifiable else None
    cargo = cargo_of(state, before)
    audience, state = _find_sailing(state, cargo, applied, registry)
    after = assess_bill(state, rules, before, cargo)
    sequence = (old.sequence or registry.elapsed // MINUTE) + 1
    flags = _flags(applied, after, audience, registry, rules)
    unseen = after.may_be_stopped_unseen
    authorises = after.status.authorises if unseen else _authorises(was, after.status)

    notices: tuple[Notice, ...] = ()
    waiting: tuple[Recipient, ...] = ()
    decision = ""
    last_notices = state.last_notices
    if state.is_notifiable:
        decision = decision_id(registry.secret, state.key, sequence)
        containers = after.status.containers if unseen else _containers(was, after.status)
        notifying = Notifying(old, was, applied, after, audience, authorises, containers, flags, decision, rules)
        if state.is_superseded:
            notices = tuple(notifying.superseded_notices(registry))
        else:
            leaving = old.last_notices.keys() - audience.recipients.keys()
            if leaving:
                leaving -= notifying.retain(leaving, _has_moved(old, state, registry), registry)
            waiting = tuple(notifying.waiting_recipients())
            notices = (*notifying.notices(), *notifying.last_notices(leaving, registry))
        last_notices = last_notices_after(old, sequence, notices, after.status, notifying.passed_over)

    seen_by = _entitled_parties(audience, after.status) if after.status.stopped and not state.is_unnamed else ()
    has_splits = any(link.kind == "SPLIT" for link in state.links.values())
    basis = (
        after.cargo,
        after.status.holds,
        after.status.cleared,
        audience.found,
        state.is_superseded,
        state.may_be_refiled,
        state.aliases,
        seen_by,
        has_splits,
    )
    facts, changed = state.index_facts, _NO_FACTS
    states_again = before is not None and old.index_losses < registry.index_losses
    if before is None or states_again or before.facts_basis != basis:
        known = {} if states_again else state.index_facts
        facts = _index_facts(after, audience, seen_by, has_splits)
        changed = changed_facts(known, facts, applied.event_id or applied.caused_by)
    reasons = waiting_reasons(after, audience, waiting)
    record, waiting_changed = waiting_record(old, was, after.status, reasons, waiting, registry.now)
    state = replace(
        state,
        sequence=sequence,
        # a resync is no news of the bill
        touched=state.touched if applied.cause == RESYNC else max(state.touched, registry.elapsed),
        last_notices=last_notices,
        index_facts=facts,
        index_losses=registry.index_losses,
        waiting=reasons,
        unconfirmed=old.unconfirmed.after(after.status, registry.elapsed),
        waiting_since=record.since if record is not None else old.waiting_since if reasons else 0,
    )
    return Decision(
        AssessedBill(state, after.cargo, after.account, after.status, after.relayed, after.applied, basis),
        history_entry(state, applied, was, after.status, rules, flags, decision, notices),
        notices,
        changed,
        _links(old, applied, state, audience) if state.downtime is not None or applied.refiling_refusal else (),
        applied.letters,
        record,
        waiting_changed,
    )


def _find_sailing(
    state: BillState, cargo: Cargo, applied: AppliedRecord, registry: Registry
) -> tuple[Audience, BillState]:
    """The bill's audience, and the state with the sailing to keep."""
    known = state.sailing
    audience = audience_of(state.key, cargo, state.is_in_stopped_box, registry, state.kept_sailing_id)
    sailing, posted = audience.sailing, known.posted if known is not None else 0
    if audience.found is not None:
        posted = max([posted, *(report.posted for report in state.facts.reports)])
    elif (event := applied.event) is not None and event.uncertain is None and posted_minute(event.action_at) >= posted:
        # a late event may have the identifiers that a later one got wrong
        found = registry.roster.find(voyage_of(event.shipment)).found
        if found is not None and found != sailing:
            sailing, posted = found, posted_minute(event.action_at)
            audience = audience_of(state.key, cargo, state.is_in_stopped_box, registry, found.sailing_id)
    if sailing is None:
        return audience, state
    kept = KeptSailing(sailing.sailing_id, sailing.first_lading_date, posted)
    return audience, state if kept == known else replace(state, sailing=kept)


def _has_moved(old: BillState, state: BillState, registry: Registry) -> bool:
    """True if another sailing was positively found than before."""
    if old.sailing is None or state.sailing is None:
        return False
    was = registry.roster.sailing(old.sailing.sailing_id)
    return was is None or was.sailing_id != state.sailing.sailing_id


def history_entry(
    state: BillState,
    applied: AppliedRecord,
    before: Assessment | None,
    after: Assessment,
    rules: Rules,
    flags: tuple[Flag, ...] = (),
    decision: str = "",
    notices: tuple[Notice, ...] = (),
) -> HistoryEntry:
    event = applied.event
    return HistoryEntry(
        state.key,
        state.sequence,
        applied.cause,
        applied.event_id,
        (event.disposition_code or None) if event is not None else None,
        (event.action_at or None) if event is not None else None,
        event.remarks if event is not None else None,
        applied.duplicate,
        before.status if before is not None else None,
        after.status,
        flags,
        tuple(map(_hold_text, after.holds)),
        decision,
        tuple(Notified(one.recipient.id, one.kind, one.cause, one.recipient.roles) for one in notices),
        tuple(reason for reason in state.waiting if ":" in reason),
        rules.number,
        applied.caused_by,
        after.do_not_load,
    )


def _hold_text(hold: StandingHold) -> str:
    quantity = "" if hold.quantity is None else hold.quantity
    return f"{hold.kind}:{hold.code or ''}:{hold.container_number or ''}:{quantity}"


def _authorises(was: Assessment | None, after: Assessment) -> tuple[Authority, ...]:
    if was is not None and was.do_not_load and not after.do_not_load:
        return (LADING, *after.authorises)
    return after.authorises


def _containers(was: Assessment | None, after: Assessment) -> tuple[ContainerStatus, ...]:
    """The containers, with `LADING` on those whose do-not-load has ended."""
    stopped = {container.number for container in was.containers if container.do_not_load} if was is not None else ()
    if not stopped:
        return after.containers
    return tuple(
        container._replace(authorises=(LADING, *container.authorises))
        if container.number in stopped and not container.do_not_load
        else container
        for container in after.containers
    )


def _index_facts(
    after: AssessedBill, audience: Audience, seen_by: tuple[str, ...], has_splits: bool
) -> Mapping[str, IndexFact]:
    """The bill's facts for the index."""
    state, stops = after.state, (*after.status.holds, *after.status.cleared)
    facts = facts_of(state.key, after.cargo, stops, audience.found, seen_by, has_splits=has_splits)
    as_original = facts.get(f"{ORIGINAL}:{state.key}")
    if state.is_superseded and not any(fact.stopped for fact in facts.values()):
        facts = {}  # the same cargo is in its boxes under its new number
    if state.may_be_refiled:
        facts |= paper_facts(state.key, stops, seen_by)
    facts |= prefix_facts(state.key, after.cargo, stops, seen_by)
    return facts | alias_facts(state.key, state.aliases, as_original.stops if as_original else ())


def _entitled_parties(audience: Audience, status: Assessment) -> tuple[str, ...]:
    """Parties that are notified of the bill at this status, filer and second notify parties first. Where its hold stops
    another bill of theirs, they may see its number there."""
    entitled = (one.id for one in audience.recipients.values() if is_entitled(one, None, status))
    return tuple(islice(entitled, MOST_SEEN_BY))


def _links(old: BillState, applied: AppliedRecord, state: BillState, audience: Audience) -> tuple[RefilingRecord, ...]:
    """Records between a paper bill and the bill it was filed as."""
    refusal = applied.refiling_refusal
    if refusal is not None and refusal.unknown:
        refusal = refusal._replace(stops=own_stops(state))
    request = tuple(one for one in (applied.refiling_request, refusal) if one is not None)
    answer = (refiling_answer(applied.refiling, audience),) if applied.refiling is not None else ()
    return (*request, *answer, *refilings(old, state, covered_ids(old)))


def _flags(
    applied: AppliedRecord, after: AssessedBill, audience: Audience, registry: Registry, rules: Rules
) -> tuple[Flag, ...]:
    state, cargo, shipment = after.state, after.cargo, after.cargo.shipment
    vessel_name = registry.roster.vessel_name(shipment.imo_number) if shipment.imo_number else None
    flags = [*applied.flags]
    if key_without_prefix(state.key) is not None or after.has_doubtful_hold:
        flags.append("IDENTIFIER_DOUBTFUL")
    if applied.event_id in after.account.holds_unseen:
        flags.append("HOLD_UNSEEN")
    if applied.event_id in after.account.removals_unmatched:
        flags.append("REMOVAL_UNMATCHED")
    if audience.assumed is not None:
        flags.append(SAILING_ASSUMED)
    elif audience.sailing is None:
        flags.append("SAILING_UNKNOWN")
    if lacks_snp(state.key, cargo):
        flags.append("NO_SNP")
    if state.is_original_held:
        flags.append("ORIGINAL_HELD")
    if vessel_name and shipment.vessel_name and not same_name(vessel_name, shipment.vessel_name):
        flags.append("VESSEL_MISMATCH")
    if registry.outages and is_behind(registry.outages, shipment, registry.party_id, rules.port_areas):
        flags.append(FEED_BEHIND)
    if state.downtime is not None:
        flags.extend(_downtime_flags(after))
    return tuple(dict.fromkeys(flags))


def _downtime_flags(after: AssessedBill) -> Iterator[Flag]:
    """MANUAL is also on every notice of a release that was only relayed by hand."""
    if after.relayed.releases:
        yield "MANUAL"
    if after.relayed.contradictions:
        yield CONTRADICTION
    if after.state.is_superseded:
        yield REISSUED
