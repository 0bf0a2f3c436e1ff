"""From a bill before and after a record to who is told what, what the index hears, what waits, and the history.

Kept in one place so that every cause (an event, a filing, a link, an operator, a change of the registry) ends the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from router.clock import MINUTE
from router.decide.crossing import said_by, to_send
from router.decide.ledger.facts import Known
from router.decide.ledger.identity import decision_id
from router.decide.ledger.manual import ByHand
from router.decide.ledger.offline import Offline
from router.decide.ledger.rules import Rules
from router.decide.ledger.state import BillState
from router.decide.ledger.status import Assessment
from router.decide.notices.entered import Entered
from router.decide.notices.notice import LADING, RESYNC
from router.decide.notices.telling import (
    Notice,
    Shared,
    covered,
    farewells,
    not_reached,
    tell,
    tell_superseded,
    told_after,
)
from router.decide.notices.waits import CONTRADICTION, FEED_BEHIND, Waits, lacks_snp, waits_of
from router.decide.paper import REISSUED, handovers, taken_over
from router.decide.recipients.audience import Audience, Member, audience_of
from router.decide.recipients.outages import is_behind
from router.decide.recipients.registry import Registry, same_name
from router.model.facts import Handover, IndexFact, TakenOver
from router.model.inputs import DeadLetter
from router.model.words import Authority, Flag


class Decision(NamedTuple):
    """What a record did. The order of `notices` is the order in which they go out."""

    state: BillState | None
    """None: nothing is kept of the bill (any more)."""
    entered: Entered | None = None
    """None: the record added nothing; then only `letters` may be filled."""
    before: Assessment | None = None
    after: Assessment | None = None
    flags: tuple[Flag, ...] = ()
    notices: tuple[Notice, ...] = ()
    facts: tuple[IndexFact, ...] = ()
    links: tuple[Handover | TakenOver, ...] = ()
    letters: tuple[DeadLetter, ...] = ()
    waits: Waits | None = None
    waiting_changed: bool = False
    id: str = ""
    """What its notices' ids begin with; empty where there is nothing to tell."""


def conclude(before: BillState, entered: Entered, registry: Registry, rules: Rules) -> Decision:
    """What follows from a record that is entered already. Changes and returns `entered.state`."""
    state = entered.state
    was = before.assess(rules)[1] if before.has_news else None
    state.view = None
    known, after = state.assess(rules)
    state.sequence = (state.sequence or registry.elapsed // MINUTE) + 1
    if entered.cause != RESYNC:  # nothing was heard of the bill
        state.touched = max(state.touched, registry.elapsed)
    in_box = any(link.kind == "BOX" for link in state.links.values())
    audience = audience_of(state.key, known, in_box, registry)
    flags = _flags(entered, state, known, audience, registry)
    notices: tuple[Notice, ...] = ()
    missed: tuple[Member, ...] = ()
    decision = ""
    quiet = state.offline is not None and state.offline.is_superseded
    if state.has_news:
        decision = decision_id(registry.secret, state.key, state.sequence)
        shared = Shared(known, entered.subject, after, _authorises(was, after), flags)
        if quiet:
            notices = tuple(tell_superseded(before, entered, shared, was, audience, registry, decision))
        else:
            missed = tuple(not_reached(before, entered, after, audience))
            notices = (
                *tell(before, entered, shared, was, audience, decision),
                *farewells(before, before.told.keys() - audience.members.keys(), registry, decision),
            )
        state.told = told_after(before, state, notices, after)
    changed_facts = _say(before, state, known, after, audience, quiet=quiet)
    waits, waiting_changed = waits_of(before, state, known, was, after, audience, missed, registry)
    links = _links(before, entered, audience) if state.offline is not None else ()
    return Decision(
        state,
        entered,
        was,
        after,
        flags,
        notices,
        changed_facts,
        links,
        entered.letters,
        waits,
        waiting_changed,
        decision,
    )


def _say(
    before: BillState, state: BillState, known: Known, after: Assessment, audience: Audience, *, quiet: bool
) -> tuple[IndexFact, ...]:
    """What the index is to hear: nothing, where what the bill says follows from the same as before."""
    state.saying = (known, after.holds, audience.sailing, quiet)
    if before.saying == state.saying:
        return ()
    facts = said_by(state, known, after, audience.sailing)
    if quiet and not any(fact.stopped for fact in facts.values()):
        facts = {}  # the same cargo is in its boxes under its new number
    changed = to_send(state.said, facts)
    state.said = facts
    return changed


def _links(before: BillState, entered: Entered, audience: Audience) -> tuple[Handover | TakenOver, ...]:
    """Between a paper bill and the one it was filed as."""
    answer = (taken_over(entered.handover, audience),) if entered.handover is not None else ()
    return (*answer, *handovers(before, entered.state, covered(before)))


def _authorises(was: Assessment | None, after: Assessment) -> tuple[Authority, ...]:
    if was is not None and was.do_not_load and not after.do_not_load:
        return (LADING, *after.authorises)
    return after.authorises


def _flags(
    entered: Entered, state: BillState, known: Known, audience: Audience, registry: Registry
) -> tuple[Flag, ...]:
    vessel_name = registry.vessel_name(known.imo_number) if known.imo_number else None
    mismatch = bool(vessel_name and known.vessel_name and not same_name(vessel_name, known.vessel_name))
    flags = [*entered.flags]
    if entered.subject.event_id in state.unseen:
        flags.append("HOLD_UNSEEN")
    if audience.sailing is None:
        flags.append("SAILING_UNKNOWN")
    if lacks_snp(state.key, known):
        flags.append("NO_SNP")
    if mismatch:
        flags.append("VESSEL_MISMATCH")
    if registry.outages and is_behind(registry.outages, known, registry.party_scac):
        flags.append(FEED_BEHIND)
    if state.offline is not None:
        flags.extend(_offline_flags(state.offline, state.by_hand))
        return tuple(dict.fromkeys(flags))
    return tuple(flags)


def _offline_flags(offline: Offline, by_hand: ByHand | None) -> Iterator[Flag]:
    """MANUAL also on whatever says that a bill is released, as long as that rests on a word alone."""
    if by_hand is not None and by_hand.releases:
        yield "MANUAL"
    if by_hand is not None and by_hand.contradictions:
        yield CONTRADICTION
    if offline.is_superseded:
        yield REISSUED
